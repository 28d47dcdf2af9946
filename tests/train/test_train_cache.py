"""The cache of samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.training import ball

from meshcodec.train.cache import POINTS, QUERIES, SampleCache, prepare_cache
from meshcodec.train.corpus import is_validation, procedural_items


@pytest.mark.slow
def test_every_block_of_a_cache_is_whole(cache: Path) -> None:
    blocks = sorted(cache.glob("*.json"))
    assert [block.stem.rpartition("-")[0] for block in blocks] == ["block-train"] * 3 + ["block-validation"]
    assert len(list(cache.iterdir())) == 5 * len(blocks)  # and nothing half-written beside them
    ids = []
    for block in blocks:
        record = json.loads(block.read_text())
        count = len(record["ids"])
        assert count == len(record["sources"])
        shapes = {
            "points": (np.int16, (count, POINTS, 3)),
            "normals": (np.int8, (count, POINTS, 3)),
            "queries": (np.int16, (count, QUERIES, 3)),
            "distances": (np.int16, (count, QUERIES)),
        }
        for field, (dtype, shape) in shapes.items():
            array = np.load(block.with_suffix(f".{field}.npy"))
            assert (array.dtype, array.shape) == (dtype, shape)
            if field == "normals":
                lengths = np.linalg.norm(array.astype(float) / 127, axis=-1)
                assert np.abs(lengths - 1).max() < 0.02
            if field == "distances":
                assert ((array < 0).any(axis=1) & (array > 0).any(axis=1)).all()
        ids += record["ids"]
    assert sorted(ids) == sorted(item.id for item in procedural_items(16))
    assert len(SampleCache(cache, "train")) + len(SampleCache(cache, "validation")) == 16


@pytest.mark.slow
def test_preparing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    loads, folder = tmp_path / "loads", tmp_path / "cache"
    items = [ball(f"ball-{i}", "kept-out" if i < 2 else "kept", loads) for i in range(6)]

    def fill() -> list[str]:
        """The items that were loaded by one more call."""
        loads.write_text("")
        assert prepare_cache(items, folder, ("kept-out",), block=2) == 0
        return sorted(loads.read_text().split())

    assert fill() == sorted(item.id for item in items)
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert fill() == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == written

    lost = folder / "block-train-0001.json"  # as if it had been killed before this block was whole
    lost_ids = json.loads(lost.read_text())["ids"]
    lost.unlink()
    assert fill() == sorted(lost_ids)
    assert {path: path.read_bytes() for path in folder.iterdir()} == {
        p: data for p, (_, data) in written.items()
    }


@pytest.mark.slow
def test_the_validation_set_is_chosen_by_source(tmp_path: Path) -> None:
    items = [ball(f"ball-{i}", f"source-{i % 3}") for i in range(6)]
    prepare_cache(items, tmp_path, ("source-1",))
    split: dict[str, set[str]] = {"train": set(), "validation": set()}
    for block in tmp_path.glob("*.json"):
        record = json.loads(block.read_text())
        split[record["split"]] |= set(record["sources"])
    assert split == {"train": {"source-0", "source-2"}, "validation": {"source-1"}}


def test_without_sources_one_mesh_in_twenty_validates() -> None:
    chosen = [is_validation(item, ()) for item in procedural_items(4000)]
    assert 120 < sum(chosen) < 280
    assert chosen == [is_validation(item, ()) for item in procedural_items(4000)]
