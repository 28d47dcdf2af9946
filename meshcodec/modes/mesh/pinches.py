"""Edges at which a decimator has let two sheets of a closed mesh meet, taken apart."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.surface.loop import edges_of


def split_pinches(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """A mesh in which the ends of edges with more than two faces have a copy for each fan around them.

    Where two sheets met at an edge of four faces, each has an edge of two afterwards. The copies lie at the
    same place; the rest of the mesh is as it was.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3)
    """
    edges = edges_of(faces, len(vertices))
    crowded = edges.uses > 2
    if not crowded.any():
        return vertices, faces
    pinched = np.zeros(len(vertices), dtype=bool)
    pinched[edges.ends[crowded]] = True
    # Corner k of face f is number 3 f + k. Two faces that share an edge join their corners at its ends.
    half_edges = np.argsort(edges.of_face, axis=None, kind="stable")
    pairs = half_edges[np.repeat(edges.uses == 2, edges.uses)].reshape(-1, 2)
    flat = faces.reshape(-1)
    after = np.arange(len(flat)).reshape(-1, 3)[:, [1, 2, 0]].reshape(-1)  # the corner at a half-edge's end
    same = flat[pairs[:, 0]] == flat[pairs[:, 1]]
    other = np.where(same, pairs[:, 1], after[pairs[:, 1]])
    behind = np.where(same, after[pairs[:, 1]], pairs[:, 1])
    rows = np.concatenate([pairs[:, 0], after[pairs[:, 0]]])
    columns = np.concatenate([other, behind])
    shape = (len(flat), len(flat))
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=shape)
    fan = connected_components(graph, directed=False)[1].astype(np.int64)
    # Of a vertex that is not pinched all corners stay one.
    keys = np.where(pinched[flat], len(vertices) + fan, flat)
    _, first, corner = np.unique(keys, return_index=True, return_inverse=True)
    return vertices[flat[first]], corner.reshape(-1, 3).astype(np.int64)
