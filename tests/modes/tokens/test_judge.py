"""Which candidate is better."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from support.tiny import BALL_RADIUS

from meshcodec.api import Codec
from meshcodec.config import TAUS
from meshcodec.format.container import VatFile
from meshcodec.metrics import fscore, score
from meshcodec.modes.tokens.judge import Candidate, Judge
from meshcodec.modes.tokens.settings import JudgeSettings
from meshcodec.surface.field import Field

NOWHERE = np.zeros((0, 3))


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, BALL_RADIUS)
    return mesh


@pytest.fixture(scope="module")
def codec(tiny_weights: Path) -> Codec:
    return Codec("cpu", tiny_weights)


@pytest.mark.parametrize(("peak", "found"), [(0, 0), (6, 6), (-9, -9), (50, 20)])
def test_the_iso_offset_is_found_by_climbing(codec: Codec, peak: int, found: int) -> None:
    class Peaked(Judge):
        def coarse_quality(self, field: Field, iso_offset: int) -> float:
            return -abs(iso_offset - peak)

        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (-abs(iso_offset - peak),), NOWHERE)

    judge = Peaked(codec.engine, codec.prepare(ball()))
    candidate = Candidate(bytes(20), 0, (-abs(peak),), NOWHERE)
    assert judge.tuned(torch.zeros_like, candidate).iso_offset == found


def test_an_iso_offset_that_only_the_coarse_grid_likes_is_not_taken(codec: Codec) -> None:
    class Deceived(Judge):
        def coarse_quality(self, field: Field, iso_offset: int) -> float:
            return -abs(iso_offset - 3)

        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (0.5,), NOWHERE)

    candidate = Candidate(bytes(20), 0, (0.6,), NOWHERE)
    assert Deceived(codec.engine, codec.prepare(ball())).tuned(torch.zeros_like, candidate) is candidate


@pytest.mark.parametrize(
    ("by_proxy", "in_full", "better"),
    [
        ((0.5, 0.4), None, True),  # clearly higher in both: not measured again
        ((0.38, 0.2), None, False),  # clearly lower in both: neither
        ((0.395, 0.28), (0.71, 0.61), True),  # not clearly
        ((0.49, 0.2), (0.7, 0.59), False),
        ((0.41, 0.35), (0.7, 0.61), True),
        ((0.41, 0.35), (0.72, 0.59), False),  # higher in the sum, lower in one
        ((0.41, 0.35), (0.7, 0.6), False),  # no change
    ],
)
def test_a_candidate_is_better_when_no_fscore_is_lower(
    codec: Codec, by_proxy: tuple[float, float], in_full: tuple[float, float] | None, better: bool
) -> None:
    old, new = (Candidate(t, 0, f, NOWHERE) for t, f in ((b"old", (0.4, 0.3)), (b"new", by_proxy)))
    asked: list[bytes] = []

    class Known(Judge):
        def full_fscores(self, candidate: Candidate) -> tuple[float, ...]:
            assert in_full is not None
            asked.append(candidate.tokens)
            return in_full if candidate is new else (0.7, 0.6)

    assert Known(codec.engine, codec.prepare(ball())).improves(new, old) is better
    assert sorted(asked) == ([b"new", b"old"] if in_full else [])


@pytest.mark.parametrize(
    ("gains", "iso_offset"),
    [
        ({4: (0.02, 0.01), 5: (0.03, 0.03)}, 4),
        ({4: (0.02, -0.01), 5: (0.02, -0.02), 3: (0.01, 0.01)}, 3),
        ({4: (-0.01, 0.02), 5: (-0.01, 0.0), 3: (-0.1, 0.0), 6: (0.0, 0.01), 2: (0.5, 0.5)}, 6),
        ({4: (0.02, -0.01), 5: (0.02, -0.02), 3: (0.1, -0.1), 6: (0.0, 0.0), 2: (1, -0.001)}, None),
        ({4: (0.01, -0.02), 5: (0.5, 0.5)}, None),  # lower in the sum: no other iso offset is tried
    ],
)
def test_a_candidate_that_is_lower_in_one_fscore_may_be_better_at_an_iso_offset_nearby(
    codec: Codec, gains: dict[int, tuple[float, float]], iso_offset: int | None
) -> None:
    class Scripted(Judge):
        def gains(self, new: Candidate, old: Candidate) -> tuple[float, ...]:
            return gains[new.iso_offset]

        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (0.5, 0.5), NOWHERE)

    old, new = (Candidate(bytes([iso_offset]) * 8, iso_offset, (0.5, 0.5), NOWHERE) for iso_offset in (0, 4))
    better = Scripted(codec.engine, codec.prepare(ball())).improvement(torch.zeros_like, new, old)
    assert (better and better.iso_offset) == iso_offset
    assert better is None or better.tokens == new.tokens


@pytest.mark.slow
def test_the_full_fscores_are_those_of_the_decoded_file(codec: Codec) -> None:
    prepared = codec.prepare(ball())
    data = codec.encode_subject(prepared, 256, 0).data
    judge = Judge(codec.engine, prepared, JudgeSettings(resolution=64))
    candidate = Candidate(VatFile.from_bytes(data).tokens(), 0, (0.0, 0.0), NOWHERE)
    wanted = fscore(prepared.mesh, codec.decode(data, 64), TAUS[:2])
    assert judge.full_fscores(candidate) == wanted
    # What was decoded for the proxy is not decoded again.
    measured = judge.measure(judge.field(candidate.tokens), candidate.tokens, 0)
    again = Judge(codec.engine, prepared, JudgeSettings(resolution=64))
    again.field = lambda tokens: pytest.fail("decoded twice")  # type: ignore[method-assign]
    assert again.full_fscores(measured) == wanted


def test_settings_are_those_of_a_decode_by_default() -> None:
    """What the judge calls full is what a user gets who measures the decoded file."""
    fields = {field.name: field.default for field in dataclasses.fields(JudgeSettings)}
    assert fields["resolution"] == Codec.decode.__defaults__[0]  # type: ignore[index]
    assert fields["full_samples"] == inspect.signature(score).parameters["samples"].default
