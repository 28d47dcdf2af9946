"""Crossed edges to vertices and triangles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.surface.arrays import CHUNK, distinct, select, take
from meshcodec.surface.grid import Grid, grid_to_world
from meshcodec.surface.mc_table import EDGES, MOST_TRIANGLES, triangle_table

Move: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
"""(V, 3) vertices, in the coordinates of the field, and (F, 3) faces to where the vertices go."""
ENDS = 4e-4  # share of a grid edge kept free at its ends, so that no triangle degenerates


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
    """An edge's lower corner in each of the four cells around it, in the order of `cells_around`."""
    one, two = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    return [0, one, two, one | two]


def crossed_edges(grid: Grid, keys: Tensor, directions: tuple[int, ...]) -> Tensor:
    """Edges from ``keys`` to evaluated neighbours of the other sign, as 3 * lower key + axis."""
    found = [keys[:0]]
    for part in keys.split(CHUNK):
        inside = grid.at(part) < 0
        for axis, stride in enumerate(grid.strides):
            for direction in directions:
                beyond = part + direction * stride
                other = grid.at(beyond.clamp(0, len(grid.values) - 1))
                hit = (inside != (other < 0)) & (other != 0)
                found.append(3 * select(part if direction > 0 else beyond, hit) + axis)
    return torch.cat(found)


def cells_around(grid: Grid, edges: Tensor) -> Tensor:
    """(4, n) keys of the lowest corners of the cells around each edge."""
    lower = edges // 3
    axis = edges - 3 * lower
    strides = torch.tensor(grid.strides, dtype=torch.int32, device=edges.device)
    one, two = (take(strides.roll(-turn), axis) for turn in (1, 2))
    beside = lower - one
    return torch.stack([lower, beside, lower - two, beside - two])


def polygonize(grid: Grid, keys: Tensor, move: Move | None = None) -> Extraction:
    """Follow the surface from the evaluated ``keys`` until it closes, and triangulate it."""
    edges = crossed_edges(grid, keys, (1,))
    found, around = [edges], []
    while len(edges):
        cells = distinct(cells_around(grid, edges))
        around.append(cells)
        corners = [cells + offset for offset in grid.offsets]
        missing = distinct(torch.cat([select(c, grid.at(c) == 0) for c in corners]))
        if not len(missing):
            break
        grid.evaluate(missing)
        edges = distinct(crossed_edges(grid, missing, (1, -1)))
        found.append(edges)
    edges = distinct(torch.cat(found))
    if not len(edges):
        return Extraction(
            np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), grid.evaluated, len(grid.values)
        )
    cells = distinct(torch.cat(around))
    position, faces = vertices_on(grid, edges), triangles_in(grid, cells, edges)
    if move is not None:
        position = moved(grid, position, faces, move)
    for mirror in np.flatnonzero(grid.mirrored):
        position, faces = with_image(position, faces, int(mirror))
    vertices = grid_to_world(position.cpu().numpy(), grid.resolution, grid.lo, grid.hi)
    return Extraction(vertices, faces.long().cpu().numpy(), grid.evaluated, len(grid.values))


def moved(grid: Grid, position: Tensor, faces: Tensor, move: Move) -> Tensor:
    """Grid positions (V, 3) of vertices that go where `move` says; none leaves or meets a mirror."""
    before = grid_to_world(position.cpu().numpy(), grid.resolution, grid.lo, grid.hi)
    after = move(before, faces.long().cpu().numpy())
    found = torch.from_numpy((after - grid.lo) * (grid.resolution / (grid.hi - grid.lo))).to(position)
    for mirror in np.flatnonzero(grid.mirrored):
        own = position[:, mirror]
        found[:, mirror] = torch.where(own <= 1, own, found[:, mirror].clamp(min=1 + ENDS))
    return found


def vertices_on(grid: Grid, edges: Tensor) -> Tensor:
    """(n, 3) float64 grid positions of the crossings of edges."""
    lower = edges // 3
    position = torch.stack(grid.indices(lower), dim=-1).double()
    axis = edges - 3 * lower
    strides = torch.tensor(grid.strides, dtype=torch.int32, device=edges.device)
    near, far = grid.at(lower).double(), grid.at(lower + take(strides, axis))
    share = (near / (near - far)).clamp(ENDS, 1 - ENDS)
    return position.scatter_add_(1, axis.long()[:, None], share[:, None])


def triangles_in(grid: Grid, cells: Tensor, edges: Tensor) -> Tensor:
    """(F, 3) numbers among ``edges`` of the triangles' corners in ``cells``: all around them."""
    device = cells.device
    number = grid.guesses.view(torch.int32)  # of each cell; guesses have served
    number.scatter_(0, cells.long(), torch.arange(len(cells), dtype=torch.int32, device=device))
    # Only the crossed edges are filled in and read.
    vertex = torch.empty(len(cells) * len(EDGES), dtype=torch.int32, device=device)
    axis = edges % 3
    own = torch.arange(len(edges), dtype=torch.int32, device=device)
    around = [[EDGES.index((edge_corners(a)[place], a)) for a in range(3)] for place in range(4)]
    for cell, of_axis in zip(cells_around(grid, edges), around, strict=True):
        edge = take(torch.tensor(of_axis, dtype=torch.int32, device=device), axis)
        slot = take(number, cell) * len(EDGES) + edge
        vertex.scatter_(0, slot.long(), own)
    case = torch.zeros(len(cells), dtype=torch.int32, device=device)
    for bit, offset in enumerate(grid.offsets):
        case += (grid.at(cells + offset) < 0).int() << bit
    # Beyond a mirror there is one layer of cells, whose triangles close the surface: not wanted.
    for mirror, index in zip(grid.mirrored, grid.indices(cells), strict=True):
        if mirror:
            case[index == 0] = 0
    table = torch.from_numpy(triangle_table()).int().to(device)
    count = take((table[:, :, 0] >= 0).sum(dim=1), case)
    # Where a cell's triangles begin in the flat table, less their number in the mesh.
    begin = MOST_TRIANGLES * case - (count.cumsum(0, dtype=torch.int32) - count.int())
    owner = torch.repeat_interleave(count, output_size=int(count.sum())).int()
    row = take(begin, owner) + torch.arange(len(owner), dtype=torch.int32, device=device)
    slots = owner[:, None] * len(EDGES) + table.reshape(-1, 3).index_select(0, row)
    return take(vertex, slots)
