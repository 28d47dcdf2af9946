"""The ``meshcodec`` command: options, files and messages around `meshcodec.api`.

Results go to stdout, talk to stderr. A failure is one line, ``meshcodec: error: FILE: fault; remedy``, and
the exit code of its class in `meshcodec.errors`; 130 after an interruption. Whatever imports numpy, torch or
trimesh is imported inside the verb that needs it, so that ``--help`` and ``info`` answer at once.
"""

from __future__ import annotations

import errno
import functools
import io
import json
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from meshcodec import __version__
from meshcodec.config import SIZES, PriorRecipe, TrainConfig
from meshcodec.container import LARGEST_FILE, MIN_SIZE, VatFile
from meshcodec.errors import (
    BadMeshError,
    CorruptFileError,
    MeshcodecError,
    PartialFailureError,
    UsageError,
    WeightsError,
)
from meshcodec.memory import LEAST_MEMORY, bounded_memory, memory_share
from meshcodec.packing import PACKINGS
from meshcodec.weights import Registry

if TYPE_CHECKING:
    import trimesh

    from meshcodec.api import Codec, Measured, Progress
    from meshcodec.batch import Summary
    from meshcodec.metrics import Scores
    from meshcodec.refine import Stop

FORMATS = ("obj", "ply", "stl", "glb", "off")
_TEXT_FORMATS = ("obj", "off")
_STDIN = "<stdin>"
_VERIFY_RESOLUTION = 64
_TAUS = (0.02, 0.01, 0.005)
_DEFAULT_SIZE = SIZES["1k"]
_SHORT_WAITS = {"GOMP_SPINCOUNT": "10000"}
"""How often threads that meet after each operation of torch look for each other before they sleep. libgomp's
own 300 000 take the core, where another process has the other one, from the very thread that is waited for;
with 1000 they sleep where nobody else wants the core (docs/performance.md)."""

_EPILOG = """Exit codes: 0 done; 2 usage; 3 some files of several failed, or no size reaches the quality
asked for; 4 bad input or corrupt file; 5 weights missing or not the ones the file names; 130 interrupted.

Shell completion: eval "$(_MESHCODEC_COMPLETE=bash_source meshcodec)", or zsh_source, or for fish:
_MESHCODEC_COMPLETE=fish_source meshcodec | source"""

F = TypeVar("F", bound=Callable[..., Any])


# ---- option types and shared options


def _size(text: str) -> int:
    """A number of bytes, with k for 1024 of them."""
    match = re.fullmatch(r"(\d+)(k?)", text.strip().lower(), re.ASCII)
    if not match:
        raise click.BadParameter(f"{text!r} is not a size; give {', '.join(SIZES)} or a number of bytes")
    size = int(match[1]) * (1024 if match[2] else 1)
    if size < MIN_SIZE:
        raise click.BadParameter(f"{size} bytes is too small; ask for {MIN_SIZE} or more")
    return size


def _bytes(text: str) -> int:
    """A number of bytes, with k, m or g for powers of 1024."""
    match = re.fullmatch(r"(\d{1,15})([kmg]?)", text.strip().lower(), re.ASCII)
    if not match or not int(match[1]):
        raise click.BadParameter(f"{text!r} is not a number of bytes; give one like 512m or 2g")
    return int(match[1]) << 10 * " kmg".index(match[2] or " ")


def _memory(text: str) -> int:
    """A number of bytes in which the program finds room."""
    size = _bytes(text)
    if size < LEAST_MEMORY:
        raise click.BadParameter(f"{text!r} is too little; allow {LEAST_MEMORY >> 20}m or more")
    return size


def _fscore_target(text: str) -> tuple[float, float]:
    """An F-score and the distance at which it is taken: 0.95 or 0.95@0.01."""
    score, _, tau = text.partition("@")
    try:
        wanted, distance = float(score), float(tau) if tau else _TAUS[0]
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an F-score; give one like 0.95 or 0.95@0.01") from None
    if not 0 < wanted <= 1 or distance not in _TAUS:
        known = ", ".join(map(str, _TAUS))
        raise click.BadParameter(f"{text!r}: an F-score lies in 0 to 1, its distance is one of {known}")
    return wanted, distance


def _list(text: str) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _sizes(text: str) -> list[int]:
    return [_size(part) for part in _list(text)]


_PATH = click.Path(path_type=Path)


def _folder(text: str) -> Path:
    """A folder of this machine, or one behind a URL."""
    from meshcodec.stores import open_folder

    return open_folder(text)


_weights = click.option("--weights", type=_PATH, metavar="FOLDER", help="Use the weights of this folder.")
_device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
_force = click.option("-f", "--force", is_flag=True, help="Overwrite the output.")
_effort = click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=4,
    show_default=True,
    help="Refinement for this mesh: 0, 20, 50, 75, 100, 200, 350, 600, 900 or 1200 steps;"
    " at 4 and 5 up to 350 for a hard mesh, at 4 to 7 up to 900 in 2 KB and more. Ten steps take about a"
    " second on two cores: to 1 KB, 13 s at 4 and 138 s at 9, measuring included.",
)


_packing = click.option(
    "--packing",
    type=click.Choice(PACKINGS),
    default=PACKINGS[0],
    show_default=True,
    help="coded: as many entropy-coded tokens as fit; bytes: one byte each, as many in every file of a size.",
)


def _resolution(default: int | None) -> Callable[[F], F]:
    return click.option(
        "--resolution",
        type=click.IntRange(16, 512),
        default=default,
        show_default=default is not None,
        help="Cells a side of the decoded grid.",
    )


def _jobs(command: F) -> F:
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        callback=_one_thread,
        help="Processes of one thread; by default one for each core.",
    )(command)


