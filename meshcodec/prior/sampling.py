"""Drawing shapes from a prior: box, then scale after scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from meshcodec.model.quantizer import MultiScaleQuantizer
from meshcodec.prior.box import SYMBOLS
from meshcodec.prior.model import UNKNOWN, Conditions, NextScaleTransformer, scale_contexts

_MIRRORS = 8
"""Values of the first symbol of a box."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn from their probabilities.

    Attributes
    ----------
    temperature : logits are divided by it; above 0
    top_k : only the most probable so many; 0: all
    top_p : only the most probable whose probabilities add up to this, 0 < p <= 1 (nucleus sampling, Holtzman
        et al. 2020)
    guidance : how much farther than the conditions say, away from what is drawn without them
        (classifier-free guidance, Ho & Salimans 2022); grows from 0 at the first scale to this at the last,
        as in VAR
    rounds : in which the tokens of a scale are drawn at most, in random order, the fewer the less is known of
        it (the cosine of MaskGIT, Chang et al. 2022); 1: all at once, as VAR does
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    guidance: float = 2.0
    rounds: int = 8


@dataclass(frozen=True)
class Known:
    """What is not drawn, of all shapes alike.

    Attributes
    ----------
    symbols : (4,) of the box; None draws it
    tokens : (T,) uint8, those of the coarsest scales, whole
    """

    symbols: Tensor | None = None
    tokens: Tensor | None = None


@torch.no_grad()
def sample(
    prior: NextScaleTransformer,
    quantizer: MultiScaleQuantizer,
    conditions: Conditions,
    sampling: Sampling,
    known: Known,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw shapes.

    Parameters
    ----------
    prior, quantizer : of one model, in evaluation mode
    conditions : of B shapes
    generator : on the CPU

    Returns
    -------
    (B, 4) symbols of boxes and (B, T) uint8 tokens
    """
    B = len(conditions.offsets)
    device = conditions.views.device
    guided = sampling.guidance > 0 and bool(len(conditions.words) or conditions.with_view.any())
    sequences = [conditions, Conditions.none(B, prior.config, device)] if guided else [conditions]
    _, past = prior.extend(torch.cat([prior.conditions(one) for one in sequences]), None)

    def logits_of(inputs: Tensor, head: int | None, strength: float, keep: bool = True) -> Tensor:
        """Logits of the next block, the guidance applied; it is kept as past, or not."""
        nonlocal past
        x, longer = prior.extend(inputs.repeat(len(sequences), 1, 1), past)
        past = longer if keep else past
        logits = prior.frame_logits(x) if head is None else prior.token_logits(head, x)
        if not guided:
            return logits
        with_them, without = logits.chunk(2)
        return with_them + strength * (with_them - without)

    symbols = torch.zeros(B, 0, dtype=torch.long, device=device)
    for number in range(SYMBOLS):
        logits = logits_of(prior.frame(symbols, number), None, 0.0)
        if number == 0:
            logits[..., _MIRRORS:] = -torch.inf
        drawn = draw(logits, sampling, generator)
        if known.symbols is not None:
            drawn = known.symbols[number].expand(B, 1).to(drawn)
        symbols = torch.cat([symbols, drawn], dim=1)
    logits_of(prior.frame(symbols, SYMBOLS), None, 0.0)
    tokens = torch.zeros(B, 0, dtype=torch.uint8, device=device)
    given = 0 if known.tokens is None else len(known.tokens)
    for scale, count in enumerate(prior.counts):
        context = scale_contexts(quantizer, tokens, scale + 1)[-1]
        strength = sampling.guidance * scale / max(len(prior.counts) - 1, 1)
        start = tokens.shape[1]
        drawn = torch.full((B, count), UNKNOWN, device=device)
        if known.tokens is not None and start + count <= given:
            drawn[:] = known.tokens[start : start + count].to(drawn)
        order = torch.rand(B, count, generator=generator).argsort(1).argsort(1).to(device)
        for end in round_ends(count, sampling.rounds):
            if (drawn < UNKNOWN).all():
                break
            logits = logits_of(prior.scale(scale, context, drawn), scale, strength, keep=False)
            next_ones = (drawn == UNKNOWN) & (order < end)
            drawn = torch.where(next_ones, draw(logits, sampling, generator), drawn)
        logits_of(prior.scale(scale, context, drawn), scale, strength)
        tokens = torch.cat([tokens, drawn.to(torch.uint8)], dim=1)
    return symbols, tokens


def round_ends(count: int, rounds: int) -> list[int]:
    """How many of `count` tokens are drawn after each round; at least one more in each."""
    rounds = min(rounds, count)
    ends = [count - round(count * math.cos(math.pi / 2 * k / rounds)) for k in range(1, rounds + 1)]
    return [max(end, k) for k, end in enumerate(ends, 1)]


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """(B, T, L) logits -> (B, T) symbols."""
    B, T, L = logits.shape
    flat = logits.float().cpu().view(B * T, L) / sampling.temperature
    if 0 < sampling.top_k < L:
        flat = flat.masked_fill(flat < flat.topk(sampling.top_k).values[:, -1:], -torch.inf)
    ordered, places = flat.softmax(-1).sort(-1, descending=True)
    # A symbol stays where those before it do not reach the share yet; the first always does.
    ordered[ordered.cumsum(-1) - ordered >= sampling.top_p] = 0
    picked = torch.multinomial(ordered, 1, generator=generator)
    return places.gather(-1, picked).view(B, T).to(logits.device)
