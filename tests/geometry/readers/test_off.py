"""OFF files: headers, dialects, polygons."""

from __future__ import annotations

import numpy as np
import pytest
from support.solids import E, L, Outline, U, area_and_volume, prism

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.off import read_off

MANY = 1000
SQUARE: list[list[float]] = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]]
QUAD_AND_TRIANGLE = [[0, 1, 2], [0, 2, 3], [3, 1, 0]]
ROWS = b"0 0 0\n1 0 0\n1 1 0\n0 1 .5\n4 0 1 2 3\n3 3 1 0\n"


@pytest.mark.parametrize(
    "start",
    [
        b"OFF\n4 2 0\n",
        b"OFF 4 2 0\n",
        b"OFF4 2 0\n",
        b"OFF 4\n2 0\n",
        b"4 2 0\n",
        b"OFF\n4 2\n",
        b"# a comment\n\n  off  # another\n4 2 # the last\n",
        b"Off\n4 2 0\n",
        b"\xef\xbb\xbfOFF\r\n4 2 5\r\n",
        b"COFF\n4 2 0\n",
        b"CNOFF\n4 2 0\n",
        b"NCOFF\n4 2 0\n",
        b"noff\n4 2 0\n",
        b"STOFF\n4 2 0\n",
        b"STCNOFF\n4 2 0\n",
        b"nOFF\n3\n4 2 0\n",
        b"nOFF 3\n4 2 0\n",
        b"CnOFF\n3 4 2 0\n",
    ],
)
def test_headers(start: bytes) -> None:
    data = start + b"0 0 0 255 0 0 255\n1 0 0\n\n1 1 0 # here\n0 1 .5\n4 0 1 2 3 0.5 0.5 0.5\n3 3 1 0\n"
    vertices, faces = read_off(data, MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)


def test_colours_before_normals_as_meshlab_writes_them() -> None:
    rows = b"".join(row + b" 158 155 223 147 -1.5708 1.5708 -1.5708 \n" for row in ROWS.splitlines()[:4])
    vertices, faces = read_off(b"NCOFF\n4 2 0\n" + rows + b"4 0 1 2 3 248 139 22 \n3 3 1 0 \n", MANY)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)


def test_homogeneous_positions_are_divided() -> None:
    data = b"4OFF\n4 2 0\n0 0 0 9\n2 0 0 2\n-1 -1 0 -1\n0 4 2 4\n" + b"4 0 1 2 3\n3 3 1 0\n"
    np.testing.assert_array_equal(read_off(data, MANY)[0], SQUARE)
    with pytest.raises(ValueError, match="line 4"):
        read_off(data.replace(b"2 0 0 2", b"2 0 0 0"), MANY)


@pytest.mark.parametrize("word", [b"1.#QNAN", b"-1.#IND", b"nan(ind)", b"1.#INF00"])
def test_what_c_libraries_write_for_no_number(word: bytes) -> None:
    """The sign in the middle begins no comment."""
    vertices, _ = read_off(b"OFF\n4 2 0\n" + ROWS.replace(b".5", word), MANY)
    np.testing.assert_array_equal(np.isnan(vertices), np.equal(SQUARE, 0.5))


def test_text_of_two_bytes_a_letter() -> None:
    np.testing.assert_array_equal(
        read_off(b"OFF\n4 2 0\n".decode().encode("utf-16") + ROWS.decode().encode("utf-16-le"), MANY)[0],
        SQUARE,
    )


@pytest.mark.parametrize("extra", [b"", b" 255 0 0", b" 0.5 0.5 0.5 1"])
@pytest.mark.parametrize(("outline", "truth"), [(U, (184, 88)), (E, (284, 148)), (L, (40, 12))])
def test_concave_polygons(outline: Outline, truth: tuple[float, float], extra: bytes) -> None:
    made = prism(outline, 2)
    data = b"OFF\n%d %d 0\n" % (len(made.vertices), len(made.polygons))
    data += b"".join(b"%g %g %g\n" % tuple(row) for row in made.vertices.tolist())
    data += b"".join(b" ".join(b"%d" % n for n in (len(p), *p)) + extra + b"\n" for p in made.polygons)
    assert area_and_volume(*read_off(data, MANY)) == pytest.approx(truth)


# ---- lines that are no rows


def l_bracket() -> tuple[list[str], list[str]]:
    """Words of the vertices and of the faces, row by row; two faces are concave."""
    made = prism(L, 2)
    vertices = ["{:g} {:g} {:g}".format(*row) for row in made.vertices.tolist()]
    return vertices, [" ".join(map(str, (len(p), *p))) for p in made.polygons]


def body(vertices: list[str], faces: list[str], layout: str) -> str:
    rows = vertices + faces
    words = " ".join(rows).split()
    return {
        "rows": "\n".join(rows),
        "one line": " ".join(rows),
        "a word on each": "\n".join(words),
        "two vertices on each": "\n".join(
            [*(" ".join(vertices[i : i + 2]) for i in range(0, len(vertices), 2)), *faces]
        ),
        "faces on one": "\n".join([*vertices, " ".join(faces)]),
        "faces over several": "\n".join([*vertices, *" ".join(faces).split()]),
        "seven on each": " # a comment 1 2 3\n".join(
            " ".join(words[i : i + 7]) for i in range(0, len(words), 7)
        ),
    }[layout]


