"""A mesh that went through a codec and was measured: what the rows of all tables have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from meshcodec.metrics import Scores


@dataclass(frozen=True, kw_only=True)
class MeasuredFile:
    """A mesh that was encoded, decoded and compared with what it was; tables add their own columns.

    Attributes
    ----------
    file : str
        Path of the mesh below its folder, with forward slashes.
    bytes : int or None
        Bytes that it takes; None where that is not known, or there is no file.
    scores : Scores
        Figures of the decode; those of an empty mesh where there is an error.
    encode_seconds, decode_seconds : float
        Seconds that it took; 0 where that was not measured.
    error : str
        Why there is nothing to measure; empty where there is.
    COLUMNS : tuple of str
        Names of the fields that stand before the scores in a table, in order.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ("file", "bytes", "encode_seconds", "decode_seconds")

    file: str
    bytes: int | None
    scores: Scores
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """One row for JSON and CSV: `COLUMNS`, the scores by their flat names, the error.

        Neither format holds an infinite distance: it becomes None.
        """
        row = {name: getattr(self, name) for name in self.COLUMNS}
        for name, value in self.scores.to_dict().items():
            row[name] = None if isinstance(value, float) and math.isinf(value) else value
        return {**row, "error": self.error}


def scores_from_row(row: Mapping[str, Any]) -> Scores:
    """The scores of a row of `MeasuredFile.to_dict`. Raises KeyError where a column is missing."""
    distances = {name: math.inf if row[name] is None else row[name] for name in ("chamfer", "p95", "max")}
    return Scores.from_dict({**row, **distances})
