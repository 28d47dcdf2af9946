"""Faces turned so that those that meet at an edge agree which side of the surface is in front.

Viewers draw both sides of a face, so many files have faces that are drawn in either order of their corners.
The winding number takes each at its word: a reversed face counts as a hole twice its size. So the connected
parts of a mesh in which faces disagree are turned before anything is asked about inside and outside; a part
that agrees stays as it was drawn.

1. Two faces that share an edge with no other agree if they pass it in opposite directions. Whether faces can
   be turned so that all do is told by the connected components of a graph with two nodes for each face, one
   as drawn and one reversed: of a surface with one side only, such as a Moebius strip, both are in one.
2. Around an edge of three or more faces, sectors of inside and outside alternate if the faces bound a solid,
   so that each two that follow each other agree as in 1. With an odd number they cannot all, and where solids
   overlap they do not. So this joins what 1 leaves apart only along a spanning tree of the pairs for which
   most speaks: a long edge, a wide sector (the outside, as a rule), and few open borders.
3. What was joined is a piece, and turned as a whole: with its normals to the outside where it is closed, and
   as most of its area was drawn where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from meshcodec.geometry.components import Edges, connected_parts
from meshcodec.geometry.triangles import Floats, Ints, area_normals, positions_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Orientation:
    """Which faces have to be reversed so that neighbours agree.

    Attributes
    ----------
    reversed : (F,) mask of the faces whose corners have to be taken in the opposite order
    orientable : (F,) mask, False for faces of surfaces with one side only; these are not reversed
    piece : (F,) numbers of the pieces that were turned as a whole, from 0 up
    inward : (F,) mask of the closed pieces that were drawn both ways, most of their area facing their inside,
        which are turned outwards all the same; they may be the walls of a cavity
    """

    reversed: Mask
    orientable: Mask
    piece: NDArray[np.intp]
    inward: Mask

    @classmethod
    def as_drawn(cls, count: int) -> Orientation:
        """That of `count` faces which agree already, or of which nothing is known."""
        no, never = np.zeros((2, count), dtype=bool)
        return cls(no, ~no, np.zeros(count, dtype=np.intp), never)


def agreeing_faces(vertices: Floats, faces: Ints) -> Ints:
    """The faces (F, 3) of a mesh turned so that neighbours agree, each piece as most of its area was drawn.

    No face may name a position twice.
    """
    corners = positions_of(vertices)[faces]
    part = connected_parts(corners, int(corners.max(initial=0)) + 1)[1][corners[:, 0]]
    turned = orient(corners, Edges.of(corners), part, vertices, faces)
    return np.where((turned.reversed ^ turned.inward)[:, None], faces[:, ::-1], faces)


def orient(
    corners: NDArray[np.integer],
    edges: Edges,
    part: NDArray[np.integer],
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
) -> Orientation:
    """How to turn the faces of those connected parts in which some disagree.

    Parameters
    ----------
    corners : (F, 3) vertices, one for each position; no face names one twice
    edges : those of `corners`
    part : (F,) connected part of each face, from 0 up
    vertices, faces : (V, 3) and (F, 3), where the corners lie

    Returns
    -------
    Orientation
        Parts whose faces pass every edge as often in one direction as in the other, or once more where their
        number is odd, are as they were drawn.
    """
    result = Orientation.as_drawn(len(corners))
    direction = np.where(forward_sides(corners)[edges.sides], 1, -1)
    unbalanced = np.abs(np.add.reduceat(direction, edges.starts)) > edges.counts % 2
    if not unbalanced.any():
        return result
    disagrees = np.zeros(int(part.max()) + 1, dtype=bool)
    disagrees[part[edges.sides[edges.starts[unbalanced]] // 3]] = True
    chosen = np.flatnonzero(disagrees[part])
    turned = _turned(corners[chosen], vertices[faces[chosen]].astype(np.float64))
    result.reversed[chosen], result.orientable[chosen] = turned.reversed, turned.orientable
    result.piece[chosen], result.inward[chosen] = turned.piece + 1, turned.inward
    return result


def _turned(corners: NDArray[np.integer], triangles: NDArray[np.float64]) -> Orientation:
    """`orient` for faces that all belong to parts in which some disagree."""
    edges, forward = Edges.of(corners), forward_sides(corners)
    first = edges.starts[edges.counts == 2]
    one, other = edges.sides[first], edges.sides[first + 1]
    patch, turn, orientable = _two_ways(len(corners), one // 3, other // 3, forward[one] == forward[other])
    pairs = pairs_around(edges, forward, triangles)
    one, other = pairs.one // 3, pairs.other // 3
    usable = (patch[one] != patch[other]) & orientable[one] & orientable[other]
    pairs, one, other = pairs.only(usable), one[usable], other[usable]
    weights = pairs.weights * np.prod(_closedness(edges, triangles, patch)[patch[[one, other]]], axis=0)
    differ = (forward ^ np.repeat(turn, 3))[[pairs.one, pairs.other]]
    count = int(patch.max()) + 1
    votes = np.where(differ[0] == differ[1], -weights, weights)
    piece, turn_patch, _ = _two_ways(count, *_spanning_tree(count, patch[one], patch[other], votes))
    return _as_a_whole(turn ^ turn_patch[patch], orientable, piece[patch], edges, triangles)


def forward_sides(corners: NDArray[np.integer]) -> Mask:
    """(3 F,) whether each side of the faces goes from the lower to the higher number."""
    forward: Mask = (corners < corners[:, [1, 2, 0]]).reshape(-1)
    return forward


def _two_ways(
    count: int, one: NDArray[np.integer], other: NDArray[np.integer], differ: Mask
) -> tuple[NDArray[np.intp], Mask, Mask]:
    """Connected components of `count` things that each can be reversed, by (n,) links between two of them.

    A link says that its ends are alike or, where they `differ`, that one of them is to be reversed.

    Returns
    -------
    component : (count,) from 0 up
    reverse : (count,) whether to reverse it; in each component the opposite would do as well
    possible : (count,) False in components where no choice fits all links; there nothing is reversed
    """
    rows = np.concatenate([one, one + count])
    columns = np.concatenate([other + count * differ, other + count * ~differ])
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(2 * count, 2 * count))
    as_drawn, opposite = connected_components(graph, directed=False)[1].reshape(2, count)
    component = np.unique(np.minimum(as_drawn, opposite), return_inverse=True)[1].reshape(-1)
    return component, as_drawn > opposite, as_drawn != opposite


@dataclass(frozen=True)
class Pairs:
    """Sides of faces that follow each other around edges, (n,) each, with what speaks for their agreeing."""

    one: NDArray[np.intp]
    other: NDArray[np.intp]
    weights: NDArray[np.float64]

    def only(self, chosen: Mask) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.one[chosen], self.other[chosen], self.weights[chosen])


def pairs_around(edges: Edges, forward: Mask, triangles: NDArray[np.float64], least: int = 3) -> Pairs:
    """The pairs around edges of at least so many faces, weighted by the length of the edge times the angle.

    One follows the other in a turn about the edge, from its lower vertex to the higher, by the right hand.
    """
    sides = edges.sides[np.repeat(edges.counts >= least, edges.counts)]
    counts = edges.counts[edges.counts >= least]
    edge = np.repeat(np.arange(len(counts)), counts)
    face, corner = np.divmod(sides, 3)
    ahead = forward[sides].astype(np.intp)
    start = triangles[face, (corner + 1 - ahead) % 3]
    along = triangles[face, (corner + ahead) % 3] - start
    apex = triangles[face, (corner + 2) % 3] - start
    lengths = np.linalg.norm(along, axis=1)
    # All faces at an edge have the same two ends, and so exactly the same frame across it.
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along), axis=1)])
    angles = np.arctan2((apex * np.cross(along, across)).sum(axis=1), (apex * across).sum(axis=1) * lengths)
    order = np.lexsort((angles, edge))
    following = np.arange(1, len(order) + 1)
    ends = np.cumsum(counts)
    following[ends - 1] = ends - counts
    sectors = (angles[order][following] - angles[order]) % (2 * np.pi)
    return Pairs(sides[order], sides[order][following], lengths[order] * sectors)


def _closedness(edges: Edges, triangles: NDArray[np.float64], patch: NDArray[np.intp]) -> NDArray[np.float64]:
    """(patches,) share of the outline of each patch along which it meets others, from 0 to 1."""
    lengths = np.linalg.norm(triangles[:, [1, 2, 0]] - triangles, axis=2).reshape(-1)[edges.sides]
    counts, at = np.repeat(edges.counts, edges.counts), patch[edges.sides // 3]
    size = int(patch.max()) + 1
    outline, border = (np.bincount(at, lengths * mask, size) for mask in (counts != 2, counts == 1))
    return np.asarray(1 - border / np.maximum(outline, np.finfo(np.float64).tiny))


def _spanning_tree(
    count: int, one: NDArray[np.intp], other: NDArray[np.intp], votes: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], Mask]:
    """Of (n,) votes that `one` and `other` of `count` patches agree (above 0) or differ, those to follow.

    Returns
    -------
    one, other, differ : the links of a spanning forest with the largest sums of votes
    """
    keys = np.minimum(one, other) * count + np.maximum(one, other)
    pairs, place = np.unique(keys, return_inverse=True)
    sums = np.bincount(place.reshape(-1), votes, len(pairs))
    decided = sums != 0
    pairs, sums = pairs[decided], sums[decided]
    low, high = np.divmod(pairs, count)
    # Between 1 and 2, because a sparse matrix takes 0 for no link.
    costs = 2 - np.abs(sums) / np.abs(sums).max(initial=np.finfo(np.float64).tiny)
    tree = minimum_spanning_tree(coo_matrix((costs, (low, high)), shape=(count, count)).tocsr()).tocoo()
    kept = np.isin(pairs, tree.row.astype(np.int64) * count + tree.col)
    return low[kept], high[kept], sums[kept] < 0


def _as_a_whole(
    turn: Mask, orientable: Mask, piece: NDArray[np.intp], edges: Edges, triangles: NDArray[np.float64]
) -> Orientation:
    """Which of its two ways each piece is turned, given the (F,) faces that one of them reverses."""
    count = int(piece.max()) + 1
    normals = area_normals(triangles)
    areas = np.linalg.norm(normals, axis=1)
    total = np.maximum(np.bincount(piece, areas, count), np.finfo(np.float64).tiny)
    centers = triangles.mean(axis=1)
    middle = np.stack([np.bincount(piece, areas * axis, count) / total for axis in centers.T], axis=1)
    facing = np.einsum("fx,fx->f", centers - middle[piece], normals)  # a sixth of the sum is the volume
    volume = np.bincount(piece, np.where(turn, -facing, facing), count)
    closed = np.ones(count, dtype=bool)
    closed[piece[edges.sides[edges.starts[edges.counts == 1]] // 3]] = False
    share = np.bincount(piece, areas * turn, count) / total  # of the area that is reversed
    opposite = np.where(closed, volume < 0, share > 0.5)
    share = np.where(opposite, 1 - share, share)
    reversals = np.bincount(piece, turn, count)
    mixed = (reversals > 0) & (reversals < np.bincount(piece, minlength=count))
    mixed_face = mixed[piece] & orientable
    return Orientation(
        (turn ^ opposite[piece]) & mixed_face, orientable, piece, (closed & (share > 0.5))[piece] & mixed_face
    )
