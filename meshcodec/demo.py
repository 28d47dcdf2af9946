"""``python -m meshcodec.demo FOLDER -o OUT``: a folder of meshes there and back, as a table and as a picture.

Each mesh is encoded and decoded at each size. OUT receives ``NAME.SIZE.vat``, ``NAME.SIZE.obj`` and
``comparison.png``, the originals above their decodes. ``make demo`` runs this on ``examples/``, and the
picture in the README is its work.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trimesh

from meshcodec.api import Codec
from meshcodec.config import DEFAULT_EFFORT, SIZES, TAUS
from meshcodec.errors import MeshcodecError, PartialFailureError, UsageError
from meshcodec.evaluation.measured import MeasuredFile
from meshcodec.format.container import MIN_SIZE
from meshcodec.geometry.formats import READ_FORMATS
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.metrics import Reference
from meshcodec.modes.tokens.efforts import EFFORTS
from meshcodec.pictures.render import Image, frame_of, render_mesh
from meshcodec.pictures.sheets import contact_sheet, pillow, save_png
from meshcodec.runtime.files import find_files, write_atomic

SHOWN = TAUS[:2]
"""Distances whose F-scores the table shows."""
PICTURE_SIDE = 200
PICTURE_COLUMNS = 6


@dataclass(frozen=True, kw_only=True)
class RoundTrip(MeasuredFile):
    """One mesh there and back; `mesh` is what came back."""

    mesh: trimesh.Trimesh


def round_trip(codec: Codec, original: trimesh.Trimesh, size: int, effort: int, stem: Path) -> RoundTrip:
    """Encode and decode one mesh; ``stem`` with ``.vat`` and ``.obj`` appended is what is written."""
    started = time.perf_counter()
    data = codec.encode(original, size, effort)
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
    )


def run(
    folder: Path, out: Path, sizes: dict[str, int], effort: int, device: str, weights: Path | None
) -> None:
    """The whole demonstration; prints as it goes.

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
    heads = ["size", "bytes", *(f"F@{tau:g}" for tau in SHOWN), "encode s", "decode s"]
    print(f"{'mesh':{width}}" + "".join(f"{head:>10}" for head in heads))
    columns: list[Column] = []
    done: dict[str, list[RoundTrip]] = {label: [] for label in sizes}
    failed = 0
    for path, name in zip(paths, names, strict=True):
        try:
            original = load_mesh(path)
            trips = {
                label: round_trip(codec, original, size, effort, out / f"{name}.{label}")
                for label, size in sizes.items()
            }
        except MeshcodecError as error:
            _complain(error, path)
            failed += 1
            continue
        for label, trip in trips.items():
            done[label].append(trip)
            print(_line(f"{name:{width}}", label, [trip]), flush=True)
        columns.append(_column(name, original, list(trips.values())))
    if not columns:
        raise PartialFailureError(f"{folder}: all {failed} meshes failed")
    for label, trips_of_size in done.items():
        print(_line(f"{'mean':{width}}", label, trips_of_size))
    picture = out / "comparison.png"
    save_png(picture, _sheet(columns, ["original", *(f"{size} bytes" for size in sizes.values())]))
    print(f"files and the picture {picture.name} are in {out}")
    if failed:
        raise PartialFailureError(f"{failed} of {len(paths)} meshes failed")


Column = list[tuple[Image, str]]
"""Pictures of a mesh and of its decodes, each with a line of text."""


def _column(name: str, original: trimesh.Trimesh, trips: Sequence[RoundTrip]) -> Column:
    center, radius = frame_of(original.vertices, original.faces)
    texts = [
        f"{name}, {len(original.faces)} faces",
        *(f"F@{SHOWN[0]:g} {trip.scores.at(SHOWN[0]):.3f}" for trip in trips),
    ]
    meshes = [original, *(trip.mesh for trip in trips)]
    return [
        (render_mesh(mesh.vertices, mesh.faces, size=PICTURE_SIDE, center=center, radius=radius), text)
        for mesh, text in zip(meshes, texts, strict=True)
    ]


def _sheet(columns: list[Column], captions: list[str]) -> Image:
    """Meshes side by side, `PICTURE_COLUMNS` of them to a band; within a band, a row for each caption."""
    bands = [columns[i : i + PICTURE_COLUMNS] for i in range(0, len(columns), PICTURE_COLUMNS)]
    rows = [[column[k] for column in band] for band in bands for k in range(len(captions))]
    images = [[image for image, _ in row] for row in rows]
    notes = [[text for _, text in row] for row in rows]
    return contact_sheet(images, captions=captions * len(bands), notes=notes)


def _line(name: str, label: str, trips: Sequence[RoundTrip]) -> str:
    """A row of the table: means over the trips."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    fscores = "".join(f"{mean([trip.scores.at(tau) for trip in trips]):10.3f}" for tau in SHOWN)
    encode = mean([trip.encode_seconds for trip in trips])
    decode = mean([trip.decode_seconds for trip in trips])
    size = mean([trip.bytes or 0 for trip in trips])
    return f"{name}{label:>10}{size:10.0f}{fscores}{encode:10.1f}{decode:10.1f}"


def _meshes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "pass a folder of meshes")
    paths = find_files(folder, READ_FORMATS)
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
    labels = [label.strip().lower() for label in text.split(",")]
    try:
        sizes = {label: SIZES.get(label) or int(label) for label in labels}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: give numbers of bytes or {', '.join(SIZES)}") from error
    if min(sizes.values()) < MIN_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r}: a file has {MIN_SIZE} bytes or more")
    return sizes


def _complain(error: MeshcodecError, path: Path | None = None) -> None:
    text = str(error) if path is None or str(error).startswith(str(path)) else f"{path}: {error}"
    print(f"meshcodec.demo: error: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m meshcodec.demo", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="meshes to encode")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder to write to")
    parser.add_argument(
        "--sizes", type=_sizes, default="512,4k", help="bytes of each file (default: %(default)s)"
    )
    parser.add_argument(
        "--effort",
        type=int,
        choices=range(len(EFFORTS)),
        default=DEFAULT_EFFORT,
        help="refinement; 0 is none (default: %(default)s)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="use the weights of this folder")
    given = parser.parse_args(arguments)
    try:
        run(given.folder, given.output, given.sizes, given.effort, given.device, given.weights)
    except MeshcodecError as error:
        _complain(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
