"""PLY files: types, orders and columns, against files made by hand and by trimesh."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import trimesh
from support.solids import E, L, Outline, U, area_and_volume, prism

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.ply import read_ply

MANY = 1000
SQUARE: list[list[float]] = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]]
QUAD_AND_TRIANGLE = [[0, 1, 2], [0, 2, 3], [3, 1, 0]]
"""The triangles of 0 1 2 3, which bends along 0 2 no more than along 1 3, and of a triangle."""


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
    "word", [b"nan(ind)", b"-nan(ind)", b"-1.#IND", b"1.#QNAN", b"1.#INF00", b"NAN(SNAN)"]
)
def test_what_c_libraries_write_for_no_number(word: bytes) -> None:
    """In a column that is not used it does no harm; a coordinate is then none."""
    lines = (*VERTICES, "property float nx", *FACES)
    rows = b"".join(b"%g %g %g " % tuple(row) + word + b"\n" for row in SQUARE)
    vertices, faces = read_ply(header("ascii", *lines) + rows + b"4 0 1 2 3\n3 3 1 0\n", MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)
    rows = rows.replace(b"0.5 ", word + b" ")
    vertices, _ = read_ply(header("ascii", *lines) + rows + b"4 0 1 2 3\n3 3 1 0\n", MANY)
    np.testing.assert_array_equal(np.isnan(vertices), np.equal(SQUARE, 0.5))


@pytest.mark.parametrize("word", [b"1_0", b"ind", b"nan()x", b"#", b"0x10"])
def test_a_word_that_is_no_number_is_refused(word: bytes) -> None:
    with pytest.raises(ValueError, match="a word that is no number"):
        read_ply(header("ascii", *VERTICES) + b"0 0 0 " * 3 + b"0 0 " + word, MANY)


# ---- polygons and strips


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("faces_first", [True, False])
@pytest.mark.parametrize(("outline", "truth"), [(U, (184, 88)), (E, (284, 148)), (L, (40, 12))])
def test_concave_polygons(
    outline: Outline, truth: tuple[float, float], faces_first: bool, binary: bool
) -> None:
    made = prism(outline, 2)
    vertex = (f"element vertex {len(made.vertices)}", *VERTICES[1:])
    face = (f"element face {len(made.polygons)}", FACES[1])
    if binary:
        rows = made.vertices.astype("<f4").tobytes()
        lists = b"".join(struct.pack(f"<B{len(p)}i", len(p), *p) for p in made.polygons)
    else:
        rows = b"".join(b"%g %g %g\n" % tuple(row) for row in made.vertices.tolist())
        lists = b"".join(b" ".join(b"%d" % n for n in (len(p), *p)) + b"\n" for p in made.polygons)
    form = "binary_little_endian" if binary else "ascii"
    if faces_first:
        data = header(form, *face, *vertex) + lists + rows
    else:
        data = header(form, *vertex, *face) + rows + lists
    assert area_and_volume(*read_ply(data, MANY)) == pytest.approx(truth)


BOX = [[4, 5.5, 5.5], [4, 5.5, 8.5], [4, 6.5, 5.5], [4, 6.5, 8.5]]
BOX += [[x + 2, y, z] for x, y, z in BOX]
AROUND = [0, 1, 2, 3, 6, 7, 4, 5, 0, 1]  # the four sides as one strip
STRIPS = [*AROUND, -1, 0, 2, 4, 6, -1, 1, 5, 3, 7, -1]  # and the two ends


def strips(rows: list[list[int]], form: str, kind: str = "int") -> bytes:
    lines = (
        "element vertex 8",
        *VERTICES[1:],
        f"element tristrips {len(rows)}",
        f"property list int {kind} v",
    )
    data = header(form, *lines)
    if form == "ascii":
        data += b"".join(b"%g %g %g\n" % tuple(row) for row in BOX)
        return data + b"\n".join(b" ".join(b"%d" % n for n in (len(row), *row)) for row in rows)
    order, code = ("<" if "little" in form else ">"), {"int": "i", "uint": "I", "uchar": "B"}[kind]
    data += np.array(BOX, dtype=f"{order}f4").tobytes()
    for row in rows:
        numbers = [n % (1 << 8 * struct.calcsize(code)) if kind[0] == "u" else n for n in row]
        data += struct.pack(f"{order}i{len(row)}{code}", len(row), *numbers)
    return data


@pytest.mark.parametrize(
    "data",
    [
        strips([STRIPS], "ascii"),
        strips([STRIPS[:-1]], "ascii"),
        strips([STRIPS], "binary_little_endian"),
        strips([STRIPS], "binary_big_endian", "uint"),
        strips([STRIPS], "binary_little_endian", "uchar"),
        strips([AROUND, STRIPS[11:]], "binary_little_endian"),
        strips([AROUND, STRIPS[11:15], [], STRIPS[16:20]], "ascii"),
        strips([[-1, -1, *STRIPS, -1]], "ascii"),
    ],
)
def test_triangle_strips(data: bytes) -> None:
    vertices, faces = read_ply(data, MANY)
    assert len(faces) == 12
    area, volume = area_and_volume(vertices, faces)
    assert area == pytest.approx(22)
    assert abs(volume) == pytest.approx(6)


def test_a_strip_turns_every_second_triangle() -> None:
    _, faces = read_ply(strips([[0, 1, 2, 3, 3, 4, 5]], "ascii"), MANY)
    np.testing.assert_array_equal(faces, [[0, 1, 2], [2, 1, 3], [2, 3, 3], [3, 3, 4], [3, 4, 5]])


def test_faces_and_strips_are_read_together() -> None:
    data = strips([[0, 1, 2]], "ascii").replace(
        b"end_header", b"\n".join((*map(str.encode, FACES), b"end_header"))
    )
    _, faces = read_ply(data + b"\n3 5 6 7\n3 4 5 6\n", MANY)
    np.testing.assert_array_equal(faces, [[5, 6, 7], [4, 5, 6], [0, 1, 2]])


# ---- counts


def rows_of_l(binary: bool, columns: bytes = b"") -> tuple[list[bytes], list[bytes]]:
    """Rows of vertices and of faces, which have some more columns behind their lists."""
    made = prism(L, 2)
    if binary:
        vertices = [struct.pack("<3f", *row) for row in made.vertices.tolist()]
        return vertices, [struct.pack(f"<B{len(p)}i", len(p), *p) + columns for p in made.polygons]
    vertices = [b"%g %g %g\n" % tuple(row) for row in made.vertices.tolist()]
    return vertices, [
        b" ".join(b"%d" % n for n in (len(p), *p)) + b" 7" * len(columns) + b"\n" for p in made.polygons
    ]


def counted(count: int, *more: str, binary: bool) -> bytes:
    lines = ("element vertex 12", *VERTICES[1:], f"element face {count}", FACES[1], *more)
    return header("binary_little_endian" if binary else "ascii", *lines)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("columns", [b"", b"\7\7\7"])
def test_faces_beyond_their_count_are_refused(count: int, columns: bytes, binary: bool) -> None:
    """Never a part of the shape, in silence."""
    vertices, faces = rows_of_l(binary, columns)
    colours = [f"property uchar {name}" for name in ("red", "green", "blue")[: len(columns)]]
    data = counted(count, *colours, binary=binary) + b"".join(vertices + faces)
    message = f"announces {count} rows of face, and more of them follow; correct the header"
    for end in (b"", bytes(5) if binary else b"\n"):
        with pytest.raises(BadMeshError, match=message):
            read_ply(data + end, MANY)
    more = ("element edge 0", "property int a", "element material 5")
    data = counted(count, *colours, *more, binary=binary) + b"".join(vertices + faces)
    with pytest.raises(BadMeshError, match=message):
        read_ply(data, MANY)


@pytest.mark.parametrize(
    ("rest", "binary"),
    [
        *(
            (b"\n", True),
            (b"\r\n", True),
            (bytes(512), True),
            (b"\3\0\0\0\0\1", True),
            (b"made by hand\n", True),
        ),
        *((b"", False), (b"\n\n", False), (b"0 0 0\n", False), (b"3 0 1", False), (b"3 1 2 90", False)),
        *((b"2 0 1\n2 1 2\n", False), (b"7", False)),
    ],
)
def test_what_is_no_face_may_stand_behind_them(rest: bytes, binary: bool) -> None:
    vertices, faces = rows_of_l(binary)
    data = counted(8, binary=binary) + b"".join(vertices + faces) + rest
    assert area_and_volume(*read_ply(data, MANY)) == pytest.approx((40, 12))


@pytest.mark.parametrize("binary", [True, False])
def test_other_elements_may_stand_behind_them(binary: bool) -> None:
    """Whatever they hold; they are not looked at."""
    vertices, faces = rows_of_l(binary)
    more = ("element edge 2", "property uchar a", "property int b")
    edges = b"\3\0\0\0\0\1\0\0\0\2\0\0\0" if binary else b"3 0\n1 2\n"
    data = counted(8, *more, binary=binary) + b"".join(vertices + faces) + edges
    assert area_and_volume(*read_ply(data, MANY)) == pytest.approx((40, 12))


# ---- headers


def test_header_lines_that_no_one_knows_are_passed_over() -> None:
    """Among them those of old programs, and a format that follows the properties."""
    square = np.array(SQUARE, dtype=">f4").tobytes() + bytes([3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2])
    lines = [*VERTICES, "element face 1", FACES[1]]
    for extra in ("author nobody", "obj_info num_cols 512", "", "texturefile a.png", "end"):
        data = header("binary_big_endian", lines[0], extra, *lines[1:]) + square
        np.testing.assert_array_equal(read_ply(data, MANY)[1], [[0, 1, 2]])
    late = "\n".join(["ply", *lines, "format binary_big_endian 1.0", "end_header", ""]).encode() + square
    np.testing.assert_array_equal(read_ply(late, MANY)[0], SQUARE)


def test_a_byte_order_mark_before_text() -> None:
    data = header("ascii", *VERTICES) + b"0 0 0 1 0 0 1 1 0 0 1 .5"
    for marked in (b"\xef\xbb\xbf" + data, data.decode().encode("utf-16")):
        np.testing.assert_array_equal(read_ply(marked, MANY)[0], SQUARE)


def test_a_byte_order_mark_before_a_binary_body_that_ends_in_zeros() -> None:
    data = header("binary_little_endian", *VERTICES) + np.array(SQUARE, "<f4").tobytes()
    last = header("binary_little_endian", *VERTICES) + np.array(SQUARE[::-1], "<f4").tobytes()
    assert last.endswith(bytes(12))
    for mark in (b"\xef\xbb\xbf", 2 * b"\xef\xbb\xbf"):
        np.testing.assert_array_equal(read_ply(mark + data, MANY)[0], SQUARE)
        np.testing.assert_array_equal(read_ply(mark + last, MANY)[0], SQUARE[::-1])


@pytest.mark.parametrize("letter", ["\u0445", "\u00c5", "\u2028", "\x0b", "\x1c"])
def test_a_letter_of_a_comment_ends_no_line(letter: str) -> None:
    """Bytes of it are ends of lines in other encodings, and what follows looks like a line of the header."""
    comment = f"comment {letter}element face 7"
    data = header("ascii", comment, *VERTICES) + b"0 0 0 1 0 0 1 1 0 0 1 .5"
    np.testing.assert_array_equal(read_ply(data, MANY)[0], SQUARE)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("line", ["property float x", "property double z", "property list uchar int bones"])
def test_a_property_that_is_named_twice_is_refused(line: str, binary: bool) -> None:
    lines = ("element vertex 4", "property list uchar int bones", *VERTICES[1:], line)
    data = header("binary_little_endian" if binary else "ascii", *lines) + b"0 0 0 0 0 " * 40
    with pytest.raises(
        BadMeshError, match=f"names the property '{line.split()[-1]}' of 'vertex' twice; give"
    ):
        read_ply(data, MANY)


def test_a_column_that_is_not_read_may_be_named_twice() -> None:
    lines = (*VERTICES, "property float s", "property float s")
    np.testing.assert_array_equal(
        read_ply(header("ascii", *lines) + b"0 0 0 7 7 1 0 0 7 7 1 1 0 7 7 0 1 .5 7 7", MANY)[0], SQUARE
    )


@pytest.mark.parametrize("binary", [True, False])
def test_vertices_with_lists_of_different_lengths(binary: bool) -> None:
    lines = ("element vertex 4", "property list uchar uchar bones", *VERTICES[1:], "property uchar red")
    data = header("binary_little_endian" if binary else "ascii", *lines)
    for number, vertex in enumerate(SQUARE):
        if binary:
            data += bytes([number, *range(number)]) + struct.pack("<3fB", *vertex, 7)
        else:
            data += " ".join(map(str, [number, *range(number), *vertex, 7])).encode() + b"\n"
    np.testing.assert_array_equal(read_ply(data, MANY)[0], SQUARE)


def test_half_a_vertex_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number"):
        read_ply(header("ascii", *VERTICES, *FACES) + b"0 0 0 " * 4 + b"3 0 1 2.5 3 0 1 2", MANY)
