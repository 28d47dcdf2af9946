"""Connected parts of triangle meshes."""

from __future__ import annotations

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
