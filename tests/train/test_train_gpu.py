"""Training in one call, without the geometry libraries."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tiny import TINY
from support.training import CPU, recipe

import meshcodec
from meshcodec.errors import UsageError
from meshcodec.registry import Registry
from meshcodec.train import gpu
from meshcodec.train.corpus import procedural_items
from meshcodec.train.pack import pack
from meshcodec.weights import load_model


def test_a_checkpoint_survives_being_cut(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    source, joined = tmp_path / "checkpoint.pt", tmp_path / "again.pt"
    source.write_bytes(content)
    assert not gpu.join_file(tmp_path, joined)
    assert len(gpu.split_file(source, tmp_path, limit=100)) == 26
    pieces = gpu.split_file(source, tmp_path, limit=1000)
    assert sorted(tmp_path.glob("*.part")) == pieces
    assert [piece.stat().st_size for piece in pieces] == [1000, 1000, 560]
    assert gpu.join_file(tmp_path, joined)
    assert joined.read_bytes() == content
    pieces[1].unlink()
    with pytest.raises(UsageError, match="not all pieces"):
        gpu.join_file(tmp_path, joined)


@pytest.mark.slow
def test_processes_sample_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "corpus.mcpk"
    pack(procedural_items(3), packed, max_bytes=7000)
    assert not gpu.fill_cache(packed, tmp_path / "late", CPU, until=0)
    folders = [tmp_path / "alone", tmp_path / "together"]
    for folder, workers in zip(folders, (1, 2), strict=True):
        assert gpu.fill_cache(packed, folder, CPU, workers)
    alone, together = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert alone == together
    assert len(alone) >= 5


BLOCKED = (
    "trimesh",
    "igl",
    "point_cloud_utils",
    "mcubes",
    "click",
    "tqdm",
    "fast_simplification",
    "meshoptimizer",
)


PROGRAM = f"""
import sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))  # an import of what is None there fails
import torch

from meshcodec.train import cache

torch.set_num_threads(1)
# Fewer points and queries than a real cache has: the processor asks every one of every triangle.
cache.POINTS, cache.NEAR, cache.MIDDLE, cache.UNIFORM = 512, 256, 160, 96
from meshcodec.train.gpu import main

raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.train
@pytest.mark.slow
def test_training_needs_none_of_the_libraries_that_the_machine_lacks(tmp_path: Path) -> None:
    items = [dataclasses.replace(i, source=f"source-{k // 5}") for k, i in enumerate(procedural_items(6))]
    packed, path = tmp_path / "corpus.mcpk", tmp_path / "recipe.json"
    report = pack(items, packed, max_bytes=14_000, validation_sources=("source-1",))
    assert report.meshes == 6
    config = recipe(
        "tiny", model=TINY, batch=2, points=64, queries=24, steps=12, quantize_from=6, validate_every=5
    )
    path.write_text(json.dumps(dataclasses.asdict(config)))
    out, scratch = tmp_path / "out", tmp_path / "scratch"

    def call() -> str:
        command: list[str | Path] = [
            sys.executable,
            "-c",
            PROGRAM,
            packed,
            "--recipe",
            path,
            "--out",
            out,
            "--scratch",
            scratch,
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(meshcodec.__file__).parents[1])}
        done = subprocess.run(
            [*command, "--minutes", "60", "--device", "cpu"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return str(done.stderr)

    assert "finished at step 12" in call()
    entry = Registry(out / "weights").default()
    assert entry.config == config.model
    load_model(entry)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "validation" in r] == [5, 10, 12]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) <= 8
    assert all(path.stat().st_size < 16 * 2**20 for path in files)

    # As on another machine that has the samples, where only the pieces of the checkpoint went along.
    (scratch / "run" / "checkpoint.pt").unlink()
    path.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(config, steps=14))))
    written = {path: path.stat().st_mtime_ns for path in (scratch / "cache").iterdir()}
    assert "finished at step 14" in call()
    assert {path: path.stat().st_mtime_ns for path in (scratch / "cache").iterdir()} == written
    assert torch.load(scratch / "run" / "checkpoint.pt", weights_only=True)["step"] == 14
