"""OFF files: Geomview's text format, http://www.geomview.org/docs/html/OFF.html."""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Callable, Iterator

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces
from meshcodec.geometry.readers.polygons import Polygons
from meshcodec.geometry.readers.text import CUT_SHORT, as_vertices, check_words, numbered_lines, plain_text

_MAGIC = re.compile(rb"((?:ST|[CN4n])*)OFF(?![A-Za-z])\s*(.*)", re.DOTALL)
_COUNTS = re.compile(rb"[\d\s-]*")
_Rows = Iterator[tuple[int, bytes]]  # lines without comments and without empty ones, with their numbers


def read_off(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of a text OFF file.

    The letters in front of OFF say what a vertex has behind its position: texture coordinates (ST), a colour
    (C), a normal (N), all passed over, in whatever order. ``4OFF`` has homogeneous positions, which are
    divided by their fourth number; ``nOFF`` names its dimension, which must be 3.
    """
    rows: _Rows = (
        (number, words)
        for number, line in numbered_lines(plain_text(data))
        if (words := line.partition(b"#")[0].strip())
    )
    letters, vertex_count, face_count = _header(rows)
    check_faces(face_count, max_faces)
    coordinates, polygons = array("d"), Polygons(max_faces)

    def add_vertex(words: list[bytes]) -> None:
        x, y, z = map(float, words[:3])
        if b"4" in letters:
            w = float(words[3])
            if w == 0:
                raise ValueError("a point at infinity")
            x, y, z = x / w, y / w, z / w
        coordinates.extend((x, y, z))

    def add_face(words: list[bytes]) -> None:
        corners = [int(word) for word in words[1 : int(words[0]) + 1]]
        if len(corners) != int(words[0]):
            raise ValueError("fewer corners than it says")
        polygons.add(corners)

    _each(rows, vertex_count, "vertices", add_vertex)
    _each(rows, face_count, "faces", add_face)
    vertices = as_vertices(coordinates)
    return vertices, polygons.triangulated(vertices)


def _header(rows: _Rows) -> tuple[bytes, int, int]:
    """The letters in front of OFF, and the numbers of vertices and faces."""
    _, first = next(rows, (1, b""))
    # The word may be missing, or in lower case; counts may follow on its line, even without a space between.
    match = _MAGIC.fullmatch(first) or _MAGIC.fullmatch(first.upper())
    if match is None and not first[:1].isdigit():
        raise ValueError("it does not start with OFF")
    letters, rest = (match[1], match[2]) if match is not None else (b"", first)
    if rest.upper().startswith(b"BINARY"):
        raise BadMeshError(
            "it is a binary OFF file, which is not read", "export it as text, or as PLY or STL"
        )
    if b"4" in letters and b"n" in letters:
        raise BadMeshError(
            "it is a 4nOFF file, of points with more than three coordinates", "export it as OFF"
        )
    wanted = 3 if b"n" in letters else 2
    try:
        counts: list[int] = []
        for text in itertools.chain([rest], (line for _, line in rows)):
            if _COUNTS.fullmatch(text) is None:
                raise ValueError(text)
            counts += map(int, text.split()[: wanted + 1])
            if len(counts) >= wanted:
                break
        *dimension, vertex_count, face_count = counts[:wanted]
    except ValueError as error:
        raise ValueError("the line with its counts") from error
    if vertex_count < 0 or face_count < 0:
        raise ValueError("a count below 0")
    if dimension not in ([], [3]):
        raise BadMeshError(f"its points have {dimension[0]} coordinates", "give a mesh of three dimensions")
    return letters, vertex_count, face_count


def _each(rows: _Rows, count: int, name: str, add: Callable[[list[bytes]], None]) -> None:
    """Add the words of the next `count` rows. BadMeshError: there are not so many."""
    found = 0
    while found < count:
        number, row = next(rows, (0, b""))
        if not number:
            raise BadMeshError(f"it is cut short: it announces {count} {name} and holds {found}", CUT_SHORT)
        try:
            check_words(row)
            add(row.split())
        except (ValueError, LookupError, OverflowError) as error:
            raise ValueError(f"line {number}") from error
        found += 1
