"""Whole folders: every mesh to a ``.vat`` file in a mirrored tree, and back.

A run writes ``manifest.jsonl`` into the output folder, one line per file, as it goes:

==============================  ==================================================================
``folder``                      whole path or URL of the folder of the input
``input``, ``output``           paths relative to the two folders; ``output`` is null where there is none
``sha256``, ``output_sha256``   of both files
``bytes_in``, ``bytes_out``     their sizes
``fscore``                      F-scores by distance, where they were measured
``tokens``, ``faces`` ...       what the verb knows about its result
``seconds``                     of the whole file
``warnings``                    lines about a mesh that was converted all the same
``error``                       one line, or null
``options``                     what it was made with: model, version and hash of the code included
==============================  ==================================================================

Files appear whole or not at all, and the line follows its file. So a run that was killed at any time goes on
where it stopped: a line whose input, options and output are still the same is kept, all else is done again.
Several folders may be converted into one: lines about other folders stay, and of two runs at a time the
second waits. In a store behind a URL, files cannot grow: there the manifest is written anew every ten seconds
and at the end, and no run waits for another.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from meshcodec.batch.convert import (
    Job,
    Record,
    Verb,
    decode_file,
    died_record,
    encode_file,
    run_batch,
    run_job,
)
from meshcodec.batch.manifest import MANIFEST, Manifest, StoredManifest, read_manifest, still_true
from meshcodec.batch.options import CompressOptions, DecompressOptions, Engine, Options
from meshcodec.batch.plan import Earlier, foreign_owner, place_of, plan, sort_out
from meshcodec.errors import UsageError
from meshcodec.geometry.formats import MESH_ENDINGS
from meshcodec.runtime.files import is_local, temporary_files
from meshcodec.runtime.lock import locked
from meshcodec.runtime.memory import memory_share
from meshcodec.runtime.threads import available_cores
from meshcodec.runtime.workers import run_jobs

_TOGETHER = 16  # meshes of a batch on a GPU; a kill can lose as many
_LOCK = ".manifest.lock"  # file in the output folder that is there while a run writes
_NAMED = 5  # files of a kind that a summary names


@dataclass(frozen=True)
class Summary:
    """What became of a folder.

    Attributes
    ----------
    records : lines of the manifest, in the order of the inputs
    kept : how many of them are from a run before
    skipped : files that are hidden or of another kind
    linked : links to folders, which are not followed
    left : outputs of runs before whose source is gone, or has another output now
    unfinished : files that a killed run left half written
    removed : whether this run has removed them
    """

    records: list[Record]
    kept: int
    skipped: int
    linked: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    removed: bool = False

    @property
    def failed(self) -> list[Record]:
        """Records with an error."""
        return [record for record in self.records if record["error"] is not None]

    def lines(self) -> list[str]:
        """A few lines for people."""
        done = [record for record in self.records if record["error"] is None]
        before, after = (sum(record[key] for record in done) for key in ("bytes_in", "bytes_out"))
        ratio = ""
        if after:
            ratio = f", {before / after:.0f} : 1" if before >= after else f", 1 : {after / before:.0f}"
        lines = [
            f"{len(done)} files done ({self.kept} by a run before), {len(self.failed)} failed, "
            f"{self.skipped} others skipped",
            f"{before} bytes in, {after} bytes out{ratio}",
        ]
        lines += self._remarks()
        measured = [record for record in done if record.get("fscore")]
        for tau in measured[0]["fscore"] if measured else ():
            mean = sum(record["fscore"][tau] for record in measured) / len(measured)
            worst = min(measured, key=lambda record: float(record["fscore"][tau]))
            lines.append(f"F@{tau} mean {mean:.3f}, worst {worst['fscore'][tau]:.3f} ({worst['input']})")
        return lines

    def _remarks(self) -> list[str]:
        """What was found beside the files."""
        state = "removed" if self.removed else "--resume removes them"
        return [
            f"{text}: {_listed(names)}"
            for names, text in (
                (self.linked, "links to folders, not followed"),
                (self.left, "outputs of runs before whose sources are gone or renamed"),
                (self.unfinished, f"half-written files of a run that was killed ({state})"),
            )
            if names
        ]


def _listed(names: Sequence[str]) -> str:
    """Some names, and the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)}, " + ", ".join(names[:_NAMED]) + more


