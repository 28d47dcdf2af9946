"""Batches for training the autoencoder, from a cache folder or from a copy of it in a device's memory."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meshcodec.errors import UsageError
from meshcodec.train.augment import (
    Arrays,
    Tensors,
    cube_symmetries,
    random_rotation,
    random_rotations,
    rotate,
    rotate_batch,
    subsample,
    subsample_batch,
)
from meshcodec.train.cache import SampleCache, Samples
from meshcodec.train.recipe import TrainConfig


@dataclass(frozen=True)
class AutoencoderBatch:
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

    def to(self, device: torch.device) -> AutoencoderBatch:
        """The same batch on another device."""
        tensors = (self.points, self.normals, self.queries, self.distances)
        return AutoencoderBatch(*(t.to(device, non_blocking=True) for t in tensors))


def stack_batch(samples: list[Arrays]) -> AutoencoderBatch:
    """A batch of B meshes."""
    return AutoencoderBatch(
        *(torch.from_numpy(np.stack([sample[k] for sample in samples])) for k in range(4))
    )


def training_batches(cache: Samples, config: TrainConfig, seed: int) -> Iterator[AutoencoderBatch]:
    """Endless random batches; the same seed gives the same ones."""
    rng, symmetries = np.random.default_rng(seed), cube_symmetries()
    while True:
        samples = []
        for index in rng.integers(0, len(cache), config.batch):
            arrays = subsample(cache[int(index)], config, rng)
            free = bool(rng.random() < config.rotate_share)
            matrix = random_rotation(rng) if free else symmetries[rng.integers(len(symmetries))]
            samples.append(rotate(arrays, matrix, refit=free))
        yield stack_batch(samples)


def validation_batches(cache: Samples, config: TrainConfig) -> list[AutoencoderBatch]:
    """The first `validate_meshes` validation meshes, not rotated, always the same points."""
    config = dataclasses.replace(config, queries=config.step_queries)
    rng = np.random.default_rng(0)
    count = min(config.validate_meshes, len(cache))
    # Blocks are laid out by source order; a fixed shuffle makes any prefix representative.
    chosen = np.random.default_rng(1).permutation(len(cache))[:count]
    samples = [subsample(cache[int(i)], config, rng) for i in chosen]
    return [stack_batch(samples[i : i + config.batch]) for i in range(0, len(samples), config.batch)]


class BatchSource(Protocol):
    """Where a `Trainer` gets its batches."""

    def training(self, seed: int) -> Iterator[AutoencoderBatch]:
        """Endless random batches."""
        ...

    def validation(self) -> list[AutoencoderBatch]:
        """Always the same batches of the validation set; empty where there is none."""
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

    def training(self, seed: int) -> Iterator[AutoencoderBatch]:
        """See `training_batches`; made in a thread, ahead of the steps."""
        return prefetch(training_batches(self._train, self._config, seed))

    def validation(self) -> list[AutoencoderBatch]:
        """See `validation_batches`."""
        return validation_batches(SampleCache(self._folder, "validation"), self._config)

    def refresh(self) -> None:
        """Look for blocks completed since."""
        self._train.refresh()


class DeviceBatches:
    """A `BatchSource` over a cache folder that is copied into the memory of a device, and augmented there.

    Attributes
    ----------
    stored : the arrays of the training meshes as the cache stores them, on the device

    Raises
    ------
    UsageError
        The folder has no finished block of training meshes.
    """

    def __init__(self, folder: Path, config: TrainConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._validation = SampleCache(folder, "validation")
        samples = SampleCache(folder, "train")
        if not len(samples):
            raise UsageError(f"{folder}: no finished training blocks", "let the preparation finish")
        points, normals, queries, distances = (
            torch.cat([torch.from_numpy(np.array(block)).to(device) for block in field])
            for field in samples.arrays()
        )
        self.stored: Tensors = points, normals, queries, distances
        self._symmetries = torch.from_numpy(cube_symmetries()).to(device)

    def __len__(self) -> int:
        return len(self.stored[0])

    def training(self, seed: int) -> Iterator[AutoencoderBatch]:
        """Endless random batches; the same seed and device give the same ones."""
        config, device, symmetries = self._config, self._device, self._symmetries
        stream = torch.Generator(device).manual_seed(seed)
        while True:
            meshes = torch.randint(len(self), (config.batch,), generator=stream, device=device)
            tensors = subsample_batch(self.stored, meshes, config, stream)
            free = torch.rand(config.batch, generator=stream, device=device) < config.rotate_share
            which = torch.randint(len(symmetries), (config.batch,), generator=stream, device=device)
            rotations = random_rotations(config.batch, stream)
            matrices = torch.where(free[:, None, None], rotations, symmetries[which])
            yield AutoencoderBatch(*rotate_batch(tensors, matrices, refit=free))

    def validation(self) -> list[AutoencoderBatch]:
        """See `validation_batches`."""
        return [batch.to(self._device) for batch in validation_batches(self._validation, self._config)]

    def refresh(self) -> None:
        """Nothing: the cache was whole."""


def prefetch(batches: Iterator[AutoencoderBatch], depth: int = 2) -> Iterator[AutoencoderBatch]:
    """Make batches in a thread, `depth` ahead, until this is closed. An error there is raised here."""
    ready: queue.Queue[AutoencoderBatch | BaseException] = queue.Queue(depth)
    closed = threading.Event()

    def fill() -> None:
        try:
            for batch in batches:
                ready.put(batch)
                if closed.is_set():
                    return
        except BaseException as error:
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        while not ready.empty():  # the thread may wait for a free place
            ready.get()
