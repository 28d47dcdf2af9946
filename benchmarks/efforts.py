"""What effort buys: F-scores and seconds of each level, and the meshes that a higher level makes worse.

``meshcodec bench DIR --effort 0 -o out/effort-0`` writes ``out/effort-0/rows.csv``, and so on for each level;
``python benchmarks/efforts.py out/effort-*/rows.csv`` compares them. It prints the means of each size and
level and exits with 1 where a mesh has a lower F-score at a higher effort. What was measured of the shipped
model is kept in ``benchmarks/rows``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import click

from meshcodec.config import TAUS
from meshcodec.evaluation.bench.rows import OURS
from meshcodec.metrics import column

_JUDGED = tuple(column("f", tau) for tau in TAUS[:2])
_SHOWN = (
    *_JUDGED,
    *(column(kind, tau) for kind, tau in (("f", TAUS[2]), ("precision", TAUS[0]), ("recall", TAUS[0]))),
)
_HEAD = (
    "effort",
    "bytes",
    "meshes",
    "F@0.02",
    "F@0.01",
    "F@0.005",
    "precision@0.02",
    "recall@0.02",
    "encode s",
)

Row = dict[str, str]
Rows = dict[str, Row]
"""Rows by the file that they are of."""


def read(paths: Sequence[Path]) -> dict[tuple[int, int], Rows]:
    """Our codec's rows of all tables, by size and effort.

    Raises
    ------
    click.UsageError
        A file is not a table of ``meshcodec bench``, rows are of several models, or a mesh has two for one
        size and effort.
    """
    found: dict[tuple[int, int], Rows] = {}
    models = set()
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as file:
                ours = [row for row in csv.DictReader(file) if row["codec"] == OURS]
                told = [(int(row["size"]), int(json.loads(row["settings"])["effort"])) for row in ours]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise click.UsageError(f"{path}: not a rows.csv of meshcodec bench: {error!r}") from error
        for (size, effort), row in zip(told, ours, strict=True):
            rows = found.setdefault((size, effort), {})
            if row["file"] in rows:
                mesh = row["file"]
                raise click.UsageError(f"{path}: {mesh} is there twice for {size} bytes at effort {effort}")
            rows[row["file"]] = row
            models.add(row["model_id"])
    if len(models) > 1:
        raise click.UsageError(f"rows of several models: {', '.join(sorted(models))}")
    return found


def falls(lower: Rows, higher: Rows) -> list[str]:
    """A line for each F-score that a mesh has lower at the higher effort."""
    return [
        f"{file}: {name} {lower[file][name]} -> {higher[file][name]}"
        for file in sorted(lower.keys() & higher.keys())
        for name in _JUDGED
        if float(higher[file][name]) < float(lower[file][name])
    ]


@click.command()
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
def main(tables: tuple[Path, ...]) -> None:
    """Compare efforts by TABLES, each a rows.csv of meshcodec bench."""
    found = read(tables)
    click.echo(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for (size, effort), rows in sorted(found.items()):
        means = [f"{fmean(float(row[name]) for row in rows.values()):.4f}" for name in _SHOWN]
        seconds = f"{median(float(row['encode_seconds']) for row in rows.values()):.1f}"
        click.echo(f"| {effort} | {size} | {len(rows)} | {' | '.join(means)} | {seconds} |")
    fallen = 0
    for (size, effort), (next_size, next_effort) in pairwise(sorted(found)):
        if size == next_size:
            lines = falls(found[size, effort], found[size, next_effort])
            count = len(found[size, effort].keys() & found[size, next_effort].keys())
            click.echo(f"\n{size} bytes, effort {effort} to {next_effort}: {count} meshes, {len(lines)} fall")
            for line in lines:
                click.echo(f"  {line}")
            fallen += len(lines)
    sys.exit(bool(fallen))


if __name__ == "__main__":
    main()
