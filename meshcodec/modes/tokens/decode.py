"""Tokens to a field, and the field to a closed mesh."""

from __future__ import annotations

SMALL_COMPONENT = 0.066
"""Four texels of the planes, in the unit frame: parts of the decode that are nowhere longer, or longer than
one texel along one axis only, or within sixteen and of less volume than a cube of two, are errors of the
field."""
LIPSCHITZ_FACTOR = 0.75
"""Learned distances are a little short of true ones, and no part that the planes can hold hides between
corners this near (`extract` follows every surface that it meets, so only a part of its own could be lost)."""
