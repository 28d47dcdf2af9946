"""The winding number of a mesh, and on which side of its faces it says inside.

The generalized winding number w (Jacobson et al. 2013; the fast tree of Barill et al. 2018) is asked for a
small step to both sides of each face.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SIDE_STEP = 0.0075
"""Distance to each side of a face at which the winding number is tested; thinner plates count as sheets."""
LARGE = 200_000
"""Faces above which some stand for others, in what is asked of the mesh before it is encoded."""
CELL = 1 / 32
"""Side of the cells in which faces of a large mesh stand for each other."""
_MANY_FACES = 20_000  # faces above which each is small enough for its centroid alone to speak for it
_APART = 16.0  # between parts that are asked each on its own; the longest half-extent is 1
_TESTS = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]]) / np.array([[3], [6], [6], [6]])
"""(4, 3) barycentric coordinates of the places on a face that are tested, the centroid first."""
Winding = Callable[[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]], NDArray[np.float32]]
"""`winding_number` or its like on another device: (vertices, faces, points) -> (n,) numbers."""


def winding_number(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n,) generalized winding number of the faces about each of the (n, 3) points."""
    if len(points) == 0 or len(faces) == 0:
        return np.zeros(len(points), dtype=np.float32)
    import point_cloud_utils as pcu  # here, because training where it is missing brings its own `Winding`

    winding = pcu.triangle_soup_fast_winding_number(
        vertices, faces, np.ascontiguousarray(points, dtype=np.float32)
    )
    return np.nan_to_num(np.asarray(winding, dtype=np.float32).reshape(-1))


def is_inside(winding: NDArray[np.floating], even_odd: bool) -> NDArray[np.bool_]:
    """Which winding numbers mean inside, by the even-odd rule or by their magnitude; any shape."""
    inside: NDArray[np.bool_] = (
        np.rint(winding).astype(np.int64) % 2 == 1 if even_odd else np.abs(winding) > 0.5
    )
    return inside


