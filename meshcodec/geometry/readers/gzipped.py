"""Files that are compressed with gzip: one member or several, as the gzip tool reads them, RFC 1952."""

from __future__ import annotations

import re
import zlib

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import EXPORT_AGAIN, check_size

MAGIC = b"\x1f\x8b"  # how a member begins
_PIECE = 1 << 14  # bytes that are unpacked at a time
_WITH_HEADER = 16 + zlib.MAX_WBITS  # zlib's word for the gzip format
_PADDING = re.compile(rb"\0*")


def unpacked(data: bytes, max_bytes: int) -> bytes:
    """What a file holds, unpacked to `max_bytes` and one piece at most.

    Zeros behind it fill the last block of a tape or disk; whatever else is there is no part of it.

    Raises
    ------
    BadMeshError
        It is not compressed, damaged or cut short, or unpacks to more than `max_bytes`; an empty file unpacks
        to an empty one.
    """
    if data and not data.startswith(MAGIC):
        raise BadMeshError("cannot be unpacked with gzip: it is not compressed", "take .gz off its name")
    made, at = bytearray(), 0
    try:
        while data.startswith(MAGIC, at):
            at = _add_member(made, data, at, max_bytes)
            padding = _PADDING.match(data, at)
            at = padding.end() if padding is not None else at
    except EOFError as error:
        raise BadMeshError("cannot be unpacked with gzip: it is cut short", EXPORT_AGAIN) from error
    except zlib.error as error:
        raise BadMeshError("cannot be unpacked with gzip: it is damaged", EXPORT_AGAIN) from error
    return bytes(made)


def _add_member(made: bytearray, data: bytes, at: int, max_bytes: int) -> int:
    """Unpack the member that begins at a place, and say where it ends.

    Raises BadMeshError: it is too large; EOFError or zlib.error: it cannot be unpacked.
    """
    stream = zlib.decompressobj(_WITH_HEADER)
    while not stream.eof:
        piece = data[at : at + _PIECE]
        if not piece:
            raise EOFError
        made += stream.decompress(piece, max_bytes + 1 - len(made))
        check_size(len(made), max_bytes)
        at += len(piece) - len(stream.unused_data) - len(stream.unconsumed_tail)
    return at
