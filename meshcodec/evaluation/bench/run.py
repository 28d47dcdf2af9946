"""``meshcodec bench``: rate and distortion of our codec and of what a user would take instead, over a folder.

Every mesh is coded at every size by every codec in worker processes. A row is kept in the cache under the
SHA-256 of its file, the codec, its settings and the model, so that a second run computes only what changed.
A mesh that fails is a row with its error and zeros, and counts in every mean.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from meshcodec.errors import UsageError, one_line
from meshcodec.evaluation.baselines import require
from meshcodec.evaluation.bench.cache import CodecLike, Plan, Want, recall, store
from meshcodec.evaluation.bench.codecs import encode_with, our_codec
from meshcodec.evaluation.bench.files import write_files
from meshcodec.evaluation.bench.rows import BASELINES, OURS, BenchRow
from meshcodec.evaluation.bench.tables import BenchReport
from meshcodec.format.payload import DEFAULT_PACKING
from meshcodec.geometry.formats import READ_FORMATS
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Reference, Scores
from meshcodec.runtime.files import find_files
from meshcodec.runtime.workers import DIED, run_jobs


def run_bench(
    folder: Path,
    sizes: list[int],
    effort: int,
    baselines: list[str],
    out: Path,
    jobs: int,
    resolution: int = 256,
    *,
    packing: str = DEFAULT_PACKING,
    device: str = "cpu",
    samples: int = 100_000,
    make_codec: Callable[[str], CodecLike] | None = None,
    ours: bool = True,
    quiet: bool = False,
) -> BenchReport:
    """Run the bench over a folder and write its report.

    Parameters
    ----------
    folder : Path
        Searched for meshes at every depth.
    sizes : list of int
        Bytes.
    effort : int
        Of our encoder, 0..9.
    packing : str
        Of our files, one of `meshcodec.format.payload.PACKING_WORDS`.
    baselines : list of str
        Some of `BASELINES`.
    out : Path
        Folder of the report, made if need be; its ``cache`` folder makes the next run quick.
    jobs : int
        Worker processes, each with one thread; 1 works in this process.
    resolution : int
        Of our decoder.
    device : str
        Of our codec.
    samples : int
        Points on each surface.
    make_codec : callable, optional
        From the device to a codec, in place of `meshcodec.api.Codec`; a function of a module.
    ours : bool
        Whether our codec takes part.
    quiet : bool
        No progress bar, which otherwise is drawn on stderr where that is a terminal.

    Raises
    ------
    UsageError
        No mesh in the folder, no size, an unknown baseline, a package that it needs is missing, or ``out``
        cannot be written.
    WeightsError
        Our codec has no weights.
    """
    if not sizes or min(sizes) < 1 or jobs < 1:
        raise UsageError("the bench needs a size and a job", "give --sizes and --jobs of at least 1")
    for name in baselines:
        if name not in BASELINES:
            raise UsageError(f"unknown baseline {name!r}", f"use some of {', '.join(BASELINES)}")
    if "draco" in baselines:
        require()
    paths = _meshes(folder)
    try:
        (out / "cache").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {out}: {error.strerror}", "choose another output folder") from error
    sizes = sorted(set(sizes))
    # Made here too: missing weights end the run before it starts, and rows are looked up by the model.
    codec = (make_codec or our_codec)(device) if ours else None
    plan = Plan(
        sizes=tuple(sizes),
        codecs=((OURS,) if ours else ()) + tuple(name for name in BASELINES if name in baselines),
        effort=effort,
        packing=packing,
        resolution=resolution,
        device=device,
        samples=samples,
        model_id=codec.model_id if codec else "",
        make_codec=make_codec,
        cache=out / "cache",
    )
    rows: list[BenchRow] = []
    missing: list[_Job] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            rows += [
                _failed(plan, name, "", want, f"cannot be read: {error.strerror}") for want in plan.wants()
            ]
            continue
        lost: list[Want] = []
        for want in plan.wants():
            row = recall(plan, sha256, want)
            if row is None:
                lost.append(want)
            else:
                rows.append(replace(row, file=name))
        if lost:
            missing.append(_Job(plan, path, name, sha256, tuple(lost)))
    missing.sort(
        key=lambda job: job.path.stat().st_size, reverse=True
    )  # the long ones first, so that none is last
    wanted = sum(len(job.wants) for job in missing)
    with tqdm(total=wanted, unit="row", file=sys.stderr, disable=True if quiet else None) as bar:
        for done in run_jobs(_run, missing, jobs, _after_crash):
            rows += done
            bar.update(len(done))
    order = {name: k for k, name in enumerate((OURS, *BASELINES))}
    rows.sort(key=lambda row: (row.file, order[row.codec], row.size or 0))
    report = BenchReport(rows, sizes, plan.model_id, effort, packing, resolution, wanted, out)
    write_files(report, folder, plan, codec)
    return report


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
        reference = Reference(mesh, samples=job.plan.samples)
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
    found = find_files(folder, READ_FORMATS)
    if not found:
        raise UsageError(f"{folder} holds no mesh", f"give a folder with {', '.join(READ_FORMATS)} files")
    return found
