"""``meshcodec bench``: rate and distortion of our codec and of what a user would take instead, over a folder.

Every mesh is coded at every size by every codec in worker processes. Rows are kept, see
`meshcodec.evaluation.bench.cache`, so that a second run computes only what changed.
A mesh that fails is a row with its error and zeros, and counts in every mean.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from meshcodec.errors import UsageError, one_line
from meshcodec.evaluation.bench.cache import Plan, Want, code_of, recall, store
from meshcodec.evaluation.bench.codecs import encode_with
from meshcodec.evaluation.bench.files import write_files
from meshcodec.evaluation.bench.options import BenchOptions
from meshcodec.evaluation.bench.rows import BASELINES, OURS, BenchRow
from meshcodec.evaluation.bench.tables import BenchReport
from meshcodec.geometry.formats import MESH_ENDINGS, READ_FORMATS
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Reference, Scores, is_closed
from meshcodec.runtime.files import find_files
from meshcodec.runtime.workers import DIED, run_jobs


def run_bench(folder: Path, out: Path, options: BenchOptions) -> BenchReport:
    """Run the bench over a folder and write its report.

    Parameters
    ----------
    folder : Path
        Searched for meshes at every depth, see `meshcodec.runtime.files.find_files`.
    out : Path
        Folder of the report, made if need be; its ``cache`` folder makes the next run quick.
    options : BenchOptions

    Raises
    ------
    UsageError
        No mesh in the folder, no size, an unknown baseline, a package that it needs is missing, or ``out``
        cannot be written.
    WeightsError
        Our codec has no weights.
    """
    options.check()
    paths = _meshes(folder)
    try:
        (out / "cache").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {out}: {error.strerror}", "choose another output folder") from error
    # Made here too: missing weights end the run before it starts, and rows are looked up by the model.
    codec = options.codec() if options.ours else None
    code = {name: code_of(name) for name in options.codecs()}
    plan = Plan(options, codec.model_id if codec else "", out / "cache", code)
    rows, missing = _split(plan, folder, paths)
    wanted = sum(len(job.wants) for job in missing)
    with tqdm(total=wanted, unit="row", file=sys.stderr, disable=True if options.quiet else None) as bar:
        for done in run_jobs(_run, missing, options.jobs, _after_crash):
            rows += done
            bar.update(len(done))
    order = {name: k for k, name in enumerate((OURS, *BASELINES))}
    rows.sort(key=lambda row: (row.file, order[row.codec], row.size or 0))
    report = BenchReport(
        rows=rows,
        sizes=list(options.ascending()),
        model_id=plan.model_id,
        effort=options.effort,
        mode=options.mode,
        packing=options.packing,
        resolution=options.resolution,
        computed=wanted,
        out=out,
    )
    write_files(report, folder, plan, codec)
    return report


def _split(plan: Plan, folder: Path, paths: list[Path]) -> tuple[list[BenchRow], list[_Job]]:
    """The rows that are known, as those of unreadable files are, and what is missing, the long jobs first."""
    rows: list[BenchRow] = []
    missing: list[tuple[int, _Job]] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
            rows += [_failed(plan, name, "", want, fault) for want in plan.wants()]
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        kept = {want: recall(plan, sha256, want) for want in plan.wants()}
        rows += [replace(row, file=name) for row in kept.values() if row is not None]
        lost = tuple(want for want, row in kept.items() if row is None)
        if lost:
            missing.append((len(data), _Job(plan, path, name, sha256, lost)))
    missing.sort(key=lambda sized: sized[0], reverse=True)  # so that none of the long ones is last
    return rows, [job for _, job in missing]


@dataclass(frozen=True)
class _Job:
    """The missing rows of one file, which share its loading and its samples."""

    plan: Plan
    path: Path
    file: str
    sha256: str
    wants: tuple[Want, ...]


def _run(job: _Job) -> list[BenchRow]:
    """The rows of one file; never raises on account of the file."""
    try:
        mesh = load_mesh(job.path)
        reference = Reference(mesh, samples=job.plan.options.samples)
    except Exception as error:  # a row with its error, whatever it is
        return [_failed(job.plan, job.file, job.sha256, want, one_line(error)) for want in job.wants]
    rows = []
    for codec, group in groupby(job.wants, key=lambda want: want.codec):
        for want, coded in encode_with(job.plan, codec, [want.size for want in group], mesh, reference):
            row, final = _failed(job.plan, job.file, job.sha256, want, coded.error), coded.final
            if not coded.error:
                try:
                    row = replace(
                        row,
                        bytes=None if coded.data is None else len(coded.data),
                        settings={**row.settings, **coded.settings},
                        encode_seconds=coded.encode_seconds,
                        decode_seconds=coded.decode_seconds,
                        scores=reference.score(coded.mesh),
                        closed=coded.mesh is not None and is_closed(coded.mesh),
                    )
                except Exception as error:
                    row, final = replace(row, error=one_line(error)), False
            if final:
                store(job.plan, row, want, coded.data)
            rows.append(row)
    return rows


def _failed(plan: Plan, file: str, sha256: str, want: Want, error: str) -> BenchRow:
    model_id = plan.model_id if want.codec == OURS else ""
    settings = plan.settings(want.codec)
    taken = None if want.size is None else 0
    return BenchRow(
        file=file,
        sha256=sha256,
        codec=want.codec,
        size=want.size,
        bytes=taken,
        model_id=model_id,
        settings=settings,
        scores=Scores.nothing(),
        error=error,
    )


def _after_crash(job: _Job) -> list[BenchRow]:
    return [_row_after_crash(job, want) for want in job.wants]


def _row_after_crash(job: _Job, want: Want) -> BenchRow:
    row = recall(job.plan, job.sha256, want)  # what was finished before the crash is kept
    if row is not None:
        return replace(row, file=job.file)
    return _failed(job.plan, job.file, job.sha256, want, DIED)


def _meshes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "name a folder of meshes")
    found = find_files(folder, MESH_ENDINGS)
    if not found:
        raise UsageError(f"{folder} holds no mesh", f"give a folder with {', '.join(READ_FORMATS)} files")
    return found