def _one_thread(_: click.Context, __: click.Parameter, jobs: int | None) -> int | None:
    """One job is done in this process, with one thread as in any worker: the same bytes at the same price.

    The libraries read the environment when they are loaded, which is later.
    """
    if jobs == 1:
        from meshcodec.workers import ONE_THREAD

        _by_default(ONE_THREAD)
    return jobs


def _by_default(variables: dict[str, str]) -> None:
    """What the environment says from now on, unless the user has said it otherwise."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _quality(command: F) -> F:
    options = (
        click.option(
            "--size",
            type=_size,
            metavar="SIZE",
            help="512, 1k, 2k, 4k, or bytes; 1k unless a quality is asked for.",
        ),
        click.option(
            "--min-fscore",
            type=_fscore_target,
            metavar="F[@TAU]",
            help="Take the smallest of 512, 1k, 2k, 4k whose decode has this F-score (at TAU 0.02).",
        ),
        click.option(
            "--max-error",
            type=click.FloatRange(min=0, min_open=True),
            metavar="E",
            help="The same for the 95th percentile of the distances, the mesh's longest half-extent being 1.",
        ),
        click.option(
            "--best-effort", is_flag=True, help="Where no size reaches that quality, write the best."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _limits(command: F) -> F:
    faces = click.option(
        "--max-faces",
        type=click.IntRange(min=1),
        default=5_000_000,
        show_default=True,
        help="Refuse meshes of more triangles.",
    )
    size = click.option(
        "--max-bytes",
        type=_bytes,
        default="512m",
        show_default=True,
        metavar="BYTES",
        help="Refuse larger mesh files.",
    )
    return faces(size(_max_memory(command)))


def _max_memory(command: F) -> F:
    return click.option(
        "--max-memory",
        type=_memory,
        metavar="BYTES",
        help="Of each process; by default what the machine has, shared among them.",
    )(command)


def _asks_quality(
    size: int | None,
    min_fscore: tuple[float, float] | None,
    max_error: float | None,
    best_effort: bool,
) -> bool:
    """Whether a quality is asked for rather than a size."""
    asks = min_fscore is not None or max_error is not None
    if asks and size is not None:
        raise UsageError("--size and a quality exclude each other", "give one of them")
    if best_effort and not asks:
        raise UsageError("--best-effort is about a quality", "give --min-fscore or --max-error, too")
    return asks


def _talk(command: F) -> F:
    quiet = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
    verbose = click.option("-v", "--verbose", is_flag=True, help="Say more, with seconds of the stages.")
    return quiet(verbose(command))


# ---- the command


class _Cli(click.Group):
    """Turns errors and interruptions into messages and exit codes, and keeps the verbs in order."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_: _say(f"meshcodec: warning: {message}")
                return super().invoke(ctx)
        except MeshcodecError as error:
            _complain(error)
            ctx.exit(error.exit_code)
        except OSError as error:
            # Files report this themselves, so it is stdout. A reader that left (EPIPE) is click's business.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            # What is still in the buffer would fail once more, and with a traceback, when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fault = f"<stdout>: cannot be written ({error.strerror})"
            _complain(UsageError(fault, "make room, or write to another place"))
            ctx.exit(UsageError.exit_code)
        except KeyboardInterrupt:
            click.echo("meshcodec: interrupted", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Cli, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meshcodec", message="%(prog)s %(version)s")
def cli() -> None:
    """Meshes to files of 512 bytes to 4 KB, and back. The name - stands for a pipe."""


def main() -> None:
    """Entry point of the ``meshcodec`` command."""
    _by_default(_SHORT_WAITS)
    cli(prog_name="meshcodec")


@cli.command()
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="OUT.vat|-", help="By default INPUT with the suffix .vat.")
@_quality
@_effort
@_packing
@click.option("--seed", type=int, default=0, show_default=True, help="Of all sampling.")
@click.option("--verify", is_flag=True, help="Decode what was written and print its F-scores.")
@click.option("--file-type", metavar="EXT", help="Format of a mesh from a pipe, e.g. obj.")
@_limits
@_weights
@_device
@_json
@_force
@_talk
def encode(
    source: str,
    output: str | None,
    size: int | None,
    min_fscore: tuple[float, float] | None,
    max_error: float | None,
    best_effort: bool,
    effort: int,
    packing: str,
    seed: int,
    verify: bool,
    file_type: str | None,
    max_faces: int,
    max_bytes: int,
    max_memory: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Encode the mesh INPUT into a .vat file.

    Ctrl-C while it is refined writes the best found so far.
    """
    if source == "-" and file_type is None:
        raise UsageError("a mesh from a pipe has no extension", "name its format with --file-type")
    to_target = _asks_quality(size, min_fscore, max_error, best_effort)
    _check_input(source)
    out = _output(source, output, "vat")
    _check_output(out, force, as_json, binary=True)
    from meshcodec.api import DEFAULT_RESOLUTION, Codec, Target
    from meshcodec.geometry.io import load_mesh

    began = time.perf_counter()
    codec = Codec(device, weights, max_faces, max_bytes)
    name = _shown(source)
    mesh_file = source if source != "-" else _Pipe(sys.stdin.buffer.read(max_bytes + 1))
    measured: Measured | None = None
    bounded = bounded_memory(max_memory or memory_share())
    with _naming(source), bounded, _progress(quiet) as progress, _interruptible() as stop:
        if to_target:
            wanted, tau = min_fscore or (None, _TAUS[0])
            target = Target(wanted, tau, max_error)
            measured = codec.encode_to_target(
                mesh_file, target, effort, seed, file_type, progress, stop, packing
            )
            encoded = measured.encoded
            if not measured.met and not best_effort:
                raise PartialFailureError(target.missed_by(measured), "pass --best-effort to write it anyway")
        else:
            encoded = codec.encode_detailed(
                mesh_file, size or _DEFAULT_SIZE, effort, seed, file_type, progress, stop, packing
            )
    _write(out, encoded.data, force)
    seconds = time.perf_counter() - began
    record: dict[str, Any] = {
        "input": name,
        "output": _target(out),
        "bytes": len(encoded.data),
        "tokens": encoded.tokens,
        "packing": encoded.packing,
        "scales": encoded.scales,
        "effort": encoded.effort,
        "refined": encoded.refined,
        "interrupted": encoded.interrupted,
        "model": codec.model_id,
        "device": codec.device.type,
        "seconds": {"total": seconds, **encoded.seconds},
    }
    if not quiet:
        _say(
            f"{name} -> {_target(out)}: {len(encoded.data)} bytes, {encoded.tokens} tokens, "
            f"{encoded.scales} scales, effort {encoded.effort}, {seconds:.1f} s"
        )
    if verbose and not quiet:
        _say(f"tokens: {'refined' if encoded.refined else 'as the encoder gave them'}")
        _say(_stages(encoded.seconds))
    if measured is not None:
        record |= {"met": measured.met, "fscore": _scores(measured.scores), "p95": measured.scores.p95}
    elif verify:
        if isinstance(mesh_file, _Pipe):
            mesh_file.seek(0)
        written = encoded.data if out == "-" else Path(out).read_bytes()
        with _naming(source), bounded_memory(max_memory or memory_share()):
            original = load_mesh(mesh_file, file_type, max_faces, max_bytes)
            record["fscore"] = _fscore(original, codec.decode(written, DEFAULT_RESOLUTION))
    if "fscore" in record and not quiet:
        _say(_fscore_line(record["fscore"]))
    if as_json:
        _print_json(record)
    if encoded.interrupted:
        _say("meshcodec: interrupted: wrote the best found so far")
        raise click.exceptions.Exit(130)


@cli.command()
@click.argument("source", metavar="INPUT.vat")
@click.option(
    "-o", "--output", metavar="OUT|-", help=f"A {', '.join(FORMATS)} file; by default INPUT with .obj."
)
@_resolution(256)
@click.option("--tokens", type=click.IntRange(min=1), help="Use only the first tokens: a coarser mesh.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="By default the extension of OUT.")
@click.option("--dense", is_flag=True, help="Evaluate every point of the grid; slow, the same mesh.")
@_max_memory
@_weights
@_device
@_json
@_force
@_talk
def decode(
    source: str,
    output: str | None,
    resolution: int,
    tokens: int | None,
    format_: str | None,
    dense: bool,
    max_memory: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Decode a .vat file into a closed mesh.

    The mesh lies in the frame of the original.
    """
    data, file = _read_vat(source)
    out = _output(source, output, format_ or "obj")
    kind = format_ or (_extension(out) if out != "-" else "obj")
    if kind not in FORMATS:
        raise UsageError(f"{_shown(out)}: cannot write {kind!r} files", f"choose one of {', '.join(FORMATS)}")
    _check_output(out, force, as_json, binary=kind not in _TEXT_FORMATS)
    with _naming(source, weights_too=True):
        Registry(weights).find(file.model_id)  # before torch is loaded, and while the file's name is known
    from meshcodec.api import Codec
    from meshcodec.geometry.io import export_mesh

    began = time.perf_counter()
    codec = Codec(device, weights)
    with _naming(source), bounded_memory(max_memory or memory_share()):
        decoded = codec.decode_detailed(data, resolution, tokens, dense)
        mesh = export_mesh(decoded.mesh, kind)
    _write(out, mesh, force)
    seconds = time.perf_counter() - began
    vertices, faces = len(decoded.mesh.vertices), len(decoded.mesh.faces)
    if not quiet:
        _say(
            f"{_shown(source)} -> {_target(out)}: {vertices} vertices, {faces} faces, "
            f"resolution {resolution}, {seconds:.1f} s"
        )
    if verbose and not quiet:
        share = 100 * decoded.evaluated / decoded.total
        grid = f"{decoded.total} points of a {resolution}^3 grid"
        _say(f"field evaluated at {decoded.evaluated} of the {grid} ({share:.1f} %)")
        _say(_stages(decoded.seconds))
    if as_json:
        _print_json(
            {
                "input": _shown(source),
                "output": _target(out),
                "vertices": vertices,
                "faces": faces,
                "resolution": resolution,
                "tokens": tokens or file.count,
                "evaluated": decoded.evaluated,
                "total": decoded.total,
                "model": file.model_id.hex(),
                "device": codec.device.type,
                "seconds": {"total": seconds, **decoded.seconds},
            }
        )


_into = click.option(
    "-o", "--output", type=_folder, required=True, metavar="OUT|URL", help="Folder; mirrored."
)
_resume = click.option("--resume", is_flag=True, help="Go on with the run that OUT holds.")
_engine = click.option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    show_default=True,
    help="Where files are done: on this machine, or on the Ray cluster of RAY_ADDRESS, -j actors of it.",
)


