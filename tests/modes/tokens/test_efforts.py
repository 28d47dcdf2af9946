"""Efforts: each spends more than the one below."""

from __future__ import annotations

import itertools

from meshcodec.modes.tokens.efforts import EFFORTS, EarlyStop


def test_efforts_grow() -> None:
    assert len(EFFORTS) == 10
    for lower, higher in itertools.pairwise(EFFORTS):
        assert (lower.steps, sum(lower.all_rounds)) < (higher.steps, sum(higher.all_rounds))
        assert lower.queries <= higher.queries
    assert [EFFORTS[4].pool_size(steps) for steps in (20, 60, 150)] == [40_000, 40_000, 90_000]
    # Whoever asks for more gets at least what less gives.
    for lower, higher in itertools.pairwise(EFFORTS):
        for least, most in ((lower.rounds, higher.rounds), (lower.all_rounds, higher.all_rounds)):
            assert most[: len(least)] == least
        assert higher.queries == lower.queries or not lower.rounds


def test_large_files_are_content_with_more() -> None:
    assert [EarlyStop().fscore(size, False, 3) for size in (512, 2047, 2048, 4096)] == [0.9, 0.9, 0.98, 0.98]
    assert EarlyStop().fscore(512, True, 3) == 0.98
    assert EarlyStop().fscore(4096, False, 4) == 0.98
    most = len(EFFORTS[4].rounds + EFFORTS[4].extended_rounds)
    for size in (512, 4096):
        wanted = [EarlyStop().fscore(size, False, number) for number in range(3, most)]
        assert wanted == sorted(wanted, reverse=True)


def test_what_is_surpassed_by_more_than_rounds_give_is_beaten() -> None:
    """A total of 2 lacks 2 to the most there is."""
    stop = EarlyStop(hopes=(0.3, 0.1))
    assert [stop.is_beaten(2.0, rival, 1) for rival in (2.59, 2.61)] == [False, True]
    assert [stop.is_beaten(2.0, rival, rounds) for rounds in (2, 5) for rival in (2.19, 2.21)] == [
        False,
        True,
    ] * 2
