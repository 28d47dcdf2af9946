"""Preprocessed training samples on disk: made once, read by memory map at random.

A cache is a folder of blocks. Block ``b`` of M meshes is five files, each an array that opens without a copy:

=====================  ================================  ==================================================
``b.points.npy``       (M, POINTS, 3) int16              surface points, ``x = q / 32767 * EXTENT``
``b.normals.npy``      (M, POINTS, 3) int8               unit normals, ``n = q / 127``
``b.queries.npy``      (M, QUERIES, 3) int16             query points: near, middle, uniform, in this order
``b.distances.npy``    (M, QUERIES) int16                signed distances, ``d = q / 32767 * MAX_DISTANCE``
``b.json``             ids, sources, split               written last: a block without it is not complete
=====================  ================================  ==================================================
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import EXTENT
from meshcodec.errors import BadMeshError
from meshcodec.geometry.normalize import halve
from meshcodec.geometry.sample import query_points, sample_surface
from meshcodec.geometry.signed_distance import (
    TargetField,
    Unsigned,
    classify,
    unsigned_distance,
)
from meshcodec.geometry.winding import Winding, winding_number
from meshcodec.runtime.workers import in_forks
from meshcodec.train.corpus import CorpusItem, is_validation

POINTS = 8192
"""Surface points of a sample."""
NEAR, MIDDLE, UNIFORM = 8192, 5120, 3072
"""Query points of a sample: near the surface, around it, anywhere in the cube."""
QUERIES = NEAR + MIDDLE + UNIFORM
"""Query points of a sample, of all kinds."""
MAX_DISTANCE = 0.25
"""Largest magnitude of a stored distance; the decoder's truncation is well below it."""
POINT_STEP = EXTENT / 32767
"""Distance between two coordinates that a cache can store."""
NORMAL_STEPS = 127
"""Stored component of a normal that stands for 1."""
DISTANCE_STEP = MAX_DISTANCE / 32767
"""Difference between two distances that a cache can store."""
HALVED_SHARE = 0.2
"""Share of the meshes, for each axis, of which only one half along it is in the cube."""
BLOCK = 128
"""Meshes of a block."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One mesh as the cache holds it: the rows of the five arrays."""

    points: NDArray[np.int16]
    normals: NDArray[np.int8]
    queries: NDArray[np.int16]
    distances: NDArray[np.int16]


Sampler = Callable[[NDArray[np.floating], NDArray[np.integer], int], Sample]
"""`make_sample` or its like on another device: (vertices, faces, seed) -> Sample."""
Block = tuple[Path, str, list[CorpusItem]]
"""Stem of a block's files, its split, its meshes."""


