"""The smallest size whose decode, measured, reaches a quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trimesh

from meshcodec.config import SIZES, TAUS
from meshcodec.errors import DoesNotFitError, UsageError
from meshcodec.metrics import Reference, Scores
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
    scores : scores of its decode
    met : whether it meets the target
    """

    encoded: Encoded
    scores: Scores
    met: bool


def check_target(target: Target) -> None:
    """Raise UsageError for a distance at which no F-score is measured."""
    if target.tau not in TAUS:
        known = ", ".join(map(str, TAUS))
        raise UsageError(f"an F-score at {target.tau} is not measured", f"choose one of {known}")


def smallest_sufficient(
    target: Target,
    reference: Reference,
    encode: Callable[[int], Encoded],
    decode: Callable[[bytes], trimesh.Trimesh],
    stop: Callable[[], bool] | None = None,
) -> Measured:
    """The smallest preset size whose decode meets a target, or the best there is.

    Parameters
    ----------
    target : quality to reach
    reference : what decodes are measured against
    encode : a size in bytes -> a file
    decode : bytes of a file -> its mesh
    stop : when it says True after a size, no larger one is tried

    Raises what `encode` does; DoesNotFitError only of the largest size.
    """
    found: list[Measured] = []
    sizes = sorted(SIZES.values())
    for size in sizes:
        try:
            encoded = encode(size)
        except DoesNotFitError:
            if size == sizes[-1]:
                raise
            continue
        scores = reference.score(decode(encoded.data), exterior=False, points=False, iou=False)
        found.append(Measured(encoded, scores, target.met_by(scores)))
        if found[-1].met or (stop is not None and stop()):
            break
    if found[-1].met:
        return found[-1]
    if target.min_fscore is None:
        return min(found, key=lambda m: m.scores.p95)
    return max(found, key=lambda m: target.fscore(m.scores))
