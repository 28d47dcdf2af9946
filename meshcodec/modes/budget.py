"""What every mode checks before it begins, and the bytes of a file that are left for its payload."""

from __future__ import annotations

from meshcodec.config import MIN_SIZE
from meshcodec.errors import UsageError
from meshcodec.format.container import MAX_TOKENS, head_bytes
from meshcodec.format.payload import Packing
from meshcodec.format.short_header import SHORT_VERSION


def check_request(size: int, effort: int, efforts: int, packing: str) -> None:
    """Raise UsageError for a size under 64 bytes, an effort outside 0..`efforts` - 1, an unknown packing."""
    Packing.parse(packing)
    if not 0 <= effort < efforts:
        raise UsageError(f"effort {effort} is out of range", f"choose 0 to {efforts - 1}")
    payload_bytes(size)


def payload_bytes(
    size: int, version: int = SHORT_VERSION, placement: bool = True, iso_offset: bool = False
) -> int:
    """Bytes of payload that fit in a file of ``size`` bytes, header included (at most 65535).

    The header of a ``version`` of the format, a ``placement`` and an ``iso_offset`` take their bytes from it.

    Raises UsageError under 64 bytes.
    """
    if size < MIN_SIZE:
        raise UsageError(f"a size of {size} bytes is too small", f"ask for {MIN_SIZE} bytes or more")
    return min(size - head_bytes(version, placement, iso_offset), MAX_TOKENS)
