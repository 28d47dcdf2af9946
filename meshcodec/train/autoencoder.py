"""The training loop: two phases, averaged weights, checkpoints that survive any interruption."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from meshcodec.errors import UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.rates import TokenRates
from meshcodec.train.batches import AutoencoderBatch, BatchSource, CachedBatches
from meshcodec.train.distributed import average_gradients, start_distributed
from meshcodec.train.grow import grow
from meshcodec.train.log import write_log
from meshcodec.train.objective import Objective, validate
from meshcodec.train.optimize import adamw, cosine, save_checkpoint, set_rate, update_average
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.replay import ReplayBuffer


def learning_rate(step: float, config: TrainConfig) -> float:
    """Warm-up, plateau, cosine to a twentieth; `step` is a position in the recipe, whole or not."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    start = config.steps * (1 - config.decay_share)
    progress = min(max((step - start) / max(config.steps - start, 1), 0.0), 1.0)
    return config.learning_rate * cosine(progress)


class Trainer:
    """State of one run: objective, averaged weights, optimizer, step, seconds trained.

    Parameters
    ----------
    config : recipe
    cache : folder of `meshcodec.train.cache`, or another source of batches
    out : folder of the run, where ``checkpoint.pt`` and ``log.jsonl`` go; an existing checkpoint is resumed
    start_from : state of a model to start from when there is no checkpoint, of the recipe's shape or one that
        it grows from (`meshcodec.train.grow`)
    rates : bits of the tokens, for a recipe that weighs them
    compiled : have `torch.compile` fuse the decoder's and the field's operations: a minute or so at the start
    """

    def __init__(
        self,
        config: TrainConfig,
        cache: Path | BatchSource,
        out: Path,
        device: torch.device,
        start_from: dict[str, Tensor] | None = None,
        compiled: bool = False,
        rates: TokenRates | None = None,
    ) -> None:
        self.config, self.out, self.device = config, out, device
        self.rank, self.processes = start_distributed(device)
        out.mkdir(parents=True, exist_ok=True)
        self.source: BatchSource = CachedBatches(cache, config) if isinstance(cache, Path) else cache
        self.batches = self.source.validation()
        if not self.batches:
            raise UsageError(f"{cache}: no finished validation blocks", "run 'meshcodec train prepare'")
        if config.budget_seconds and self.processes > 1:
            # Clocks differ, and processes that disagree on the last step wait for each other for ever.
            raise UsageError("budget_seconds is for a single process", "give the recipe steps instead")
        torch.manual_seed(config.seed)
        self.objective = Objective(config, rates).to(device)
        if start_from is not None:
            grow(self.objective.model, start_from)
        self._compiled = compiled
        if compiled:
            self.objective.model.decoder.compile(dynamic=False)
            self.objective.model.field.mlp.compile(dynamic=False)
        self.averaged = {k: v.detach().clone() for k, v in self.objective.model.state_dict().items()}
        self.step = 0
        self.elapsed = 0.0
        self.calibrated = config.quantize_from < 0
        self.optimizers = self._make_optimizers()
        self.checkpoint = out / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()
        torch.manual_seed(config.seed + 1000 * self.step + self.rank)
        self._stop = False

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon (Jordan et al. 2024) for the large matrices, AdamW for the rest."""
        config, large = self.config, self.objective.large_matrices()
        chosen = {id(p) for p in large}
        rest = [p for p in self.objective.trained() if id(p) not in chosen]
        others = adamw(rest, config.learning_rate, config.weight_decay)
        if not large:  # a tiny model
            return [others]
        muon = torch.optim.Muon(
            large,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            adjust_lr_fn="match_rms_adamw",  # so that one learning rate serves both
        )
        return [muon, others]

    @property
    def position(self) -> float:
        """Where in the recipe the run is, in its steps: by steps taken, or by time where that is budgeted."""
        if self.config.budget_seconds:
            return self.config.steps * self.elapsed / self.config.budget_seconds
        return self.step

    @property
    def finished(self) -> bool:
        """Whether the recipe is at its end."""
        return self.position >= self.config.steps

    def run(self, until: float = math.inf) -> dict[str, float]:
        """Train to the end of the recipe; returns the last validation losses.

        Stops early, with a checkpoint to go on from, at SIGTERM, at SIGINT and when `time.monotonic` reaches
        `until`.
        """
        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            losses = self._steps(until)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return losses or self._validate()

    def _steps(self, until: float) -> dict[str, float]:
        config = self.config
        seed = hash((config.seed, self.step, self.rank)) & 0x7FFFFFFF
        batches = self.source.training(seed)
        if self._compiled:  # before the clock is started that a budget of seconds is measured by
            self._compile(next(batches).to(self.device))
        saved, began, first = time.monotonic(), time.monotonic(), self.step
        spent = self.elapsed
        replay = ReplayBuffer(
            config.visits,
            config.replay_batches,
            config.digit_rate,
            seed=self.step,
            decay=config.digit_decay,
            fresh=config.fresh_share,
        )
        recent: dict[str, Tensor] = {}
        losses: dict[str, float] = {}
        done = self.finished
        while not done and not self._stop and time.monotonic() < until:
            if not self.calibrated and self.position >= self.config.quantize_from:
                self._calibrate()
            parts = self._train_step(batches, replay)
            for name, value in parts.items():
                recent[name] = value if name not in recent else 0.98 * recent[name] + 0.02 * value
            self.step += 1
            self.elapsed = spent + time.monotonic() - began
            done = self.finished
            if self.step % 100 == 0:
                rate = (self.step - first) * self.config.batch * self.processes / (time.monotonic() - began)
                means = {name: float(value) for name, value in recent.items()}
                self._log({"step": self.step, **means, "samples_per_second": rate})
            if self.step % self.config.validate_every == 0 or done:
                losses = self._validate()
                self.source.refresh()
            if time.monotonic() - saved > self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._save()
        return losses

    def _compile(self, batch: AutoencoderBatch) -> None:
        """Have what is compiled at its first use compiled, for both kinds of steps."""
        loss, latents, _ = self.objective(batch, self.calibrated)
        loss.backward()
        if self.calibrated:
            buffer = ReplayBuffer(visits=2, capacity=1, rate=self.config.digit_rate, seed=0)
            buffer.insert(batch, latents)
            self.objective.replay(buffer.entries[0])[0].backward()
        self.objective.zero_grad(set_to_none=True)

    def _train_step(self, batches: Iterator[AutoencoderBatch], replay: ReplayBuffer) -> dict[str, Tensor]:
        for optimizer in self.optimizers:
            set_rate(optimizer, learning_rate(self.position, self.config))
            optimizer.zero_grad(set_to_none=True)
        loss: Tensor
        parts: dict[str, Tensor]
        entry = replay.next()
        if entry is None:
            batch = next(batches).to(self.device)
            loss, latents, parts = self.objective(batch, self.calibrated)
            used = self.objective.trained()
            if self.calibrated:
                replay.insert(batch, latents)
        else:
            loss, parts = self.objective.replay(entry)
            used = self.objective.decoding_parameters()
        loss.backward()
        if self.processes > 1:
            average_gradients(used, self.processes)
        if entry is not None:
            replay.step(entry)
        parameters = [p for p in self.objective.parameters() if p.grad is not None]
        nn.utils.clip_grad_norm_(parameters, self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        current = self.objective.model.state_dict()
        floats = [k for k, v in current.items() if v.is_floating_point()]
        update_average(
            [self.averaged[k] for k in floats], [current[k] for k in floats], self.step, self.config.ema
        )
        return parts

    @torch.no_grad()
    def _calibrate(self) -> None:
        """Start the quantizer from the latents of a few hundred training meshes."""
        batches = self.source.training(self.config.seed)
        latents = []
        for _ in range(max(1, 192 // self.config.batch)):
            batch = next(batches).to(self.device)
            latents.append(self.objective.model.encoder(batch.points, batch.normals)[0])
        # On the processor wherever the model is: the matrices are tiny, and it is done once.
        quantizer = copy.deepcopy(self.objective.model.quantizer).cpu()
        quantizer.calibrate(torch.cat(latents).float().cpu())
        self.objective.model.quantizer.load_state_dict(quantizer.state_dict())
        for name, value in self.objective.model.quantizer.state_dict().items():
            self.averaged[f"quantizer.{name}"].copy_(value)
        self.calibrated = True
        self._log({"step": self.step, "event": "quantizer calibrated"})

    def _validate(self) -> dict[str, float]:
        model = VariationalTokenizer(self.config.model).to(self.device)
        model.load_state_dict(self.averaged)
        losses = validate(model.eval(), self.batches, self.objective.presets, self.calibrated)
        self._log({"step": self.step, "validation": losses})
        return losses

    def _log(self, record: dict[str, Any]) -> None:
        if self.rank:
            return
        write_log(self.out, record)

    def _save(self) -> None:
        if self.rank:
            return
        state = {
            "step": self.step,
            "elapsed": self.elapsed,
            "calibrated": self.calibrated,
            "model": self.objective.model.state_dict(),
            "averaged": self.averaged,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "config": json.dumps(dataclasses.asdict(self.config)),
        }
        save_checkpoint(self.checkpoint, state)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        trained = json.loads(state["config"])["model"]
        if trained != json.loads(json.dumps(self.config.model.to_dict())):
            fault = f"{self.checkpoint}: holds a model of another shape"
            raise UsageError(fault, "train into another folder")
        self.objective.model.load_state_dict(state["model"])
        self.averaged = state["averaged"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = int(state["step"])
        self.elapsed = float(state.get("elapsed", 0.0))
        # Checkpoints of before knew it by the step.
        self.calibrated = bool(state.get("calibrated", self.step > self.config.quantize_from))
        self._log({"step": self.step, "event": "resumed"})

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = True
