"""Drawing box and tokens from a prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.prior import (
    conditions,
    random_tokens,
    small_prior,
)
from support.tiny import TINY

from meshcodec.prior.sampling import ConditioningTokens, Sampling, draw, round_ends, sample
from meshcodec.registry import Registry
from meshcodec.weights import load_model


def test_drawing_follows_the_probabilities() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = shares.log().expand(1, 20_000, 4)
    for sampling, expected in (
        (Sampling(top_p=1.0), shares),
        (Sampling(top_p=1.0, top_k=2), torch.tensor([0.625, 0.375, 0, 0])),
        (Sampling(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0])),
        (Sampling(top_p=1.0, temperature=0.5), shares**2 / (shares**2).sum()),
        (Sampling(top_p=0.01), torch.tensor([1.0, 0, 0, 0])),
    ):
        drawn = draw(logits, sampling, torch.Generator().manual_seed(0))[0]
        found = torch.bincount(drawn, minlength=4) / 20_000
        assert (found - expected).abs().max() < 0.015
        assert not found[expected == 0].any()


@given(st.integers(1, 400), st.integers(1, 12))
def test_rounds_draw_all_tokens_and_more_and_more_of_them(count: int, rounds: int) -> None:
    ends = round_ends(count, rounds)
    assert len(ends) == min(rounds, count)
    assert ends[-1] == count
    assert (np.diff([0, *ends]) >= 1).all()


def test_rounds_follow_the_cosine() -> None:
    assert round_ends(300, 1) == [300]
    assert round_ends(300, 4) == [23, 88, 185, 300]
    assert round_ends(3, 8) == [1, 2, 3]


@pytest.mark.slow
def test_the_same_seed_draws_the_same_and_what_is_known_is_kept(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer

    def drawn(
        seed: int, known: ConditioningTokens, guidance: float = 2.0, rounds: int = 8
    ) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        sampling = Sampling(guidance=guidance, rounds=rounds)
        return sample(prior, quantizer, conditions(), sampling, known, generator)

    first, again, other = (drawn(seed, ConditioningTokens()) for seed in (1, 1, 2))
    assert first[1].shape == (2, TINY.max_tokens)
    assert first[0][:, 0].max() < 8
    torch.testing.assert_close(again, first)
    assert (other[1] != first[1]).any()
    assert (drawn(1, ConditioningTokens(), 0.0)[1] != first[1]).any()
    assert (drawn(1, ConditioningTokens(), rounds=1)[1] != first[1]).any()
    kept = random_tokens(9)[0, : TINY.scale_ends()[1]]
    symbols, tokens = drawn(3, ConditioningTokens(torch.tensor([1, 2, 3, 4]), kept))
    assert symbols.tolist() == [[1, 2, 3, 4]] * 2
    assert (tokens[:, : len(kept)] == kept).all()
    assert (tokens[0, len(kept) :] != tokens[1, len(kept) :]).any()