@pytest.mark.parametrize(
    "layout",
    [
        *("rows", "one line", "a word on each", "two vertices on each"),
        *("faces on one", "faces over several", "seven on each"),
    ],
)
@pytest.mark.parametrize(
    "start", ["OFF\n12 8 0\n", "OFF 12 8 0 ", "OFF\n12\n8\n0\n", "12 8 0\n", "nOFF 3\n12 8 0\n"]
)
def test_numbers_may_stand_on_any_line(start: str, layout: str) -> None:
    if start.endswith(" ") and layout not in ("one line", "seven on each", "a word on each"):
        start = start.rstrip() + "\n"
    made = body(*l_bracket(), layout)
    assert area_and_volume(*read_off((start + made).encode(), MANY)) == pytest.approx((40, 12))


@pytest.mark.parametrize(
    ("letters", "behind"), [("N", " 0 0 1"), ("ST", " .5 .5"), ("4", " 1"), ("STN", " 0 1 0 0 1")]
)
def test_numbers_behind_a_vertex_are_counted_by_the_letters(letters: str, behind: str) -> None:
    vertices, faces = l_bracket()
    made = body([row + behind for row in vertices], faces, "one line")
    assert area_and_volume(*read_off(f"{letters}OFF 12 8 0\n{made}".encode(), MANY)) == pytest.approx(
        (40, 12)
    )


def test_numbers_that_do_not_come_out_even_are_refused() -> None:
    """Nobody knows what they are: colours behind some faces, or a vertex too many."""
    vertices, faces = l_bracket()
    for start, made in (
        ("OFF", body(vertices, [face + " 255 0 0" for face in faces], "one line")),
        ("OFF", body(vertices, faces, "one line") + " 7"),
        ("OFF", body(vertices, faces, "one line")[:-2]),
        ("COFF", body([row + " 1 0 0 1" for row in vertices], faces, "one line")),
    ):
        with pytest.raises((BadMeshError, ValueError)):
            read_off(f"{start} 12 8 0\n{made}".encode(), MANY)


# ---- counts


@pytest.mark.parametrize("count", [0, 1, 7])
def test_faces_beyond_their_count_are_refused(count: int) -> None:
    """Never a part of the shape, in silence; also behind a comment, or with a colour."""
    vertices, faces = l_bracket()
    for end in ("", "\n# the end\n", " 255 0 0\n", "\n\n0\n"):
        data = f"OFF\n12 {count} 18\n" + body(vertices, faces, "rows") + end
        message = f"announces {count} faces, and line {15 + count} is one more; correct its counts"
        with pytest.raises(BadMeshError, match=message):
            read_off(data.encode(), MANY)


@pytest.mark.parametrize(
    "rest", ["", "0", "0 0 0\n0", "2 0 1\n2 1 2", "# 3 0 1 2", "end", "3 0 1", "3 50 60 70", "}"]
)
def test_what_is_no_face_may_stand_behind_them(rest: str) -> None:
    data = "OFF\n12 8 18\n" + body(*l_bracket(), "rows") + f"\n{rest}\n"
    assert area_and_volume(*read_off(data.encode(), MANY)) == pytest.approx((40, 12))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start with OFF"),
        (b"OFFICE\n4 2 0\n", "does not start with OFF"),
        (b"XOFF\n4 2 0\n", "does not start with OFF"),
        (b"OFF\n", "the line with its counts"),
        (b"OFF\nmany few\n", "the line with its counts"),
        (b"OFF\n4 -2 0\n", "a count below 0"),
        (b"OFF\n1 0 0\n0 0\n", "line 3"),
        (b"OFF\n1 1 0\n0 0 0\n-1 0 0 0\n", "line 4"),
        (b"4OFF\n1 0 0\n0 0 0\n", "line 3"),
        (b"OFF\n1 0 0\n0 1_0 0\n", "line 3"),
    ],
)
def test_what_is_no_off_file(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_off(data, MANY)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"OFF BINARY\n\0\0\0\4", "it is a binary OFF file, which is not read; export it as text"),
        (b"COFF binary\n\0\0\0\4", "it is a binary OFF file"),
        (b"nOFF\n4\n1 0 0\n0 0 0 0\n", "its points have 4 coordinates; give a mesh of three dimensions"),
        (b"nOFF 2\n1 0 0\n0 0\n", "its points have 2 coordinates"),
        (b"4nOFF\n3\n1 0 0\n0 0 0 1\n", "it is a 4nOFF file"),
        (b"OFF\n2 0 0\n0 0 0\n", "cut short: it announces 2 vertices and holds 1"),
        (b"OFF\n1 9999999999999999999999 0\n0 0 0\n", "more than 1000 faces"),
        (
            b"OFF\n9999999999999999999999 1 0\n0 0 0\n",
            "announces 9999999999999999999999 vertices and holds 1",
        ),
    ],
)
def test_what_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(BadMeshError, match=message):
        read_off(data, MANY)
