"""OBJ files: Wavefront's text format, https://paulbourke.net/dataformats/obj/.

Read here rather than by trimesh, which takes relative indices from the end of the file rather than from the
line, and fails on comments behind a face, tabs, indentation and names that are not UTF-8.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices
from meshcodec.geometry.readers.polygons import Polygons
from meshcodec.geometry.readers.text import as_vertices, check_line, check_words, numbered_lines, plain_text

_VERTEX = b"v"
_READ = (_VERTEX, b"f", b"fo")  # a position, a face, and the word for a face in version 2 of the format
_CURVED = b"cstype"  # stands before every free-form curve and surface of version 3
_FREE_FORM = (_CURVED, b"surf", b"bsp", b"bzp", b"cdp")  # it and surfaces by control points, of both versions
_CALLED = b"call"  # puts another file in its place
_BETWEEN = (b"\0", b"\x1a")  # what old systems leave where files were joined, in front of a word
_CONTINUED = re.compile(
    rb"(?:[\d\s+\-./eE]|nan)*\\?"
)  # a line that goes on with the numbers of the one above


def read_obj(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of an OBJ file.

    Lines, points, curves, groups and materials are passed over, and what a vertex has behind its position: a
    weight or a colour. Free-form surfaces and other files that it names would be missing from the shape, and
    are refused.
    """
    coordinates, polygons = array("d"), Polygons(max_faces)
    count = 0
    free_form = set[bytes]()
    text = _text(data)
    has_underscores = b"_" in text
    for number, line in _statements(text):
        words = line.split(None, 1)
        if not words:
            continue
        if words[0] not in _READ:
            if words[0] in _FREE_FORM:
                free_form.add(words[0])
            elif words[0] == _CALLED:
                fault = f"line {number} calls another file, which is not read"
                raise BadMeshError(fault, "export the whole shape as one file")
            continue
        line = line.partition(b"#")[0]
        words = line.split()
        try:
            if has_underscores:
                check_words(line)
            if words[0] == _VERTEX:
                x, y, z = words[1:4]
                coordinates.extend((float(x), float(y), float(z)))
                count += 1
                continue
            corners = [int(word.partition(b"/")[0]) for word in words[1:]]
            # 1 is the first vertex, -1 the latest before this line; 0 is none: it becomes -1, refused later.
            polygons.add([corner - 1 if corner >= 0 else max(corner + count, -1) for corner in corners])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"line {number}") from error
    if free_form - {_CURVED} or (free_form and not polygons):
        raise BadMeshError("it holds free-form curves or surfaces", "export it as polygons")
    if not coordinates and not polygons:
        raise ValueError("no vertices and no faces")
    vertices = as_vertices(coordinates)
    return vertices, polygons.triangulated(vertices)


def _text(data: bytes) -> bytes:
    text = plain_text(data)
    for sign in _BETWEEN:
        if sign in text:
            text = text.replace(sign, b" ")
    return text


def _statements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, of which those of vertices and faces are joined with what goes on with them.

    A backslash at the end of a line joins it with the next one. It is also the last letter of a Windows path
    in a comment or in the name of a group or material, where it joins nothing: the next line would be lost.
    """
    rows = numbered_lines(data)
    if b"\\" not in data:
        yield from rows
        return
    for number, line in rows:
        words = line.split(None, 1)
        if not words or words[0].rstrip(b"\\") not in _READ:
            yield number, line
            continue
        text = _bare(line)
        parts, length = [], 0
        while text.endswith(b"\\"):
            parts.append(text[:-1])
            length += len(text)
            check_line(number, length)
            text = _bare(next(rows, (0, b""))[1])
            if _CONTINUED.fullmatch(text) is None:
                raise ValueError(f"line {number} ends in a backslash, and the next does not go on with it")
        yield number, b" ".join([*parts, text])


def _bare(line: bytes) -> bytes:
    """A line without its comment and the white space at its end."""
    return line.partition(b"#")[0].rstrip()
