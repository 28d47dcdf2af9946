"""Efforts: each spends more than the one below."""

from __future__ import annotations

import itertools

from meshcodec.modes.tokens.efforts import EFFORTS, EarlyStop


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
            (lower.rounds + lower.extended_rounds, higher.rounds + higher.extended_rounds),
        ):
            assert most[: len(least)] == least
        assert higher.queries == lower.queries


def test_large_files_are_content_with_more() -> None:
    assert [EarlyStop().fscore(size, 2) for size in (512, 2047, 2048, 4096)] == [0.9, 0.9, 0.98, 0.98]
    most = len(EFFORTS[4].rounds + EFFORTS[4].extended_rounds)
    for size in (512, 4096):
        wanted = [EarlyStop().fscore(size, number) for number in range(2, most)]
        assert wanted == sorted(wanted, reverse=True)
