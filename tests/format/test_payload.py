"""Tokens to payloads and back."""

from __future__ import annotations

import pytest

from meshcodec.errors import CorruptFileError
from meshcodec.format import payload


class Backwards:
    """A coder that is easy to follow."""

    def encode(self, tokens: bytes) -> bytes:
        return tokens[::-1]

    def decode(self, message: bytes, count: int) -> bytes:
        return message[::-1][:count]


def test_packing_0_is_one_byte_per_token() -> None:
    tokens = bytes(range(256))
    assert payload.pack(tokens, 0) == tokens
    assert payload.unpack(tokens, 256, 0) == tokens
    assert payload.payload_size(256, 0) == 256


@pytest.mark.parametrize("count", [0, 2, 4])
def test_packing_0_refuses_another_number_of_bytes(count: int) -> None:
    with pytest.raises(CorruptFileError, match=f"holds 3 bytes and {count} are needed"):
        payload.unpack(b"abc", count, 0)


def test_packing_1_is_the_message_of_a_coder() -> None:
    assert payload.pack(b"abc", 1, Backwards()) == b"cba"
    assert payload.unpack(b"cba", 2, 1, Backwards()) == b"ab"
    assert payload.payload_size(3, 1) is None
    with pytest.raises(ValueError, match="needs a coder"):
        payload.pack(b"abc", 1)
    with pytest.raises(ValueError, match="needs a coder"):
        payload.unpack(b"abc", 3, 1)


@pytest.mark.parametrize("number", [2, 3, 4, 15, -1])
def test_unknown_packings_ask_for_a_newer_version(number: int) -> None:
    with pytest.raises(CorruptFileError, match="newer meshcodec"):
        payload.pack(b"abc", number, Backwards())
    with pytest.raises(CorruptFileError, match="newer meshcodec"):
        payload.unpack(b"abc", 3, number, Backwards())
    with pytest.raises(CorruptFileError, match="newer meshcodec"):
        payload.payload_size(3, number)
