"""Batches for training: random rows of a cache, thinned, turned and brought back into the unit frame."""

from __future__ import annotations

import dataclasses
import itertools
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.config import EXTENT
from meshcodec.errors import UsageError
from meshcodec.train.cache import MAX_DISTANCE, MIDDLE, NEAR, UNIFORM, Sample, SampleCache, Samples, from_grid
from meshcodec.train.recipe import TrainConfig


@dataclass(frozen=True)
class Batch:
    """Tensors of B meshes, float32, in the unit frame.

    Attributes
    ----------
    points, normals : (B, N, 3)
    queries : (B, Q, 3)
    distances : (B, Q), signed, not truncated
    """

    points: Tensor
    normals: Tensor
    queries: Tensor
    distances: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        tensors = (self.points, self.normals, self.queries, self.distances)
        return Batch(*(t.to(device, non_blocking=True) for t in tensors))


Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def query_counts(config: TrainConfig) -> list[tuple[int, int]]:
    """For each kind of query, near, middle and uniform, how many a cached sample has and a batch takes."""
    kinds = (NEAR, MIDDLE, UNIFORM)
    taken = (round(config.queries * share) for share in config.query_shares)
    return [(kind, min(count, kind)) for kind, count in zip(kinds, taken, strict=True)]


def subsample(sample: Sample, config: TrainConfig, rng: np.random.Generator) -> Arrays:
    """A random run of a cached sample's points and one of each kind of query (their order is random)."""
    start = rng.integers(0, len(sample.points) - config.points + 1)
    chosen = slice(start, start + config.points)
    rows = []
    first = 0
    for kind, count in query_counts(config):
        begin = first + int(rng.integers(0, kind - count + 1))
        rows.append(np.arange(begin, begin + count))
        first += kind
    index = np.concatenate(rows)
    return (
        from_grid(sample.points[chosen]),
        sample.normals[chosen].astype(np.float32) / np.float32(127),
        from_grid(sample.queries[index]),
        sample.distances[index].astype(np.float32) * np.float32(MAX_DISTANCE / 32767),
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


_SYMMETRIES = cube_symmetries()


def random_rotation(rng: np.random.Generator) -> NDArray[np.float32]:
    """(3, 3) uniform rotation, by a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ],
        dtype=np.float32,
    )


def turn(arrays: Arrays, matrix: NDArray[np.float32], refit: bool) -> Arrays:
    """Apply an orthogonal matrix; with `refit` move and scale the result back into the unit frame.

    Queries that leave the cube come back on its border with a distance too large to matter after truncation,
    so they are replaced by the first query, which is inside.
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


def make_batch(samples: list[Arrays]) -> Batch:
    """Stack B meshes."""
    return Batch(*(torch.from_numpy(np.stack([sample[k] for sample in samples])) for k in range(4)))


def training_batches(cache: Samples, config: TrainConfig, seed: int) -> Iterator[Batch]:
    """Endless random batches; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    while True:
        samples = []
        for index in rng.integers(0, len(cache), config.batch):
            arrays = subsample(cache[int(index)], config, rng)
            free = bool(rng.random() < config.rotate_share)
            matrix = random_rotation(rng) if free else _SYMMETRIES[rng.integers(48)]
            samples.append(turn(arrays, matrix, refit=free))
        yield make_batch(samples)


def validation_batches(cache: Samples, config: TrainConfig) -> list[Batch]:
    """The first `validate_meshes` held-out meshes, unturned, always the same points."""
    config = dataclasses.replace(config, queries=config.step_queries)
    rng = np.random.default_rng(0)
    count = min(config.validate_meshes, len(cache))
    # Blocks are laid out by source order; a fixed shuffle makes any prefix representative.
    chosen = np.random.default_rng(1).permutation(len(cache))[:count]
    samples = [subsample(cache[int(i)], config, rng) for i in chosen]
    return [make_batch(samples[i : i + config.batch]) for i in range(0, len(samples), config.batch)]


class BatchSource(Protocol):
    """Where a `Trainer` gets its batches."""

    def training(self, seed: int) -> Iterator[Batch]:
        """Endless random batches."""
        ...

    def validation(self) -> list[Batch]:
        """Always the same batches of held-out meshes; empty where there are none."""
        ...

    def refresh(self) -> None:
        """Take in what has been prepared since."""
        ...


class CachedBatches:
    """A `BatchSource` over a cache folder.

    Raises
    ------
    UsageError
        The folder has no finished block of training meshes.
    """

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self._folder, self._config = folder, config
        self._train = SampleCache(folder, "train")
        if not len(self._train):
            raise UsageError(f"{folder}: no finished training blocks", "run 'meshcodec train prepare'")

    def training(self, seed: int) -> Iterator[Batch]:
        """See `training_batches`."""
        return training_batches(self._train, self._config, seed)

    def validation(self) -> list[Batch]:
        """See `validation_batches`."""
        return validation_batches(SampleCache(self._folder, "validation"), self._config)

    def refresh(self) -> None:
        """Look for blocks completed since."""
        self._train.refresh()


def prefetch(batches: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """Make batches in a thread, `depth` ahead. An error there is raised here."""
    ready: queue.Queue[Batch | BaseException] = queue.Queue(depth)

    def fill() -> None:
        try:
            for batch in batches:
                ready.put(batch)
        except BaseException as error:
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    while True:
        item = ready.get()
        if isinstance(item, BaseException):
            raise item
        yield item
