"""Files, pipes, messages and progress of the command line."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcodec.errors import (
    STDIN,
    BadMeshError,
    MeshcodecError,
    UsageError,
    error_context,
    quote_name,
)
from meshcodec.runtime.clock import deadline

if TYPE_CHECKING:
    from meshcodec.format.container import VatFile
    from meshcodec.modes.result import Progress
    from meshcodec.modes.tokens.settings import Stop


TEXT_FORMATS = ("obj", "off")


# ---- .vat files


def read_vat(name: str) -> tuple[bytes, VatFile]:
    """The bytes of a ``.vat`` file, or of what comes through the pipe, and what they say.

    Raises CorruptFileError: it cannot be read, or is no whole file.
    """
    from meshcodec.format.container import VatFile
    from meshcodec.runtime.vat_source import vat_bytes

    with error_context(name):
        data = vat_bytes(sys.stdin.buffer if name == "-" else name)
        return data, VatFile.from_bytes(data)


def fscore_line(scores: dict[str, float]) -> str:
    """F-scores by distance, as a line for people."""
    return "  ".join(f"F@{tau} {f:.4f}" for tau, f in scores.items())


# ---- input and output


class Pipe(io.BytesIO):
    """What came through a pipe, with the name that messages give it."""

    name = STDIN


def mesh_input(name: str, max_bytes: int) -> str | Pipe:
    """What to read a mesh from: its path or, of a pipe, so much that one byte too many is noticed."""
    return name if name != "-" else Pipe(sys.stdin.buffer.read(max_bytes + 1))


def check_input(name: str) -> None:
    """Raise BadMeshError where there is no such file.

    Asked before the output is looked at: by default that lies beside the input, and where the input is wrong
    its folder may be, too.
    """
    try:
        missing = name != "-" and not Path(name).exists()
    except OSError:
        missing = False  # the reader says what is wrong
    if missing:
        raise BadMeshError("there is no such file", "check the path").about(quote_name(name))


def output_path(source: str, output: str | None, extension: str) -> str:
    """Where the result goes: where asked, else beside the input; from pipe to pipe."""
    if output is not None:
        return output
    if source == "-":
        return "-"
    if not Path(source).name:
        raise UsageError(f"{source or repr(source)}: not the name of a file", "name a file")
    from meshcodec.runtime.files import with_ending

    return str(with_ending(Path(source), extension))


def decoded_path(source: str, output: str | None, extension: str) -> str:
    """`output_path` of a decoded mesh, which by default is no file that is there: it may be the original.

    Where ``a.obj`` is there already, the mesh goes to ``a.decoded.obj``, and so only that is overwritten.
    """
    out = output_path(source, output, extension)
    if output is None and out != "-" and os.path.lexists(out):
        return str(Path(out).with_suffix(f".decoded.{extension}"))
    return out


def check_output(out: str, force: bool, as_json: bool, binary: bool) -> None:
    """Refuse before any work what could not be written after it."""
    if out == "-":
        if as_json:
            raise UsageError("--json and -o - both write to stdout", "name an output file")
        if binary and sys.stdout.isatty():
            raise UsageError("binary data is not written to a terminal", "redirect it or name a file with -o")
        return
    path, shown = Path(out), quote_name(out)
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


def write_output(out: str, data: bytes, force: bool) -> None:
    """Write to a file, whole or not at all, or to stdout."""
    from meshcodec.runtime.files import write_atomic

    if out == "-":
        stream = sys.stdout.buffer
        stream.write(data)
        stream.flush()  # so that a closed pipe is noticed here
    else:
        write_atomic(Path(out), data, force)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
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
            bars[0].total = steps  # which become more when the schedule is extended
            bars[0].set_postfix({"loss": f"{loss:.4f}", "F@0.02": f"{fscore:.3f}"}, refresh=False)
            bars[0].update(step - bars[0].n)

        yield show


class Interruption:
    """Whether an encoder is to end with the best found so far.

    Attributes
    ----------
    late : says whether the time limit is over
    asked : whether the user asked for it
    """

    def __init__(self, late: Stop | None = None) -> None:
        self.late = late
        self.asked = False

    def __call__(self) -> bool:
        return self.asked or (self.late is not None and self.late())


@contextmanager
def interruptible(time_limit: float | None = None) -> Iterator[Interruption]:
    """Let the first Ctrl-C or a time limit in seconds end the refinement, so that what it found is not lost.

    The second Ctrl-C kills.
    """
    stop = Interruption(deadline(time_limit))

    def first(*_: object) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, previous)
        log_line("meshcodec: finishing with the best found so far; again to give up")

    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield stop
        return
    previous = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


def extension_of(out: str) -> str:
    """The extension of a file's name, in lower case and without its dot."""
    return Path(out).suffix.lower().removeprefix(".")


def display_target(out: str) -> str:
    """The output's name as messages have it."""
    return "<stdout>" if out == "-" else quote_name(out)


# ---- messages


def print_error(error: MeshcodecError) -> None:
    """Print an error on stderr, on one line."""
    click.echo(f"meshcodec: error: {' '.join(str(error).splitlines())}", err=True)


def stages_line(seconds: dict[str, float]) -> str:
    """Seconds by stage, as a line for people."""
    return "seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())


def log_line(line: str) -> None:
    """Print a line on stderr."""
    click.echo(line, err=True)


def print_json(document: Any) -> None:
    """Print a JSON document on stdout."""
    click.echo(json.dumps(document, indent=1))
