"""Loop subdivision surfaces with creases, by index arithmetic alone: decoding needs no library but numpy.

The rules are those of Loop, "Smooth subdivision surfaces based on triangles" (1987), those at borders and
creases those of Hoppe et al., "Piecewise smooth surface reconstruction" (1994), in the simple form: a point
of a sharp edge is its middle, a vertex on two sharp edges is a point of the cubic B-spline along them, a
vertex on three or more stays where it is.

A `Rule` is linear in the vertices: an encoder that fits a surface uses the same numbers as a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.grid_mesh import MOST_CREASE, SMOOTH

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
WeightsOfValence = Callable[[Ints], Floats]  # weight of a neighbour for each valence
MOST_LEVELS = 5  # no surface is subdivided more often, however few its faces
_SIGNED_SQUARES = (
    0.9330127018922193,
    0.75,
    0.5,
    0.25,
    0.06698729810778067,
    0.0,
    -0.06698729810778067,
    -0.25,
    -0.5,
    -0.75,
    -0.9330127018922193,
)
"""cos x |cos| of the crease codes 2 to MOST_CREASE, 15 to 165 degrees: literals, so that all machines compare
with the same numbers."""


@dataclass(frozen=True)
class Edges:
    """The edges of a mesh.

    Attributes
    ----------
    ends : (E, 2) vertices, the smaller number first; rows in ascending order
    of_face : (F, 3) number of the edge from corner k of a face to the next corner
    uses : (E,) how many faces have the edge
    """

    ends: Ints
    of_face: Ints
    uses: Ints

    @property
    def border(self) -> Mask:
        """(E,) edges that have not exactly two faces."""
        border: Mask = self.uses != 2
        return border


@dataclass(frozen=True)
class Rule:
    """Points that are weighted sums of vertices.

    Attributes
    ----------
    rows, columns, weights : (n,) point, vertex and weight of each summand
    points : number of points
    """

    rows: Ints
    columns: Ints
    weights: Floats
    points: int

    def __call__(self, positions: Floats) -> Floats:
        """(points, 3) of vertices (V, 3)."""
        return np.stack(
            [
                np.bincount(self.rows, self.weights * positions[self.columns, k], self.points)
                for k in range(3)
            ],
            axis=1,
        )


def edges_of(faces: Ints, count: int) -> Edges:
    """The edges of faces (F, 3), which have three different vertices each, all below ``count``."""
    start, end = faces, np.roll(faces, -1, axis=1)
    keys = np.minimum(start, end) * count + np.maximum(start, end)
    found, of_face, uses = np.unique(keys, return_inverse=True, return_counts=True)
    ends = np.stack([found // max(count, 1), found % max(count, 1)], axis=1)
    return Edges(ends, of_face.reshape(-1, 3), uses.astype(np.int64))


def crease_edges(positions: Ints | Floats, faces: Ints, edges: Edges, crease: int) -> Mask:
    """(E,) the edges that are sharp: without exactly two faces, or with two that meet at the crease angle.

    Of whole positions, 0 to 4095 or their mirror images, every machine finds the same edges: the normals are
    whole numbers, their products fit 53 bits, and what is compared is rounded in one way only. A face without
    an area makes no crease. Faces that are oriented against each other are compared as if they were not.

    Parameters
    ----------
    positions, faces, edges : (V, 3), (F, 3) and its `edges_of`
    crease : a code of `GridMesh.crease` from SMOOTH up; raises ValueError for another
    """
    if not SMOOTH <= crease <= MOST_CREASE:
        raise ValueError(f"crease code {crease} is outside {SMOOTH}..{MOST_CREASE}")
    sharp = edges.border
    if crease == SMOOTH:
        return sharp
    a, b, c = (positions[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    # The two half-edges of each edge with two faces, next to each other.
    half_edges = np.argsort(edges.of_face, axis=None, kind="stable")
    pairs = half_edges[np.repeat(~sharp, edges.uses)].reshape(-1, 2)
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    upwards = (start < end)[pairs]
    one, other = normals[pairs[:, 0] // 3], normals[pairs[:, 1] // 3]
    dot = _dot(one, other)
    dot = np.where(upwards[:, 0] != upwards[:, 1], dot, -dot).astype(np.float64)
    lengths = _dot(one, one).astype(np.float64) * _dot(other, other).astype(np.float64)
    sharp[~sharp] = dot * np.abs(dot) < _SIGNED_SQUARES[crease - SMOOTH - 1] * lengths
    return sharp


def _dot(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """(n,) dot products of rows, exact for whole numbers."""
    products = one * other
    total: NDArray[Any] = products[:, 0] + products[:, 1] + products[:, 2]
    return total


def levels_within(faces: int, most_faces: int) -> int:
    """The largest number of levels after which ``faces`` have become at most ``most_faces``; at least 0."""
    levels = 0
    while levels < MOST_LEVELS and faces * 4 ** (levels + 1) <= most_faces:
        levels += 1
    return levels


def subdivide(positions: Floats, faces: Ints, sharp: Mask, levels: int) -> tuple[Floats, Ints]:
    """Points on the limit surface, after a number of levels.

    Parameters
    ----------
    positions, faces : (V, 3) and (F, 3) of the control mesh
    sharp : (E,) sharp edges in the order of `edges_of`; edges without exactly two faces have to be among them
    levels : 0 and up

    Returns
    -------
    positions, faces : (V', 3) and (4**levels F, 3); the children of a face follow each other
    """
    for _ in range(levels):
        rule, faces, sharp = refined(faces, len(positions), sharp)
        positions = rule(positions)
    return limit(faces, len(positions), sharp)(positions), faces


def refined(faces: Ints, count: int, sharp: Mask) -> tuple[Rule, Ints, Mask]:
    """One level: the rule of its vertices, its faces (4F, 3), and which of their edges are sharp.

    The first ``count`` new vertices are the old ones moved, then comes one for each edge.
    """
    edges = edges_of(faces, count)
    vertices = _vertex_rule(edges, count, sharp, _loop_weights, crease_weight=1 / 8)
    total = count + len(edges.ends)
    new = count + np.arange(len(edges.ends))
    smooth = ~sharp[edges.of_face]
    rows = [vertices.rows, np.repeat(new, 2), new[edges.of_face][smooth]]
    columns = [vertices.columns, edges.ends.reshape(-1), np.roll(faces, -2, axis=1)[smooth]]
    weights = [
        vertices.weights,
        np.repeat(np.where(sharp, 1 / 2, 3 / 8), 2),
        np.full(int(smooth.sum()), 1 / 8),
    ]
    rule = Rule(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), total)
    middles = new[edges.of_face]
    corner, before = faces, np.roll(middles, 1, axis=1)
    corners = np.stack([corner, middles, before], axis=2)  # the child at each corner of a face
    children = np.concatenate([corners, middles[:, None]], axis=1).reshape(-1, 3)
    ends = edges_of(children, total).ends
    # An edge with an old vertex at one end is half of an old edge, the one of its other end.
    half = ends[:, 0] < count
    kept = np.zeros(len(ends), dtype=bool)
    kept[half] = sharp[ends[half, 1] - count]
    return rule, children, kept


def limit(faces: Ints, count: int, sharp: Mask) -> Rule:
    """The rule that takes each vertex to its place on the limit surface."""
    return _vertex_rule(edges_of(faces, count), count, sharp, _limit_weights, crease_weight=1 / 6)


def _loop_weights(valence: Ints) -> Floats:
    """(n,) weight of each neighbour of a smooth vertex (Loop 1987)."""
    share: Floats = 5 / 8 - (3 / 8 + np.cos(2 * np.pi / valence) / 4) ** 2
    return share / valence


def _limit_weights(valence: Ints) -> Floats:
    """(n,) weight of each neighbour in the limit of a smooth vertex (Loop 1987)."""
    weights: Floats = 1 / (3 / (8 * _loop_weights(valence)) + valence)
    return weights


def _vertex_rule(
    edges: Edges, count: int, sharp: Mask, smooth_weights: WeightsOfValence, crease_weight: float
) -> Rule:
    """Each vertex as a sum of itself and its neighbours: all if it is smooth, those across if on a crease."""
    own, neighbour = edges.ends.T.reshape(-1), edges.ends[:, ::-1].T.reshape(-1)
    is_sharp = np.tile(sharp, 2)
    valence = np.bincount(own, minlength=count)
    creases = np.bincount(own[is_sharp], minlength=count)
    # A vertex of one sharp edge alone, where a crease ends, is smooth.
    smooth = creases < 2
    share = np.where(
        smooth, smooth_weights(np.maximum(valence, 1)), np.where(creases == 2, crease_weight, 0.0)
    )
    share[valence == 0] = 0.0
    used = smooth[own] | (is_sharp & (creases[own] == 2))
    summands = np.where(smooth, valence, np.where(creases == 2, 2, 0))
    rows = np.concatenate([np.arange(count), own[used]])
    columns = np.concatenate([np.arange(count), neighbour[used]])
    weights = np.concatenate([1 - summands * share, share[own[used]]])
    return Rule(rows, columns, weights, count)
