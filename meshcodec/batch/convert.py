"""One file of a folder: read, converted, written, recorded."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from meshcodec import __version__
from meshcodec.batch.options import CompressOptions, DecompressOptions, Options
from meshcodec.errors import BadMeshError, MeshWarning, PartialFailureError, one_line
from meshcodec.format.container import LARGEST_FILE
from meshcodec.geometry.io import as_written, export_mesh, load_mesh
from meshcodec.registry import Registry
from meshcodec.runtime.clock import deadline
from meshcodec.runtime.files import ending_of, is_local, write_whole
from meshcodec.runtime.memory import bounded_memory
from meshcodec.runtime.sources import code_hash
from meshcodec.runtime.workers import DIED
from meshcodec.session import codec_of_process

if TYPE_CHECKING:
    from meshcodec.api import Codec
    from meshcodec.modes.load import LoadedMesh
    from meshcodec.modes.result import Encoded


Record = dict[str, Any]
"""A line of the manifest, see `meshcodec.batch.mirror`."""
_MADE_OF = ("meshcodec.api", "meshcodec.target", "meshcodec.metrics", "meshcodec.geometry.io")


# ---- one file, in a worker


@dataclass(frozen=True)
class Job:
    """One file: its path, input and output below their folders, the output's path, the input's folder."""

    verb: Verb
    path: Path
    input: str
    output: str
    target: Path
    folder: str


@dataclass(frozen=True)
class Verb:
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
            registry = Registry(self.options.weights)
            options["model"] = registry.default().model_id.hex()
            options["mesh_coder"] = registry.default_mesh_coder_id
        return {**options, "version": __version__, "code": code_hash(*_MADE_OF)}

    def most_bytes(self) -> int:
        """Larger inputs are refused."""
        return self.options.max_bytes if isinstance(self.options, CompressOptions) else LARGEST_FILE


def _codec(options: Options) -> Codec:
    if isinstance(options, CompressOptions):
        return codec_of_process(options.device, options.weights, options.max_faces, options.max_bytes)
    return codec_of_process(options.device, options.weights)


def encode_file(
    options: CompressOptions, path: Path, data: bytes, ready: Mapping[str, Encoded] = MappingProxyType({})
) -> tuple[bytes, Record]:
    """Encode and measure; what is `ready`, by its digest, was encoded together with others."""
    from meshcodec.metrics import by_tau, fscore
    from meshcodec.target import Target

    codec, kind, stop = _codec(options), ending_of(path), deadline(options.time_limit)
    if options.size is None:
        target = Target(options.min_fscore, options.tau, options.max_error)
        measured = codec.encode_to_target(
            _source(path, data),
            target,
            options.effort,
            options.seed,
            kind,
            stop=stop,
            packing=options.packing,
            mode=options.mode,
        )
        if not measured.met and not options.best_effort:
            raise PartialFailureError(target.missed_by(measured), "pass --best-effort to write it anyway")
        encoded, found = measured.encoded, by_tau(measured.scores.f)
    else:
        encoded = ready.get(sha256_of(data)) or codec.encode_detailed(
            _source(path, data),
            options.size,
            options.effort,
            options.seed,
            kind,
            stop=stop,
            packing=options.packing,
            mode=options.mode,
            measure=False,
        )
        found = {}
        if options.measure:
            original = load_mesh(_source(path, data), kind, options.max_faces, options.max_bytes)
            found = by_tau(fscore(original, as_written(codec.decode(encoded.data))))
    about = {
        "mode": encoded.mode,
        "tokens": encoded.tokens,
        "refined": encoded.refined,
        "fscore": found or None,
    }
    return encoded.data, about


def _source(path: Path, data: bytes) -> Path | _Content:
    """What to read a mesh from: in a store it was read already, and only here it can have files beside it."""
    return path if is_local(path) else _Content(path, data)


class _Content(io.BytesIO):
    """The bytes of a file that has a name."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(data)
        self.name = str(path)