class Sides:
    """Faces, and the winding number a small step to both of their sides.

    Of more faces than `LARGE`, one stands for all of its part whose centroids lie in the same cell and whose
    normals point into the same octant; where such a group and others around it disagree, all are asked.

    Parameters
    ----------
    vertices, faces : (V, 3), (F, 3)
    normals : (F, 3) of the faces, of unit length
    part : (F,) connected part of each face
    winding_of : the winding number of some faces about points
    """

    def __init__(
        self,
        vertices: NDArray[np.float32],
        faces: NDArray[np.int32],
        normals: NDArray[np.float64],
        part: NDArray[np.integer],
        winding_of: Winding,
    ) -> None:
        self.faces, self.normals = faces, normals
        self._vertices, self._part, self._winding_of = vertices, part, winding_of
        self._known: NDArray[np.float32] | None = None  # the last answer, of the `_used` faces
        self._used = self._turned = np.zeros(len(faces), dtype=bool)  # the latter: reversed since then

    def reverse(self, chosen: NDArray[np.bool_]) -> None:
        """Turn the chosen faces round."""
        self.faces[chosen] = self.faces[chosen][:, ::-1]
        self.normals[chosen] *= -1.0
        self._turned = self._turned ^ chosen
        if self._known is not None:
            self._known[:, chosen] = self._known[::-1, chosen]

    def winding(self, used: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(2, F, tests) winding number of the used faces before and behind each face."""
        count = len(self.faces)
        if count <= LARGE:
            return self._of_all(used)
        one, group, block = self._groups()
        found = self.beside(used, one)
        state = is_inside(found[:, :, 0], even_odd=False)
        mean = np.stack([np.bincount(block, side) for side in state]) / np.bincount(block)
        mixed = ((mean > 0) & (mean < 1)).max(axis=0)[block][group]
        winding = found[:, group]
        if mixed.any():
            winding[:, mixed] = self.beside(used, np.flatnonzero(mixed))
        return winding

    def _of_all(self, used: NDArray[np.bool_]) -> NDArray[np.float32]:
        """`winding` of few faces; where little has changed since the last time, that of what has is added."""
        everything = np.arange(len(used))
        change = used.astype(np.int8) - np.where(self._turned, -1, 1) * self._used
        if self._known is None or 2 * np.count_nonzero(change) > np.count_nonzero(used):
            self._known = self.beside(used, everything)
        else:
            for times in set(change[change != 0].tolist()):
                self._known = self._known + np.float32(times) * self.beside(change == times, everything)
        self._used, self._turned = used, np.zeros_like(used)
        return self._known.copy()

    def beside(self, used: NDArray[np.bool_], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """(2, n, tests) winding number of the used faces before and behind the (n,) chosen ones."""
        points = self._places(chosen)
        asked, faces = points.reshape(-1, 3).astype(np.float32), self.faces[used]
        winding = np.zeros(len(asked), dtype=np.float32)
        # That of all faces is the sum of those of some at a time, for which a tree takes less memory.
        for start in range(0, len(faces), LARGE):
            winding += self._winding_of(self._vertices, faces[start : start + LARGE], asked)
        return winding.reshape(points.shape[:3])

    def triangles(self) -> NDArray[np.float64]:
        """(F, 3, 3) places of the corners of the faces."""
        return self._vertices[self.faces].astype(np.float64)

    def facing(self) -> NDArray[np.float64]:
        """(F,) distance of the plane of each face from the middle of all, above 0 where that is behind it."""
        center = self.triangles().mean(axis=1)
        facing: NDArray[np.float64] = np.einsum("fx,fx->f", center - center.mean(axis=0), self.normals)
        return facing

    def alone(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """(2, n, tests) winding number before and behind the (n,) chosen faces of those of the same part, of
        which all are to be chosen."""
        # All parts at once, so far from each other that what they do to each other is next to nothing.
        number = np.unique(self._part[chosen], return_inverse=True)[1].reshape(-1)
        side = int(np.ceil(np.cbrt(number.max(initial=0) + 1)))
        cell = np.stack(np.unravel_index(number, (side, side, side)), axis=1)
        shift = _APART * (cell - (side - 1) / 2)
        corners = (self._vertices[self.faces[chosen]] + shift[:, None]).astype(np.float32).reshape(-1, 3)
        faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
        points = self._places(chosen)
        asked = (points + shift[None, :, None]).astype(np.float32).reshape(-1, 3)
        return self._winding_of(corners, faces, asked).reshape(points.shape[:3])

    def _places(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """(2, n, tests, 3) places a step before and behind the (n,) chosen faces."""
        triangles = self._vertices[self.faces[chosen]].astype(np.float64)
        places = _TESTS[:1] if len(self.faces) > _MANY_FACES else _TESTS
        tests = np.einsum("kc,fcx->fkx", places, triangles)
        step = SIDE_STEP * self.normals[chosen][:, None, :]
        return np.stack([tests + step, tests - step])

    def _groups(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Faces that may stand for each other.

        Returns
        -------
        one : (groups,) a face of each group
        group : (F,) the group of each face
        block : (groups,) the part and the eight cells in which it lies
        """
        a, b, c = (self._vertices[corner] for corner in self.faces.T)
        centers = (a + b + c) / np.float32(3 * CELL)
        cells = np.floor(centers - centers.min(axis=0)).astype(np.int16)
        octants = np.packbits(self.normals > 0, axis=1)[:, 0]
        _, one, group = np.unique(_keys(cells, octants, self._part), return_index=True, return_inverse=True)
        wider = _keys(cells[one] // 2, np.zeros(len(one), dtype=np.uint8), self._part[one])
        return one, group, np.unique(wider, return_inverse=True)[1]


def _keys(
    cells: NDArray[np.int16], octants: NDArray[np.uint8], part: NDArray[np.integer]
) -> NDArray[np.int64]:
    """(n,) numbers that are the same for the same (n, 3) cell, octant and part."""
    keys = part.astype(np.int64)
    # A mesh of which a half fills the cube has 132 cells a side.
    for number in (octants, *cells.T):
        keys *= 256
        keys += number
    return keys
