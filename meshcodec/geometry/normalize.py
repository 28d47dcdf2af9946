"""The frame of a mesh and the codec's cube [-1, 1]^3, and the way between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import BadMeshError

_FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True)
class Placement:
    """Where the cube lies in the frame of the mesh: ``world = center + scale * unit``.

    Attributes
    ----------
    center : x, y, z in the units of the mesh; float32 values.
    scale : half the side of the cube, in the units of the mesh; a float32 value above 0.
    """

    center: tuple[float, float, float]
    scale: float

    def to_unit(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 3) of the mesh's frame, in the cube's: float64 (n, 3)."""
        unit: NDArray[np.float64] = (np.asarray(points, dtype=np.float64) - self.center) / self.scale
        return unit

    def to_world(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 3) of the cube's frame, in the mesh's: float64 (n, 3)."""
        world: NDArray[np.float64] = np.asarray(points, dtype=np.float64) * self.scale + self.center
        return world


def placement_of(vertices: ArrayLike) -> Placement:
    """The placement that puts ``vertices`` (n, 3) in the cube: bounding box centre and longest half-extent.

    Both are rounded to float32, the centre to nearest and the scale up, so that what the file stores is what
    the encoder used and no vertex leaves [-1, 1].

    Raises BadMeshError: no vertices, NaN or infinite coordinates, zero extent, and coordinates that float32
    cannot hold: above its range, below its precision, or farther from the origin than its digits reach.
    """
    points = np.asarray(vertices, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise BadMeshError("it has no vertices", "give a mesh with faces")
    low, high = points.min(axis=0), points.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise BadMeshError("it has NaN or infinite coordinates", "repair the mesh or export it again")
    # Halves first: the difference of two values that float32 cannot hold may overflow float64 as well.
    half_extent = float((high / 2 - low / 2).max())
    if half_extent == 0:
        raise BadMeshError("it has zero extent: all vertices are one point", "give a mesh with a surface")
    if max(float(np.abs(low).max()), float(np.abs(high).max())) > float(_FLOAT32.max):
        raise BadMeshError("its coordinates are too large for float32", "scale the mesh down")
    if half_extent < float(_FLOAT32.tiny):
        raise BadMeshError("it is too small for float32", "scale the mesh up")

    center = ((low + high) / 2).astype(np.float32).astype(np.float64)
    reach = float(np.maximum(high - center, center - low).max())
    if reach > 2 * half_extent:
        raise BadMeshError(
            "it is too far from the origin for its size: float32 cannot tell its vertices apart",
            "move the mesh to the origin",
        )
    scale = np.float32(min(reach, float(_FLOAT32.max)))
    if float(scale) < reach:
        scale = np.nextafter(scale, np.float32(np.inf))
    if not np.isfinite(scale):
        raise BadMeshError("its coordinates are too large for float32", "scale the mesh down")
    x, y, z = center.tolist()
    return Placement((x, y, z), float(scale))
