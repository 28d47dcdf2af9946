"""The benchmark of generated shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.prior import boxes_in_folders
from support.scripts import load_benchmark


@pytest.mark.slow
@pytest.mark.train
def test_the_benchmark_compares_sets(
    prior_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"validation_sources": ["kinde", "kindf"]}))
    out = tmp_path / "out.json"
    words = (
        "--corpus",
        boxes_in_folders(tmp_path / "corpus"),
        "--recipe",
        recipe,
        "--weights",
        prior_weights,
        "--points",
        64,
        "-o",
        out,
    )
    monkeypatch.setattr("sys.argv", ["generation.py", *map(str, words)])
    load_benchmark("generation").main()
    sets = json.loads(out.read_text())["sets"]
    assert {name: made["shapes"] for name, made in sets.items()} == {
        "prior": 2,
        "random tokens": 2,
        "training meshes": 2,
    }
    # Long boxes are more like long boxes than like balls, which is what these weights decode everything to.
    assert sets["training meshes"]["mmd"] < sets["random tokens"]["mmd"]
    assert "training meshes" in capsys.readouterr().out
