"""What the mesh coder takes against Draco: the same meshes, the same vertices, the same faces.

``python benchmarks/mesh_coder.py DIR`` makes the meshes of Draco's best files of the evaluation set again:
``draco_best.csv`` says which decimator, how many faces and how many bits gave the highest F@0.01 + F@0.02 at
each size; ``draco_best.py`` writes such a table. Each is written by DracoPy (level 10) and by the default
mesh coder, decoded and compared, and the bytes of whole files are printed, the header and placement of a
``.vat`` file included. Beside them are the index and vertex buffers of meshoptimizer, deflated, as glTF files
hold them with ``EXT_meshopt_compression`` on a server that compresses; nothing of a glTF file is counted but
these. Corto is in no registry of Python packages.
"""

from __future__ import annotations

import csv
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import meshoptimizer
import numpy as np

from meshcodec.evaluation.baselines import import_draco
from meshcodec.format.container import head_bytes
from meshcodec.format.grid_mesh import GridMesh, Integers
from meshcodec.format.mesh_coder import MeshCoder, pack_mesh, unpack_mesh
from meshcodec.format.short_header import SHORT_VERSION
from meshcodec.geometry.io import load_mesh
from meshcodec.geometry.simplify import decimator
from meshcodec.geometry.triangles import Floats, Ints, merge_identical
from meshcodec.registry import Registry
from meshcodec.train.mesh_coder import cleaned
from meshcodec.weights import load_mesh_coder

BEST = Path(__file__).with_name("draco_best.csv")
_LARGEST = 16_000  # faces above which a mesh is decimated at first
_HALVINGS = 12  # of the range of faces asked for, until as many come as are wanted


@dataclass(frozen=True)
class Measured:
    """One mesh in both formats: bytes of the files, faces, vertices, bits of each part, seconds."""

    size: int
    draco: int
    buffers: int
    ours: int
    faces: int
    vertices: int
    parts: dict[str, float]
    encode: float
    decode: float


def unit_mesh(path: Path) -> tuple[Floats, Ints]:
    """A mesh whose box is centred and whose longest half-extent is 1."""
    mesh = load_mesh(path)
    vertices, faces = merge_identical(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) / ((high - low).max() / 2)
    if len(faces) > _LARGEST:
        vertices, faces = decimator("quadric")(vertices, faces, _LARGEST)
    return vertices, faces


def with_faces(vertices: Floats, faces: Ints, name: str, wanted: int) -> tuple[Floats, Ints]:
    """The mesh decimated to at most so many faces, and to nearly as many."""
    low, high = 4, len(faces) + 1
    decimate = decimator(name)
    best = decimate(vertices, faces, low)
    for _ in range(_HALVINGS):
        middle = (low + high) // 2
        tried = decimate(vertices, faces, middle) if middle < len(faces) else (vertices, faces)
        if len(tried[1]) <= wanted:
            low, best = middle, tried
        else:
            high = middle
        if high - low <= 1:
            break
    return best


def on_draco_grid(vertices: Floats, faces: Ints, bits: int) -> tuple[GridMesh, Integers]:
    """The mesh that Draco's file holds, and the sides of a grid around it."""
    most = (1 << bits) - 1
    whole = np.rint((np.clip(vertices, -1, 1) + 1) / 2 * most).astype(np.int64)
    mesh = cleaned(whole, faces, bits)
    positions = mesh.positions - mesh.positions.min(axis=0)
    sides = np.maximum(positions.max(axis=0), 1)
    return GridMesh(positions, mesh.faces, bits), sides


def oriented_faces(mesh: GridMesh) -> Integers:
    """(F, 9) places of the corners of each face, whatever the order of faces and the corner that is first."""
    places = mesh.positions[mesh.faces]
    keys = (places[:, :, 0] << 26) + (places[:, :, 1] << 13) + places[:, :, 2]
    first = keys.argmin(axis=1)
    rows = np.arange(len(keys))
    turned = np.stack([keys[rows, (first + step) % 3] for step in range(3)], axis=1)
    return turned[np.lexsort(turned.T[::-1])]


