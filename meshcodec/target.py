"""The smallest size whose decode, measured, reaches a quality."""

from __future__ import annotations

from dataclasses import dataclass

from meshcodec.config import TAUS
from meshcodec.metrics import Scores
from meshcodec.modes.result import Encoded


@dataclass(frozen=True)
class Target:
    """A quality to reach; what is not asked for is None.

    Attributes
    ----------
    min_fscore : F-score to reach, 0..1
    tau : distance at which it is taken, one of `meshcodec.config.TAUS`
    max_error : 95th percentile of the distances not to exceed, in units of the longest half-extent
    """

    min_fscore: float | None = None
    tau: float = TAUS[0]
    max_error: float | None = None

    def fscore(self, scores: Scores) -> float:
        """The F-score that `min_fscore` is about."""
        return scores.at(self.tau)

    def met_by(self, scores: Scores) -> bool:
        """Whether measured scores reach the target."""
        enough = self.min_fscore is None or self.fscore(scores) >= self.min_fscore
        return enough and (self.max_error is None or scores.p95 <= self.max_error)

    def missed_by(self, measured: Measured) -> str:
        """What was asked for, and what the best file has."""
        wanted, got = [], []
        if self.min_fscore is not None:
            wanted.append(f"F@{self.tau} {self.min_fscore:g}")
            got.append(f"F@{self.tau} {self.fscore(measured.scores):.4f}")
        if self.max_error is not None:
            wanted.append(f"an error of {self.max_error:g}")
            got.append(f"an error of {measured.scores.p95:.4f}")
        size = len(measured.encoded.data)
        return f"no size reaches {' and '.join(wanted)}: the best, of {size} bytes, has {' and '.join(got)}"


@dataclass(frozen=True)
class Measured:
    """The outcome of encoding to a target.

    Attributes
    ----------
    encoded : the smallest file that meets the target or, where none does, the best
    scores : of its decode
    met : whether it meets the target
    """

    encoded: Encoded
    scores: Scores
    met: bool
