"""OFF files: Geomview's text format, http://www.geomview.org/docs/html/OFF.html."""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces
from meshcodec.geometry.readers.polygons import Polygons
from meshcodec.geometry.readers.text import (
    CUT_SHORT,
    as_vertices,
    check_words,
    number_pieces,
    numbered_lines,
    plain_text,
)

_MAGIC = re.compile(rb"((?:ST|[CN4n])*)OFF(?![A-Za-z])\s*(.*)", re.DOTALL)
_WORD = re.compile(rb"(?:ST|[CN4n])*OFF", re.IGNORECASE)
_COUNT = re.compile(rb"-?\d+")
_EXACT = float(1 << 53)  # whole numbers below this are exact as float64
_COMMENT = re.compile(rb"#[^\r\n]*")
_Rows = Iterator[tuple[int, bytes]]  # lines without comments and without empty ones, with their numbers


def read_off(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of a text OFF file.

    The letters in front of OFF say what a vertex has behind its position: texture coordinates (ST), a colour
    (C), a normal (N), all passed over, in whatever order. ``4OFF`` has homogeneous positions, which are
    divided by their fourth number; ``nOFF`` names its dimension, which must be 3.

    Geomview reads numbers wherever a line ends, nearly every program writes a vertex or a face on each line,
    and many with more behind it than the letters say. So lines count first, and numbers where they do not do.
    """
    text = plain_text(data)
    rows = _rows(text)
    letters, vertex_count, face_count = _header(rows)
    check_faces(face_count, max_faces)
    coordinates, polygons = array("d"), Polygons(max_faces)
    width = _width(letters)

    def add_vertex(words: list[bytes]) -> None:
        coordinates.extend(_position([float(word) for word in words[:width]], width))

    def add_face(words: list[bytes]) -> None:
        corners = _corners(words)
        if len(corners) != int(words[0]):
            raise ValueError("fewer corners than it says")
        polygons.add(corners)

    try:
        _each(rows, vertex_count, "vertices", add_vertex)
        _each(rows, face_count, "faces", add_face)
    except (BadMeshError, ValueError):
        found = _body(_numbers(text, letters), letters, vertex_count, face_count, max_faces)
        if found is None:
            raise
        return found
    _check_rest(rows, vertex_count, face_count)
    vertices = as_vertices(coordinates)
    return vertices, polygons.triangulated(vertices)


def _rows(text: bytes) -> _Rows:
    for number, line in numbered_lines(text):
        if words := line.partition(b"#")[0].strip():
            yield number, words


def _width(letters: bytes) -> int:
    """How many numbers a position has."""
    return 4 if b"4" in letters else 3


def _position(numbers: list[float], width: int) -> list[float]:
    """The position that `width` numbers give. ValueError: they are not so many, or it lies at infinity."""
    if len(numbers) != width:
        raise ValueError("fewer coordinates than it needs")
    if width == 3:
        return numbers
    *position, w = numbers
    if w == 0:
        raise ValueError("a point at infinity")
    return [coordinate / w for coordinate in position]


def _corners(words: list[bytes]) -> list[int]:
    """The vertices of a face by the words of its line. ValueError: its numbers are no whole ones."""
    return [int(word) for word in words[1 : int(words[0]) + 1]]


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
            words = text.split(None, wanted + 1)[: wanted + 1]  # also that of edges; vertices may follow
            if not all(map(_COUNT.fullmatch, words)):
                raise ValueError(text)
            counts += map(int, words)
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


def _check_rest(rows: _Rows, vertex_count: int, face_count: int) -> None:
    """Refuse faces behind those that are announced, which would be missing. Raises BadMeshError."""
    for number, row in rows:
        words = row.split()
        try:
            corners = _corners(words)
        except ValueError:
            continue  # no face: whatever else was left there
        if len(corners) == int(words[0]) > 2 and 0 <= min(corners) <= max(corners) < vertex_count:
            raise BadMeshError(
                f"it announces {face_count} faces, and line {number} is one more", "correct its counts"
            )


# ---- numbers, wherever a line ends


def _numbers(text: bytes, letters: bytes) -> NDArray[np.float64]:
    """All numbers of a file behind its three counts; none where it does not say how many a vertex has.

    A colour has three numbers or four.
    """
    if b"C" in letters:
        return np.zeros(0)
    body = _COMMENT.sub(b"", text).lstrip()
    word = _WORD.match(body)
    try:
        numbers = np.concatenate([np.zeros(0), *number_pieces(body, word.end() if word is not None else 0)])
    except ValueError:
        return np.zeros(0)
    return numbers[4 if b"n" in letters else 3 :]


def _body(
    numbers: NDArray[np.float64], letters: bytes, vertex_count: int, face_count: int, max_faces: int
) -> tuple[Vertices, Faces] | None:
    """What vertices and faces on end say; None unless they take up all numbers, to the last one."""
    width = _width(letters)
    whole = width + 3 * letters.count(b"N") + 2 * letters.count(b"ST")
    at = vertex_count * whole
    if at > len(numbers):
        return None
    vertices = numbers[:at].reshape(-1, whole)[:, :width]
    if width == 4:
        if not vertices[:, 3].all():
            return None  # a point at infinity
        vertices = vertices[:, :3] / vertices[:, 3:]
    rest = numbers[at:]
    if not ((rest >= 0) & (rest < _EXACT) & (rest == np.floor(rest))).all():
        return None
    corners, polygons = rest.astype(np.int64), Polygons(max_faces)
    at = 0
    for _ in range(face_count):
        if at >= len(corners):
            return None
        end = at + 1 + int(corners[at])
        polygons.add(corners[at + 1 : end].tolist())
        at = end
    if at != len(corners):
        return None
    return vertices, polygons.triangulated(vertices)