class Samples(Protocol):
    """Random access to samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def make_sample(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    seed: int,
    winding_of: Winding = winding_number,
    unsigned: Unsigned = unsigned_distance,
) -> Sample:
    """Sample a unit-frame mesh for training. Deterministic by seed.

    Any axis may be halved, as the encoder does with symmetric meshes: what the field of a half is like does
    not depend on what the other one is.
    """
    rng = np.random.default_rng(seed)
    vertices = halve(vertices, rng.random(3) < HALVED_SHARE, rng.integers(0, 2, 3) * 2 - 1)
    surfaces = classify(vertices, faces, winding_of, unsigned)
    points, normals = sample_surface(surfaces, POINTS, rng)
    queries = _to_grid(query_points(points, NEAR, MIDDLE, UNIFORM, rng))
    # The distance is taken where the rounded query lies, so that rounding costs nothing.
    distances = TargetField(surfaces, winding_of, unsigned)(from_grid(queries))
    rounded = np.clip(np.rint(distances * (32767 / MAX_DISTANCE)), -32767, 32767).astype(np.int16)
    return Sample(_to_grid(points), np.rint(normals * 127).astype(np.int8), queries, rounded)


def _to_grid(points: NDArray[np.floating]) -> NDArray[np.int16]:
    grid: NDArray[np.int16] = np.clip(np.rint(points * (32767 / EXTENT)), -32767, 32767).astype(np.int16)
    return grid


def from_grid(points: NDArray[np.int16]) -> NDArray[np.float32]:
    """Coordinates of points as the cache stores them."""
    return points.astype(np.float32) * np.float32(POINT_STEP)


def prepare_cache(
    items: list[CorpusItem],
    folder: Path,
    validation_sources: tuple[str, ...],
    jobs: int = 1,
    block: int = BLOCK,
) -> int:
    """Fill a cache folder; blocks that are complete are left alone, so that it goes on where it was stopped.

    Parameters
    ----------
    items : the corpus
    folder : made if need be
    validation_sources : see `meshcodec.train.corpus.is_validation`
    jobs : processes that sample
    block : meshes of a block

    Returns
    -------
    Number of meshes left out because they hold nothing to encode; each is logged.
    """
    from tqdm import tqdm  # here, because reading a cache must do without it

    blocks = plan_blocks(items, folder, lambda item: is_validation(item, validation_sources), block)
    failed = 0
    with tqdm(total=len(blocks), unit="block", disable=None) as bar:
        for left_out in in_forks(write_block, blocks, jobs):
            failed += left_out
            bar.update()
    return failed


def plan_blocks(
    items: list[CorpusItem], folder: Path, validates: Callable[[CorpusItem], bool], size: int = BLOCK
) -> list[Block]:
    """Blocks that a cache folder (made if need be) still lacks: where each goes, its split and its meshes.

    `validates` says of a mesh whether it belongs to the validation set; `size` is the meshes of a block.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Meshes come in a random order, so that training may begin before the cache is whole.
    order = np.random.default_rng(0).permutation(len(items))
    blocks = []
    for split in ("validation", "train"):  # validation first: training can begin with the first train block
        chosen = [items[i] for i in order if validates(items[i]) == (split == "validation")]
        for start in range(0, len(chosen), size):
            stem = folder / f"block-{split}-{start // size:04d}"
            if not stem.with_suffix(".json").exists():
                blocks.append((stem, split, chosen[start : start + size]))
    return blocks


def write_block(block: Block, sampler: Sampler = make_sample) -> int:
    """Sample the meshes of a block and write it; returns how many were left out because they hold nothing."""
    stem, split, items = block
    samples: list[Sample] = []
    kept: list[CorpusItem] = []
    for item in items:
        try:
            vertices, faces = item.load()
            samples.append(sampler(vertices, faces, len(kept)))
        except BadMeshError as error:
            log.warning("left out %s: %s", item.id, error)
            continue
        kept.append(item)
    if samples:
        for field in ("points", "normals", "queries", "distances"):
            np.save(
                stem.with_suffix(f".{field}.npy"), np.stack([getattr(sample, field) for sample in samples])
            )
    record = {"ids": [i.id for i in kept], "sources": [i.source for i in kept], "split": split}
    partial = stem.with_suffix(f".json.{os.getpid()}")
    partial.write_text(json.dumps(record))
    partial.replace(stem.with_suffix(".json"))
    return len(items) - len(kept)


class SampleCache:
    """Random access to the samples of one split of a cache folder.

    ``cache[i]`` is a `Sample` of memory-mapped rows; `refresh` picks up blocks finished since.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._blocks: dict[str, tuple[NDArray[np.int16], ...]] = {}
        self._rows: list[tuple[str, int]] = []
        self.refresh()

    def refresh(self) -> None:
        """Look for blocks completed since the last look."""
        for record in sorted(self._folder.glob(f"*-{self._split}-*.json")):
            stem = str(record.with_suffix(""))
            if stem in self._blocks:
                continue
            count = len(json.loads(record.read_text())["ids"])
            if count:
                arrays = (
                    np.load(f"{stem}.{field}.npy", mmap_mode="r")
                    for field in ("points", "normals", "queries", "distances")
                )
                self._blocks[stem] = tuple(arrays)
                self._rows += [(stem, row) for row in range(count)]

    def __len__(self) -> int:
        return len(self._rows)

    def arrays(self) -> tuple[list[NDArray[np.generic]], ...]:
        """Points, normals, queries and distances of each block; its rows in the order of `__getitem__`."""
        blocks = list(self._blocks.values())
        return tuple([block[field] for block in blocks] for field in range(4))

    def __getitem__(self, index: int) -> Sample:
        stem, row = self._rows[index]
        points, normals, queries, distances = (array[row] for array in self._blocks[stem])
        return Sample(points, normals.astype(np.int8, copy=False), queries, distances)
