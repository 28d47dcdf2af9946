"""The verb ``bench``."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from support.cli import messages
from support.commands import call

from meshcodec.evaluation.bench import options as bench_options
from meshcodec.evaluation.bench.options import BenchOptions


@pytest.mark.slow
def test_bench_prints_its_table_and_lists_what_failed(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_options, "BenchOptions", functools.partial(BenchOptions, samples=2000))
    words = ("bench", obj.parent, "-o", tmp_path / "out", "--sizes", "64,1k", "--effort", 0, "-j", 1)
    options = ("--resolution", 32, "--weights", tiny_weights, "--device", "cpu")
    result = call(*words, *options)
    assert result.exit_code == 0, result.output
    assert "| 64 " in result.stdout
    assert (tmp_path / "out" / "rows.json").is_file()
    obj.with_name("empty.obj").write_bytes(b"")
    failed = call(*words, *options, "--json")
    assert failed.exit_code == 3
    assert [row["size"] for row in json.loads(failed.stdout)] == [64, 1024] * 2
    assert messages(failed)[-1].startswith("meshcodec: error: 1 files failed: empty.obj (")
