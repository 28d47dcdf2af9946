"""Tokens to payload bytes and back.

A packing is a number in 0..15, kept in the low bits of the file's flags. Packing 0 stores one byte per token.
Packing 1 is reserved for range coding with integer tables; it joins ``PACKINGS`` when it exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshcodec.errors import CorruptFileError


@dataclass(frozen=True)
class Packing:
    """One way to store tokens.

    ``pack``: tokens to payload. ``unpack``: payload and token count to tokens, CorruptFileError where they do
    not agree. ``payload_size``: bytes that a token count takes, or None where only the payload itself tells.
    """

    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]
    payload_size: Callable[[int], int | None]


def _unpack_bytes(payload: bytes, count: int) -> bytes:
    if len(payload) != count:
        raise CorruptFileError(
            f"the payload holds {len(payload)} bytes and {count} are needed", "fetch the file again"
        )
    return payload


PACKINGS: dict[int, Packing] = {
    0: Packing(pack=lambda tokens: tokens, unpack=_unpack_bytes, payload_size=lambda count: count),
}


def _lookup(packing: int) -> Packing:
    try:
        return PACKINGS[packing]
    except KeyError:
        raise CorruptFileError(
            f"unknown packing {packing}", "a newer meshcodec is needed to read it (or the file is damaged)"
        ) from None


def pack(tokens: bytes, packing: int) -> bytes:
    """Payload of ``tokens`` (unsigned bytes). CorruptFileError: unknown packing."""
    return _lookup(packing).pack(tokens)


def unpack(payload: bytes, count: int, packing: int) -> bytes:
    """The ``count`` tokens of ``payload``. CorruptFileError: unknown packing, wrong length."""
    return _lookup(packing).unpack(payload, count)


def payload_size(count: int, packing: int) -> int | None:
    """Bytes that ``count`` tokens take, None where it depends on them. CorruptFileError: unknown packing."""
    return _lookup(packing).payload_size(count)
