"""The multi-scale quantizer: levels, tokens, prefixes, gradients and its start from data."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import TINY
from torch import Tensor

from meshcodec.config import ModelConfig
from meshcodec.model.quantizer import MultiScaleQuantizer, grown, resize, round_to_level, squash, unsquash

LEVELS = [-1.5, -0.5, 0.5, 1.5]


def quantizer(seed: int = 0) -> MultiScaleQuantizer:
    """Random weights, those of the smoothing convolution too, which start at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = MultiScaleQuantizer(TINY)
        with torch.no_grad():
            for codec in made.codecs():
                codec.smooth.weight.normal_(std=0.05)
    return made.requires_grad_(False)


QUANTIZER = quantizer()


def latents(count: int, seed: int = 0) -> Tensor:
    """Correlated ones: smooth over a plane, mixed over the channels, with a mean that is not zero."""
    made = torch.Generator().manual_seed(seed)
    side, channels = TINY.latent_side, TINY.latent_channels
    mix = torch.randn(channels, channels, generator=torch.Generator().manual_seed(99))
    coarse = torch.randn(count, 3, 2, 2, channels, generator=made)
    fine = torch.randn(count, 3, side, side, channels, generator=made)
    return (resize(coarse, side) + 0.3 * fine) @ mix + torch.linspace(-2, 2, channels)


# ---- levels


def test_levels_lie_one_apart_about_zero() -> None:
    wide = torch.linspace(-20, 20, 401)[:, None].expand(-1, 4)
    levels = QUANTIZER.quantize(wide)
    assert levels.unique().tolist() == LEVELS
    assert (levels.diff(dim=0) >= 0).all()
    exact = torch.tensor(LEVELS)[:, None].expand(-1, 4)
    assert torch.equal(round_to_level(exact, QUANTIZER.levels), exact)


def test_rounding_goes_to_the_nearest_level() -> None:
    x = squash(torch.linspace(-3, 3, 500)[:, None], QUANTIZER.levels)
    candidates = torch.tensor(LEVELS)
    nearest = candidates[(x[..., None] - candidates).abs().argmin(-1)]
    assert torch.equal(round_to_level(x, QUANTIZER.levels), nearest)


def test_unbound_is_the_way_back() -> None:
    u = torch.linspace(-2, 2, 101)[:, None].expand(-1, len(QUANTIZER.levels))
    assert torch.allclose(unsquash(squash(u, QUANTIZER.levels), QUANTIZER.levels), u, atol=1e-4)
    # Half way to the end of the range of four levels: atanh(1/2).
    assert float(
        unsquash(squash(torch.tensor(9.0), QUANTIZER.levels)[0] / 2, QUANTIZER.levels)[0]
    ) == pytest.approx(math.log(3) / 2, abs=1e-3)


def test_rounding_has_the_gradient_of_the_identity() -> None:
    x = torch.linspace(-1.9, 1.9, 64).view(16, 4).requires_grad_()
    weights = torch.arange(64.0).view(16, 4)
    (round_to_level(x, QUANTIZER.levels) * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights)
    # Through the squashing as well: quantizing has the gradient of squashing alone.
    gradients = []
    for function in (QUANTIZER.quantize, lambda u: squash(u, QUANTIZER.levels)):
        u = torch.linspace(-2, 2, 64).view(16, 4).requires_grad_()
        (function(u) * weights).sum().backward()
        assert u.grad is not None
        gradients.append(u.grad)
    assert torch.equal(*gradients)


# ---- tokens


@pytest.mark.slow
@settings(deadline=None)
@given(st.binary(min_size=1, max_size=TINY.max_tokens))
def test_tokens_survive_the_way_to_digits_and_back(data: bytes) -> None:
    tokens = torch.tensor(list(data), dtype=torch.uint8)[None]
    digits = QUANTIZER.to_codes(tokens)
    back = QUANTIZER.to_tokens([torch.where(d == 0, -1.5, d) for d in digits])
    assert torch.equal(back[:, : len(data)], tokens)
    begun = [end - count for end, count in zip(TINY.scale_ends(), TINY.scale_tokens, strict=True)]
    assert len(digits) == sum(start < len(data) for start in begun)
    flat = torch.cat([d.flatten(1, 3) for d in digits], dim=1)[0]
    assert set(flat[: len(data)].unique().tolist()) <= set(LEVELS)
    assert (flat[len(data) :] == 0).all()  # tokens that are not there add digits of zero


