"""What the readers of text have in common: encodings, lines and numbers, in bounded memory."""

from __future__ import annotations

import codecs
import io
import re
from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Vertices

PIECE = 1 << 20  # bytes of text that are turned into numbers at a time
CUT_SHORT = "export the mesh again"  # remedy for a file that ends too early
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # how a text of two bytes a letter begins
_LONGEST_LINE = 1 << 24
"""Bytes of a line, at most: splitting it makes an object of each word, 20 times its bytes, and no line of a
real file is this long."""
_NO_NUMBER = re.compile(rb"(?<!\w)(?:1\.#(?:inf|ind|qnan|snan)\d*|nan\([^()\s]*\))(?!\w)", re.IGNORECASE)
"""What C libraries write for NaN and infinity beside ``nan`` and ``inf``: ``1.#QNAN``, ``nan(ind)``."""
_UNSEEN = (codecs.BOM_UTF8, "\N{ZERO WIDTH SPACE}".encode())
"""Signs that no editor shows: a mark stands in front of a text, and within one where files were joined."""
_SEEN_IN_IT = (b"1.#", b"nan(", b"NAN(", b"NaN(")  # quick to look for in a text, which seldom has any


def plain_text(data: bytes) -> bytes:
    """A text of one byte for each ASCII letter, without signs that nobody sees or padding at its end.

    A byte order mark would hide the word that it stands in front of; some programs fill the last block
    of a file with zeros, or end it with the Ctrl-Z of old systems. What stands for NaN becomes ``nan`` here,
    before its ``#`` is taken for a comment. Raises ValueError: it begins like UTF-16 and is none.
    """
    if data.startswith(UTF_16):
        data = data.decode("utf-16").encode()
    for sign in _UNSEEN:
        if sign in data:
            data = data.replace(sign, b"")
    return with_nan(data.rstrip(b"\0\x1a") if data.endswith((b"\0", b"\x1a")) else data)


def without_mark(data: bytes) -> bytes:
    """A file without the byte order marks that it begins with."""
    while data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    return data


def with_nan(text: bytes) -> bytes:
    """A text with ``nan`` for each word of a C library that stands for NaN or infinity."""
    return _NO_NUMBER.sub(b"nan", text) if any(mark in text for mark in _SEEN_IN_IT) else text


def numbered_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of a text, whatever ends them, with their numbers from 1.

    Raises BadMeshError: a line that no file has.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(data), start=1):
        check_line(number, len(line))
        yield number, line


def check_line(number: int, length: int) -> None:
    """Refuse a line that no file has. Raises BadMeshError."""
    if length > _LONGEST_LINE:
        raise BadMeshError(f"line {number} is longer than {_LONGEST_LINE >> 20} MiB", CUT_SHORT)


def number_pieces(data: bytes, start: int) -> Iterator[NDArray[np.float64]]:
    """All numbers of a text from a place on, some at a time; any white space parts them.

    Raises ValueError: a word that is no number.
    """
    while start < len(data):
        end = start + PIECE
        if end < len(data):
            end = max(data.rfind(space, start, end) for space in (b" ", b"\n", b"\r", b"\t")) + 1
            if end <= start:
                raise ValueError("a word of a million letters")
        piece = with_nan(data[start:end])
        yield as_numbers(piece.split(), piece)
        start = end


def check_words(text: bytes) -> None:
    """Refuse an underscore among numbers, as Python reads ``1_0`` as 10. Raises ValueError."""
    if b"_" in text:
        raise ValueError("a word that is no number")


def as_numbers(words: list[bytes], text: bytes) -> NDArray[np.float64]:
    """(n,) the numbers that words of a text say. Raises ValueError: one that is no number."""
    if b"_" in text:  # quicker to see than in each word
        for word in words:
            check_words(word)
    try:
        return np.array(words, dtype=np.float64)
    except ValueError as error:
        raise ValueError("a word that is no number") from error


def as_vertices(coordinates: array[float]) -> Vertices:
    """(V, 3) positions that were collected number by number."""
    return np.frombuffer(coordinates, np.float64).reshape(-1, 3) if coordinates else np.zeros((0, 3))
