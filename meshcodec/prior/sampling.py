"""Drawing shapes from a prior: box, then scale after scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from meshcodec.model.quantizer import MultiScaleQuantizer
from meshcodec.prior.box import BOX_TOKENS, MIRROR_VALUES
from meshcodec.prior.model import UNKNOWN, Conditions, NextScaleTransformer, Past, scale_contexts


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn from their probabilities.

    Attributes
    ----------
    temperature : logits are divided by it; above 0
    top_k : number of the most probable values that are drawn from; 0: all
    top_p : share that the probabilities of the values drawn from add up to, 0 < p <= 1 (nucleus sampling,
        Holtzman et al. 2020)
    guidance : how much farther than the conditions say shapes are drawn, away from those without conditions
        (classifier-free guidance, Ho & Salimans 2022); grows from 0 at the first scale to this at the last,
        as in VAR
    rounds : rounds in which the tokens of a scale are drawn at most, in random order, the fewer in a round
        the less is known of the scale (the cosine of MaskGIT, Chang et al. 2022); 1: all at once, as VAR does
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    guidance: float = 2.0
    rounds: int = 8


@dataclass(frozen=True)
class ConditioningTokens:
    """What is not drawn, the same for all shapes.

    Attributes
    ----------
    box : (4,) box tokens; None draws them
    tokens : (T,) uint8 of the coarsest scales, whole; None draws all
    """

    box: Tensor | None = None
    tokens: Tensor | None = None


@torch.no_grad()
def sample(
    prior: NextScaleTransformer,
    quantizer: MultiScaleQuantizer,
    conditions: Conditions,
    sampling: Sampling,
    kept: ConditioningTokens,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw shapes.

    Parameters
    ----------
    prior, quantizer : parts of one model, in evaluation mode
    conditions : what the B shapes should be like
    sampling : how tokens are drawn
    kept : tokens that are not
    generator : on the CPU

    Returns
    -------
    (B, 4) box tokens and (B, T) uint8 tokens
    """
    sequences = _Sequences(prior, conditions, sampling)
    box = _draw_box(sequences, sampling, kept.box, generator)
    tokens = torch.zeros(len(box), 0, dtype=torch.uint8, device=box.device)
    given = 0 if kept.tokens is None else len(kept.tokens)
    for scale, count in enumerate(prior.counts):
        context = scale_contexts(quantizer, tokens, scale + 1)[-1]
        start = tokens.shape[1]
        drawn = torch.full((len(box), count), UNKNOWN, device=box.device)
        if kept.tokens is not None and start + count <= given:
            drawn[:] = kept.tokens[start : start + count].to(drawn)
        drawn = _draw_scale(sequences, scale, context, drawn, sampling, generator)
        tokens = torch.cat([tokens, drawn.to(torch.uint8)], dim=1)
    return box, tokens


class _Sequences:
    """What the prior has seen of a batch of shapes and, with guidance, of the same without conditions."""

    def __init__(self, prior: NextScaleTransformer, conditions: Conditions, sampling: Sampling) -> None:
        self._prior, self._guidance = prior, sampling.guidance
        self.batch, self.device = len(conditions.offsets), conditions.views.device
        self._guided = sampling.guidance > 0 and bool(len(conditions.words) or conditions.with_view.any())
        begins = [conditions]
        if self._guided:
            begins.append(Conditions.none(self.batch, prior.config, self.device))
        self._past: Past
        _, self._past = prior.extend(torch.cat([prior.condition_inputs(one) for one in begins]), None)

    def box_logits(self, box: Tensor) -> Tensor:
        """(B, 1, 16) logits of the next box token after (B, k), the last of which is new; not guided."""
        x = self._extend(self._prior.box_inputs(box, box.shape[1]), keep=True)
        return self._prior.box_logits(x)[: self.batch]

    def token_logits(self, scale: int, context: Tensor, known: Tensor, keep: bool) -> Tensor:
        """(B, 3 n², 256) logits of a scale's tokens, with guidance; `keep` says that all are known now."""
        x = self._extend(self._prior.scale_inputs(scale, context, known), keep)
        logits = self._prior.token_logits(scale, x)
        if not self._guided:
            return logits
        with_them, without = logits.chunk(2)
        strength = self._guidance * scale / max(len(self._prior.counts) - 1, 1)
        return with_them + strength * (with_them - without)

    def _extend(self, inputs: Tensor, keep: bool) -> Tensor:
        x, longer = self._prior.extend(inputs.repeat(1 + self._guided, 1, 1), self._past)
        if keep:
            self._past = longer
        return x


def _draw_box(
    sequences: _Sequences, sampling: Sampling, kept: Tensor | None, generator: torch.Generator
) -> Tensor:
    """(B, 4) box tokens, drawn one after the other; those that are kept are drawn, too, and replaced."""
    box = torch.zeros(sequences.batch, 0, dtype=torch.long, device=sequences.device)
    for number in range(BOX_TOKENS):
        logits = sequences.box_logits(box)
        if number == 0:
            logits[..., MIRROR_VALUES:] = -torch.inf
        drawn = draw(logits, sampling, generator)
        if kept is not None:
            drawn = kept[number].expand(sequences.batch, 1).to(drawn)
        box = torch.cat([box, drawn], dim=1)
    sequences.box_logits(box)
    return box


def _draw_scale(
    sequences: _Sequences,
    scale: int,
    context: Tensor,
    drawn: Tensor,
    sampling: Sampling,
    generator: torch.Generator,
) -> Tensor:
    """(B, 3 n²) tokens of a scale, those that are `UNKNOWN` in `drawn` drawn a few at a time."""
    order = torch.rand(*drawn.shape, generator=generator).argsort(1).argsort(1).to(drawn.device)
    for end in round_ends(drawn.shape[1], sampling.rounds):
        if (drawn < UNKNOWN).all():
            break
        logits = sequences.token_logits(scale, context, drawn, keep=False)
        next_ones = (drawn == UNKNOWN) & (order < end)
        drawn = torch.where(next_ones, draw(logits, sampling, generator), drawn)
    sequences.token_logits(scale, context, drawn, keep=True)
    return drawn


def round_ends(count: int, rounds: int) -> list[int]:
    """Number of `count` tokens that are drawn after each round; at least one more in each."""
    rounds = min(rounds, count)
    ends = [count - round(count * math.cos(math.pi / 2 * k / rounds)) for k in range(1, rounds + 1)]
    return [max(end, k) for k, end in enumerate(ends, 1)]


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """(B, T, L) logits -> (B, T) values, 0 to L - 1, drawn by them."""
    B, T, L = logits.shape
    flat = logits.float().cpu().view(B * T, L) / sampling.temperature
    if 0 < sampling.top_k < L:
        flat = flat.masked_fill(flat < flat.topk(sampling.top_k).values[:, -1:], -torch.inf)
    ordered, places = flat.softmax(-1).sort(-1, descending=True)
    # A value stays where those before it do not reach the share yet; the first always does.
    ordered[ordered.cumsum(-1) - ordered >= sampling.top_p] = 0
    picked = torch.multinomial(ordered, 1, generator=generator)
    return places.gather(-1, picked).view(B, T).to(logits.device)
