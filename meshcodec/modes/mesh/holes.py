"""Small holes that a decimator or the rounding left in a closed mesh, filled."""

from __future__ import annotations

from collections import Counter

import numpy as np

from meshcodec.format.box import Axes
from meshcodec.format.grid_mesh import Integers

_MOST_EDGES = 12  # of a hole: a larger one is an opening, and its lid would be seen

_Edge = tuple[int, int]


def without_holes(positions: Integers, faces: Integers, mirrored: Axes) -> Integers:
    """The faces with those that close a mesh, where few are missing.

    Parameters
    ----------
    positions, faces : (V, 3) and (F, 3) of a mesh of the grid
    mirrored : axes across which it is mirrored: edges in their planes are no border

    Returns
    -------
    (F', 3) : the same faces, and after them what fills the holes; no others where a hole would stay
    """
    directed = [(a, b) for i, j, k in faces.tolist() for a, b in ((i, j), (j, k), (k, i))]
    edges = Counter((min(edge), max(edge)) for edge in directed)
    in_plane = (positions == 0) & np.array(mirrored)
    border = [
        (b, a)
        for a, b in directed
        if edges[min(a, b), max(a, b)] == 1 and not (in_plane[a] & in_plane[b]).any()
    ]
    if not border:
        return faces
    loops = _loops(border)
    lids: list[list[int]] = []
    there = set(edges)
    for loop in loops or ():
        lid = _lid(loop, positions, there) if len(loop) <= _MOST_EDGES else None
        if lid is None:
            return faces
        lids += lid
    return np.concatenate([faces, np.array(lids, dtype=np.int64)]) if lids else faces


def _loops(border: list[_Edge]) -> list[list[int]] | None:
    """The vertices of the closed loops of directed edges; None where they are no loops, or meet."""
    following = dict(border)
    if len(following) != len(border) or set(following) != set(following.values()):
        return None
    loops = []
    while following:
        start, vertex = following.popitem()
        loop = [start]
        while vertex != start:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(loop)
    return loops


def _lid(loop: list[int], positions: Integers, edges: set[_Edge]) -> list[list[int]] | None:
    """Triangles within a loop, the shortest new edge first; None where each would be an edge of others.

    New edges are added to ``edges``.
    """
    left, faces = list(loop), list[list[int]]()
    while len(left) > 3:
        ears = []
        for at in range(len(left)):
            before, after = left[at - 1], left[(at + 1) % len(left)]
            if (min(before, after), max(before, after)) not in edges:
                length = int(((positions[before] - positions[after]) ** 2).sum())
                ears.append((length, at, before, after))
        if not ears:
            return None
        _, at, before, after = min(ears)
        faces.append([before, left[at], after])
        edges.add((min(before, after), max(before, after)))
        del left[at]
    return [*faces, left] if len(left) == 3 else None
