"""Faces of any number of corners as triangles.

A polygon is triangulated in its plane, so that its triangles cover what it encloses and nothing else,
whether it is convex or not. A hole is given as in every format without holes: the outline walks along a slit
into it, round it and back. Triangles keep the orientation of their polygon and its place in the order. They
are the same whichever corner the polygon begins with and whichever way it goes, so that a polygon which is
there twice, as programs write two-sided faces, is there twice as triangles, too.

What is not flat has no one right reading: a quad is cut along the diagonal that bends it less, another
polygon in the plane of its vector area (Newell's method: Sutherland, Sproull and Schumacker, "A
Characterization of Ten Hidden-Surface Algorithms", 1974, appendix).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces, check_indices

_MOST_CLIPPING = 1 << 30
"""Squares of the numbers of corners of all polygons whose ears are clipped, at most: about 10 s. That is one
polygon of 32768 corners, or a thousand of 1000; convex ones do not count."""
_MOST_CORNERS = 1 << 20  # corners of one polygon, at most; each takes some 150 bytes of memory
_MOST_ALIKE = 1 << 10  # corners by which two ways round a polygon that has some twice are compared, at most
_TOGETHER = 1 << 16  # corners of polygons that are looked at at once
_FLATTER = 1e-6  # gain in the cosine of a bend for which the second diagonal is taken rather than the first
_ROUNDING = 1e-9  # share of an area that is not told apart from none
_EPSILONS = (-1.0, 0.0)
"""How near the cutter takes points for one: as it sees fit, and where that loses a narrow hole not at all."""
_TINY = 1e-14  # share of a polygon's area below which a triangle of it is taken for one without area
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class Polygons:
    """Polygons as a reader meets them, one after the other; ``len`` of them."""

    def __init__(self, max_faces: int) -> None:
        self._max_faces = max_faces
        self._triangles = 0
        self._lengths, self._corners = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, corners: list[int]) -> None:
        """Add a polygon by its vertices; one of two corners or fewer has no triangles.

        Raises BadMeshError: with it there are more triangles than are allowed.
        """
        if len(corners) > 2:
            self._triangles += len(corners) - 2
            if self._triangles > self._max_faces:
                check_faces(self._triangles, self._max_faces)
            self._corners.extend(corners)
            self._lengths.append(len(corners))

    def triangulated(self, vertices: Vertices) -> Faces:
        """(F, 3) triangles of all of them; see `triangulate`."""
        if not self._lengths:
            return np.zeros((0, 3), dtype=np.int64)
        lengths, corners = (np.frombuffer(a, np.int64) for a in (self._lengths, self._corners))
        return triangulate(vertices, lengths, corners, self._max_faces)


def triangulate(vertices: Vertices, lengths: _Ints, corners: _Ints, max_faces: int) -> Faces:
    """Triangles of polygons, (F, 3), n - 2 of a polygon of n corners.

    Parameters
    ----------
    vertices : (V, 3) positions; polygons with one that is not finite become fans, for the caller to refuse
    lengths : (P,) corners of each polygon, 0 or more
    corners : (sum of lengths,) vertices of all polygons on end
    max_faces : most triangles that are not refused

    Raises
    ------
    BadMeshError
        Too many triangles, a polygon of more than three corners that names a vertex that is not there, or so
        many corners of concave polygons that cutting them would take for ever.
    """
    check_faces(int(np.maximum(lengths - 2, 0).sum()), max_faces)
    if (lengths == 3).all():
        return corners.reshape(-1, 3)
    check_indices(corners, len(vertices))
    lengths, corners = _without_repeats(lengths, corners)
    parts = np.maximum(lengths - 2, 0)
    faces = np.empty((int(parts.sum()), 3), dtype=np.int64)
    first_corner, first_face = np.cumsum(lengths) - lengths, np.cumsum(parts) - parts
    clipping = 0
    for count, rows in _by_length(lengths):
        rings = corners[first_corner[rows][:, None] + np.arange(count)]
        _check_corners(count, clipping)
        backwards = np.zeros(len(rings), dtype=bool)
        if count > 3:
            rings, backwards = _in_one_way(vertices, rings)
        cut = rings[:, _fan(count)]
        if count == 4:
            _cut_quads(vertices, rings, cut)
        elif count > 4:
            points = _relative(vertices, rings).transpose(2, 1, 0)  # (3, n, k)
            normals, concave = _concave(points)
            clipping += len(concave) * count * count
            _check_corners(count, clipping)
            if len(concave):
                ears = _clip_ears(points[:, :, concave], normals[:, concave])
                cut[concave] = rings[concave[:, None, None], ears]
        cut[backwards] = cut[backwards][:, ::-1, [0, 2, 1]]
        faces[first_face[rows][:, None] + np.arange(count - 2)] = cut
    return faces


def _check_corners(count: int, clipping: int) -> None:
    """Refuse polygons of `count` corners, or ears to clip, that take too long. Raises BadMeshError."""
    if count > _MOST_CORNERS or clipping > _MOST_CLIPPING:
        fault = f"its faces have too many corners to triangulate them: one has {count}"
        raise BadMeshError(fault, "export it as triangles")


def _without_repeats(lengths: _Ints, corners: _Ints) -> tuple[_Ints, _Ints]:
    """The same without corners that name the vertex of the next corner, and without what has no area."""
    real = lengths > 2
    if not real.all():
        corners, lengths = corners[np.repeat(real, lengths)], lengths[real]
    end = np.cumsum(lengths)
    following = np.roll(corners, -1)
    following[end - 1] = corners[end - lengths]
    kept = corners != following
    if kept.all():
        return lengths, corners
    before = np.concatenate([[0], np.cumsum(kept)])
    return before[end] - before[end - lengths], corners[kept]


def _by_length(lengths: _Ints) -> Iterator[tuple[int, _Ints]]:
    """The polygons that have an area: their number of corners and which they are, some at a time."""
    real = np.flatnonzero(lengths > 2)
    real = real[np.argsort(lengths[real], kind="stable")]
    counts, starts = np.unique(lengths[real], return_index=True)
    for count, rows in zip(counts.tolist(), np.split(real, starts[1:]), strict=False):
        step = max(_TOGETHER // count, 1)
        for start in range(0, len(rows), step):
            yield count, rows[start : start + step]


def _in_one_way(vertices: Vertices, rings: _Ints) -> tuple[_Ints, NDArray[np.bool_]]:
    """Rings (k, n) from their lowest corner on, by x, y and z, and towards the lower one of its neighbours.

    Also which of them go the other way now. Where corners lie on each other those that follow decide.
    """
    positions = vertices[rings]
    count = rings.shape[1]
    lowest = np.ones(rings.shape, dtype=bool)
    for axis in range(3):
        values = np.where(lowest, positions[:, :, axis], np.inf)
        lowest &= values == values.min(axis=1, keepdims=True)
    rows = np.arange(len(rings))
    starts = lowest.argmax(axis=1)
    after, before = positions[rows, (starts + 1) % count], positions[rows, starts - 1]
    axis = (after != before).argmax(axis=1)
    backwards = after[rows, axis] > before[rows, axis]
    for row in np.flatnonzero((lowest.sum(axis=1) > 1) | (after == before).all(axis=1)).tolist():
        starts[row], backwards[row] = _lowest_walk(positions[row], np.flatnonzero(lowest[row]))
    steps = np.where(backwards, -1, 1)[:, None] * np.arange(count)
    return rings[rows[:, None], (starts[:, None] + steps) % count], backwards


def _lowest_walk(positions: _Floats, starts: _Ints) -> tuple[int, bool]:
    """Where to start among some corners of one ring (n, 3), and whether backwards: the lowest walk of all."""
    order = np.lexsort(positions.T[::-1])
    steps = (positions[order][1:] != positions[order][:-1]).any(axis=1)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.concatenate([[0], np.cumsum(steps)])
    at, ways = np.tile(starts, 2), np.repeat([1, -1], len(starts))
    for step in range(min(len(order), _MOST_ALIKE)):
        met = ranks[(at + ways * step) % len(order)]
        kept = met == met.min()
        at, ways = at[kept], ways[kept]
        if len(at) == 1:
            break
    return int(at[0]), bool(ways[0] < 0)


def _fan(count: int) -> _Ints:
    """(n - 2, 3) triangles of a polygon, by its corners, that all meet in the first one."""
    second = np.arange(1, count - 1)
    return np.column_stack([np.zeros_like(second), second, second + 1])


# ---- one kind of polygon at a time


def _cut_quads(vertices: Vertices, rings: _Ints, fans: _Ints) -> None:
    """Change the fans (k, 2, 3) of quads (k, 4) to those of the second corner that meet more nearly flat.

    In a concave quad one diagonal lies outside, and its two triangles lie on each other, folded.
    """
    _, b, c, d = _relative(vertices, rings).transpose(1, 2, 0)
    bend = _cosine(_cross(b, c), _cross(c, d))
    bent = np.flatnonzero(bend < 1 - _FLATTER)
    b, c, d = b[:, bent], c[:, bent], d[:, bent]
    other = bent[_cosine(_cross(b, d), _cross(c - b, d - b)) > bend[bent] + _FLATTER]
    fans[other] = rings[other][:, [[0, 1, 3], [1, 2, 3]]]


def _concave(points: _Floats) -> tuple[_Floats, _Ints]:
    """Vector areas, (3, k), of polygons (3, n, k), and which of them are not right as fans.

    A fan whose triangles all face the same way covers what the polygon encloses, and nothing twice. That is
    so of every convex polygon without corners on a straight side, and quick to find out for many at once.
    """
    fan = _cross(points[:, 1:-1], points[:, 2:])
    normals = fan.sum(axis=1)
    square = (normals * normals).sum(axis=0)
    right = ((fan * normals[:, None]).sum(axis=0) > _TINY * square).all(axis=0)
    return normals, np.flatnonzero(~right & (square > _TINY**2))


def _clip_ears(points: _Floats, normals: _Floats) -> _Ints:
    """(k, n - 2, 3) triangles of polygons (3, n, k), by their corners, seen against their normals (3, k).

    Every corner is used, those on straight sides too: the neighbour has them, and without them there would be
    a crack. Of an outline that crosses itself, the fan is taken where it covers less.
    """
    import manifold3d  # few files need it

    # Leaving an axis out keeps what is straight straight, to the last bit; turning into the plane would not.
    axis = np.abs(normals).argmax(axis=0)
    rows = np.arange(len(axis))
    turned = normals[axis, rows] < 0
    kept = np.where(turned, [axis + 2, axis + 1], [axis + 1, axis + 2]) % 3
    flat = np.stack([points[kept[0], :, rows], points[kept[1], :, rows]], axis=2)
    count = flat.shape[1]
    fans = np.repeat(_fan(count)[None], len(flat), axis=0)
    found = fans.copy()
    outlined, covered = np.abs(_enclosed(flat)), np.full(len(flat), np.inf)
    for epsilon in _EPSILONS:
        for row in np.flatnonzero(covered > outlined * (1 + _ROUNDING)).tolist():
            cut = manifold3d.triangulate([flat[row]], epsilon)
            if len(cut) == count - 2:
                area = float(_covered(flat[row : row + 1], cut[None])[0])
                if area < covered[row] * (1 - _ROUNDING):
                    found[row], covered[row] = cut, area
    crossing = covered > _covered(flat, fans) * (1 + _ROUNDING)
    found[crossing] = fans[crossing]
    return found


def _enclosed(flat: _Floats) -> _Floats:
    """(k,) twice the areas that outlines (k, n, 2) walk round to the left, less those to the right."""
    x, y = (flat - flat[:, :1]).transpose(2, 0, 1)
    return np.asarray((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1))


def _covered(flat: _Floats, faces: _Ints) -> _Floats:
    """(k,) twice the areas of triangles (k, m, 3) of points (k, n, 2), whichever way they face."""
    a, b, c = flat[np.arange(len(flat))[:, None, None], faces].transpose(2, 3, 0, 1)
    (x, y), (u, v) = b - a, c - a
    return np.asarray(np.abs(x * v - y * u).sum(axis=1))


# ---- vectors, in the first axis


def _relative(vertices: Vertices, rings: _Ints) -> _Floats:
    """(k, n, 3) corners seen from the first one, the farthest coordinate at 1; NaN for what has no size."""
    with np.errstate(all="ignore"):
        points = vertices[rings] / 4  # so that no difference overflows
        points -= points[:, :1].copy()
        points /= np.abs(points).max(axis=(1, 2), keepdims=True)
    return points


def _cross(a: _Floats, b: _Floats) -> _Floats:
    """Cross products of vectors (3, ...); numpy's own takes several times as long."""
    made: _Floats = np.stack([a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))])
    return made


def _cosine(a: _Floats, b: _Floats) -> _Floats:
    """Cosines of the angles between vectors (3, n), 0 where one of them has no length or is not finite."""
    with np.errstate(all="ignore"):
        found = (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return np.asarray(np.nan_to_num(found, nan=0.0))
