"""STL files, binary or text: triangles corner by corner, https://www.fabbers.com/tech/STL_Format.

Read here rather than by trimesh, which takes the word ``vertex`` in the name of a solid for a vertex, loses a
solid whose end is not marked, and takes the count of a binary file for true.
"""

from __future__ import annotations

import re
import string
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import EXPORT_AGAIN, Faces, Vertices, check_faces
from meshcodec.geometry.readers.text import PIECE, UTF_16, as_numbers, plain_text

_HEAD = 84  # bytes in front of the facets of a binary file: 80 of text, and their number
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", 9), ("attribute", "<u2")])  # 50 bytes
_FAR = 1e3  # sizes of a shape that no other facet of it lies away
_ROUGHLY = 1e-2  # how far the length of a normal is from 1, at most
_PLAIN = bytes.maketrans(
    string.ascii_uppercase.encode() + b"\r\0", string.ascii_lowercase.encode() + b"\n\n"
)  # a text in lower case, with one sign for the end of a line or of a name
_INDENT = 64  # bytes in front of a line's first word, at most
_LOOP = 256  # bytes behind the line of a facet in which its first corner begins, at most
_COMMENT = re.compile(rb"[#;][^\n]*")
_PARTED_END = re.compile(rb"end[ \t]+(?=facet\b|loop\b)")
_FIRST_FACET = re.compile(rb"facet\s+normal\s+\S+\s+\S+\s+\S+\s+outer\s+loop\s+vertex\s")


def read_stl(data: bytes, max_faces: int) -> tuple[Vertices, Faces]:
    """Positions and triangles of an STL file, all its solids as one; each triangle has its own vertices."""
    corners = _read_binary(data, max_faces) if _is_binary(data) else _read_text(plain_text(data), max_faces)
    vertices = corners.reshape(-1, 3)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _is_binary(data: bytes) -> bool:
    """Whether a file is binary, whatever its first word: some binary ones begin with ``solid``.

    Fewer than 2^24 facets leave a zero byte in their number. A text has one only where a program wrote the
    whole buffer that it had for the name.
    """
    if len(data) < _HEAD or data.startswith(UTF_16):
        return False
    beginning = data[_HEAD - 4 : _HEAD + 1024].lower()
    if b"facet" in beginning and b"vertex" in beginning:
        return False
    return b"\0" in data[:_HEAD] or has_all_facets(data)


def has_all_facets(data: bytes) -> bool:
    """Whether a file is a binary one whose number of facets is that of its bytes, whatever it begins with."""
    return len(data) >= _HEAD and len(data) == _HEAD + _FACET.itemsize * _announced(data)


def _announced(data: bytes) -> int:
    (count,) = struct.unpack_from("<I", data, _HEAD - 4)
    return int(count)


