"""Mesh files in and out: what is read, what else is opened, what is refused, what is written."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from support.solids import BOX, prism
from support.threemf import archive_of

from meshcodec.errors import BadMeshError, UsageError
from meshcodec.geometry.formats import READ_FORMATS, WRITE_FORMATS
from meshcodec.geometry.io import export_mesh, load_mesh

SQUARE = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
PLY = b"""ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
1 1 0
0 1 0
"""
OFF = b"OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype="<f4")


def load(data: bytes, kind: str, **options: Any) -> trimesh.Trimesh:
    return load_mesh(io.BytesIO(data), kind, **options)


def corners(mesh: trimesh.Trimesh) -> NDArray[np.float64]:
    """(m, 3, 3) corner positions: what a mesh is, however its vertices are numbered."""
    positions: NDArray[np.float64] = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    return positions


def moved(points: NDArray[Any], x: float = 0, z: float = 0) -> NDArray[Any]:
    shifted: NDArray[Any] = points + np.array([x, 0, z])
    return shifted


def gltf(nodes: list[dict[str, Any]], uri: str | None = None, indices: tuple[int, ...] = (0, 1, 2)) -> bytes:
    """A glTF of one triangle, with these nodes, of which the first is the root."""
    blob = TRIANGLE.tobytes() + np.array(indices, dtype="<u4").tobytes()
    return json.dumps(
        {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": nodes,
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
            "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
            "textures": [{"source": 0}],
            "images": [{"uri": "no-such-image.png"}],
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
                    "uri": uri or "data:application/octet-stream;base64," + base64.b64encode(blob).decode(),
                    "byteLength": 48,
                }
            ],
        }
    ).encode()


def scene_bytes(scene: trimesh.Scene) -> bytes:
    data = scene.export(file_type="glb")  # type: ignore[no-untyped-call, unused-ignore]
    assert isinstance(data, bytes)
    return data


# ---- what is read


@pytest.mark.parametrize("kind", WRITE_FORMATS)
@pytest.mark.parametrize("size", [1.0, 1e-9, 1e30])
def test_each_format_comes_back(kind: str, size: float, tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    ball.vertices *= size
    path = tmp_path / f"ball.{kind.upper()}"
    path.write_bytes(export_mesh(ball, f".{kind}"))
    back = load_mesh(path)
    assert back.vertices.dtype == np.float64
    assert back.faces.dtype == np.int64
    np.testing.assert_allclose(corners(back), corners(ball), rtol=0, atol=size * 1e-7)


def test_paths_strings_and_files_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "square.obj"
    path.write_bytes(SQUARE + b"f 1 2 3\n")
    with path.open("rb") as file:
        meshes = [load_mesh(path), load_mesh(str(path)), load_mesh(file), load(path.read_bytes(), ".OBJ")]
    for mesh in meshes:
        np.testing.assert_array_equal(mesh.vertices, TRIANGLE)
        np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])


def test_a_mesh_is_copied() -> None:
    box = trimesh.creation.box()
    copy = load_mesh(box)
    np.testing.assert_array_equal(copy.faces, box.faces)
    copy.vertices += 7
    assert np.abs(box.vertices).max() == 0.5


@pytest.mark.parametrize(
    ("data", "kind", "count"),
    [
        (SQUARE + b"f 1 2 3 4\n", "obj", 2),
        (SQUARE + b"v -1 0.5 0\nf 1 2 3\nf 1 2 3 4 5\n", "obj", 4),
        (PLY + b"4 0 1 2 3\n", "ply", 2),
        (OFF + b"4 0 1 2 3\n", "off", 2),
    ],
)
def test_polygons_become_triangles(data: bytes, kind: str, count: int) -> None:
    mesh = load(data, kind)
    assert len(mesh.faces) == count
    normals = np.cross(corners(mesh)[:, 1] - corners(mesh)[:, 0], corners(mesh)[:, 2] - corners(mesh)[:, 0])
    assert (normals[:, 2] > 0).all()


@pytest.mark.parametrize(
    "faces",
    [
        b"f 1 2 3",
        b"f 1 2 3 # a comment",
        b"  f\t1 2\t3  ",
        b"f 1/1 2/2 3/3",
        b"f 1//1 2//1 3//1",
        b"f 1/1/1 2/2/1 3/3/1",
        b"f -4 -3 -2",
        b"f 1 2 \\\n3",
        b"f 1 2 \\\r\n3",
        b"o caf\xe9\r\nf 1 2 3\r",
        b"usemtl stone\nf 1 2 3",
        b"l 1 2\nf 1 2 3\np 4",
        b"f 1 2\nf 1 2 3",
    ],
)
def test_obj_dialects(faces: bytes) -> None:
    mesh = load(
        b"mtllib no-such.mtl\n" + SQUARE + b"vt 0 0\nvt 1 0\nvt 1 1\nvn 0 0 1\n" + faces + b"\n", "obj"
    )
    np.testing.assert_array_equal(corners(mesh), TRIANGLE[None])


def test_relative_obj_indices_count_from_their_line() -> None:
    above = b"v 0 0 5\nv 1 0 5\nv 1 1 5\n"
    mesh = load(SQUARE[: SQUARE.rfind(b"v")] + b"f -3 -2 -1\n" + above + b"f -3 -2 -1\n", "obj")
    np.testing.assert_array_equal(corners(mesh), [TRIANGLE, moved(TRIANGLE, z=5)])


def test_obj_colours_and_weights_are_passed_over() -> None:
    data = b"v 0 0 0 1 0 0\nv 1 0 0 1.0\nv 1 1 0\nf 1 2 3\n"
    np.testing.assert_array_equal(corners(load(data, "obj")), TRIANGLE[None])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PLY.replace(b"1.0\n", b"1.0\ncomment caf\xe9\n", 1) + b"3 0 1 2\n", "ply"),
        (OFF.replace(b"OFF\n", b"OFF\n# caf\xe9\n") + b"3 0 1 2\n", "off"),
        (
            b"solid caf\xe9\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 1 0\n"
            b"endloop\nendfacet\nendsolid\n",
            "stl",
        ),
    ],
)
def test_text_that_is_not_utf_8_is_read(data: bytes, kind: str) -> None:
    np.testing.assert_array_equal(corners(load(data, kind)), TRIANGLE[None])


def test_scenes_are_flattened_with_their_transforms() -> None:
    nodes: list[dict[str, Any]] = [
        {"translation": [10, 0, 0], "children": [1, 2]},
        {"mesh": 0, "scale": [2, 2, 2]},
        {"mesh": 0, "translation": [0, 0, 3], "children": [3]},
        {"mesh": 0, "scale": [-1, 1, 1]},
    ]
    found = {tuple(map(tuple, triangle)) for triangle in corners(load(gltf(nodes), "gltf")).tolist()}
    mirrored = moved(TRIANGLE * [-1, 1, 1], x=10, z=3)
    expected = [moved(TRIANGLE * 2, x=10), moved(TRIANGLE, x=10, z=3), mirrored[::-1]]
    assert found == {tuple(map(tuple, triangle.tolist())) for triangle in expected}


def test_a_glb_scene_of_two_meshes_is_one_mesh() -> None:
    scene = trimesh.Scene()
    box = trimesh.creation.box()
    shift = np.eye(4)
    shift[0, 3] = 5
    scene.add_geometry(box, transform=shift)
    scene.add_geometry(trimesh.creation.icosphere(subdivisions=1))
    mesh = load(scene_bytes(scene), "glb")
    assert len(mesh.faces) == 12 + 80
    np.testing.assert_allclose(np.asarray(mesh.bounds), np.array([[-1, -1, -1], [5.5, 1, 1]]), atol=1e-6)


@pytest.mark.parametrize("kind", READ_FORMATS)
def test_every_format_is_read_through_gzip(kind: str, tmp_path: Path) -> None:
    others = {"gltf": gltf([{"mesh": 0}]), "3mf": archive_of(prism(BOX, 3))}
    data = others[kind] if kind in others else export_mesh(trimesh.creation.box(), kind)
    path = tmp_path / f"a.{kind.upper()}.gz"
    path.write_bytes(gzip.compress(data[:50]) + gzip.compress(data[50:]))  # in two parts, as some tools write
    plain = load(data, kind)
    with path.open("rb") as file:
        for mesh in (load_mesh(path), load_mesh(file), load(path.read_bytes(), f".{kind}.gz")):
            np.testing.assert_array_equal(corners(mesh), corners(plain))


def test_polygons_name_vertices_that_are_there() -> None:
    """A polygon is cut by the places of its vertices, and is refused in the words that a triangle is."""
    for data, kind in (
        (SQUARE + b"f 1 2 3 5\n", "obj"),
        (SQUARE + b"f 1 2 3 4 0\n", "obj"),
        (PLY + b"4 0 1 2 4\n", "ply"),
        (OFF + b"4 0 1 2 -1\n", "off"),
    ):
        with pytest.raises(BadMeshError, match=r"vertices that it does not have \(it has 4\)"):
            load(data, kind)
    with pytest.raises(BadMeshError, match="NaN or infinite"):
        load(SQUARE.replace(b"1 1 0", b"nan 1 0") + b"v -1 0.5 0\nf 1 2 3 4 5\n", "obj")


def test_nothing_is_merged_reordered_or_turned() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=float)
    faces = [[3, 5, 4], [0, 1, 2], [0, 1, 2]]
    mesh = load_mesh(trimesh.Trimesh(vertices, faces, process=False))
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


def test_degenerate_faces_and_unused_vertices_are_dropped() -> None:
    vertices = np.array([[9, 9, 9], [0, 0, 0], [np.nan, 0, 0], [1, 0, 0], [1, 1, 0], [-9, 0, 0]])
    faces = [[1, 3, 3], [1, 3, 4], [5, 5, 5], [0, 1, 0]]
    mesh = load_mesh(trimesh.Trimesh(vertices, faces, process=False))
    np.testing.assert_array_equal(mesh.vertices, TRIANGLE)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])


# ---- what other files are opened


def test_gltf_buffers_beside_it_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    blob = TRIANGLE.tobytes() + np.array([0, 1, 2], dtype="<u4").tobytes()
    (folder / "sub" / "a b.bin").write_bytes(blob)
    (tmp_path / "outside.bin").write_bytes(blob)
    path = folder / "model.gltf"

    path.write_bytes(gltf([{"mesh": 0}], "sub/a%20b.bin"))
    np.testing.assert_array_equal(corners(load_mesh(path)), TRIANGLE[None])
    for uri in ("../outside.bin", str(tmp_path / "outside.bin"), "..%2Foutside.bin"):
        path.write_bytes(gltf([{"mesh": 0}], uri))
        with pytest.raises(BadMeshError, match="outside its folder"):
            load_mesh(path)
    path.write_bytes(gltf([{"mesh": 0}], "missing.bin"))
    with pytest.raises(BadMeshError, match=r"buffer 'missing\.bin' is missing"):
        load_mesh(path)
    with pytest.raises(BadMeshError, match="stream cannot reach"):
        load(path.read_bytes(), "gltf")


def test_a_damaged_gltf_does_not_borrow_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "model.gltf").write_bytes(gltf([{"mesh": 0}]))
    load_mesh(tmp_path / "model.gltf")
    (tmp_path / "other.gltf").write_bytes(b"{ not json")
    with pytest.raises(BadMeshError, match="not a readable gltf"):
        load_mesh(tmp_path / "other.gltf")


def test_textures_and_materials_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mtl").write_bytes(b"newmtl m\nmap_Kd a.png\n")
    (tmp_path / "a.png").write_bytes(b"not an image")
    (tmp_path / "a.obj").write_bytes(b"mtllib a.mtl\nusemtl m\n" + SQUARE + b"f 1 2 3\n")
    texture = b"1.0\ncomment TextureFile a.png\n"
    (tmp_path / "a.ply").write_bytes(PLY.replace(b"1.0\n", texture, 1) + b"3 0 1 2\n")
    (tmp_path / "a.gltf").write_bytes(gltf([{"mesh": 0}]).replace(b"no-such-image.png", b"a.png"))
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def record(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", record)
    for name in ("a.obj", "a.ply", "a.gltf"):
        load_mesh(tmp_path / name)
    assert opened == ["a.obj", "a.ply", "a.gltf"]


# ---- what is refused


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", "obj", "is empty"),
        (b" \n\n", "ply", "is empty"),
        (SQUARE, "obj", "no faces: a point cloud of 4 points"),
        (SQUARE + b"l 1 2\n", "obj", "no faces: a point cloud"),
        (PLY.replace(b"face 1", b"face 0"), "ply", "no faces: a point cloud of 4 points"),
        (bytes(84), "stl", "no faces"),
        (b"hello world\n", "obj", "no vertices and no faces"),
        (SQUARE + b"f one two three\n", "obj", r"not a readable obj file \(line 5\)"),
        (b"v 0 0\nf 1 1 1\n", "obj", "line 1"),
        (SQUARE.replace(b"1 1 0", b"nan 1 0") + b"f 1 2 3\n", "obj", "NaN or infinite"),
        (SQUARE.replace(b"1 1 0", b"1e999 1 0") + b"f 1 2 3\n", "obj", "NaN or infinite"),
        (PLY.replace(b"1 1 0", b"nan 1 0") + b"3 0 1 2\n", "ply", "NaN or infinite"),
        (OFF.replace(b"1 1 0", b"inf 1 0") + b"3 0 1 2\n", "off", "NaN or infinite"),
        (b"v 3 3 3\n" * 3 + b"f 1 2 3\n", "obj", "zero extent"),
        (b"v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "obj", "degenerate: none has an area"),
        (b"v 5.01 5.07 5.03\nv 5.02 5.14 5.06\nv 5.07 5.49 5.21\nf 1 2 3\n", "obj", "none has an area"),
        (SQUARE + b"f 1 2 2\nf 3 3 3\n", "obj", "all its faces are degenerate"),
        (SQUARE + b"f 1 2 5\n", "obj", "vertices that it does not have"),
        (SQUARE + b"f 0 1 2\n", "obj", "vertices that it does not have"),
        (SQUARE + b"f 0 1 2\nv 9 9 9\n", "obj", "vertices that it does not have"),
        (SQUARE + b"f 1 2 -5\n", "obj", "vertices that it does not have"),
        (b"f 1 2 3\n", "obj", "vertices that it does not have"),
        (PLY + b"3 0 1 99\n", "ply", "vertices that it does not have"),
        (PLY + b"3 0 1 -1\n", "ply", "vertices that it does not have"),
        (OFF + b"3 0 1 99\n", "off", "face index outside|vertices that it does not have"),
        (
            gltf([{"mesh": 0}], indices=(0, 1, 7)),
            "gltf",
            "not a readable gltf|vertices that it does not have",
        ),
        (gltf([{"children": [1]}, {"mesh": 0, "children": [0]}]), "gltf", "not a readable gltf"),
        (
            PLY.replace(b"ascii", b"binary_little_endian").replace(b"face 1", b"face 999999999999"),
            "ply",
            "ply",
        ),
        (bytes(80) + b"\xff\xff\xff\xff" + bytes(100), "stl", "announces 4294967295 faces and it holds 2"),
        (b"glTF\x02\x00\x00\x00\xff\xff\xff\xff", "glb", "not a readable glb"),
        (b"{}", "gltf", "not a readable gltf|no faces"),
    ],
)
def test_bad_files_are_refused(data: bytes, kind: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad.{kind}"
    path.write_bytes(data)
    with pytest.raises(BadMeshError, match=message) as caught:
        load_mesh(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert caught.value.remedy
    assert "\n" not in text
    assert "charset" not in text


@pytest.mark.parametrize("kind", READ_FORMATS)
def test_garbage_and_cut_files_raise_nothing_else(kind: str) -> None:
    rng = np.random.default_rng(0)
    for length in (1, 20, 84, 3000):
        with pytest.raises(BadMeshError):
            load(rng.bytes(length), kind)
        with pytest.raises(BadMeshError):
            load((b"what is this? " * length)[:length], kind)
    others = {"gltf": gltf([{"mesh": 0}]), "3mf": archive_of(prism(BOX, 3))}
    whole = others[kind] if kind in others else export_mesh(trimesh.creation.box(), kind)
    for end in range(0, len(whole) - 1, max(1, len(whole) // 50)):
        try:
            load(whole[:end], kind)  # a cut text file may still be a mesh
        except BadMeshError:
            continue
        assert kind == "obj" or end > len(whole) // 2


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        ([], [], "no faces"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [], "point cloud of 3"),
        ([[0, 0, 0], [1, 0, 0], [0, np.inf, 0]], [[0, 1, 2]], "NaN or infinite"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 3]], "does not have"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, -1]], "does not have"),
    ],
)
def test_bad_meshes_are_refused(vertices: Any, faces: Any, message: str) -> None:
    mesh = trimesh.Trimesh(process=False)
    mesh.vertices, mesh.faces = np.reshape(vertices, (-1, 3)), np.reshape(faces, (-1, 3)).astype(int)
    with pytest.raises(BadMeshError, match=f"^mesh: .*{message}"):
        load_mesh(mesh)


def test_paths_that_are_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadMeshError, match=r"gone\.obj: there is no such file"):
        load_mesh(tmp_path / "gone.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(BadMeshError, match="is a folder"):
        load_mesh(tmp_path / "folder.obj")
    (tmp_path / "loop.obj").symlink_to(tmp_path / "loop.obj")
    with pytest.raises(BadMeshError, match="cannot be opened"):
        load_mesh(tmp_path / "loop.obj")
    os.mkfifo(tmp_path / "pipe.obj")
    with pytest.raises(BadMeshError, match="not a regular file"):
        load_mesh(tmp_path / "pipe.obj")
    with pytest.raises(BadMeshError, match="cannot be opened"):
        load_mesh("null\0byte.obj")
    with pytest.raises(BadMeshError, match="cannot be opened"):
        load_mesh("x" * 5000 + ".obj")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "secret.obj").write_bytes(SQUARE)
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read whatever chmod says
    with pytest.raises(BadMeshError, match=r"secret\.obj: cannot be read: Permission denied"):
        load_mesh(tmp_path / "secret.obj")


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    for name in ("a.xyz", "a.blend", "a.zip", "plain"):
        (tmp_path / name).write_bytes(SQUARE)
        with pytest.raises(BadMeshError, match=r"unknown mesh format|has no extension") as caught:
            load_mesh(tmp_path / name)
        assert "obj, ply, stl, glb, gltf, off, 3mf" in caught.value.remedy
    with pytest.raises(BadMeshError, match=r"^stream: its format is not known"):
        load_mesh(io.BytesIO(SQUARE))
    (tmp_path / "plain").write_bytes(SQUARE + b"f 1 2 3\n")
    assert len(load_mesh(tmp_path / "plain", "obj").faces) == 1


def test_a_file_open_as_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_bytes(SQUARE + b"f 1 2 3\n")
    with path.open() as file, pytest.raises(BadMeshError, match="open it in binary mode"):
        load_mesh(file)  # type: ignore[arg-type]


def test_what_unpacks_to_more_than_is_allowed_is_refused() -> None:
    data = gzip.compress(SQUARE + b"f 1 2 3\n#" + b" " * 10_000_000)
    assert len(data) < 20_000
    with pytest.raises(BadMeshError, match="larger than 1000000 bytes"):
        load(data, "obj.gz", max_bytes=1_000_000)
    assert len(load(data, "obj.gz", max_bytes=11_000_000).faces) == 1


@pytest.mark.parametrize(
    "data", [b"v 0 0 0\n", gzip.compress(SQUARE, mtime=0)[:-9], b"\x1f\x8b\x08" + bytes(99), b"\x1f"]
)
def test_what_is_not_compressed_in_spite_of_its_name_is_refused(data: bytes) -> None:
    with pytest.raises(BadMeshError, match=r"^stream: cannot be unpacked with gzip: .*; "):
        load(data, "obj.gz")


def test_more_faces_than_allowed_are_refused() -> None:
    box = trimesh.creation.box()
    assert len(load_mesh(box, max_faces=12).faces) == 12
    for kind in WRITE_FORMATS:
        with pytest.raises(BadMeshError, match="more than 11 faces"):
            load(export_mesh(box, kind), kind, max_faces=11)


# ---- what is written


def test_text_formats_to_the_letter() -> None:
    mesh = trimesh.Trimesh(TRIANGLE / 3, [[0, 1, 2]], process=False)
    rows = "0 0 0\n0.333333343 0 0\n0.333333343 0.333333343 0\n"
    assert export_mesh(mesh, "off").decode() == f"OFF\n3 1 0\n{rows}3 0 1 2\n"
    assert export_mesh(mesh, "obj").decode() == "v " + rows.rstrip().replace("\n", "\nv ") + "\nf 1 2 3\n"


def test_other_formats_are_not_written() -> None:
    with pytest.raises(UsageError, match="cannot write 'gltf' files; use one of obj, ply, stl, glb, off"):
        export_mesh(trimesh.creation.box(), "gltf")
