"""Option types, the options that several verbs share, and the objects in which they reach a verb."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click

from meshcodec.config import (
    DEFAULT_EFFORT,
    DEFAULT_MODE,
    DEFAULT_RESOLUTION,
    MAX_BYTES,
    MAX_FACES,
    MIN_SIZE,
    MODES,
    SIZES,
    TAUS,
)
from meshcodec.errors import UsageError
from meshcodec.format.payload import DEFAULT_PACKING, PACKING_WORDS
from meshcodec.runtime.memory import LEAST_MEMORY
from meshcodec.runtime.threads import use_one_thread

# ---- option types


def parse_size(text: str) -> int:
    """A number of bytes, with k for 1024 of them."""
    match = re.fullmatch(r"(\d+)(k?)", text.strip().lower(), re.ASCII)
    if not match:
        raise click.BadParameter(f"{text!r} is not a size; give {', '.join(SIZES)} or a number of bytes")
    size = int(match[1]) * (1024 if match[2] else 1)
    if size < MIN_SIZE:
        raise click.BadParameter(f"{size} bytes is too small; ask for {MIN_SIZE} or more")
    return size


def parse_bytes(text: str) -> int:
    """A number of bytes, with k, m or g for powers of 1024."""
    match = re.fullmatch(r"(\d{1,15})([kmg]?)", text.strip().lower(), re.ASCII)
    if not match or not int(match[1]):
        raise click.BadParameter(f"{text!r} is not a number of bytes; give one like 512m or 2g")
    return int(match[1]) << 10 * " kmg".index(match[2] or " ")


def parse_memory(text: str) -> int:
    """A number of bytes that is enough for the program itself."""
    size = parse_bytes(text)
    if size < LEAST_MEMORY:
        raise click.BadParameter(f"{text!r} is too little; allow {LEAST_MEMORY >> 20}m or more")
    return size


def parse_fscore_target(text: str) -> tuple[float, float]:
    """An F-score and the distance at which it is taken: 0.95 or 0.95@0.01."""
    score, _, tau = text.partition("@")
    try:
        wanted, distance = float(score), float(tau) if tau else TAUS[0]
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an F-score; give one like 0.95 or 0.95@0.01") from None
    if not 0 < wanted <= 1 or distance not in TAUS:
        known = ", ".join(map(str, TAUS))
        raise click.BadParameter(f"{text!r}: an F-score lies in 0 to 1, its distance is one of {known}")
    return wanted, distance


def parse_list(text: str) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_sizes(text: str) -> list[int]:
    """Sizes separated by commas."""
    return [parse_size(part) for part in parse_list(text)]


PATH = click.Path(path_type=Path)


def parse_folder(text: str) -> Path:
    """A folder of this machine, or one behind a URL."""
    from meshcodec.runtime.files import open_folder

    return open_folder(text)


# ---- options that reach a verb as one object


def gathered(
    name: str, kind: type[Any], *options: Callable[[Callable[..., None]], Callable[..., None]]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options, and their values as one argument of a verb: `kind`, a named tuple whose fields they are.

    A field that is no option of the verb keeps its default. Named tuples are quicker to define than
    dataclasses, and every command defines all of them.
    """
    names = set(kind.__annotations__)

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def call(**given: Any) -> None:
            own = {key: given.pop(key) for key in names & given.keys()}
            verb(**given, **{name: kind(**own)})

        for option in reversed(options):
            call = option(call)
        return call

    return decorate


class Machine(NamedTuple):
    """``--weights`` and ``--device``: which networks compute, and where."""

    weights: Path | None
    device: str


class Reply(NamedTuple):
    """``--json``, ``-f``, ``-q`` and ``-v``: what a verb may write besides its result."""

    as_json: bool
    force: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def detailed(self) -> bool:
        """Whether more is said than what every user wants to know."""
        return self.as_json or (self.verbose and not self.quiet)

    def log(self, line: str) -> None:
        """Print a line on stderr, unless ``-q`` is given."""
        if not self.quiet:
            click.echo(line, err=True)

    def detail(self, line: str) -> None:
        """Print a line on stderr where ``-v`` is given, and not ``-q``."""
        if self.verbose:
            self.log(line)


class Coding(NamedTuple):
    """``--mode``, ``--effort``, ``--packing`` and ``--seed``: how a mesh is encoded."""

    mode: str
    effort: int
    packing: str
    seed: int = 0


class Quality(NamedTuple):
    """``--size``, or else ``--min-fscore`` and ``--max-error``: what a file is to be like."""

    size: int | None
    min_fscore: tuple[float, float] | None
    max_error: float | None
    best_effort: bool

    @property
    def asked(self) -> bool:
        """Whether a quality is asked for rather than a size."""
        return self.min_fscore is not None or self.max_error is not None

    @property
    def fscore(self) -> tuple[float | None, float]:
        """The F-score to reach, and the distance at which it is taken; None where none is asked for."""
        return self.min_fscore or (None, TAUS[0])

    def check(self) -> None:
        """Raise UsageError where the options contradict each other."""
        if self.asked and self.size is not None:
            raise UsageError("--size and a quality exclude each other", "give one of them")
        if self.best_effort and not self.asked:
            raise UsageError("--best-effort is about a quality", "give --min-fscore or --max-error, too")


