"""``python -m meshcodec.demo FOLDER -o OUT``: a folder of meshes there and back, as a table and as a picture.

Each mesh is encoded and decoded at each size. OUT receives ``NAME.SIZE.vat``, ``NAME.SIZE.obj`` and
``comparison.png``, the originals above their decodes with the mode that was kept, the bytes and F-scores.
``make demo`` runs this on ``examples/``, and the picture in the README is its work.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import trimesh

from meshcodec.api import Codec
from meshcodec.cli.group import ExitCodes
from meshcodec.cli.options import (
    PATH,
    device_option,
    effort_option,
    mode_option,
    parse_list,
    parse_size,
    weights_option,
)
from meshcodec.cli.streams import print_error
from meshcodec.config import TAUS
from meshcodec.errors import MeshcodecError, PartialFailureError, UsageError, error_context
from meshcodec.evaluation.measured import MeasuredFile
from meshcodec.format.container import VatFile
from meshcodec.geometry.formats import MESH_ENDINGS, READ_FORMATS
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.metrics import Reference
from meshcodec.pictures.render import Image, frame_of, render_mesh
from meshcodec.pictures.sheets import contact_sheet, pillow, save_png
from meshcodec.runtime.files import find_files, write_atomic

SHOWN = TAUS[:2]
"""Distances whose F-scores the table shows."""
PICTURE_SIDE = 200
"""Pixels a side of each mesh in the picture."""
PICTURE_COLUMNS = 6
"""Meshes side by side in the picture."""


@dataclass(frozen=True, kw_only=True)
class RoundTrip(MeasuredFile):
    """One mesh there and back; `mesh` is what came back, `mode` the way of coding that was kept."""

    mesh: trimesh.Trimesh
    mode: str


@dataclass(frozen=True)
class Shown:
    """One row of the picture's meshes: an original and its round trips, by size."""

    name: str
    original: trimesh.Trimesh
    trips: dict[str, RoundTrip]


def round_trip(
    codec: Codec, original: trimesh.Trimesh, size: int, effort: int, mode: str, stem: Path
) -> RoundTrip:
    """Encode and decode one mesh; ``stem`` with ``.vat`` and ``.obj`` appended is what is written."""
    started = time.perf_counter()
    data = codec.encode(original, size, effort, mode=mode)
    encoded = time.perf_counter()
    write_atomic(stem.with_name(f"{stem.name}.vat"), data, overwrite=True)
    reread = time.perf_counter()
    mesh = codec.decode(data)
    decoded = time.perf_counter()
    write_atomic(stem.with_name(f"{stem.name}.obj"), export_mesh(mesh, "obj"), overwrite=True)
    return RoundTrip(
        file=stem.name,
        bytes=len(data),
        scores=Reference(original).score(mesh, exterior=False, points=False, iou=False),
        encode_seconds=encoded - started,
        decode_seconds=decoded - reread,
        mesh=mesh,
        mode=VatFile.from_bytes(data).mode,
    )


def run(
    folder: Path, out: Path, sizes: dict[str, int], effort: int, mode: str, device: str, weights: Path | None
) -> None:
    """The whole demonstration; prints as it goes.

    Parameters
    ----------
    folder : searched for meshes at any depth
    out : folder to write to, made where it is missing
    sizes : bytes of the files, by what names and table call them
    effort, mode, device, weights : see `meshcodec.api.Codec`

    Raises
    ------
    PartialFailureError
        Some meshes failed; each one's error was printed, the others are done.
    MeshcodecError
        Nothing could be done: no meshes, no weights, no Pillow, a folder that cannot be written.
    """
    paths = _meshes(folder)
    pillow()  # before minutes of work, not after
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be made ({error.strerror})", "choose another -o") from error
    codec = Codec(device, weights)
    names = names_of(folder, paths)
    width = max(len(name) for name in [*names, "mean"])
    heads = ["size", "bytes", *(f"F@{tau:g}" for tau in SHOWN), "encode s", "decode s", "mode"]
    click.echo(f"{'mesh':{width}}" + "".join(f"{head:>10}" for head in heads))
    done: list[Shown] = []
    for path, name in zip(paths, names, strict=True):
        try:
            with error_context(str(path)):
                done.append(_there_and_back(codec, path, out / name, sizes, effort, mode))
        except MeshcodecError as error:
            print_error(error)
            continue
        for label, trip in done[-1].trips.items():
            click.echo(_line(f"{name:{width}}", label, [trip]))
    failed = len(paths) - len(done)
    if not done:
        raise PartialFailureError(f"{folder}: all {failed} meshes failed")
    for label in sizes:
        click.echo(_line(f"{'mean':{width}}", label, [shown.trips[label] for shown in done]))
    picture = out / "comparison.png"
    save_png(picture, _sheet(done, ["original", *(f"{size} bytes" for size in sizes.values())]))
    click.echo(f"files and the picture {picture.name} are in {out}")
    if failed:
        raise PartialFailureError(f"{failed} of {len(paths)} meshes failed")


