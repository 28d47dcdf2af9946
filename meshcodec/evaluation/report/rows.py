"""One row of the report: a mesh and its decode."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from meshcodec.config import TAUS
from meshcodec.evaluation.report.pictures import Pictures
from meshcodec.metrics import Scores

NO_DECODE = "no decoded file"
"""What a row says of a reference without a partner."""
_F = ("f_002", "f_001", "f_0005")


@dataclass(frozen=True)
class Row:
    """One reference and what was decoded of it.

    Attributes
    ----------
    file : str
        The reference: its path below the folder, with forward slashes.
    decoded : str or None
        The same of the decoded mesh or ``.vat`` file; None where there is none.
    bytes_reference, bytes : int or None
        Sizes of the two files on disk.
    faces_reference, faces : int or None
        Triangles of the two meshes.
    scores : Scores
        All zeros where there is an error.
    error : str
        Why it could not be measured; else empty.
    pictures : Pictures or None
        For the page; None where none were asked for, or there is nothing to see.
    """

    file: str
    decoded: str | None
    bytes_reference: int | None
    bytes: int | None
    faces_reference: int | None
    faces: int | None
    scores: Scores
    error: str = ""
    pictures: Pictures | None = None

    def to_dict(self) -> dict[str, Any]:
        """Flat and without pictures; infinite distances are None, which JSON and CSV can hold."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_FLAT}
        for name, value in self.scores.to_dict().items():
            row[name] = None if isinstance(value, float) and math.isinf(value) else value
        return {**row, "error": self.error}


_NOT_FLAT = ("scores", "error", "pictures")


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes
    ----------
    references, decoded : str
        The two files or folders, as they were named.
    rows : tuple of Row
        One for each reference, by name.
    unmatched : tuple of str
        Decoded files without a reference; they are in no row and no mean.
    samples : int
        Points on each surface.
    """

    references: str
    decoded: str
    rows: tuple[Row, ...]
    unmatched: tuple[str, ...] = ()
    samples: int = 100_000

    @cached_property
    def failed(self) -> tuple[Row, ...]:
        """The rows with an error."""
        return tuple(row for row in self.rows if row.error)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """References without a decoded file; their rows say so, too."""
        return tuple(row.file for row in self.rows if row.decoded is None and row.error == NO_DECODE)

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for each file that failed or has no partner, on either side."""
        rows = [f"{quoted(row.file)}: {_without(row.error, row.file)}" for row in self.failed]
        return (*rows, *(f"{quoted(name)}: no reference" for name in self.unmatched))

    def summary(self) -> dict[str, Any]:
        """Numbers of meshes, means and medians of the F-scores over all rows, and the mean size."""
        sizes = [row.bytes for row in self.rows if row.bytes is not None]
        values = {name: [float(getattr(row.scores, name)) for row in self.rows] for name in _F}
        return {
            "meshes": len(self.rows),
            "failed": len(self.failed),
            "mean_bytes": statistics.fmean(sizes) if sizes else None,
            **{f"mean_{name}": statistics.fmean(v) if v else None for name, v in values.items()},
            **{f"median_{name}": statistics.median(v) if v else None for name, v in values.items()},
        }

    def table(self) -> str:
        """The rows in columns, for a terminal; the mean over all of them at the end."""
        head = ["file", "bytes", *(f"F@{tau:g}" for tau in TAUS), "Chamfer", "normals"]
        body = []
        for row in self.rows:
            s = row.scores
            size = "-" if row.bytes is None else str(row.bytes)
            if row.error:
                blank = ["-"] * (len(head) - 2)
                body.append([quoted(row.file), size, *blank, _without(row.error, row.file)])
            else:
                cells = [f"{f:.4f}" for f in (s.f_002, s.f_001, s.f_0005)]
                body.append(
                    [quoted(row.file), size, *cells, f"{s.chamfer:.5f}", f"{s.normal_consistency:.3f}", ""]
                )
        means = self.summary()
        mean_bytes = "-" if means["mean_bytes"] is None else f"{means['mean_bytes']:.0f}"
        mean_f = ["-" if means[f"mean_{name}"] is None else f"{means[f'mean_{name}']:.4f}" for name in _F]
        failures = f", {len(self.failed)} of them failed" if self.failed else ""
        body.append([f"mean of {len(self.rows)}{failures}", mean_bytes, *mean_f, "", "", ""])
        columns = len(head)
        widths = [max(len(line[k]) for line in [head, *body]) for k in range(columns)]
        lines = []
        for line in [[*head, ""], *body]:
            cells = [line[0].ljust(widths[0])]
            cells += [line[k].rjust(widths[k]) for k in range(1, columns)]
            lines.append("  ".join([*cells, line[columns]]).rstrip())
        return "\n".join(lines) + "\n"


def quoted(name: str) -> str:
    """A file's name on one line."""
    return repr(name)[1:-1]


def _without(error: str, name: str) -> str:
    """An error whose file is named beside it."""
    return error.removeprefix(f"{quoted(name)}: ")
