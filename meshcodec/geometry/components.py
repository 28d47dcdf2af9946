"""Connected parts and edges of triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def connected_parts(faces: NDArray[np.integer], count: int) -> tuple[int, NDArray[np.int32]]:
    """The connected parts of a mesh, where a vertex of no face is a part of its own.

    For meshes whose faces come in any order; `meshcodec.surface.small_components` has a quicker way for those
    that follow a grid.

    Parameters
    ----------
    faces : (F, 3) numbers of vertices
    count : number of vertices

    Returns
    -------
    parts : how many there are
    part : (count,) part of each vertex, from 0 up
    """
    rows, columns = faces[:, [0, 1]].T.ravel(), faces[:, [1, 2]].T.ravel()
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    return int(parts), part


@dataclass(frozen=True)
class Edges:
    """The edges of a mesh, each with the sides of triangles that lie along it.

    Side ``3 f + k`` is that of face f from its corner k to the next.

    Attributes
    ----------
    sides : (3 F,) sides, those of one edge together, and within it in the order of the faces
    starts : (E,) where each edge begins in `sides`
    counts : (E,) sides of each edge: 1 at a border, 2 inside a surface, more where surfaces meet
    """

    sides: NDArray[np.intp]
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]

    @classmethod
    def of(cls, corners: NDArray[np.integer]) -> Edges:
        """The edges of at least one face, by increasing pairs of vertices; `corners` are (F, 3) vertices."""
        start, end = corners.reshape(-1), corners[:, [1, 2, 0]].reshape(-1)
        keys = np.minimum(start, end).astype(np.int64) * (int(corners.max()) + 1)
        keys += np.maximum(start, end)
        sides = np.argsort(keys, kind="stable")
        keys = keys[sides]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        return cls(sides, starts, np.diff(starts, append=len(sides)))

    def connected(self) -> NDArray[np.intp]:
        """(F,) numbers of what is connected by common edges, and not by vertices alone, from 0 up."""
        face = self.sides // 3
        inner = np.ones(len(face), dtype=bool)
        inner[self.starts] = False
        follows = np.flatnonzero(inner)
        count = len(self.sides) // 3
        graph = coo_matrix(
            (np.ones(len(follows), dtype=np.int8), (face[follows - 1], face[follows])), shape=(count, count)
        )
        number: NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
        return number

    def bordered(self, number: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
        """(count,) whether an edge of what has each number, (F,) of them, has an odd number of faces."""
        found = np.zeros(count, dtype=bool)
        found[number[self.sides[self.starts[self.counts % 2 == 1]] // 3]] = True
        return found
