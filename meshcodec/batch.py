"""Whole folders: every mesh to a ``.vat`` file in a mirrored tree, and back.

A run writes ``manifest.jsonl`` into the output folder, one line per file, as it goes:

==============================  ==================================================================
``input``, ``output``           paths relative to the two folders; ``output`` is null where there is none
``sha256``, ``output_sha256``   of both files
``bytes_in``, ``bytes_out``     their sizes
``fscore``                      F-scores by distance, where they were measured
``tokens``, ``faces`` ...       what the verb knows about its result
``seconds``                     of the whole file
``error``                       one line, or null
``options``                     what it was made with, model and version included
==============================  ==================================================================

Files appear whole or not at all, and the line follows its file. So a run that was killed at any time goes on
where it stopped: a line whose input, options and output are still the same is kept, all else is done again.
In a store behind a URL, files cannot grow: there the manifest is written anew every ten seconds and at the
end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from meshcodec import __version__
from meshcodec.container import LARGEST_FILE
from meshcodec.errors import BadMeshError, PartialFailureError, UsageError
from meshcodec.geometry.io import MAX_BYTES, MAX_FACES, READ_FORMATS, export_mesh, load_mesh
from meshcodec.memory import bounded_memory, memory_share
from meshcodec.packing import PACKINGS
from meshcodec.stores import files_below, is_local, name_below, write_whole
from meshcodec.weights import Registry
from meshcodec.workers import DIED, available_cores, one_line, run_jobs

if TYPE_CHECKING:
    from meshcodec.api import Codec, Encoded, Subject

MANIFEST = "manifest.jsonl"
Record = dict[str, Any]

_TOGETHER = 16  # meshes of a batch on a GPU; a kill can lose as many
_SAVE_SECONDS = 10  # what a kill can lose of a manifest in a store
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # what `write_atomic` leaves when it is killed


@dataclass(frozen=True)
class CompressOptions:
    """How each mesh is encoded; see `meshcodec.api`.

    Attributes
    ----------
    size : bytes, or None where a quality is asked for
    min_fscore, tau, max_error : of `meshcodec.api.Target`
    best_effort : write the best also where no size reaches the quality
    measure : decode what was written and record its F-scores
    packing : of the tokens, one of `meshcodec.packing.PACKINGS`
    max_faces, max_bytes : refuse larger meshes; see `meshcodec.geometry.io.load_mesh`
    max_memory : bytes of each process; by default what the machine has is shared among them
    """

    size: int | None = 1024
    min_fscore: float | None = None
    tau: float = 0.02
    max_error: float | None = None
    best_effort: bool = False
    effort: int = 4
    seed: int = 0
    measure: bool = True
    packing: str = PACKINGS[0]
    max_faces: int = MAX_FACES
    max_bytes: int = MAX_BYTES
    max_memory: int | None = None
    device: str = "auto"
    weights: Path | None = None


@dataclass(frozen=True)
class DecompressOptions:
    """How each file is decoded: extension of the meshes, cells a side, bytes of memory of each process."""

    format: str = "obj"
    resolution: int = 256
    device: str = "auto"
    weights: Path | None = None
    max_memory: int | None = None


Options = CompressOptions | DecompressOptions
Engine = Literal["processes", "ray"]


@dataclass(frozen=True)
class Summary:
    """What became of a folder.

    Attributes
    ----------
    records : lines of the manifest, in the order of the inputs
    kept : how many of them are from a run before
    skipped : files that are hidden or of another kind
    """

    records: list[Record]
    kept: int
    skipped: int

    @property
    def failed(self) -> list[Record]:
        """Records with an error."""
        return [record for record in self.records if record["error"] is not None]

    def lines(self) -> list[str]:
        """A few lines for people."""
        done = [record for record in self.records if record["error"] is None]
        before, after = (sum(record[key] for record in done) for key in ("bytes_in", "bytes_out"))
        ratio = f"{before / after:.0f} : 1" if before >= after else f"1 : {after / max(before, 1):.0f}"
        lines = [
            f"{len(done)} files done ({self.kept} by a run before), {len(self.failed)} failed, "
            f"{self.skipped} others skipped",
            f"{before} bytes in, {after} bytes out" + (f", {ratio}" if after else ""),
        ]
        measured = [record for record in done if record.get("fscore")]
        for tau in measured[0]["fscore"] if measured else ():
            mean = sum(record["fscore"][tau] for record in measured) / len(measured)
            worst = min(measured, key=lambda record: float(record["fscore"][tau]))
            lines.append(f"F@{tau} mean {mean:.3f}, worst {worst['fscore'][tau]:.3f} ({worst['input']})")
        return lines


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

    Parameters
    ----------
    folder, out : `out` is made where it is missing; either may come from `meshcodec.stores.open_folder`
    jobs : worker processes; None for one on each core, or as many as the cluster has room for
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
        No meshes, two of them with one output, outputs that exist, no cluster.
    """
    verb = _Verb(_encode, READ_FORMATS, "vat", options)
    return _mirror(verb, folder, out, jobs, resume, force, quiet, engine)


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
    verb = _Verb(_decode, ("vat",), options.format, options)
    return _mirror(verb, folder, out, jobs, resume, force, quiet, engine)


