"""Training from beginning to end, and runs that are stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.coder import tiny_coder
from support.paths import ROOT
from support.training import CPU, quick_recipe, records

from meshcodec.errors import UsageError
from meshcodec.modes.tokens.rates import TokenRates
from meshcodec.registry import Registry
from meshcodec.train.autoencoder import Trainer, learning_rate
from meshcodec.train.batches import DeviceBatches
from meshcodec.train.export import export_run
from meshcodec.train.grow import start_rates
from meshcodec.weights import encodes, load_model

pytestmark = [pytest.mark.train, pytest.mark.slow]


def test_training_lowers_the_validation_loss_in_both_phases(cache: Path, tmp_path: Path) -> None:
    config = quick_recipe(steps=100, quantize_from=39, validate_every=10)
    losses = Trainer(config, cache, tmp_path, CPU).run()
    found = {record["step"]: record["validation"] for record in records(tmp_path) if "validation" in record}
    tokens = str(config.model.max_tokens)
    assert sorted(found) == list(range(10, 101, 10))
    assert all(set(found[step]) == ({"free"} if step <= 39 else {"free", tokens}) for step in found)
    assert losses == pytest.approx(found[100], abs=1e-4)
    assert found[40]["free"] < 0.95 * found[10]["free"]
    assert found[100][tokens] < 0.98 * found[50][tokens]


def test_an_encoder_is_trained_alone(tiny_weights: Path, small_cache: Path, tmp_path: Path) -> None:
    """What a file decodes to stays, and with it the model's id."""
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    start = load_model(Registry(weights).default()).state_dict()
    config = quick_recipe(steps=60, quantize_from=-1, visits=1, freeze_decoder=True, rate_weight=0.03)
    with pytest.raises(UsageError, match="there is no entropy model"):
        start_rates(weights, Path("R.json"), CPU)
    rates = TokenRates(tiny_coder(), CPU)
    trainer = Trainer(config, small_cache, tmp_path / "run", CPU, start, rates=rates)
    first = trainer.source.validation()[0]
    torch.manual_seed(0)
    before = trainer.objective(first, True)[2]
    trainer.run()
    torch.manual_seed(0)
    after = trainer.objective(first, True)[2]
    assert after["loss"] < 0.97 * before["loss"]
    state = trainer.objective.model.state_dict()
    changed = {name for name, value in state.items() if not torch.equal(value, start[name])}
    assert changed
    assert all(encodes(name) for name in changed)
    name = Registry(weights).default().name
    with pytest.raises(UsageError, match=f"pass {name}"):
        export_run(tmp_path / "run", weights, "another")
    done = export_run(tmp_path / "run", weights, name)
    assert done.model_id == Registry(tiny_weights).default_id == Registry(weights).default_id
    assert Registry(weights).default().encoder is not None


@pytest.mark.parametrize("compiled", [False, True])
def test_tokens_may_be_frozen(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """What was trained on them, a coder or a prior, serves the new weights too."""
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(  # traced as for the real backend, which takes most of a minute
        torch.nn.Module,
        "compile",
        lambda module, **options: compile_module(module, backend="eager", **options),
    )
    config = quick_recipe(
        steps=6, quantize_from=-1, visits=3, replay_batches=1, fresh_share=0.3, freeze_tokens=True
    )
    trainer = Trainer(config, cache, tmp_path, CPU, compiled=compiled)
    before = {name: value.clone() for name, value in trainer.objective.model.state_dict().items()}
    trainer.run()
    for state in (trainer.objective.model.state_dict(), trainer.averaged):
        changed = {
            name.split(".")[0] for name, value in state.items() if not torch.equal(value, before[name])
        }
        assert changed == {"decoder", "field"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_stopped_run_goes_on(cache: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    config = quick_recipe(steps=1000, quantize_from=999, checkpoint_seconds=0)
    path, run = tmp_path / "recipe.json", tmp_path / "run"
    path.write_text(json.dumps(dataclasses.asdict(config)))
    train = [sys.executable, "-m", "meshcodec", "train", "run", str(path), "--threads", "1"]
    command = [*train, "--cache", str(cache), "-o", str(run)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (run / "checkpoint.pt").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(number)
        assert process.wait() == code
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    assert 0 < saved["step"] < config.steps

    begun = saved["step"]
    shorter = dataclasses.replace(config, steps=begun + 5, quantize_from=begun + 2, checkpoint_seconds=60)
    trainer = Trainer(shorter, cache, run, CPU)
    assert trainer.step == begun
    for name, value in trainer.objective.model.state_dict().items():
        assert torch.equal(value, saved["model"][name])
    for name, value in trainer.averaged.items():
        assert torch.equal(value, saved["averaged"][name])
    for optimizer, state in zip(trainer.optimizers, saved["optimizers"], strict=True):
        assert optimizer.state_dict()["state"].keys() == state["state"].keys() != set()
    assert trainer.run()
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] == begun + 5
    events = [(record["step"], record["event"]) for record in records(run) if "event" in record]
    assert events == [(begun, "resumed"), (begun + 2, "quantizer calibrated")]


def test_a_budget_takes_the_schedule_from_the_clock(small_cache: Path, tmp_path: Path) -> None:
    config = quick_recipe(batch=1, steps=1000, quantize_from=400, warmup=10, budget_seconds=100)
    trainer = Trainer(config, DeviceBatches(small_cache, config, CPU), tmp_path, CPU)
    trainer.elapsed = 50.0
    assert trainer.position == 500
    assert not trainer.finished
    trainer.run(until=time.monotonic() - 1)
    assert trainer.step == 0
    trainer.elapsed = 99.9
    losses = trainer.run()
    assert trainer.finished
    assert 0 < trainer.step < 100
    assert trainer.calibrated
    assert str(config.model.max_tokens) in losses
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(learning_rate(1000, config), rel=0.01)
    resumed = Trainer(config, DeviceBatches(small_cache, config, CPU), tmp_path, CPU)
    assert resumed.finished
    assert resumed.calibrated
