"""A ``.vat`` file by its bytes, its path, or open: the same bytes, and errors with its name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from meshcodec.errors import CorruptFileError
from meshcodec.format.container import LARGEST_FILE
from meshcodec.runtime.vat_source import named, vat_bytes

DATA = bytes(range(200))


class Slow(io.RawIOBase):
    """Gives seven bytes at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 7))


def test_every_kind_of_source_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.vat"
    path.write_bytes(DATA)
    for source in (DATA, bytearray(DATA), memoryview(DATA), path, str(path), io.BytesIO(DATA), Slow(DATA)):
        assert vat_bytes(source) == DATA  # type: ignore[arg-type]
    with path.open("rb") as stream:
        assert vat_bytes(stream) == DATA


def test_no_more_is_read_than_any_file_has(tmp_path: Path) -> None:
    path = tmp_path / "sparse.vat"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    assert len(vat_bytes(path)) == LARGEST_FILE
    with path.open("rb") as stream:
        assert len(vat_bytes(stream)) == LARGEST_FILE


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.vat").write_text("VAT")
    with (tmp_path / "text.vat").open() as text, pytest.raises(CorruptFileError, match="open as text"):
        vat_bytes(text)  # type: ignore[arg-type]
    with pytest.raises(CorruptFileError, match="cannot be read: I/O operation on closed file"):
        vat_bytes(text)  # type: ignore[arg-type]
    with pytest.raises(CorruptFileError, match="there is no such file; check the path"):
        vat_bytes(tmp_path / "none.vat")
    for path in (tmp_path, "null\0byte.vat"):
        with pytest.raises(CorruptFileError, match="cannot be read: "):
            vat_bytes(path)


@pytest.mark.parametrize("source", [5, None, [DATA], object(), {}])
def test_what_is_no_source_is_said(source: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^decode takes the bytes of a \.vat file, its path, or an open"
    ) as caught:
        vat_bytes(source)
    assert str(caught.value).endswith(f", not {type(source).__name__}")


def test_errors_begin_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.vat"
    path.touch()
    with path.open("rb") as stream:
        for source in (path, str(path), stream):
            with pytest.raises(CorruptFileError, match=r"a\.vat: damaged; get it again"), named(source):
                raise CorruptFileError("damaged", "get it again")
    for nameless in (DATA, io.BytesIO(DATA), 5):
        with pytest.raises(CorruptFileError, match=r"^damaged; get it again"), named(nameless):
            raise CorruptFileError("damaged", "get it again")