# ---- one file, in a worker


@dataclass(frozen=True)
class _Job:
    """One file: its path, input and output relative to their folders, the output's path."""

    verb: _Verb
    path: Path
    input: str
    output: str
    target: Path


@dataclass(frozen=True)
class _Verb:
    """What is done to each file: its bytes and path to new bytes and what is known about them."""

    convert: Callable[..., tuple[bytes, Record]]
    endings: tuple[str, ...]
    ending: str
    options: Options

    def settings(self) -> Record:
        """The options as the manifest holds them: those that shape the output."""
        options = dataclasses.asdict(self.options)
        for name in ("device", "weights", "max_faces", "max_bytes", "max_memory"):
            options.pop(name, None)
        if isinstance(self.options, CompressOptions):  # decoding goes by the model that the file names
            options["model"] = Registry(self.options.weights).default().model_id.hex()
        return {**options, "version": __version__}

    def most_bytes(self) -> int:
        """Larger inputs are refused."""
        return self.options.max_bytes if isinstance(self.options, CompressOptions) else LARGEST_FILE


_CODECS: dict[tuple[Any, ...], Codec] = {}  # one per process


def _codec(options: Options) -> Codec:
    key: tuple[Any, ...] = (options.device, options.weights)
    if isinstance(options, CompressOptions):
        key += (options.max_faces, options.max_bytes)
    if key not in _CODECS:
        from meshcodec.api import Codec

        _CODECS[key] = Codec(*key)
    return _CODECS[key]


def _encode(
    options: CompressOptions, path: Path, data: bytes, ready: Mapping[str, Encoded] = MappingProxyType({})
) -> tuple[bytes, Record]:
    """Encode and measure; what is `ready`, by its digest, was encoded together with others."""
    from meshcodec.api import Target
    from meshcodec.metrics import TAUS, fscore

    codec, kind = _codec(options), _kind(path)
    if options.size is None:
        target = Target(options.min_fscore, options.tau, options.max_error)
        measured = codec.encode_to_target(
            _source(path, data), target, options.effort, options.seed, kind, packing=options.packing
        )
        if not measured.met and not options.best_effort:
            raise PartialFailureError(target.missed_by(measured), "pass --best-effort to write it anyway")
        encoded, scores = measured.encoded, measured.scores
        found = dict(zip(map(str, TAUS), (scores.f_002, scores.f_001, scores.f_0005), strict=True))
    else:
        encoded = ready.get(_sha256(data)) or codec.encode_detailed(
            _source(path, data), options.size, options.effort, options.seed, kind, packing=options.packing
        )
        found = {}
        if options.measure:
            original = load_mesh(_source(path, data), kind, options.max_faces, options.max_bytes)
            measures = fscore(original, codec.decode(encoded.data), TAUS)
            found = dict(zip(map(str, TAUS), measures, strict=True))
    about = {"tokens": encoded.tokens, "refined": encoded.refined, "fscore": found or None}
    return encoded.data, about


