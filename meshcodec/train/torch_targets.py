"""Training targets in plain torch, for machines with a GPU and without the geometry libraries.

The twin of `meshcodec.geometry.signed_distance` and, through it, of `meshcodec.train.cache.make_sample`. They
keep the definition; this module answers the two questions that they ask of a mesh by brute force, every point
against every triangle. The winding number is exact here and a tree's approximation there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.geometry import signed_distance as definition
from meshcodec.geometry.signed_distance import FaceClasses
from meshcodec.train import cache
from meshcodec.train.cache import Sample

_PAIRS = {"cuda": 1 << 27, "cpu": 1 << 17}
"""Pairs of a point and a triangle looked at in one go: what fills a GPU, what fits a processor's cache."""
_NO_AREA = 1e-14
"""Twice the area up to which a triangle is taken for its edges only; `classify` drops the same ones."""
Vector = tuple[Tensor, Tensor, Tensor]


def winding_number(points: Tensor, corners: Tensor, pairs: int | None = None) -> Tensor:
    """Generalized winding number of a triangle soup: sum of solid angles (van Oosterom, Strackee 1983).

    Parameters
    ----------
    points : (n, 3) float
    corners : (F, 3, 3), the three corners of each triangle
    pairs : pairs of a point and a triangle held in memory at once; the default suits the device

    Returns
    -------
    (n,) : 1 inside a closed mesh whose faces look outside, -1 where they look inside, 0 outside
    """
    a, b, c = (_components(corners[:, k]) for k in range(3))
    parts = [torch.zeros(0, dtype=points.dtype, device=points.device)]
    for chunk in _chunks(points, len(corners), pairs):
        x, y, z = _from_points(chunk, a), _from_points(chunk, b), _from_points(chunk, c)
        lx, ly, lz = (_dot(v, v).sqrt() for v in (x, y, z))
        over = _dot(x, _cross(y, z))
        under = lx * ly * lz + _dot(x, y) * lz + _dot(y, z) * lx + _dot(z, x) * ly
        parts.append(torch.atan2(over, under).sum(1) / (2 * math.pi))
    return torch.cat(parts)


def unsigned_distance(points: Tensor, corners: Tensor, pairs: int | None = None) -> Tensor:
    """Distance of points to the nearest of some triangles, by the regions of Ericson (2004), section 5.1.5.

    Parameters
    ----------
    points : (n, 3) float
    corners : (F, 3, 3), F at least 1
    pairs : as for `winding_number`

    Returns
    -------
    (n,) : distances, at least 0
    """
    exact, edges, inward, per_square, normal = _frames(corners)
    dtype = points.dtype
    start, edge, side = (
        [_components(table[:, k].to(dtype)) for k in range(3)] for table in (exact, edges, inward)
    )
    scale = per_square.to(dtype)
    up = _components(normal.to(dtype))
    parts = [torch.zeros(0, dtype=dtype, device=points.device)]
    for chunk in _chunks(points, len(corners), pairs):
        nearest: Tensor | None = None
        above: Tensor | None = None
        for k in range(3):
            x, y, z = from_start = _from_points(chunk, start[k], sign=-1)
            along = (_dot(from_start, edge[k]) * scale[:, k]).clamp_(0, 1)
            ex, ey, ez = edge[k]
            off = (x - along * ex, y - along * ey, z - along * ez)
            square = _dot(off, off)
            nearest = square if nearest is None else torch.minimum(nearest, square)
            within = _dot(from_start, side[k]) >= 0
            above = within if above is None else above & within
        assert nearest is not None
        assert above is not None
        height = _dot(_from_points(chunk, start[0], sign=-1), up)
        parts.append(torch.where(above, height.square(), nearest).amin(1).sqrt())
    return torch.cat(parts)


