"""What a solid decoder can carry of a mesh: signed distance to its solids, with a thickness for its sheets.

Inside is where the generalized winding number w (Jacobson et al. 2013; the fast tree of Barill et al. 2018)
has ``|w| > 0.5``, so that open, self-intersecting, duplicated and flipped faces all have an answer. Each face
is tested a small step to both of its sides:

====================  ==================================================================================
outside on both       a *sheet*: an open surface or a plate thinner than the step; it is given a thickness
inside on both        *interior*: hidden inside a solid, which a closed decode cannot show
one of each           part of the boundary of a solid
====================  ==================================================================================

The target is ``min(signed distance of the solid, distance to the sheets - SHEET_HALF_THICKNESS)``: sheets
survive and solids are not inflated. Training, refinement and encoding share this one definition. Everything
here lives in the unit frame: bounding box centred at the origin, longest half-extent 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

SHEET_HALF_THICKNESS = 0.0075
"""Half the thickness of a sheet: about one cell of a 256-cell decode, and below the 0.01 of the metric."""

SIDE_STEP = 0.0075
"""How far to each side of a face the winding number is tested; thinner plates count as sheets."""

_MANY_FACES = 20_000
"""Above this count a face is small enough for its centroid alone to speak for it."""


class FaceKind(IntEnum):
    """What a face bounds."""

    SOLID = 0
    SHEET = 1
    INTERIOR = 2


@dataclass(frozen=True)
class Surfaces:
    """The faces of a unit-frame mesh with what each bounds and which way is out.

    Attributes
    ----------
    vertices : (V, 3) float32
    faces : (F, 3) int32, without zero-area faces
    kinds : (F,) uint8 of `FaceKind`
    normals : (F, 3) float32 unit normals, turned to the outside where the face bounds a solid
    areas : (F,) float64
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    normals: NDArray[np.float32]
    areas: NDArray[np.float64]

    @property
    def carried(self) -> NDArray[np.bool_]:
        """(F,) mask of the faces that the decoder can carry: all but the interior ones."""
        carried: NDArray[np.bool_] = self.kinds != FaceKind.INTERIOR
        return carried


Inside = Callable[[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]], NDArray[np.bool_]]
"""`is_inside` or its like on another device: (vertices, faces, points) -> (n,) mask."""

Unsigned = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]], NDArray[np.float32]]
"""`unsigned_distance` or its like on another device: (points, vertices, faces) -> (n,) distances."""


def is_inside(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], points: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(n,) whether each of the (n, 3) points has a winding number of magnitude above 0.5."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    import point_cloud_utils as pcu  # here, because training where it is missing brings its own `Inside`

    winding = pcu.triangle_soup_fast_winding_number(
        vertices, faces, np.ascontiguousarray(points, dtype=np.float32)
    )
    inside: NDArray[np.bool_] = np.abs(np.nan_to_num(np.asarray(winding).reshape(-1))) > 0.5
    return inside


def unsigned_distance(
    points: NDArray[np.float32], vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> NDArray[np.float32]:
    """(n,) distance of each of the (n, 3) points to the nearest of the faces."""
    import point_cloud_utils as pcu

    distances, _, _ = pcu.closest_points_on_mesh(points, vertices, faces)
    return np.asarray(distances, dtype=np.float32)


def classify(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], inside_of: Inside = is_inside
) -> Surfaces:
    """Sort the faces of a unit-frame mesh into solid, sheet and interior.

    Parameters
    ----------
    vertices : (V, 3) in [-1, 1]
    faces : (F, 3)
    inside_of : what tells inside from outside

    Returns
    -------
    Surfaces
        Zero-area faces are dropped. When every face would be interior (coincident duplicate shells), all are
        kept as sheets, so that something is always left to encode.
    """
    vertices32 = np.ascontiguousarray(vertices, dtype=np.float32)
    faces32 = np.ascontiguousarray(faces, dtype=np.int32)
    corners = vertices32[faces32].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(cross, axis=1)
    keep = doubled > 1e-14
    if not keep.any():  # slivers only: nothing has an area, keep them all with an arbitrary normal
        keep[:] = True
    faces32, corners, cross, doubled = faces32[keep], corners[keep], cross[keep], doubled[keep]
    normals = cross / np.maximum(doubled, 1e-30)[:, None]

    weights = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]], dtype=np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    if len(faces32) > _MANY_FACES:
        weights = weights[:1]
    tests = np.einsum("kc,fcx->fkx", weights, corners)
    step = SIDE_STEP * normals[:, None, :]
    sides = np.stack([tests + step, tests - step])
    shape = sides.shape[:3]
    inside = inside_of(vertices32, faces32, sides.reshape(-1, 3).astype(np.float32)).reshape(shape)
    front, back = inside[0].mean(axis=1), inside[1].mean(axis=1)
    both = (inside[0] & inside[1]).mean(axis=1)
    neither = (~inside[0] & ~inside[1]).mean(axis=1)
    kinds = np.full(len(faces32), FaceKind.SOLID, dtype=np.uint8)
    kinds[neither > 0.5] = FaceKind.SHEET
    kinds[both > 0.5] = FaceKind.INTERIOR
    if np.all(kinds == FaceKind.INTERIOR):
        kinds[:] = FaceKind.SHEET
    flip = (kinds == FaceKind.SOLID) & (front > back)
    normals[flip] *= -1.0
    return Surfaces(vertices32, faces32, kinds, normals.astype(np.float32), 0.5 * doubled)


class TargetField:
    """The signed distance that the codec is asked to reproduce, for one mesh.

    ``field(points)`` gives (n,) float32 distances in the unit frame, negative inside, not truncated.
    """

    def __init__(
        self, surfaces: Surfaces, inside_of: Inside = is_inside, unsigned: Unsigned = unsigned_distance
    ) -> None:
        self._surfaces, self._inside_of, self._unsigned_of = surfaces, inside_of, unsigned
        self._solid = np.ascontiguousarray(surfaces.faces[surfaces.kinds == FaceKind.SOLID])
        self._sheet = np.ascontiguousarray(surfaces.faces[surfaces.kinds == FaceKind.SHEET])

    def __call__(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        points32 = np.ascontiguousarray(points, dtype=np.float32)
        target: NDArray[np.float32] = np.full(len(points32), np.inf, dtype=np.float32)
        if len(points32) == 0:
            return target
        to_sheet = self._unsigned(points32, self._sheet) if len(self._sheet) else target
        if len(self._solid):
            distance = self._unsigned(points32, self._solid)
            inside = self._inside_of(self._surfaces.vertices, self._surfaces.faces, points32)
            # Of a thin closed plate only the rim is solid, the faces are sheets: from inside, these are near.
            target = np.where(inside, -np.minimum(distance, to_sheet), distance)
        target = np.minimum(target, to_sheet - np.float32(SHEET_HALF_THICKNESS))
        return np.asarray(target, dtype=np.float32)

    def _unsigned(self, points: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._unsigned_of(points, self._surfaces.vertices, faces)
