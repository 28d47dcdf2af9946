"""Bytes of a glTF's buffers and buffer views: of the file itself, of data URIs, of files beside it."""

from __future__ import annotations

import base64
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import check_size
from meshcodec.geometry.gltf.compression import can_decode_meshopt, decode_meshopt
from meshcodec.geometry.gltf.document import Document, extension_of, whole

_MESHOPT = ("KHR_meshopt_compression", "EXT_meshopt_compression")  # extensions of a compressed buffer view
_DATA_URI = re.compile(r"\s*data:([^,]*),", re.IGNORECASE)
_BASE64 = re.compile(r";\s*base64\s*\Z", re.IGNORECASE)  # how what stands before the comma ends
_BEHIND_PATH = re.compile(r"[?#].*", re.DOTALL)  # what a server or a browser would take for its own
_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # the two digits that differ in base64 for URLs


class BufferFolder:
    """Reads the ``.bin`` files of a glTF, and nothing outside the folder that it lies in.

    Parameters
    ----------
    folder : where the glTF lies; None where it came from a stream, which has no files beside it.
    max_bytes : most bytes of all files together.
    """

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        self.folder = folder.resolve() if folder is not None else None
        self.max_bytes = self.left = max_bytes

    def read(self, uri: str) -> bytes:
        """The bytes of a file by its URI.

        Raises
        ------
        ValueError
            It cannot be reached, lies outside the folder or is missing.
        BadMeshError
            It is larger than what is left of `max_bytes`.
        """
        if self.folder is None:
            raise ValueError(f"its buffer {uri!r} is another file, which a stream cannot reach")
        # A URI is percent-encoded, but some exporters write the name as it is, and some with backslashes.
        bare = unquote(_BEHIND_PATH.sub("", uri))
        for name in dict.fromkeys((unquote(uri), uri, unquote(uri).replace("\\", "/"), bare)):
            path = (self.folder / PurePosixPath(name)).resolve()
            if not path.is_relative_to(self.folder):
                raise ValueError(f"its buffer {uri!r} lies outside its folder")
            if path.is_file():
                self.left -= path.stat().st_size  # the same file may be named a thousand times
                check_size(self.max_bytes - self.left, self.max_bytes)
                return path.read_bytes()
        raise ValueError(f"its buffer {uri!r} is missing")


class Buffers:
    """The buffers and buffer views of a document; each is read once, when it is first asked for."""

    def __init__(self, document: Document, folder: BufferFolder) -> None:
        self._document, self._folder = document, folder
        self._buffers: dict[int, memoryview] = {}
        self._decoded: dict[int, memoryview] = {}

    def view(self, index: object) -> memoryview:
        """The bytes of a buffer view, decompressed.

        Raises
        ------
        ValueError
            It reaches beyond its buffer, or its data cannot be read.
        BadMeshError
            It is compressed, and the package that decodes it is missing.
        """
        number = whole(index)
        if number in self._decoded:
            return self._decoded[number]
        view = self._document.item("bufferViews", number)
        packed = next(filter(None, (extension_of(view, name) for name in _MESHOPT)), None)
        if packed is None:
            return self._part(view)
        if not can_decode_meshopt():
            if self._has_data(view["buffer"]):
                return self._part(view)  # not compressed, for programs that do not know the extension
            raise BadMeshError(
                "it is compressed with meshoptimizer",
                "install the Python package meshoptimizer, or export it without compression",
            )
        stride, count = whole(packed["byteStride"]), whole(packed["count"])
        if stride * count > whole(view["byteLength"]):  # what all views announce has been checked
            raise ValueError(f"buffer view {number} is too short for what it is compressed from")
        mode, filtered = str(packed["mode"]), str(packed.get("filter", "NONE"))
        self._decoded[number] = decode_meshopt(self._part(packed), stride, count, mode, filtered)
        return self._decoded[number]

    def _part(self, place: dict[str, Any]) -> memoryview:
        """The bytes of a buffer that a view, or its compressed form, names."""
        start, length = whole(place.get("byteOffset", 0)), whole(place["byteLength"])
        number = whole(place["buffer"])
        if number not in self._buffers:
            self._buffers[number] = self._buffer(number)
        if start + length > len(self._buffers[number]):
            raise ValueError(
                f"a view reaches beyond the {len(self._buffers[number])} bytes of buffer {number}"
            )
        return self._buffers[number][start : start + length]

    def _has_data(self, index: object) -> bool:
        in_file = whole(index) == 0 and self._document.chunk is not None
        return in_file or "uri" in self._document.item("buffers", index)

    def _buffer(self, number: int) -> memoryview:
        buffer = self._document.item("buffers", number)
        uri = buffer.get("uri")
        if uri is None:
            if number != 0 or self._document.chunk is None:
                raise ValueError(f"its buffer {number} has no data")
            return self._document.chunk
        head = _DATA_URI.match(uri)
        if head is None:
            return memoryview(self._folder.read(uri))
        return memoryview(_inline(head[1], uri[head.end() :], whole(buffer.get("byteLength", 0))))


def _inline(media: str, text: str, length: int) -> bytes:
    """The bytes of a data URI by what stands before and behind its comma.

    Those of one that is not base64 are percent-encoded; they must be as many as the buffer has, since base64
    may only lack its name. Raises ValueError: they are not, or no base64.
    """
    if _BASE64.search(media) is None:
        data = unquote_to_bytes(text)
        if len(data) != length:
            raise ValueError("a data URI that is not base64, nor the bytes of its buffer")
        return data
    if "%" in text:
        text = unquote(text)
    digits = text.encode("ascii").translate(_URL_SAFE, b" \t\r\n").rstrip(b"=")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