def test_every_prefix_length_gives_the_same_first_digits() -> None:
    tokens = torch.randint(256, (2, TINY.max_tokens), generator=torch.Generator().manual_seed(0))
    tokens = tokens.to(torch.uint8)
    whole = torch.cat([d.flatten(1, 3) for d in QUANTIZER.to_codes(tokens)], dim=1)
    for length in range(1, TINY.max_tokens + 1):
        digits = QUANTIZER.to_codes(tokens[:, :length])
        sides = TINY.scale_sides[: len(digits)]
        assert [d.shape for d in digits] == [(2, 3, side, side, 4) for side in sides]
        flat = torch.cat([d.flatten(1, 3) for d in digits], dim=1)
        assert torch.equal(flat[:, :length], whole[:, :length])


def test_all_256_tokens_are_distinct_digits() -> None:
    every = torch.arange(256).to(torch.uint8)
    tokens = torch.zeros(256, 3, dtype=torch.uint8)
    tokens[:, 1] = every
    digits = QUANTIZER.to_codes(tokens)[0]  # (256, 3, 1, 1, 4): plane 1 holds what counts
    assert len(digits[:, 1].flatten(1).unique(dim=0)) == 256
    assert len(digits[:, 0].flatten(1).unique(dim=0)) == 1


# ---- prefixes and latents


@pytest.mark.parametrize("scales", range(1, len(TINY.scale_sides) + 1))
def test_a_prefix_that_ends_at_a_scale_is_what_training_saw(scales: int) -> None:
    z = latents(3)
    tokens = QUANTIZER.to_tokens([QUANTIZER.quantize(d) for d in QUANTIZER.project(z)])
    prefix = tokens[:, : TINY.scale_ends()[scales - 1]]
    decoded = QUANTIZER.dequantize(QUANTIZER.to_codes(prefix))
    trained = QUANTIZER(z, torch.full((3,), scales))
    torch.testing.assert_close(decoded, trained, atol=1e-5, rtol=1e-5)


def test_scales_kept_are_counted_for_each_mesh() -> None:
    z = latents(3)
    mixed = QUANTIZER(z, torch.tensor([1, 3, 2]))
    for row, scales in enumerate((1, 3, 2)):
        alone = QUANTIZER(z[row : row + 1], torch.tensor([scales]))
        torch.testing.assert_close(mixed[row : row + 1], alone)
    assert not torch.allclose(mixed[0], QUANTIZER(z, torch.tensor([3, 3, 3]))[0])


# ---- calibration


def test_calibration_lowers_the_error_at_every_scale() -> None:
    known, new = latents(64), latents(64, seed=1)
    plain, calibrated = MultiScaleQuantizer(TINY), MultiScaleQuantizer(TINY)
    calibrated.calibrate(known)
    errors = []
    for scales in range(1, len(TINY.scale_sides) + 1):
        keep = torch.full((len(new),), scales)
        with torch.no_grad():
            before, after = ((q(new, keep) - new).square().mean() for q in (plain, calibrated))
        assert after < 0.7 * before
        errors.append(float(after))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.25 * float(new.var())


def test_calibrated_tokens_use_all_levels() -> None:
    z = torch.randn(64, 3, 8, 8, TINY.latent_channels, generator=torch.Generator().manual_seed(0))
    made = MultiScaleQuantizer(TINY)
    made.calibrate(z)
    for digits in made.project(z):
        levels = made.quantize(digits).flatten(0, -2)
        shares = torch.stack([(levels == level).float().mean(0) for level in LEVELS])
        assert shares.min() > 0.1  # of 0.25


@pytest.mark.parametrize("side", ModelConfig().scale_sides)
def test_products_grow_cells_as_interpolation_does(side: int) -> None:
    cells = torch.randn(2, 3, side, side, 8, generator=torch.Generator().manual_seed(side))
    torch.testing.assert_close(grown(cells, 32), resize(cells, 32), rtol=0, atol=2e-6)
