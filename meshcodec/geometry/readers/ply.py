"""PLY files: Stanford's format, text or binary, https://paulbourke.net/dataformats/ply/.

Read here rather than by trimesh, which refuses a binary file that mixes triangles and quads, makes an object
for each word of a text, and knows no triangle strips.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces
from meshcodec.geometry.readers.polygons import triangulate
from meshcodec.geometry.readers.text import CUT_SHORT, number_pieces, plain_text, without_mark

_LONGEST_HEADER = 1 << 16  # bytes of a file in which its header must end
_EXACT = float(1 << 53)  # magnitude above which no float is exact, and no file has as many vertices
_AXES = ("x", "y", "z")  # columns of a vertex that are read
_FACE, _STRIPS = "face", "tristrips"  # elements with lists of vertices
_END = -1  # in place of a vertex: a strip ends within a list
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
"""The byte order of each format, as numpy writes it; none of text."""
_TYPES = {
    name: code
    for names, code in (
        ("char int8", "i1"),
        ("uchar uint8", "u1"),
        ("short int16", "i2"),
        ("ushort uint16", "u2"),
        ("int int32", "i4"),
        ("uint uint32", "u4"),
        ("int64", "i8"),
        ("uint64", "u8"),
        ("float16", "f2"),
        ("float float32", "f4"),
        ("double float64", "f8"),
    )
    for name in names.split()
}
"""Numpy's code of each type that a header may name."""


@dataclass(frozen=True)
class _Property:
    """A column of an element: one number in each row or, with a `count`, a list with its length in front."""

    name: str
    kind: np.dtype[np.generic]
    count: np.dtype[np.generic] | None = None

    @property
    def read(self) -> bool:
        """Whether its values are needed where the rows of its element differ in length."""
        return self.count is not None or self.name in _AXES


@dataclass(frozen=True)
class _Element:
    """What a PLY header says of a run of rows."""

    name: str
    rows: int
    properties: list[_Property]


@dataclass(frozen=True)
class _Lists:
    """The lists of one property: their lengths, (rows,), and all their values on end."""

    lengths: NDArray[np.int64]
    values: NDArray[np.generic]


_Columns = dict[str, "NDArray[np.generic] | _Lists"]  # the columns of an element by the name of the property


