"""What every mode checks before it begins, and the bytes of a file that are left for its payload."""

from __future__ import annotations

from meshcodec.config import MIN_SIZE
from meshcodec.errors import UsageError
from meshcodec.format.container import HEADER_BYTES, ISO_OFFSET_BYTES, MAX_TOKENS, PLACEMENT_BYTES
from meshcodec.format.payload import Packing


def check_request(size: int, effort: int, efforts: int, packing: str) -> None:
    """Raise UsageError for a size under 64 bytes, an effort outside 0..`efforts` - 1, an unknown packing."""
    Packing.parse(packing)
    if not 0 <= effort < efforts:
        raise UsageError(f"effort {effort} is out of range", f"choose 0 to {efforts - 1}")
    payload_bytes(size)


def payload_bytes(size: int, placement: bool = True, iso_offset: bool = False) -> int:
    """Bytes of payload that fit in a file of ``size`` bytes, header included (at most 65535).

    A ``placement`` and an ``iso_offset`` take their bytes from the payload.

    Raises UsageError under 64 bytes.
    """
    if size < MIN_SIZE:
        raise UsageError(f"a size of {size} bytes is too small", f"ask for {MIN_SIZE} bytes or more")
    extras = (PLACEMENT_BYTES if placement else 0) + (ISO_OFFSET_BYTES if iso_offset else 0)
    return min(size - HEADER_BYTES - extras, MAX_TOKENS)