def _there_and_back(
    codec: Codec, path: Path, stem: Path, sizes: dict[str, int], effort: int, mode: str
) -> Shown:
    original = load_mesh(path)
    trips = {
        label: round_trip(codec, original, size, effort, mode, stem.with_name(f"{stem.name}.{label}"))
        for label, size in sizes.items()
    }
    return Shown(stem.name, original, trips)


def _column(shown: Shown) -> list[tuple[Image, str]]:
    """Pictures of a mesh and of its decodes, each with lines of text."""
    original, trips = shown.original, list(shown.trips.values())
    center, radius = frame_of(original.vertices, original.faces)
    texts = [
        f"{shown.name}, {len(original.faces)} faces",
        *(f"{trip.mode}, {trip.bytes} bytes\n{_fscores(trip)}" for trip in trips),
    ]
    meshes = [original, *(trip.mesh for trip in trips)]
    return [
        (render_mesh(mesh.vertices, mesh.faces, size=PICTURE_SIDE, center=center, radius=radius), text)
        for mesh, text in zip(meshes, texts, strict=True)
    ]


def _fscores(trip: RoundTrip) -> str:
    return ", ".join(f"F@{tau:g} {trip.scores.at(tau):.3f}" for tau in SHOWN)


def _sheet(done: list[Shown], captions: list[str]) -> Image:
    """Meshes side by side, `PICTURE_COLUMNS` of them to a band; within a band, a row for each caption."""
    columns = [_column(shown) for shown in done]
    bands = [columns[i : i + PICTURE_COLUMNS] for i in range(0, len(columns), PICTURE_COLUMNS)]
    rows = [[column[k] for column in band] for band in bands for k in range(len(captions))]
    images = [[image for image, _ in row] for row in rows]
    notes = [[text for _, text in row] for row in rows]
    return contact_sheet(images, captions=captions * len(bands), notes=notes)


def _line(name: str, label: str, trips: Sequence[RoundTrip]) -> str:
    """A row of the table: means over the trips, and how many of them kept which mode."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    fscores = "".join(f"{mean([trip.scores.at(tau) for trip in trips]):10.3f}" for tau in SHOWN)
    encode = mean([trip.encode_seconds for trip in trips])
    decode = mean([trip.decode_seconds for trip in trips])
    size = mean([trip.bytes or 0 for trip in trips])
    modes = Counter(trip.mode for trip in trips)
    kept = trips[0].mode if len(trips) == 1 else " + ".join(f"{modes[m]} {m}" for m in sorted(modes))
    return f"{name}{label:>10}{size:10.0f}{fscores}{encode:10.1f}{decode:10.1f}    {kept}"


def _meshes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "pass a folder of meshes")
    paths = find_files(folder, MESH_ENDINGS)
    if not paths:
        raise UsageError(f"{folder}: holds no mesh", f"known formats are {', '.join(READ_FORMATS)}")
    return paths


def names_of(folder: Path, paths: list[Path]) -> list[str]:
    """File names without extension where that tells them apart, else with it, else with their folders."""
    names = [(path.stem, path.name, "_".join(path.relative_to(folder).parts)) for path in paths]
    counts = [Counter(column) for column in zip(*names, strict=True)]
    unique = [[count[name] == 1 for name, count in zip(row, counts, strict=True)] for row in names]
    return [row[is_one.index(True) if any(is_one) else -1] for row, is_one in zip(names, unique, strict=True)]


def _sizes(text: str) -> dict[str, int]:
    """Sizes separated by commas, by what was given for each."""
    sizes = {label.lower(): parse_size(label) for label in parse_list(text)}
    if not sizes:
        raise click.BadParameter("give one size or more, such as 512,4k")
    return sizes


@click.command(cls=ExitCodes, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="FOLDER", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="OUT", help="Folder to write to.")
@click.option(
    "--sizes",
    type=_sizes,
    default="512,2k",
    show_default=True,
    metavar="SIZE,...",
    help="Bytes of each file.",
)
@effort_option
@mode_option
@device_option
@weights_option
def main(
    folder: Path,
    output: Path,
    sizes: dict[str, int],
    effort: int,
    mode: str,
    device: str,
    weights: Path | None,
) -> None:
    """Encode and decode the meshes of FOLDER, print a table and draw a picture."""
    run(folder, output, sizes, effort, mode, device, weights)


if __name__ == "__main__":
    main(prog_name="python -m meshcodec.demo")
