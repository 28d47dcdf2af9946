"""STL files: which kind a file is, counts that are not true, names that hold any word."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.solids import BOX, Solid, area_and_volume, prism

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.stl import read_stl

MANY = 1000
TRUTH = (22, 6)
"""Area and volume of `BLOCK`."""
BLOCK = prism(BOX, 3)


def text(
    name: str = "part",
    end: str = "endsolid part\n",
    normal: str = "0 0 1",
    made: Solid = BLOCK,
    shift: float = 0,
) -> str:
    facets = "".join(
        f"facet normal {normal}\n outer loop\n"
        + "".join(f"  vertex {x + shift:g} {y:g} {z:e}\n" for x, y, z in facet)
        + " endloop\nendfacet\n"
        for facet in made.facets().tolist()
    )
    return f"solid {name}\n{facets}{end}"


def binary(count: int | None = None, head: bytes = b"", tail: bytes = b"", records: int = 12) -> bytes:
    facets = BLOCK.facets()[:records]
    rows = b"".join(struct.pack("<3f9fH", 0, 0, 0, *facet.ravel().tolist(), 7) for facet in facets)
    return head.ljust(80, b"\0") + struct.pack("<I", len(facets) if count is None else count) + rows + tail


def truth_of(data: bytes | str) -> tuple[float, float]:
    return area_and_volume(*read_stl(data.encode() if isinstance(data, str) else data, MANY))


# ---- binary


@pytest.mark.parametrize(
    "head", [b"", b"solid part", b"solid".ljust(80), b" facet normal 0 0 1".ljust(80), b"x" * 80]
)
def test_binary_whatever_its_first_words(head: bytes) -> None:
    vertices, faces = read_stl(binary(head=head), MANY)
    np.testing.assert_array_equal(vertices, BLOCK.facets().reshape(-1, 3))
    np.testing.assert_array_equal(faces, np.arange(36).reshape(-1, 3))


@pytest.mark.parametrize("count", [0, 1, 6, 11])
@pytest.mark.parametrize("tail", [b"", bytes(50), bytes(250)])
def test_facets_beyond_the_count_are_read_where_they_fill_the_file(count: int, tail: bytes) -> None:
    """Never a part of the shape, in silence."""
    vertices, faces = read_stl(binary(count, tail=tail), MANY)
    assert len(faces) == 12
    assert area_and_volume(vertices, faces) == pytest.approx(TRUTH)


@pytest.mark.parametrize("tail", [b"\n", b"signature", bytes(7), bytes(512)])
def test_a_little_behind_the_facets_is_passed_over(tail: bytes) -> None:
    assert truth_of(binary(tail=tail)) == pytest.approx(TRUTH)


@pytest.mark.parametrize(
    ("count", "tail", "message"),
    [
        (0, b"x", "announces 0 faces, and 601 bytes follow them, enough for 12 more and a part of one"),
        (6, b"x" * 30, "announces 6 faces, and 330 bytes follow them, enough for 6 more and a part of one"),
        (11, b"x" * 20, "announces 11 faces, and 70 bytes follow them, enough for 1 more and a part of one"),
        (13, b"", "cut short: its header announces 13 faces and it holds 12"),
        (900, b"x" * 60, "cut short: its header announces 900 faces and it holds 13"),
        (1001, b"", "cut short: its header announces 1001 faces and it holds 12"),
        (0xFFFFFFFF, b"", "cut short: its header announces 4294967295 faces and it holds 12"),
    ],
)
def test_counts_that_cannot_be_true_are_refused(count: int, tail: bytes, message: str) -> None:
    with pytest.raises(BadMeshError, match=message) as caught:
        read_stl(binary(count, tail=tail), MANY)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "tail",
    [
        *(b"x" * 50, b"signed by nobody ".ljust(100, b"."), bytes(range(255, 55, -1)), b"\xff" * 50),
        *(b"made by hand, ".ljust(150) + bytes(30), struct.pack("<12fH", *[np.nan] * 12, 0)),
    ],
)
@pytest.mark.parametrize("more", [0, 10, 49])
def test_what_does_not_look_like_facets_is_passed_over(tail: bytes, more: int) -> None:
    filled = tail.ljust(-(-len(tail) // 50) * 50, b"\0")
    vertices, faces = read_stl(binary(tail=filled + b"y" * more), MANY)
    assert len(faces) == 12
    assert area_and_volume(vertices, faces) == pytest.approx(TRUTH)


@pytest.mark.parametrize("normal", [(0, 0, 0), (0, 0, 1), (0.6, 0, -0.8), (5, 5, 5)])
@pytest.mark.parametrize("scale", [1e-4, 1, 100])
def test_facets_beyond_the_count_may_be_of_another_size(scale: float, normal: tuple[float, ...]) -> None:
    rows = b"".join(
        struct.pack("<12fH", *normal, *(facet.ravel() * scale).tolist(), 0) for facet in BLOCK.facets()
    )
    assert len(read_stl(binary(tail=rows), MANY)[1]) == 24


@pytest.mark.parametrize("normal", [(0, 0, 0), (0, 1, 0)])
def test_one_small_facet_may_be_counted_of_a_large_shape(normal: tuple[float, ...]) -> None:
    """As of a program that writes as it goes; the rest lies many sizes of that facet away."""
    rows = [facet.ravel() * 1e5 for facet in BLOCK.facets()]
    rows[0] = rows[0] * 1e-5
    data = (
        bytes(80)
        + struct.pack("<I", 1)
        + b"".join(struct.pack("<12fH", *normal, *row.tolist(), 0) for row in rows)
    )
    assert len(read_stl(data, MANY)[1]) == 12


def test_more_facets_than_allowed_are_refused() -> None:
    with pytest.raises(BadMeshError, match="more than 11 faces"):
        read_stl(binary(), 11)


def test_facets_beyond_the_count_are_counted() -> None:
    with pytest.raises(BadMeshError, match="more than 11 faces"):
        read_stl(binary(0), 11)


def test_an_empty_file_has_no_facets() -> None:
    assert read_stl(bytes(84), MANY)[1].shape == (0, 3)
    assert read_stl(bytes(84 + 500), MANY)[1].shape == (0, 3)
    assert read_stl(b"solid nothing\nendsolid nothing\n", MANY)[1].shape == (0, 3)


# ---- text


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "vertex_cover",
            "a vertex 1 2 3",
            "facet",
            "outer loop",
            "endsolid",
            "solid",
            "a solid b",
            "caf\u00e9",
        ),
        *("facet normal map test", "endfacet endloop", "solid facet vertex endsolid", "end solid", "x" * 500),
    ],
)
def test_any_word_may_stand_in_a_name(name: str) -> None:
    for end in (
        f"endsolid {name}\n",
        f"end solid {name}\n",
        f"  ENDSOLID {name}",
        "endsolid\n",
        "endsolid",
        "",
    ):
        assert truth_of(text(name, end)) == pytest.approx(TRUTH)
    latin = text(name, f"endsolid {name}\n").encode("latin-1")
    assert truth_of(latin) == pytest.approx(TRUTH)


def test_a_name_in_a_buffer_of_zeros() -> None:
    """As programs write it that print a name of fixed length."""
    for name in ("part", "p" * 79):
        for between in ("\n", ""):
            data = f"solid {name}".ljust(86, "\0") + between + text().partition("\n")[2]
            assert truth_of(data) == pytest.approx(TRUTH)


@pytest.mark.parametrize("first", ["endsolid lid\n", "end solid lid\n", "endsolid\n", ""])
@pytest.mark.parametrize("last", ["endsolid base\n", ""])
def test_several_solids(first: str, last: str) -> None:
    data = text("lid vertex", first) + text("base facet", last, shift=10)
    vertices, faces = read_stl(data.encode(), MANY)
    assert len(faces) == 24
    assert area_and_volume(vertices, faces) == pytest.approx((44, 12))
    assert vertices[:, 0].max() == 12


@pytest.mark.parametrize(
    "normal", ["1.#QNAN 1.#QNAN 1.#QNAN", "nan nan nan", "-nan(ind) 0 0", "", "0,1 0,2 0,3"]
)
def test_normals_are_not_looked_at(normal: str) -> None:
    assert truth_of(text(normal=normal)) == pytest.approx(TRUTH)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_case_spaces_and_line_ends(end: str) -> None:
    for whole in (
        text(),
        text().upper(),
        text().replace(" ", "\t"),
        text().replace(" ", "   "),
        "\n" + text(),
    ):
        assert truth_of(whole.replace("\n", end)) == pytest.approx(TRUTH)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(encoding: str) -> None:
    assert truth_of(text().encode(encoding)) == pytest.approx(TRUTH)


@pytest.mark.parametrize("end", [b"\0", bytes(200), b"\x1a"])
def test_padding_at_the_end(end: bytes) -> None:
    assert truth_of(text().encode() + end) == pytest.approx(TRUTH)


@pytest.mark.parametrize("name", ["", "part", "vertex cover", "a facet", "#3; vertex", "facet normal map"])
def test_a_file_of_one_line(name: str) -> None:
    for end in (f"endsolid {name}", f"end solid {name}", "endsolid", ""):
        made = text(name, end)
        assert truth_of(" ".join(made.split())) == pytest.approx(TRUTH)
        several = " ".join((made + "\n" + text(name, end, shift=10)).split())
        assert truth_of(several) == pytest.approx((44, 12))


@pytest.mark.parametrize("mark", ["#", ";", "  # ", " ;"])
@pytest.mark.parametrize("words", ["vertex 1 2 3", "facet list", "endfacet", "a solid", "outer loop vertex"])
def test_comments_may_hold_any_word(words: str, mark: str) -> None:
    """On a line of their own at any place, or behind what stands on a line."""
    comment = f"{mark} {words}\n"
    lines = text().splitlines(keepends=True)
    for place in (0, 1, 2, 3, 4, 8, 9, len(lines)):
        assert truth_of("".join([*lines[:place], comment, *lines[place:]])) == pytest.approx(TRUTH)
    assert truth_of(text().replace("\n", comment)) == pytest.approx(TRUTH)


def test_ends_in_two_words() -> None:
    made = text().replace("endloop", "end loop").replace("endfacet", "end  facet")
    assert truth_of(made) == pytest.approx(TRUTH)
    assert truth_of(" ".join(made.split())) == pytest.approx(TRUTH)


@pytest.mark.parametrize("name", ["", "a", "vertex cover", "facet", "facet normal", "facet normal map test"])
def test_a_facet_may_begin_on_the_line_of_a_name(name: str) -> None:
    made = text(name).replace("\n", " ", 1)
    assert made.startswith(f"solid {name} facet normal")
    assert truth_of(made + made) == pytest.approx((44, 12))


def test_facets_without_a_solid() -> None:
    assert truth_of(text().partition("\n")[2]) == pytest.approx(TRUTH)


def test_a_long_text_is_read_in_pieces() -> None:
    """More than a million bytes, cut between facets."""
    data = text().encode() * 900
    assert len(data) > 1 << 20
    vertices, faces = read_stl(data, 10_800)
    assert len(faces) == 10_800
    np.testing.assert_array_equal(vertices, np.tile(BLOCK.facets().reshape(-1, 3), (900, 1)))
    with pytest.raises(BadMeshError, match="more than 10799 faces"):
        read_stl(data, 10_799)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (text()[:400], "a facet without three corners: it is cut short or damaged"),
        (text().replace("  vertex", "  corner", 1), "a facet without three corners"),
        (text().replace("endloop", "vertex 1 2 3\n endloop", 1), "a facet without three corners"),
        (text().replace("facet normal", "surface normal", 1), "a facet without three corners"),
        (
            "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 1",
            "a facet without three",
        ),
    ],
)
def test_facets_that_are_not_whole_are_refused(data: str, message: str) -> None:
    with pytest.raises(BadMeshError, match=message):
        read_stl(data.encode(), MANY)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (text().replace("vertex 2", "vertex two", 1).encode(), "a word that is no number"),
        (text().replace("vertex 2", "vertex 2_0", 1).encode(), "a word that is no number"),
        (b"nothing of the kind", "neither a text with solids nor a whole binary file"),
        (b"x" * 200, "neither a text with solids nor a whole binary file"),
        (b"solid a\n" + b"vertex 0 0 0\n" * 100_000, "a facet of a million letters"),
    ],
)
def test_what_is_no_stl_file(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_stl(data, MANY)


def test_a_hundred_thousand_solids_that_are_no_names() -> None:
    """One line, and a line for each: neither costs the square of its length."""
    for words in (b"x " + b"solid " * 100_000, b"x solid\n" * 100_000):
        with pytest.raises((BadMeshError, ValueError)):
            read_stl(words + b"\nfacet vertex", MANY)
