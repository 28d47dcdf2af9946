"""A mesh made ready to be encoded: loaded and placed and, for tokens, classified, sampled, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray

from meshcodec.config import MAX_BYTES, MAX_FACES
from meshcodec.engine import Engine
from meshcodec.geometry.io import load_mesh
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import LARGE, FaceClasses, classify
from meshcodec.geometry.sources import MeshSource, check_source
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.geometry.triangles import merge_identical, mesh_arrays
from meshcodec.metrics import SAMPLES, Reference
from meshcodec.runtime.clock import Clock

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(N, 3) surface points and (N, 3) unit normals, in the cube."""


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


@dataclass(frozen=True)
class PreparedMesh(LoadedMesh):
    """A mesh that is ready to be encoded by tokens at any size and effort.

    Attributes
    ----------
    classes : its faces by what they bound, in the cube
    latents : the encoder's unbounded latents of each scale, (1, 3, n, n, D), n the scale's cells a side
    """

    classes: FaceClasses
    latents: list[torch.Tensor]


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


def prepare(engine: Engine, meshes: Sequence[LoadedMesh]) -> list[PreparedMesh]:
    """Sample meshes, and put them through the encoder together; those that are prepared stay as they are."""
    rest = [mesh for mesh in meshes if not isinstance(mesh, PreparedMesh)]
    made = iter(_prepared(engine, rest) if rest else [])
    return [mesh if isinstance(mesh, PreparedMesh) else next(made) for mesh in meshes]


def _prepared(engine: Engine, meshes: Sequence[LoadedMesh]) -> list[PreparedMesh]:
    sampled = [_sample(engine, mesh) for mesh in meshes]
    clock = Clock()
    points, normals = (np.stack([part[k] for _, _, part in sampled]) for k in (0, 1))
    latents = engine.or_on_cpu(lambda: _encode(engine, points, normals, clock))
    share = {stage: seconds / len(sampled) for stage, seconds in clock.seconds.items()}
    return [
        PreparedMesh(
            mesh.mesh,
            mesh.transform,
            mesh.seed,
            mesh.seconds | {"sample": seconds} | share,
            classes,
            [part[k : k + 1] for part in latents],
        )
        for k, (mesh, (classes, seconds, _)) in enumerate(zip(meshes, sampled, strict=True))
    ]


def _sample(engine: Engine, mesh: LoadedMesh) -> tuple[FaceClasses, float, Sample]:
    """The faces of a mesh by what they bound, the seconds that this takes, and a sample of the surface."""
    clock = Clock()
    with clock("sample"):
        classes = classify(mesh.transform.to_unit(mesh.mesh.vertices), mesh.mesh.faces)
        rng = np.random.default_rng([mesh.seed, 0])
        sample = sample_surface(classes, engine.encoding.config.input_points, rng)
    return classes, clock.seconds["sample"], sample


@torch.no_grad()
def _encode(
    engine: Engine, points: NDArray[np.float32], normals: NDArray[np.float32], clock: Clock
) -> list[torch.Tensor]:
    """The encoder's unbounded latents of each scale, (B, 3, n, n, D), of (B, N, 3) points and normals."""
    with clock("weights"):
        model = engine.encoding.model
    with clock("encoder"):
        mu, _ = model.encoder(*(torch.from_numpy(a).to(engine.device) for a in (points, normals)))
        return model.quantizer.project(mu)
