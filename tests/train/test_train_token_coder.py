"""Fitting the entropy model."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from meshcodec.cli.group import cli
from meshcodec.registry import Registry
from meshcodec.train.token_coder import CoderConfig, train_coder
from meshcodec.weights import load_model, save_model

pytestmark = [pytest.mark.train, pytest.mark.slow]


def test_a_coder_is_fitted_and_goes_on_where_it_stopped(
    cache: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    """Networks learn what the tokens of a model have in common; a run that was stopped ends with the same."""
    model = load_model(Registry(tiny_weights).default())
    config = CoderConfig(rounds=1, meshes=14, steps=2, fit_steps=60)
    run = tmp_path / "run"
    coder = train_coder(model, cache, run, config, 2)
    report = json.loads((run / "report.json").read_text())
    for part in (report["encoder"], report["refined"]):
        assert [row["side"] for row in part] == list(model.config.scale_sides)
        assert all(row["uniform"] == 8 for row in part)
        assert all(row["network"] > 0 and row["table"] > 0 for row in part)
    # What the encoder's tokens have in common shows in those of meshes that nothing was fitted to.
    assert sum(row["network"] for row in report["encoder"]) < 3 * 8
    tokens = np.load(run / "encoder.npy")[0].tobytes()
    message = coder.encode(tokens)
    assert len(message) < len(tokens)
    assert coder.decode(message, len(tokens)) == tokens

    changed = {path: path.stat().st_mtime_ns for path in (run / "round-1").iterdir()}
    assert len(changed) == 14
    lost = sorted(changed)[3]
    kept = lost.read_bytes()
    lost.unlink()
    (run / "round-1.pt").unlink()
    again = train_coder(model, cache, run, config, 1)
    assert lost.read_bytes() == kept
    assert {path: path.stat().st_mtime_ns for path in changed if path != lost} == {
        path: time_ns for path, time_ns in changed.items() if path != lost
    }
    assert again.decode(again.encode(tokens), len(tokens)) == tokens


def test_a_model_gets_one_coder(
    cache: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the networks have learned does not matter here.
    quick = functools.partial(CoderConfig, fit_steps=5)
    monkeypatch.setattr("meshcodec.train.token_coder.CoderConfig", quick)
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    words = ["train", "coder", str(folder), "--cache", str(cache), "-o", str(tmp_path / "run")]
    words += ["--rounds", "0"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    entry = Registry(folder).default()
    assert entry.coder_path == folder / f"{entry.path.stem}-coder.safetensors"
    refused = CliRunner().invoke(cli, words)
    assert refused.exit_code == 2
    assert "files hang on it" in refused.stderr
    model = load_model(entry)
    model.decoder.out.weight += 0.1
    assert save_model(model, folder, "other-decoder") != entry.model_id.hex()
    assert Registry(folder).default().coder_path == entry.coder_path  # it makes the same tokens
    next(model.encoder.parameters()).add_(0.1)
    save_model(model, folder, "other-encoder")
    assert Registry(folder).default().coder_path is None
