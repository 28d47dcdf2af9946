"""The frame of a mesh and the codec's cube [-1, 1]^3, and the way between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshcodec.config import EXTENT
from meshcodec.errors import BadMeshError
from meshcodec.format.box import NO_AXES, Axes, Triple, round_box
from meshcodec.format.short_header import center_step, center_steps, placed_at
from meshcodec.geometry.triangles import box_of

LARGEST_STRETCH = 8.0  # longest side of a box over its shortest, at most: a flat mesh stays a sheet
_FLOAT32 = np.finfo(np.float32)  # limits of the numbers in a file
_ROUNDINGS = 3  # of a centre: what is rounded up may get longer steps, but not twice
_FILLED = 0.9  # half-extent in the unit frame above which a mesh fills the cube along an axis


@dataclass(frozen=True)
class BoxTransform:
    """The box of a mesh and the cube in it: ``world = origin + unit_lengths * unit``, axis by axis.

    Across the mirrored axes the cube holds the upper half of the box, from the middle plane at
    ``unit = -EXTENT`` to the end at 1; what lies below is the image of that. Across the others it is the box.

    Attributes
    ----------
    center : middle of the box, x, y, z in the units of the mesh; float32 values.
    half_extents : half the sides of the box, in the units of the mesh; above 0.
    mirrored : the axes across which the mesh is symmetric.
    """

    center: tuple[float, float, float]
    half_extents: tuple[float, float, float]
    mirrored: Axes = NO_AXES

    @property
    def unit_lengths(self) -> NDArray[np.float64]:
        """(3,) lengths of the cube's unit along the axes, in the units of the mesh."""
        return np.where(self.mirrored, np.array(self.half_extents) / (1 + EXTENT), self.half_extents)

    @property
    def origin(self) -> NDArray[np.float64]:
        """(3,) the cube's centre, in the frame of the mesh."""
        return np.array(self.center) + np.where(self.mirrored, EXTENT * self.unit_lengths, 0.0)

    @property
    def scale(self) -> float:
        """The longest half-extent."""
        return max(self.half_extents)

    def to_unit(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 3) of the mesh's frame, in the cube's: float64 (n, 3)."""
        unit: NDArray[np.float64] = (np.asarray(points, dtype=np.float64) - self.origin) / self.unit_lengths
        return unit

    def to_world(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 3) of the cube's frame, in the mesh's: float64 (n, 3)."""
        world: NDArray[np.float64] = np.asarray(points, dtype=np.float64) * self.unit_lengths + self.origin
        return world


def fit_cube(vertices: ArrayLike) -> BoxTransform:
    """The placement without stretch, in which distances are measured: the longest half-extent on all axes.

    The centre is that of the bounding box. Both are rounded to float32, the centre to nearest and the
    half-extent up, so that no vertex leaves [-1, 1].

    Raises BadMeshError: no vertices, NaN or infinite coordinates, zero extent, and coordinates that float32
    cannot hold: above its range, below its precision, or farther from the origin than its digits reach.
    """
    center, reach = _bounds(vertices)
    scale = np.float32(min(float(reach.max()), float(_FLOAT32.max)))
    if float(scale) < reach.max():
        scale = np.nextafter(scale, np.float32(np.inf))
    if not np.isfinite(scale):
        raise _too_large()
    return BoxTransform(center, (float(scale),) * 3)


def fit_box(vertices: ArrayLike, mirrored: Axes = NO_AXES) -> BoxTransform:
    """The placement in which a mesh is coded: its bounding box fills the cube on every axis.

    Stretched so, the planes and the tokens are used in full by long and flat meshes too, and what is decoded
    with some error in the cube has a smaller one where the mesh is narrow. No axis is stretched more than
    `LARGEST_STRETCH` times as much as the longest. The half-extents are rounded up to what the file can hold
    (by less than 1 %, see `meshcodec.format.container`), so that what it stores is what the encoder used; so
    is the centre (`round_placement`).

    Across `mirrored` axes the cube gets the upper half of the mesh, with the middle plane at -EXTENT, where
    the decoder's planes end.

    Raises BadMeshError as `fit_cube` does.
    """
    halves = np.where(mirrored, 1 + EXTENT, 1.0)

    def sides(reach: NDArray[np.float64]) -> NDArray[np.float64]:
        least = float((reach / halves).max()) / LARGEST_STRETCH
        return np.maximum(reach, least * halves)

    return BoxTransform(*round_placement(vertices, sides), mirrored)


