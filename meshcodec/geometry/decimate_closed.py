"""A closed mesh with fewer triangles that is still closed.

Edge collapses by the quadric error metric (Garland & Heckbert, "Surface simplification using quadric error
metrics", 1997), by meshoptimizer, take the triangles away. They may fold a thin part onto itself, or let two
parts share an edge, which then has four faces. But they only merge vertices: whatever they make of a closed
mesh has as many faces along each edge in one direction as in the other. So its faces can be paired along
every edge, and with a vertex of its own for each fan of faces that are paired around it, it is closed again,
and a manifold.
"""

from __future__ import annotations

from dataclasses import dataclass

import meshoptimizer
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from meshcodec.config import FEWEST_FACES
from meshcodec.errors import UsageError
from meshcodec.geometry.components import Edges
from meshcodec.geometry.triangles import Floats, Ints, area_normals, box_of, compact, without_degenerate

_ANY_ERROR = 1e9
"""Error that meshoptimizer is allowed: the number of faces decides."""
_APART = 1e-3
"""How far a vertex of its own is moved into its fan, in distances to the middle of the fan."""


@dataclass(frozen=True)
class Decimated:
    """A mesh with fewer faces.

    Attributes
    ----------
    vertices : (V, 3) float64
    faces : (F, 3) int64
    error : by how much the surface was moved, about, in longest sides of the box
    """

    vertices: Floats
    faces: Ints
    error: float


def decimate(vertices: Floats, faces: Ints, count: int) -> Decimated:
    """A closed mesh of at most `count` faces from a closed one; one of no more faces is given back as it is.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3), every edge shared by as many faces in one direction as in the other
    count : at least `FEWEST_FACES`

    Raises
    ------
    UsageError
        Nothing is left with so few faces, or `count` is out of range.
    """
    if count < FEWEST_FACES:
        raise UsageError(f"{count} faces are no closed mesh", f"ask for {FEWEST_FACES} or more")
    if len(faces) <= count:
        return Decimated(vertices, faces, 0.0)
    low, high = box_of(vertices)
    side = float((high - low).max()) or 1.0
    points: NDArray[np.float32] = np.ascontiguousarray((vertices - low) / side, dtype=np.float32)
    corners = np.ascontiguousarray(faces.ravel(), dtype=np.uint32)
    target, options, error = count, 0, 0.0
    while target >= FEWEST_FACES:
        corners, moved = _collapsed(corners, points, target, options)
        error += moved
        v, f = as_manifold(vertices, corners.reshape(-1, 3).astype(np.int64))
        if 0 < len(f) <= count:
            return Decimated(v, f, error)
        if len(corners) <= 3 * target:
            target -= max(len(f) - count, 1)  # what halved edges have added
        elif options:
            break
        else:
            options = meshoptimizer.SIMPLIFY_PRUNE  # many parts, of which the smallest have to go
    raise UsageError(f"{count} faces do not do for this mesh", "ask for more")


def _collapsed(
    corners: NDArray[np.uint32], points: NDArray[np.float32], count: int, options: int
) -> tuple[NDArray[np.uint32], float]:
    """Corners of about `count` faces of those that are given, and by how much the surface was moved."""
    kept, error = np.zeros_like(corners), np.zeros(1, dtype=np.float32)
    length = meshoptimizer.simplify(
        kept,
        corners,
        points,
        target_index_count=3 * count,
        target_error=_ANY_ERROR,
        options=options,
        result_error=error,
    )
    return kept[:length].copy(), float(error[0])


