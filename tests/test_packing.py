from __future__ import annotations

import pytest

from meshcodec import packing
from meshcodec.errors import CorruptFileError


def test_packing_0_is_one_byte_per_token() -> None:
    tokens = bytes(range(256))
    assert packing.pack(tokens, 0) == tokens
    assert packing.unpack(tokens, 256, 0) == tokens
    assert packing.payload_size(256, 0) == 256


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_payload_of_another_length_is_refused(count: int) -> None:
    with pytest.raises(CorruptFileError, match=f"3 bytes and {count} are needed"):
        packing.unpack(b"abc", count, 0)


@pytest.mark.parametrize("number", [1, 2, 15])
def test_unknown_packings_ask_for_a_newer_version(number: int) -> None:
    with pytest.raises(CorruptFileError, match="newer meshcodec is needed"):
        packing.pack(b"abc", number)
    with pytest.raises(CorruptFileError, match="newer meshcodec is needed"):
        packing.unpack(b"abc", 3, number)
    with pytest.raises(CorruptFileError, match="newer meshcodec is needed"):
        packing.payload_size(3, number)


def test_a_later_packing_joins_through_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = packing.Packing(lambda t: t[::-1], lambda p, n: p[::-1], lambda n: None)
    monkeypatch.setitem(packing.PACKINGS, 1, backwards)
    assert packing.pack(b"abc", 1) == b"cba"
    assert packing.unpack(b"cba", 3, 1) == b"abc"
    assert packing.payload_size(3, 1) is None
