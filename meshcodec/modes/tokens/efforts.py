"""What each effort spends on one mesh, and when a mesh gets more."""

from __future__ import annotations

from dataclasses import dataclass

from meshcodec.modes.result import MOST


@dataclass(frozen=True)
class Effort:
    """Rounds of refinement and query points of one effort.

    Attributes
    ----------
    rounds : gradient steps of each round; between rounds the result is measured and queries are drawn anew
    queries : query points in the pool of a short round, see `pool_size`
    extended_rounds : further rounds, for as long as the best F-score at 0.02 is below that of `EarlyStop`;
        the first of them also where the encoder's tokens are kept for one F-score although the sum of the
        refined ones' is higher
    queries_per_step : query points that a pool has at least for each step, because codes learn by heart what
        they see often (docs/experiments/refinement.md, "Query pools")
    """

    rounds: tuple[int, ...]
    queries: int
    extended_rounds: tuple[int, ...] = ()
    queries_per_step: int = 600

    @property
    def steps(self) -> int:
        """Gradient steps for a mesh that stops early."""
        return sum(self.rounds)

    @property
    def all_rounds(self) -> tuple[int, ...]:
        """Steps of each round, the extended ones included."""
        return self.rounds + self.extended_rounds

    def pool_size(self, steps: int) -> int:
        """Query points for a round of so many steps."""
        return max(self.queries, self.queries_per_step * steps)

    def schedule(self, number: int) -> tuple[int, ...]:
        """The rounds that are certain when round `number` begins."""
        return self.all_rounds[: max(len(self.rounds), number + 1)]


EFFORTS = (
    Effort((), 0),
    Effort((20,), 40_000),
    Effort((20, 40), 40_000),
    Effort((20, 40, 40), 40_000),
    Effort((20, 40, 40), 40_000, extended_rounds=(100, 150)),
    Effort((20, 40, 40, 100), 40_000, extended_rounds=(150,)),
    Effort((20, 40, 40, 100, 150), 40_000),
    Effort((20, 40, 40, 100, 150, 80), 40_000),
    Effort((20, 40, 40, 100, 150, 80, 70), 40_000),
    Effort((20, 40, 40, 100, 150, 80, 70, 60), 40_000),
)
"""Efforts 0 to 9. Each begins with the rounds of the one below, from which it takes only what is better: no
effort ends below a lower one (docs/experiments/refinement.md, "Nested efforts")."""


@dataclass(frozen=True)
class EarlyStop:
    """F-scores at 0.02 with which a mesh needs no extended round.

    Attributes
    ----------
    fscores : for the fourth round and the fifth; the thresholds are by hand, that further rounds help
        is measured (docs/experiments/refinement.md, "Extended schedule")
    large_fscores : the same for files of `large_size` bytes and more, and for meshes of sheets alone, which
        have holes below it (docs/experiments/target.md, "Thicker sheets")
    large_size : bytes
    hopes : share of what a total lacks to `MOST` that further rounds win at most, after the first round, the
        second and so on, the last for all that follow: a mesh whose total with another way of coding is
        beyond that gets no further round (docs/experiments/refinement.md, "Rounds that cannot win")
    """

    fscores: tuple[float, ...] = (0.9, 0.9)
    large_fscores: tuple[float, ...] = (0.98, 0.98)
    large_size: int = 2048
    hopes: tuple[float, ...] = (0.6, 0.35, 0.12, 0.05)

    def is_beaten(self, total: float, rival: float, rounds: int) -> bool:
        """Whether what has such a total after so many rounds, one at least, cannot reach that of a rival."""
        hope = self.hopes[min(rounds, len(self.hopes)) - 1]
        return total + hope * (MOST - total) < rival

    def fscore(self, size: int, only_sheets: bool, number: int) -> float:
        """The F-score with which a file of `size` bytes needs no extended round `number`, counted from 3."""
        large = size >= self.large_size or only_sheets
        return (self.large_fscores if large else self.fscores)[number - 3]
