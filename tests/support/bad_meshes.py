"""Meshes that are hostile or broken, as files: what `test_hostile` gives to the command line.

Where the outcome of a row is text, the exit code is 4, the one line on stderr holds the text, and nothing is
written; where it is a number, the decode has at least that F-score at 0.02. The numbers leave a wide margin:
they are about surviving such input, not about quality.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from meshcodec.geometry.io import export_mesh

SHEETS = (
    *("one triangle", "a plane", "a wire of slivers", "an open half"),
    "gltf, twenty thousand nodes deep",
)
"""Rows without volume. They are coded as thin sheets, which fall between the points of a coarse grid."""
Make = Callable[[Path], Path]
"""Writes the mesh into a folder and returns its path."""


# ---- what the rows are made of


def file(name: str | bytes, data: bytes) -> Make:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / os.fsdecode(name)
        path.write_bytes(data)
        return path

    return make


def mesh(made: trimesh.Trimesh | Callable[[], trimesh.Trimesh], kind: str = "ply") -> Make:
    """A mesh in a file."""

    def make(folder: Path) -> Path:
        path = folder / f"mesh.{kind}"
        path.write_bytes(export_mesh(made() if callable(made) else made, kind))
        return path

    return make


def ball(radius: float = 1.0, subdivisions: int = 3) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return mesh


def joined(*parts: trimesh.Trimesh) -> trimesh.Trimesh:
    """Meshes as one, as they are."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [np.asarray(part.faces) + offset for part, offset in zip(parts, offsets, strict=False)]
    vertices = np.concatenate([np.asarray(part.vertices) for part in parts])
    return trimesh.Trimesh(vertices, np.concatenate(faces), process=False)


def soup(triangles: NDArray[np.float64]) -> trimesh.Trimesh:
    """(n, 3, 3) corners as a mesh whose faces share nothing."""
    corners = triangles.reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def flipped(whole: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(whole.vertices, np.asarray(whole.faces)[:, ::-1], process=False)


def scaled(whole: trimesh.Trimesh, *factors: float) -> trimesh.Trimesh:
    return trimesh.Trimesh(np.asarray(whole.vertices) * factors, whole.faces, process=False)


def thousand_parts() -> trimesh.Trimesh:
    box = trimesh.creation.box(extents=(0.06, 0.06, 0.06))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 10)] * 3), axis=-1).reshape(-1, 3)
    return joined(*(trimesh.Trimesh(np.asarray(box.vertices) + p, box.faces, process=False) for p in grid))


def wire() -> trimesh.Trimesh:
    """Triangles a thousand times as long as they are wide, round a ring."""
    turn = np.linspace(0, 2 * np.pi, 65)
    ring = np.stack([np.cos(turn), np.sin(turn), 0.2 * np.sin(5 * turn)], axis=1)
    return soup(np.stack([ring[:-1], ring[1:], ring[:-1] + np.array([0, 0, 1e-4])], axis=1))


def with_dirt() -> trimesh.Trimesh:
    """A ball with every face three times, every tenth without an area, and some that name a vertex twice."""
    clean = ball()
    faces = np.asarray(clean.faces)
    dirt = np.concatenate([faces, faces[:, [1, 2, 0]], faces[::-1, ::-1], faces[:50, [0, 0, 1]]])
    vertices = np.concatenate([np.asarray(clean.vertices), np.asarray(clean.vertices)[faces[::10, 0]]])
    thin = np.stack(
        [faces[::10, 0], len(clean.vertices) + np.arange(len(faces[::10])), faces[::10, 1]], axis=1
    )
    return trimesh.Trimesh(vertices, np.concatenate([dirt, thin]), process=False)


def half_ball() -> trimesh.Trimesh:
    whole = ball()
    upper = np.asarray(whole.triangles_center)[:, 2] > 0
    return trimesh.Trimesh(whole.vertices, np.asarray(whole.faces)[upper], process=False)


