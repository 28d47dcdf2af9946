"""The verb ``train`` and its steps."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import assert_refused, python
from support.commands import call
from support.tiny import TINY


@pytest.fixture
def handlers() -> Iterator[None]:
    """The trainer takes the signals over and keeps them."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("handlers")
def test_prepare_run_and_export(tmp_path: Path, ball: bytes, tiny_weights: Path) -> None:
    for folder in ("held", "rest"):
        (tmp_path / "corpus" / folder).mkdir(parents=True)
        (tmp_path / "corpus" / folder / "ball.obj").write_bytes(ball)
    recipe = {
        "model": TINY.to_dict(), "steps": 3, "quantize_from": 1, "batch": 2, "points": 256, "queries": 96,
        "validate_meshes": 1, "validation_sources": ["held"], "procedural_meshes": 0,
    }  # fmt: skip
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    cache, run, weights = tmp_path / "cache", tmp_path / "run", tmp_path / "weights"
    # In a process of its own: its workers are forked, which threads of torch would not survive.
    done = python("-m", "meshcodec", "train", "prepare", tmp_path / "corpus", "-o", cache, "--recipe",
                  tmp_path / "recipe.json", "-j", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 meshes, 0 newly left out" in done.stderr

    words = ("train", "run", tmp_path / "recipe.json", "--cache", cache, "-o", run, "--device", "cpu")
    result = call(*words, "--from-weights", tiny_weights)
    assert result.exit_code == 0, result.output
    exported = call("train", "export", run, "-o", weights, "--name", "tiny-1")
    assert exported.exit_code == 0, exported.output
    report = json.loads(call("doctor", "--json", "--weights", weights).stdout)
    assert [(m["id"], m["name"], m["state"]) for m in report["models"]] == [
        (exported.stdout.strip(), "tiny-1", "ok")
    ]

    (tmp_path / "recipe.json").write_text(json.dumps({**recipe, "model": {**TINY.to_dict(), "width": 64}}))
    assert_refused(call(*words, "--from-weights", tiny_weights), 2, tmp_path / "recipe.json", "its model")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[1]", "not a recipe"),
        ('{"stepps": 3}', "stepps"),
        ('{"model": {"depth": 3}}', "depth"),
        ('{"model": 3}', "not a recipe"),
    ],
)
def test_a_bad_recipe_is_a_usage_error(tmp_path: Path, content: str | None, words: str) -> None:
    recipe = tmp_path / "recipe.json"
    if content is not None:
        recipe.write_text(content)
    prepare = call("train", "prepare", tmp_path, "-o", tmp_path / "cache", "--recipe", recipe)
    assert_refused(prepare, 2, f"{recipe}: ", words)
    run = call("train", "run", recipe, "--cache", tmp_path / "cache", "-o", tmp_path / "run")
    assert_refused(run, 2, f"{recipe}: ", words)
    assert not (tmp_path / "run").exists()


def test_export_refuses_what_is_no_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    words = ("train", "export", tmp_path, "-o", tmp_path / "weights", "--name")
    assert_refused(call(*words, "a"), 2, f"{checkpoint}: there is no such file")
    checkpoint.write_bytes(b"not a checkpoint")
    assert_refused(call(*words, "a"), 2, f"{checkpoint}: not a checkpoint")
    assert_refused(call(*words, "../a"), 2, "--name '../a'")
    assert not (tmp_path / "weights").exists()
