"""One row of the benchmark: a mesh, a codec, a size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from meshcodec.config import TAUS
from meshcodec.evaluation.baselines import convex_hull, target_surface
from meshcodec.metrics import Scores

OURS = "meshcodec"
"""Name of our own codec in rows and tables."""
BASELINES = ("draco", "hull", "target")
"""``draco``: the best of decimation and Draco at the size. ``hull``: the convex hull. ``target``: the surface
that our codec is asked for, which is as good as its decodes can become. The last two have no size."""
SIZELESS = {"hull": convex_hull, "target": target_surface}
TAGS = dict(zip(TAUS, ("002", "001", "0005"), strict=True))


@dataclass(frozen=True)
class BenchRow:
    """One mesh through one codec at one size; the same for every codec.

    Attributes
    ----------
    file : str
        Path below the folder, with forward slashes.
    sha256 : str
        Of the file; empty where it could not be read.
    codec : str
        `OURS` or one of `BASELINES`.
    size : int or None
        Bytes allowed; None for a codec without a size.
    bytes : int or None
        Bytes taken; None for a codec without a file, 0 where there is none because of an error.
    model_id : str
        Of our codec, 8 hex digits; empty for the others.
    settings : dict
        What the codec was told, or has chosen.
    encode_seconds, decode_seconds : float
    scores : Scores
    error : str
        Why there is no decoded mesh; empty where there is one.
    """

    file: str
    sha256: str
    codec: str
    size: int | None
    bytes: int | None
    model_id: str
    settings: dict[str, Any]
    encode_seconds: float
    decode_seconds: float
    scores: Scores
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Flat: the scores beside the rest, infinite distances as None, which JSON and CSV can hold."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scores", "error")}
        for name, value in self.scores.to_dict().items():
            row[name] = None if isinstance(value, float) and math.isinf(value) else value
        return {**row, "error": self.error}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> BenchRow:
        """The row that `to_dict` was made of. Raises KeyError where a field is missing."""
        own = {f.name: row[f.name] for f in fields(cls) if f.name != "scores"}
        scores = {f.name: row[f.name] for f in fields(Scores)}
        for name in ("chamfer", "p95", "max"):
            scores[name] = float("inf") if scores[name] is None else scores[name]
        return cls(**own, scores=Scores(**scores))


def f_of(row: BenchRow, tau: float) -> float:
    """The row's F-score at one of `TAUS`."""
    return float(getattr(row.scores, f"f_{TAGS[tau]}"))


def sizes_of(codec: str, sizes: Sequence[int]) -> list[int | None]:
    return [None] if codec in SIZELESS else list(sizes)


def mean(values: Any) -> float:
    listed = list(values)
    return float(sum(listed) / len(listed)) if listed else 0.0