def _read_binary(data: bytes, max_faces: int) -> NDArray[np.float64]:
    """(F, 9) corners of the facets.

    Programs that write as they go leave a number of facets that is too small. Where facets fill the file to
    its last byte they are all read; where they do not, nobody knows how many there are. What does not look
    like facets, such as a signature, is passed over.
    """
    count, size = _announced(data), _FACET.itemsize
    whole, rest = divmod(len(data) - _HEAD, size)
    if count > whole:
        fault = f"it is cut short: its header announces {count} faces and it holds {whole}"
        raise BadMeshError(fault, EXPORT_AGAIN)
    check_faces(count, max_faces)
    beyond = len(data) - _HEAD - size * count
    written = len(data[_HEAD + size * count :].rstrip(b"\0"))  # zeros may fill the last block of a disk
    if written and (beyond >= size or not count):
        more = whole - count if rest else -(-written // size)
        if not count or _go_on(np.frombuffer(data, _FACET, count + more, _HEAD), count):
            if rest:
                fault = f"its header announces {count} faces, and {beyond} bytes follow them, enough for "
                raise BadMeshError(f"{fault}{whole - count} more and a part of one", EXPORT_AGAIN)
            count += more
            check_faces(count, max_faces)
    return np.frombuffer(data, _FACET, count, _HEAD)["corners"].astype(np.float64)


def _go_on(table: NDArray[np.void], count: int) -> bool:
    """Whether most rows of a table of facets behind the first `count` look like facets of the same shape.

    Text read as float32 is anything up to 1e38, one point where it is all spaces, and no normal: that has the
    length 1, or 0 where a program leaves it to the reader.
    """
    with np.errstate(all="ignore"):
        first = table["corners"][:count].reshape(-1, 3)
        low, high = first.min(axis=0).astype(np.float64), first.max(axis=0).astype(np.float64)
        corners = table["corners"][count:].reshape(-1, 3, 3).astype(np.float64)
        distance = np.abs(corners - (low + high) / 2).max(axis=(1, 2))
        length = np.linalg.norm(table["normal"][count:].astype(np.float64), axis=1)
        near = distance <= _FAR * (high - low).max()
        normal = (np.abs(length - 1) < _ROUGHLY) | (length == 0)
        real = (corners != corners[:, :1]).any(axis=(1, 2)) & np.isfinite(corners).all(axis=(1, 2))
    like = real & (near | normal)
    return bool(np.count_nonzero(like) > len(like) // 2)


# ---- text


def _read_text(data: bytes, max_faces: int) -> NDArray[np.float64]:
    """(F, 9) corners of the facets. Normals are not looked at: some are no numbers."""
    found = [np.zeros((0, 9))]
    count = 0
    for text in _between_names(data.translate(_PLAIN)):
        if b"#" in text or b";" in text:  # far quicker to see than to replace
            text = _COMMENT.sub(b"", text)
        for piece in _pieces(_PARTED_END.sub(b"end", text)):
            words = piece.split()
            facets = [place for place, word in enumerate(words) if word == b"facet"]
            corners = [place for place, word in enumerate(words) if word == b"vertex"]
            count += len(facets)
            check_faces(count, max_faces)
            _check_loops(facets, corners)
            numbers = as_numbers([word for place in corners for word in words[place + 1 : place + 4]], piece)
            if len(numbers) != 9 * len(facets):
                raise _no_whole_facet()
            found.append(numbers.reshape(-1, 9))
    if not count and b"solid" not in data.lower():
        raise ValueError("it is neither a text with solids nor a whole binary file")
    return np.concatenate(found)


def _between_names(text: bytes) -> Iterator[bytes]:
    """A text in lower case without the lines that open and close solids: any word may stand in their names.

    Where a facet follows on the same line, as in a file that is one line, the name ends there.
    """
    start, found = 0, text.find(b"solid")
    while found >= 0:
        before = text[max(start, found - _INDENT) : found]
        lead = before.rstrip(b" \t").removesuffix(b"end").rstrip(b" \t")  # of "endsolid" and "end solid", too
        first = not lead and found - len(before) == start
        if first or lead.endswith((b"\n", b"endfacet", b"end facet")):
            yield text[start : found - len(before) + len(lead)]
            end = text.find(b"\n", found)
            end = end if end >= 0 else len(text)
            facet = _FIRST_FACET.search(text, found, end + _LOOP)
            start = facet.start() if facet is not None and facet.start() < end else end
        found = text.find(b"solid", max(start, found + 1))
    yield text[start:]


def _pieces(text: bytes) -> Iterator[bytes]:
    """A text, some whole facets at a time."""
    start = 0
    while start < len(text):
        end = start + PIECE
        if end < len(text):
            end = text.rfind(b"endfacet", start, end)
            if end < 0:
                raise ValueError("a facet of a million letters")
            end += len(b"endfacet")
        yield text[start:end]
        start = end


def _check_loops(facets: list[int], corners: list[int]) -> None:
    """Refuse facets, by the places of their words, that have not three corners each. Raises BadMeshError."""
    if len(corners) != 3 * len(facets):
        raise _no_whole_facet()
    loops = np.array(corners, dtype=np.int64).reshape(-1, 3)
    starts = np.array(facets, dtype=np.int64)
    if (starts > loops[:, 0]).any() or (loops[:-1, 2] > starts[1:]).any():
        raise _no_whole_facet()


def _no_whole_facet() -> BadMeshError:
    return BadMeshError("it holds a facet without three corners: it is cut short or damaged", EXPORT_AGAIN)
