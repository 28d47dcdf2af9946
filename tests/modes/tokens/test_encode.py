"""The rounds of refinement of one mesh, and of several in one batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.refinement import COARSE, HURRIED
from support.tiny import BALL_RADIUS

from meshcodec.api import Codec
from meshcodec.config import TAUS
from meshcodec.format.container import VatFile
from meshcodec.metrics import fscore
from meshcodec.modes.choose import CodecSettings
from meshcodec.modes.result import Encoded
from meshcodec.modes.tokens.efforts import EarlyStop, Effort
from meshcodec.modes.tokens.encode import Refinement, run_rounds
from meshcodec.modes.tokens.fill import TokenBudget
from meshcodec.modes.tokens.judge import Candidate, Judge
from meshcodec.modes.tokens.settings import TokenRequest, TokenSettings
from meshcodec.surface.field import Field

NOWHERE = np.zeros((0, 3))
SHORT = TokenSettings(efforts=(Effort((5, 7, 2), 4000, extended_rounds=(3, 4)),))


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, BALL_RADIUS)
    return mesh


class Scripted(Judge):
    """Counts the rounds that were begun, and decodes nothing."""

    rounds = 0

    def coarse_quality(self, field: Field, iso_offset: int) -> float:
        return self.measure(field, b"", iso_offset).quality

    def field(self, tokens: bytes) -> Field:
        return lambda points: points[:, 0]

    def cached_field(self, tokens: bytes) -> Field:
        self.rounds += 1
        return self.field(tokens)

    def gains(self, new: Candidate, old: Candidate) -> tuple[float, ...]:
        return (new.quality - old.quality,)


def run(
    codec: Codec, judge: Scripted, settings: TokenSettings, request: TokenRequest, rival: float = 0.0
) -> Encoded:
    """Encode the ball with such a judge."""
    prepared = codec.prepare(ball())
    model = codec.engine.encoding.entropy_model if request.packing == "coded" else None
    budget = TokenBudget(request.size, True, codec.config, model, version=1)
    refinement = Refinement(codec.engine, prepared, budget, request, settings, judge, rival)
    run_rounds(codec.engine, [refinement], request.stop, settings.refine)
    return refinement.encoded()


@pytest.mark.slow
def test_nothing_is_looked_for_beyond_saturated_fscores(tiny_weights: Path) -> None:
    class Rising(Scripted):
        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (1.0, 0.8 + 0.1 * self.rounds), NOWHERE)

    codec = Codec("cpu", tiny_weights)
    judge = Rising(codec.engine, codec.prepare(ball()))
    settings = TokenSettings(efforts=(Effort((2, 2, 2, 2), 4000),))
    run(codec, judge, settings, TokenRequest(128, 0, "bytes"))
    assert judge.rounds == 2


@pytest.mark.slow
@pytest.mark.parametrize(("rival", "rounds"), [(0.0, 4), (3.0, 4), (3.08, 2), (3.1, 1)])
def test_what_cannot_win_gets_no_further_round(tiny_weights: Path, rival: float, rounds: int) -> None:
    class Rising(Scripted):
        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (0.5 + 0.1 * self.rounds,), NOWHERE)

        def total(self, candidate: Candidate) -> float:
            return 2.0 + candidate.quality

    codec = Codec("cpu", tiny_weights)
    judge = Rising(codec.engine, codec.prepare(ball()))
    settings = TokenSettings(efforts=(Effort((2, 2, 2, 2), 4000),), early_stop=EarlyStop(hopes=(0.35, 0.25)))
    run(codec, judge, settings, TokenRequest(128, 0, "bytes"), rival)
    assert judge.rounds == rounds


@pytest.mark.slow
def test_the_file_has_the_iso_offset_that_was_measured(tiny_weights: Path) -> None:
    class Peaked(Scripted):
        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (1 - abs(iso_offset + 4) + 10 * bool(self.rounds),), NOWHERE)

    codec = Codec("cpu", tiny_weights)
    judge = Peaked(codec.engine, codec.prepare(ball()))
    settings = dataclasses.replace(COARSE, warm_ups=0)
    data = run(codec, judge, settings, TokenRequest(128, 1, "bytes")).data
    assert VatFile.from_bytes(data).iso_offset == -4
    assert len(data) <= 128


@pytest.mark.slow
@pytest.mark.parametrize(
    ("enough", "steps"), [((0.0, 1.1), [5, 7, 2]), ((1.1, 0.0), [5, 7, 2, 3]), ((1.1, 1.1), [5, 7, 2, 3, 4])]
)
def test_meshes_below_the_early_stop_get_more_rounds(
    tiny_weights: Path, enough: tuple[float, float], steps: list[int]
) -> None:
    settings = dataclasses.replace(SHORT, early_stop=EarlyStop(fscores=enough), judge=HURRIED.judge)
    seen: list[tuple[int, int]] = []
    Codec("cpu", tiny_weights, settings=CodecSettings(tokens=settings)).encode_detailed(
        trimesh.creation.icosphere(2), 64, 0, progress=lambda done, total, *_: seen.append((done, total))
    )
    known = [sum(steps[: max(3, number + 1)]) for number in range(len(steps))]
    totals = [total for total, count in zip(known, steps, strict=True) for _ in range(count)]
    assert seen == list(zip(range(1, sum(steps) + 1), totals, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("taken", "rounds"), [(1, 3), (3, 3), (4, 4), (9, 4)])
def test_what_failed_the_pareto_check_gets_one_more_round(
    tiny_weights: Path, taken: int, rounds: int
) -> None:
    """The first score is that of the encoder's tokens, the `taken`-th after it the first to be taken."""

    class Strict(Scripted):
        judged = 0

        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (0.95 + 0.01 * self.rounds,), NOWHERE)

        def gains(self, new: Candidate, old: Candidate) -> tuple[float, ...]:
            self.judged += 1
            return (0.01 if self.judged >= taken else -0.01,)

    codec = Codec("cpu", tiny_weights)
    judge = Strict(codec.engine, codec.prepare(ball()))
    run(codec, judge, SHORT, TokenRequest(128, 0, "bytes"))
    assert judge.rounds == rounds


