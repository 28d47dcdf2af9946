"""Points with normals on a mesh: half of them even over the area, half along its sharp edges.

Sharp edges carry most of what tells one man-made shape from another and have no area, so even sampling misses
them; drawing half of the points there follows Dora (Chen et al. 2024), with its dihedral threshold of 15
degrees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import EXTENT
from meshcodec.errors import BadMeshError
from meshcodec.geometry.components import Edges
from meshcodec.geometry.signed_distance import FaceClasses, FaceKind
from meshcodec.geometry.triangles import points_in

SHARP_ANGLE = np.deg2rad(15.0)  # angle between the normals of two faces above which their edge is sharp
NEAR_SIGMA = 0.01  # standard deviation of query points near the surface, in the unit frame
MIDDLE_SIGMA = 0.05  # standard deviation of mid-range query points, in the unit frame
_MOST_DRAWS = 256  # points drawn at once for each one wanted, at most, in search of those in the cube
_FLOOR_AREA = 1e-30  # added to every area, so that meshes whose faces have no area can be sampled too
SharpEdges = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]  # see `_sharp_edges`


def sample_surface(
    surfaces: FaceClasses, count: int, rng: np.random.Generator, sharp_share: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw points on the encodable faces, as far as they lie in the cube [-EXTENT, EXTENT]^3.

    Parameters
    ----------
    surfaces : classified mesh in the unit frame; it may reach out of the cube where a half of it is coded
    count : number of points, at least 1
    rng : source of the draw; the same state gives the same points
    sharp_share : share of the points on sharp edges, in [0, 1]; without any, all are even over the area

    Returns
    -------
    points, normals : (count, 3) float32 each, in random order; normals have unit length

    Raises BadMeshError where next to nothing of the mesh lies in the cube.
    """
    sharp = _sharp_edges(surfaces)
    points, normals = np.empty((2, 0, 3), dtype=np.float32)
    wanted = count
    while len(points) < count:
        if wanted > count * _MOST_DRAWS + 1000:
            raise BadMeshError("next to nothing of it lies in the cube", "give a mesh with a surface")
        more_points, more_normals = _draw(surfaces, sharp, wanted, rng, sharp_share)
        inside = np.abs(more_points).max(axis=1) <= EXTENT
        points = np.concatenate([points, more_points[inside]])
        normals = np.concatenate([normals, more_normals[inside]])
        wanted *= 2
    return points[:count], normals[:count]


def _draw(
    surfaces: FaceClasses, sharp: SharpEdges, count: int, rng: np.random.Generator, sharp_share: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(count, 3) points and normals wherever they lie, in random order."""
    edges, edge_normals, lengths = sharp
    on_edges = round(count * sharp_share) if len(edges) else 0
    area_points, area_normals = _even(surfaces, count - on_edges, rng)
    if on_edges:
        pick = _weighted(lengths, on_edges, rng)
        along = rng.random((on_edges, 1))
        start, end = surfaces.vertices[edges[pick, 0]], surfaces.vertices[edges[pick, 1]]
        side = rng.integers(0, 2, on_edges)
        area_points = np.concatenate([area_points, start + along * (end - start)])
        area_normals = np.concatenate([area_normals, edge_normals[pick, side]])
    order = rng.permutation(count)
    return area_points[order].astype(np.float32), area_normals[order].astype(np.float32)


def query_points(
    points: NDArray[np.floating], near: int, middle: int, uniform: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Query points for distances, mostly close to the surface.

    Returns (near + middle + uniform, 3) float32, in this order. `points` (P, 3) are samples of the surface;
    the offsets are Gaussian with `NEAR_SIGMA` and `MIDDLE_SIGMA`.
    """
    around_near = points[rng.integers(0, len(points), near)] + rng.normal(scale=NEAR_SIGMA, size=(near, 3))
    around_middle = points[rng.integers(0, len(points), middle)] + rng.normal(
        scale=MIDDLE_SIGMA, size=(middle, 3)
    )
    everywhere = rng.uniform(-EXTENT, EXTENT, (uniform, 3))
    queries = np.concatenate([around_near, around_middle, everywhere])
    clipped: NDArray[np.float32] = np.clip(queries, -EXTENT, EXTENT).astype(np.float32)
    return clipped


def _weighted(weights: NDArray[np.floating], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(count,) indices drawn in proportion to the weights, one from each of `count` equal strata."""
    cumulative = np.cumsum(weights, dtype=np.float64)
    targets = (np.arange(count) + rng.random(count)) * (cumulative[-1] / max(count, 1))
    found: NDArray[np.intp] = np.searchsorted(cumulative, targets, side="right")
    return np.minimum(found, len(weights) - 1)


def _even(
    surfaces: FaceClasses, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    encodable = np.flatnonzero(surfaces.encodable)
    pick = encodable[_weighted(surfaces.areas[encodable] + _FLOOR_AREA, count, rng)]
    return points_in(surfaces.vertices[surfaces.faces[pick]], rng), surfaces.normals[pick]


def _sharp_edges(surfaces: FaceClasses) -> SharpEdges:
    """Edges where two encodable faces meet at more than `SHARP_ANGLE`, or where one ends.

    Returns
    -------
    edges, normals, lengths : (E, 2) vertices, (E, 2, 3) normals of the two faces, (E,)
    """
    encodable = np.flatnonzero(surfaces.encodable)
    faces = surfaces.faces[encodable]
    # Files often repeat a vertex for every face (STL, split normals): edges are found between positions.
    met = Edges.of(surfaces.positions[faces])
    owner, first = encodable[met.sides // 3], met.sides[met.starts]
    one = owner[met.starts]
    # An edge of one face borders an opening; of more than two only the first pair is looked at.
    other = owner[np.minimum(met.starts + 1, len(owner) - 1)]
    other = np.where(met.counts > 1, other, one)
    cosine = np.einsum("ij,ij->i", surfaces.normals[one], surfaces.normals[other])
    # Sheets and slits are not oriented, so their fold is judged without the sign of the normals.
    solid = (surfaces.kinds[one] == FaceKind.SOLID) | (surfaces.kinds[other] == FaceKind.SOLID)
    cosine = np.where(solid, cosine, np.abs(cosine))
    sharp = (met.counts == 1) | (cosine < np.cos(SHARP_ANGLE))
    face, corner = np.divmod(first[sharp], 3)
    edges = np.stack([faces[face, corner], faces[face, (corner + 1) % 3]], axis=1).astype(np.int64)
    lengths = np.linalg.norm(
        surfaces.vertices[edges[:, 1]].astype(np.float64) - surfaces.vertices[edges[:, 0]], axis=1
    )
    longer = lengths > 0
    normals = np.stack([surfaces.normals[one[sharp]], surfaces.normals[other[sharp]]], axis=1)
    return edges[longer], normals[longer], lengths[longer]
