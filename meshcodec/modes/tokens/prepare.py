"""A mesh made ready to be encoded by tokens: classified, sampled, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from meshcodec.engine import Engine
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import FaceClasses, classify
from meshcodec.modes.load import LoadedMesh
from meshcodec.runtime.clock import Clock

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(N, 3) surface points and (N, 3) unit normals, in the cube."""


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
