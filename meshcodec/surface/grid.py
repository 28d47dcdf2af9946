"""The grid on which a field is evaluated coarse to fine."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from meshcodec.format.box import Axes
from meshcodec.surface.arrays import distinct, select, sort, take, zeros
from meshcodec.surface.field import Field, GridField, by_keys, grid_indices
from meshcodec.surface.mc_table import CORNERS

Array = NDArray[Any]
MIN_RESOLUTION = 16  # cells a side of the smallest grid
MAX_RESOLUTION = 512  # cells a side of the largest grid: three times a key fits an int32
_NEAR = 0.5  # spacings: how near by interpolation the surface must be to a point of a cell that it crosses
_PROBE_PERIOD = 4  # one in so many points at which a surface may hide from the last grid level is evaluated
_PROBE_STRIDES = (1, 3, 1)  # by axis; all odd, so that of a period of points in a row one is evaluated
_TINY = float(np.finfo(np.float32).tiny)  # magnitude of a stored value that is zero: 0 is "not evaluated"


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


def signs_differ(values: list[Tensor]) -> Tensor:
    """Which cells have corners of both signs."""
    lowest, highest = functools.reduce(torch.minimum, values), functools.reduce(torch.maximum, values)
    return (lowest < 0) & (highest > 0)


class Grid:
    """The scratch array of values, filled on demand.

    A key is a grid point's linear index ``(i * N + j) * N + k`` as an int32; three indices are three arrays.
    """

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
        self.offsets = [sum(d * s for d, s in zip(c, self.strides, strict=True)) for c in CORNERS]
        self.values = zeros(n**3, self.device)
        self.guesses = zeros(n**3, self.device)
        self.evaluated = 0
        index = np.repeat(np.arange(n)[:, None], 3, axis=1)
        ticks = grid_to_world(index, resolution, self.lo, hi).astype(np.float32)
        at = torch.from_numpy(ticks).to(self.device)
        self.field_at, self.refine_at = by_keys(field, at)
        self.error_bound = field.error_bound if isinstance(field, GridField) else 0.0

    def indices(self, keys: Tensor) -> list[Tensor]:
        """(n,) keys to three (n,) grid indices."""
        return grid_indices(keys, self.side)

    def at(self, keys: Tensor) -> Tensor:
        """The values at keys."""
        return take(self.values, keys)

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
        for i, j, k in CORNERS:
            keys = x[i] + y[j] + z[k]
            values = self.at(keys)
            found.append(torch.where(values == 0, take(self.guesses, keys), values))
        return found

    def evaluate_near(
        self, cells: list[Tensor], values: list[Tensor], step: int, lipschitz_factor: float
    ) -> Tensor:
        """Evaluate the points between the corners of cells of ``step`` a side that the surface may pass.

        Where corners differ, these are the ones near it by interpolation of the ``values`` at the corners.
        Where they do not, they are the ones whose sign might differ from theirs; at the last grid level one
        in `_PROBE_PERIOD` of those will do, since a part has to be met only once. What the others have is
        guessed. Returns the keys that were new.
        """
        half = step // 2
        mixed = signs_differ(values)
        plain = ~mixed
        wanted = []
        corners = [select(v, mixed) for v in values]
        for place, keys in self.points_between([select(a, mixed) for a in cells], half):
            estimate = _interpolated(corners, place)
            wanted.append(select(keys, estimate.abs() <= _NEAR * half * self.cell))
            if half > 1:
                self.guesses.scatter_(0, keys.long(), estimate)
        cells, corners = [select(a, plain) for a in cells], [select(v, plain) for v in values]
        if half == 1:
            return self.evaluate_probes(cells, corners, lipschitz_factor, wanted)
        for place, keys in self.points_between(cells, half):
            estimate = _interpolated(corners, place)
            ways = place.count(1)
            wanted.append(select(keys, estimate.abs() <= lipschitz_factor * half * self.cell * ways**0.5))
            self.guesses.scatter_(0, keys.long(), estimate)
        return self.evaluate_new(wanted)

    def evaluate_probes(
        self, cells: list[Tensor], values: list[Tensor], lipschitz_factor: float, others: list[Tensor]
    ) -> Tensor:
        """The last grid level of `evaluate_near` in cells of 2 a side, all of one sign, and of ``others``."""
        # A point is a probe where the sum of its indices times their strides is a multiple of the period. The
        # part of a cell's corner and that of a place in the cell are told apart, so that most points need not
        # be looked at.
        x, y, z = (a * s for a, s in zip(cells, _PROBE_STRIDES, strict=True))
        phase = (x + y + z) % _PROBE_PERIOD
        groups = []
        for rest in range(_PROBE_PERIOD):
            chosen = phase == rest
            groups.append(([select(a, chosen) for a in cells], [select(v, chosen) for v in values]))
        wanted, probes = list(others), []
        for rest, (cells, values) in enumerate(groups):
            if not len(cells[0]):
                continue
            distances, inside = [v.abs() for v in values], values[0] < 0
            for place, keys in self.points_between(cells, 1):
                if (rest + sum(p * s for p, s in zip(place, _PROBE_STRIDES, strict=True))) % _PROBE_PERIOD:
                    continue
                may_hide = torch.ones_like(inside)
                for corner, distance in zip(CORNERS, distances, strict=True):
                    apart = sum((p - 2 * c) ** 2 for p, c in zip(place, corner, strict=True)) ** 0.5
                    may_hide &= distance <= lipschitz_factor * self.cell * apart
                keys = select(keys, may_hide)
                wanted.append(keys)
                probes.append((keys, select(inside, may_hide)))
        known = self.evaluate_new(wanted)
        if not probes:
            return known
        keys, inside = (torch.cat(groups) for groups in zip(*probes, strict=True))
        met = distinct(select(keys, (self.at(keys) < 0) != inside))
        # Where one is met, the crossed edges are those to its neighbours.
        within = [(i > 0) & (i < self.resolution) for i in self.indices(met)]
        met = select(met, within[0] & within[1] & within[2])
        around = torch.cat([met + sign * stride for stride in self.strides for sign in (1, -1)])
        return torch.cat([known, self.evaluate_new([distinct(around)])])

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
            keys = select(keys, self.at(keys) == 0)
            # Marked, so that the neighbouring cells do not ask for them again.
            self.values.index_fill_(0, keys.long(), torch.nan)
            fresh.append(keys)
        keys = sort(torch.cat(fresh))  # neighbours side by side: kinder to the caches of a triplane
        self.evaluate(keys)
        return keys

    @torch.no_grad()
    def evaluate(self, keys: Tensor) -> None:
        """Fill in the values at ``keys``, which must be distinct and not evaluated yet."""
        for start in range(0, len(keys), self.batch):
            part = keys[start : start + self.batch]
            answer = self.field_at(part)
            if answer.numel() != len(part):
                raise ValueError(f"the field gave {tuple(answer.shape)} for {len(part)} points")
            values = answer.reshape(-1).to(self.values)
            if self.error_bound:
                unsure = values.abs() < self.error_bound
                values[unsure] = self.refine_at(select(part, unsure)).to(values)
            if not bool(values.isfinite().all()):
                raise ValueError("the field gave values that are not finite")
            values = torch.where(values.abs() < _TINY, _TINY, values)  # zero stands for "not evaluated"
            last = self.resolution
            i, j, k = self.indices(part)
            border = (i == 0) | (j == 0) | (k == 0) | (i == last) | (j == last) | (k == last)
            self.values.scatter_(0, part.long(), torch.where(border, values.abs(), values))
        self.evaluated += len(keys)


def _interpolated(values: list[Tensor], place: tuple[int, int, int]) -> Tensor:
    """The mean of the (8, n) values at corners of cells that a place, 0 to 2 along each axis, is between."""
    between = [all(p in (1, 2 * d) for p, d in zip(place, corner, strict=True)) for corner in CORNERS]
    chosen = [v for v, near in zip(values, between, strict=True) if near]
    return functools.reduce(torch.add, chosen) / len(chosen)
