"""Which of two candidates is better: F-scores of their decodes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import TAUS
from meshcodec.metrics import Reference
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.prepare import PreparedMesh
from meshcodec.modes.result import DEFAULT_RESOLUTION

if TYPE_CHECKING:
    from meshcodec.api import Codec

CHECK_SAMPLES = 30_000
CHECK_RESOLUTION = 160
EXACT_RESOLUTION = DEFAULT_RESOLUTION
"""Of coarse measurements, and of those that are to be what a user finds in the decoded file."""
JUDGED = TAUS[:2]
"""Distances of the F-scores by which candidates are compared."""
_CLEAR = 0.02
"""F-scores that differ by this much in the coarse measurement differ in the exact one too."""
LEVEL_STEPS = (2, 1)
NEAR_LEVELS = (1, -1, 2, -2)
MAX_LEVEL = 20
"""Steps in which the level is searched by coarse scores and by exact ones, and how far, in `LEVEL_UNIT`s."""


@dataclass(frozen=True)
class Candidate:
    """Tokens and a level, F-scores of theirs at `_JUDGED`, and (V, 3) points of their surface in the cube."""

    tokens: bytes
    level: int
    fscores: tuple[float, ...]
    surface: NDArray[np.float64]

    @property
    def quality(self) -> float:
        """The sum of the F-scores."""
        return sum(self.fscores)


def _differences(after: Sequence[float], before: Sequence[float]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(after, before, strict=True))


def clearly_lower(new: Candidate, old: Candidate) -> bool:
    return max(_differences(new.fscores, old.fscores)) <= -_CLEAR


class Exact:
    """Tells whether a candidate is better, as a user would measure it where the coarse scores are close."""

    def __init__(self, codec: Codec, model: VariationalTokenizer, subject: PreparedMesh) -> None:
        self._codec, self._model, self._subject = codec, model, subject
        self._known: dict[tuple[bytes, int], tuple[float, ...]] = {}

    def improves(self, new: Candidate, old: Candidate) -> bool:
        """Whether `new` has a higher sum of F-scores than `old` and none that is lower."""
        gains = self.gains(new, old)
        return sum(gains) > 0 and min(gains) >= 0

    def gains(self, new: Candidate, old: Candidate) -> tuple[float, ...]:
        """What `new` has of each F-score beyond `old`; exact where it is close."""
        coarse = _differences(new.fscores, old.fscores)
        if min(coarse) >= _CLEAR or clearly_lower(new, old):
            return coarse
        return _differences(self._fscores(new), self._fscores(old))

    def _fscores(self, candidate: Candidate) -> tuple[float, ...]:
        key = candidate.tokens, candidate.level
        if key not in self._known:
            placement = self._subject.placement
            field = self._codec._field(self._model, candidate.tokens)
            found = self._codec._surface(field, candidate.level, EXACT_RESOLUTION, placement.mirrored)
            decoded = placement.to_world(found.vertices), found.faces
            self._known[key] = self._reference.fscore(decoded, JUDGED)
        return self._known[key]

    @functools.cached_property
    def _reference(self) -> Reference:
        return Reference(self._subject.mesh)
