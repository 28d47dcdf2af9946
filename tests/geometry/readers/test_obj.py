"""OBJ files: marks, backslashes, statements, polygons."""

from __future__ import annotations

import numpy as np
import pytest
from support.solids import BOX, E, L, Outline, U, area_and_volume, prism

from meshcodec.errors import BadMeshError
from meshcodec.geometry.io import load_mesh
from meshcodec.geometry.readers.obj import read_obj

MANY = 1000
SQUARE: list[list[float]] = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]]
QUAD_AND_TRIANGLE = [[0, 1, 2], [0, 2, 3], [3, 1, 0]]
TRUTH = (22, 6)
"""Area and volume of `box`."""


def box() -> str:
    return prism(BOX, 3).obj()


def truth_of(data: bytes | str) -> tuple[float, float]:
    return area_and_volume(*read_obj(data.encode() if isinstance(data, str) else data, MANY))


def test_lines_may_end_in_any_way() -> None:
    lines = [b"v 0 0 0", b"v 1 0 0", b"v 1 1 0", b"v 0 1 .5", b"f 1 2 \\", b"3 4", b"f -1/1/1 2 1 # b"]
    for end in (b"\n", b"\r\n", b"\r"):
        vertices, faces = read_obj(end.join(lines), MANY)
        np.testing.assert_array_equal(vertices, SQUARE)
        np.testing.assert_array_equal(faces, QUAD_AND_TRIANGLE)


@pytest.mark.parametrize(("outline", "truth"), [(U, (184, 88)), (E, (284, 148)), (L, (40, 12))])
def test_concave_polygons(outline: Outline, truth: tuple[float, float]) -> None:
    assert truth_of(prism(outline, 2).obj()) == pytest.approx(truth)


def test_relative_corners_of_a_concave_polygon_before_later_vertices() -> None:
    made = prism(U, 2)
    lines = made.obj().splitlines()
    relative = ["f " + " ".join(str(corner - 16) for corner in polygon) for polygon in made.polygons]
    assert truth_of("\n".join([*lines[:16], *relative, "v 9 9 9"])) == pytest.approx((184, 88))


# ---- the first line


