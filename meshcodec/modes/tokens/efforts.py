"""What each effort spends on one mesh."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """What an effort level spends.

    Attributes
    ----------
    rounds : gradient steps of each round; between rounds the result is measured and queries are drawn anew
    queries : query points in the pool of a short round, see `pool_size`
    hard_rounds : further rounds, for as long as the best F-score at 0.02 is below what is `easy`; the first
        of them also where the encoder's tokens are kept for one F-score although the sum of the refined
        ones' is higher
    """

    rounds: tuple[int, ...]
    queries: int
    hard_rounds: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Gradient steps for a mesh that is not hard."""
        return sum(self.rounds)

    def pool_size(self, steps: int) -> int:
        """Query points for a round of so many steps, each of which draws `STEP_QUERIES` of them."""
        return max(self.queries, _POOL_STEP * steps)

    def schedule(self, number: int) -> tuple[int, ...]:
        """The rounds that are certain when round `number` begins."""
        return (self.rounds + self.hard_rounds)[: max(len(self.rounds), number + 1)]


EFFORTS = (
    Effort((), 0),
    Effort((20,), 40_000),
    Effort((50,), 40_000),
    Effort((75,), 40_000),
    Effort((60, 40), 40_000, hard_rounds=(100, 150, 250, 300)),
    Effort((60, 40, 100), 40_000, hard_rounds=(150, 250, 300)),
    Effort((60, 40, 100, 150), 40_000, hard_rounds=(250, 300)),
    Effort((60, 40, 100, 150, 250), 40_000, hard_rounds=(300,)),
    Effort((60, 40, 100, 150, 250, 300), 40_000),
    Effort((60, 40, 100, 150, 250, 300, 300), 40_000),
)
"""Levels 0 to 9. From 4 on a level begins with the rounds of the one below: it cannot end below it."""
_EASY, _EASY_LARGE = (0.9, 0.9, 0.0, 0.0), (0.98, 0.98, 0.95, 0.95)
"""F-scores with which no third to sixth round is needed; the latter from `_LARGE` bytes on."""
_LARGE = 2048


def early_stop_fscore(size: int, number: int) -> float:
    """The F-score at 0.02 with which a file of `size` bytes needs no hard round `number`, counted from 2."""
    return (_EASY_LARGE if size >= _LARGE else _EASY)[number - 2]


_POOL_STEP = 600
"""Query points that a pool has at least for each step: the digits learn by heart what they see often."""
FIRST_RATE, LATER_RATE = 0.3, 0.2
"""Of Adam at the first step of the first and of each later round, in levels of a digit; a cosine takes it to
zero."""