class Limits(NamedTuple):
    """``--max-faces``, ``--max-bytes`` and ``--max-memory``: which meshes are refused."""

    max_faces: int
    max_bytes: int
    max_memory: int | None


class Running(NamedTuple):
    """``--resume``, ``-j`` and ``--engine``: how the files of a folder are gone through."""

    resume: bool
    jobs: int | None
    engine: Literal["processes", "ray"]


# ---- options


weights_option = click.option(
    "--weights", type=PATH, metavar="FOLDER", help="Use the weights of this folder."
)
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
machine_options = gathered("machine", Machine, weights_option, device_option)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Seed of all sampling.")


def reply_options(
    quiet: str = "Print errors only.", force: bool = True, verbose: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``--json`` and ``-q``, whose help is `quiet`; with `force` also ``-f``, with `verbose` also ``-v``."""
    options = [json_option]
    if force:
        options.append(click.option("-f", "--force", is_flag=True, help="Overwrite the output."))
    options.append(click.option("-q", "--quiet", is_flag=True, help=quiet))
    if verbose:
        options.append(
            click.option("-v", "--verbose", is_flag=True, help="Say more, with seconds of the stages.")
        )
    return gathered("reply", Reply, *options)


effort_option = click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=DEFAULT_EFFORT,
    show_default=True,
    help="How long a better file is looked for. Tokens are refined in two gradient steps, from 1 on in 20,"
    " 60, 100, 100, 200, 350, 430, 500 or 560 more, at 4 and 5 in up to 350 for a hard mesh; ten steps take"
    " about a second on two cores. Of a mesh more candidates are fitted.",
)
mode_option = click.option(
    "--mode",
    type=click.Choice(MODES),
    default=DEFAULT_MODE,
    show_default=True,
    help="tokens: closed, whatever the mesh; mesh: a small fitted mesh, open where the original is;"
    " auto: the better of both, as measured.",
)
_packing_option = click.option(
    "--packing",
    type=click.Choice(PACKING_WORDS),
    default=DEFAULT_PACKING,
    show_default=True,
    help="coded: as many entropy-coded tokens as fit; bytes: one byte each, as many in every file of a size.",
)
coding_options = gathered("coding", Coding, mode_option, effort_option, _packing_option, seed_option)
unseeded_coding_options = gathered("coding", Coding, mode_option, effort_option, _packing_option)
quality_options = gathered(
    "quality",
    Quality,
    click.option(
        "--size",
        type=parse_size,
        metavar="SIZE",
        help="512, 1k, 2k, 4k, or bytes; 1k unless a quality is asked for.",
    ),
    click.option(
        "--min-fscore",
        type=parse_fscore_target,
        metavar="F[@TAU]",
        help="Take the smallest of 512, 1k, 2k, 4k whose decode has this F-score (at TAU 0.02).",
    ),
    click.option(
        "--max-error",
        type=click.FloatRange(min=0, min_open=True),
        metavar="E",
        help="The same for the 95th percentile of the distances, the mesh's longest half-extent being 1.",
    ),
    click.option("--best-effort", is_flag=True, help="Where no size reaches that quality, write the best."),
)
resolution_option = click.option(
    "--resolution",
    type=click.IntRange(16, 512),
    default=DEFAULT_RESOLUTION,
    help="Cells a side of the decoded grid; by default as many as give about 250 000 faces.",
)
time_limit_option = click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Look for a better file of a mesh no longer than this, and take the best found by then.",
)
faces_option = click.option(
    "--faces",
    type=click.IntRange(min=4),
    metavar="N",
    help="Simplify the mesh to at most N triangles; a closed one stays closed.",
)
max_memory_option = click.option(
    "--max-memory",
    type=parse_memory,
    metavar="BYTES",
    help="Memory of each process; by default what the machine has, shared among them.",
)
limit_options = gathered(
    "limits",
    Limits,
    click.option(
        "--max-faces",
        type=click.IntRange(min=1),
        default=MAX_FACES,
        show_default=True,
        help="Refuse meshes of more triangles.",
    ),
    click.option(
        "--max-bytes",
        type=parse_bytes,
        default=f"{MAX_BYTES >> 20}m",
        show_default=True,
        metavar="BYTES",
        help="Refuse larger mesh files.",
    ),
    max_memory_option,
)


def _one_thread(_: click.Context, __: click.Parameter, jobs: int | None) -> int | None:
    """One job is done in this process, with one thread as in any worker: the same bytes at the same price."""
    if jobs == 1:
        use_one_thread()
    return jobs


jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    callback=_one_thread,
    help="Processes of one thread; by default one for each core.",
)
running_options = gathered(
    "running",
    Running,
    click.option("--resume", is_flag=True, help="Go on with the run that OUT holds."),
    jobs_option,
    click.option(
        "--engine",
        type=click.Choice(["processes", "ray"]),
        default="processes",
        show_default=True,
        help="Where files are done: on this machine, or on the Ray cluster of RAY_ADDRESS, -j actors of it.",
    ),
)
into_option = click.option(
    "-o", "--output", type=parse_folder, required=True, metavar="OUT|URL", help="Folder; mirrored."
)