def decode_file(options: DecompressOptions, path: Path, data: bytes) -> tuple[bytes, Record]:
    """The bytes of a mesh file of the format asked for, and what is known of the mesh."""
    mesh = _codec(options).decode(data, options.resolution, faces=options.faces)
    return export_mesh(mesh, options.format), {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}


def run_batch(jobs: list[Job]) -> list[Record]:
    """`run_job` of files to be encoded, whose meshes are refined in one batch."""
    began = time.perf_counter()
    heard: dict[str, list[str]] = {job.input: [] for job in jobs}
    convert = partial(encode_file, ready=_encoded_together(jobs, heard))
    share = (time.perf_counter() - began) / len(jobs)
    records = [run_job(replace(job, verb=replace(job.verb, convert=convert))) for job in jobs]
    return [
        {
            **record,
            "seconds": round(record["seconds"] + share, 3),
            "warnings": list(dict.fromkeys([*heard[record["input"]], *record["warnings"]])),
        }
        for record in records
    ]


def _encoded_together(jobs: list[Job], heard: Mapping[str, list[str]]) -> dict[str, Encoded]:
    """What could be encoded together, by digests; warnings are added to those `heard` of each input.

    The others are left to `run_job`, which does each alone, meets its error again and records it.
    """
    options = jobs[0].verb.options
    if not isinstance(options, CompressOptions) or options.size is None:
        raise ValueError("only meshes that are encoded to a size can be encoded together")
    codec = _codec(options)
    subjects: dict[str, LoadedMesh] = {}
    try:
        with bounded_memory(options.max_memory):
            for job in jobs:
                with suppress(Exception), _heard(heard[job.input], f"{job.path}: "):
                    data = _bytes_within(job.path, job.verb.most_bytes())
                    source = _source(job.path, data)
                    subjects[sha256_of(data)] = codec.load(source, options.seed, ending_of(job.path))
            encoded = codec.encode_subjects(
                list(subjects.values()),
                options.size,
                options.effort,
                packing=options.packing,
                mode=options.mode,
                measure=False,
            )
    except Exception as error:  # memory that does for one of them, perhaps; no other file is to suffer
        fault = f"{len(subjects)} meshes could not be encoded together ({one_line(error)}): each alone"
        warnings.warn(fault, RuntimeWarning, stacklevel=2)
        return {}
    return dict(zip(subjects, encoded, strict=True))


def run_job(job: Job) -> Record:
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
        record |= {"sha256": sha256_of(data), "bytes_in": len(data)}
        with bounded_memory(job.verb.options.max_memory), _heard(record["warnings"], f"{job.path}: "):
            made, about = job.verb.convert(job.verb.options, job.path, data)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(job.target, made)
        record |= {"output": job.output, "output_sha256": sha256_of(made), "bytes_out": len(made), **about}
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


def died_record(job: Job) -> Record:
    """The record of a file whose worker process died twice."""
    return {**_record(job), "error": DIED}


def _record(job: Job) -> Record:
    """What is known of a file before anything is done with it."""
    return {
        "folder": job.folder,
        "input": job.input,
        "output": None,
        "sha256": None,
        "output_sha256": None,
        "bytes_in": 0,
        "bytes_out": 0,
        "seconds": 0.0,
        "warnings": [],
        "error": None,
        "options": job.verb.settings(),
    }


@contextmanager
def _heard(heard: list[str], name: str) -> Iterator[None]:
    """Add each `MeshWarning` inside to `heard`, without the name of the file; others are shown as usual."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, MeshWarning):
                text = str(message).removeprefix(name)
                if text not in heard:  # a mesh is read again to be measured
                    heard.append(text)
            else:
                shown(message, category, filename, lineno, file, line)

        warnings.simplefilter("always", MeshWarning)
        warnings.showwarning = show
        yield


def sha256_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
