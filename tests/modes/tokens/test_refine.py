"""The gradient steps on one mesh's codes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.coder import tiny_coder
from support.refinement import first_guess, pool, refined
from support.tiny import BALL_RADIUS, TINY
from torch import Tensor

from meshcodec.model.quantizer import squash, token_masks
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.rates import TokenRates
from meshcodec.modes.tokens.refine import RateControl, RateTerm, RefinementJob, refine_batch
from meshcodec.modes.tokens.settings import RefineSettings
from meshcodec.registry import Registry
from meshcodec.weights import load_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> VariationalTokenizer:
    return load_model(Registry(tiny_weights).default())


@pytest.mark.parametrize(("tokens", "scales"), [(TINY.max_tokens, 3), (20, 3), (15, 2), (2, 1)])
def test_no_steps_leave_the_latents_alone(model: VariationalTokenizer, tokens: int, scales: int) -> None:
    latents = first_guess()
    found = refined(model, latents, pool(BALL_RADIUS), tokens, 0)
    assert len(found) == scales
    for before, after in zip(latents, found, strict=False):
        assert torch.equal(before, after)


@pytest.mark.slow
def test_the_loss_falls_and_the_model_stays(model: VariationalTokenizer) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    latents = first_guess()
    kept = [d.clone() for d in latents]
    steps, losses = 40, []
    found = refined(
        model,
        latents,
        pool(0.95 * BALL_RADIUS),
        TINY.max_tokens,
        steps,
        progress=lambda done, total, loss: losses.append((done, total, loss)),
    )
    assert [done for done, _, _ in losses] == list(range(1, steps + 1))
    assert {total for _, total, _ in losses} == {steps}
    first, last = (np.mean([loss for _, _, loss in part]) for part in (losses[:5], losses[-5:]))
    assert last < 0.98 * first
    assert any(not torch.equal(a, b) for a, b in zip(found, kept, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(latents, kept, strict=True))  # the caller's are not touched
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_what_has_no_unit_does_not_count(model: VariationalTokenizer) -> None:
    right = pool(0.9)
    right.units[::2] = 0
    wrong = dataclasses.replace(
        right, distances=np.where(right.units > 0, right.distances, 1).astype(np.float32)
    )
    counted = dataclasses.replace(wrong, units=np.ones_like(right.units))
    first, same, other = (
        refined(model, first_guess(), queries, 30, 3) for queries in (right, wrong, counted)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.slow
def test_the_seed_decides(model: VariationalTokenizer) -> None:
    def run(seed: int) -> list[Tensor]:
        return refined(model, first_guess(), pool(0.9), 30, 6, shorter=(1, 2), seed=seed)

    first, again, other = run(1), run(1), run(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.slow
def test_latents_of_absent_tokens_do_not_move(model: VariationalTokenizer) -> None:
    latents, tokens = first_guess(), 20
    found = refined(model, latents, pool(0.9), tokens, 3)
    moved = [(a != b).any(-1, keepdim=True) for a, b in zip(latents, found, strict=False)]
    for mask, change in zip(token_masks(torch.tensor([tokens]), TINY), moved, strict=True):
        assert torch.equal(change, mask.bool())


@pytest.mark.slow
def test_codes_stay_near_their_levels(model: VariationalTokenizer) -> None:
    """However far out the encoder put them, a few steps take them back."""
    levels = model.quantizer.levels
    far = [torch.full_like(d, 9.0) for d in first_guess()]
    found = refined(model, far, pool(0.9), TINY.max_tokens, 12)
    moved = torch.cat([squash(d, levels)[d != 9.0] for d in found])
    assert len(moved) > 100
    assert moved.abs().max() <= (levels[0] - 1) / 2 + 0.1 + 1e-5
    assert (moved < (levels[0] - 2) / 2).any()  # another level than the last


def test_a_stop_keeps_the_steps_so_far(model: VariationalTokenizer) -> None:
    done: list[int] = []

    def run(stop_after: int) -> list[Tensor]:
        done.clear()
        return refined(
            model,
            first_guess(),
            pool(0.9),
            30,
            5,
            progress=lambda step, steps, loss: done.append(step),
            stop=lambda: len(done) >= stop_after,
        )

    untouched = run(0)
    assert done == []
    assert all(torch.equal(a, b) for a, b in zip(untouched, first_guess(), strict=False))
    moved = run(2)
    assert done == [1, 2]
    assert not all(torch.equal(a, b) for a, b in zip(moved, untouched, strict=True))


def test_an_error_of_the_progress_comes_through(model: VariationalTokenizer) -> None:
    def stop(done: int, total: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refined(model, first_guess(), pool(0.9), 30, 5, progress=stop)


def together_and_alone(
    model: VariationalTokenizer, rounds: list[RefinementJob]
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    batch = refine_batch(model, [dataclasses.replace(r, rate=copy.deepcopy(r.rate)) for r in rounds])
    for asked, found in zip(rounds, batch, strict=True):
        (alone,) = refine_batch(model, [asked])
        yield found.latents, alone.latents


@pytest.mark.slow
@pytest.mark.parametrize("coded", [False, True])
def test_meshes_of_a_batch_are_refined_as_each_alone(tiny_weights: Path, coded: bool) -> None:
    """Of other lengths, with other room, and one that begins fewer scales, which goes by itself."""
    model, rates = load_model(Registry(tiny_weights).default()), TokenRates(tiny_coder(), CPU)
    rounds = [
        RefinementJob(
            first_guess(seed=number),
            pool(radius, 2000),
            tokens,
            [1],
            8,
            5,
            RateControl(rates, 8 * room) if coded else None,
            0.2,
        )
        for number, (radius, tokens, room) in enumerate(
            ((0.9, 20, 18), (0.5, 30, 15), (0.7, 12, 10), (0.6, 40, 9))
        )
    ]
    for found, alone in together_and_alone(model, rounds):
        assert len(found) == len(alone)
        for a, b in zip(found, alone, strict=True):
            assert a.shape == b.shape
            assert ((a - b).abs() < 1e-3).float().mean() > 0.97  # sums in another order
    moved = refine_batch(model, rounds[:1])[0].latents
    assert any(not torch.equal(a, b) for a, b in zip(moved, rounds[0].latents, strict=False))


@pytest.mark.slow
def test_rate_control_keeps_tokens_within_their_bits(tiny_weights: Path) -> None:
    """Refined for the same distances: fewer bits where they count, and the fewer the less room there is."""
    model = load_model(Registry(tiny_weights).default())
    coder = tiny_coder()
    # With networks this small all digits turn at about the same lambda: with short momenta the bits swing
    # around their room, and end below it by chance. Long ones settle.
    settings = RefineSettings(momenta=(0.8, 0.95))
    sizes = []
    for room in (10_000, 40, 25):
        rate = RateControl(TokenRates(coder, CPU), 8 * room)
        found = refined(
            model,
            first_guess(),
            pool(0.8),
            TINY.max_tokens,
            60,
            settings=settings,
            rate=rate,
            learning_rate=0.3,
        )
        levels = [model.quantizer.quantize(d) for d in found]
        sizes.append(len(coder.encode(model.quantizer.to_tokens(levels)[0].numpy().tobytes())))
    # What the likeliest tokens take is 19 bytes: of 63 that a random start has, most give way.
    assert sizes[0] > 100
    assert all(size <= room for size, room in zip(sizes[1:], (40, 25), strict=True))


def test_a_frozen_lambda_may_only_fall() -> None:
    """While it is not known how many tokens there will be, too many of them are no reason to change them."""
    rates, masks = TokenRates(tiny_coder(), CPU), token_masks(torch.tensor([TINY.max_tokens]), TINY)
    digits = first_guess()
    levels = [torch.full_like(d, 1.5) for d in digits]
    for held, bits, change in ((True, 1, 0), (False, 1, 1), (True, 10**6, -1), (False, 10**6, -1)):
        rate = RateControl(rates, bits)
        rate.freeze_increase = held
        before = rate.lambda_
        RateTerm([rate])(digits, levels, masks)
        assert np.sign(rate.lambda_ - before) == change


def test_a_round_may_have_fewer_tokens_than_the_one_before() -> None:
    rate = RateControl(TokenRates(tiny_coder(), CPU), 100)
    for count in (TINY.max_tokens, 15):
        masks = token_masks(torch.tensor([count]), TINY)
        digits = first_guess()[: len(masks)]
        assert float(RateTerm([rate])(digits, [torch.full_like(d, 1.5) for d in digits], masks)) > 0
