"""Box tokens: the box of a shape as small numbers, which a prior predicts before the tokens."""

from __future__ import annotations

import math
from typing import cast

from meshcodec.format.box import Axes

BOX_TOKENS = 4
"""Box tokens of a shape: which axes are mirrored, then the length of each side."""
BOX_VALUES = 16
"""Values of a box token: 0 to this, exclusively."""
MIRROR_VALUES = 8
"""Values of the first box token, whose bits are the three axes."""
_STEP = 0.2
"""Octaves between two lengths; the longest of the three sides is 0."""


def box_tokens(half_extents: tuple[float, float, float], mirrored: Axes) -> list[int]:
    """Half-extents of a box and its mirrored axes -> 4 box tokens; lengths are rounded by at most 7 %."""
    mirrors = sum(int(is_one) << axis for axis, is_one in enumerate(mirrored))
    octaves = (math.log2(max(half_extents) / side) for side in half_extents)
    return [mirrors, *(min(round(octave / _STEP), BOX_VALUES - 1) for octave in octaves)]


def box_of_tokens(tokens: list[int]) -> tuple[tuple[float, float, float], Axes]:
    """4 box tokens -> half-extents, the longest of which is 1, and mirrored axes."""
    mirrors, *lengths = tokens
    shortest = min(lengths)
    x, y, z = (2.0 ** (-_STEP * (length - shortest)) for length in lengths)
    return (x, y, z), cast(Axes, tuple(bool(mirrors >> axis & 1) for axis in range(3)))
