"""Encode-time refinement: gradient steps on the tokens of one mesh through the frozen decoder.

The encoder's tokens are a first guess that has to serve every mesh. Here the digits behind the tokens are
optimized for the mesh at hand: rounded in the forward pass, passed straight through in the backward pass, so
that what is optimized is what will be written. The inference is iterative as in image codecs (Yang et al.
2020, Improving Inference for Neural Image Compression); the decoder never changes, so the file is an ordinary
one.
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
from meshcodec.model.decoder import to_distance
from meshcodec.model.quantizer import round_to_level, squash, token_masks, unsquash
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.efforts import FIRST_RATE
from meshcodec.modes.tokens.rates import TokenRates, bits_at
from meshcodec.runtime.device import bfloat16_is_fast

STEP_QUERIES = 6000
_MOMENTA = (0.8, 0.95)
_OVERSHOOT = 0.1
"""Levels that a digit may go beyond its last one: a short way back when its gradient turns."""
_SHORTER_SHARE = 0.1
"""Of the steps that a shorter prefix of the ladder gets, of all of them together."""
_FIRST_WEIGHT, _LEAST_WEIGHT, _LARGEST_WEIGHT = 0.07, 0.001, 10.0
"""Of the bits in the loss, as a share of those that a file has room for."""
_WEIGHT_RATE = 0.2
_TABLE_STEPS = 2
REFINE_TRUNCATION = 0.05
"""Distances beyond this do not matter for the surface and are not spent bits on."""
Progress = Callable[[int, int, float], None]
"""Called with steps done, steps in all, loss of a mesh in the mean."""
Stop = Callable[[], bool]
"""Asked before each step; True ends the refinement with what it has found so far."""


class RateControl:
    """Keeps the refined tokens of a mesh at the bits that a file has room for.

    The loss is a Lagrangian, distances + weight * bits, and its weight rises while the bits are too many and
    falls while there is room (dual ascent), down to almost none where all tokens fit.

    Parameters
    ----------
    rates : of the tokens
    bits : that all of them may take

    Attributes
    ----------
    rates, bits : as given
    held : whether the weight may only fall, while it is not known yet how many tokens there will be
    """

    def __init__(self, rates: TokenRates, bits: float) -> None:
        self.held = False
        self.rates, self.bits, self._weight = rates, bits, _FIRST_WEIGHT

    def price(self, taken: float) -> float:
        """What one bit costs in the loss now that the tokens take so many."""
        change = math.exp(_WEIGHT_RATE * (taken / self.bits - 1))
        if change < 1 or not self.held:
            self._weight = min(max(self._weight * change, _LEAST_WEIGHT), _LARGEST_WEIGHT)
        return self._weight / self.bits


class RateTerm:
    """What bits add to the loss in a round of refinement.

    Parameters
    ----------
    controls : of each mesh; their rates are those of one model
    """

    def __init__(self, controls: Sequence[RateControl]) -> None:
        self._controls = controls
        self._tables: list[Tensor] = []
        self._asked = 0

    def __call__(self, digits: list[Tensor], levels: list[Tensor], masks: list[Tensor]) -> Tensor:
        """For bounded digits of the scales begun, (B, 3, n, n, D); `levels` are theirs, rounded."""
        # Bits of neighbours change little from step to step, and the tables take a tenth of a step's time.
        if self._asked % _TABLE_STEPS == 0:
            self._tables = self._controls[0].rates.tables(levels, masks)
        self._asked += 1
        taken = torch.stack(self._of_each([level.detach() for level in levels])).tolist()
        prices = [control.price(sum(own)) for control, *own in zip(self._controls, *taken, strict=True)]
        bits = sum(self._of_each(digits), start=torch.zeros(len(prices), device=digits[0].device))
        return (bits * torch.tensor(prices, device=bits.device)).sum()

    def _of_each(self, digits: list[Tensor]) -> list[Tensor]:
        """(B,) bits of each scale."""
        found = zip(self._tables, digits, strict=True)
        return [bits_at(table, digit).flatten(1).sum(1) for table, digit in found]


@dataclass(frozen=True)
class RefinementJob:
    """A round of refinement of one mesh; see `refine`."""

    digits: list[Tensor]
    queries: NDArray[np.float32]
    distances: NDArray[np.float32]
    units: NDArray[np.float32]
    tokens: int
    lower_rungs: list[int]
    steps: int
    seed: int
    rate: RateControl | None
    learning_rate: float
    progress: Progress | None = None


@dataclass(frozen=True)
class RefinementResult:
    """What came of a round: unbounded digits of the scales begun, (1, 3, n, n, D), and its seconds."""

    digits: list[Tensor]
    seconds: float


def refine_batch(
    model: VariationalTokenizer, rounds: Sequence[RefinementJob], stop: Stop | None = None
) -> list[RefinementResult]:
    """Refine many meshes, as many as go together in one batch: those of as many steps and scales."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, asked in enumerate(rounds):
        scales, rated = model.config.scales_begun(asked.tokens), asked.rate is not None
        key = (asked.steps, asked.seed, asked.learning_rate, tuple(asked.lower_rungs), scales, rated)
        groups.setdefault((*key, asked.queries.shape), []).append(place)
    results: dict[int, RefinementResult] = {}
    for places in groups.values():
        began, group = time.perf_counter(), [rounds[place] for place in places]
        first, scales = group[0], model.config.scales_begun(group[0].tokens)
        digits = refine(
            model,
            [torch.cat(same) for same in zip(*(asked.digits[:scales] for asked in group), strict=True)],
            np.concatenate([asked.queries for asked in group]),
            np.concatenate([asked.distances for asked in group]),
            np.concatenate([asked.units for asked in group]),
            [asked.tokens for asked in group],
            first.lower_rungs,
            first.steps,
            first.seed,
            [asked.rate for asked in group if asked.rate is not None],
            first.learning_rate,
            _shared([asked.progress for asked in group if asked.progress is not None]),
            stop,
        )
        seconds = (time.perf_counter() - began) / len(group)
        for number, place in enumerate(places):
            results[place] = RefinementResult([d[number : number + 1] for d in digits], seconds)
    return [results[place] for place in range(len(rounds))]


