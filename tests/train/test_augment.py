"""Subsamples and rotations, for one mesh and for a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.training import CPU, recipe

from meshcodec.config import EXTENT
from meshcodec.train.augment import (
    Arrays,
    Run,
    Subsample,
    cube_symmetries,
    random_rotation,
    rotate,
    rotate_batch,
    subsample,
    subsample_batch,
)
from meshcodec.train.batches import DeviceBatches
from meshcodec.train.cache import (
    DISTANCE_STEP,
    MIDDLE,
    NEAR,
    POINT_STEP,
    POINTS,
    QUERIES,
    Sample,
    SampleCache,
    from_grid,
)

NUMPY_STARTS = 6567, 699
"""Rows of the first point and of the first query near the surface that numpy draws with seed 3."""
TORCH_STARTS = 2249, 4952
"""The same of torch, on the CPU."""
CENTERS = np.array([[-0.5, 0.1, 0.0], [0.4, -0.2, 0.3]])


RADII = np.array([0.5, 0.6])


def sphere_distance(queries: NDArray[Any], centers: NDArray[Any], radii: NDArray[Any]) -> NDArray[Any]:
    """(n,) signed distance to a union of spheres."""
    away: NDArray[Any] = (np.linalg.norm(queries[:, None] - centers, axis=-1) - radii).min(axis=1)
    return away


def two_spheres(rng: np.random.Generator) -> Arrays:
    """Points on two spheres, away from where they meet, and queries with their exact distances."""
    normals = rng.normal(size=(20_000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    which = rng.integers(0, 2, len(normals))
    points = CENTERS[which] + RADII[which, None] * normals
    outer = np.linalg.norm(points - CENTERS[1 - which], axis=1) > RADII[1 - which] + 0.05
    queries = rng.uniform(-EXTENT, EXTENT, (4000, 3))
    arrays = (points[outer], normals[outer], queries, sphere_distance(queries, CENTERS, RADII))
    points32, normals32, queries32, distances32 = (array.astype(np.float32) for array in arrays)
    return points32, normals32, queries32, distances32


@pytest.mark.parametrize("seed", range(4))
def test_rotating_keeps_distances_true(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays, matrix = two_spheres(rng), random_rotation(rng)
    points, normals, queries, distances = rotate(arrays, matrix, refit=True)

    assert np.allclose(points.max(axis=0) + points.min(axis=0), 0, atol=1e-5)
    assert np.abs(points).max() == pytest.approx(1, abs=1e-5)
    # What was done to the points says where the spheres are now, whatever was done to the distances.
    before, after = arrays[0].astype(float) @ matrix.T, points.astype(float)
    scale = np.linalg.norm(before[1] - before[0]) / np.linalg.norm(after[1] - after[0])
    shift = (before - scale * after).mean(axis=0)
    assert scale != pytest.approx(1, abs=1e-3)
    centers, radii = (CENTERS @ matrix.T - shift) / scale, RADII / scale
    assert np.abs(queries).max() <= EXTENT
    assert np.allclose(distances, sphere_distance(queries, centers, radii), atol=1e-4)
    assert np.allclose(sphere_distance(points + 0.01 * normals, centers, radii), 0.01, atol=1e-4)


def test_symmetries_keep_distances_as_they_are() -> None:
    arrays = two_spheres(np.random.default_rng(0))
    for matrix in cube_symmetries()[::7]:
        points, normals, queries, distances = rotate(arrays, matrix, refit=False)
        centers = CENTERS @ matrix.T
        assert np.array_equal(distances, arrays[3])
        assert np.allclose(distances, sphere_distance(queries, centers, RADII), atol=1e-5)
        assert np.allclose(sphere_distance(points + 0.01 * normals, centers, RADII), 0.01, atol=1e-5)


def test_the_cube_has_48_symmetries() -> None:
    matrices = cube_symmetries()
    assert len({matrix.tobytes() for matrix in matrices + 0.0}) == 48  # + 0.0: no negative zeros
    assert np.array_equal(matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (48, 3, 3)))
    assert sorted(np.rint(np.linalg.det(matrices))) == [-1] * 24 + [1] * 24


@pytest.mark.slow
def test_rotating_a_batch_is_rotating_each_mesh(small_cache: Path) -> None:
    config = recipe("tiny", batch=6, points=300, queries=240)
    stored = DeviceBatches(small_cache, config, CPU).stored
    tensors = subsample_batch(stored, torch.tensor([0, 1] * 3), config, torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    matrices = np.stack([random_rotation(rng) if k % 2 else cube_symmetries()[7 * k] for k in range(6)])
    refit = np.arange(6) % 2 == 1
    rotated = rotate_batch(tensors, torch.from_numpy(matrices), torch.from_numpy(refit))
    for k in range(6):
        points, normals, queries, distances = (tensor[k].numpy().copy() for tensor in tensors)
        wanted = rotate((points, normals, queries, distances), matrices[k], bool(refit[k]))
        for found, array in zip(rotated, wanted, strict=True):
            assert np.allclose(found[k], array, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_subsample_is_a_run_of_each_kind_of_query(small_cache: Path) -> None:
    """In numpy and in torch, from places that change."""
    config = recipe("tiny", points=100, queries=60, query_shares=(1 / 2, 1 / 3, 1 / 6))
    plan = Subsample.of(config)
    assert plan.points == Run(0, POINTS, 100)
    assert plan.queries == (
        Run(0, NEAR, 30),
        Run(NEAR, MIDDLE, 20),
        Run(NEAR + MIDDLE, QUERIES - NEAR - MIDDLE, 10),
    )
    points, normals, queries, _ = DeviceBatches(small_cache, config, CPU).stored
    # Where each query comes from can be read off its distance.
    numbered = torch.arange(QUERIES, dtype=torch.int16).expand(len(points), -1)
    starts: dict[str, set[int]] = {"numpy": set(), "torch": set()}
    for seed in range(8):
        stream = torch.Generator().manual_seed(seed)
        stored = (points, normals, queries, numbered)
        batch = [t[0].numpy() for t in subsample_batch(stored, torch.tensor([1]), config, stream)]
        sample = Sample(*(t[1].numpy() for t in stored))
        for name, (_, _, asked, there) in (
            ("torch", batch),
            ("numpy", subsample(sample, config, np.random.default_rng(seed))),
        ):
            rows = np.rint(there / DISTANCE_STEP).astype(int)
            for part, run in zip(np.split(rows, [30, 50]), plan.queries, strict=True):
                assert np.array_equal(part, np.arange(part[0], part[0] + run.taken))
                assert run.first <= part[0] <= run.first + run.available - run.taken
            starts[name].add(int(rows[0]))
            assert np.array_equal(asked, queries[1, rows].numpy() * np.float32(POINT_STEP))
    assert all(len(found) > 4 for found in starts.values())


def test_a_run_may_begin_at_every_place_where_it_fits() -> None:
    assert Run(5, 10, 10).starts == 1
    assert Run(5, 10, 1).starts == 10


def test_what_a_seed_draws_stays_what_it_is(small_cache: Path) -> None:
    """Runs of training are to be repeated: the first numbers drawn, in numpy and in torch."""
    config = recipe("tiny", batch=2, points=100, queries=60, rotate_share=0.5)
    sample = SampleCache(small_cache, "train")[0]
    points, _, queries, _ = subsample(sample, config, np.random.default_rng(3))
    assert (first_row(points, sample.points), first_row(queries, sample.queries)) == NUMPY_STARTS
    stored = DeviceBatches(small_cache, config, CPU).stored
    stream = torch.Generator().manual_seed(3)
    drawn = subsample_batch(stored, torch.tensor([0]), config, stream)
    places = first_row(drawn[0][0].numpy(), sample.points), first_row(drawn[2][0].numpy(), sample.queries)
    assert places == TORCH_STARTS


def first_row(part: NDArray[Any], stored: NDArray[Any]) -> int:
    """Row of a cached array that a subsample begins with."""
    same = (from_grid(stored) == part[0]).all(axis=1)
    return int(np.flatnonzero(same)[0])
