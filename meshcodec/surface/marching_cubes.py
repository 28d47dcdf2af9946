"""Crossed edges to vertices and triangles."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import mcubes
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.surface.arrays import select
from meshcodec.surface.grid import CORNERS

ENDS = 4e-4  # share of a grid edge kept free at its ends, so that no triangle degenerates


EDGES = [(c, axis) for axis in range(3) for c in range(8) if not c >> axis & 1]


@dataclass(frozen=True)
class Extraction:
    """A closed mesh and what it cost.

    Attributes
    ----------
    vertices : (V, 3) float64
        In the coordinates of the field.
    faces : (F, 3) int64
        Counter-clockwise seen from outside (the positive side). V = F = 0 where the field has no surface.
    evaluated : int
        Points at which the field was evaluated; none twice.
    total : int
        Points of the whole grid.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    evaluated: int
    total: int


@functools.lru_cache(maxsize=1)
def triangle_table() -> NDArray[np.int8]:
    """Marching cubes' table, (256, 5, 3): numbers in `EDGES` of each triangle's corners, -1 for none.

    Bit c of the first index is set where corner c is inside. Read off PyMCubes, whose table leaves no cracks
    between cells. On an ambiguous face it joins the corners that it is told are positive; here these are the
    inside, so that thin sheets stay whole.
    """
    numbers = {}
    for number, (corner, axis) in enumerate(EDGES):
        middle = [2 * d for d in CORNERS[corner]]
        middle[axis] = 1
        numbers[tuple(middle)] = number
    table = np.full((256, 5, 3), -1, dtype=np.int8)
    for case in range(1, 255):
        block = np.empty((2, 2, 2))
        for c, corner_at in enumerate(CORNERS):
            block[corner_at] = 1.0 if case >> c & 1 else -1.0
        vertices, faces = mcubes.marching_cubes(block, 0.0)
        edges = [numbers[tuple(v)] for v in np.rint(2 * vertices).astype(int).tolist()]
        for row, face in enumerate(faces):
            table[case, row] = [edges[v] for v in face]
    return table


def with_image(position: Tensor, faces: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """A surface and its image in the plane of index 1, of which they share the vertices; no unused ones."""
    used = torch.zeros(len(position), dtype=torch.bool, device=position.device)
    used[faces.reshape(-1).long()] = True
    faces = (used.cumsum(0) - 1)[faces.long()]
    position = select(position, used)
    image = position.clone()
    image[:, axis] = 2 - image[:, axis]
    apart = position[:, axis] != 1
    own = torch.arange(len(position), device=position.device)
    number = torch.where(apart, len(position) + apart.cumsum(0) - 1, own)
    return torch.cat([position, select(image, apart)]), torch.cat([faces, number[faces].flip(1)])


def edge_corners(axis: int) -> list[int]:
    """An edge's lower corner in each of the four cells around it, in the order of `cells_of`."""
    one, two = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    return [0, one, two, one | two]
