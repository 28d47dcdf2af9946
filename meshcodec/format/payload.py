"""The kinds of payload, and tokens to payload bytes and back.

The payload of a mesh (`Packing.MESH`) is the business of `meshcodec.format.mesh_coder`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from meshcodec.errors import CorruptFileError, UsageError


class Packing(IntEnum):
    """What the payload of a file holds, and how. The value is the number in the low two bits of its flags."""

    BYTES = 0
    """Tokens, one byte for each."""
    CODED = 1
    """Tokens as the message of a range coder, with the probabilities that belong to the model of the tokens
    (`meshcodec.format.token_coder`)."""
    MESH = 2
    """Vertices and faces on a grid (`meshcodec.format.mesh_coder`)."""

    @property
    def word(self) -> str:
        """The name on the command line and in Python: "bytes" or "coded"."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Packing:
        """The packing of tokens by its name. UsageError: tokens have none of that name."""
        for packing in TOKEN_PACKINGS:
            if packing.word == word:
                return packing
        raise UsageError(f"there is no packing {word!r}", f"choose {' or '.join(PACKING_WORDS)}")

    @classmethod
    def from_number(cls, number: int) -> Packing:
        """The packing of a number in a file's flags. CorruptFileError: this version does not know it."""
        try:
            return cls(number)
        except ValueError as error:
            raise CorruptFileError(
                f"unknown packing {number}",
                "a newer meshcodec is needed to read it (or the file is damaged)",
            ) from error


TOKEN_PACKINGS = (Packing.BYTES, Packing.CODED)  # kinds of payload that hold tokens
DEFAULT_PACKING = Packing.CODED.word  # an encoder that is asked for it takes the shorter of both packings
PACKING_WORDS = (DEFAULT_PACKING, Packing.BYTES.word)  # what an encoder may be asked for, the default first


class TokenCoder(Protocol):
    """Messages of one model's tokens, and tokens of messages: `meshcodec.format.token_coder.TokenModel`."""

    def encode(self, tokens: bytes) -> bytes:
        """The message of tokens."""

    def decode(self, message: bytes, count: int) -> bytes:
        """The tokens of a message. Raises CorruptFileError for what `encode` does not write."""


def pack(tokens: bytes, packing: Packing, coder: TokenCoder | None = None) -> bytes:
    """Payload of ``tokens`` (unsigned bytes). ValueError: coded without a coder."""
    if packing == Packing.BYTES:
        return tokens
    if coder is None:
        raise ValueError("packing 1 needs a coder")
    return coder.encode(tokens)


def unpack(payload: bytes, count: int, packing: Packing, coder: TokenCoder | None = None) -> bytes:
    """The ``count`` tokens of ``payload``.

    Raises
    ------
    CorruptFileError
        Wrong length, or a message that no coder writes.
    ValueError
        Coded without a coder, or no tokens at all.
    """
    if packing not in TOKEN_PACKINGS:
        raise ValueError(f"packing {int(packing)} holds no tokens")
    if packing == Packing.BYTES:
        if len(payload) != count:
            raise CorruptFileError(
                f"the payload holds {len(payload)} bytes and {count} are needed", "fetch the file again"
            )
        return payload
    if coder is None:
        raise ValueError("packing 1 needs a coder")
    return coder.decode(payload, count)


def payload_size(count: int, packing: Packing) -> int | None:
    """Bytes that ``count`` tokens or faces take, None where it depends on them."""
    return count if packing == Packing.BYTES else None
