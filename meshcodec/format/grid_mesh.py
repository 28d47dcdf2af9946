"""Triangle meshes on the integer grid of a box: what a payload of kind `Packing.MESH` says.

The grid has the same step along every axis, so that shapes keep their angles. Its longest side has
``2**bits - 1`` steps, the others as many as they need. Across a mirrored axis it begins at the middle plane
and covers the upper half of the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshcodec.format.box import NO_AXES, Axes, Triple
from meshcodec.format.grid_copies import Copy, with_copies

Integers = NDArray[np.int64]
LEAST_BITS, MOST_BITS = 4, 12  # bits of a coordinate along the longest side
FLAT = 0  # crease code: the triangles themselves are the surface
SMOOTH = 1  # crease code: a Loop subdivision surface, creased only where an edge has not two faces
CREASE_STEP = 15.0  # degrees between the crease angles of one code and the next; the code 2 is this angle
MOST_CREASE = 12  # largest crease code, 165 degrees
MOST_FACES = 0xFFFF  # faces of a mesh, its copies with it; as many as a file's header can announce


def crease_angle(crease: int) -> float:
    """Degrees between two faces from which their edge is a crease; 180 where no angle makes one."""
    return 180.0 if crease == SMOOTH else CREASE_STEP * (crease - SMOOTH)


@dataclass(frozen=True)
class GridMesh:
    """A mesh of integers, before it is placed.

    Attributes
    ----------
    positions : (V, 3), each from 0 to the grid's `MeshGrid.sides`, no two the same
    faces : (F, 3) different vertices each, every vertex in at least one
    bits : bits of a coordinate along the longest side, LEAST_BITS to MOST_BITS
    crease : FLAT, SMOOTH, or 2 to MOST_CREASE: a Loop surface with creases (`crease_angle`)
    copies : of parts, by vertices of theirs; they belong to the mesh
    """

    positions: Integers
    faces: Integers
    bits: int
    crease: int = FLAT
    copies: tuple[Copy, ...] = ()

    @cached_property
    def whole(self) -> tuple[Integers, Integers]:
        """Positions and faces with those of the copies after them."""
        return with_copies(self.positions, self.faces, self.copies)


@dataclass(frozen=True)
class MeshGrid:
    """The grid of a file's box, and the way from it to the frame of the mesh.

    Attributes
    ----------
    center, half_extents : the box, as the file stores it
    mirrored : axes across which the grid covers the upper half of the box alone
    bits : bits of a coordinate along the longest side
    """

    center: Triple
    half_extents: Triple
    mirrored: Axes = NO_AXES
    bits: int = 8

    @property
    def step(self) -> float:
        """Length of a step, in the units of the mesh."""
        return 2 * max(self.half_extents) / ((1 << self.bits) - 1)

    @property
    def sides(self) -> Integers:
        """(3,) the largest coordinate along each axis, at least 1; exact, whatever the machine."""
        longest = Fraction(max(self.half_extents))
        steps = Fraction((1 << self.bits) - 1)
        whole = [
            math.ceil(steps * Fraction(half) / longest / (2 if mirrored else 1))
            for half, mirrored in zip(self.half_extents, self.mirrored, strict=True)
        ]
        return np.maximum(whole, 1).astype(np.int64)

    @property
    def origin(self) -> NDArray[np.float64]:
        """(3,) where the grid begins, in the frame of the mesh."""
        return np.array(self.center) - np.where(self.mirrored, 0.0, self.half_extents)

    def to_grid(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 3) of the mesh's frame in steps of the grid, not rounded."""
        steps: NDArray[np.float64] = (np.asarray(points, dtype=np.float64) - self.origin) / self.step
        return steps

    def rounded(self, points: ArrayLike) -> Integers:
        """The grid's nearest place to each of (n, 3) points of the mesh's frame."""
        whole: Integers = np.clip(np.rint(self.to_grid(points)), 0, self.sides).astype(np.int64)
        return whole

    def to_world(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Places of the grid (n, 3), whole or between, in the mesh's frame."""
        world: NDArray[np.float64] = np.asarray(positions, dtype=np.float64) * self.step + self.origin
        return world
