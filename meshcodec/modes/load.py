"""A mesh read and placed: what every mode begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import trimesh

from meshcodec.config import MAX_BYTES, MAX_FACES, SAMPLES
from meshcodec.geometry.io import load_mesh
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.sources import MeshSource, check_source
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.geometry.triangles import merge_identical, mesh_arrays
from meshcodec.geometry.winding import LARGE
from meshcodec.metrics import Reference
from meshcodec.runtime.clock import Clock


@dataclass(frozen=True)
class MeshLimits:
    """Meshes above either limit are refused when they are loaded; see `meshcodec.geometry.io.load_mesh`."""

    max_faces: int = MAX_FACES
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True)
class LoadedMesh:
    """A mesh that is read and placed: what every mode needs of it.

    Attributes
    ----------
    mesh : the mesh, in its own frame; of a large one, vertices at one place are merged
    transform : the way from the decoder's cube to that frame
    seed : seed of all sampling
    seconds : seconds of each stage so far
    """

    mesh: trimesh.Trimesh
    transform: BoxTransform
    seed: int
    seconds: dict[str, float]

    def reference(self, samples: int = SAMPLES) -> Reference:
        """What decodes are measured against, the same for every mode and size; made at the first call."""
        if samples not in self._references:
            self._references[samples] = Reference(self.mesh, samples=samples)
        return self._references[samples]

    @cached_property
    def _references(self) -> dict[int, Reference]:
        return {}


def load(
    source: MeshSource, seed: int = 0, file_type: str | None = None, limits: MeshLimits | None = None
) -> LoadedMesh:
    """Read a mesh and find the box that it is coded in.

    Raises
    ------
    BadMeshError
        It cannot be read or holds no surface.
    TypeError
        It is nothing that `load_mesh` takes.
    """
    check_source(source, "encode")
    limits = limits or MeshLimits()
    clock = Clock()
    with clock("load"):
        mesh = load_mesh(source, file_type, limits.max_faces, limits.max_bytes)
        if len(mesh.faces) > LARGE:
            # Once, and not wherever neighbours are asked for. Of smaller meshes, vertices stay as they are.
            mesh.vertices, mesh.faces = merge_identical(*mesh_arrays(mesh))
        transform = fit_coding_box(mesh.vertices, mesh.faces, seed)
    return LoadedMesh(mesh, transform, seed, clock.seconds)
