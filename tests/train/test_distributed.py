"""Training in two processes, as `torchrun` starts them, on the CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.paths import ROOT
from support.training import quick_recipe, records

from meshcodec.model.vat import VariationalTokenizer

PROGRAM = """
import os
import torch
from meshcodec.cli import main
from meshcodec.train import autoencoder


class Watched(autoencoder.Trainer):
    def run(self):
        drawn = []
        self.objective.register_forward_pre_hook(lambda _, given: drawn.append(float(given[0].points.sum())))
        losses = super().run()
        model = self.objective.model.state_dict()
        state = {"model": model, "averaged": self.averaged, "drawn": drawn, "step": self.step}
        torch.save(state, f"{os.environ['WATCHED']}/rank-{os.environ['RANK']}.pt")
        return losses


autoencoder.Trainer = Watched
main()
"""
"""The command line; each process also writes what it has come to and which batches it saw."""


@pytest.mark.train
@pytest.mark.slow
def test_two_processes_train_one_model_on_different_batches(cache: Path, tmp_path: Path) -> None:
    """In both phases, and with replayed batches, whose loss gives gradients to a part of the weights only."""
    config = quick_recipe(steps=8, quantize_from=3, batch=2, visits=2, replay_batches=1)
    path, program = tmp_path / "recipe.json", tmp_path / "program.py"
    path.write_text(json.dumps(dataclasses.asdict(config)))
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WATCHED": str(tmp_path)}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", "run", path, "--cache", cache, "-o", tmp_path / "run", "--device", "cpu"]
    done = subprocess.run(
        [*start, *map(str, [program, *words])], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["step"] == second["step"] == config.steps
    assert len(first["drawn"]) == len(second["drawn"]) < config.steps  # the others were replayed
    assert not set(first["drawn"]) & set(second["drawn"])
    torch.manual_seed(config.seed)
    begun = VariationalTokenizer(config.model).state_dict()
    assert not torch.equal(begun["decoder.out.weight"], first["model"]["decoder.out.weight"])
    for part in ("model", "averaged"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), name
    lines = records(tmp_path / "run")  # one of the two writes
    assert [line["step"] for line in lines if "validation" in line] == [config.steps]