@cli.command()
@click.argument("folder", metavar="DIR|URL", type=_folder)
@_into
@_quality
@_effort
@_packing
@click.option("--seed", type=int, default=0, show_default=True, help="Of all sampling.")
@click.option("--no-verify", is_flag=True, help="Do not decode and measure what was written.")
@click.option("--report", "page", metavar="OUT.html", help="Measure the result and write a page about it.")
@_limits
@_resume
@_jobs
@_engine
@_weights
@_device
@_json
@_force
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def compress(
    folder: Path,
    output: Path,
    size: int | None,
    min_fscore: tuple[float, float] | None,
    max_error: float | None,
    best_effort: bool,
    effort: int,
    packing: str,
    seed: int,
    no_verify: bool,
    page: str | None,
    max_faces: int,
    max_bytes: int,
    max_memory: int | None,
    resume: bool,
    jobs: int | None,
    engine: Literal["processes", "ray"],
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Encode every mesh of the folder DIR.

    OUT gets the same tree of .vat files, and manifest.jsonl with a line for each. Either may be a URL that
    fsspec knows, such as s3://bucket/meshes (extra ray).
    """
    to_target = _asks_quality(size, min_fscore, max_error, best_effort)
    from meshcodec.stores import is_local

    if page is not None and not (is_local(folder) and is_local(output)):
        raise UsageError(
            "--report reads folders of this machine", "copy the results, and use meshcodec report"
        )
    if page is not None and (output.exists() or Path(page).parent != output):  # which is made later
        _check_output(page, force or resume, as_json, binary=False)
    from meshcodec import batch

    wanted, tau = min_fscore or (None, _TAUS[0])
    options = batch.CompressOptions(
        size=None if to_target else size or _DEFAULT_SIZE,
        min_fscore=wanted,
        tau=tau,
        max_error=max_error,
        best_effort=best_effort,
        effort=effort,
        seed=seed,
        measure=not no_verify,
        packing=packing,
        max_faces=max_faces,
        max_bytes=max_bytes,
        max_memory=max_memory,
        device=device,
        weights=weights,
    )
    Registry(weights).default()  # of wrong weights, one message is enough
    summary = batch.compress(folder, output, options, jobs, resume, force, quiet, engine)
    _summarize(summary, as_json, quiet)
    if page is not None:
        _report_page(folder, output, page, jobs, device, weights, force or resume, quiet)
    _fail_for(summary)


@cli.command()
@click.argument("folder", metavar="DIR|URL", type=_folder)
@_into
@_resolution(256)
@click.option("--format", "format_", type=click.Choice(FORMATS), default="obj", show_default=True)
@_max_memory
@_resume
@_jobs
@_engine
@_weights
@_device
@_json
@_force
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def decompress(
    folder: Path,
    output: Path,
    resolution: int,
    format_: str,
    max_memory: int | None,
    resume: bool,
    jobs: int | None,
    engine: Literal["processes", "ray"],
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Decode every .vat file of the folder DIR into a mirrored tree of meshes."""
    from meshcodec import batch

    options = batch.DecompressOptions(format_, resolution, device, weights, max_memory)
    summary = batch.decompress(folder, output, options, jobs, resume, force, quiet, engine)
    _summarize(summary, as_json, quiet)
    _fail_for(summary)


def _summarize(summary: Summary, as_json: bool, quiet: bool) -> None:
    if as_json:
        _print_json(summary.records)
    if not quiet:
        for line in summary.lines():
            _say(line)
    for record in summary.failed:
        click.echo(f"meshcodec: error: {_shown(record['input'])}: {record['error']}", err=True)


def _fail_for(summary: Summary) -> None:
    if summary.failed:
        raise PartialFailureError(f"{len(summary.failed)} of {len(summary.records)} files failed")


def _report_page(
    references: Path,
    decoded: Path,
    page: str,
    jobs: int | None,
    device: str,
    weights: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Write the page of `meshcodec report` about a folder that was just made, its failures included."""
    from meshcodec.report import run_report, to_html

    found = run_report(
        references, decoded, jobs=jobs or _cores(), device=device, weights=weights, quiet=quiet
    )
    _write(page, to_html(found), force)


@cli.command()
@click.argument("files", metavar="FILE.vat...", nargs=-1, required=True)
@_weights
@_json
def info(files: tuple[str, ...], weights: Path | None, as_json: bool) -> None:
    """Print what .vat files say about themselves."""
    registry = _registry(weights)
    _each(files, lambda name: _describe(name, registry), _description, as_json)


@cli.command()
@click.argument("files", metavar="FILE.vat...", nargs=-1, required=True)
@click.option("--against", metavar="MESH", help="Print F-scores against this mesh.")
@_weights
@_device
@_json
def verify(
    files: tuple[str, ...], against: str | None, weights: Path | None, device: str, as_json: bool
) -> None:
    """Check that .vat files are whole and decode.

    Header, checksum, number of tokens, whether the model is here, and whether the mesh is closed.
    """
    if against is not None:
        _check_input(against)
    from meshcodec.api import Codec
    from meshcodec.geometry.io import load_mesh

    codec = Codec(device, weights)
    reference = load_mesh(against) if against is not None else None
    _each(files, lambda name: _verified(name, codec, reference), _verdict, as_json)


@cli.command()
@_weights
@_json
def doctor(weights: Path | None, as_json: bool) -> None:
    """Say which device computes, and check the weights."""
    import platform

    import numpy
    import torch
    import trimesh

    from meshcodec.device import bfloat16_is_fast, choose_device
    from meshcodec.kernels import choose_kernel
    from meshcodec.weights import load_coder, load_model, load_prior

    device, reason = choose_device()
    kernel, kernel_reason = choose_kernel(device)
    report: dict[str, Any] = {
        "versions": {
            "meshcodec": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "trimesh": trimesh.__version__,
        },
        "device": str(device),
        "reason": reason,
        "kernel": kernel,
        "kernel_reason": kernel_reason,
        "cores": _cores(),
        "bfloat16": "fast" if bfloat16_is_fast(device) else "slow",
        "weights": None,
        "models": [],
    }
    fault: WeightsError | None = None
    try:
        registry = Registry(weights)
        report["weights"] = str(registry.folder)
        for model_id, entry in registry.entries.items():
            state, loaded = "ok", {}
            try:
                load_model(entry)
                loaded = {"coder": load_coder(entry), "prior": load_prior(entry)}
            except WeightsError as error:
                state, fault = error.fault, error
            default = model_id == registry.default_id
            parts = [name for name, part in loaded.items() if part is not None]
            report["models"].append(
                {"id": model_id, "name": entry.name, "default": default, "state": state, "parts": parts}
            )
        registry.default()
    except WeightsError as error:
        fault = error
    if as_json:
        _print_json(report)
    else:
        click.echo("versions  " + ", ".join(f"{name} {v}" for name, v in report["versions"].items()))
        click.echo(f"device    {report['device']} ({reason})")
        click.echo(f"kernel    {kernel} ({kernel_reason})")
        click.echo(f"cores     {report['cores']}")
        click.echo(f"bfloat16  {report['bfloat16']}")
        click.echo(f"weights   {report['weights'] or 'none'}")
        for model in report["models"]:
            default = ", default" if model["default"] else ""
            state = ", ".join([model["state"], *model["parts"]])
            click.echo(f"model     {model['id']} {model['name']}{default}: {state}")
    if fault is not None:
        raise fault


@cli.command()
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--sizes", type=_sizes, default="512,1k,2k,4k", show_default=True, metavar="SIZE,...")
@_effort
@_packing
@click.option("--baselines", type=_list, default="", metavar="NAME,...", help="Such as draco,hull,target.")
@click.option("-o", "--output", type=_PATH, default="bench", show_default=True, metavar="DIR", help="Report.")
@_jobs
@_resolution(256)
@_weights
@_device
@_json
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def bench(
    folder: Path,
    sizes: list[int],
    effort: int,
    packing: str,
    baselines: list[str],
    output: Path,
    jobs: int | None,
    resolution: int,
    weights: Path | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure size against quality over a folder of meshes."""
    from meshcodec.api import Codec
    from meshcodec.bench import run_bench

    report = run_bench(
        folder,
        sizes,
        effort,
        baselines,
        output,
        jobs or _cores(),
        resolution,
        packing=packing,
        device=device,
        make_codec=functools.partial(Codec, weights=weights) if weights is not None else None,
        quiet=quiet,
    )
    if as_json:
        _print_json([row.to_dict() for row in report.rows])
    else:
        click.echo(report.table(), nl=False)
    for note in report.notes:
        _say(note)
    failed = {row.file: row.error for row in report.failed}
    if failed:
        listed = ", ".join(f"{_shown(name)} ({error})" for name, error in failed.items())
        raise PartialFailureError(f"{len(failed)} files failed: {listed}")


@cli.command()
@click.argument("references", metavar="REFERENCES", type=_PATH)
@click.argument("decoded", metavar="DECODED|VATS", type=_PATH)
@click.option("-o", "--output", metavar="OUT.html|-", help="Write a page with pictures and 3D views, too.")
@click.option("--csv", "csv_file", metavar="FILE|-", help="Write the table as CSV.")
@_resolution(256)
@_jobs
@_weights
@_device
@_json
@_force
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def report(
    references: Path,
    decoded: Path,
    output: str | None,
    csv_file: str | None,
    resolution: int,
    jobs: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Measure decoded meshes or .vat files against their originals.

    REFERENCES and DECODED are two files, or two folders with the same tree: a/b.obj belongs to a/b.vat or to
    a mesh of that name. Prints a table; with -o also writes one HTML page that needs nothing else: the table
    to sort, charts, and each mesh beside its original. What fails or has no partner is listed: exit code 3.
    """
    files = [name for name in (output, csv_file) if name is not None]
    if files.count("-") > 1:
        raise UsageError("-o - and --csv - both write to stdout", "name a file")
    for name in files:
        _check_output(name, force, as_json, binary=False)
    from meshcodec.report import run_report, to_csv, to_html, to_json

    found = run_report(
        references,
        decoded,
        jobs=jobs or _cores(),
        resolution=resolution,
        device=device,
        weights=weights,
        pictures=output is not None,
        quiet=quiet,
    )
    if output is not None:
        _write(output, to_html(found), force)
    if csv_file is not None:
        _write(csv_file, to_csv(found), force)
    if as_json:
        _print_json(to_json(found))
    elif "-" not in files:
        click.echo(found.table(), nl=False)
    for fault in found.faults:
        click.echo(f"meshcodec: error: {fault}", err=True)
    if found.faults:
        counts = f"{len(found.failed)} of {len(found.rows)} meshes failed"
        alone = f", {len(found.unmatched)} decoded files have no reference" if found.unmatched else ""
        raise PartialFailureError(counts + alone)


# ---- training


@cli.command()
@click.option("-o", "--output", type=_PATH, required=True, metavar="DIR", help="Where the files go.")
@click.option("-n", "count", type=click.IntRange(1, 9999), default=8, show_default=True, help="Shapes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--text", default="", metavar="WORDS", help="What they shall be, such as 'office chair'.")
@click.option("--image", type=_PATH, metavar="PICTURE", help="Of such a thing, on a plain background.")
@click.option("--like", metavar="A.vat", help="Keep the box and the coarse scales of this file.")
@click.option("--keep-scales", type=click.IntRange(min=1), metavar="K", help="So many of them; 3 by default.")
@click.option("--guidance", type=click.FloatRange(min=0), help="How strictly words and pictures count.")
@click.option("--temperature", type=click.FloatRange(min=0.01), help="Below 1: safer, more alike.")
@click.option("--top-k", type=click.IntRange(0, 256), help="Draw from the K likeliest tokens; 0: from all.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw from the likeliest share.")
@click.option("--no-sheet", is_flag=True, help="Do not draw sheet.png.")
@_weights
@_device
@_json
@_force
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def generate(
    output: Path,
    count: int,
    seed: int,
    text: str,
    image: Path | None,
    like: str | None,
    keep_scales: int | None,
    guidance: float | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    no_sheet: bool,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Draw new shapes: DIR/0000.vat and so on, and sheet.png with a picture of each.

    Words and pictures say what they shall be like; with --like they are variations of a file.
    """
    if keep_scales is not None and like is None:
        raise UsageError("--keep-scales is about a file", "give --like, too")
    given: dict[str, Any] = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    original = _read_vat(like)[0] if like is not None else None
    from meshcodec.api import Codec
    from meshcodec.prior.generate import Generator, output_paths, write_shapes
    from meshcodec.prior.sampling import Sampling
    from meshcodec.prior.views import picture_view

    paths, picture = output_paths(output, count, not no_sheet, force)
    generator = Generator(Codec(device, weights))
    side = generator.prior.config.image_side
    view = picture_view(image, side) if image is not None else None
    known = None
    if original is not None:
        with _naming(str(like)):
            known = generator.known_of(original, keep_scales or 3)
    sampling = Sampling(**{name: value for name, value in given.items() if value is not None})
    shapes = generator.generate(count, seed, text, view, known, sampling)
    write_shapes(shapes, paths, picture)
    if as_json:
        _print_json(
            [{"file": str(path), "bytes": len(s.data)} for path, s in zip(paths, shapes, strict=True)]
        )
    elif not quiet:
        _say(f"{len(shapes)} shapes -> {_shown(output)}")


@cli.group()
def train() -> None:
    """Train weights: prepare, run, export, coder, prior."""


_cache = click.option("--cache", type=_PATH, required=True, metavar="CACHE", help="Of 'train prepare'.")


@train.command()
@click.argument("corpus", metavar="CORPUS", type=_PATH)
@click.option("-o", "--output", type=_PATH, required=True, metavar="CACHE")
@click.option("--recipe", type=_PATH, required=True, metavar="R.json")
@_jobs
def prepare(corpus: Path, output: Path, recipe: Path, jobs: int | None) -> None:
    """Sample the meshes of a folder, and generated ones, into a cache; goes on where it was stopped."""
    config = _recipe(recipe, TrainConfig)
    from meshcodec.train.cache import prepare as fill
    from meshcodec.train.corpus import procedural_items, read_corpus

    _log_to_stderr()
    items = read_corpus(corpus) + procedural_items(config.procedural_meshes)
    left_out = fill(items, output, config.validation_sources, jobs or _cores())
    _say(f"{_shown(corpus)} -> {_shown(output)}: {len(items)} meshes, {left_out} newly left out")


@train.command()
@click.argument("recipe", metavar="RECIPE.json", type=_PATH)
@_cache
@click.option("-o", "--output", type=_PATH, required=True, metavar="RUN", help="Checkpoint and log.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch; by default its own choice.")
@click.option("--from-weights", type=_PATH, metavar="FOLDER", help="Start from this folder's default model.")
@_device
@click.pass_context
def run(
    ctx: click.Context,
    recipe: Path,
    cache: Path,
    output: Path,
    threads: int | None,
    from_weights: Path | None,
    device: str,
) -> None:
    """Train by a recipe, or go on with a run that was stopped."""
    config = _recipe(recipe, TrainConfig)
    import torch

    from meshcodec.device import choose_device
    from meshcodec.train.grow import start_weights
    from meshcodec.train.loop import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    chosen, reason = choose_device(device)
    if chosen.type == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # torchrun starts one process for each GPU
    start_from = start_weights(from_weights, config.model, recipe) if from_weights is not None else None
    trainer = Trainer(config, cache, output, chosen, start_from)
    _log_to_stderr()
    _say(f"training on {chosen} ({reason})")
    trainer.run()
    if not trainer.finished:
        _say(f"stopped at step {trainer.step} of {config.steps}; the same command goes on from here")
        ctx.exit(130)


@train.command()
@click.argument("run_folder", metavar="RUN", type=_PATH)
@click.option("-o", "--output", type=_PATH, required=True, metavar="WEIGHTS_FOLDER")
@click.option("--name", required=True, help="Of the model: letters, digits, dots, dashes.")
def export(run_folder: Path, output: Path, name: str) -> None:
    """Write the averaged weights of a run as safetensors and enter them in the folder's registry."""
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise UsageError(f"--name {name!r} does not suit a file", "use letters, digits, dots and dashes")
    import pickle

    import torch

    from meshcodec.model import VariationalTokenizer
    from meshcodec.weights import save_model

    checkpoint = run_folder / "checkpoint.pt"
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model = VariationalTokenizer(TrainConfig.from_dict(json.loads(state["config"])).model)
        model.load_state_dict(state["averaged"])
    except FileNotFoundError as error:
        raise UsageError(f"{checkpoint}: there is no such file", "name the folder of 'train run'") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.PickleError) as error:
        raise UsageError(f"{checkpoint}: not a checkpoint of this version", "train again") from error
    try:
        model_id = save_model(model, output, name)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror})", "choose another") from error
    _say(f"{_shown(run_folder)} -> {_shown(output)}: model {model_id}, step {state['step']}")
    click.echo(model_id)


