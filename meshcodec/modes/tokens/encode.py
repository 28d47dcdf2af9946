"""A prepared mesh to a file of tokens: rounds of refinement, each judged by the decode."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from meshcodec.modes.result import Encoded, Progress
from meshcodec.modes.tokens.refine import Progress as RoundProgress
from meshcodec.modes.tokens.refine import RefinementJob, RefinementResult

PERFECT = 0.9995
"""Of F-scores from which on no better tokens are looked for."""


def in_step(
    encodings: Sequence[Generator[RefinementJob, RefinementResult, Encoded]],
    refine_all: Callable[[Sequence[RefinementJob]], list[RefinementResult]],
) -> list[Encoded]:
    """What encodings come to when those that ask for a round are all answered at once."""
    asked: dict[int, RefinementJob] = {}
    done: dict[int, Encoded] = {}

    def go_on(place: int, answer: RefinementResult | None) -> None:
        try:
            asked[place] = next(encodings[place]) if answer is None else encodings[place].send(answer)
        except StopIteration as end:
            done[place] = end.value

    for place in range(len(encodings)):
        go_on(place, None)
    while asked:
        answers = dict(zip(asked, refine_all(list(asked.values())), strict=True))
        asked.clear()
        for place, answer in answers.items():
            go_on(place, answer)
    return [done[place] for place in range(len(encodings))]


def after(progress: Progress | None, done: int, total: int, fscore: float) -> RoundProgress | None:
    """The progress of a round as that of all rounds."""
    if progress is None:
        return None
    return lambda step, steps, loss: progress(done + step, total, loss, fscore)
