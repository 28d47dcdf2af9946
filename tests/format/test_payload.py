"""Tokens to payloads and back."""

from __future__ import annotations

import json

import pytest

from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format import payload
from meshcodec.format.payload import DEFAULT_PACKING, PACKING_WORDS, TOKEN_PACKINGS, Packing


class Backwards:
    """A coder that is easy to follow."""

    def encode(self, tokens: bytes) -> bytes:
        return tokens[::-1]

    def decode(self, message: bytes, count: int) -> bytes:
        return message[::-1][:count]


def test_packing_0_is_one_byte_per_token() -> None:
    tokens = bytes(range(256))
    assert payload.pack(tokens, Packing.BYTES) == tokens
    assert payload.unpack(tokens, 256, Packing.BYTES) == tokens
    assert payload.payload_size(256, Packing.BYTES) == 256


@pytest.mark.parametrize("count", [0, 2, 4])
def test_packing_0_refuses_another_number_of_bytes(count: int) -> None:
    with pytest.raises(CorruptFileError, match=f"holds 3 bytes and {count} are needed"):
        payload.unpack(b"abc", count, Packing.BYTES)


def test_packing_1_is_the_message_of_a_coder() -> None:
    assert payload.pack(b"abc", Packing.CODED, Backwards()) == b"cba"
    assert payload.unpack(b"cba", 2, Packing.CODED, Backwards()) == b"ab"
    assert payload.payload_size(3, Packing.CODED) is None
    with pytest.raises(ValueError, match="needs a coder"):
        payload.pack(b"abc", Packing.CODED)
    with pytest.raises(ValueError, match="needs a coder"):
        payload.unpack(b"abc", 3, Packing.CODED)


@pytest.mark.parametrize("number", [3, 4, 15, -1])
def test_unknown_packings_ask_for_a_newer_version(number: int) -> None:
    with pytest.raises(CorruptFileError, match=f"unknown packing {number}; a newer meshcodec"):
        Packing.from_number(number)


def test_a_packing_has_a_number_in_files_and_a_word_elsewhere() -> None:
    assert {packing.word: int(packing) for packing in Packing} == {"bytes": 0, "coded": 1, "mesh": 2}
    for packing in TOKEN_PACKINGS:
        assert Packing.from_number(int(packing)) is Packing.parse(packing.word) is packing
    assert json.dumps(Packing.CODED) == "1"
    assert PACKING_WORDS == (DEFAULT_PACKING, "bytes") == ("coded", "bytes")
    with pytest.raises(UsageError, match="there is no packing 'zip'; choose coded or bytes"):
        Packing.parse("zip")