@train.command()
@click.argument("folder", metavar="WEIGHTS_FOLDER", type=_PATH)
@_cache
@click.option("-o", "--output", type=_PATH, required=True, metavar="RUN", help="Tokens and networks so far.")
@click.option("--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Of refined tokens.")
@click.option("--meshes", type=click.IntRange(min=13), default=200, show_default=True, help="Of each round.")
@_jobs
def coder(folder: Path, cache: Path, output: Path, rounds: int, meshes: int, jobs: int | None) -> None:
    """Fit what entropy-codes the tokens of the folder's default model, and enter it in the registry.

    Goes on where it was stopped. A model gets it once: files hang on it.
    """
    entry = Registry(folder).default()
    if entry.coder_path is not None:
        raise UsageError(f"{entry.coder_path} is there already", "files hang on it; train another model")
    from meshcodec.train.coder import CoderConfig, train_coder
    from meshcodec.weights import load_model, save_coder

    _log_to_stderr()
    config = CoderConfig(rounds=rounds, meshes=meshes)
    fitted = train_coder(load_model(entry), cache, output, config, jobs or _cores())
    path = save_coder(fitted, folder, entry.model_id.hex())
    _say(f"{_shown(output)} -> {_shown(path)}")


@train.command()
@click.argument("folder", metavar="WEIGHTS_FOLDER", type=_PATH)
@click.option("--corpus", type=_PATH, required=True, metavar="CORPUS", help="Folder of meshes.")
@click.option("--recipe", type=_PATH, required=True, metavar="R.json")
@click.option("-o", "--output", type=_PATH, required=True, metavar="RUN", help="Tokens, checkpoint and log.")
@_jobs
def prior(folder: Path, corpus: Path, recipe: Path, output: Path, jobs: int | None) -> None:
    """Train what 'generate' draws shapes from, for the folder's default model, and enter it in the registry.

    Goes on where it was stopped.
    """
    config = _recipe(recipe, PriorRecipe)
    entry = Registry(folder).default()
    from meshcodec.train.corpus import read_corpus
    from meshcodec.train.prior import train_prior
    from meshcodec.weights import load_coder, load_model, save_prior

    _log_to_stderr()
    items = read_corpus(corpus)
    trained = train_prior(items, load_model(entry), load_coder(entry), output, config, jobs or _cores())
    path = save_prior(trained, folder, entry.model_id.hex())
    _say(f"{_shown(output)} -> {_shown(path)}")


