"""From a signed distance field to a closed triangle mesh: coarse to fine, then marching cubes.

A grid of ``resolution`` cells a side has ``N = resolution + 1`` points a side. A point ``(i, j, k)`` is
known by its key ``(i*N + j)*N + k``; one scratch array of ``N**3`` float32 holds the values, zero meaning
"not evaluated yet", so that coarse and fine levels share every evaluation.

    coarse cells ─ near the surface? ─> halves ─ ... ─> grid points ─ follow the surface ─> edges ─> triangles

The cells of a level that cannot hold the surface of a distance field are dropped, and below the first
levels single points, in whose place an interpolated guess decides what is looked at next. What these tests
pass over is found by the last step: wherever a crossed edge belongs to a cell that was not evaluated, the
cell is evaluated, until the surface closes. No guess gets into the mesh, and the mesh is closed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mcubes
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshcodec.container import NO_AXES, Axes

Array = NDArray[Any]
Field = Callable[[torch.Tensor], torch.Tensor]

MIN_RESOLUTION = 16
MAX_RESOLUTION = 512

_COARSEST = 8  # grid points between two points of the coarsest lattice, at most
_CHUNK = 1 << 20  # points handled at once where temporary arrays would otherwise grow with N**3
_NEAR = 0.5  # spacings: how near by interpolation the surface must be to a point of a cell that it crosses
_EVERY = 4  # one in so many points at which a surface may hide from the last level is looked at
_SPREAD = np.array([1, 3, 1])  # all odd, so that of `_EVERY` points in a row along an axis one is looked at
_ENDS = 1e-3  # share of a grid edge kept free at its ends, so that no triangle degenerates
_TINY = float(np.finfo(np.float32).tiny)

# Corner c of a cell lies at (c & 1, c >> 1 & 1, c >> 2); an edge is its lower corner and its axis.
_CORNERS: NDArray[np.int64] = np.array([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)], dtype=np.int64)
_EDGES = [(c, axis) for axis in range(3) for c in range(8) if not c >> axis & 1]


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


def grid_to_world(index: Array, resolution: int, lo: ArrayLike, hi: ArrayLike) -> NDArray[np.float64]:
    """Coordinates of grid positions: ``lo + index * (hi - lo) / resolution``.

    The one place where this is done. ``resolution`` counts *cells*, so there are N = resolution + 1 points a
    side, index 0 is ``lo`` and index N - 1 is ``hi``. Fractional indices are fine; any shape, with bounds for
    each axis (3,) the last of which is 3.
    """
    low, high = np.asarray(lo, dtype=np.float64), np.asarray(hi, dtype=np.float64)
    world: NDArray[np.float64] = low + np.asarray(index, dtype=np.float64) * ((high - low) / resolution)
    return world


def lower_bounds(resolution: int, lo: float, hi: float, mirrored: Axes) -> NDArray[np.float64]:
    """(3,) where index 0 lies on each axis: at ``lo`` or, on a mirrored axis, one cell below it.

    So index 1 of a mirrored axis is the plane ``lo``, and no crossing of it lies between grid points.
    """
    return np.where(mirrored, lo - (hi - lo) / (resolution - 1), lo)


def extract(
    field: Field,
    resolution: int = 256,
    *,
    lo: float,
    hi: float,
    truncation: float,
    slack: float = 1.1,
    batch: int = 65536,
    device: torch.device | str = "cpu",
    mirrored: Axes = NO_AXES,
) -> Extraction:
    """Extract the zero level of a truncated signed distance field as a closed mesh.

    Parameters
    ----------
    field : callable
        Maps (n, 3) float32 points on ``device`` to (n,) or (n, 1) distances, negative inside. Runs without
        gradients.
    resolution : int
        Cells a side of the cube [lo, hi]**3, 16 to 512.
    truncation : float
        The field's values end at ±truncation, in the unit of ``lo`` and ``hi``. One below eight cells makes
        the coarsest lattice finer, hence more evaluations.
    slack : float
        How much larger than the true distance a learned value may be: a cell is dropped where all its corners
        are farther than ``slack`` times its half diagonal. At 1 nothing that the grid can see of a true
        distance field is lost, but for a part of its own that lies within four cells of another or that
        the grid sees at fewer than four points in a row.
    batch : int
        Points a call of ``field``.
    device : torch.device or str
        Where the points are handed to ``field``.
    mirrored : (3,) bool
        Axes whose plane ``lo`` is a mirror: the surface is extracted on this side of it and continued as its
        image, vertex to vertex.

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
    grid = _Grid(field, resolution, lo, hi, truncation, batch, device, mirrored)
    if not slack > 0:
        raise ValueError(f"slack must be positive, not {slack}")
    step = _COARSEST
    # A cell whose corners may all be truncated although it holds the surface could not be told from empty.
    while step > 1 and step * slack * grid.cell * 3**0.5 / 2 >= 0.98 * truncation:
        step //= 2

    side = -(-resolution // step)
    cells = np.stack(np.meshgrid(*[np.arange(side) * step] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    known = [grid.evaluate_lattice(np.minimum(np.arange(side + 1) * step, resolution))]
    coarsest = True
    while step > 1:
        values = grid.at_corners(cells, step)
        keep = _may_hold(values, step * slack * grid.cell * 3**0.5 / 2)
        if coarsest and step > 2:
            points = grid.points_between(cells[keep], step // 2)
            known.append(grid.evaluate_new(keys for _, keys in points))
        else:
            known.append(grid.evaluate_near(cells[keep], [v[keep] for v in values], step, slack))
        coarsest = False
        step //= 2
        cells = (cells[keep][:, None] + _CORNERS * step).reshape(-1, 3)
        cells = cells[(cells < resolution).all(axis=1)]
    return grid.polygonize(np.concatenate(known))


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
) -> Extraction:
    """`extract` with the field evaluated at every grid point: the truth that `extract` is tested against."""
    grid = _Grid(field, resolution, lo, hi, truncation, batch, device, mirrored)
    return grid.polygonize(grid.evaluate_lattice(np.arange(resolution + 1)))


def without_specks(extraction: Extraction, least: float) -> Extraction:
    """Leave out connected parts that are specks, unless all are such.

    A learned field has stray crossings much smaller than what it can describe; they are no part of the shape.
    A speck's bounding box is nowhere longer than `least`, or along one axis only longer than a quarter of it.
    """
    vertices, faces = extraction.vertices, extraction.faces
    if len(faces) == 0:
        return extraction
    links = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    ones = np.ones(len(links), dtype=bool)
    graph = coo_matrix((ones, (links[:, 0], links[:, 1])), shape=(len(vertices),) * 2)
    count, part = connected_components(graph, directed=False)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, part, vertices)
    np.maximum.at(high, part, vertices)
    sides = np.sort(high - low, axis=1)
    large = (sides[:, 2] > least) & (sides[:, 1] > least / 4)
    if large.all() or not large.any():
        return extraction
    kept = large[part]
    renumbered = np.cumsum(kept) - 1
    faces = renumbered[faces[kept[faces[:, 0]]]]
    return dataclasses.replace(extraction, vertices=vertices[kept], faces=faces)


def _distinct(keys: Array) -> NDArray[np.int64]:
    """Sorted distinct keys; NumPy's own `unique` hashes, which is slower for millions of them."""
    keys = np.sort(keys, axis=None)
    return keys[np.diff(keys, prepend=-1) > 0]


def _may_hold(values: list[Array], reach: float) -> NDArray[np.bool_]:
    """Which cells can hold the surface, by the (8, n) values at their corners and how far these can see."""
    near: NDArray[np.bool_] = np.minimum.reduce([np.abs(v) for v in values]) <= reach
    return near | _differ(values)


def _differ(values: list[Array]) -> NDArray[np.bool_]:
    """Which cells have corners of both signs."""
    differ: NDArray[np.bool_] = np.logical_or.reduce([v < 0 for v in values])
    differ &= np.logical_or.reduce([v > 0 for v in values])
    return differ


@lru_cache(maxsize=1)
def _triangles() -> NDArray[np.int8]:
    """Marching cubes' table, (256, 5, 3): numbers in `_EDGES` of each triangle's corners, -1 for none.

    Bit c of the first index is set where corner c is inside. Read off PyMCubes, whose table leaves no cracks
    between cells. On an ambiguous face it joins the corners that it is told are positive; here these are the
    inside, so that thin sheets stay whole.
    """
    numbers = {}
    for number, (corner, axis) in enumerate(_EDGES):
        middle = 2 * _CORNERS[corner]
        middle[axis] = 1
        numbers[tuple(middle.tolist())] = number
    table = np.full((256, 5, 3), -1, dtype=np.int8)
    for case in range(1, 255):
        block = np.empty((2, 2, 2))
        block[tuple(_CORNERS.T)] = [1.0 if case >> c & 1 else -1.0 for c in range(8)]
        vertices, faces = mcubes.marching_cubes(block, 0.0)
        edges = [numbers[tuple(v)] for v in np.rint(2 * vertices).astype(int).tolist()]
        for row, face in enumerate(faces):
            table[case, row] = [edges[v] for v in face]
    return table


class _Grid:
    """The scratch array of values, filled on demand."""

    def __init__(
        self,
        field: Field,
        resolution: int,
        lo: float,
        hi: float,
        truncation: float,
        batch: int,
        device: torch.device | str,
        mirrored: Axes,
    ) -> None:
        if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
            raise ValueError(f"resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION}, not {resolution}")
        if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
            raise ValueError(f"lo must be below hi, not {lo} and {hi}")
        if not truncation > 0:
            raise ValueError(f"truncation must be positive, not {truncation}")
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self.field, self.batch, self.device = field, batch, torch.device(device)
        self.resolution, self.mirrored = resolution, mirrored
        self.lo, self.hi = lower_bounds(resolution, lo, hi, mirrored), hi
        self.cell = float((self.hi - self.lo).max()) / resolution
        n = resolution + 1
        self.strides = np.array([n * n, n, 1], dtype=np.int64)
        # zeros, not empty: the system hands out its pages when they are touched, and most never are.
        self.values: NDArray[np.float32] = np.zeros(n**3, dtype=np.float32)
        self.guesses: NDArray[np.float32] = np.zeros(n**3, dtype=np.float32)
        self.evaluated = 0

    def indices(self, keys: Array) -> NDArray[np.int64]:
        """(n,) keys to (n, 3) grid indices."""
        n = self.resolution + 1
        rest, k = np.divmod(keys, n)
        return np.stack([*np.divmod(rest, n), k], axis=-1)

    def corner_keys(self, cells: Array, step: int) -> NDArray[np.int64]:
        """(8, n) keys of the corners of cells of ``step`` points a side, cut off at the grid's border."""
        near = cells * self.strides
        far = np.minimum(cells + step, self.resolution) * self.strides
        x, y, z = ((near[:, a], far[:, a]) for a in range(3))
        return np.stack([x[c & 1] + y[c >> 1 & 1] + z[c >> 2] for c in range(8)])

    def evaluate_lattice(self, ticks: Array) -> NDArray[np.int64]:
        """Evaluate at all triples of ``ticks`` (grid indices along one side); returns their keys."""
        plane = (ticks[:, None] * self.strides[1] + ticks).reshape(-1)
        keys: NDArray[np.int64] = (ticks[:, None] * self.strides[0] + plane).reshape(-1)
        self.evaluate(keys)
        return keys

    def at_corners(self, cells: Array, step: int) -> list[NDArray[np.float32]]:
        """The values at the corners of cells, 8 of (n,), or what is guessed there."""
        found = []
        for keys in self.corner_keys(cells, step):
            values = self.values[keys]
            found.append(np.where(values == 0, self.guesses[keys], values))
        return found

    def evaluate_near(self, cells: Array, values: list[Array], step: int, slack: float) -> NDArray[np.int64]:
        """Evaluate the points between the corners of cells of ``step`` a side that the surface may pass.

        Where corners differ, these are the ones near it by interpolation of the ``values`` at the corners.
        Where they do not, they are the ones whose sign might differ from theirs; at the last level one in
        `_EVERY` of those will do, since a part has to be met only once. What the others have is guessed.
        Returns the keys that were new.
        """
        half = step // 2
        mixed = _differ(values)
        order = np.concatenate([np.flatnonzero(mixed), np.flatnonzero(~mixed)])
        split = int(mixed.sum())
        cells, values = cells[order], [v[order] for v in values]
        distances = [np.abs(v[split:]) for v in values]
        wanted, hidden_in = [], []
        for place, keys in self.points_between(cells, half):
            weights = np.abs(1 - _CORNERS - place).prod(axis=1)
            last = split if half == 1 else len(keys)
            parts = [values[c][:last] * np.float32(weights[c]) for c in range(8) if weights[c]]
            estimate = np.add.reduce(parts)
            passed = np.abs(estimate[:split]) <= _NEAR * half * self.cell
            if half == 1:
                reach = slack * step * self.cell * np.linalg.norm(place - _CORNERS, axis=1)
                hidden = np.logical_and.reduce([d <= r for d, r in zip(distances, reach, strict=True)])
                hidden[hidden] = self.indices(keys[split:][hidden]) @ _SPREAD % _EVERY == 0
                hidden_in.append((keys[split:][hidden], values[0][split:][hidden] < 0))
            else:
                ways = np.count_nonzero(place == 0.5)
                hidden = np.abs(estimate[split:]) <= slack * half * self.cell * ways**0.5
                self.guesses[keys] = estimate
            wanted.append(keys[np.concatenate([passed, hidden])])
        known = self.evaluate_new(iter(wanted))
        if half == 1:
            keys, inside = (np.concatenate(groups) for groups in zip(*hidden_in, strict=True))
            met = _distinct(keys[(self.values[keys] < 0) != inside])
            # Where one is met, the crossed edges are those to its neighbours.
            met = met[((self.indices(met) % self.resolution) > 0).all(axis=1)]
            around = met[:, None] + np.concatenate([self.strides, -self.strides])
            known = np.concatenate([known, self.evaluate_new(iter([_distinct(around)]))])
        return known

    def points_between(
        self, cells: Array, step: int
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """The points ``step`` apart in cells of ``2 * step`` a side, but for the corners.

        Yields the place of each in a cell, (3,) of 0, 0.5 and 1, and its key in all cells (n,).
        """
        ticks = [np.minimum(cells + t * step, self.resolution) * self.strides for t in range(3)]
        for t in np.ndindex(3, 3, 3):
            if 1 in t:
                yield np.array(t) / 2, ticks[t[0]][:, 0] + ticks[t[1]][:, 1] + ticks[t[2]][:, 2]

    def evaluate_new(self, groups: Iterator[Array]) -> NDArray[np.int64]:
        """Evaluate at the keys that were not yet; returns them. No group has a key twice."""
        fresh = []
        for keys in groups:
            keys = keys[self.values[keys] == 0]
            self.values[keys] = np.nan  # marked, so that the neighbouring cells do not ask for them again
            fresh.append(keys)
        keys = np.sort(np.concatenate(fresh))  # neighbours side by side: kinder to the caches of a triplane
        self.evaluate(keys)
        return keys

    @torch.no_grad()
    def evaluate(self, keys: Array) -> None:
        """Fill in the values at ``keys``, which must be distinct and not evaluated yet."""
        for start in range(0, len(keys), self.batch):
            part = keys[start : start + self.batch]
            index = self.indices(part)
            points = grid_to_world(index, self.resolution, self.lo, self.hi).astype(np.float32)
            answer = self.field(torch.from_numpy(points).to(self.device))
            if answer.numel() != len(part):
                raise ValueError(f"the field gave {tuple(answer.shape)} for {len(part)} points")
            values: Array = answer.reshape(-1).float().cpu().numpy().copy()
            if not np.isfinite(values).all():
                raise ValueError("the field gave values that are not finite")
            values[np.abs(values) < _TINY] = _TINY  # zero stands for "not evaluated"
            border = ((index == 0) | (index == self.resolution)).any(axis=1)
            values[border] = np.abs(values[border])
            self.values[part] = values
        self.evaluated += len(keys)

    def crossed(self, keys: Array, directions: tuple[int, ...]) -> NDArray[np.int64]:
        """Edges from ``keys`` to evaluated neighbours of the other sign, as 3 * lower key + axis."""
        found = []
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            values = self.values[part]
            for axis in range(3):
                stride = int(self.strides[axis])
                for direction in directions:
                    beyond = part + direction * stride
                    other = self.values[np.clip(beyond, 0, len(self.values) - 1)]
                    hit = (values < 0) != (other < 0)
                    hit &= other != 0
                    lower = part[hit] if direction > 0 else beyond[hit]
                    found.append(3 * lower + axis)
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def cells_of(self, edges: Array) -> NDArray[np.int64]:
        """(n, 4) keys of the lowest corners of the cells around each edge."""
        lower, axis = np.divmod(edges, 3)
        one, two = self.strides[(axis + 1) % 3], self.strides[(axis + 2) % 3]
        return np.stack([lower, lower - one, lower - two, lower - one - two], axis=-1)

    def polygonize(self, keys: Array) -> Extraction:
        """Follow the surface from the evaluated ``keys`` until it closes, and triangulate it."""
        offsets = _CORNERS @ self.strides
        edges = self.crossed(keys, (1,))
        found = [edges]
        while len(edges):
            corners = _distinct(self.cells_of(edges))[:, None] + offsets
            missing = _distinct(corners[self.values[corners] == 0])
            if not len(missing):
                break
            self.evaluate(missing)
            edges = _distinct(self.crossed(missing, (1, -1)))
            found.append(edges)
        edges = _distinct(np.concatenate(found))
        if not len(edges):
            empty = np.empty((0, 3))
            return Extraction(empty, empty.astype(np.int64), self.evaluated, len(self.values))

        lower, axis = np.divmod(edges, 3)
        near, far = self.values[lower].astype(np.float64), self.values[lower + self.strides[axis]]
        position = self.indices(lower).astype(np.float64)
        position[np.arange(len(edges)), axis] += np.clip(near / (near - far), _ENDS, 1 - _ENDS)

        cells, inverse = np.unique(self.cells_of(edges), return_inverse=True)
        vertex = np.empty(
            (len(cells), len(_EDGES)), dtype=np.int64
        )  # only the crossed edges are filled in and read
        around = np.array([[_EDGES.index((c, a)) for c in _around(a)] for a in range(3)])
        vertex[inverse.reshape(-1, 4), around[axis]] = np.arange(len(edges))[:, None]
        inside = self.values[cells[:, None] + offsets] < 0
        # Beyond a mirror there is one layer of cells, whose triangles close the surface: not wanted.
        inside[((self.indices(cells) == 0) & self.mirrored).any(axis=1)] = False
        triangles = _triangles()[np.packbits(inside, axis=1, bitorder="little")[:, 0]]
        owner, row = np.nonzero(triangles[:, :, 0] >= 0)
        faces = vertex[owner[:, None], triangles[owner, row]]
        for mirror in np.flatnonzero(self.mirrored):
            position, faces = _with_image(position, faces, int(mirror))
        vertices = grid_to_world(position, self.resolution, self.lo, self.hi)
        return Extraction(vertices, faces, self.evaluated, len(self.values))


def _with_image(
    position: NDArray[np.float64], faces: NDArray[np.int64], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A surface and its image in the plane of index 1, of which they share the vertices; no unused ones."""
    used, faces = np.unique(faces, return_inverse=True)
    position, faces = position[used], faces.reshape(-1, 3)
    image = position.copy()
    image[:, axis] = 2 - image[:, axis]
    apart = position[:, axis] != 1
    number = np.where(apart, len(position) + np.cumsum(apart) - 1, np.arange(len(position)))
    return np.concatenate([position, image[apart]]), np.concatenate([faces, number[faces][:, ::-1]])


def _around(axis: int) -> list[int]:
    """An edge's lower corner in each of the four cells around it, in the order of `cells_of`."""
    one, two = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    return [0, one, two, one | two]