def compress(
    folder: Path,
    out: Path,
    options: CompressOptions,
    jobs: int | None = 1,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
    engine: Engine = "processes",
) -> Summary:
    """Encode every mesh under `folder` to a ``.vat`` file at the same place under `out`.

    Two meshes of one name keep their extensions: ``a.obj.vat`` and ``a.stl.vat``. Lines of the manifest about
    other folders stay. A second run into the same folder waits for the first one.

    Parameters
    ----------
    folder, out : `out` is made where it is missing; both as `meshcodec.runtime.files.open_folder` gives them
    jobs : worker processes, of one thread each; None for one on each core, or as many as the cluster has room
        for; 1 works in this process
    resume : go on with the run whose manifest is in `out`
    force : overwrite
    quiet : no progress bar
    engine : "processes" of this machine, or "ray" for those of a cluster that sees both folders

    Returns
    -------
    Summary
        A mesh that cannot be encoded is a record with its error.

    Raises
    ------
    UsageError
        No meshes, outputs that exist, an output that is of another folder's file, no cluster.
    """
    verb = Verb(encode_file, MESH_ENDINGS, "vat", options)
    return _mirror(_Run(verb, folder, out, jobs, resume, force, quiet, engine))


def decompress(
    folder: Path,
    out: Path,
    options: DecompressOptions,
    jobs: int | None = 1,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
    engine: Engine = "processes",
) -> Summary:
    """Decode every ``.vat`` file under `folder` to a mesh at the same place under `out`; see `compress`."""
    verb = Verb(decode_file, ("vat",), options.format, options)
    return _mirror(_Run(verb, folder, out, jobs, resume, force, quiet, engine))


# ---- the folder


@dataclass(frozen=True)
class _Run:
    """The arguments of `compress`, and what is done to each file."""

    verb: Verb
    folder: Path
    out: Path
    jobs: int | None
    resume: bool
    force: bool
    quiet: bool
    engine: Engine

    @property
    def manifest(self) -> Path:
        return self.out / MANIFEST

    @property
    def starts_over(self) -> bool:
        """Whether what a run before has left may be overwritten."""
        return self.resume or self.force

    def with_limits(self) -> _Run:
        """The same run with what this machine sets: the number of jobs, their memory, whole paths."""
        options = self.verb.options
        if self.engine == "processes":
            jobs = self.jobs or available_cores()
            if options.max_memory is None:
                options = replace(options, max_memory=memory_share(jobs))
            return replace(self, jobs=jobs, verb=replace(self.verb, options=options))
        # The workers have working folders of their own.
        options = replace(options, weights=options.weights and options.weights.absolute())
        folder, out = (path.absolute() if is_local(path) else path for path in (self.folder, self.out))
        return replace(self, folder=folder, out=out, verb=replace(self.verb, options=options))


def _mirror(asked: _Run) -> Summary:
    run = asked.with_limits()
    together = run.engine == "processes" and refined_on_gpu(run.verb.options)
    planned = plan(run.verb, run.folder, run.out)
    _make_folder(run.out)
    with _alone_in(run.out):
        earlier = sort_out(read_manifest(run.manifest), planned.jobs, run.out)
        kept, missing = _divided(run, planned.jobs, earlier)
        unfinished = _unfinished(run)
        records = list(kept)
        with (
            _open_manifest(run.manifest, [*earlier.others, *kept]) as lines,
            tqdm(
                total=len(planned.jobs), initial=len(kept), unit="file", disable=True if run.quiet else None
            ) as bar,
        ):
            taken, given = (sum(record[key] for record in kept) for key in ("bytes_in", "bytes_out"))
            for record in _records(run.engine, missing, run.jobs, together):
                lines.add(record)
                records.append(record)
                taken, given = taken + record["bytes_in"], given + record["bytes_out"]
                bar.set_postfix_str(f"{taken / 1e6:.1f} MB in, {given / 1e6:.3f} MB out", refresh=False)
                bar.update()
    order = {job.input: number for number, job in enumerate(planned.jobs)}
    records.sort(key=lambda record: order[record["input"]])
    return Summary(
        records,
        len(kept),
        planned.skipped,
        linked=planned.linked,
        left=tuple(record["output"] for record in earlier.left),
        unfinished=unfinished,
        removed=run.starts_over,
    )


def _open_manifest(path: Path, kept: list[Record]) -> Manifest | StoredManifest:
    return Manifest(path, kept) if is_local(path) else StoredManifest(path, kept)


