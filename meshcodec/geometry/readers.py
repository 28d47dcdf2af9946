"""OBJ, OFF and PLY bytes to vertices and triangles, with memory that the file's own size bounds.

These formats are read here rather than by trimesh. Of OBJ its reader takes relative indices from the end of
the file rather than from the line, and fails on comments behind a face, tabs, indentation and names that are
not UTF-8. Of PLY it refuses a binary file that mixes triangles and quads. And of text it makes an object for
each word or line, so that a file of line breaks takes 180 bytes of memory for each of its own.

A count in a header is a claim: nothing is allocated for it before that many bytes are seen to be there, and
what is announced beyond `max_faces` is refused at once. Faces are only collected here; whether their indices
name vertices is for the caller to check.

Each reader gives (n, 3) float64 and (m, 3) int64, and raises ValueError with a few words on what is wrong, or
BadMeshError where there is more to say.
"""

from __future__ import annotations

import io
import itertools
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces

_LONGEST_LINE = 1 << 24
"""Bytes of a line, at most: splitting it makes an object of each word, 20 times its bytes, and no line of a
real file is this long."""
_PIECE = 1 << 20  # bytes of text that are turned into numbers at a time
_LONGEST_HEADER = 1 << 16  # bytes of a PLY file in which its header must end
_EXACT = float(1 << 53)  # magnitude above which no float is exact, and no file has as many vertices
_REMEDY = "export the mesh again"  # what to do about a file that is cut short


# ---- OBJ