def _shared(progresses: list[Progress]) -> Progress | None:
    """One that tells them all."""

    def tell(step: int, steps: int, loss: float) -> None:
        for progress in progresses:
            progress(step, steps, loss)

    return tell if progresses else None


def refine(
    model: VariationalTokenizer,
    digits: list[Tensor],
    queries: NDArray[np.float32],
    distances: NDArray[np.float32],
    units: NDArray[np.float32],
    tokens: Sequence[int],
    lower_rungs: list[int],
    steps: int,
    seed: int = 0,
    rates: Sequence[RateControl] = (),
    learning_rate: float = FIRST_RATE,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> list[Tensor]:
    """Optimize the digits of a batch of meshes.

    Parameters
    ----------
    model : frozen
    digits : unbounded digits of each scale, (B, 3, n, n, D), as `MultiScaleQuantizer.project` gives them
    queries, distances, units : (B, Q, 3), (B, Q) and (B, Q), pools to draw from; an error in a distance
        counts in proportion to its unit
    tokens : (B,) lengths of the prefixes that will be written, which begin as many scales each
    lower_rungs : shorter prefixes, as numbers of scales, that should decode well too
    steps : gradient steps; 0 returns the digits as they are
    seed : of the draws of queries and prefixes
    rates : where tokens are entropy-coded, keep the bits of each mesh down; else none
    learning_rate : at the first step, in levels of a digit
    progress : told about each step; an exception that it raises passes through
    stop : asked before each step

    Returns
    -------
    Unbounded digits of the scales begun by the prefixes.
    """
    device = digits[0].device
    masks = token_masks(torch.tensor(tokens), model.config, device)
    # What is stepped are digits in levels: at the encoder's unbounded ones a step moves a digit the less the
    # farther out it is.
    levels = model.quantizer.levels
    farthest = (levels - 1) / 2 + _OVERSHOOT
    first = [squash(d.detach(), levels).clamp(-farthest, farthest) for d in digits[: len(masks)]]
    bounded = [b.clone().requires_grad_() for b in first]
    optimizer = torch.optim.Adam(bounded, lr=learning_rate, betas=_MOMENTA)
    rng = np.random.default_rng(seed)
    pool = [torch.from_numpy(a).to(device) for a in (queries, distances, units)]
    penalty = RateTerm(rates) if rates else None
    for step in range(steps):
        if stop is not None and stop():
            break
        # Large moves first, then settling.
        optimizer.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        shorter = bool(lower_rungs) and rng.random() < _SHORTER_SHARE
        scales = int(rng.choice(lower_rungs)) if shorter else len(masks)
        chosen = torch.from_numpy(rng.integers(0, queries.shape[1], STEP_QUERIES)).to(device)
        rounded = [round_to_level(b, levels) for b in bounded]
        kept = [level * mask for level, mask in zip(rounded[:scales], masks, strict=False)]
        loss = _loss(model, kept, *(a[:, chosen] for a in pool))
        if penalty is not None:
            loss = loss + penalty(bounded, rounded, masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for b in bounded:
                b.clamp_(-farthest, farthest)
        if progress is not None:
            progress(step + 1, steps, float(loss.detach()) / len(tokens))
    return [
        torch.where(b == start, before, unsquash(b.detach(), levels))
        for b, start, before in zip(bounded, first, digits, strict=False)
    ]


def _loss(
    model: VariationalTokenizer, levels: list[Tensor], queries: Tensor, distances: Tensor, units: Tensor
) -> Tensor:
    latent = model.quantizer.dequantize(levels)
    with torch.autocast(latent.device.type, torch.bfloat16, enabled=bfloat16_is_fast(latent.device)):
        logits = model.field(model.decode_latent(latent), queries)
    found, wanted = units * to_distance(logits), units * distances.clamp(-TRUNCATION, TRUNCATION)
    # A sum over meshes, so that each takes the steps that it would take alone.
    return len(found) * surface_error(found, wanted)


def surface_error(found: Tensor, wanted: Tensor) -> Tensor:
    """What refinement minimizes of distances, (..., Q) each; a scalar in units of `REFINE_TRUNCATION`."""
    squash = REFINE_TRUNCATION
    error = found.clamp(-squash, squash) - wanted.clamp(-squash, squash)
    # Where both are clamped there is nothing to gain; a little of the whole range keeps gradients alive.
    far = found - wanted
    return (error.abs().mean() + 0.2 * far.abs().mean()) / squash
