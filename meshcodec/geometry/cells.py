"""What is outside of surfaces that meet at common edges, told by the cells into which they divide space.

Around an edge, sectors of space alternate with the faces that meet there. The side of a face that looks into
a sector and the side of the next face that looks into it see the same part of space. What is connected so is
a cell: a room, or all that is outside. No winding number tells what walls of one face divide into rooms,
since beside them it is no whole number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshcodec.geometry.components import Edges
from meshcodec.geometry.orientation import forward_sides, pairs_around
from meshcodec.geometry.triangles import area_normals

Mask = NDArray[np.bool_]


def outer_shells(
    corners: NDArray[np.integer], part: NDArray[np.integer], triangles: NDArray[np.float64]
) -> tuple[Mask, Mask, Mask]:
    """The shells of those connected parts that walls of one face divide into rooms.

    Parameters
    ----------
    corners : (F, 3) vertices, one for each position; no face names one twice
    part : (F,) connected part of each face
    triangles : (F, 3, 3) where the corners lie

    Returns
    -------
    divided : (F,) mask of the faces of parts that are divided so: they have an edge of three, five ... faces,
        and no face has the outside on both of its sides
    shell : (F,) mask of the faces of these parts that have the outside on one side
    reverse : (F,) mask of those of the shell that face inwards
    """
    edges = Edges.of(corners)
    divided, shell, reverse = np.zeros((3, len(corners)), dtype=bool)
    odd = (edges.counts > 2) & (edges.counts % 2 == 1)
    chosen = np.flatnonzero(np.isin(part, part[edges.sides[edges.starts[odd]] // 3]))
    if not len(chosen):
        return divided, shell, reverse
    own = np.unique(part[chosen], return_inverse=True)[1].reshape(-1)
    in_front, behind = _outside(corners[chosen], own, triangles[chosen])
    # A hole anywhere makes one cell of inside and outside; then the winding number knows more.
    told = (np.bincount(own, in_front & behind) == 0)[own]
    divided[chosen], shell[chosen], reverse[chosen] = told, told & (in_front ^ behind), told & behind
    return divided, shell, reverse


def _outside(
    corners: NDArray[np.integer], part: NDArray[np.intp], triangles: NDArray[np.float64]
) -> tuple[Mask, Mask]:
    """(F,) masks of the faces of parts that have the outside in front of them, and behind."""
    front, back = _cells(corners, triangles)
    normals, center = area_normals(triangles), triangles.mean(axis=1)
    # About a point near the part, for the sake of digits.
    middle = np.stack([np.bincount(part, axis) for axis in center.T], axis=1) / np.bincount(part)[:, None]
    facing = np.einsum("fx,fx->f", center - middle[part], normals)  # a sixth of the sum is the volume
    # What the sides of a cell enclose that look into it: less than nothing for a room, all rooms together for
    # the outside.
    count = int(max(front.max(), back.max())) + 1
    enclosed = np.bincount(front, facing, count) - np.bincount(back, facing, count)
    own = np.zeros(count, dtype=np.intp)
    own[front] = own[back] = part
    order = np.argsort(enclosed, kind="stable")
    outer = np.zeros(int(part.max()) + 1, dtype=np.intp)
    outer[own[order]] = order  # of those of one part the last, so the largest
    return front == outer[part], back == outer[part]


def _cells(
    corners: NDArray[np.integer], triangles: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(F,) numbers of the cells in front of the faces and behind them."""
    count, edges, forward = len(corners), Edges.of(corners), forward_sides(corners)
    pairs = pairs_around(edges, forward, triangles, least=1)
    # A face that runs along its edge has in front what follows in the turn, and behind it what came before.
    after = pairs.one // 3 + count * ~forward[pairs.one]
    before = pairs.other // 3 + count * forward[pairs.other]
    graph = coo_matrix((np.ones(len(after), dtype=np.int8), (after, before)), shape=(2 * count, 2 * count))
    cell = connected_components(graph, directed=False)[1]
    return cell[:count], cell[count:]
