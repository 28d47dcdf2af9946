"""The readers of OBJ, OFF and PLY: dialects, against files made by hand and by trimesh."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import trimesh

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers import read_obj, read_off, read_ply

MANY = 1000
SQUARE: list[list[float]] = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]]
QUAD_AND_TRIANGLE = [[0, 1, 2], [0, 2, 3], [3, 1, 0]]  # the fan of 0 1 2 3, then a triangle


def header(form: str, *lines: str, end: str = "\n") -> bytes:
    return end.join(["ply", f"format {form} 1.0", *lines, "end_header", ""]).encode()


VERTICES = ("element vertex 4", "property float x", "property float y", "property float z")
FACES = ("element face 2", "property list uchar int vertex_indices")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", ["float", "double"])
@pytest.mark.parametrize("index", ["uchar", "short", "uint"])
@pytest.mark.parametrize("count", ["uchar", "int"])
def test_binary_ply_of_any_types(order: str, number: str, index: str, count: str) -> None:
    codes = {"float": "f", "double": "d", "uchar": "B", "short": "h", "uint": "I", "int": "i"}
    form = "binary_little_endian" if order == "<" else "binary_big_endian"
    data = header(
        form,
        "comment made by hand",
        "element vertex 4",
        *(f"property {number} {axis}" for axis in "zyx"),
        "element face 2",
        f"property list {count} {index} vertex_index",
    )
    for vertex in SQUARE:
        data += struct.pack(f"{order}3{codes[number]}", *reversed(vertex))
    for face in ([0, 1, 2, 3], [3, 1, 0]):
        data += struct.pack(f"{order}{codes[count]}{len(face)}{codes[index]}", len(face), *face)
    vertices, faces = read_ply(data, MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)
    with pytest.raises(BadMeshError, match="cut short"):
        read_ply(data[:-1], MANY)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("even", [True, False])
def test_ply_with_more_columns_and_elements(end: str, even: bool) -> None:
    """What is not asked for is stepped over, wherever it stands."""
    lines = (
        "element camera 1",
        "property list uchar float view",
        "property int number",
        *VERTICES,
        "property uchar red",
        "element face 2",
        "property float quality",
        "property list uchar int texnumbers",
        "property list uchar int vertex_indices",
        "property short flags",
        "element edge 0",
        "property int a",
    )
    polygons = [[0, 1, 2], [3, 1, 0]] if even else [[0, 1, 2, 3], [3, 1, 0]]
    binary = header("binary_little_endian", *lines, end=end) + struct.pack("<B2fi", 2, 1, 2, 3)
    text = header("ascii", *lines, end=end) + b"2 1.0 2.0 3" + end.encode()
    for vertex in SQUARE:
        binary += struct.pack("<3fB", *vertex, 7)
        text += " ".join(map(str, [*vertex, 7])).encode() + end.encode()
    for number, face in enumerate(polygons):
        extra = [5] * (1 if even else number)
        binary += struct.pack(
            f"<fB{len(extra)}iB{len(face)}ih", 0.5, len(extra), *extra, len(face), *face, -1
        )
        row = [0.5, len(extra), *extra, len(face), *face, -1]
        text += " ".join(map(str, row)).encode() + end.encode()
    expected = polygons if even else QUAD_AND_TRIANGLE
    for data in (binary, text):
        vertices, faces = read_ply(data, MANY)
        np.testing.assert_array_equal(vertices, SQUARE)
        np.testing.assert_array_equal(faces, expected)


@pytest.mark.parametrize("encoding", ["binary", "ascii"])
def test_ply_as_trimesh_writes_it(encoding: str) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.visual.vertex_colors = np.arange(4 * len(ball.vertices)).reshape(-1, 4) % 256
    data: Any = ball.export(file_type="ply", encoding=encoding, vertex_normal=True)
    vertices, faces = read_ply(data, MANY)
    np.testing.assert_allclose(vertices, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(faces, ball.faces)


def test_ply_without_faces_and_with_empty_polygons() -> None:
    vertices, faces = read_ply(header("ascii", *VERTICES) + b"0 0 0 " * 4, MANY)
    assert (len(vertices), len(faces)) == (4, 0)
    vertices, faces = read_ply(header("ascii", *VERTICES, *FACES) + b"0 0 0 " * 4 + b"0 2 1 2", MANY)
    assert (len(vertices), len(faces)) == (4, 0)


def test_ply_polygons_count_as_their_triangles() -> None:
    data = header("ascii", *VERTICES, *FACES) + b"0 0 0 " * 4 + b"4 0 1 2 3 3 0 1 2"
    assert len(read_ply(data, 3)[1]) == 3
    with pytest.raises(BadMeshError, match="more than 2 faces"):
        read_ply(data, 2)


@pytest.mark.slow
def test_a_long_text_is_read_in_pieces() -> None:
    """Above a million bytes the text is cut, and never inside a number."""
    count = 100_000
    numbers = np.arange(3 * count) / 7
    body = b"\n".join(b"%.7f" % number for number in numbers.tolist())
    data = header("ascii", f"element vertex {count}", *VERTICES[1:]) + body
    assert len(data) > 3_000_000
    vertices, _ = read_ply(data, MANY)
    np.testing.assert_allclose(vertices.ravel(), numbers, atol=1e-7)


@pytest.mark.parametrize(
    "start",
    [
        b"OFF\n4 2 0\n",
        b"OFF 4 2 0\n",
        b"OFF4 2 0\n",
        b"# a comment\n\n  off  # another\n4 2 # the last\n",
        b"\xef\xbb\xbfOFF\r\n4 2 5\r\n",
        b"COFF\n4 2 0\n",
        b"STCNOFF\n4 2 0\n",
    ],
)
def test_off_dialects(start: bytes) -> None:
    data = start + b"0 0 0 255 0 0 255\n1 0 0\n\n1 1 0 # here\n0 1 .5\n4 0 1 2 3 0.5 0.5 0.5\n3 3 1 0\n"
    vertices, faces = read_off(data, MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start with OFF"),
        (b"4OFF\n1 0 0\n0 0 0 1\n", "does not start with OFF"),
        (b"OFF BINARY\n\0\0\0\4", "does not start with OFF"),
        (b"OFF\n", "the line with its counts"),
        (b"OFF\nmany few\n", "the line with its counts"),
        (b"OFF\n1 0 0\n0 0\n", "line 3"),
        (b"OFF\n1 1 0\n0 0 0\n-1 0 0 0\n", "line 4"),
    ],
)
def test_what_is_no_off_file(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_off(data, MANY)


def test_obj_lines_may_end_in_any_way() -> None:
    lines = [b"v 0 0 0", b"v 1 0 0", b"v 1 1 0", b"v 0 1 .5", b"f 1 2 \\", b"3 4", b"f -1/1/1 2 1 # b"]
    for end in (b"\n", b"\r\n"):
        vertices, faces = read_obj(end.join(lines), MANY)
        np.testing.assert_array_equal(vertices, SQUARE)
        np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)
    vertices, _ = read_obj(b"\r".join(lines[:4]), MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
