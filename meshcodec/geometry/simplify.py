"""Fewer triangles: decimation and clustering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fast_simplification
import meshoptimizer
import numpy as np
import point_cloud_utils as pcu
from numpy.typing import NDArray

from meshcodec.errors import UsageError
from meshcodec.geometry.triangles import Floats, Ints, box_of, compact, merge_identical, without_degenerate

DECIMATORS = ("quadric", "prune", "sloppy")  # names that `decimator` knows
_ANY_ERROR = 1e9  # error allowed to meshoptimizer: the number of faces decides, not the error
_MOST_LOST = 0.01  # `_lost` above what quadric decimation costs where it works
_FINEST = 2048  # cells along the longest side of the finest grid that vertices are merged by
_SAMPLED = 4000  # vertices, at least, by which `_lost` measures a mesh that has as many
_Decimate = Callable[[Floats, Ints, int], tuple[Floats, Ints]]


def decimator(name: str) -> _Decimate:
    """A function of vertices (V, 3), faces (F, 3) and a number of faces to a mesh of about as many.

    Raises UsageError for a name that is none of `DECIMATORS`.
    """
    if name == "quadric":

        def quadric(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
            v, f = fast_simplification.simplify(
                vertices.astype(np.float32), faces.astype(np.int32), target_count=count
            )
            return compact(np.asarray(v, dtype=np.float64), np.asarray(f, dtype=np.int64))

        return quadric
    if name not in DECIMATORS:
        raise UsageError(f"unknown decimator {name!r}", f"use some of {', '.join(DECIMATORS)}")

    def cluster(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
        indices = np.ascontiguousarray(faces.ravel(), dtype=np.uint32)
        out = np.zeros_like(indices)
        options: dict[str, Any] = {"target_index_count": 3 * count, "target_error": _ANY_ERROR}
        points: NDArray[np.float32] = np.ascontiguousarray(vertices, dtype=np.float32)
        if name == "prune":
            options["options"] = meshoptimizer.SIMPLIFY_PRUNE
            kept = meshoptimizer.simplify(out, indices, points, **options)
        else:
            kept = meshoptimizer.simplify_sloppy(out, indices, points, **options)
        return compact(vertices, out[:kept].reshape(-1, 3).astype(np.int64))

    return cluster


def simplify(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """A mesh of at most ``count`` faces that looks like the given one.

    Quadric decimation. Where it stalls, as it does on many small parts, and where it eats away open borders,
    vertices are merged by the cells of a grid.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3)
    count : at least 4

    Returns
    -------
    vertices, faces
        No vertex twice, none that no face uses.
    """
    v, f = merge_identical(vertices, faces)
    if len(f) <= count:
        return v, f
    w, g = merge_identical(*decimator("quadric")(v, f, count))
    if len(g) > count:
        w, g = _finest_grid(w, g, count)
    lost = _lost(v, w, g)
    if lost <= _MOST_LOST:
        return w, g
    x, h = _finest_grid(v, f, count)
    return (x, h) if _lost(v, x, h) < lost else (w, g)


def _lost(vertices: Floats, simple_vertices: Floats, simple_faces: Ints) -> float:
    """Mean distance of vertices, or some thousands of them, to a simplified surface, over half the extent."""
    if not len(simple_faces):
        return np.inf
    low, high = box_of(vertices)
    half = float((high - low).max()) / 2
    some = vertices[:: max(1, len(vertices) // _SAMPLED)]
    return float(closest(some, simple_vertices, simple_faces)[0].mean()) / half


def _finest_grid(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """`_clustered` by the finest grid that leaves few enough faces."""
    low, high = 1, _FINEST  # one cell leaves none
    while high - low > 1:
        middle = (low + high) // 2
        if len(_clustered(vertices, faces, middle)[1]) <= count:
            low = middle
        else:
            high = middle
    return _clustered(vertices, faces, low)


def _clustered(vertices: Floats, faces: Ints, cells: int) -> tuple[Floats, Ints]:
    """Each vertex at the mean of those in its cell, of ``cells`` along the longest side of the box."""
    low, high = box_of(vertices)
    step = float((high - low).max()) / cells or 1.0
    cell = np.minimum(((vertices - low) / step).astype(np.int64), cells - 1)
    keys = (cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]
    _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(group, vertices[:, k], len(size)) / size for k in range(3)], axis=1)
    merged = without_degenerate(group[faces])
    if not len(merged):
        return means[:0], merged
    _, first = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)  # the same corners: one face
    return merge_identical(means, merged[np.sort(first)])


def closest(points: Floats, vertices: Floats, faces: Ints) -> tuple[Floats, Floats]:
    """(n,) distance from each point to the surface, and (n, 3) the place on it that is closest."""
    distances, face, weights = pcu.closest_points_on_mesh(np.ascontiguousarray(points), vertices, faces)
    places = np.einsum("nk,nkd->nd", weights, vertices[faces[face]])
    return np.asarray(distances, dtype=np.float64), np.asarray(places)