def random_soup() -> trimesh.Trimesh:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(1500, 1, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return soup(directions + 0.1 * rng.normal(size=(1500, 3, 3)))


def ply(
    body: bytes = b"", form: str = "ascii", vertices: object = 3, faces: object = 1, **header: str
) -> bytes:
    """A PLY of triangles."""
    lists = header.get("lists", "uchar int vertex_indices")
    return (
        f"ply\nformat {form} 1.0\nelement vertex {vertices}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {faces}\nproperty list {lists}\nend_header\n"
    ).encode() + body


TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype="<f4")
CORNERS = b"0 0 0\n1 0 0\n1 1 0\n"
OBJ = b"v 0 0 0\nv 1 0 0\nv 1 1 0\n"
BINARY = "binary_little_endian"


def mixed_ply() -> bytes:
    """A box of four quads and four triangles."""
    box = trimesh.creation.box()
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6]]
    triangles = [[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
    rows = b"".join(struct.pack(f"<B{len(row)}i", len(row), *row) for row in [*triangles, *quads])
    return ply(np.asarray(box.vertices, dtype="<f4").tobytes() + rows, BINARY, 8, 8)


def gltf(**changes: Any) -> dict[str, Any]:
    """A glTF of one triangle, with changes to its top level."""
    blob = TRIANGLE.tobytes() + np.array([0, 1, 2], dtype="<u4").tobytes()
    tree: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "buffers": [
            {
                "uri": "data:application/octet-stream;base64," + base64.b64encode(blob).decode(),
                "byteLength": 48,
            }
        ],
    }
    return tree | changes


def scene(**changes: Any) -> Make:
    return file("scene.gltf", json.dumps(gltf(**changes)).encode())


def accessors(first: dict[str, Any]) -> list[dict[str, Any]]:
    whole: list[dict[str, Any]] = gltf()["accessors"]
    return [first, whole[1]]


def buffer_at(uri: str) -> Make:
    """A glTF whose buffer is elsewhere, in a folder that also holds some traps."""

    def make(folder: Path) -> Path:
        blob = TRIANGLE.tobytes() + np.array([0, 1, 2], dtype="<u4").tobytes()
        inside = folder / "inside"
        inside.mkdir()
        (folder / "secret.bin").write_bytes(blob)
        (inside / "link.bin").symlink_to("../secret.bin")
        (inside / "folder.bin").mkdir()
        os.mkfifo(inside / "pipe.bin")
        (inside / "zero.bin").symlink_to("/dev/zero")
        return scene(buffers=[{"uri": uri, "byteLength": 48}])(inside)

    return make


def glb(text: bytes, blob: bytes = b"", version: int = 2, length: int | None = None) -> Make:
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text) if length is None else length, b"JSON") + text
    chunks += struct.pack("<I4s", len(blob), b"BIN\0") + blob
    return file("scene.glb", struct.pack("<4sII", b"glTF", version, 12 + len(chunks)) + chunks)


def latin_glb() -> Make:
    """A GLB of a ball whose node has a name that is not UTF-8."""
    data = export_mesh(ball(), "glb")
    (length,) = struct.unpack_from("<I", data, 12)
    tree = json.loads(data[20 : 20 + length])
    tree["nodes"][0]["name"] = "cafe"
    text = json.dumps(tree).encode().replace(b"cafe", b"caf\xe9")
    return glb(text, data[28 + length :])


def zip_bomb(folder: Path) -> Path:
    path = folder / "bomb.3mf"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", bytes(50_000_000))
    return path


def sparse(folder: Path) -> Path:
    path = folder / "sparse.obj"
    with path.open("wb") as stream:
        stream.write(OBJ)
        stream.truncate(1 << 40)
    return path


def linked(target: str | None) -> Make:
    """A link of the name a.obj: to a path, or to a good mesh in another folder."""

    def make(folder: Path) -> Path:
        path = folder / "a.obj"
        if target is None:
            (folder / "other").mkdir()
            path.symlink_to(mesh(ball(), "obj")(folder / "other"))
        else:
            path.symlink_to(target)
        return path

    return make


def a_folder(folder: Path) -> Path:
    path = folder / "a.obj"
    path.mkdir()
    return path


def a_pipe(folder: Path) -> Path:
    path = folder / "a.obj"
    os.mkfifo(path)
    return path


def in_latin_named_file(folder: Path) -> Path:
    return file(b"caf\xe9.obj", export_mesh(ball(), "obj"))(folder)


