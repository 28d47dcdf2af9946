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
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import mcubes
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from meshcodec.container import NO_AXES, Axes

Array = NDArray[Any]
Field = Callable[[Tensor], Tensor]

MIN_RESOLUTION = 16
MAX_RESOLUTION = 512

_COARSEST = 8  # grid points between two points of the coarsest lattice, at most
_CHUNK = 1 << 20  # points handled at once where temporary arrays would otherwise grow with N**3
_NEAR = 0.5  # spacings: how near by interpolation the surface must be to a point of a cell that it crosses
_EVERY = 4  # one in so many points at which a surface may hide from the last level is looked at
_SPREAD = (1, 3, 1)  # all odd, so that of `_EVERY` points in a row along an axis one is looked at
_ENDS = 4e-4  # share of a grid edge kept free at its ends, so that no triangle degenerates
_TINY = float(np.finfo(np.float32).tiny)

# Corner c of a cell lies at (c & 1, c >> 1 & 1, c >> 2); an edge is its lower corner and its axis.
_CORNERS = [(c & 1, c >> 1 & 1, c >> 2) for c in range(8)]
_EDGES = [(c, axis) for axis in range(3) for c in range(8) if not c >> axis & 1]


@runtime_checkable
class GridField(Protocol):
    """A field that is quicker to evaluate where it knows the grid beforehand.

    Attributes
    ----------
    error : how far the quick distances may be off. Those that are nearer to zero are asked for again from
        the exact function: no sign is wrong then, nor does the surface of a flat field lie elsewhere.
    """

    error: float

    def __call__(self, points: Tensor) -> Tensor:
        """(n, 3) float32 points -> (n,) distances."""

    def on_grid(self, ticks: Tensor) -> tuple[Field, Field]:
        """The field, quick and exact, by (n,) int32 keys of the grid whose points are (N, 3) ``ticks``.

        That is, the point ``(i, j, k)`` is ``(ticks[i, 0], ticks[j, 1], ticks[k, 2])``.
        """


def by_points(field: Field, ticks: Tensor) -> Field:
    """A field as a function of (n,) int32 keys, of the grid whose points are (N, 3) ``ticks``."""

    def ask(keys: Tensor) -> Tensor:
        index = _indices(keys, len(ticks))
        return field(torch.stack([ticks[:, a].take(i.long()) for a, i in enumerate(index)], dim=-1))

    return ask


