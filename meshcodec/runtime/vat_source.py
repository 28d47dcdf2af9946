"""What a ``.vat`` file may be given as in Python: its bytes, its path, or an open file."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from meshcodec.errors import CorruptFileError, error_context
from meshcodec.format.container import LARGEST_FILE

VatSource: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"
"""The bytes of a file, its path, or a file open in binary mode."""


def vat_bytes(source: VatSource) -> bytes:
    """The bytes of a ``.vat`` file; of what is longer than any such file, the beginning.

    Raises
    ------
    CorruptFileError
        It cannot be read.
    TypeError
        `source` is none of these.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        if isinstance(source, (str, os.PathLike)):
            with Path(source).open("rb") as stream:
                return stream.read(LARGEST_FILE)
        if callable(getattr(source, "read", None)):
            data = source.read(LARGEST_FILE)
            if not isinstance(data, bytes):
                raise CorruptFileError("it is open as text", "open it in binary mode")
            while len(data) < LARGEST_FILE and (more := source.read(LARGEST_FILE - len(data))):
                data += more  # one without a buffer gives a piece at a time
            return data
    except FileNotFoundError as error:
        raise CorruptFileError("there is no such file", "check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in a path, a file that is closed
        reason = getattr(error, "strerror", None) or error
        raise CorruptFileError(f"cannot be read: {reason}", "check the path") from error
    taken = "the bytes of a .vat file, its path, or an open binary file"
    raise TypeError(f"decode takes {taken}, not {type(source).__name__}")


def named(source: Any) -> AbstractContextManager[None]:
    """A context in which errors begin with the name of the file that `source` is, where it has a name."""
    name = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    return error_context(os.fspath(name)) if isinstance(name, (str, os.PathLike)) else nullcontext()