TABLE: dict[str, tuple[Make, str | float]] = {
    # PLY
    "ply, a billion faces": (file("a.ply", ply(CORNERS, faces=10**9)), "more than 5000000 faces"),
    "ply, a billion vertices": (
        file("a.ply", ply(CORNERS, vertices=10**9)),
        "cut short: its header announces 1000000000 rows of vertex",
    ),
    "ply, more vertices than atoms": (
        file("a.ply", ply(TRIANGLE.tobytes(), BINARY, vertices=10**90)),
        "cut short: its header announces 1000",
    ),
    "ply, fewer than no faces": (file("a.ply", ply(CORNERS, faces=-1)), "its header says 'element face -1'"),
    "ply, a polygon of four billion corners": (
        file(
            "a.ply",
            ply(
                TRIANGLE.tobytes() + b"\xff\xff\xff\xff" + bytes(99), BINARY, lists="uint int vertex_indices"
            ),
        ),
        "cut short",
    ),
    "ply, a polygon of fewer than no corners": (
        file("a.ply", ply(TRIANGLE.tobytes() + b"\xff" + bytes(12), BINARY, lists="char int vertex_indices")),
        "a list with a length below 0",
    ),
    "ply, a polygon of half a corner": (
        file("a.ply", ply(CORNERS + b"2.5 0 1 2\n")),
        "a list with a length that is no whole number",
    ),
    "ply, vertices that are no numbers": (file("a.ply", ply(CORNERS + b"3 0 one 2\n")), "no number"),
    "ply, a vertex named nan": (file("a.ply", ply(CORNERS + b"3 0 nan 2\n")), "no whole number"),
    "ply, a vertex beyond int64": (file("a.ply", ply(CORNERS + b"3 0 1 1e300\n")), "no such number"),
    "ply, without an end of its header": (file("a.ply", ply()[:100]), "its header does not end"),
    "ply, of a type there is not": (
        file("a.ply", ply(lists="uchar quaternion vertex_indices")),
        "its header says 'property list uchar quaternion",
    ),
    "ply, without coordinates": (
        file("a.ply", ply(CORNERS + b"3 0 1 2\n").replace(b"property float x", b"property float w")),
        "no x, y and z",
    ),
    "ply, its tail missing": (
        file("a.ply", export_mesh(ball(), "ply")[:-1]),
        "cut short: its header announces 1280 rows of face",
    ),
    "ply, triangles and quads": (file("a.ply", mixed_ply()), 0.3),
    # STL
    "stl, four billion faces": (
        file("a.stl", bytes(80) + b"\xff\xff\xff\xff" + bytes(200)),
        "cut short: its header announces 4294967295 faces and it holds 4",
    ),
    "stl, cut short": (
        file("a.stl", export_mesh(ball(), "stl")[:-100]),
        "cut short: its header announces 1280 faces",
    ),
    "stl, with something behind it": (file("a.stl", export_mesh(ball(), "stl") + b"signature"), 0.3),
    "stl, infinite": (
        file(
            "a.stl",
            b"solid a\nfacet\nouter loop\n" + b"vertex inf 0 1\n" * 3 + b"endloop\nendfacet\nendsolid",
        ),
        "NaN or infinite",
    ),
    # OFF
    "off, a billion faces": (file("a.off", b"OFF\n3 1000000000 0\n" + CORNERS), "more than 5000000 faces"),
    "off, a billion vertices": (
        file("a.off", b"OFF\n1000000000 1 0\n" + CORNERS + b"3 0 1 2\n"),
        "cut short: it announces 1000000000 vertices and holds",
    ),
    "off, fewer than no vertices": (file("a.off", b"OFF\n-3 1 0\n" + CORNERS), "a count below 0"),
    "off, a vertex before the first": (
        file("a.off", b"OFF\n3 1 0\n" + CORNERS + b"3 0 1 -1\n"),
        "vertices that it does not have",
    ),
    "off, a vertex beyond int64": (
        file("a.off", b"OFF\n3 1 0\n" + CORNERS + b"3 0 1 9999999999999999999999\n"),
        "not a readable off file (line 6)",
    ),
    "off, a polygon with too few corners": (
        file("a.off", b"OFF\n3 1 0\n" + CORNERS + b"4 0 1 2\n"),
        "not a readable off file (line 6)",
    ),
    # OBJ
    "obj, a vertex beyond int64": (
        file("a.obj", OBJ + b"f 1 2 " + b"9" * 30 + b"\n"),
        "not a readable obj file (line 4)",
    ),
    "obj, a number of many digits": (file("a.obj", OBJ + b"f 1 2 " + b"9" * 9999), "(line 4)"),
    "obj, an endless line": (
        file("a.obj", OBJ + b"f" + b" 1" * (1 << 23) + b"\n"),
        "line 4 is longer than 16 MiB",
    ),
    "obj, a terabyte of nothing": (sparse, "larger than 536870912 bytes"),
    "obj, half of UTF-16": (file("a.obj", OBJ.decode().encode("utf-16")[:-1]), "not a readable obj file"),
    "obj, a picture": (
        file("a.obj", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9),
        "not a readable obj file",
    ),
    "obj, empty": (file("a.obj", b""), "it is empty"),
    "obj, coordinates of 1e39": (
        file("a.obj", b"v 0 0 0\nv 1e39 0 0\nv 0 1e39 0\nf 1 2 3\n"),
        "too large for float32",
    ),
    "obj, coordinates of 1e308": (
        file("a.obj", b"v -1e308 0 0\nv 1e308 0 0\nv 0 1e308 0\nf 1 2 3\n"),
        "too large for float32",
    ),
    "obj, coordinates of 1e-50": (
        file("a.obj", b"v 0 0 0\nv 1e-50 0 0\nv 0 1e-50 0\nf 1 2 3\n"),
        "too small for float32",
    ),
    "obj, one coordinate of 1e38 among small ones": (
        file("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1e38\nf 1 2 3\nf 1 2 4\n"),
        0.3,  # the second face has no area at its scale, and is left out
    ),
    # glTF
    "gltf, a node below itself": (scene(nodes=[{"mesh": 0, "children": [0]}]), "node 0 lies below itself"),
    "gltf, a ring of nodes": (
        scene(nodes=[{"children": [1]}, {"children": [2]}, {"mesh": 0, "children": [1]}]),
        "node 1 lies below itself",
    ),
    "gltf, two to the power of forty nodes": (
        scene(nodes=[*({"children": [n + 1, n + 1]} for n in range(40)), {"mesh": 0}]),
        "lies below itself or below two others",
    ),
    "gltf, twenty thousand nodes deep": (
        scene(nodes=[*({"children": [n + 1]} for n in range(20_000)), {"mesh": 0}]),
        0.3,
    ),
    "gltf, a node that is not there": (scene(nodes=[{"children": [7]}]), "not a readable gltf file"),
    "gltf, a buffer on the net": (buffer_at("https://example.org/a.bin"), "is missing"),
    "gltf, a buffer by file URL": (buffer_at("file:///etc/hostname"), "is missing"),
    "gltf, a buffer above its folder": (buffer_at("../secret.bin"), "outside its folder"),
    "gltf, a buffer from the root": (buffer_at("/etc/hostname"), "outside its folder"),
    "gltf, a link out of its folder": (buffer_at("link.bin"), "outside its folder"),
    "gltf, a device as buffer": (buffer_at("zero.bin"), "outside its folder"),
    "gltf, a folder as buffer": (buffer_at("folder.bin"), "is missing"),
    "gltf, a pipe as buffer": (buffer_at("pipe.bin"), "is missing"),
    "gltf, a view beyond its buffer": (
        scene(bufferViews=[{"buffer": 0, "byteLength": 99}, {"buffer": 0, "byteLength": 12}]),
        "not a readable gltf file",
    ),
    "gltf, an accessor beyond its view": (
        scene(accessors=accessors({"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"})),
        "not a readable gltf file",
    ),
    "gltf, its indices for positions": (
        scene(meshes=[{"primitives": [{"attributes": {"POSITION": 1}, "indices": 1}]}]),
        "do not have three coordinates each",
    ),
    "gltf, positions of two coordinates": (
        scene(accessors=accessors({"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC2"})),
        "do not have three coordinates each",
    ),
    "gltf, an accessor of a trillion zeros": (
        scene(accessors=accessors({"componentType": 5126, "count": 10**12, "type": "VEC3"})),
        "announce 12000000000012 bytes",
    ),
    "gltf, an accessor of fewer than none": (
        scene(accessors=accessors({"componentType": 5126, "count": -3, "type": "VEC3"})),
        "its buffer views or accessors announce",
    ),
    "gltf, a million views of one megabyte": (
        scene(
            buffers=[
                {"uri": "data:;base64," + base64.b64encode(bytes(100_000)).decode(), "byteLength": 100_000}
            ],
            bufferViews=[{"buffer": 0, "byteLength": 100_000}] * 10_000,
        ),
        "announce 1000000000 bytes",
    ),
    "gltf, a thousand parts that share a large buffer": (
        scene(
            buffers=[
                {"uri": "data:;base64," + base64.b64encode(bytes(240_000)).decode(), "byteLength": 240_000}
            ],
            bufferViews=[{"buffer": 0, "byteLength": 240_000}] * 2,
            accessors=[
                {"bufferView": 0, "componentType": 5126, "count": 20_000, "type": "VEC3"},
                {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
            ],
            meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}] * 1000}],
        ),
        "all its faces are degenerate",
    ),
    "gltf, brackets without end": (file("a.gltf", b"[" * 100_000), "not a readable gltf file"),
    "gltf, a list": (file("a.gltf", b"[1, 2]"), "not a readable gltf file"),
    "gltf, a transform that overflows": (
        scene(nodes=[{"mesh": 0, "scale": [1e308] * 3, "children": [1]}, {"mesh": 0, "scale": [1e308] * 3}]),
        "NaN or infinite",
    ),
    "gltf, a scale of 0": (scene(nodes=[{"mesh": 0, "scale": [0, 0, 0]}]), "zero extent"),
    "glb, of a version there is not": (glb(b"{}", version=9), "not a readable glb file"),
    "glb, JSON longer than the file": (glb(b"{}", length=1 << 31), "not a readable glb file"),
    "glb, no JSON": (glb(b"nonsense"), "not a readable glb file"),
    "glb, a name that is not UTF-8": (latin_glb(), 0.3),
    # other files
    "3mf, a zip bomb": (zip_bomb, "not a readable 3mf file (its XML: not well-formed"),
    "a folder by the name of a.obj": (a_folder, "it is a folder"),
    "a pipe by the name of a.obj": (a_pipe, "it is not a regular file"),
    "a device by the name of a.obj": (linked("/dev/zero"), "it is not a regular file"),
    "a link to itself": (linked("a.obj"), "there is no such file"),
    "a link to nothing": (linked("nothing.obj"), "there is no such file"),
    "a link to a mesh": (linked(None), 0.3),
    "a name that is not UTF-8": (in_latin_named_file, 0.3),
    "a name that is not UTF-8, refused": (
        file(b"caf\xe9.obj", b"nothing"),
        "caf\\udce9.obj: not a readable obj",
    ),
    "a name of two lines, refused": (file("a\nb.obj", b"nothing"), "a\\nb.obj: not a readable obj"),
    # geometry
    "coordinates of 1e30": (mesh(lambda: scaled(ball(), 1e30, 1e30, 1e30), "obj"), 0.3),
    "coordinates of 1e-30": (mesh(lambda: scaled(ball(), 1e-30, 1e-30, 1e-30), "obj"), 0.3),
    "one triangle": (mesh(soup(TRIANGLE[None].astype(float)), "ply"), 0.3),
    "a plane": (mesh(lambda: scaled(trimesh.creation.box(), 1, 1, 0), "stl"), 0.3),
    "a wire of slivers": (mesh(wire, "ply"), 0.3),
    "a needle": (mesh(lambda: scaled(ball(), 1, 0.002, 0.002), "ply"), 0.3),
    "two balls at one place": (mesh(lambda: joined(ball(), ball()), "off"), 0.3),
    "a ball in itself, turned over": (mesh(lambda: joined(ball(), flipped(ball())), "off"), 0.3),
    "a ball inside out": (mesh(lambda: flipped(ball()), "glb"), 0.3),
    "shells in shells": (mesh(lambda: joined(*(ball(r) for r in (1, 0.8, 0.6, 0.4)))), 0.1),
    "faces of no area, faces three times": (mesh(with_dirt, "ply"), 0.3),
    "an open half": (mesh(half_ball, "obj"), 0.3),
    "a thousand parts": (mesh(thousand_parts, "stl"), 0.05),
    "fifteen hundred triangles at random": (mesh(random_soup, "stl"), 0.3),
}