@pytest.mark.parametrize("before", ["", "# a comment\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_hides_no_vertex(before: str, encoding: str) -> None:
    vertices, _ = read_obj((before + box()).encode(encoding), MANY)
    assert len(vertices) == 8
    assert truth_of((before + box()).encode(encoding)) == pytest.approx(TRUTH)


@pytest.mark.parametrize(
    "sign", ["\ufeff", "\ufeff\ufeff", "\u200b", "\0", "\x1a", "\ufeff \0"], ids=lambda sign: ascii(sign)
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_signs_that_nobody_sees_hide_no_vertex(sign: str, encoding: str) -> None:
    """In front of a file, and between two of relative corners that were joined."""
    whole, _, faces = box().partition("f ")
    corners = [int(word) - 9 for word in faces.replace("f ", "").split()]
    relative = [corners[at : at + 4] for at in range(0, len(corners), 4)]
    one = whole + "".join("f {} {} {} {}\n".format(*quad) for quad in relative)
    vertices, _ = read_obj((sign + one + sign + one).encode(encoding), MANY)
    assert len(vertices) == 16
    assert truth_of((sign + one + sign + one).encode(encoding)) == pytest.approx(np.multiply(TRUTH, 2))


@pytest.mark.parametrize("end", [b"\0\0\0", b"\x1a", b"\n\0"])
def test_padding_at_the_end(end: bytes) -> None:
    assert truth_of(box().encode().rstrip() + end) == pytest.approx(TRUTH)


# ---- backslashes


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "line",
    ["g C:\\parts\\", "o a\\", "usemtl D:\\m\\", "mtllib \\\\host\\a\\", "# C:\\", "#\\", "s 1\\", "\\"],
)
def test_a_backslash_in_a_name_or_comment_joins_nothing(line: str, end: str) -> None:
    """Before the vertices, between them, and before the faces."""
    lines = box().splitlines()
    for place in (0, 3, 8):
        text = end.join([*lines[:place], line, *lines[place:]]) + end
        assert truth_of(text) == pytest.approx(TRUTH)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("space", ["\\", " \\", "  \\ ", "\\\n\\", "\\\n \\ "])
def test_a_true_continuation_joins(space: str, end: str) -> None:
    text = box().replace("\n", end)
    for number in ("v 2.0 0.0", "f 1 2", "f 4", "v"):
        joined = text.replace(number, number + space.replace("\n", end) + end, 1)
        assert joined != text
        assert truth_of(joined) == pytest.approx(TRUTH)


def test_a_comment_behind_a_face_may_end_in_a_backslash() -> None:
    assert truth_of(box().replace("\n", " # C:\\\n")) == pytest.approx(TRUTH)


def test_a_backslash_at_the_end_of_the_file() -> None:
    assert truth_of(box().rstrip() + " \\") == pytest.approx(TRUTH)
    assert truth_of(box().rstrip() + " \\\n") == pytest.approx(TRUTH)


@pytest.mark.parametrize("following", ["v 0 0 9", "f 1 2 3", "g a", "usemtl \\"])
def test_what_cannot_go_on_with_a_line_is_not_eaten(following: str) -> None:
    with pytest.raises(ValueError, match="line 1 ends in a backslash, and the next does not go on with it"):
        read_obj(f"v 0 0 0 \\\n{following}\n{box()}".encode(), MANY)


def test_an_endless_continuation_is_refused() -> None:
    with pytest.raises(BadMeshError, match="line 1 is longer than 16 MiB"):
        read_obj(b"f 1 2 3 \\\n" + (b"1 " * 10_000 + b"\\\n") * 1000, MANY)


# ---- numbers


@pytest.mark.parametrize("word", ["1.#QNAN", "1.#INF", "-1.#IND", "1.#SNAN0", "1.#inf00", "-nan(ind)", "nan"])
def test_what_c_libraries_write_for_no_number(word: str) -> None:
    """The sign in the middle begins no comment; a mesh that uses such a coordinate is refused for it."""
    for text in (f"v 9 9 {word}", f"v 9 {word} 9 # a", f"v 9 9 \\\n{word}"):
        vertices, _ = read_obj(f"{box()}{text}\n".encode(), MANY)
        assert not np.isfinite(vertices[8]).all()
    with pytest.raises(
        BadMeshError, match=r"NaN or infinite coordinates; repair the mesh or export it again"
    ):
        load_mesh(f"{box()}v 9 9 {word}\nf 1 2 9\n".encode(), "obj")
    with pytest.raises(ValueError, match="line 15"):
        read_obj(f"{box()}f 1 2 {word}\n".encode(), MANY)
    assert truth_of(box().replace("\n", f" # {word}\n")) == pytest.approx(TRUTH)


def test_a_comment_may_touch_a_number() -> None:
    assert truth_of(box().replace("\n", "#infinite 1.#\n")) == pytest.approx(TRUTH)
    assert truth_of(box().replace("\n", "#a_b\n")) == pytest.approx(TRUTH)


@pytest.mark.parametrize("line", ["v 1_0 0 0", "v 0 0 1e1_0", "f 1 2 0_3", "f 1/1 2/1_0 3/1"])
def test_an_underscore_is_no_digit(line: str) -> None:
    with pytest.raises(ValueError, match="line 15"):
        read_obj(f"{box()}{line}\n".encode(), MANY)


# ---- statements


def test_what_is_no_face_is_passed_over() -> None:
    others = (
        "vn 0 0 1\nvt 0 0\nvp 0.5\np 1\nl 1 2 3\ncurv 0 1 1 2\ncstype bezier\ndeg 3\nparm u 0 1\nend\ns off\n"
    )
    assert truth_of(box() + others + "shadow_obj a\nvertex 1 2 3\nfacet 1 2 3\n") == pytest.approx(TRUTH)


def test_weights_and_colours_behind_a_vertex() -> None:
    for extra in (" 1.0", " 0.5", " 0.1 0.2 0.3", " 1 0.1 0.2 0.3"):
        lines = [line + extra if line[0] == "v" else line for line in box().splitlines()]
        assert truth_of("\n".join(lines)) == pytest.approx(TRUTH)


def test_the_old_word_for_a_face() -> None:
    assert truth_of(box().replace("f ", "fo ")) == pytest.approx(TRUTH)


def test_another_file_in_its_place_is_refused_by_name() -> None:
    with pytest.raises(BadMeshError, match="line 15 calls another file, which is not read; export the whole"):
        read_obj(f"{box()}call other.obj 1\n".encode(), MANY)


@pytest.mark.parametrize(
    "text",
    [
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\ncstype bezier\ndeg 1 1\nsurf 0 1 0 1 1 2 3 4\nparm u 0 1\nend\n",
        "v 0 0 0\nv 1 0 0\ncstype bspline\ndeg 1\ncurv 0 1 1 2\nparm u 0 1\nend\n",
        box() + "cstype rat bspline\ndeg 1 1\nsurf 0 1 0 1 1 2 3 4\nend\n",
        box() + "bzp 1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8\n",
    ],
)
def test_free_form_surfaces_are_refused_by_name(text: str) -> None:
    """Also beside faces: without them a part of the shape would be missing."""
    with pytest.raises(BadMeshError, match="free-form curves or surfaces; export it as polygons"):
        read_obj(text.encode(), MANY)