@pytest.mark.slow
def test_a_stop_in_the_first_round_still_has_its_result_measured(tiny_weights: Path) -> None:
    class Rising(Scripted):
        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (0.1 + 0.1 * self.rounds,), NOWHERE)

    codec = Codec("cpu", tiny_weights)
    judge, steps = Rising(codec.engine, codec.prepare(ball())), list[int]()
    request = TokenRequest(
        128, 0, "bytes", progress=lambda done, *_: steps.append(done), stop=lambda: len(steps) >= 2
    )
    encoded = run(codec, judge, SHORT, request)
    assert (steps, judge.rounds) == ([1, 2], 1)
    assert encoded.interrupted
    assert encoded.refined


@pytest.mark.slow
def test_meshes_encoded_together_are_as_each_alone(tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights, settings=CodecSettings(tokens=HURRIED))
    meshes = codec.prepare_many([ball(), trimesh.creation.box((1, 2, 3)), trimesh.creation.icosphere(2)])
    together = codec.encode_subjects(meshes, 128, 1)
    for mesh, found in zip(meshes, together, strict=True):
        alone = codec.encode_subject(mesh, 128, 1)
        assert found.refined == alone.refined
        assert set(found.seconds) == set(alone.seconds)
        tokens = [VatFile.from_bytes(e.data).tokens() for e in (found, alone)]
        assert sum(a == b for a, b in zip(*tokens, strict=True)) > 0.9 * len(tokens[0])


@pytest.mark.slow
def test_the_progress_has_the_best_fscore_so_far(tiny_weights: Path) -> None:
    # The encoder's, those of two warm-up rounds, of the third round and the fourth.
    scores = iter((0.1, 0.15, 0.12, 0.3, 0.25))

    class Listed(Scripted):
        def coarse_quality(self, field: Field, iso_offset: int) -> float:
            return 0.0

        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (next(scores), 0.5), NOWHERE)

    codec, seen = Codec("cpu", tiny_weights), list[tuple[int, float]]()
    judge = Listed(codec.engine, codec.prepare(ball()), HURRIED.judge)
    request = TokenRequest(128, 1, "bytes", progress=lambda done, _, __, fscore: seen.append((done, fscore)))
    run(codec, judge, HURRIED, request)
    assert seen == [(1, 0.1)] + [(step, 0.15) for step in range(2, 6)] + [(step, 0.3) for step in (6, 7)]


@pytest.mark.slow
def test_no_effort_gives_less_than_the_one_below(tiny_weights: Path) -> None:
    """Measured as a user does, on what is written; each effort begins with the rounds of the one below."""
    rounds = ((), (2,), (2, 3), (2, 3, 2), (2, 3, 2, 4))
    judge = dataclasses.replace(HURRIED.judge, offset_steps=(4, 1), margin=1.0)
    settings = TokenSettings(efforts=tuple(Effort(some, 2000) for some in rounds), judge=judge)
    codec = Codec("cpu", tiny_weights, settings=CodecSettings(tokens=settings))
    for mesh in (ball(), trimesh.creation.box((1, 2, 3))):
        prepared = codec.prepare(mesh)
        before: tuple[float, ...] = (0.0, 0.0)
        for effort in range(len(rounds)):
            data = codec.encode_subject(prepared, 128, effort, mode="tokens").data
            found = fscore(mesh, codec.decode(data, judge.resolution), TAUS[:2], judge.full_samples)
            assert min(np.subtract(found, before)) >= 0, f"effort {effort}: {before} -> {found}"
            before = found
        assert before[0] > 0


@pytest.mark.slow
def test_every_effort_begins_with_what_effort_0_writes(tiny_weights: Path) -> None:
    """Where nothing refined is better, the file is the same."""

    class Falling(Scripted):
        def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
            return Candidate(tokens, iso_offset, (1 - 0.1 * self.rounds,), NOWHERE)

    codec = Codec("cpu", tiny_weights, settings=CodecSettings(tokens=HURRIED))
    judge = Falling(codec.engine, codec.prepare(ball()), HURRIED.judge)
    kept = run(codec, judge, HURRIED, TokenRequest(128, 1, "coded"))
    assert judge.rounds == 3
    assert not kept.refined
    assert kept.data == codec.encode(ball(), 128, effort=0, mode="tokens")
