"""What a training step sees of a cached sample: a subsample, rotated, and brought back into the unit frame.

Everything is there twice: in numpy for one mesh, drawn from a `numpy.random.Generator`, and in torch for a
batch that lies on a device, drawn from a `torch.Generator`. What is drawn, and in which order, is the same:

1. where the run of surface points begins, then where that of each kind of query does (`Subsample`);
2. whether the mesh is rotated freely, which a recipe's ``rotate_share`` says the probability of;
3. a uniform rotation for those that are, one of the 48 symmetries of the cube for the others.

The two random streams differ, so that the same seed gives other numbers. Torch draws both matrices of 3 for
every mesh, numpy only the one that is used.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.config import EXTENT
from meshcodec.train.cache import (
    DISTANCE_STEP,
    MIDDLE,
    NEAR,
    NORMAL_STEPS,
    POINT_STEP,
    POINTS,
    UNIFORM,
    Sample,
    from_grid,
)
from meshcodec.train.recipe import TrainConfig

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""One mesh: points (N, 3), normals (N, 3), queries (Q, 3), signed distances (Q,), in the unit frame."""
Tensors = tuple[Tensor, Tensor, Tensor, Tensor]
"""The same of B meshes, with B as the first axis."""
Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True)
class Run:
    """Consecutive rows out of a stretch of a sample. Their order is random, so that any run is a draw.

    Attributes
    ----------
    first : row at which the stretch begins
    available : rows of the stretch
    taken : rows of the run
    """

    first: int
    available: int
    taken: int

    @property
    def starts(self) -> int:
        """Number of places where the run may begin."""
        return self.available - self.taken + 1


@dataclass(frozen=True)
class Subsample:
    """Rows that a batch takes of each cached sample.

    Attributes
    ----------
    points : run of the surface points and their normals
    queries : a run for each kind of query: near the surface, around it, anywhere
    """

    points: Run
    queries: tuple[Run, ...]

    @classmethod
    def of(cls, config: TrainConfig) -> Subsample:
        """As a recipe says; of a kind of query never more than a cache has."""
        runs, first = [], 0
        for kind, share in zip((NEAR, MIDDLE, UNIFORM), config.query_shares, strict=True):
            runs.append(Run(first, kind, min(round(config.queries * share), kind)))
            first += kind
        return cls(Run(0, POINTS, config.points), tuple(runs))


def subsample(sample: Sample, config: TrainConfig, rng: np.random.Generator) -> Arrays:
    """A random run of a cached sample's points and one of each kind of query."""
    plan = Subsample.of(config)

    def rows(run: Run) -> NDArray[np.int64]:
        begin = run.first + int(rng.integers(0, run.starts))
        return np.arange(begin, begin + run.taken)

    chosen = rows(plan.points)
    asked = np.concatenate([rows(run) for run in plan.queries])
    return (
        from_grid(sample.points[chosen]),
        sample.normals[chosen].astype(np.float32) / np.float32(NORMAL_STEPS),
        from_grid(sample.queries[asked]),
        sample.distances[asked].astype(np.float32) * np.float32(DISTANCE_STEP),
    )


def subsample_batch(stored: Tensors, meshes: Tensor, config: TrainConfig, stream: torch.Generator) -> Tensors:
    """`subsample` of some of the meshes whose samples lie on a device.

    Parameters
    ----------
    stored : the arrays of a cache as it stores them, see `meshcodec.train.cache`
    meshes : (B,) numbers of the meshes
    stream : on the device of all of these
    """
    plan = Subsample.of(config)

    def rows(run: Run) -> Tensor:
        starts = torch.randint(run.starts, (len(meshes), 1), generator=stream, device=stream.device)
        return run.first + (starts + torch.arange(run.taken, device=stream.device))

    points, normals, queries, distances = stored
    chosen = rows(plan.points)
    asked, mesh = torch.cat([rows(run) for run in plan.queries], dim=1), meshes[:, None]
    return (
        points[mesh, chosen].float() * POINT_STEP,
        normals[mesh, chosen].float() / NORMAL_STEPS,
        queries[mesh, asked].float() * POINT_STEP,
        distances[mesh, asked].float() * DISTANCE_STEP,
    )


def cube_symmetries() -> NDArray[np.float32]:
    """(48, 3, 3): the rotations and reflections that map the cube to itself."""
    matrices = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3), dtype=np.float32)
            matrix[range(3), order] = signs
            matrices.append(matrix)
    return np.stack(matrices)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float32]:
    """(3, 3) uniform rotation, by a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(_rotation_rows(w, x, y, z), dtype=np.float32)


def random_rotations(count: int, stream: torch.Generator) -> Tensor:
    """(count, 3, 3) uniform rotations, by random unit quaternions."""
    q = torch.randn(count, 4, generator=stream, device=stream.device)
    rows = _rotation_rows(*(q / q.norm(dim=1, keepdim=True)).unbind(1))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _rotation_rows(w: Number, x: Number, y: Number, z: Number) -> list[list[Number]]:
    """Rows of the rotation matrix of a unit quaternion."""
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]


def rotate(arrays: Arrays, matrix: NDArray[np.float32], refit: bool) -> Arrays:
    """Apply an orthogonal matrix; with `refit` move and scale the result back into the unit frame.

    Queries that leave the cube would come back on its border with a distance too large to matter after
    truncation, so they are replaced by the first query that is inside.
    """
    points, normals, queries, distances = arrays
    points, normals, queries = points @ matrix.T, normals @ matrix.T, queries @ matrix.T
    if refit:
        low, high = points.min(0), points.max(0)
        center, scale = (low + high) / 2, float((high - low).max() / 2)
        points, queries, distances = (points - center) / scale, (queries - center) / scale, distances / scale
        # The cache holds distances up to MAX_DISTANCE; shrinking could bring that bound below the truncation.
        outside = np.abs(queries).max(axis=1) > EXTENT
        first = int(np.argmin(outside))
        queries[outside], distances[outside] = queries[first], distances[first]
    return points, normals, queries, distances


def rotate_batch(tensors: Tensors, matrices: Tensor, refit: Tensor) -> Tensors:
    """`rotate` of a whole batch.

    Parameters
    ----------
    matrices : (B, 3, 3) orthogonal
    refit : (B,) bool, which meshes are moved and scaled back into the unit frame
    """
    distances = tensors[3]
    points, normals, queries = (_apply(matrices, vectors) for vectors in tensors[:3])
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    chosen = refit[:, None, None]
    center = torch.where(chosen, (low + high) / 2, 0.0)
    scale = torch.where(chosen, (high - low).amax(2, keepdim=True) / 2, 1.0)
    points, queries, distances = (
        (points - center) / scale,
        (queries - center) / scale,
        distances / scale[..., 0],
    )
    outside = refit[:, None] & (queries.abs().amax(2) > EXTENT)
    first = outside.int().argmin(1, keepdim=True)
    queries = torch.where(outside[..., None], queries.take_along_dim(first[..., None], 1), queries)
    distances = torch.where(outside, distances.take_along_dim(first, 1), distances)
    return points, normals, queries, distances


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    # Not by a matrix product, which a GPU may round to ten bits.
    return (vectors[:, :, None, :] * matrices[:, None]).sum(-1)
