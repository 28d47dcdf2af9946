"""Boxes and mirrors as a file holds them."""

from __future__ import annotations

import math
import struct

_SCALE = struct.Struct("<f")
_BOX_BIAS = 133
_LARGEST = float.fromhex("0x1.fffffep+127")  # of float32
Triple = tuple[float, float, float]
Axes = tuple[bool, bool, bool]
"""A choice of axes: x, y, z."""
NO_AXES: Axes = (False, False, False)


def round_box(half_extents: Triple) -> Triple:
    """Half-extents as a file can hold them: rounded up, the longest by less than 1 %, others by more.

    They share one exponent: each becomes a whole multiple, 1 to 255, of the same power of two.

    Raises ValueError for what is not above 0, not finite, or outside float32's range.
    """
    longest = max(half_extents)
    if not (all(0 < h <= _LARGEST for h in half_extents) and longest >= 2.0**-126):
        raise ValueError(f"half-extents {half_extents} are outside float32's range")
    exponent = math.frexp(longest)[1] - 8
    if math.ceil(math.ldexp(longest, -exponent)) > 255:
        exponent += 1
    x, y, z = (math.ldexp(math.ceil(math.ldexp(h, -exponent)), exponent) for h in half_extents)
    if max(x, y, z) > _LARGEST:
        raise ValueError(f"half-extents {half_extents} are outside float32's range once rounded up")
    return x, y, z


def is_box(half_extents: Triple) -> bool:
    x, y, z = half_extents
    return not x == y == z


def pack_box(half_extents: Triple) -> bytes:
    """The four bytes of half-extents. Raises ValueError for unequal ones that `round_box` does not give."""
    if not is_box(half_extents):
        return _SCALE.pack(half_extents[0])
    if round_box(half_extents) != half_extents:
        raise ValueError(f"half-extents {half_extents} are not of the form that round_box gives")
    exponent = math.frexp(max(half_extents))[1] - 8
    return bytes([*(int(math.ldexp(h, -exponent)) for h in half_extents), exponent + _BOX_BIAS])


def unpack_box(extents: bytes, box: bool) -> Triple:
    if box:
        x, y, z = (math.ldexp(mantissa, extents[3] - _BOX_BIAS) for mantissa in extents[:3])
        return x, y, z
    (scale,) = _SCALE.unpack(extents)
    return scale, scale, scale


def placement_fault(center: Triple, half_extents: Triple) -> str:
    if not all(math.isfinite(value) for value in center):
        return f"bad placement: centre {center} is not finite"
    what = half_extents if is_box(half_extents) else half_extents[0]
    if not all(math.isfinite(h) and h > 0 for h in half_extents):
        return f"bad placement: scale {what} is not a finite number above 0"
    # Below that, a scale is a float32 like any other, but a box has no such exponent.
    if max(half_extents) > _LARGEST or (is_box(half_extents) and max(half_extents) < 2.0**-126):
        return f"bad placement: scale {what} is outside float32's range"
    return ""
