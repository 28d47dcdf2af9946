"""Tokens to payload bytes and back.

A packing is a number in 0..3, kept in the low bits of the file's flags. Packing 0 stores one byte per token.
Packing 1 stores the message of a range coder, with the probabilities that belong to the model of the tokens
(`meshcodec.format.token_coder`).
"""

from __future__ import annotations

from typing import Protocol

from meshcodec.errors import CorruptFileError

BYTES, CODED = 0, 1
PACKINGS = ("coded", "bytes")
"""What an encoder may be asked for; the first by default. ``coded`` takes the shorter of both packings."""


class TokenCoder(Protocol):
    """Makes messages of the tokens of one model, and tokens of messages; `meshcodec.format.token_coder.TokenModel`."""

    def encode(self, tokens: bytes) -> bytes:
        """The message of tokens."""

    def decode(self, message: bytes, count: int) -> bytes:
        """The tokens of a message. Raises CorruptFileError for what `encode` does not write."""


def check(packing: int) -> None:
    """CorruptFileError: an unknown packing."""
    if packing not in (BYTES, CODED):
        raise CorruptFileError(
            f"unknown packing {packing}", "a newer meshcodec is needed to read it (or the file is damaged)"
        )


def pack(tokens: bytes, packing: int, coder: TokenCoder | None = None) -> bytes:
    """Payload of ``tokens`` (unsigned bytes).

    Raises
    ------
    CorruptFileError
        Unknown packing.
    ValueError
        Packing 1 without a coder.
    """
    check(packing)
    if packing == BYTES:
        return tokens
    if coder is None:
        raise ValueError("packing 1 needs a coder")
    return coder.encode(tokens)


def unpack(payload: bytes, count: int, packing: int, coder: TokenCoder | None = None) -> bytes:
    """The ``count`` tokens of ``payload``.

    Raises
    ------
    CorruptFileError
        Unknown packing, wrong length, or a message that no coder writes.
    ValueError
        Packing 1 without a coder.
    """
    check(packing)
    if packing == BYTES:
        if len(payload) != count:
            raise CorruptFileError(
                f"the payload holds {len(payload)} bytes and {count} are needed", "fetch the file again"
            )
        return payload
    if coder is None:
        raise ValueError("packing 1 needs a coder")
    return coder.decode(payload, count)


def payload_size(count: int, packing: int) -> int | None:
    """Bytes that ``count`` tokens take, None where it depends on them. CorruptFileError: unknown packing."""
    check(packing)
    return count if packing == BYTES else None
