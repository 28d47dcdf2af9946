"""The box of a shape as symbols, which a prior predicts before the tokens."""

from __future__ import annotations

import math
from typing import cast

from meshcodec.format.box import Axes

SYMBOLS = 4
"""Of a box: which axes are mirrored, then the length of each side."""
VALUES = 16
"""A symbol is 0 to this, exclusively."""
_STEP = 0.2
"""Between two lengths, in octaves; the longest of the three sides is 0."""


def box_tokens(half_extents: tuple[float, float, float], mirrored: Axes) -> list[int]:
    """Half-extents of a box and its mirrored axes -> 4 symbols; lengths are rounded by at most 7 %."""
    mirrors = sum(int(is_one) << axis for axis, is_one in enumerate(mirrored))
    octaves = (math.log2(max(half_extents) / side) for side in half_extents)
    return [mirrors, *(min(round(octave / _STEP), VALUES - 1) for octave in octaves)]


def box_of_tokens(symbols: list[int]) -> tuple[tuple[float, float, float], Axes]:
    """4 symbols -> half-extents, the longest of which is 1, and mirrored axes."""
    mirrors, *lengths = symbols
    shortest = min(lengths)
    x, y, z = (2.0 ** (-_STEP * (length - shortest)) for length in lengths)
    return (x, y, z), cast(Axes, tuple(bool(mirrors >> axis & 1) for axis in range(3)))
