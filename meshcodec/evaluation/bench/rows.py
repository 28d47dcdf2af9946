"""One row of the benchmark: a mesh, a codec, a size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from meshcodec.evaluation.bounds import convex_hull, target_surface
from meshcodec.evaluation.measured import MeasuredFile, scores_from_row

OURS = "meshcodec"
"""Name of our own codec in rows and tables."""
BASELINES = ("draco", "draco-fitted", "hull", "target")
"""``draco``: the best of decimation and Draco at the size. ``draco-fitted``: the same, where the vertices of
decimated meshes may be moved by our least squares first. ``hull``: the convex hull. ``target``: the surface
that our codec is asked for, which is as good as its decodes can become. The last two have no size."""
DRACO = ("draco", "draco-fitted")
"""Baselines whose files are Draco's."""
SIZELESS = {"hull": convex_hull, "target": target_surface}
"""Baselines without a size, and what makes their mesh of a mesh."""


@dataclass(frozen=True, kw_only=True)
class BenchRow(MeasuredFile):
    """One mesh through one codec at one size; the same for every codec.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the mesh file, in hex; empty where it could not be read.
    codec : str
        `OURS` or one of `BASELINES`.
    size : int or None
        Bytes allowed; None for a codec without a size.
    bytes : int or None
        Bytes taken; None for a codec without a file, 0 where there is none because of an error.
    model_id : str
        Id of our model, 8 hex digits; empty for the baselines.
    settings : dict
        What the codec was told, or has chosen.
    closed : bool
        Whether the decode is closed, see `meshcodec.metrics.is_closed`.
    """

    COLUMNS = (
        *("file", "sha256", "codec", "size", "bytes", "model_id", "settings"),
        *("closed", "encode_seconds", "decode_seconds"),
    )

    sha256: str
    codec: str
    size: int | None
    model_id: str
    settings: dict[str, Any]
    closed: bool = False

    @property
    def of_closed(self) -> bool:
        """Whether the original is closed, as far as a decode was compared with it."""
        return not self.error and self.scores.volume_iou is not None

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> BenchRow:
        """The row that `to_dict` was made of. Raises KeyError where a column is missing."""
        own = {name: row[name] for name in (*cls.COLUMNS, "error")}
        return cls(**own, scores=scores_from_row(row))


def sizes_of(codec: str, sizes: Sequence[int]) -> list[int | None]:
    """The sizes, or None alone for a codec without a size."""
    return [None] if codec in SIZELESS else list(sizes)


def mean(values: Iterable[float]) -> float:
    """The mean of numbers; 0 of none."""
    listed = list(values)
    return float(sum(listed) / len(listed)) if listed else 0.0