def read_ply(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of a PLY file, text or binary: of faces, and of triangle strips."""
    data = without_mark(data)
    if data[:3].lower() != b"ply":
        data = plain_text(data)
    elements, order, start = _header(data)
    for element in elements:
        if element.name == _FACE:
            check_faces(element.rows, max_faces)
    source: _Text | _Binary = _Binary(data, start) if order else _Text(data, start)
    elements = [
        element for element in elements if element.properties and (element.rows or element.name == _FACE)
    ]
    counts_faces = elements != [] and elements[-1].name == _FACE
    wanted = [e for e in elements if e.name in ("vertex", _FACE, _STRIPS) and e.rows]
    found: dict[str, _Columns] = {}
    last = len(elements) if counts_faces else elements.index(wanted[-1]) + 1 if wanted else 0
    for element in elements[:last]:
        if element.rows:
            columns = source.columns(element)
            if element in wanted:
                found[element.name] = columns
    vertices = _positions(found["vertex"]) if "vertex" in found else np.zeros((0, 3))
    if counts_faces:
        _check_rest(source, elements[-1], len(vertices))
    faces = [np.zeros((0, 3), dtype=np.int64)]
    if _FACE in found:
        lists = _vertex_lists(found[_FACE])
        faces.append(triangulate(vertices, lists.lengths, _as_indices(lists.values), max_faces))
    if _STRIPS in found:
        lists = _vertex_lists(found[_STRIPS])
        corners = _as_indices(lists.values)
        if lists.values.dtype.kind == "u":  # which has no -1: its largest number stands for it
            end = (1 << 8 * lists.values.dtype.itemsize) - 1
            corners[(corners == end) & (corners >= len(vertices))] = _END
        faces.append(_unrolled(lists.lengths, corners))
    return vertices, np.concatenate(faces)


def _header(data: bytes) -> tuple[list[_Element], str, int]:
    """Elements, byte order (none of text), and where the body starts.

    A line that begins with no word of the format is passed over: old programs wrote some of their own.
    """
    head = data[:_LONGEST_HEADER]
    match = re.search(rb"[\r\n][ \t]*end_header[ \t]*(\r\n|\n|\r|\Z)", head)
    if head[:3].lower() != b"ply":
        raise ValueError("it does not start with ply")
    if match is None:
        raise ValueError("its header does not end")
    # Of the signs of latin-1 that end a line for Python some are letters of other encodings.
    lines = re.split(r"[\r\n]", head[: match.start()].decode("latin-1"))[1:]
    order: str | None = None
    elements: list[_Element] = []
    for line in sorted(lines, key=lambda line: line.split()[:1] != ["format"]):  # types need the byte order
        words = line.split()
        try:
            if words[:1] == ["format"]:
                order = _ORDERS[words[1]]
            elif words[:1] == ["element"]:
                rows = int(words[2])
                if rows < 0 or len(words) != 3 or any(element.name == words[1] for element in elements):
                    raise ValueError
                elements.append(_Element(words[1], rows, []))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_property(words[1:], order or "<"))
        except (ValueError, LookupError) as error:
            raise ValueError(f"its header says {line.strip()[:40]!r}") from error
    if order is None:
        raise ValueError("its header names no format")
    _check_names(elements)
    return elements, order, match.end()


def _property(words: list[str], order: str) -> _Property:
    """What a line of the header says behind ``property``. ValueError or LookupError: nothing known."""
    listed = words[0] == "list"
    kinds = [np.dtype(order + _TYPES[word]) for word in words[listed:-1]]
    if len(kinds) != 1 + listed:
        raise ValueError
    return _Property(words[-1], kinds[-1], kinds[0] if listed else None)


def _check_names(elements: list[_Element]) -> None:
    """Refuse two columns of one name where nobody knows which of them to read. Raises BadMeshError."""
    for element in elements:
        names = [column.name for column in element.properties if column.read]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            fault = f"its header names the property {twice!r} of {element.name!r} twice"
            raise BadMeshError(fault, "give each property a name of its own, or export it again")


# ---- what is made of the columns


def _positions(columns: _Columns) -> Vertices:
    axes = [columns.get(axis) for axis in _AXES]
    if not all(isinstance(axis, np.ndarray) for axis in axes):
        raise ValueError("its vertices have no x, y and z")
    return np.column_stack([np.asarray(axis, dtype=np.float64) for axis in axes])


def _vertex_lists(columns: _Columns) -> _Lists:
    """The lists of vertices of a face or strip: by their name, or the only ones."""
    lists = {name: column for name, column in columns.items() if isinstance(column, _Lists)}
    for name in ("vertex_indices", "vertex_index"):
        if name in lists:
            return lists[name]
    if len(lists) != 1:
        raise ValueError("its faces have no list of vertices")
    return next(iter(lists.values()))


def _as_indices(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Numbers of vertices as a file has them, as whole numbers."""
    whole = "a face with a vertex that is no whole number"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(whole)
    if len(values) and not (abs(float(values.min())) < _EXACT > abs(float(values.max()))):
        raise ValueError("a face with a vertex that is no such number")
    indices = values.astype(np.int64)
    if values.dtype.kind == "f" and (indices != values).any():
        raise ValueError(whole)
    return indices


def _unrolled(lengths: NDArray[np.int64], corners: NDArray[np.int64]) -> Faces:
    """The triangles of strips: in a strip, each corner from the third one on makes one with the two before.

    Every second triangle is turned round, so that all face the same way. `_END` ends a strip within a list.
    """
    starts = np.zeros(len(corners), dtype=np.int64)  # of the strip that each corner belongs to
    ends = np.cumsum(lengths)
    firsts = np.concatenate([(ends - lengths)[lengths > 0], np.flatnonzero(corners == _END) + 1])
    firsts = firsts[firsts < len(corners)]
    starts[firsts] = firsts
    starts = np.maximum.accumulate(starts)
    third = np.arange(2, len(corners))
    third = third[(starts[2:] <= third - 2) & (corners[2:] != _END)]
    odd = (third - starts[third]) % 2
    return np.column_stack([corners[third - 2 + odd], corners[third - 1 - odd], corners[third]])


def _check_rest(source: _Text | _Binary, faces: _Element, count: int) -> None:
    """Refuse a face of the first `count` vertices behind those that are announced. Raises BadMeshError.

    Anything else may be left there: zeros that fill a block, the end of a line, a part of a row.
    """
    try:
        lists = _vertex_lists(source.columns(replace(faces, rows=1)))
        corners = _as_indices(lists.values)
    except (BadMeshError, ValueError):
        return
    if len(corners) > 2 and corners.min() >= 0 and corners.max() < count:
        fault = f"its header announces {faces.rows} rows of {faces.name}, and more of them follow"
        raise BadMeshError(fault, "correct the header, or export it again")


# ---- the body


class _Binary:
    """Rows of a binary body, element after element."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = data, start

    def columns(self, element: _Element) -> _Columns:
        """The columns of the next element by name. BadMeshError: the body is cut short."""
        least = sum((p.count or p.kind).itemsize for p in element.properties)
        if element.rows * least > len(self._data) - self._at:
            raise _cut_short(element)
        even = self._even(element)
        return even if even is not None else self._uneven(element)

    def _even(self, element: _Element) -> _Columns | None:
        """Columns of rows that are all laid out as the first one is; None where they are not."""
        fields: list[tuple[str, np.dtype[np.generic], tuple[int, ...]]] = []
        lengths: dict[int, int] = {}
        size = 0
        for place, column in enumerate(element.properties):
            if column.count is not None:
                length = self._length(column.count, self._at + size, element)
                lengths[place] = length
                fields.append((f"n{place}", column.count, ()))
                size += column.count.itemsize
                if length * column.kind.itemsize > len(self._data):  # numpy has its own limits below this
                    raise _cut_short(element)
                fields.append((str(place), column.kind, (length,)))
                size += length * column.kind.itemsize
            else:
                fields.append((str(place), column.kind, ()))
                size += column.kind.itemsize
        if element.rows * size > len(self._data) - self._at:
            return None
        table = np.frombuffer(self._data, np.dtype(fields), element.rows, self._at)
        if any((table[f"n{place}"] != length).any() for place, length in lengths.items()):
            return None
        self._at += element.rows * size
        return {
            column.name: table[str(place)]
            if column.count is None
            else _Lists(np.full(element.rows, lengths[place]), table[str(place)].reshape(-1))
            for place, column in enumerate(element.properties)
        }

    def _uneven(self, element: _Element) -> _Columns:
        """Row by row. Of the columns without lists, only coordinates are given."""
        starts = {column.name: array("q") for column in element.properties if column.read}
        lengths = {column.name: array("q") for column in element.properties if column.count is not None}
        at, end = self._at, len(self._data)
        for _ in range(element.rows):
            for column in element.properties:
                length = 1
                if column.count is not None:
                    length = self._length(column.count, at, element)
                    at += column.count.itemsize
                    lengths[column.name].append(length)
                if column.name in starts:
                    starts[column.name].append(at)
                at += length * column.kind.itemsize
            if at > end:
                raise _cut_short(element)
        self._at = at
        raw = np.frombuffer(self._data, np.uint8)

        def values(column: _Property, count: NDArray[np.int64]) -> NDArray[np.generic]:
            size = column.kind.itemsize
            places = _places(starts[column.name], count, size)[:, None] + np.arange(size)
            return np.asarray(raw[places].reshape(-1).view(column.kind))

        return _gathered(element, lengths, values)

    def _length(self, kind: np.dtype[np.generic], at: int, element: _Element) -> int:
        """The length of a list, which stands at a place of the body."""
        if kind.kind not in "iu":
            raise ValueError("its header gives a list a length that is no whole number")
        if at + kind.itemsize > len(self._data):
            raise _cut_short(element)
        if kind.itemsize == 1 and kind.kind == "u":
            return self._data[at]
        length = int(np.frombuffer(self._data, kind, 1, at)[0])
        if length < 0:
            raise ValueError("a list with a length below 0")
        return length


class _Text:
    """Rows of a text body, element after element. Line breaks are spaces like others."""

    def __init__(self, data: bytes, start: int) -> None:
        pieces = [np.zeros(0), *number_pieces(data, start)]
        self._numbers, self._at = np.concatenate(pieces), 0

    def columns(self, element: _Element) -> _Columns:
        """The columns of the next element by name. BadMeshError: the body is cut short."""
        if element.rows * len(element.properties) > len(self._numbers) - self._at:
            raise _cut_short(element)
        widths = []
        at = self._at
        for column in element.properties:
            widths.append(1 if column.count is None else 1 + self._length(at, element))
            at += widths[-1]
        width = sum(widths)
        if element.rows * width <= len(self._numbers) - self._at:
            table = self._numbers[self._at : self._at + element.rows * width].reshape(-1, width)
            places = np.cumsum([0, *widths])[:-1].tolist()
            found: _Columns = {}
            even = True
            for column, place, wide in zip(element.properties, places, widths, strict=True):
                if column.count is None:
                    found[column.name] = table[:, place]
                else:
                    even = even and bool((table[:, place] == wide - 1).all())
                    values = table[:, place + 1 : place + wide].reshape(-1)
                    found[column.name] = _Lists(np.full(element.rows, wide - 1), values)
            if even:
                self._at += element.rows * width
                return found
        return self._uneven(element)

    def _uneven(self, element: _Element) -> _Columns:
        """Row by row. Of the columns without lists, only coordinates are given."""
        starts = {column.name: array("q") for column in element.properties if column.read}
        lengths = {column.name: array("q") for column in element.properties if column.count is not None}
        at = self._at
        for _ in range(element.rows):
            for column in element.properties:
                length = 1
                if column.count is not None:
                    length = self._length(at, element)
                    at += 1
                    lengths[column.name].append(length)
                if column.name in starts:
                    starts[column.name].append(at)
                at += length
            if at > len(self._numbers):
                raise _cut_short(element)
        self._at = at

        def values(column: _Property, count: NDArray[np.int64]) -> NDArray[np.generic]:
            return self._numbers[_places(starts[column.name], count)]

        return _gathered(element, lengths, values)

    def _length(self, at: int, element: _Element) -> int:
        if at >= len(self._numbers):
            raise _cut_short(element)
        length = float(self._numbers[at])
        if not (length >= 0 and length.is_integer()):
            raise ValueError("a list with a length that is no whole number")
        return int(length)


def _gathered(
    element: _Element,
    lengths: dict[str, array[int]],
    values: Callable[[_Property, NDArray[np.int64]], NDArray[np.generic]],
) -> _Columns:
    """The columns of rows that differ in length, from the `lengths` of lists and what gives their values."""
    found: _Columns = {}
    for column in element.properties:
        if column.count is not None:
            count = np.frombuffer(lengths[column.name], np.int64)
            found[column.name] = _Lists(count, values(column, count))
        elif column.read:
            found[column.name] = values(column, np.ones(element.rows, dtype=np.int64))
    return found


def _places(starts: array[int], count: NDArray[np.int64], step: int = 1) -> NDArray[np.int64]:
    """Where the values of lists lie, `step` apart, from where each list starts."""
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.frombuffer(starts, np.int64), count) + within * step


def _cut_short(element: _Element) -> BadMeshError:
    return BadMeshError(
        f"it is cut short: its header announces {element.rows} rows of {element.name}", CUT_SHORT
    )
