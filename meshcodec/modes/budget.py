"""Bytes of a file that are left for its payload."""

from __future__ import annotations

from meshcodec.errors import UsageError
from meshcodec.format.container import HEADER_BYTES, LEVEL_BYTES, MAX_TOKENS, MIN_SIZE, PLACEMENT_BYTES


def payload_bytes(size: int, placement: bool = True, level: bool = False) -> int:
    """How many bytes of payload fit in a file of ``size`` bytes, header included (at most 65535).

    A file with a ``placement`` or a ``level`` has room for fewer.

    Raises UsageError under 64 bytes.
    """
    if size < MIN_SIZE:
        raise UsageError(f"a size of {size} bytes is too small", f"ask for {MIN_SIZE} bytes or more")
    extras = (PLACEMENT_BYTES if placement else 0) + (LEVEL_BYTES if level else 0)
    return min(size - HEADER_BYTES - extras, MAX_TOKENS)
