"""Small components that are errors of the field."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from meshcodec.surface.arrays import select, take
from meshcodec.surface.marching_cubes import Extraction


def without_small_components(extraction: Extraction, least: float) -> Extraction:
    """Leave out connected parts that are small, unless all are.

    A learned field has stray crossings much smaller than what it can describe; they are no part of the shape.
    The bounding box of a small component is nowhere longer than `least`, or along one axis only longer than a
    quarter of it; or it is nowhere longer than four times that and the component encloses less than a cube of
    half of it, as slivers do, which the search for the surface may or may not meet.

    Parameters
    ----------
    extraction : closed mesh
    least : length in the coordinates of the vertices
    """
    vertices, faces = extraction.vertices, extraction.faces
    if len(faces) == 0:
        return extraction
    count, part = _connected_parts(faces, len(vertices))
    if count == 1:
        return extraction
    each, points = part[:, None].expand(-1, 3), torch.from_numpy(vertices)
    low = torch.full((count, 3), torch.inf, dtype=points.dtype).scatter_reduce_(0, each, points, "amin")
    high = torch.full((count, 3), -torch.inf, dtype=points.dtype).scatter_reduce_(0, each, points, "amax")
    sides = (high - low).sort(dim=1).values
    large = (sides[:, 2] > least) & (sides[:, 1] > least / 4)
    short = large & (sides[:, 2] <= 4 * least)
    if short.any():
        some = torch.from_numpy(faces.compress(short[part].numpy().take(faces[:, 0]), axis=0))
        a, b, c = (points[corner] for corner in some.unbind(dim=1))
        volumes = torch.zeros(count, dtype=points.dtype)
        volumes.index_add_(0, part[some[:, 0]], (a * b.cross(c, dim=1)).sum(dim=1) / 6)
        large &= ~short | (volumes.abs() >= (least / 2) ** 3)
    if large.all() or not large.any():
        return extraction
    kept = large[part].numpy()
    renumbered = np.cumsum(kept) - 1
    faces = renumbered.take(faces.compress(kept.take(faces[:, 0]), axis=0))
    return dataclasses.replace(extraction, vertices=vertices.compress(kept, axis=0), faces=faces)


def _connected_parts(faces: NDArray[np.int64], count: int) -> tuple[int, Tensor]:
    """Number of connected parts of a mesh of ``count`` vertices, and the part of each vertex.

    A round of Borůvka's algorithm joins each vertex to the first of its neighbours. That leaves one vertex
    for each place where the surface begins in the order of the grid, few enough for a search.
    """
    corners = torch.from_numpy(faces)
    ends = torch.cat([corners[:, 0], corners[:, 1]]), torch.cat([corners[:, 1], corners[:, 2]])
    first = torch.arange(count)
    for one, other in (ends, ends[::-1]):
        first.scatter_reduce_(0, one, other, "amin")
    while not torch.equal(further := take(first, first), first):
        first = further
    root = first == torch.arange(count)
    number = (root.cumsum(0) - 1)[first]
    joined = [take(number, end) for end in ends]
    apart = joined[0] != joined[1]
    links = [select(j, apart).numpy() for j in joined]
    ones = np.ones(len(links[0]), dtype=bool)
    graph = coo_matrix((ones, (links[0], links[1])), shape=(int(root.sum()),) * 2)
    parts, part = connected_components(graph, directed=False)
    return parts, torch.from_numpy(part).long()[number]
