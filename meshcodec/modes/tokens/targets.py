"""Query points of a round of refinement, and the signed distances wanted there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshcodec.geometry.sample import query_points, sample_surface
from meshcodec.geometry.signed_distance import SHEET_HALF_THICKNESS, FaceClasses, TargetField
from meshcodec.geometry.triangles import face_areas
from meshcodec.modes.tokens.prepare import PreparedMesh
from meshcodec.modes.tokens.refine import QueryPool

SHARP_SHARE = 0.3
"""Share of the surface points that lie on sharp edges (by hand, see docs/experiments/README.md)."""
SHEET_IN_MESH = SHEET_HALF_THICKNESS
"""Half the thickness of a sheet in the mesh, in half-extents, where there are only sheets
(docs/experiments/target.md, "Thicker sheets")."""
THICKEST_SHEET = 0.03
"""The same in the cube, at most: where it stretches a side, sheets across it would grow into each other."""


def draw_queries(
    prepared: PreparedMesh, decoded: NDArray[np.float64], count: int, rng: np.random.Generator
) -> QueryPool:
    """Draw `count` queries for a mesh whose last decode has the (V, 3) points `decoded`, in the cube.

    A third near the surface, a quarter around it, a fifth near the last decode, the rest anywhere: what is
    there and should not be shows up in the last two only (docs/experiments/refinement.md, "Queries
    anywhere").
    """
    near, around, wrong = count // 3, count // 4, count // 5 if len(decoded) else 0
    # By the area that a face has in the mesh, not in the stretched cube: that is what an F-score counts.
    classes = prepared.classes
    sides = prepared.transform.unit_lengths / prepared.transform.scale
    weighted = replace(classes, areas=face_areas(classes.vertices * sides, classes.faces))
    points, normals = sample_surface(weighted, max(near, 1), rng, sharp_share=SHARP_SHARE)
    queries = query_points(points, near, around, count - near - around - wrong, rng)
    if wrong:
        queries = np.concatenate([queries, query_points(decoded, wrong, 0, 0, rng)])
    # A plane in the cube with the unit normal n, moved by d, moves by d / |n / sides| in the mesh.
    _, nearest = cKDTree(points).query(queries)
    units = (1 / np.linalg.norm(normals[nearest] / sides, axis=1)).astype(np.float32)
    return QueryPool(queries, TargetField(classes)(queries, _half_thickness(classes, units)), units)


def _half_thickness(classes: FaceClasses, units: NDArray[np.float32]) -> float | NDArray[np.float32]:
    """Half the thickness, in the cube, of the sheets near queries of these units.

    A mesh of sheets alone has nothing but them to lose: they are as thick in the mesh as others in the cube,
    which stretches it, so that few tokens hold them without holes.
    """
    if not classes.only_sheets:
        return SHEET_HALF_THICKNESS
    half: NDArray[np.float32] = np.minimum(SHEET_IN_MESH / units, THICKEST_SHEET)
    return half
