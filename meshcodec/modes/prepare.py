"""A mesh made ready to be encoded at any size and effort: loaded, placed, classified, sampled, encoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
from meshcodec.runtime.clock import Clock

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(N, 3) surface points and (N, 3) unit normals, in the cube."""


@dataclass(frozen=True)
class MeshLimits:
    """Meshes above either limit are refused when they are loaded; see `meshcodec.geometry.io.load_mesh`."""

    max_faces: int = MAX_FACES
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True)
class PreparedMesh:
    """A mesh that is ready to be encoded at any size and effort.

    Attributes
    ----------
    mesh : the mesh, in its own frame; of a large one, vertices at one place are merged
    transform : the way from the decoder's cube to that frame
    classes : its faces by what they bound, in the cube
    latents : the encoder's unbounded latents of each scale, (1, 3, n, n, D), n the scale's cells a side
    seed : seed of all sampling
    seconds : seconds of each stage so far
    """

    mesh: trimesh.Trimesh
    transform: BoxTransform
    classes: FaceClasses
    latents: list[torch.Tensor]
    seed: int
    seconds: dict[str, float]


def prepare(
    engine: Engine,
    sources: Iterable[MeshSource],
    seed: int = 0,
    file_type: str | None = None,
    limits: MeshLimits | None = None,
) -> list[PreparedMesh]:
    """Load and sample meshes, and put them through the encoder together.

    Raises
    ------
    BadMeshError
        A mesh cannot be read or holds no surface.
    TypeError
        A source is nothing that `load_mesh` takes.
    """
    sampled = [_sample(engine, source, seed, file_type, limits or MeshLimits()) for source in sources]
    if not sampled:
        return []
    clock = Clock()
    points, normals = (np.stack([part[k] for _, part in sampled]) for k in (0, 1))
    latents = engine.or_on_cpu(lambda: _encode(engine, points, normals, clock))
    share = {stage: seconds / len(sampled) for stage, seconds in clock.seconds.items()}
    return [
        replace(mesh, latents=[part[k : k + 1] for part in latents], seconds=mesh.seconds | share)
        for k, (mesh, _) in enumerate(sampled)
    ]


def _sample(
    engine: Engine, source: MeshSource, seed: int, file_type: str | None, limits: MeshLimits
) -> tuple[PreparedMesh, Sample]:
    """A mesh without its latents, and the sample that these are made of."""
    check_source(source, "encode")
    clock = Clock()
    with clock("load"):
        mesh = load_mesh(source, file_type, limits.max_faces, limits.max_bytes)
        if len(mesh.faces) > LARGE:
            # Once, and not wherever neighbours are asked for. Of smaller meshes, vertices stay as they are.
            mesh.vertices, mesh.faces = merge_identical(*mesh_arrays(mesh))
        transform = fit_coding_box(mesh.vertices, mesh.faces, seed)
    with clock("sample"):
        classes = classify(transform.to_unit(mesh.vertices), mesh.faces)
        rng = np.random.default_rng([seed, 0])
        sample = sample_surface(classes, engine.encoding.config.input_points, rng)
    return PreparedMesh(mesh, transform, classes, [], seed, clock.seconds), sample


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