def _divided(run: _Run, jobs: list[Job], earlier: Earlier) -> tuple[list[Record], list[Job]]:
    """The records of runs before that still hold, and the files that are left, the long ones first.

    Raises UsageError where something would be overwritten that was not to be.
    """
    if earlier.of_folder(jobs[0].folder) and not run.starts_over:
        fault = f"{run.manifest} exists"
        raise UsageError(fault, "pass --resume to go on with that run, or -f to start anew")
    before = earlier.own if run.resume else {}
    found = ((job, before.get(job.output)) for job in jobs)
    kept = [
        {**record, "folder": job.folder, "input": job.input}
        for job, record in found
        if record is not None and still_true(record, job)
    ]
    done = {record["output"] for record in kept}
    missing = [job for job in jobs if job.output not in done]
    _check_outputs(run, missing, before, earlier)
    # The long ones first, so that none is last and alone.
    return kept, sorted(missing, key=lambda job: _bytes_of(job.path), reverse=True)


def _check_outputs(run: _Run, missing: list[Job], before: dict[str, Record], earlier: Earlier) -> None:
    """Raise UsageError where outputs are there already and may not be overwritten."""
    if run.force:
        return
    if not run.resume:
        existing = [job.target for job in missing if job.target.exists()]
        if existing:
            others = f" and {len(existing) - 1} other outputs" if len(existing) > 1 else ""
            fault = f"{existing[0]} exists{others}"
            raise UsageError(fault, "pass -f to overwrite, or choose another folder")
        return
    lines = [*earlier.others, *earlier.own.values()]
    sources = {(record.get("folder"), record["input"]) for record in lines}
    for job in missing:
        if (place_of(run.out), job.output) in sources and job.target.exists():
            fault = f"{job.target} is a file that a run before has read"
            raise UsageError(fault, "choose another folder, or pass -f to overwrite")
        owner = foreign_owner(before[job.output], job.folder) if job.output in before else None
        if owner is not None:
            fault = f"{job.target} was made of {owner}, not of {job.path}"
            raise UsageError(fault, "choose another folder, or pass -f to overwrite")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = f"{out}: cannot be made ({error.strerror})"
        raise UsageError(fault, "choose another folder") from error


def _alone_in(out: Path) -> AbstractContextManager[None]:
    """Hold the output folder, so that no other run loses lines of the manifest; a store cannot be held."""
    if not is_local(out):
        return nullcontext()

    def busy() -> None:
        warnings.warn(
            f"{out}: another run is writing there: waiting for it to end", RuntimeWarning, stacklevel=2
        )

    return locked(out / _LOCK, busy)


def _unfinished(run: _Run) -> tuple[str, ...]:
    """Names of what runs that were killed left half written; removed where this one starts over from them."""
    if not is_local(run.out):
        return ()
    found = temporary_files(run.out)
    if run.starts_over:
        for path in found:
            path.unlink(missing_ok=True)
    return tuple(path.relative_to(run.out).as_posix() for path in found)


def _records(engine: Engine, work: list[Job], jobs: int | None, together: bool) -> Iterator[Record]:
    """The records of files as they are done, those of a batch at the same time."""
    if engine == "ray":
        from meshcodec.runtime.ray_engine import run_on_ray

        yield from run_on_ray(run_job, work, jobs, died_record)
        return
    if len(work) == 1 and jobs != 1:  # one file has all cores to itself
        yield run_job(work[0])
        return
    workers = min(jobs or available_cores(), max(len(work), 1))
    if together:
        dead: list[Job] = []
        size = max(min(_TOGETHER, math.ceil(len(work) / workers)), 1)
        groups = [work[start : start + size] for start in range(0, len(work), size)]
        for records in run_jobs(run_batch, groups, workers, partial(_bury, dead)):
            yield from records
        work = dead
    yield from run_jobs(run_job, work, workers, died_record)


def _bury(dead: list[Job], jobs: list[Job]) -> list[Record]:
    """Files whose worker died: no records yet, since only one of them will have been the cause."""
    dead += jobs
    return []


def refined_on_gpu(options: Options) -> bool:
    """Whether many meshes are refined at the price of one."""
    if not isinstance(options, CompressOptions) or options.size is None or not options.effort:
        return False
    if options.time_limit is not None:  # it is that of one mesh
        return False
    from meshcodec.runtime.device import choose_device

    return choose_device(options.device)[0].type == "cuda"


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the worker says what is wrong with it