def as_manifold(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """A mesh whose every edge has two faces, from one with as many faces along each edge in either direction.

    Two faces that are each other's reverse are dropped. Where an edge has more than two faces, or a vertex
    more than one fan of faces, each fan gets a vertex of its own, a little inside of itself. Where two edges
    have the same ends even then, all but one of them are halved, which adds two faces each.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3)

    Returns
    -------
    vertices, faces
        Without vertices that no face uses. Edges of one face stay such edges.
    """
    v, f = compact(vertices, without_reversed(without_degenerate(faces)))
    if not len(f):
        return v, f
    one, other = _pairs(v, f)
    fans = _fans(one, other, f.size)
    vertex_of = np.zeros(int(fans.max()) + 1, dtype=np.int64)
    vertex_of[fans] = f.ravel()
    positions = v[vertex_of].copy()
    copies = np.zeros(len(v), dtype=np.int64)
    corners, ends = np.argsort(fans, kind="stable"), np.cumsum(np.bincount(fans))
    for fan in np.flatnonzero(np.bincount(vertex_of, minlength=len(v))[vertex_of] > 1).tolist():
        copies[vertex_of[fan]] += 1  # by which even fans that are alike come apart
        own = corners[ends[fan - 1] if fan else 0 : ends[fan]]
        step = _inwards(v[f[own // 3]], positions[fan])
        positions[fan] += copies[vertex_of[fan]] * step
    return _halved(positions, fans.reshape(-1, 3), one, other)


def _inwards(triangles: Floats, point: Floats) -> Floats:
    """A small step from a point into the solid that the triangles (n, 3, 3) around it bound."""
    step = triangles.mean(axis=(0, 1)) - point
    normal = area_normals(triangles).sum(axis=0)
    length = float(np.linalg.norm(normal))
    reach = float(np.linalg.norm(triangles - point, axis=2).max())
    inwards: Floats = _APART * (step - (reach / length * normal if length else 0.0))
    return inwards


def _halved(vertices: Floats, faces: Ints, one: Ints, other: Ints) -> tuple[Floats, Ints]:
    """A mesh without two edges of the same ends; ``one`` and ``other`` are the sides that make its edges."""
    begin, end = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    key = np.minimum(begin[one], end[one]) * len(vertices) + np.maximum(begin[one], end[one])
    first = np.zeros(len(key), dtype=bool)
    first[np.unique(key, return_index=True)[1]] = True
    if first.all():
        return vertices, faces
    added: list[Floats] = []
    middles: dict[int, dict[tuple[int, int], int]] = {}
    for a, b in zip(one[~first].tolist(), other[~first].tolist(), strict=True):
        middle = vertices[[begin[a], end[a]]].mean(axis=0)
        for side in (a, b):
            middles.setdefault(side // 3, {})[int(begin[side]), int(end[side])] = len(vertices) + len(added)
        added.append(middle + _inwards(vertices[faces[[a // 3, b // 3]]], middle))
    cut = [part for face, own in middles.items() for part in _cut(tuple(faces[face].tolist()), own)]
    kept = np.delete(faces, list(middles), axis=0)
    return np.vstack([vertices, added]), np.vstack([kept, np.array(cut, dtype=np.int64)])


def _cut(face: tuple[int, ...], middles: dict[tuple[int, int], int]) -> list[tuple[int, ...]]:
    """The parts of a face whose sides have vertices in their middles."""
    for turn in range(3):
        a, b, c = face[turn:] + face[:turn]
        middle = middles.get((a, b))
        if middle is not None:
            return _cut((a, middle, c), middles) + _cut((middle, b, c), middles)
    return [face]


def without_reversed(faces: Ints) -> Ints:
    """The (F, 3) faces without pairs of which one is the other's reverse."""
    first = faces.argmin(axis=1)
    turned = np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
    forward = turned[:, 1] < turned[:, 2]
    same = np.where(forward[:, None], turned, turned[:, [0, 2, 1]])
    _, group = np.unique(same, axis=0, return_inverse=True)
    group = group.ravel()
    keep = np.ones(len(faces), dtype=bool)
    ahead = np.bincount(group[forward], minlength=int(group.max(initial=-1)) + 1)
    behind = np.bincount(group[~forward], minlength=len(ahead))
    for both in np.flatnonzero((ahead > 0) & (behind > 0)).tolist():
        members = np.flatnonzero(group == both)
        for side in (forward[members], ~forward[members]):
            keep[members[side][: min(ahead[both], behind[both])]] = False
    return faces[keep]


def _fans(one: Ints, other: Ints, corners: int) -> Ints:
    """(corners,) number of each corner's fan: the corners that paired sides have in common are of one."""
    following = np.arange(corners).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    # A side from a to b and its partner from b to a: begin of the one is the end of the other.
    rows, columns = np.concatenate([one, following[one]]), np.concatenate([following[other], other])
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), (corners, corners))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _pairs(vertices: Floats, faces: Ints) -> tuple[Ints, Ints]:
    """Sides of faces, by the corners where they begin, that lie along one edge in opposite directions.

    Of an edge of several faces those are paired that have the inside of the solid between them.
    """
    edges = Edges.of(faces)
    order, starts, lengths = edges.sides, edges.starts, edges.counts
    begin = faces.ravel()
    simple = starts[lengths == 2]
    one, other = order[simple], order[simple + 1]
    opposite = begin[one] != begin[other]
    one, other = one[opposite].tolist(), other[opposite].tolist()
    for start, length in zip(starts[lengths > 2].tolist(), lengths[lengths > 2].tolist(), strict=True):
        for a, b in _around(vertices, faces, order[start : start + length]):
            one.append(a)
            other.append(b)
    return np.array(one, dtype=np.int64), np.array(other, dtype=np.int64)


def _around(vertices: Floats, faces: Ints, sides: Ints) -> list[tuple[int, int]]:
    """Pairs of sides along one edge, each a solid wedge: around the edge, a face backwards begins one."""
    begin = faces.ravel()[sides]
    end = faces[sides // 3, (sides + 1) % 3]
    apex = vertices[faces[sides // 3, (sides + 2) % 3]]
    low, high = vertices[min(begin[0], end[0])], vertices[max(begin[0], end[0])]
    axis = high - low
    axis = axis / (np.linalg.norm(axis) or 1.0)
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    across /= np.linalg.norm(across) or 1.0
    angle = np.arctan2((apex - low) @ np.cross(axis, across), (apex - low) @ across)
    turn = np.argsort(angle, kind="stable")
    waiting: list[int] = []
    found: list[tuple[int, int]] = []
    for side, forward in zip([*sides[turn], *sides[turn]], [*(begin < end)[turn]] * 2, strict=True):
        done = any(side in pair for pair in found)
        if not done and not forward and side not in waiting:
            waiting.append(int(side))
        elif not done and forward and waiting:
            found.append((waiting.pop(), int(side)))
    return found
