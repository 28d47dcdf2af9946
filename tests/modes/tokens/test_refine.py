"""Refinement of tokens for one mesh, and how many tokens a file of a size holds."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refinement import first_guess, pool
from support.tiny import BALL_RADIUS, TINY
from torch import Tensor

from meshcodec.api import Codec
from meshcodec.config import SIZES, TAUS, ModelConfig
from meshcodec.errors import UsageError
from meshcodec.format.box import NO_AXES
from meshcodec.format.container import LEVEL_UNIT, VatFile
from meshcodec.metrics import Reference, fscore
from meshcodec.model.quantizer import squash, token_masks
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.efforts import EFFORTS, Effort, early_stop_fscore
from meshcodec.modes.tokens.fill import token_budget
from meshcodec.modes.tokens.judge import Candidate, Exact
from meshcodec.modes.tokens.refine import refine
from meshcodec.registry import Registry
from meshcodec.weights import load_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> VariationalTokenizer:
    return load_model(Registry(tiny_weights).default())


# ---- levels


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, BALL_RADIUS)
    return mesh


def test_a_level_thickens(tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights)
    file = VatFile.from_bytes(codec.encode(ball(), size=128, effort=0))
    volumes = []
    for level in (-10, 0, 10):
        made = dataclasses.replace(file, level=level)
        mesh = codec.decode(made.to_bytes(), resolution=32)
        assert mesh.is_watertight
        volumes.append(mesh.volume)
    assert volumes[0] < volumes[1] < volumes[2]
    # Near the surface the field is a distance, so a level of 10 moves it by about 10 / 2000 of the radius.
    area, scale = ball().area, file.scale
    assert scale is not None
    assert (volumes[2] - volumes[0]) / area == pytest.approx(20 * LEVEL_UNIT * scale, rel=0.5)


@pytest.mark.parametrize(("peak", "found"), [(0, 0), (6, 6), (-9, -9), (50, 20)])
def test_the_level_is_found_by_climbing(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, peak: int, found: int
) -> None:
    codec = Codec("cpu", tiny_weights)

    def measured(field: object, tokens: bytes, level: int, *_: object) -> Candidate:
        return Candidate(tokens, level, (-abs(level - peak),), np.zeros((0, 3)))

    monkeypatch.setattr(codec, "_measure", measured)
    subject = codec.prepare(ball())
    start = Candidate(b"", 0, (-abs(peak),), np.zeros((0, 3)))
    reference = Reference(subject.mesh, samples=100)
    assert codec._leveled(torch.zeros_like, start, reference, subject.placement).level == found


@pytest.mark.parametrize(
    ("coarse", "exact", "better"),
    [
        ((0.5, 0.4), None, True),  # clearly higher in both: not measured again
        ((0.38, 0.2), None, False),  # clearly lower in both: neither
        ((0.39, 0.28), (0.71, 0.61), True),  # not clearly
        ((0.49, 0.2), (0.7, 0.59), False),
        ((0.41, 0.35), (0.7, 0.61), True),
        ((0.41, 0.35), (0.72, 0.59), False),  # higher in the sum, lower in one
        ((0.41, 0.35), (0.7, 0.6), False),  # no change
    ],
)
def test_a_candidate_is_better_when_no_fscore_is_lower(
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    coarse: tuple[float, float],
    exact: tuple[float, float] | None,
    better: bool,
) -> None:
    codec = Codec("cpu", tiny_weights)
    subject = codec.prepare(ball())
    tokens = b"\0" * 8, b"\1" * 8
    old, new = (
        Candidate(t, 0, f, np.zeros((0, 3))) for t, f in zip(tokens, ((0.4, 0.3), coarse), strict=True)
    )
    asked: list[bytes] = []

    def measured(self: object, candidate: Candidate) -> tuple[float, ...]:
        assert exact is not None
        asked.append(candidate.tokens)
        return exact if candidate is new else (0.7, 0.6)

    monkeypatch.setattr(Exact, "_fscores", measured)
    assert Exact(codec, codec._model(codec._entry), subject).improves(new, old) is better
    assert len(asked) == (2 if exact else 0)


@pytest.mark.parametrize(
    ("gains", "level"),
    [
        ({4: (0.02, 0.01), 5: (0.03, 0.03)}, 4),
        ({4: (0.02, -0.01), 5: (0.02, -0.02), 3: (0.01, 0.01)}, 3),
        ({4: (-0.01, 0.02), 5: (-0.01, 0.0), 3: (-0.1, 0.0), 6: (0.0, 0.01), 2: (0.5, 0.5)}, 6),
        ({4: (0.02, -0.01), 5: (0.02, -0.02), 3: (0.1, -0.1), 6: (0.0, 0.0), 2: (1, -0.001)}, None),
        ({4: (0.01, -0.02), 5: (0.5, 0.5)}, None),  # lower in the sum: no other level is tried
    ],
)
def test_a_candidate_that_is_lower_in_one_fscore_may_be_better_at_a_level_nearby(
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    gains: dict[int, tuple[float, float]],
    level: int | None,
) -> None:
    codec = Codec("cpu", tiny_weights)
    subject = codec.prepare(ball())
    exact = Exact(codec, codec._model(codec._entry), subject)
    reference = Reference(subject.mesh, samples=100)
    old, new = (Candidate(bytes([level]) * 8, level, (0.5, 0.5), np.zeros((0, 3))) for level in (0, 4))
    monkeypatch.setattr(exact, "gains", lambda candidate, _: gains[candidate.level])
    field = codec._field(codec._model(codec._entry), new.tokens)
    better = codec._better(exact, field, new, old, reference, subject.placement)
    assert (better and better.level) == level
    assert better is None or better.tokens == new.tokens


def test_nothing_is_looked_for_beyond_perfect_fscores(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = Codec("cpu", tiny_weights)
    begun: list[int] = []

    def measured(field: object, tokens: bytes, level: int, *_: object) -> Candidate:
        return Candidate(tokens, level, (1.0, 0.8 + 0.1 * len(begun)), np.zeros((0, 3)))

    def refined(*arguments: Any, **options: Any) -> list[Tensor]:
        begun.append(1)
        return refine(*arguments, **options)

    monkeypatch.setattr(codec, "_measure", measured)
    monkeypatch.setattr(Exact, "gains", lambda _, new, old: (new.quality - old.quality,))
    monkeypatch.setattr("meshcodec.modes.tokens.refine.refine", refined)
    monkeypatch.setattr("meshcodec.api.EFFORTS", (Effort((2, 2, 2, 2), 4000),))
    codec.encode(ball(), size=128, effort=0)
    assert len(begun) == 2


def test_the_exact_fscores_are_those_of_the_decoded_file(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshcodec.modes.tokens.judge.EXACT_RESOLUTION", 64)
    codec = Codec("cpu", tiny_weights)
    subject = codec.prepare(ball())
    data = codec.encode_subject(subject, 256, 0)
    tokens = VatFile.from_bytes(data.data).tokens()
    exact = Exact(codec, codec._model(codec._entry), subject)
    candidate = Candidate(tokens, 0, (0.0, 0.0), np.zeros((0, 3)))
    assert exact._fscores(candidate) == fscore(subject.mesh, codec.decode(data.data, 64), TAUS[:2])


def test_the_file_has_the_level_that_was_measured(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = Codec("cpu", tiny_weights)

    def measured(field: object, tokens: bytes, level: int, *_: object) -> Candidate:
        return Candidate(tokens, level, (1 - abs(level + 4) + 10 * bool(calls),), np.zeros((0, 3)))

    calls: list[int] = []

    def refined(*arguments: Any, **options: Any) -> list[Tensor]:
        calls.append(1)
        return refine(*arguments, **options)

    monkeypatch.setattr(codec, "_measure", measured)
    monkeypatch.setattr("meshcodec.modes.tokens.refine.refine", refined)
    data = codec.encode(ball(), size=128, effort=1)
    assert VatFile.from_bytes(data).level == -4
    assert len(data) <= 128


# ---- prefixes


def test_masks_end_within_a_scale() -> None:
    assert TINY.scale_ends() == (3, 15, 63)
    masks = token_masks(torch.tensor([20]), TINY)
    assert [m.shape for m in masks] == [(1, 3, side, side, 1) for side in (1, 2, 4)]
    assert [int(m.sum()) for m in masks] == [3, 12, 5]
    assert masks[2].flatten()[:6].tolist() == [1, 1, 1, 1, 1, 0]


def test_digits_of_a_prefix_are_those_of_the_whole_under_its_masks(model: VariationalTokenizer) -> None:
    """What is optimized is what will be decoded."""
    made = torch.Generator().manual_seed(0)
    whole = torch.randint(256, (1, TINY.max_tokens), generator=made).to(torch.uint8)
    for tokens in range(1, TINY.max_tokens + 1):
        masks = token_masks(torch.tensor([tokens]), TINY)
        assert len(masks) == TINY.scales_begun(tokens)
        assert sum(int(m.sum()) for m in masks) == tokens
        prefix = model.quantizer.to_digits(whole[:, :tokens])
        masked = [d * m for d, m in zip(model.quantizer.to_digits(whole), masks, strict=False)]
        assert all(torch.equal(a, b) for a, b in zip(prefix, masked, strict=True))


@pytest.mark.parametrize(("tokens", "scales"), [(1, 1), (3, 1), (4, 2), (15, 2), (16, 3), (63, 3)])
def test_a_scale_begins_with_its_first_token(tokens: int, scales: int) -> None:
    assert TINY.scales_begun(tokens) == scales


@pytest.mark.parametrize(
    ("size", "tokens"),
    [(512, 471), (1024, 978), (2048, 1950), (4096, 3978), (700, 668), (64, 32), (513, 481), (5000, 3978)],
)
def test_ladder_sizes_end_at_a_scale_and_others_are_filled(size: int, tokens: int) -> None:
    config = ModelConfig()
    assert token_budget(size, config) == tokens
    if size in SIZES.values():
        assert tokens in config.scale_ends()


@settings(deadline=None)
@given(st.integers(64, 5000))
def test_no_file_is_larger_than_asked_for(size: int) -> None:
    config = ModelConfig()
    tokens = token_budget(size, config)
    assert 1 <= tokens <= config.max_tokens
    data = VatFile.of_tokens(bytes(tokens), b"\0\0\0\0", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), level=1).to_bytes()
    assert len(data) <= size
    if size not in SIZES.values() and tokens < config.max_tokens:
        assert len(data) == size


@pytest.mark.parametrize("size", [-1, 0, 63])
def test_too_small_a_size_is_refused(size: int) -> None:
    with pytest.raises(UsageError):
        token_budget(size, ModelConfig())


# ---- refinement


def test_efforts_grow() -> None:
    assert len(EFFORTS) == 10
    for lower, higher in itertools.pairwise(EFFORTS):
        assert lower.steps < higher.steps
        assert lower.queries <= higher.queries
    assert [EFFORTS[4].pool_size(steps) for steps in (40, 60, 100, 250)] == [40_000, 40_000, 60_000, 150_000]
    # Whoever asks for more gets at least what the default gives.
    for lower, higher in itertools.pairwise(EFFORTS[4:]):
        for least, most in (
            (lower.rounds, higher.rounds),
            (lower.rounds + lower.hard_rounds, higher.rounds + higher.hard_rounds),
        ):
            assert most[: len(least)] == least
        assert higher.queries == lower.queries


def test_large_files_are_content_with_more() -> None:
    assert [early_stop_fscore(size, 2) for size in (512, 2047, 2048, 4096)] == [0.9, 0.9, 0.98, 0.98]
    most = len(EFFORTS[4].rounds + EFFORTS[4].hard_rounds)
    for size in (512, 4096):
        wanted = [early_stop_fscore(size, number) for number in range(2, most)]
        assert wanted == sorted(wanted, reverse=True)


@pytest.mark.parametrize(
    ("enough", "steps"), [((0.0, 1.1), [5, 7]), ((1.1, 0.0), [5, 7, 3]), ((1.1, 1.1), [5, 7, 3, 4])]
)
def test_hard_meshes_get_more_rounds(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, enough: tuple[float, float], steps: list[int]
) -> None:
    monkeypatch.setattr("meshcodec.modes.tokens.efforts._EASY", enough)
    monkeypatch.setattr("meshcodec.api.EFFORTS", (Effort((5, 7), 4000, hard_rounds=(3, 4)),))
    told: list[tuple[int, int]] = []
    Codec("cpu", tiny_weights).encode_detailed(
        trimesh.creation.icosphere(2), 64, 0, progress=lambda done, total, *_: told.append((done, total))
    )
    known = [sum(steps[: max(2, number + 1)]) for number in range(len(steps))]
    totals = [total for total, count in zip(known, steps, strict=True) for _ in range(count)]
    assert told == list(zip(range(1, sum(steps) + 1), totals, strict=True))


@pytest.mark.parametrize(("taken", "rounds"), [(1, 2), (2, 3), (9, 3)])
def test_what_was_refused_for_one_fscore_gets_one_more_round(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, taken: int, rounds: int
) -> None:
    """The first score is that of the encoder's tokens, the `taken`-th after it the first to be taken."""
    codec = Codec("cpu", tiny_weights)
    judged: list[Candidate] = []
    begun: list[int] = []

    def measured(field: object, tokens: bytes, level: int, *_: object) -> Candidate:
        return Candidate(tokens, level, (0.95 + 0.01 * len(begun),), np.zeros((0, 3)))

    def gains(self: object, new: Candidate, old: Candidate) -> tuple[float]:
        judged.append(new)
        return (0.01 if len(judged) >= taken else -0.01,)

    def refined(*arguments: Any, **options: Any) -> list[Tensor]:
        begun.append(1)
        return refine(*arguments, **options)

    monkeypatch.setattr(codec, "_measure", measured)
    monkeypatch.setattr(Exact, "gains", gains)
    monkeypatch.setattr("meshcodec.modes.tokens.refine.refine", refined)
    monkeypatch.setattr("meshcodec.api.EFFORTS", (Effort((5, 7), 4000, hard_rounds=(3, 4)),))
    codec.encode(ball(), size=128, effort=0)
    assert len(begun) == rounds


