"""Boxes and mirrors as a file holds them."""

from __future__ import annotations

import math
import struct

Triple = tuple[float, float, float]  # x, y, z
Axes = tuple[bool, bool, bool]  # which of the axes x, y, z
NO_AXES: Axes = (False, False, False)
_SCALE = struct.Struct("<f")  # half-extents that are all the same
_BOX_BIAS = 133  # exponent byte of mantissas that are half-extents themselves
_LARGEST = float.fromhex("0x1.fffffep+127")  # largest float32
_SMALLEST = 2.0**-126  # smallest float32 with all its digits


def round_box(half_extents: Triple) -> Triple:
    """Half-extents as a file can hold them: rounded up, the longest by less than 1 %, others by more.

    They share one exponent: each becomes a whole multiple, 1 to 255, of the same power of two.

    Raises ValueError for what is not above 0, not finite, or outside float32's range.
    """
    longest = max(half_extents)
    if not (all(0 < h <= _LARGEST for h in half_extents) and longest >= _SMALLEST):
        raise ValueError(f"half-extents {half_extents} are outside float32's range")
    exponent = math.frexp(longest)[1] - 8
    if math.ceil(math.ldexp(longest, -exponent)) > 255:
        exponent += 1
    x, y, z = (math.ldexp(math.ceil(math.ldexp(h, -exponent)), exponent) for h in half_extents)
    if max(x, y, z) > _LARGEST:
        raise ValueError(f"half-extents {half_extents} are outside float32's range once rounded up")
    return x, y, z


def is_box(half_extents: Triple) -> bool:
    """Whether half-extents differ, so that a file stores them as a box and not as a scale."""
    x, y, z = half_extents
    return not x == y == z


def pack_box(half_extents: Triple) -> bytes:
    """The four bytes of half-extents. Raises ValueError for unequal ones that `round_box` does not give."""
    return pack_mantissas(half_extents) if is_box(half_extents) else _SCALE.pack(half_extents[0])


def pack_mantissas(half_extents: Triple) -> bytes:
    """Three mantissas and an exponent of half-extents. ValueError: `round_box` does not give these."""
    if round_box(half_extents) != half_extents:
        raise ValueError(f"half-extents {half_extents} are not of the form that round_box gives")
    exponent = math.frexp(max(half_extents))[1] - 8
    return bytes([*(int(math.ldexp(h, -exponent)) for h in half_extents), exponent + _BOX_BIAS])


def unpack_box(extents: bytes, box: bool) -> Triple:
    """Half-extents of their four bytes, which hold a box or else a scale; they may be invalid."""
    if box:
        x, y, z = (math.ldexp(mantissa, extents[3] - _BOX_BIAS) for mantissa in extents[:3])
        return x, y, z
    (scale,) = _SCALE.unpack(extents)
    return scale, scale, scale


def placement_fault(center: Triple, half_extents: Triple) -> str:
    """What is wrong with a placement that a file is to hold; empty where nothing is."""
    if not all(math.isfinite(value) for value in center):
        return f"bad placement: centre {center} is not finite"
    what = half_extents if is_box(half_extents) else half_extents[0]
    if not all(math.isfinite(h) and h > 0 for h in half_extents):
        return f"bad placement: scale {what} is not a finite number above 0"
    # Below that, a scale is a float32 like any other, but a box has no such exponent.
    if max(half_extents) > _LARGEST or (is_box(half_extents) and max(half_extents) < _SMALLEST):
        return f"bad placement: scale {what} is outside float32's range"
    if max(map(abs, center)) > _LARGEST:
        return f"bad placement: centre {center} is outside float32's range"
    return ""
