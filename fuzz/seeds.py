"""Write a few valid files as seeds: ``python fuzz/seeds.py FOLDER`` makes FOLDER/load, /decode and /mesh."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import trimesh

from meshcodec.format.box import NO_AXES
from meshcodec.format.container import VatFile
from meshcodec.format.grid_mesh import GridMesh, MeshGrid
from meshcodec.geometry.formats import READ_FORMATS, WRITE_FORMATS
from meshcodec.geometry.io import export_mesh
from meshcodec.modes.mesh.file import mesh_file
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder

ASCII_PLY = b"""ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
1 1 0
0 1 1
4 0 1 2 3
3 0 1 2
"""
ASCII_STL = b"""solid a
facet normal 0 0 1
outer loop
vertex 0 0 0
vertex 1 0 0
vertex 1 1 0
endloop
endfacet
endsolid a
"""


MODEL = """<model xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"><resources>
<object id="1"><mesh><vertices>
<vertex x="0" y="0" z="0"/><vertex x="1" y="0" z="0"/><vertex x="0" y="1" z="0"/>
</vertices><triangles><triangle v1="0" v2="1" v3="2"/></triangles></mesh></object>
<object id="2"><components><component objectid="1"/></components></object></resources>
<build><item objectid="2" transform="1 0 0 0 1 0 0 0 1 0 0 0"/></build></model>"""


def threemf() -> bytes:
    """A 3MF file, stored rather than compressed, so that a change of its bytes is one of its XML."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("3D/3dmodel.model", MODEL)
    return made.getvalue()


def mesh_files() -> Iterator[VatFile]:
    """Files of the mesh mode: flat, as Loop surfaces, mirrored, of parts that touch, and of any faces."""
    entry = Registry().default_mesh_coder()
    coder, rng = load_mesh_coder(entry), np.random.default_rng(0)
    box = trimesh.creation.box()
    corners, faces = np.rint(40 * (box.vertices + 0.5)).astype(np.int64), np.asarray(box.faces, np.int64)
    ball = trimesh.creation.icosphere(2)
    around = np.rint(25 * (ball.vertices + 1)).astype(np.int64)
    soup = np.unique(rng.integers(0, 60, (12, 3)), axis=0)
    triples = np.array([rng.permutation(len(soup))[:3] for _ in range(20)])
    used, triples = np.unique(triples, return_inverse=True)
    two = np.concatenate([faces, np.where(faces > 0, faces + 7, 0)])  # they touch at the vertex 0
    beside = np.concatenate([corners, corners[1:] + np.array([7, 3, 1])])
    for mesh, mirrored in (
        (GridMesh(corners, faces, 6), NO_AXES),
        (GridMesh(around, np.asarray(ball.faces, np.int64), 7, 1), NO_AXES),
        (GridMesh(corners, faces, 7, 5), (True, False, False)),
        (GridMesh(beside, two, 6), NO_AXES),
        (GridMesh(soup[used], triples.reshape(-1, 3), 6), NO_AXES),
    ):
        grid = MeshGrid((1.0, -2.0, 0.5), (4.0, 4.0, 4.0), mirrored, mesh.bits)
        yield mesh_file(mesh, grid, coder.encode(mesh, grid.sides), coder, entry.coder_id)[0]


def main(folder: Path) -> None:
    """Write the seeds below a folder."""
    load, decode, meshes = folder / "load", folder / "decode", folder / "mesh"
    for place in (load, decode, meshes):
        place.mkdir(parents=True, exist_ok=True)
    seeds = [(kind, export_mesh(trimesh.creation.box(), kind)) for kind in WRITE_FORMATS]
    seeds += [
        ("ply", ASCII_PLY),
        ("stl", ASCII_STL),
        ("3mf", threemf()),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3//1 2/2 3 # a\n"),
    ]
    glb = dict(seeds)["glb"]
    text = glb[20 : 20 + int.from_bytes(glb[12:16], "little")]
    seeds.append(("gltf", text))
    for number, (kind, data) in enumerate(seeds):
        (load / f"{number:02}-{kind}").write_bytes(bytes([READ_FORMATS.index(kind)]) + data)
    tokens, center = bytes(range(21)), (1.0, -2.0, 0.5)
    files = [
        VatFile.of_tokens(tokens, b"abcd"),
        VatFile.of_tokens(tokens, b"abcd", center, (4.0, 4.0, 4.0), iso_offset=-3),
        VatFile.of_tokens(tokens, b"abcd", center, (4.0, 0.5, 1.71875), mirrored=(True, False, True)),
    ]
    for number, file in enumerate(files):
        (decode / f"{number:02}").write_bytes(file.to_bytes())
        (decode / f"{number:02}-sealed").write_bytes(b"\x01" + file.to_bytes()[1:])
    for number, file in enumerate(mesh_files()):
        (meshes / f"{number:02}").write_bytes(file.to_bytes())
        (meshes / f"{number:02}-sealed").write_bytes(b"\x01" + file.to_bytes()[1:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
