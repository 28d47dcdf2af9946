"""The mesh mode alone: F-scores, seconds and closedness at some sizes, beside decimation + Draco.

``python benchmarks/mesh_mode.py DIR`` encodes the meshes of a folder in the mesh mode and prints a line for
each, then the means. ``--draco`` measures decimation + Draco at twice the bytes beside it, which takes far
longer. ``--every 4`` takes every fourth mesh alone. ``--repeats`` takes the meshes alone of which a tenth
of the area is in parts that are there more than once, and measures each a second time without copies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import click
import numpy as np

from meshcodec.errors import DoesNotFitError
from meshcodec.evaluation.baselines import decimate_draco
from meshcodec.geometry.formats import MESH_ENDINGS
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Reference, Scores, is_closed
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.encode import encode_grid_mesh
from meshcodec.modes.mesh.original import original_of
from meshcodec.modes.mesh.repeats import find_repeats
from meshcodec.modes.mesh.settings import MeshSettings
from meshcodec.registry import Registry
from meshcodec.runtime.files import find_files
from meshcodec.weights import load_mesh_coder

_PAYLOAD_HEAD = 1  # bytes of a payload in front of the message
_SAMPLES = 20_000  # points on each surface


@dataclass(frozen=True)
class Row:
    """One mesh at one size: scores, seconds of the encoder, whether it is closed where the original is."""

    scores: Scores
    seconds: float
    closed: bool
    rival: Scores | None


ALWAYS, NEVER = MeshSettings(), MeshSettings(repeated=2.0)
"""Parts that are there more than once are coded once where they are a part of the area, or in no mesh."""


def repeats(path: Path) -> bool:
    """Whether the encoder codes parts of a mesh once that are there more than once."""
    mesh = load_mesh(path)
    arrays = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    original = original_of(arrays, ALWAYS.most_faces)
    return find_repeats(*original.part(original.mirrored)).share >= ALWAYS.repeated


def measured(path: Path, size: int, effort: int, draco: bool, settings: MeshSettings = ALWAYS) -> Row:
    """Encode, decode and score one file."""
    mesh = load_mesh(path)
    arrays = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    reference = Reference(arrays, samples=_SAMPLES)
    coder = load_mesh_coder(Registry().default_mesh_coder())
    begin = time.perf_counter()
    decoded, words = None, "does not fit"
    try:
        found = encode_grid_mesh(arrays, payload_bytes(size) - _PAYLOAD_HEAD, coder, effort, settings)
        decoded, how = decoded_surface(found.mesh, found.grid), found.recipe
        words = f"{len(found.mesh.faces)} faces, {how.decimator}, {how.bits} bits, crease {how.crease}"
        words += f", {len(found.mesh.copies)} copies" * bool(found.mesh.copies)
    except DoesNotFitError:
        pass
    seconds = time.perf_counter() - begin
    scores = reference.score(decoded, exterior=False, points=False, iou=False)
    rival = None
    if draco:
        other = decimate_draco(mesh, 2 * size).mesh
        rival = reference.score(other, exterior=False, points=False, iou=False)
    click.echo(f"{path.name} {size}: {shown([scores])}, {seconds:.1f} s, {words}")
    kept = decoded is not None and (not reference.closed or is_closed(decoded))
    return Row(scores, seconds, kept, rival)


def shown(scores: list[Scores]) -> str:
    """Mean F-scores and normal consistency."""
    fs = "/".join(f"{fmean(values):.3f}" for values in zip(*(one.f for one in scores), strict=True))
    return f"F {fs}, normals {fmean(one.normal_consistency for one in scores):.3f}"


def total(scores: Scores) -> float:
    """The sum by which modes are compared."""
    return sum(scores.f) + scores.normal_consistency


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sizes", default="512,1024,2048,4096", help="Bytes of the files.")
@click.option("--effort", default=4)
@click.option("--every", default=1, help="Take every N-th mesh alone.")
@click.option("--draco", is_flag=True, help="Measure decimation + Draco at twice the bytes, too.")
@click.option(
    "--repeats", "both", is_flag=True, help="Meshes with parts that repeat alone, with and without."
)
def main(folder: Path, sizes: str, effort: int, every: int, draco: bool, both: bool) -> None:
    """Measure the mesh mode on the meshes below FOLDER."""
    paths = find_files(folder, MESH_ENDINGS)[::every]
    if both:
        paths = [path for path in paths if repeats(path)]
    for size in map(int, sizes.split(",")):
        rows = [measured(path, size, effort, draco) for path in paths]
        seconds = [row.seconds for row in rows]
        click.echo(
            f"{size} bytes, {len(rows)} meshes: {shown([row.scores for row in rows])}, "
            f"{median(seconds):.1f} s in the median, {max(seconds):.1f} s at most, "
            f"{100 * fmean(row.closed for row in rows):.0f} % closed where the original is"
        )
        if both:
            others = [measured(path, size, effort, False, NEVER) for path in paths]
            gains = [total(row.scores) - total(other.scores) for row, other in zip(rows, others, strict=True)]
            click.echo(f"all parts coded: {shown([row.scores for row in others])}")
            listed = ", ".join(
                f"{path.stem[:24]} {gain:+.3f}" for path, gain in zip(paths, gains, strict=True)
            )
            click.echo(f"what copies change in the total: {listed}")
        rivals = [row.rival for row in rows if row.rival is not None]
        if rivals:
            click.echo(f"decimation + Draco at {2 * size} bytes: {shown(rivals)}")


if __name__ == "__main__":
    main()