def meshopt_bytes(mesh: GridMesh) -> int:
    """Bytes of a mesh's buffers by meshoptimizer, deflated; vertices are whole numbers of 16 bits."""
    indices, count = mesh.faces.astype(np.uint32).reshape(-1), len(mesh.positions)
    vertices = np.zeros((count, 4), dtype=np.uint16)
    vertices[:, :3] = mesh.positions
    ordered, fetched = np.zeros_like(indices), np.zeros_like(vertices)
    meshoptimizer.optimize_vertex_cache(ordered, indices, len(indices), count)
    meshoptimizer.optimize_vertex_fetch(fetched, ordered, vertices, len(indices), count, 8)
    buffers = (
        meshoptimizer.encode_index_buffer(ordered, len(indices), count),
        meshoptimizer.encode_vertex_buffer(fetched, count, 8),
    )
    return sum(len(zlib.compress(buffer, 9)) for buffer in buffers)


def measure(vertices: Floats, faces: Ints, row: dict[str, str], coder: MeshCoder) -> Measured | None:
    """Both files of a row of the table; None where nothing is left of the mesh."""
    draco = import_draco()
    vertices, faces = with_faces(vertices, faces, row["decimator"], int(row["faces"]))
    bits = int(row["bits"])
    mesh, sides = on_draco_grid(vertices, faces, bits)
    if not len(mesh.faces):
        return None
    data: bytes = draco.encode(
        vertices.astype(np.float32), faces.astype(np.uint32), quantization_bits=bits, compression_level=10,
        quantization_range=2.0, quantization_origin=[-1, -1, -1],
    )  # fmt: skip
    start = time.perf_counter()
    payload = pack_mesh(mesh, coder, sides)
    middle = time.perf_counter()
    decoded = unpack_mesh(payload, len(mesh.faces), coder, sides)
    end = time.perf_counter()
    if not np.array_equal(oriented_faces(decoded), oriented_faces(mesh)):
        raise AssertionError(f"{row['mesh']} at {row['size']} B does not come back")
    return Measured(
        int(row["size"]), len(data), meshopt_bytes(mesh), head_bytes(SHORT_VERSION) + len(payload),
        len(mesh.faces), len(mesh.positions), coder.bits(mesh, sides), middle - start, end - middle,
    )  # fmt: skip


def measured(folder: Path, coder: MeshCoder, sizes: tuple[int, ...]) -> Iterator[Measured]:
    with BEST.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(file) if int(row["size"]) in sizes]
    for name in sorted({row["mesh"] for row in rows}):
        vertices, faces = unit_mesh(folder / name)
        for row in rows:
            if row["mesh"] == name and (found := measure(vertices, faces, row, coder)):
                click.echo(
                    f"{name} {row['size']}: {found.faces} faces, {found.ours} of {found.draco} B", err=True
                )
                yield found


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="Another folder of weights.")
@click.option("--sizes", default="512,1024,2048", show_default=True, help="Which of Draco's sizes.")
def main(folder: Path, weights: Path | None, sizes: str) -> None:
    """Compare bytes on the meshes of FOLDER that draco_best.csv names."""
    entry = Registry(weights).default_mesh_coder()
    coder = load_mesh_coder(entry)
    wanted = tuple(int(size) for size in sizes.split(","))
    found = list(measured(folder, coder, wanted))
    click.echo(f"mesh coder {entry.coder_id.hex()}, {len(found)} files\n")
    click.echo(
        "| Draco's size | files | faces | bytes against Draco's, mean (median) "
        "| meshoptimizer's against Draco's | gates, bits a face | places, bits a vertex "
        "| seeds, bits a face | ranks, bits a face | encode s | decode s |"
    )
    click.echo("|" + "---|" * 11)
    for size in wanted:
        some = [one for one in found if one.size == size]
        ratios = [one.ours / one.draco for one in some]
        gates, seeds, ranks = (
            np.mean([one.parts[part] / one.faces for one in some]) for part in ("gates", "seeds", "ranks")
        )
        places = np.mean([one.parts["places"] / one.vertices for one in some])
        seconds = [np.median([getattr(one, name) for one in some]) for name in ("encode", "decode")]
        click.echo(
            f"| {size} | {len(some)} | {np.median([one.faces for one in some]):.0f} "
            f"| {np.mean(ratios):.3f} ({np.median(ratios):.3f}) "
            f"| {np.mean([one.buffers / one.draco for one in some]):.3f} | {gates:.2f} | {places:.2f} "
            f"| {seeds:.2f} | {ranks:.2f} | {seconds[0]:.2f} | {seconds[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