_Recipe = TypeVar("_Recipe", TrainConfig, PriorRecipe)


def _recipe(path: Path, kind: type[_Recipe]) -> _Recipe:
    remedy = "see meshcodec/config.py for what a recipe holds"
    try:
        return kind.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", "name a recipe") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})", remedy) from error
    except (TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a recipe ({error})", remedy) from error


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")


# ---- .vat files


def _read_vat(name: str) -> tuple[bytes, VatFile]:
    with _naming(name):
        try:
            if name == "-":
                data = sys.stdin.buffer.read(LARGEST_FILE)
            else:
                with Path(name).open("rb") as stream:
                    data = stream.read(LARGEST_FILE)
        except FileNotFoundError as error:
            raise CorruptFileError("there is no such file", "check the path") from error
        except OSError as error:
            raise CorruptFileError(f"cannot be read: {error.strerror}", "check the path") from error
        return data, VatFile.from_bytes(data)


def _registry(weights: Path | None) -> Registry | None:
    """The registry; None when no folder was named and none is installed."""
    try:
        return Registry(weights)
    except WeightsError:
        if weights is not None:
            raise
        return None


def _describe(name: str, registry: Registry | None) -> dict[str, Any]:
    data, file = _read_vat(name)
    entry = registry.entries.get(file.model_id.hex()) if registry else None
    count = file.count
    scales = None
    if entry is not None:
        ends = entry.config.scale_ends()
        scales = {
            "sides": [s for s, end in zip(entry.config.scale_sides, (0, *ends), strict=False) if end < count],
            "whole": sum(end <= count for end in ends),
            "of": len(ends),
        }
    return {
        "file": _shown(name),
        "bytes": len(data),
        "version": data[3],
        "packing": file.packing,
        "tokens": count,
        "model": file.model_id.hex(),
        "model_name": entry.name if entry else None,
        "scales": scales,
        "center": file.center,
        "scale": file.scale,
        "half_extents": file.half_extents,
        "mirrored": file.mirrored,
        "level": file.level,
    }


def _description(record: dict[str, Any]) -> str:
    scales = record["scales"]
    lines = [
        f"{record['file']}: {record['bytes']} bytes, format version {record['version']}",
        f"  model   {record['model']} ({record['model_name'] or 'not installed'})",
        f"  tokens  {record['tokens']}, packing {record['packing']}",
    ]
    if scales is not None:
        sides = " ".join(map(str, scales["sides"]))
        lines.append(f"  scales  {scales['whole']} whole of {scales['of']}; cells a side: {sides}")
    if record["center"] is not None:
        x, y, z = record["center"]
        sides = " ".join(f"{side:.7g}" for side in record["half_extents"])
        lines.append(f"  place   centre {x:.7g} {y:.7g} {z:.7g}, half sides {sides}")
        if mirrors := [axis for axis, is_one in zip("xyz", record["mirrored"], strict=True) if is_one]:
            lines.append(f"  mirror  across {' '.join(mirrors)}")
    else:
        lines.append("  place   none: it stays in the cube [-1, 1]")
    return "\n".join(lines)


def _verified(name: str, codec: Codec, reference: trimesh.Trimesh | None) -> dict[str, Any]:
    from meshcodec.api import DEFAULT_RESOLUTION
    from meshcodec.metrics import is_closed

    data, file = _read_vat(name)
    with _naming(name, weights_too=True):
        codec.registry.find(file.model_id)
    with _naming(name):
        resolution = DEFAULT_RESOLUTION if reference is not None else _VERIFY_RESOLUTION
        try:
            mesh = codec.decode(data, resolution)
        except CorruptFileError:
            if resolution == DEFAULT_RESOLUTION:
                raise
            resolution = DEFAULT_RESOLUTION  # a thin sheet can slip between the points of the small grid
            mesh = codec.decode(data, resolution)
        if not is_closed(mesh):
            raise CorruptFileError("its tokens decode to an open mesh", "encode the mesh again")
        return {
            "file": _shown(name),
            "tokens": file.count,
            "model": file.model_id.hex(),
            "resolution": resolution,
            "faces": len(mesh.faces),
            "closed": True,
            "fscore": _fscore(reference, mesh) if reference is not None else None,
        }


def _verdict(record: dict[str, Any]) -> str:
    line = f"{record['file']}: ok, {record['tokens']} tokens, model {record['model']}"
    return f"{line}, {_fscore_line(record['fscore'])}" if record["fscore"] else line


def _cores() -> int:
    from meshcodec.workers import available_cores

    return available_cores()


def _each(
    names: Sequence[str],
    examine: Callable[[str], dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    as_json: bool,
) -> None:
    """Examine files one by one; of several, those that fail do not keep the others from being printed."""
    records, failed = [], []
    for name in names:
        try:
            record = examine(name)
        except MeshcodecError as error:
            if len(names) == 1:
                raise
            _complain(error)
            failed.append(_shown(name))
            records.append({"file": _shown(name), "error": str(error)})
            continue
        records.append(record)
        if not as_json:
            click.echo(line(record))
    if as_json:
        _print_json(records)
    if failed:
        raise PartialFailureError(f"{len(failed)} of {len(names)} files failed: {', '.join(failed)}")


def _fscore(reference: trimesh.Trimesh, decoded: trimesh.Trimesh) -> dict[str, float]:
    from meshcodec.metrics import fscore

    return {str(tau): f for tau, f in zip(_TAUS, fscore(reference, decoded, _TAUS), strict=True)}


def _scores(scores: Scores) -> dict[str, float]:
    return {str(tau): f for tau, f in zip(_TAUS, (scores.f_002, scores.f_001, scores.f_0005), strict=True)}


def _fscore_line(scores: dict[str, float]) -> str:
    return "  ".join(f"F@{tau} {f:.4f}" for tau, f in scores.items())


# ---- input, output and talk


class _Pipe(io.BytesIO):
    """What came through a pipe, with the name that messages give it."""

    name = _STDIN


def _check_input(name: str) -> None:
    """Before the output is looked at: of a wrong input, the output's folder is not what is wrong."""
    try:
        missing = name != "-" and not Path(name).exists()
    except OSError:
        missing = False  # the reader says what is wrong
    if missing:
        raise BadMeshError("there is no such file", "check the path").about(_shown(name))


def _output(source: str, output: str | None, extension: str) -> str:
    """Where the result goes: where asked, else beside the input; from pipe to pipe."""
    if output is not None:
        return output
    if source == "-":
        return "-"
    if not Path(source).name:
        raise UsageError(f"{source or repr(source)}: not the name of a file", "name a file")
    return str(Path(source).with_suffix(f".{extension}"))


def _check_output(out: str, force: bool, as_json: bool, binary: bool) -> None:
    """Refuse before any work what could not be written after it."""
    if out == "-":
        if as_json:
            raise UsageError("--json and -o - both write to stdout", "name an output file")
        if binary and sys.stdout.isatty():
            raise UsageError("binary data is not written to a terminal", "redirect it or name a file with -o")
        return
    path, shown = Path(out), _shown(out)
    try:
        if path.is_dir():
            raise UsageError(f"{shown}: is a folder", "name a file")
        if path.exists():
            if path.is_file() and not force:
                raise UsageError(f"{shown}: exists", "pass -f to overwrite")
            if not path.is_file():
                return  # a device or a named pipe
        if not path.parent.is_dir():
            raise UsageError(f"{shown}: {path.parent} is not a folder", "create it or choose another output")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{shown}: {path.parent} is read-only", "choose another output folder")
    except OSError as error:
        raise UsageError(f"{shown}: cannot be written ({error.strerror})", "choose another output") from error


def _write(out: str, data: bytes, force: bool) -> None:
    from meshcodec.geometry.io import write_atomic

    if out == "-":
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()  # so that a closed pipe is noticed here
    else:
        write_atomic(Path(out), data, force)


@contextmanager
def _naming(source: str, weights_too: bool = False) -> Iterator[None]:
    """Put the file's name in front of errors that lack it; those about the weights are about another file."""
    try:
        yield
    except MeshcodecError as error:
        shown = _shown(source)
        if str(error).startswith(f"{shown}:") or (isinstance(error, WeightsError) and not weights_too):
            raise
        raise error.about(shown) from error


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """A bar for the steps of the refinement, where there is a terminal to draw it on."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with ExitStack() as stack:
        bars: list[tqdm[Any]] = []

        def show(step: int, steps: int, loss: float, fscore: float) -> None:
            if not bars:  # effort 0 has no steps and gets no bar
                bars.append(stack.enter_context(tqdm(desc="refining", total=steps, unit="step", leave=False)))
            bars[0].total = steps  # a mesh may turn out to be hard
            bars[0].set_postfix({"loss": f"{loss:.4f}", "F@0.02": f"{fscore:.3f}"}, refresh=False)
            bars[0].update(step - bars[0].n)

        yield show


@contextmanager
def _interruptible() -> Iterator[Stop]:
    """Let the first Ctrl-C end the refinement, so that what it found is not lost; the second one kills."""
    asked = False

    def first(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, previous)
        _say("meshcodec: finishing with the best found so far; again to give up")

    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield lambda: False
        return
    previous = signal.signal(signal.SIGINT, first)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, previous)


def _extension(out: str) -> str:
    return Path(out).suffix.lower().removeprefix(".")


def _shown(name: str | Path) -> str:
    """A file's name on one line, as `load_mesh` writes it in its messages."""
    return _STDIN if str(name) == "-" else repr(str(name))[1:-1]


def _target(out: str) -> str:
    return "<stdout>" if out == "-" else _shown(out)


def _complain(error: MeshcodecError) -> None:
    click.echo(f"meshcodec: error: {' '.join(str(error).splitlines())}", err=True)


def _stages(seconds: dict[str, float]) -> str:
    return "seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())


def _say(line: str) -> None:
    click.echo(line, err=True)


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=1))
