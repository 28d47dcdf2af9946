"""Signed distance fields as functions of points or of grid indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from meshcodec.config import TRUNCATION
from meshcodec.format.container import ISO_OFFSET_UNIT

Field = Callable[[Tensor], Tensor]


@runtime_checkable
class GridField(Protocol):
    """A field that is quicker to evaluate where it knows the grid beforehand.

    Attributes
    ----------
    error_bound : how far the quick distances may be off, in the unit frame. Those that are nearer to zero
        are evaluated again by the exact function: no sign is wrong then, nor does the surface of a flat field
        lie elsewhere.
    """

    error_bound: float

    def __call__(self, points: Tensor) -> Tensor:
        """(n, 3) float32 points -> (n,) distances."""

    def on_grid(self, ticks: Tensor) -> tuple[Field, Field]:
        """The functions ``field_at`` and ``refine_at``: the quick and the exact distances at grid points.

        Both take (n,) int32 keys, linear indices ``(i * N + j) * N + k``, of the grid whose points are (N, 3)
        ``ticks``: the point ``(i, j, k)`` is ``(ticks[i, 0], ticks[j, 1], ticks[k, 2])``.
        """


def by_points(field: Field, ticks: Tensor) -> Field:
    """A field as a function of (n,) int32 keys, linear indices of the grid of the (N, 3) ``ticks``."""

    def field_at(keys: Tensor) -> Tensor:
        index = grid_indices(keys, len(ticks))
        return field(torch.stack([ticks[:, a].take(i.long()) for a, i in enumerate(index)], dim=-1))

    return field_at


def by_keys(field: Field, ticks: Tensor) -> tuple[Field, Field]:
    """``field_at`` and ``refine_at``: `GridField.on_grid`, if the field has it, else `by_points` twice."""
    return field.on_grid(ticks) if isinstance(field, GridField) else (by_points(field, ticks),) * 2


def grid_indices(keys: Tensor, side: int) -> list[Tensor]:
    """(n,) keys of a grid of ``side`` points a side to three (n,) grid indices."""
    rows = keys // side
    i = rows // side
    return [i, rows - i * side, keys - rows * side]


class OffsetField:
    """A field that is zero where another field is at an iso offset, truncated.

    Parameters
    ----------
    field : any field
    iso_offset : the iso offset, in units of `ISO_OFFSET_UNIT`
    """

    def __init__(self, field: Field, iso_offset: int) -> None:
        self._field, self._offset = field, iso_offset * ISO_OFFSET_UNIT
        self.error_bound = field.error_bound if isinstance(field, GridField) else 0.0

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return self._truncated(self._field(points))

    def on_grid(self, ticks: torch.Tensor) -> tuple[Field, Field]:
        """The two functions of `GridField.on_grid`, of the other field, at the offset."""
        field_at, refine_at = by_keys(self._field, ticks)
        return (lambda keys: self._truncated(field_at(keys))), (lambda keys: self._truncated(refine_at(keys)))

    def _truncated(self, distances: torch.Tensor) -> torch.Tensor:
        return (distances - self._offset).clamp(-TRUNCATION, TRUNCATION)


class CachedField:
    """A field that is needed again and again at the points of a few grids, and evaluated once at each."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.error_bound = field.error_bound if isinstance(field, GridField) else 0.0
        self._grids: dict[int, tuple[Field, Field]] = {}

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return self._field(points)

    def on_grid(self, ticks: torch.Tensor) -> tuple[Field, Field]:
        """Grids of as many ticks must be the same each time."""
        if len(ticks) not in self._grids:
            field_at, refine_at = by_keys(self._field, ticks)
            values = torch.full((len(ticks) ** 3,), torch.nan, device=ticks.device)

            def cached_at(keys: torch.Tensor) -> torch.Tensor:
                new = keys[values[keys].isnan()]
                if len(new):
                    values[new] = field_at(new)
                return values[keys]

            self._grids[len(ticks)] = cached_at, refine_at
        return self._grids[len(ticks)]
