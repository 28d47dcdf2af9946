"""What tokens cost, as refinement sees it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.coder import SHAPE, random_model, tiny_coder

from meshcodec.model.quantizer import token_masks
from meshcodec.modes.tokens.rates import RateNetwork, TokenRates, bits_at

CPU = torch.device("cpu")
CODER = random_model(4)


@pytest.mark.parametrize("count", [3, 15, 42, 20])
def test_rates_are_what_the_coder_takes(count: int) -> None:
    """Floating point sums over tables against the bytes of the integer coder; of a part of a scale, too."""
    rng = np.random.default_rng(count)
    tokens = rng.integers(0, 256, SHAPE.max_tokens).astype(np.uint8)
    levels, start = [], 0
    for side in SHAPE.scale_sides:
        part = tokens[start : start + 3 * side * side]
        digits = torch.from_numpy(part[:, None] // np.array([1, 4, 16, 64]) % 4 - 1.5).float()
        levels.append(digits.view(1, 3, side, side, 4))
        start += len(part)
    masks = token_masks(torch.tensor([count]), SHAPE)
    begun = levels[: len(masks)]
    tables = TokenRates(CODER, CPU).tables(begun, masks)
    bits = sum(float(bits_at(table, level).sum()) for table, level in zip(tables, begun, strict=True))
    assert len(CODER.encode(tokens[:count].tobytes())) == pytest.approx(bits / 8, abs=2)


def test_bits_between_levels_are_linear() -> None:
    table = torch.tensor([[5.0, 1.0, 2.0, 8.0]])
    places = torch.tensor([-1.5, -1.0, -0.5, 0.5, 1.25, 1.5, 1.9]).requires_grad_()
    bits = bits_at(table.expand(7, 4), places)
    assert bits.tolist() == pytest.approx([5, 3, 1, 2, 6.5, 8, 10.4])
    bits.sum().backward()
    assert places.grad is not None
    assert places.grad[[1, 4]].tolist() == pytest.approx([-4, 6])
    assert places.grad[6] == pytest.approx(6)  # a saturated digit is drawn back as well


def test_float_networks_round_to_the_integers_that_they_stand_for() -> None:
    for network in CODER.networks:
        again = RateNetwork.of(network).rounded()
        for name in ("weights", "bias", "own", "out", "out_bias"):
            assert (getattr(again, name) == getattr(network, name)).all()


def test_counting_bits_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    TokenRates(tiny_coder(), CPU)
    assert torch.equal(torch.get_rng_state(), before)
