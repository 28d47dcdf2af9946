"""A fitted mesh on the integer grid: each vertex at the place that costs the surface least, none twice."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.sparse import csr_matrix

from meshcodec.format.grid_mesh import GridMesh, Integers, MeshGrid
from meshcodec.geometry.triangles import Floats, Ints, without_degenerate
from meshcodec.modes.mesh.fit import ControlMesh, Sparse

_STEPS = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])  # (26, 3) to the neighbours
_MOST_ROUNDS = 60  # of moves; after some twenty hardly any is left
_LEAST_GAIN = 1e-9  # share of a vertex's own cost of a step that a move has to save
_NOWHERE = np.inf  # cost of a move that is not allowed


def rounded(
    mesh: ControlMesh,
    places: Floats,
    grid: MeshGrid,
    hessian: Sparse | None,
    apart: bool,
    kinds: Ints | None = None,
) -> tuple[GridMesh, Ints]:
    """The mesh with its vertices on the grid, and the (V,) position of each of these, -1 where it is gone.

    Rounding each coordinate to the nearest is far from the best: what matters is the distance across the
    surface, and an error of one vertex can be made good by its neighbours. From there on single vertices are
    moved to neighbouring places for as long as the quadratic form of the fit becomes smaller.

    Parameters
    ----------
    mesh : with (V, 3) vertices; those in a middle plane stay there, the others stay out of it
    places : (V, 3) where its vertices lie, in steps of the grid
    grid : of the same mirrored axes as the mesh
    hessian : (3V, 3V) of the fit, in any unit; None rounds to nearest
    apart : whether a vertex whose place is taken goes to a free one beside it, so that a closed mesh stays
        closed; else both become one, and a thin plate becomes a sheet of half as many faces
    kinds : (V,) numbers; vertices that have different ones are kept apart in any case

    The mesh is without faces that have become degenerate or are repeated; it may have no face left.
    """
    low = np.where(np.array(grid.mirrored) & ~mesh.held, 1, 0)
    high = np.where(mesh.held, 0, np.maximum(grid.sides, low))
    whole: Integers = np.clip(np.rint(places), low, high).astype(np.int64)
    costs = np.zeros((len(whole), len(_STEPS)))
    if hessian is not None:
        whole, costs = _descended(whole, places, hessian.tocsr(), low, high)
    if apart:
        kinds = np.arange(len(whole))
    if kinds is not None:
        whole = _taken_apart(whole, costs, low, high, kinds)
    return grid_mesh(whole, mesh.faces, grid.bits, mesh.crease, apart)


def grid_mesh(
    positions: Integers, faces: Ints, bits: int, crease: int, folds: bool = False
) -> tuple[GridMesh, Ints]:
    """Positions (V, 3) and faces (F, 3) as a `GridMesh`: equal positions merged, faces degenerate or repeated
    dropped (`without_repeated`), then positions that no face uses; and the (V,) new number of each position,
    -1 where it is gone."""
    distinct, inverse = np.unique(positions, axis=0, return_inverse=True)
    group = inverse.reshape(-1)
    merged = without_repeated(without_degenerate(group[faces]), folds)
    used, index = np.unique(merged, return_inverse=True)
    number = np.full(len(distinct), -1, dtype=np.int64)
    number[used] = np.arange(len(used))
    return GridMesh(distinct[used], index.reshape(-1, 3).astype(np.int64), bits, crease), number[group]


def without_repeated(faces: Ints, folds: bool) -> Ints:
    """The (F, 3) faces, of those with the same three vertices only one.

    Parameters
    ----------
    folds : whether two of them, as the two sides of a fold, are both dropped: so every edge keeps an even
        number of faces, and a closed mesh stays closed
    """
    if not len(faces):
        return faces
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    kept: Ints = faces[np.sort(first[count % 2 == 1] if folds else first)]
    return kept


def _descended(
    whole: Integers, places: Floats, hessian: Sparse, low: Integers, high: Integers
) -> tuple[Integers, Floats]:
    """Positions from which no vertex has a better place beside it, and the costs (V, 26) of moving there."""
    count = len(whole)
    own = _own_blocks(hessian, count)
    curvature = np.einsum("si,vij,sj->vs", _STEPS, own, _STEPS)
    least = _LEAST_GAIN * np.trace(own, axis1=1, axis2=2)
    neighbours = _neighbours(hessian, count)
    slopes = (hessian @ (whole - places).reshape(-1)).reshape(-1, 3)
    for _ in range(_MOST_ROUNDS):
        costs = _allowed(curvature + 2 * slopes @ _STEPS.T, whole, low, high)
        step = np.argmin(costs, axis=1)
        gain = np.where(costs.min(axis=1) < -least, costs.min(axis=1), 0.0)
        # Of neighbours the one that gains most moves; the others see it there and choose again.
        best = np.minimum.reduceat(gain[neighbours.indices], neighbours.indptr[:-1])
        moving = np.flatnonzero((gain < 0) & (gain <= best))
        if not len(moving):
            break
        moves = np.zeros_like(whole)
        moves[moving] = _STEPS[step[moving]]
        whole = whole + moves
        slopes = slopes + (hessian @ moves.reshape(-1)).reshape(-1, 3)
    return whole, _allowed(curvature + 2 * slopes @ _STEPS.T, whole, low, high)


def _allowed(costs: Floats, whole: Integers, low: Integers, high: Integers) -> Floats:
    """The costs (V, 26), infinite where a step leaves the bounds."""
    there = whole[:, None] + _STEPS
    fits = ((there >= low[:, None]) & (there <= high[:, None])).all(axis=2)
    return np.where(fits, costs, _NOWHERE)


def _own_blocks(hessian: Sparse, count: int) -> Floats:
    """(V, 3, 3) blocks of the diagonal."""
    blocks = np.zeros((count, 3, 3))
    for i in range(3):
        for offset in range(-i, 3 - i):
            blocks[:, i, i + offset] = hessian.diagonal(offset)[i + min(offset, 0) :: 3][:count]
    return blocks


def _neighbours(hessian: Sparse, count: int) -> Sparse:
    """(V, V) with an entry for two vertices that the quadratic form ties together, and on the diagonal."""
    found = hessian.tocoo()
    rows = np.concatenate([found.row // 3, np.arange(count)])
    columns = np.concatenate([found.col // 3, np.arange(count)])
    return csr_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(count, count))


def _taken_apart(whole: Integers, costs: Floats, low: Integers, high: Integers, kinds: Ints) -> Integers:
    """Positions of which none is there for two kinds, as far as there is a free place beside it."""
    result = whole.copy()
    taken: dict[tuple[int, ...], int] = {}
    waiting: list[int] = []
    for vertex, (place, kind) in enumerate(zip(map(tuple, whole.tolist()), kinds.tolist(), strict=True)):
        if taken.setdefault(place, kind) != kind:
            waiting.append(vertex)
    for vertex in waiting:
        allowed = _allowed(costs[vertex][None], whole[vertex][None], low[vertex][None], high[vertex][None])[0]
        for step in np.argsort(allowed, kind="stable"):
            place = tuple((whole[vertex] + _STEPS[step]).tolist())
            if place not in taken and allowed[step] < _NOWHERE:
                taken[place] = int(kinds[vertex])
                result[vertex] = place
                break
    return result