def by_keys(field: Field, ticks: Tensor) -> tuple[Field, Field]:
    """`GridField.on_grid`, if the field has it, else `by_points` twice."""
    return field.on_grid(ticks) if isinstance(field, GridField) else (by_points(field, ticks),) * 2


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
        gradients. A `GridField` is asked by keys instead.
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
        Where the points are handed to ``field``, and where the search and marching cubes run.
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
    ticks = step * torch.arange(side + 1, dtype=torch.int32, device=grid.device)
    known = [grid.evaluate_lattice(ticks.clamp(max=resolution))]
    cells = [axis.reshape(-1) for axis in torch.meshgrid(ticks[:-1], ticks[:-1], ticks[:-1], indexing="ij")]
    coarsest = True
    while step > 1:
        values = grid.at_corners(cells, step)
        keep = _may_hold(values, step * slack * grid.cell * 3**0.5 / 2)
        cells, values = [_select(a, keep) for a in cells], [_select(v, keep) for v in values]
        if coarsest and step > 2:
            known.append(grid.evaluate_new(keys for _, keys in grid.points_between(cells, step // 2)))
        else:
            known.append(grid.evaluate_near(cells, values, step, slack))
        coarsest = False
        step //= 2
        cells = [torch.cat([a + c[axis] * step for c in _CORNERS]) for axis, a in enumerate(cells)]
        if resolution % (2 * step):
            inside = torch.stack([a < resolution for a in cells]).all(dim=0)
            cells = [_select(a, inside) for a in cells]
    return grid.polygonize(torch.cat(known))


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
    ticks = torch.arange(resolution + 1, dtype=torch.int32, device=grid.device)
    return grid.polygonize(grid.evaluate_lattice(ticks))


def without_specks(extraction: Extraction, least: float) -> Extraction:
    """Leave out connected parts that are specks, unless all are such.

    A learned field has stray crossings much smaller than what it can describe; they are no part of the shape.
    A speck's bounding box is nowhere longer than `least`, or along one axis only longer than a quarter of it;
    or it is nowhere longer than four times that and encloses less than a cube of half of it, as slivers do,
    which the search for the surface may or may not meet.
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
    while not torch.equal(further := _take(first, first), first):
        first = further
    root = first == torch.arange(count)
    number = (root.cumsum(0) - 1)[first]
    joined = [_take(number, end) for end in ends]
    apart = joined[0] != joined[1]
    links = [_select(j, apart).numpy() for j in joined]
    ones = np.ones(len(links[0]), dtype=bool)
    graph = coo_matrix((ones, (links[0], links[1])), shape=(int(root.sum()),) * 2)
    parts, part = connected_components(graph, directed=False)
    return parts, torch.from_numpy(part).long()[number]


def _indices(keys: Tensor, side: int) -> list[Tensor]:
    """(n,) keys of a grid of ``side`` points a side to three (n,) grid indices."""
    rows = keys // side
    i = rows // side
    return [i, rows - i * side, keys - rows * side]


def _select(values: Tensor, mask: Tensor) -> Tensor:
    """``values[mask]``, along the first axis."""
    if values.device.type != "cpu":
        return values[mask]
    # NumPy's is seven times faster than torch's, and shares the memory.
    return torch.from_numpy(values.numpy().compress(mask.numpy(), axis=0))


def _take(values: Tensor, where: Tensor) -> Tensor:
    """``values[where]``, of flat values, by numbers of any integer type."""
    return values.take(where.long())  # on several threads, which `index_select` is not


def _sorted(keys: Tensor) -> Tensor:
    """(n,) keys in ascending order."""
    if keys.device.type != "cpu":
        return keys.sort().values
    # NumPy's takes a sixth of the time of torch's, by vector instructions.
    return torch.from_numpy(np.sort(keys.numpy()))


def _distinct(keys: Tensor) -> Tensor:
    """Sorted distinct keys, several times quicker than `unique` of torch or NumPy."""
    keys = _sorted(keys.reshape(-1))
    new = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    torch.ne(keys[1:], keys[:-1], out=new[1:])
    return _select(keys, new)


def _may_hold(values: list[Tensor], reach: float) -> Tensor:
    """Which cells can hold the surface, by the (8, n) values at their corners and how far these can see."""
    near = functools.reduce(torch.minimum, [v.abs() for v in values]) <= reach
    return near | _differ(values)


def _differ(values: list[Tensor]) -> Tensor:
    """Which cells have corners of both signs."""
    lowest, highest = functools.reduce(torch.minimum, values), functools.reduce(torch.maximum, values)
    return (lowest < 0) & (highest > 0)


@functools.lru_cache(maxsize=1)
def _triangles() -> NDArray[np.int8]:
    """Marching cubes' table, (256, 5, 3): numbers in `_EDGES` of each triangle's corners, -1 for none.

    Bit c of the first index is set where corner c is inside. Read off PyMCubes, whose table leaves no cracks
    between cells. On an ambiguous face it joins the corners that it is told are positive; here these are the
    inside, so that thin sheets stay whole.
    """
    numbers = {}
    for number, (corner, axis) in enumerate(_EDGES):
        middle = [2 * d for d in _CORNERS[corner]]
        middle[axis] = 1
        numbers[tuple(middle)] = number
    table = np.full((256, 5, 3), -1, dtype=np.int8)
    for case in range(1, 255):
        block = np.empty((2, 2, 2))
        for c, corner_at in enumerate(_CORNERS):
            block[corner_at] = 1.0 if case >> c & 1 else -1.0
        vertices, faces = mcubes.marching_cubes(block, 0.0)
        edges = [numbers[tuple(v)] for v in np.rint(2 * vertices).astype(int).tolist()]
        for row, face in enumerate(faces):
            table[case, row] = [edges[v] for v in face]
    return table


class _Grid:
    """The scratch array of values, filled on demand. Keys are int32, three indices are three arrays."""

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
        self.batch, self.device = batch, torch.device(device)
        self.resolution, self.mirrored = resolution, mirrored
        self.lo, self.hi = lower_bounds(resolution, lo, hi, mirrored), hi
        self.cell = float((self.hi - self.lo).max()) / resolution
        self.side = n = resolution + 1
        self.strides = (n * n, n, 1)
        self.offsets = [sum(d * s for d, s in zip(c, self.strides, strict=True)) for c in _CORNERS]
        self.values = _zeros(n**3, self.device)
        self.guesses = _zeros(n**3, self.device)
        self.evaluated = 0
        index = np.repeat(np.arange(n)[:, None], 3, axis=1)
        ticks = grid_to_world(index, resolution, self.lo, hi).astype(np.float32)
        at = torch.from_numpy(ticks).to(self.device)
        self.ask, self.ask_again = by_keys(field, at)
        self.error = field.error if isinstance(field, GridField) else 0.0

    def indices(self, keys: Tensor) -> list[Tensor]:
        """(n,) keys to three (n,) grid indices."""
        return _indices(keys, self.side)

    def at(self, keys: Tensor) -> Tensor:
        """The values at keys."""
        return _take(self.values, keys)

    def between(self, cells: list[Tensor], steps: tuple[int, ...]) -> list[list[Tensor]]:
        """For each axis the parts of keys at so many steps from the lowest corner of cells.

        They are cut off at the grid's border.
        """
        last = self.resolution
        return [
            [(a + t).clamp(max=last) * s for t in steps] for a, s in zip(cells, self.strides, strict=True)
        ]

    def evaluate_lattice(self, ticks: Tensor) -> Tensor:
        """Evaluate at all triples of ``ticks`` (grid indices along one side); returns their keys."""
        plane = (ticks[:, None] * self.strides[1] + ticks).reshape(-1)
        keys = (ticks[:, None] * self.strides[0] + plane).reshape(-1)
        self.evaluate(keys)
        return keys

    def at_corners(self, cells: list[Tensor], step: int) -> list[Tensor]:
        """The values at the corners of cells, 8 of (n,), or what is guessed there."""
        x, y, z = self.between(cells, (0, step))
        found = []
        for i, j, k in _CORNERS:
            keys = x[i] + y[j] + z[k]
            values = self.at(keys)
            found.append(torch.where(values == 0, _take(self.guesses, keys), values))
        return found

    def evaluate_near(self, cells: list[Tensor], values: list[Tensor], step: int, slack: float) -> Tensor:
        """Evaluate the points between the corners of cells of ``step`` a side that the surface may pass.

        Where corners differ, these are the ones near it by interpolation of the ``values`` at the corners.
        Where they do not, they are the ones whose sign might differ from theirs; at the last level one in
        `_EVERY` of those will do, since a part has to be met only once. What the others have is guessed.
        Returns the keys that were new.
        """
        half = step // 2
        mixed = _differ(values)
        plain = ~mixed
        wanted = []
        corners = [_select(v, mixed) for v in values]
        for place, keys in self.points_between([_select(a, mixed) for a in cells], half):
            estimate = _interpolated(corners, place)
            wanted.append(_select(keys, estimate.abs() <= _NEAR * half * self.cell))
            if half > 1:
                self.guesses.scatter_(0, keys.long(), estimate)
        cells, corners = [_select(a, plain) for a in cells], [_select(v, plain) for v in values]
        if half == 1:
            return self.evaluate_hidden(cells, corners, slack, wanted)
        for place, keys in self.points_between(cells, half):
            estimate = _interpolated(corners, place)
            ways = place.count(1)
            wanted.append(_select(keys, estimate.abs() <= slack * half * self.cell * ways**0.5))
            self.guesses.scatter_(0, keys.long(), estimate)
        return self.evaluate_new(wanted)

    def evaluate_hidden(
        self, cells: list[Tensor], values: list[Tensor], slack: float, others: list[Tensor]
    ) -> Tensor:
        """The last level of `evaluate_near` in cells of 2 a side, all of one sign, and of ``others``."""
        # The points looked at are those whose spread is a multiple of `_EVERY`: by cell and place, so that
        # most need not be looked at to be told.
        x, y, z = (a * s for a, s in zip(cells, _SPREAD, strict=True))
        spread = (x + y + z) % _EVERY
        groups = []
        for rest in range(_EVERY):
            chosen = spread == rest
            groups.append(([_select(a, chosen) for a in cells], [_select(v, chosen) for v in values]))
        wanted, hidden_in = list(others), []
        for rest, (cells, values) in enumerate(groups):
            if not len(cells[0]):
                continue
            distances, inside = [v.abs() for v in values], values[0] < 0
            for place, keys in self.points_between(cells, 1):
                if (rest + sum(p * s for p, s in zip(place, _SPREAD, strict=True))) % _EVERY:
                    continue
                hidden = torch.ones_like(inside)
                for corner, distance in zip(_CORNERS, distances, strict=True):
                    apart = sum((p - 2 * c) ** 2 for p, c in zip(place, corner, strict=True)) ** 0.5
                    hidden &= distance <= slack * self.cell * apart
                keys = _select(keys, hidden)
                wanted.append(keys)
                hidden_in.append((keys, _select(inside, hidden)))
        known = self.evaluate_new(wanted)
        if not hidden_in:
            return known
        keys, inside = (torch.cat(groups) for groups in zip(*hidden_in, strict=True))
        met = _distinct(_select(keys, (self.at(keys) < 0) != inside))
        # Where one is met, the crossed edges are those to its neighbours.
        within = [(i > 0) & (i < self.resolution) for i in self.indices(met)]
        met = _select(met, within[0] & within[1] & within[2])
        around = torch.cat([met + sign * stride for stride in self.strides for sign in (1, -1)])
        return torch.cat([known, self.evaluate_new([_distinct(around)])])

    def points_between(self, cells: list[Tensor], step: int) -> Iterator[tuple[tuple[int, int, int], Tensor]]:
        """The points ``step`` apart in cells of ``2 * step`` a side, but for the corners.

        Yields the place of each in a cell, in steps, and its key in all cells (n,).
        """
        x, y, z = self.between(cells, (0, step, 2 * step))
        for i, j in np.ndindex(3, 3):
            column = x[i] + y[j]
            for k in range(3):
                if 1 in (i, j, k):
                    yield (i, j, k), column + z[k]

    def evaluate_new(self, groups: Iterable[Tensor]) -> Tensor:
        """Evaluate at the keys that were not yet; returns them. No group has a key twice."""
        fresh = []
        for keys in groups:
            keys = _select(keys, self.at(keys) == 0)
            # Marked, so that the neighbouring cells do not ask for them again.
            self.values.index_fill_(0, keys.long(), torch.nan)
            fresh.append(keys)
        keys = _sorted(torch.cat(fresh))  # neighbours side by side: kinder to the caches of a triplane
        self.evaluate(keys)
        return keys

    @torch.no_grad()
    def evaluate(self, keys: Tensor) -> None:
        """Fill in the values at ``keys``, which must be distinct and not evaluated yet."""
        for start in range(0, len(keys), self.batch):
            part = keys[start : start + self.batch]
            answer = self.ask(part)
            if answer.numel() != len(part):
                raise ValueError(f"the field gave {tuple(answer.shape)} for {len(part)} points")
            values = answer.reshape(-1).to(self.values)
            if self.error:
                unsure = values.abs() < self.error
                values[unsure] = self.ask_again(_select(part, unsure)).to(values)
            if not bool(values.isfinite().all()):
                raise ValueError("the field gave values that are not finite")
            values = torch.where(values.abs() < _TINY, _TINY, values)  # zero stands for "not evaluated"
            last = self.resolution
            i, j, k = self.indices(part)
            border = (i == 0) | (j == 0) | (k == 0) | (i == last) | (j == last) | (k == last)
            self.values.scatter_(0, part.long(), torch.where(border, values.abs(), values))
        self.evaluated += len(keys)

    def crossed(self, keys: Tensor, directions: tuple[int, ...]) -> Tensor:
        """Edges from ``keys`` to evaluated neighbours of the other sign, as 3 * lower key + axis."""
        found = [keys[:0]]
        for part in keys.split(_CHUNK):
            inside = self.at(part) < 0
            for axis, stride in enumerate(self.strides):
                for direction in directions:
                    beyond = part + direction * stride
                    other = self.at(beyond.clamp(0, len(self.values) - 1))
                    hit = (inside != (other < 0)) & (other != 0)
                    found.append(3 * _select(part if direction > 0 else beyond, hit) + axis)
        return torch.cat(found)

    def cells_of(self, edges: Tensor) -> Tensor:
        """(4, n) keys of the lowest corners of the cells around each edge."""
        lower = edges // 3
        axis = edges - 3 * lower
        strides = torch.tensor(self.strides, dtype=torch.int32, device=edges.device)
        one, two = (_take(strides.roll(-turn), axis) for turn in (1, 2))
        beside = lower - one
        return torch.stack([lower, beside, lower - two, beside - two])

    def polygonize(self, keys: Tensor) -> Extraction:
        """Follow the surface from the evaluated ``keys`` until it closes, and triangulate it."""
        edges = self.crossed(keys, (1,))
        found, around = [edges], []
        while len(edges):
            cells = _distinct(self.cells_of(edges))
            around.append(cells)
            corners = [cells + offset for offset in self.offsets]
            missing = _distinct(torch.cat([_select(c, self.at(c) == 0) for c in corners]))
            if not len(missing):
                break
            self.evaluate(missing)
            edges = _distinct(self.crossed(missing, (1, -1)))
            found.append(edges)
        edges = _distinct(torch.cat(found))
        if not len(edges):
            return Extraction(
                np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), self.evaluated, len(self.values)
            )
        cells = _distinct(torch.cat(around))
        position, faces = self.vertices_on(edges), self.triangles_in(cells, edges)
        for mirror in np.flatnonzero(self.mirrored):
            position, faces = _with_image(position, faces, int(mirror))
        vertices = grid_to_world(position.cpu().numpy(), self.resolution, self.lo, self.hi)
        return Extraction(vertices, faces.long().cpu().numpy(), self.evaluated, len(self.values))

    def vertices_on(self, edges: Tensor) -> Tensor:
        """(n, 3) float64 grid positions of the crossings of edges."""
        lower = edges // 3
        position = torch.stack(self.indices(lower), dim=-1).double()
        axis = edges - 3 * lower
        strides = torch.tensor(self.strides, dtype=torch.int32, device=edges.device)
        near, far = self.at(lower).double(), self.at(lower + _take(strides, axis))
        share = (near / (near - far)).clamp(_ENDS, 1 - _ENDS)
        return position.scatter_add_(1, axis.long()[:, None], share[:, None])

    def triangles_in(self, cells: Tensor, edges: Tensor) -> Tensor:
        """(F, 3) numbers among ``edges`` of the triangles' corners in ``cells``: all around them."""
        device = cells.device
        number = self.guesses.view(torch.int32)  # of each cell; guesses have served
        number.scatter_(0, cells.long(), torch.arange(len(cells), dtype=torch.int32, device=device))
        vertex = torch.empty(
            len(cells) * len(_EDGES), dtype=torch.int32, device=device
        )  # only the crossed edges are filled in and read
        axis = edges % 3
        own = torch.arange(len(edges), dtype=torch.int32, device=device)
        around = [[_EDGES.index((_around(a)[place], a)) for a in range(3)] for place in range(4)]
        for cell, of_axis in zip(self.cells_of(edges), around, strict=True):
            edge = _take(torch.tensor(of_axis, dtype=torch.int32, device=device), axis)
            slot = _take(number, cell) * len(_EDGES) + edge
            vertex.scatter_(0, slot.long(), own)
        case = torch.zeros(len(cells), dtype=torch.int32, device=device)
        for bit, offset in enumerate(self.offsets):
            case += (self.at(cells + offset) < 0).int() << bit
        # Beyond a mirror there is one layer of cells, whose triangles close the surface: not wanted.
        for mirror, index in zip(self.mirrored, self.indices(cells), strict=True):
            if mirror:
                case[index == 0] = 0
        table = torch.from_numpy(_triangles()).int().to(device)
        count = _take((table[:, :, 0] >= 0).sum(dim=1), case)
        # Where a cell's triangles begin in the flat table, less their number in the mesh.
        begin = 5 * case - (count.cumsum(0, dtype=torch.int32) - count.int())
        owner = torch.repeat_interleave(count, output_size=int(count.sum())).int()
        row = _take(begin, owner) + torch.arange(len(owner), dtype=torch.int32, device=device)
        slots = owner[:, None] * len(_EDGES) + table.reshape(-1, 3).index_select(0, row)
        return _take(vertex, slots)


def _zeros(count: int, device: torch.device) -> Tensor:
    """(count,) float32 zeros."""
    if device.type != "cpu":
        return torch.zeros(count, device=device)
    # NumPy has the system hand out zeroed pages when they are touched, and most never are; torch fills them.
    return torch.from_numpy(np.zeros(count, dtype=np.float32))


def _interpolated(values: list[Tensor], place: tuple[int, int, int]) -> Tensor:
    """The mean of the (8, n) values at corners of cells that a place, 0 to 2 along each axis, is between."""
    between = [all(p in (1, 2 * d) for p, d in zip(place, corner, strict=True)) for corner in _CORNERS]
    chosen = [v for v, near in zip(values, between, strict=True) if near]
    return functools.reduce(torch.add, chosen) / len(chosen)


def _with_image(position: Tensor, faces: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """A surface and its image in the plane of index 1, of which they share the vertices; no unused ones."""
    used = torch.zeros(len(position), dtype=torch.bool, device=position.device)
    used[faces.reshape(-1).long()] = True
    faces = (used.cumsum(0) - 1)[faces.long()]
    position = _select(position, used)
    image = position.clone()
    image[:, axis] = 2 - image[:, axis]
    apart = position[:, axis] != 1
    own = torch.arange(len(position), device=position.device)
    number = torch.where(apart, len(position) + apart.cumsum(0) - 1, own)
    return torch.cat([position, _select(image, apart)]), torch.cat([faces, number[faces].flip(1)])


def _around(axis: int) -> list[int]:
    """An edge's lower corner in each of the four cells around it, in the order of `cells_of`."""
    one, two = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    return [0, one, two, one | two]