@pytest.mark.parametrize(("tokens", "scales"), [(TINY.max_tokens, 3), (20, 3), (15, 2), (2, 1)])
def test_no_steps_leave_the_digits_alone(model: VariationalTokenizer, tokens: int, scales: int) -> None:
    digits = first_guess()
    refined = refine(model, digits, *pool(BALL_RADIUS), [tokens], [], 0)
    assert len(refined) == scales
    for before, after in zip(digits, refined, strict=False):
        assert torch.equal(before, after)


def test_the_loss_falls_and_the_model_stays(model: VariationalTokenizer) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    digits = first_guess()
    kept = [d.clone() for d in digits]
    steps, losses = 40, []
    refined = refine(
        model,
        digits,
        *pool(0.95 * BALL_RADIUS),
        [TINY.max_tokens],
        [],
        steps,
        progress=lambda done, total, loss: losses.append((done, total, loss)),
    )
    assert [done for done, _, _ in losses] == list(range(1, steps + 1))
    assert {total for _, total, _ in losses} == {steps}
    first, last = (np.mean([loss for _, _, loss in part]) for part in (losses[:5], losses[-5:]))
    assert last < 0.98 * first
    assert any(not torch.equal(a, b) for a, b in zip(refined, kept, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(digits, kept, strict=True))  # the caller's are not touched
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.usefixtures("hurried")
def test_meshes_encoded_together_are_as_each_alone(tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights)
    subjects = codec.prepare_many([ball(), trimesh.creation.box((1, 2, 3)), trimesh.creation.icosphere(2)])
    together = codec.encode_subjects(subjects, 128, 1)
    for subject, found in zip(subjects, together, strict=True):
        alone = codec.encode_subject(subject, 128, 1)
        assert found.refined == alone.refined
        assert set(found.seconds) == set(alone.seconds)
        tokens = [VatFile.from_bytes(e.data).tokens() for e in (found, alone)]
        assert sum(a == b for a, b in zip(*tokens, strict=True)) > 0.9 * len(tokens[0])


@pytest.mark.usefixtures("hurried")
def test_the_progress_has_the_best_fscore_so_far(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, told = Codec("cpu", tiny_weights), list[tuple[int, float]]()
    # The encoder's, then the second round's and the third's at three levels each.
    scores = iter((0.1, 0.3, 0.2, 0.2, 0.25, 0.2, 0.2))

    def measured(field: object, tokens: bytes, level: int, *_: object) -> Candidate:
        return Candidate(tokens, level, (next(scores), 0.5), np.zeros((0, 3)))

    monkeypatch.setattr(codec, "_measure", measured)
    codec.encode_detailed(ball(), 128, 1, progress=lambda done, _, __, fscore: told.append((done, fscore)))
    assert told == [(step, 0.1) for step in range(1, 6)] + [(step, 0.3) for step in (6, 7)]


def test_what_has_no_unit_does_not_count(model: VariationalTokenizer) -> None:
    queries, distances, units = pool(0.9)
    units[:, ::2] = 0
    wrong = np.where(units > 0, distances, 1.0).astype(np.float32)
    right, same = (refine(model, first_guess(), queries, d, units, [30], [], 3) for d in (distances, wrong))
    assert all(torch.equal(a, b) for a, b in zip(right, same, strict=True))
    other = refine(model, first_guess(), queries, wrong, np.ones_like(units), [30], [], 3)
    assert not all(torch.equal(a, b) for a, b in zip(right, other, strict=True))


def test_the_unit_of_a_distance_is_its_length_in_the_mesh(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *_: NO_AXES)
    codec, sides = Codec("cpu", tiny_weights), np.array((4.0, 2.0, 1.0))
    subject = codec.prepare(trimesh.creation.box(2 * sides))
    queries, _, units = codec._targets(subject, np.zeros((0, 3)), 8000, np.random.default_rng(0))
    off = np.abs(queries[0])
    for axis, unit in enumerate((1.0, 0.5, 0.25)):
        others = np.delete(off, axis, axis=1).max(axis=1)
        beside = (np.abs(off[:, axis] - 1) < 0.04) & (others < 0.8)  # a face of the cube, but not its edges
        assert beside.sum() > 50
        assert np.isclose(units[0, beside], unit).mean() > 0.95


def test_the_seed_decides(model: VariationalTokenizer) -> None:
    def run(seed: int) -> list[Tensor]:
        return refine(model, first_guess(), *pool(0.9), [30], [1, 2], 6, seed)

    first, again, other = run(1), run(1), run(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_digits_of_absent_tokens_do_not_move(model: VariationalTokenizer) -> None:
    digits, tokens = first_guess(), 20
    refined = refine(model, digits, *pool(0.9), [tokens], [], 3)
    moved = [(a != b).any(-1, keepdim=True) for a, b in zip(digits, refined, strict=False)]
    for mask, change in zip(token_masks(torch.tensor([tokens]), TINY), moved, strict=True):
        assert torch.equal(change, mask.bool())


def test_digits_stay_near_their_levels(model: VariationalTokenizer) -> None:
    """However far out the encoder put them, a few steps take them back."""
    levels = model.quantizer.levels
    far = [torch.full_like(d, 9.0) for d in first_guess()]
    refined = refine(model, far, *pool(0.9), [TINY.max_tokens], [], 12)
    moved = torch.cat([squash(d, levels)[d != 9.0] for d in refined])
    assert len(moved) > 100
    assert moved.abs().max() <= (levels[0] - 1) / 2 + 0.1 + 1e-5
    assert (moved < (levels[0] - 2) / 2).any()  # another level than the last


def test_a_stop_keeps_the_steps_so_far(model: VariationalTokenizer) -> None:
    done: list[int] = []

    def run(stop_after: int) -> list[Tensor]:
        done.clear()
        return refine(
            model,
            first_guess(),
            *pool(0.9),
            [30],
            [],
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
        refine(model, first_guess(), *pool(0.9), [30], [], 5, progress=stop)
