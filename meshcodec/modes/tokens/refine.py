"""Encode-time refinement: gradient steps on the tokens of one mesh through the frozen decoder.

The encoder's tokens are a first guess that has to serve every mesh. Here the numbers behind the tokens
are optimized for the mesh at hand: rounded in the forward pass, passed straight through in the backward
pass, so that what is optimized is what will be written. The inference is iterative as in image codecs (Yang
et al. 2020, Improving Inference for Neural Image Compression); the decoder never changes, so the file is an
ordinary one.

Three names for the numbers behind a token: *latents* are unbounded, as the encoder gives them; *squashed* are
latents brought into the range of their quantization levels, and are what is stepped; *codes* are squashed
latents rounded to their levels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.config import TRUNCATION
from meshcodec.model import VariationalTokenizer
from meshcodec.model.decoder import to_distance
from meshcodec.model.quantizer import round_to_level, squash, token_masks, unsquash
from meshcodec.modes.tokens.adam import Adam
from meshcodec.modes.tokens.descent import SoftDescent
from meshcodec.modes.tokens.rates import TokenRates, bits_at
from meshcodec.modes.tokens.settings import RefineSettings, Stop
from meshcodec.runtime.device import bfloat16_is_fast

Progress = Callable[[int, int, float], None]
"""Called with steps done, steps in all, mean loss of a mesh. An exception that it raises passes through."""


class RateControl:
    """Keeps the refined tokens of a mesh at the bits that a file has room for.

    The loss is a Lagrangian, distances + lambda * bits, and lambda rises while the bits are too many and
    falls while there is room (dual ascent), down to almost none where all tokens fit.

    Parameters
    ----------
    rates : bits of tokens as functions of their digits
    bits : bits that all tokens together may take
    settings : numbers of the ascent

    Attributes
    ----------
    rates, bits : as given
    lambda_ : weight of all the `bits` together in the loss
    freeze_increase : whether lambda may only fall, while it is not known yet how many tokens there will be
    """

    def __init__(self, rates: TokenRates, bits: float, settings: RefineSettings | None = None) -> None:
        self._settings = settings or RefineSettings()
        self.freeze_increase = False
        self.rates, self.bits, self.lambda_ = rates, bits, self._settings.first_lambda

    def update(self, taken: float) -> float:
        """Move lambda, now that the tokens take so many bits; returns the weight of one bit in the loss."""
        chosen = self._settings
        change = math.exp(chosen.lambda_rate * (taken / self.bits - 1))
        if change < 1 or not self.freeze_increase:
            self.lambda_ = min(max(self.lambda_ * change, chosen.least_lambda), chosen.largest_lambda)
        return self.lambda_ / self.bits


class RateTerm:
    """The term of the bits in the loss of a round of refinement.

    Parameters
    ----------
    controls : rate control of each mesh of the batch; their rates are those of one model
    table_steps : steps for which a table of bits serves
    """

    def __init__(
        self, controls: Sequence[RateControl], table_steps: int = RefineSettings.table_steps
    ) -> None:
        self._controls, self._table_steps = controls, table_steps
        self._tables: list[Tensor] = []
        self._calls = 0

    def __call__(self, squashed: list[Tensor], codes: list[Tensor], masks: list[Tensor]) -> Tensor:
        """A scalar for the squashed latents of the scales started, (B, 3, n, n, D), and their `codes`."""
        if self._calls % self._table_steps == 0:
            self._tables = self._controls[0].rates.tables(codes, masks)
        self._calls += 1
        taken = torch.stack(self._by_scale([code.detach() for code in codes])).tolist()
        weights = [control.update(sum(own)) for control, *own in zip(self._controls, *taken, strict=True)]
        bits = sum(self._by_scale(squashed), start=torch.zeros(len(weights), device=squashed[0].device))
        return (bits * torch.tensor(weights, device=bits.device)).sum()

    def _by_scale(self, values: list[Tensor]) -> list[Tensor]:
        """(B,) bits of each scale."""
        found = zip(self._tables, values, strict=True)
        return [bits_at(table, value).flatten(1).sum(1) for table, value in found]


@dataclass(frozen=True)
class QueryPool:
    """Query points that the steps of a round draw from.

    Attributes
    ----------
    points : (Q, 3) float32, in the cube
    distances : (Q,) float32 signed distances wanted there, in the cube, negative inside
    units : (Q,) float32 lengths in the mesh, in half-extents, of a unit of each distance: an error counts in
        proportion to it
    """

    points: NDArray[np.float32]
    distances: NDArray[np.float32]
    units: NDArray[np.float32]


@dataclass(frozen=True)
class RefinementJob:
    """A round of refinement of one mesh.

    Attributes
    ----------
    latents : unbounded latents of each scale, (1, 3, n, n, D), as `MultiScaleQuantizer.project` gives them
    pool : query points to draw from
    tokens : length of the prefix that will be written
    shorter_prefixes : shorter prefixes, as numbers of scales, that should decode well too
    steps : gradient steps; 0 returns the latents as they are
    seed : seed of the draws of queries and prefixes
    rate : where tokens are entropy-coded, what keeps their bits down
    learning_rate : at the first step, in levels
    truncation : distance beyond which the surface is not concerned, see `RefineSettings`
    softness : of `SoftDescent`, which takes the steps; None for Adam, which takes many steps better
    progress : called after each step
    """

    latents: list[Tensor]
    pool: QueryPool
    tokens: int
    shorter_prefixes: list[int]
    steps: int
    seed: int = 0
    rate: RateControl | None = None
    learning_rate: float = RefineSettings.first_rate
    truncation: float = RefineSettings.truncation
    softness: float | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class RefinementResult:
    """What came of a round: unbounded latents of the scales started, (1, 3, n, n, D), and its seconds."""

    latents: list[Tensor]
    seconds: float


def refine_batch(
    model: VariationalTokenizer,
    jobs: Sequence[RefinementJob],
    settings: RefineSettings | None = None,
    stop: Stop | None = None,
) -> list[RefinementResult]:
    """Refine many meshes, as many as go together in one batch: those of as many steps and scales."""
    settings = settings or RefineSettings()
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, job in enumerate(jobs):
        scales, rated = model.config.scales_started(job.tokens), job.rate is not None
        key = (job.steps, job.seed, job.learning_rate, job.truncation, job.softness)
        shape = (tuple(job.shorter_prefixes), scales, rated, job.pool.points.shape)
        groups.setdefault((*key, *shape), []).append(place)
    results: dict[int, RefinementResult] = {}
    for places in groups.values():
        began, group = time.perf_counter(), [jobs[place] for place in places]
        latents = _Steps(model, group, settings).run(stop)
        seconds = (time.perf_counter() - began) / len(group)
        for number, place in enumerate(places):
            results[place] = RefinementResult([part[number : number + 1] for part in latents], seconds)
    return [results[place] for place in range(len(jobs))]


class _Steps:
    """The gradient steps of a batch of B jobs that have steps, seed, rates and scales in common."""

    def __init__(
        self, model: VariationalTokenizer, jobs: Sequence[RefinementJob], settings: RefineSettings
    ) -> None:
        self._model, self._jobs, self._settings = model, jobs, settings
        scales = model.config.scales_started(jobs[0].tokens)
        self._latents = [torch.cat(s) for s in zip(*(job.latents[:scales] for job in jobs), strict=True)]
        device = self._latents[0].device
        self._masks = token_masks(torch.tensor([job.tokens for job in jobs]), model.config, device)
        # Squashed latents are stepped: of the unbounded ones a step moves one the less the farther out it is.
        self._levels = model.quantizer.levels
        self._farthest = (self._levels - 1) / 2 + settings.overshoot
        self._first = [
            squash(part.detach(), self._levels).clamp(-self._farthest, self._farthest)
            for part in self._latents
        ]
        self._squashed = [part.clone().requires_grad_() for part in self._first]
        self._pool = [
            torch.from_numpy(np.stack([getattr(job.pool, name) for job in jobs])).to(device)
            for name in ("points", "distances", "units")
        ]
        rates = [job.rate for job in jobs if job.rate is not None]
        self._rate_term = RateTerm(rates, settings.table_steps) if rates else None

    def run(self, stop: Stop | None) -> list[Tensor]:
        """Take the steps; returns the unbounded latents, (B, 3, n, n, D). Those not moved are as they
        were."""
        job = self._jobs[0]
        optimizer = (
            Adam(self._squashed, self._settings.momenta)
            if job.softness is None
            else SoftDescent(self._squashed, job.softness)
        )
        rng = np.random.default_rng(job.seed)
        for step in range(job.steps):
            if stop is not None and stop():
                break
            loss = self._loss(rng)
            loss.backward()
            # Large moves first, then settling.
            optimizer.step(job.learning_rate * 0.5 * (1 + math.cos(math.pi * step / job.steps)))
            with torch.no_grad():
                for squashed in self._squashed:
                    squashed.clamp_(-self._farthest, self._farthest)
            for each in self._jobs:
                if each.progress is not None:
                    each.progress(step + 1, job.steps, float(loss.detach()) / len(self._jobs))
        return [
            torch.where(squashed == first, latent, unsquash(squashed.detach(), self._levels))
            for squashed, first, latent in zip(self._squashed, self._first, self._latents, strict=True)
        ]

    def _loss(self, rng: np.random.Generator) -> Tensor:
        """The loss of one step, over queries and a prefix that are drawn for it."""
        shorter_prefixes = self._jobs[0].shorter_prefixes
        shorter = bool(shorter_prefixes) and rng.random() < self._settings.shorter_share
        scales = int(rng.choice(shorter_prefixes)) if shorter else len(self._masks)
        count = self._pool[0].shape[1]
        chosen = torch.from_numpy(rng.integers(0, count, self._settings.step_queries)).to(
            self._pool[0].device
        )
        codes = [round_to_level(part, self._levels) for part in self._squashed]
        kept = [code * mask for code, mask in zip(codes[:scales], self._masks, strict=False)]
        queries, distances, units = (part[:, chosen] for part in self._pool)
        truncation, far_share = self._jobs[0].truncation, self._settings.far_share
        loss = field_error(self._model, kept, queries, distances, units, truncation, far_share)
        if self._rate_term is not None:
            loss = loss + self._rate_term(self._squashed, codes, self._masks)
        return loss


def field_error(
    model: VariationalTokenizer,
    codes: list[Tensor],
    queries: Tensor,
    distances: Tensor,
    units: Tensor,
    truncation: float,
    far_share: float,
) -> Tensor:
    """The error of the field that codes decode to at (B, Q, 3) queries, summed over meshes; see `QueryPool`
    and `surface_error`."""
    latent = model.quantizer.dequantize(codes)
    with torch.autocast(latent.device.type, torch.bfloat16, enabled=bfloat16_is_fast(latent.device)):
        logits = model.field(model.decode_latent(latent), queries)
    found, wanted = units * to_distance(logits), units * distances.clamp(-TRUNCATION, TRUNCATION)
    # A sum over meshes, so that each takes the steps that it would take alone.
    return len(found) * surface_error(found, wanted, truncation, far_share)


def surface_error(found: Tensor, wanted: Tensor, truncation: float, far_share: float) -> Tensor:
    """What refinement minimizes of distances, (..., Q) each; a scalar in units of the truncation.

    See `RefineSettings` for truncation and share.
    """
    error = found.clamp(-truncation, truncation) - wanted.clamp(-truncation, truncation)
    # Where both are clamped there is nothing to gain; a little of the whole range keeps gradients alive.
    far = found - wanted
    return (error.abs().mean() + far_share * far.abs().mean()) / truncation
