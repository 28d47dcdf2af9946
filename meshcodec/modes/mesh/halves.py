"""The upper half of a symmetric mesh, cut off exactly at the middle planes."""

from __future__ import annotations

import numpy as np

from meshcodec.format.box import Axes
from meshcodec.geometry.triangles import Floats, Ints, compact, merge_identical


def upper_half(vertices: Floats, faces: Ints, axes: Axes, near: float) -> tuple[Floats, Ints]:
    """What of a mesh lies above the planes where a coordinate is 0; the cut's coordinate is 0 exactly.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3)
    axes : axes whose planes are cut at, one after the other
    near : distance from a plane within which vertices are moved into it, so that no sliver is cut off

    Returns
    -------
    vertices, faces : no vertex twice. Faces that lie in a plane are left out: they would be walls between
        the halves, and where the halves meet without them they leave an edge to more than two faces.
    """
    points = np.array(vertices, dtype=np.float64)
    for axis in np.flatnonzero(axes):
        height = points[:, axis]
        height[np.abs(height) <= near] = 0.0
        points, faces = _above(points, faces, int(axis))
    return merge_identical(points, faces)


def _above(vertices: Floats, faces: Ints, axis: int) -> tuple[Floats, Ints]:
    """The triangles above the plane, whole or clipped; every cut edge has one new vertex."""
    height = vertices[:, axis]
    above, below = height[faces] > 0, height[faces] < 0
    whole = faces[above.any(axis=1) & ~below.any(axis=1)]
    clipped = np.flatnonzero(above.any(axis=1) & below.any(axis=1))
    if not len(clipped):
        return compact(vertices, whole)
    # Turned so that the corner that is alone on its side comes first: above, or else below.
    alone = np.where((above[clipped].sum(axis=1) == 1)[:, None], above[clipped], below[clipped])
    order = (np.argmax(alone, axis=1)[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(faces[clipped], order, axis=1).T
    cuts = _Cuts(vertices, axis)
    ab, ac = cuts.between(a, b), cuts.between(a, c)
    first = height[a] > 0
    # Above the plane lies the triangle at a, or the rest of it: a quadrilateral of two triangles.
    tips = np.stack([a, ab, ac], axis=1)[first]
    rests = np.concatenate([np.stack([ab, b, c], axis=1), np.stack([ab, c, ac], axis=1)])[np.tile(~first, 2)]
    return compact(cuts.vertices(), np.concatenate([whole, tips, rests]))


class _Cuts:
    """New vertices where edges meet the plane, by the edge, so that neighbours share them."""

    def __init__(self, vertices: Floats, axis: int) -> None:
        self._old, self._axis = vertices, axis
        self._new: list[Floats] = []

    def between(self, one: Ints, other: Ints) -> Ints:
        """(n,) the vertices on the edges (one, other); an end that lies in the plane stands for itself."""
        low, high = np.minimum(one, other), np.maximum(one, other)
        a, b = self._old[low], self._old[high]
        heights = np.stack([a[:, self._axis], b[:, self._axis]])
        share = np.divide(
            heights[0], heights[0] - heights[1], out=np.zeros(len(low)), where=heights[0] != heights[1]
        )
        points = a + share[:, None] * (b - a)
        points[:, self._axis] = 0.0
        start = len(self._old) + sum(map(len, self._new))
        self._new.append(points)
        numbers = start + np.arange(len(points))
        numbers = np.where(heights[0] == 0, low, numbers)
        return np.where(heights[1] == 0, high, numbers)

    def vertices(self) -> Floats:
        """All vertices, old and new; the same place may be there more than once."""
        return np.concatenate([self._old, *self._new])