def round_placement(
    vertices: ArrayLike, sides: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[Triple, Triple]:
    """Centre and half-extents of a box around vertices, rounded so that a short header can hold them.

    Where the box is too far from the origin for that the centre is rounded to float32.

    Parameters
    ----------
    vertices : (n, 3) in their own frame
    sides : (3,) half-extents of the box for how far the vertices lie from its centre along each axis

    Raises BadMeshError as `fit_cube` does.
    """
    center, reach = _bounds(vertices)
    low, high = box_of(np.asarray(vertices, dtype=np.float64))
    half_extents = _rounded_up(sides(reach))
    for _ in range(_ROUNDINGS):
        steps = center_steps(center, half_extents)
        if steps is None:
            break
        near = placed_at(steps, half_extents)
        wider = _rounded_up(sides(np.maximum(high - near, near - low)))
        if center_step(wider) == center_step(half_extents):
            return near, wider
        half_extents = wider  # whose steps are longer
    return center, half_extents


def _rounded_up(half_extents: NDArray[np.float64]) -> Triple:
    x, y, z = half_extents.tolist()
    try:
        return round_box((x, y, z))
    except ValueError as error:
        raise _too_large() from error


def halve(
    vertices: NDArray[np.floating], axes: NDArray[np.bool_], sides: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Stretch unit-frame vertices (n, 3) so that a half of them fills the cube along the chosen axes.

    The middle plane goes to -side * EXTENT, where the planes and grids end, and the end of the chosen side
    (1 or -1) stays. Axes along which the vertices do not fill the cube are left alone.
    """
    unit = np.asarray(vertices, dtype=np.float64)
    return np.where(axes & filled_axes(unit), unit * (1 + EXTENT) - sides * EXTENT, unit)


def filled_axes(unit: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(3,) the axes along which unit-frame vertices (n, 3) fill the cube; a flat mesh has no halves."""
    filled: NDArray[np.bool_] = np.abs(unit).max(axis=0) > _FILLED
    return filled


def _bounds(vertices: ArrayLike) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """The bounding box's centre, rounded to float32, and how far vertices lie from it along each axis."""
    points = np.asarray(vertices, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise BadMeshError("it has no vertices", "give a mesh with faces")
    low, high = box_of(points)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise BadMeshError("it has NaN or infinite coordinates", "repair the mesh or export it again")
    # Halves first: the difference of two values that float32 cannot hold may overflow float64 as well.
    half_extent = float((high / 2 - low / 2).max())
    if half_extent == 0:
        raise BadMeshError("it has zero extent: all vertices are one point", "give a mesh with a surface")
    if max(float(np.abs(low).max()), float(np.abs(high).max())) > float(_FLOAT32.max):
        raise _too_large()
    if half_extent < float(_FLOAT32.tiny):
        raise BadMeshError("it is too small for float32", "scale the mesh up")

    center = ((low + high) / 2).astype(np.float32).astype(np.float64)
    reach: NDArray[np.float64] = np.maximum(high - center, center - low)
    if float(reach.max()) > 2 * half_extent:
        raise BadMeshError(
            "it is too far from the origin for its size: float32 cannot tell its vertices apart",
            "move the mesh to the origin",
        )
    x, y, z = center.tolist()
    return (x, y, z), reach


def _too_large() -> BadMeshError:
    return BadMeshError("its coordinates are too large for float32", "scale the mesh down")