def read_obj(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of an OBJ file; everything else in it is passed over."""
    coordinates, triangles = array("d"), array("q")
    count = 0
    if b"\\" in data:
        data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    for number, line in _lines(data):
        words = line.split(None, 1)
        if not words or words[0] not in (b"v", b"f"):
            continue
        words = line.partition(b"#")[0].split()
        try:
            if words[0] == b"v":
                x, y, z = words[1:4]
                coordinates.extend((float(x), float(y), float(z)))
                count += 1
                continue
            corners = [int(word.partition(b"/")[0]) for word in words[1:]]
            # 1 is the first vertex, -1 the latest before this line; 0 is none: it becomes -1, refused later.
            corners = [corner - 1 if corner >= 0 else max(corner + count, -1) for corner in corners]
            _add_fan(triangles, corners, max_faces)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"line {number}") from error
    if not coordinates and not triangles:
        raise ValueError("no vertices and no faces")
    return _vertices(coordinates), _faces(triangles)


# ---- OFF


def read_off(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of a text OFF file; all else in it is passed over."""
    rows = (
        (number, words)
        for number, line in _lines(data)
        if (words := line.partition(b"#")[0].strip().removeprefix(b"\xef\xbb\xbf"))
    )
    _, first = next(rows, (1, b""))
    # Some files have the counts behind the magic, even without a space between.
    match = re.fullmatch(rb"(?:ST)?C?N?OFF\s*([\d\s]*)", first, re.IGNORECASE)
    if match is None:
        raise ValueError("it does not start with OFF")
    counts = match[1] or next(rows, (0, b""))[1]
    try:
        vertex_count, face_count = map(int, counts.split()[:2])
    except ValueError as error:
        raise ValueError("the line with its counts") from error
    if vertex_count < 0 or face_count < 0:
        raise ValueError("a count below 0")
    check_faces(face_count, max_faces)
    coordinates, triangles = array("d"), array("q")

    def add_vertex(words: list[bytes]) -> None:
        x, y, z = words[:3]
        coordinates.extend((float(x), float(y), float(z)))

    def add_face(words: list[bytes]) -> None:
        corners = [int(word) for word in words[1 : int(words[0]) + 1]]
        if len(corners) != int(words[0]):
            raise ValueError("fewer corners than it says")
        _add_fan(triangles, corners, max_faces)

    for count, add, name in ((vertex_count, add_vertex, "vertices"), (face_count, add_face, "faces")):
        found = 0
        for number, row in itertools.islice(rows, count):
            try:
                add(row.split())
            except (ValueError, OverflowError) as error:
                raise ValueError(f"line {number}") from error
            found += 1
        if found < count:
            raise BadMeshError(f"it is cut short: it announces {count} {name} and holds {found}", _REMEDY)
    return _vertices(coordinates), _faces(triangles)


# ---- PLY

# numpy's code of each type that a PLY header may name.
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


@dataclass(frozen=True)
class _Property:
    """A column of an element: one number in each row or, with a `count`, a list with its length in front."""

    name: str
    kind: np.dtype[np.generic]
    count: np.dtype[np.generic] | None = None


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
    """Positions and triangles of a PLY file, text or binary; all else in it is passed over."""
    elements, order, start = _ply_header(data)
    for element in elements:
        if element.name == "face":
            check_faces(element.rows, max_faces)
    wanted = {"vertex", "face"}
    source: _Text | _Binary = _Text(data, start) if order is None else _Binary(data, start)
    vertices, faces = np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    for element in elements:
        if not element.properties or not element.rows:
            continue
        columns = source.columns(element)
        wanted.discard(element.name)
        if element.name == "vertex":
            axes = [columns.get(axis) for axis in "xyz"]
            if not all(isinstance(axis, np.ndarray) for axis in axes):
                raise ValueError("its vertices have no x, y and z")
            vertices = np.column_stack([np.asarray(axis, dtype=np.float64) for axis in axes])
        elif element.name == "face":
            lists = {name: column for name, column in columns.items() if isinstance(column, _Lists)}
            names = [name for name in ("vertex_indices", "vertex_index") if name in lists]
            if not names and len(lists) != 1:
                raise ValueError("its faces have no list of vertices")
            faces = _fans(lists[names[0]] if names else next(iter(lists.values())), max_faces)
        if not wanted:
            break
    return vertices, faces


def _ply_header(data: bytes) -> tuple[list[_Element], str | None, int]:
    """Elements, byte order (None for text), and where the body starts."""
    head = data[:_LONGEST_HEADER]
    match = re.search(rb"[\r\n][ \t]*end_header[ \t]*(\r\n|\n|\r|\Z)", head)
    if head[:3].lower() != b"ply":
        raise ValueError("it does not start with ply")
    if match is None:
        raise ValueError("its header does not end")
    order: str | None = ""
    elements: list[_Element] = []
    for line in head[: match.start()].decode("latin-1").splitlines()[1:]:
        words = line.split()
        try:
            if not words or words[0] in ("comment", "obj_info"):
                continue
            if words[0] == "format":
                order = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
            elif words[0] == "element":
                rows = int(words[2])
                if rows < 0 or len(words) != 3 or any(element.name == words[1] for element in elements):
                    raise ValueError
                elements.append(_Element(words[1], rows, []))
            elif words[0] == "property":
                listed = words[1] == "list"
                kinds = [np.dtype((order or "<") + _TYPES[word]) for word in words[1 + listed : -1]]
                if len(kinds) != 1 + listed:
                    raise ValueError
                elements[-1].properties.append(_Property(words[-1], kinds[-1], kinds[0] if listed else None))
            else:
                raise ValueError
        except (ValueError, LookupError) as error:
            raise ValueError(f"its header says {line.strip()[:40]!r}") from error
    if order == "":
        raise ValueError("its header names no format")
    return elements, order, match.end()


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
        """Row by row. Only lists are given: no vertex has one beside its coordinates."""
        starts = {column.name: array("q") for column in element.properties if column.count is not None}
        lengths = {name: array("q") for name in starts}
        at, end = self._at, len(self._data)
        for _ in range(element.rows):
            for column in element.properties:
                if column.count is None:
                    at += column.kind.itemsize
                    continue
                length = self._length(column.count, at, element)
                at += column.count.itemsize
                starts[column.name].append(at)
                lengths[column.name].append(length)
                at += length * column.kind.itemsize
            if at > end:
                raise _cut_short(element)
        self._at = at
        raw = np.frombuffer(self._data, np.uint8)
        found: _Columns = {}
        for column in element.properties:
            if column.count is not None:
                size = column.kind.itemsize
                count = np.frombuffer(lengths[column.name], np.int64)
                first = np.frombuffer(starts[column.name], np.int64)
                within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
                places = (np.repeat(first, count) + within * size)[:, None] + np.arange(size)
                found[column.name] = _Lists(count, raw[places].reshape(-1).view(column.kind))
        return found

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
        pieces = [np.zeros(0), *_numbers(data, start)]
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
        """Row by row; only lists are given."""
        starts = {column.name: array("q") for column in element.properties if column.count is not None}
        lengths = {name: array("q") for name in starts}
        at = self._at
        for _ in range(element.rows):
            for column in element.properties:
                if column.count is None:
                    at += 1
                    continue
                length = self._length(at, element)
                starts[column.name].append(at + 1)
                lengths[column.name].append(length)
                at += 1 + length
            if at > len(self._numbers):
                raise _cut_short(element)
        self._at = at
        found: _Columns = {}
        for name in starts:
            count, first = np.frombuffer(lengths[name], np.int64), np.frombuffer(starts[name], np.int64)
            within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            found[name] = _Lists(count, self._numbers[np.repeat(first, count) + within])
        return found

    def _length(self, at: int, element: _Element) -> int:
        if at >= len(self._numbers):
            raise _cut_short(element)
        length = float(self._numbers[at])
        if not (length >= 0 and length.is_integer()):
            raise ValueError("a list with a length that is no whole number")
        return int(length)


def _cut_short(element: _Element) -> BadMeshError:
    return BadMeshError(
        f"it is cut short: its header announces {element.rows} rows of {element.name}",
        _REMEDY,
    )


def _fans(lists: _Lists, max_faces: int) -> Faces:
    """Polygons as triangles, in their order."""
    parts = np.maximum(lists.lengths - 2, 0)
    total = int(parts.sum())
    check_faces(total, max_faces)
    if lists.values.dtype.kind == "f" and not np.isfinite(lists.values).all():
        raise ValueError("a face with a vertex that is no whole number")
    if len(lists.values) and not (abs(float(lists.values.min())) < _EXACT > abs(float(lists.values.max()))):
        raise ValueError("a face with a vertex that is no such number")
    corners = lists.values.astype(np.int64)
    first = np.repeat(np.cumsum(lists.lengths) - lists.lengths, parts)
    second = first + 1 + np.arange(total) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.column_stack([corners[first], corners[second], corners[second + 1]])


# ---- what the formats share


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, whatever ends them."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(data), start=1):
        if len(line) > _LONGEST_LINE:
            raise BadMeshError(f"line {number} is longer than {_LONGEST_LINE >> 20} MiB", _REMEDY)
        yield number, line


def _numbers(data: bytes, start: int) -> Iterator[NDArray[np.float64]]:
    """All numbers of a text, a piece at a time."""
    while start < len(data):
        end = start + _PIECE
        if end < len(data):
            end = max(data.rfind(space, start, end) for space in (b" ", b"\n", b"\r", b"\t")) + 1
            if end <= start:
                raise ValueError("a word of a million letters")
        try:
            yield np.array(data[start:end].split(), dtype=np.float64)
        except ValueError as error:
            raise ValueError("a word that is no number") from error
        start = end


def _add_fan(triangles: array[int], corners: list[int], max_faces: int) -> None:
    """The triangles of a polygon; none of two corners or fewer."""
    check_faces(len(triangles) // 3 + len(corners) - 2, max_faces)
    for second, third in itertools.pairwise(corners[1:]):
        triangles.extend((corners[0], second, third))


def _vertices(coordinates: array[float]) -> Vertices:
    return np.frombuffer(coordinates, np.float64).reshape(-1, 3) if coordinates else np.zeros((0, 3))


def _faces(triangles: array[int]) -> Faces:
    if not triangles:
        return np.zeros((0, 3), dtype=np.int64)
    return np.frombuffer(triangles, np.int64).reshape(-1, 3)
