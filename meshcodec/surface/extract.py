"""From a signed distance field to a closed triangle mesh: coarse to fine, then marching cubes.

A grid of ``resolution`` cells a side has ``N = resolution + 1`` points a side. A point ``(i, j, k)`` is
known by its key, the linear index ``(i*N + j)*N + k``; one scratch array of ``N**3`` float32 holds the
values, zero meaning "not evaluated yet", so that coarse and fine grid levels share every evaluation.

    coarse cells ─ near the surface? ─> halves ─ ... ─> grid points ─ follow the surface ─> edges ─> triangles

The cells of a grid level that cannot hold the surface of a distance field are dropped, and below the first
levels single points, in whose place an interpolated guess decides what is looked at next. What these tests
pass over is found by the last step: wherever a crossed edge belongs to a cell that was not evaluated, the
cell is evaluated, until the surface closes. No guess gets into the mesh, and the mesh is closed.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from meshcodec.format.box import NO_AXES, Axes
from meshcodec.surface.arrays import select
from meshcodec.surface.field import Field
from meshcodec.surface.grid import Grid, signs_differ
from meshcodec.surface.marching_cubes import Extraction, Move, polygonize
from meshcodec.surface.mc_table import CORNERS

_COARSEST = 8  # grid points between two points of the coarsest lattice, at most


def extract(
    field: Field,
    resolution: int = 256,
    *,
    lo: float,
    hi: float,
    truncation: float,
    lipschitz_factor: float = 1.1,
    batch: int = 65536,
    device: torch.device | str = "cpu",
    mirrored: Axes = NO_AXES,
    move: Move | None = None,
) -> Extraction:
    """Extract the surface of a truncated signed distance field, where it is zero, as a closed mesh.

    Parameters
    ----------
    field : callable
        Maps (n, 3) float32 points on ``device`` to (n,) or (n, 1) distances, negative inside. Runs without
        gradients. A `GridField` is evaluated by keys instead.
    resolution : int
        Cells a side of the cube [lo, hi]**3, 16 to 512.
    lo, hi : float
        Ends of the cube along each axis.
    truncation : float
        The field's values end at ±truncation, in the unit of ``lo`` and ``hi``. One below eight cells makes
        the coarsest lattice finer, hence more evaluations.
    lipschitz_factor : float
        How much larger than the true distance a learned value may be: a cell is dropped where all its corners
        are farther than this times its half diagonal. At 1 nothing that the grid can see of a true
        distance field is lost, but for a part of its own that lies within four cells of another or that
        the grid sees at fewer than four points in a row.
    batch : int
        Points a call of ``field``.
    device : torch.device or str
        Where the points are handed to ``field``, and where the search and marching cubes run.
    mirrored : (3,) bool
        Axes whose plane ``lo`` is a mirror: the surface is extracted on this side of it and continued as its
        image, vertex to vertex.
    move : callable, optional
        Given the (V, 3) vertices and (F, 3) faces on this side of the mirrors, says where the vertices go.

    Returns
    -------
    Extraction
        Points on the border of the cube count as outside, so shapes that touch it are closed there; but for
        planes that are mirrors.

    Raises
    ------
    ValueError
        For arguments out of range, and for a field of the wrong shape or with values that are not finite.
    """
    grid = Grid(field, resolution, lo, hi, truncation, batch, device, mirrored)
    if not lipschitz_factor > 0:
        raise ValueError(f"lipschitz_factor must be positive, not {lipschitz_factor}")
    return polygonize(grid, _search(grid, truncation, lipschitz_factor), move)


def extract_dense(
    field: Field,
    resolution: int = 256,
    *,
    lo: float,
    hi: float,
    truncation: float,
    batch: int = 65536,
    device: torch.device | str = "cpu",
    mirrored: Axes = NO_AXES,
    move: Move | None = None,
) -> Extraction:
    """`extract` with the field evaluated at every grid point: the truth that `extract` is tested against."""
    grid = Grid(field, resolution, lo, hi, truncation, batch, device, mirrored)
    ticks = torch.arange(resolution + 1, dtype=torch.int32, device=grid.device)
    return polygonize(grid, grid.evaluate_lattice(ticks), move)


def _search(grid: Grid, truncation: float, lipschitz_factor: float) -> Tensor:
    """Evaluate a grid coarse to fine, wherever the surface may pass; returns the evaluated keys."""

    def reach(step: int) -> float:
        """Largest value at the corners of cells of ``step`` a side that can hold the surface."""
        return step * lipschitz_factor * grid.cell * 3**0.5 / 2

    step, resolution = _COARSEST, grid.resolution
    # A cell whose corners may all be truncated although it holds the surface could not be told from empty.
    while step > 1 and reach(step) >= 0.98 * truncation:
        step //= 2

    side = -(-resolution // step)
    ticks = step * torch.arange(side + 1, dtype=torch.int32, device=grid.device)
    known = [grid.evaluate_lattice(ticks.clamp(max=resolution))]
    cells = [axis.reshape(-1) for axis in torch.meshgrid(ticks[:-1], ticks[:-1], ticks[:-1], indexing="ij")]
    coarsest = True
    while step > 1:
        values = grid.at_corners(cells, step)
        keep = _may_hold(values, reach(step))
        cells, values = [select(a, keep) for a in cells], [select(v, keep) for v in values]
        if coarsest and step > 2:
            known.append(grid.evaluate_new(keys for _, keys in grid.points_between(cells, step // 2)))
        else:
            known.append(grid.evaluate_near(cells, values, step, lipschitz_factor))
        coarsest = False
        step //= 2
        cells = [torch.cat([a + c[axis] * step for c in CORNERS]) for axis, a in enumerate(cells)]
        if resolution % (2 * step):
            inside = torch.stack([a < resolution for a in cells]).all(dim=0)
            cells = [select(a, inside) for a in cells]
    return torch.cat(known)


def _may_hold(values: list[Tensor], reach: float) -> Tensor:
    """Which cells can hold the surface, by the (8, n) values at their corners and how far these can see."""
    near = functools.reduce(torch.minimum, [v.abs() for v in values]) <= reach
    return near | signs_differ(values)