def _frames(corners: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the distance to triangles (F, 3, 3) is computed from.

    Returns
    -------
    corners, edges from them, directions from those inwards : (F, 3, 3) each, float64
    inverse squares of the lengths of the edges : (F, 3)
    normals : (F, 3) of length 1, NaN where there is no area
    """
    # Once for each triangle, so in double precision: slivers need it.
    exact = corners.double()
    ends = exact.roll(-1, dims=1)
    edges = ends - exact
    normal = torch.linalg.cross(edges[:, 0], edges[:, 1])
    doubled = normal.norm(dim=1, keepdim=True)
    normal = normal / doubled
    # Comparisons with NaN are false: triangles without an area have no face region.
    normal = torch.where(doubled > _NO_AREA, normal, math.nan)
    inward = torch.linalg.cross(normal[:, None].expand_as(edges), edges)
    per_square = 1 / edges.square().sum(-1).clamp(min=1e-30)
    return exact, edges, inward, per_square, normal


def triangle_table(corners: Tensor) -> Tensor:
    """(F, 3, 3) triangles -> (33, F) float32, as `triton_targets.unsigned_distance` takes it."""
    exact, edges, inward, per_square, normal = _frames(corners)
    sides = torch.cat([exact, edges, inward, per_square[:, :, None]], dim=2).flatten(1)
    return torch.cat([sides, normal], dim=1).T.float().contiguous()


class Geometry:
    """`winding_number` and `unsigned_distance` of `meshcodec.geometry.signed_distance`, answered on a device.

    Takes and returns numpy arrays, as they do. On CUDA the sums over triangles are in Triton kernels
    (`meshcodec.train.triton_targets`).
    """

    def __init__(self, device: torch.device, pairs: int | None = None) -> None:
        self._device, self._pairs = device, pairs
        self._kernels = device.type == "cuda"

    def winding_number(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n,) generalized winding number of the faces about each of the (n, 3) points."""
        asked, corners = self._put(points), self._put(vertices[faces])
        if self._kernels:
            from meshcodec.train import triton_targets  # here, because a CPU does without Triton

            winding = triton_targets.winding_number(asked, corners)
        else:
            winding = winding_number(asked, corners, self._pairs)
        found: NDArray[np.float32] = winding.cpu().numpy()
        return found

    def unsigned_distance(
        self, points: NDArray[np.float32], vertices: NDArray[np.float32], faces: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """(n,) distance of each of the (n, 3) points to the nearest of the faces."""
        asked, corners = self._put(points), self._put(vertices[faces])
        if self._kernels:
            from meshcodec.train import triton_targets

            distances = triton_targets.unsigned_distance(asked, triangle_table(corners))
        else:
            distances = unsigned_distance(asked, corners, self._pairs)
        found: NDArray[np.float32] = distances.cpu().numpy()
        return found

    def classify(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> FaceClasses:
        """See `meshcodec.geometry.signed_distance.classify`."""
        return definition.classify(vertices, faces, self.winding_number, self.unsigned_distance)

    def target(self, surfaces: FaceClasses) -> definition.TargetField:
        """The signed distance that the codec is asked to reproduce."""
        return definition.TargetField(surfaces, self.winding_number, self.unsigned_distance)

    def make_sample(self, vertices: NDArray[np.floating], faces: NDArray[np.integer], seed: int) -> Sample:
        """See `meshcodec.train.cache.make_sample`; a seed draws the same points and queries as there."""
        return cache.make_sample(vertices, faces, seed, self.winding_number, self.unsigned_distance)

    def _put(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)


def _chunks(points: Tensor, faces: int, pairs: int | None) -> Iterator[Tensor]:
    limit = pairs or _PAIRS.get(points.device.type, _PAIRS["cpu"])
    step = max(1, limit // max(1, faces))
    for start in range(0, len(points), step):
        yield points[start : start + step]


def _components(vectors: Tensor) -> Vector:
    """(F, 3) -> three of (F,): arithmetic on pairs is faster without an axis of length 3."""
    x, y, z = vectors.unbind(1)
    return x.contiguous(), y.contiguous(), z.contiguous()


def _from_points(points: Tensor, vectors: Vector, sign: int = 1) -> Vector:
    """(q, F) components of ``sign * (vector - point)`` for every pair."""
    if sign < 0:
        x, y, z = (points[:, k, None] - vectors[k] for k in range(3))
    else:
        x, y, z = (vectors[k] - points[:, k, None] for k in range(3))
    return x, y, z


def _dot(a: Vector, b: Vector) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
