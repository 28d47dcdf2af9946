"""``meshcodec report``: decoded meshes or ``.vat`` files against their references.

Two steps that know nothing of each other: `run_report` pairs the files of two folders, measures each pair in
worker processes and takes its pictures; `write_html`, `to_csv`, `to_json` and `Report.table` only show what
is in a `Report`, whoever made it.

A pair that cannot be measured is a row with its error and zeros, and counts in every mean.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import trimesh
from tqdm import tqdm

from meshcodec.config import DEFAULT_RESOLUTION, MAX_DECODED_BYTES, MAX_DECODED_FACES
from meshcodec.errors import UsageError, one_line
from meshcodec.evaluation.report.pairs import VAT, Pair, find_pairs
from meshcodec.evaluation.report.pictures import Detail, take_pictures
from meshcodec.evaluation.report.rows import Report, Row, quoted
from meshcodec.geometry.io import as_written, load_mesh
from meshcodec.metrics import Reference, Scores
from meshcodec.pictures.sheets import pillow
from meshcodec.registry import Registry
from meshcodec.runtime.files import ending_of
from meshcodec.runtime.workers import DIED, run_jobs
from meshcodec.session import codec_of_process

_PICTURES_TOTAL = 15_000_000  # what the pictures of all meshes are meant to take; the rest is slack
_PICTURE_RESOLUTION = 128  # cells a side of decodes that are only looked at: a quarter of the faces


# ---- measuring


def run_report(
    references: Path,
    decoded: Path,
    *,
    jobs: int = 1,
    samples: int = 100_000,
    resolution: int | None = DEFAULT_RESOLUTION,
    device: str = "auto",
    weights: Path | None = None,
    pictures: bool = True,
    quiet: bool = False,
) -> Report:
    """Measure two files, or every pair of two mirrored folders.

    Files of folders belong together by their path below the folder: the same one, or one of another extension
    (``a/b.obj`` and ``a/b.vat``) or of one more (``a/b.obj.vat``). Hidden files and other kinds do not count.

    Parameters
    ----------
    references : a mesh file, or a folder of them
    decoded : a mesh or ``.vat`` file, or a folder of them; in `references` itself, its ``.vat`` files
    jobs : worker processes, each with one thread; 1 works in this process
    samples : points on each surface
    resolution : cells a side, where ``.vat`` files are decoded; None: as many as a surface needs
    device, weights : arguments of the `meshcodec.api.Codec` that decodes ``.vat`` files
    pictures : whether to take pictures for a page
    quiet : no progress bar, which otherwise is drawn on stderr where that is a terminal

    Returns
    -------
    Report
        A file that cannot be read, decoded or matched is a row with its error.

    Raises
    ------
    BadMeshError
        One of the two is not there.
    UsageError
        A file and a folder, a folder without meshes, numbers out of range, pictures without Pillow.
    WeightsError
        There are ``.vat`` files and no weights.
    """
    if jobs < 1 or samples < 1:
        raise UsageError("a report needs a job and a sample", "give at least 1 of each")
    pairs, unmatched = find_pairs(references, decoded)
    if any(pair.is_vat for pair in pairs):
        Registry(weights).default()  # of wrong weights, one message is enough
    if pictures:
        pillow()  # before anything is measured
    detail = Detail.of(len(pairs), _PICTURES_TOTAL) if pictures else None
    plan = _Plan(samples, resolution, device, weights, detail)
    # The long ones first, so that none is last and alone.
    work = sorted((_Job(pair, plan) for pair in pairs), key=lambda job: -(_size(job.pair.reference) or 0))
    rows = []
    with tqdm(total=len(work), unit="mesh", file=sys.stderr, disable=True if quiet else None) as bar:
        for row in _rows_of(work, jobs):
            rows.append(row)
            bar.update()
    rows.sort(key=lambda row: row.file)
    return Report(str(references), str(decoded), tuple(rows), unmatched, samples)


def _rows_of(work: list[_Job], jobs: int) -> Iterator[Row]:
    if len(work) == 1 and jobs != 1:  # one pair has all cores to itself
        return map(_measure, work)
    return run_jobs(_measure, work, min(jobs, len(work)), _died)


@dataclass(frozen=True)
class _Plan:
    """What every worker must know."""

    samples: int
    resolution: int | None
    device: str
    weights: Path | None
    detail: Detail | None


@dataclass(frozen=True)
class _Job:
    pair: Pair
    plan: _Plan


def _measure(job: _Job) -> Row:
    """The row of one pair; never raises on account of its files."""
    pair, plan = job.pair, job.plan
    row = _unmeasured(pair, pair.error)
    if pair.error or pair.target is None:
        return row
    try:
        mesh = load_mesh(pair.reference)
        row = replace(row, faces_reference=len(mesh.faces))
        decoded = _decoded(plan, pair.target, plan.resolution)
        row = replace(row, faces=len(decoded.faces))
        reference = Reference(mesh, samples=plan.samples)
        row = replace(row, scores=reference.score(decoded))
        if plan.detail is not None:
            shown = decoded
            if pair.is_vat and (plan.resolution is None or plan.resolution > _PICTURE_RESOLUTION):
                shown = _decoded(plan, pair.target, _PICTURE_RESOLUTION)
            unit = [
                trimesh.Trimesh(reference.placement.to_unit(m.vertices), m.faces, process=False)
                for m in (mesh, shown)
            ]
            row = replace(row, pictures=take_pictures(unit[0], unit[1], plan.detail))
    except Exception as error:  # a row with its error, whatever it is
        return replace(row, scores=Scores.nothing(), error=_below_the_folders(one_line(error), pair))
    return row


def _decoded(plan: _Plan, path: Path, resolution: int | None) -> trimesh.Trimesh:
    if ending_of(path) != VAT:
        return load_mesh(path, max_faces=MAX_DECODED_FACES, max_bytes=MAX_DECODED_BYTES)
    return as_written(codec_of_process(plan.device, plan.weights).decode(path, resolution))


def _below_the_folders(error: str, pair: Pair) -> str:
    """An error that names its file as the row does, not by the whole path."""
    for name, path in ((pair.file, pair.reference), (pair.decoded, pair.target)):
        if name is not None and error.startswith(f"{quoted(str(path))}: "):
            return f"{quoted(name)}{error.removeprefix(quoted(str(path)))}"
    return error


def _unmeasured(pair: Pair, error: str) -> Row:
    return Row(
        file=pair.file,
        decoded=pair.decoded,
        bytes_reference=_size(pair.reference),
        bytes=_size(pair.target),
        scores=Scores.nothing(),
        error=error,
    )


def _died(job: _Job) -> Row:
    return _unmeasured(job.pair, DIED)


def _size(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_size
    except OSError:
        return None  # the row says what is wrong with it