def _kind(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()


def _source(path: Path, data: bytes) -> Path | _Content:
    """What to read a mesh from: in a store it was read already, and only here it can have files beside it."""
    return path if is_local(path) else _Content(path, data)


class _Content(io.BytesIO):
    """The bytes of a file that has a name."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(data)
        self.name = str(path)


def _decode(options: DecompressOptions, path: Path, data: bytes) -> tuple[bytes, Record]:
    mesh = _codec(options).decode(data, options.resolution)
    return export_mesh(mesh, options.format), {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}


def _run_together(jobs: list[_Job]) -> list[Record]:
    """`_run` of files to be encoded, whose meshes are refined in one batch."""
    began = time.perf_counter()
    convert = partial(_encode, ready=_encoded_together(jobs))
    share = (time.perf_counter() - began) / len(jobs)
    records = [_run(replace(job, verb=replace(job.verb, convert=convert))) for job in jobs]
    return [{**record, "seconds": round(record["seconds"] + share, 3)} for record in records]


def _encoded_together(jobs: list[_Job]) -> dict[str, Encoded]:
    """What could be encoded together, by digests.

    The others are left to `_run`, which does each alone, meets its error again and puts it into its record.
    """
    options = jobs[0].verb.options
    assert isinstance(options, CompressOptions)
    assert options.size is not None
    codec = _codec(options)
    subjects: dict[str, Subject] = {}
    try:
        with bounded_memory(options.max_memory):
            for job in jobs:
                with suppress(Exception):
                    data = _bytes_within(job.path, job.verb.most_bytes())
                    source = _source(job.path, data)
                    subjects[_sha256(data)] = codec.prepare(source, options.seed, _kind(job.path))
            encoded = codec.encode_subjects(
                list(subjects.values()), options.size, options.effort, packing=options.packing
            )
    except Exception as error:  # memory that does for one of them, perhaps; no other file is to suffer
        fault = f"{len(subjects)} meshes could not be encoded together ({one_line(error)}): each alone"
        warnings.warn(fault, RuntimeWarning, stacklevel=2)
        return {}
    return dict(zip(subjects, encoded, strict=True))


def _run(job: _Job) -> Record:
    """The record of one file, which is written by then; never raises on account of the file."""
    began = time.perf_counter()
    record = _record(job)
    try:
        try:
            data = _bytes_within(job.path, job.verb.most_bytes())
        except OSError as error:
            raise BadMeshError(
                f"cannot be read ({error.strerror})", "check the file's permissions"
            ) from error
        record |= {"sha256": _sha256(data), "bytes_in": len(data)}
        with bounded_memory(job.verb.options.max_memory):
            made, about = job.verb.convert(job.verb.options, job.path, data)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(job.target, made)
        record |= {"output": job.output, "output_sha256": _sha256(made), "bytes_out": len(made), **about}
    except Exception as error:  # a record with its error, whatever it is
        record["error"] = one_line(error).removeprefix(f"{job.path}: ")
    return {**record, "seconds": round(time.perf_counter() - began, 3)}


def _bytes_within(path: Path, limit: int) -> bytes:
    """A file's content. A pipe would never end and a sparse file fill the memory: neither is read."""
    if path.exists() and not path.is_file():
        raise BadMeshError("it is not a regular file", "take it out of the folder")
    if path.stat().st_size > limit:
        raise BadMeshError(f"it is larger than {limit} bytes", "take it out of the folder")
    return path.read_bytes()


def _died(job: _Job) -> Record:
    return {**_record(job), "error": DIED}


def _record(job: _Job) -> Record:
    """What is known of a file before anything is done with it."""
    return {
        "input": job.input,
        "output": None,
        "sha256": None,
        "output_sha256": None,
        "bytes_in": 0,
        "bytes_out": 0,
        "seconds": 0.0,
        "error": None,
        "options": job.verb.settings(),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- the folder


def _mirror(
    verb: _Verb,
    folder: Path,
    out: Path,
    jobs: int | None,
    resume: bool,
    force: bool,
    quiet: bool,
    engine: Engine,
) -> Summary:
    options = verb.options
    if engine == "processes":
        jobs = jobs or available_cores()
        if options.max_memory is None:
            options = replace(options, max_memory=memory_share(jobs))
    else:  # the workers have working folders of their own
        folder, out = (path.absolute() if is_local(path) else path for path in (folder, out))
        options = replace(options, weights=options.weights and options.weights.absolute())
    verb = replace(verb, options=options)
    together = engine == "processes" and _refined_on_gpu(options)
    work, skipped = _plan(verb, folder, out)
    manifest = out / MANIFEST
    if manifest.exists() and not (resume or force):
        raise UsageError(f"{manifest} exists", "pass --resume to go on with that run, or -f to start anew")
    before = {record.get("input"): record for record in _read(manifest)} if resume else {}
    found = ((job, before.get(job.input)) for job in work)
    kept = [record for job, record in found if record is not None and _still_true(record, job)]
    done = {record["input"] for record in kept}
    missing = [job for job in work if job.input not in done]
    if not (resume or force):
        existing = [job.target for job in missing if job.target.exists()]
        if existing:
            raise UsageError(
                f"{existing[0]} exists" + (f" and {len(existing) - 1} other outputs" * (len(existing) > 1)),
                "pass -f to overwrite, or choose another folder",
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be made ({error.strerror})", "choose another folder") from error
    if resume:
        for left in out.rglob(".*.tmp"):
            if _TEMPORARY.fullmatch(left.name):
                left.unlink(missing_ok=True)
    # The long ones first, so that none is last and alone.
    missing.sort(key=lambda job: _bytes_of(job.path), reverse=True)
    records = list(kept)
    with (
        (_Manifest if is_local(manifest) else _StoredManifest)(manifest, kept) as lines,
        tqdm(total=len(work), initial=len(kept), unit="file", disable=True if quiet else None) as bar,
    ):
        for record in _records(engine, missing, jobs, together):
            lines.add(record)
            records.append(record)
            taken, given = (sum(r[key] for r in records) for key in ("bytes_in", "bytes_out"))
            bar.set_postfix_str(f"{taken / 1e6:.1f} MB in, {given / 1e6:.3f} MB out", refresh=False)
            bar.update()
    order = {job.input: number for number, job in enumerate(work)}
    records.sort(key=lambda record: order[record["input"]])
    return Summary(records, len(kept), skipped)


def _records(engine: Engine, work: list[_Job], jobs: int | None, together: bool) -> Iterator[Record]:
    """The records of files as they are done, those of a batch at the same time."""
    if engine == "ray":
        from meshcodec.ray_engine import run_on_ray

        yield from run_on_ray(_run, work, jobs, _died)
        return
    workers = min(jobs or available_cores(), max(len(work), 1))
    if together:
        dead: list[_Job] = []
        size = max(min(_TOGETHER, math.ceil(len(work) / workers)), 1)
        groups = [work[start : start + size] for start in range(0, len(work), size)]
        for records in run_jobs(_run_together, groups, workers, partial(_bury, dead)):
            yield from records
        work = dead
    yield from run_jobs(_run, work, workers, _died)


def _bury(dead: list[_Job], jobs: list[_Job]) -> list[Record]:
    """Files whose worker died: no records yet, since only one of them will have been the cause."""
    dead += jobs
    return []


def _refined_on_gpu(options: Options) -> bool:
    """Whether many meshes are refined at the price of one."""
    if not isinstance(options, CompressOptions) or options.size is None or not options.effort:
        return False
    from meshcodec.device import choose_device

    return choose_device(options.device)[0].type == "cuda"


def _plan(verb: _Verb, folder: Path, out: Path) -> tuple[list[_Job], int]:
    """The files to convert, in order, and the number of others."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder", "name a folder")
    work, skipped = [], 0
    for path in files_below(folder):
        name = name_below(folder, path)
        if name.as_posix() == MANIFEST or any(part.startswith(".") for part in name.parts):
            skipped += name.as_posix() != MANIFEST
        elif path.suffix.lower().removeprefix(".") not in verb.endings:
            skipped += 1
        else:
            output = name.with_suffix(f".{verb.ending}")
            work.append(_Job(verb, path, name.as_posix(), output.as_posix(), out / output.as_posix()))
    if not work:
        known = ", ".join(f".{ending}" for ending in verb.endings)
        raise UsageError(f"{folder}: holds no {known} file", "name a folder that does")
    first: dict[str, _Job] = {}
    for job in work:
        other = first.setdefault(job.output, job)
        if other is not job:
            raise UsageError(
                f"{other.input} and {job.input} would both become {job.output}", "rename one of them"
            )
    return work, skipped


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the worker says what is wrong with it


def _still_true(record: Record, job: _Job) -> bool:
    """Whether a line of a manifest still says what would come out."""
    if record.get("error") is not None or record.get("options") != job.verb.settings():
        return False
    try:
        return bool(
            record.get("output") == job.output
            and record.get("output_sha256") == _sha256(job.target.read_bytes())
            and record.get("sha256") == _sha256(job.path.read_bytes())
        )
    except OSError:
        return False


def _read(manifest: Path) -> list[Record]:
    """The whole lines of a manifest; a run that was killed may have left half of one."""
    records = []
    try:
        lines = manifest.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{manifest}: cannot be read ({error.strerror})", "pass -f to start anew") from error
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


class _StoredManifest:
    """A manifest in a store, where files do not grow: written anew every few seconds and at the end."""

    def __init__(self, path: Path, kept: list[Record]) -> None:
        self._path, self._text = path, "".join(map(_line, kept))
        self._save()

    def add(self, record: Record) -> None:
        """Append a line."""
        self._text += _line(record)
        if time.monotonic() - self._saved >= _SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        write_whole(self._path, self._text.encode())
        self._saved = time.monotonic()

    def __enter__(self) -> _StoredManifest:
        return self

    def __exit__(self, *raised: object) -> None:
        self._save()


class _Manifest:
    """The manifest of a running job: starts with the lines that are kept, grows by whole lines."""

    def __init__(self, path: Path, kept: list[Record]) -> None:
        write_whole(path, "".join(map(_line, kept)).encode())
        self._path = path
        # Unbuffered, so that a line that did not fit a full disk is not tried again when the file is closed.
        self._file = path.open("ab", buffering=0)

    def add(self, record: Record) -> None:
        """Append a line. Raises UsageError where it cannot be kept: going on would lose what is done."""
        remedy = "make room, or choose another folder, and pass --resume"
        left = _line(record).encode()
        try:
            while left:
                left = left[self._file.write(left) :]
            if not self._path.exists():
                raise UsageError(f"{self._path} is gone", remedy)
        except OSError as error:
            raise UsageError(f"{self._path}: cannot be written ({error.strerror})", remedy) from error

    def __enter__(self) -> _Manifest:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"
