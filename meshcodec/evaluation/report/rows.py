"""One row of the report: a mesh and its decode."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from meshcodec.config import TAUS
from meshcodec.evaluation.measured import MeasuredFile
from meshcodec.evaluation.report.pictures import Pictures
from meshcodec.metrics import column

NO_DECODE = "no decoded file"
"""What a row says of a reference without a partner."""


@dataclass(frozen=True, kw_only=True)
class Row(MeasuredFile):
    """One reference and what was decoded of it.

    Attributes
    ----------
    decoded : str or None
        Path of the decoded mesh or ``.vat`` file below its folder; None where there is none.
    bytes_reference : int or None
        Size of the reference on disk, as `bytes` is that of the decoded file.
    faces_reference, faces : int or None
        Triangles of the two meshes.
    pictures : Pictures or None
        For the page; None where none were asked for, or there is nothing to see.
    """

    COLUMNS = ("file", "decoded", "bytes_reference", "bytes", "faces_reference", "faces")

    decoded: str | None = None
    bytes_reference: int | None = None
    faces_reference: int | None = None
    faces: int | None = None
    pictures: Pictures | None = None


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
        values = {column("f", tau): [row.scores.at(tau) for row in self.rows] for tau in TAUS}
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
                cells = [f"{f:.4f}" for f in s.f]
                body.append(
                    [quoted(row.file), size, *cells, f"{s.chamfer:.5f}", f"{s.normal_consistency:.3f}", ""]
                )
        means = self.summary()
        mean_bytes = "-" if means["mean_bytes"] is None else f"{means['mean_bytes']:.0f}"
        mean_of_f = [means[f"mean_{column('f', tau)}"] for tau in TAUS]
        mean_f = ["-" if mean is None else f"{mean:.4f}" for mean in mean_of_f]
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
