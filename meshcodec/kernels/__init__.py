"""The distance field, evaluated by one of the kernels of `meshcodec.runtime.device`. Which, and why, is what
``meshcodec doctor`` says.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meshcodec.kernels import reference
from meshcodec.kernels.tables import CHUNK, ERRORS, GridTables
from meshcodec.model.decoder import FieldHead
from meshcodec.runtime.device import bfloat16_is_fast, in_parts
from meshcodec.runtime.threads import in_threads
from meshcodec.surface.field import Field

BATCHES = {"tables": 1 << 20, "triton": 1 << 20, "reference": 1 << 16}
"""Points to give each kernel at once: the reference keeps every hidden layer of all of them in memory."""


def field_of(head: FieldHead, planes: Tensor, kernel: str) -> Field:
    """The field of (3, C, P, P) float32 planes: (n, 3) points to (n,) signed distances, not truncated.

    With the kernel ``tables`` it is a `meshcodec.surface.field.GridField` and for grids the quicker.
    """
    last = planes.permute(0, 2, 3, 1).contiguous()
    if kernel == "tables":
        return _TableField(head, last)
    if kernel == "triton":
        from meshcodec.kernels.fused import FusedField

        return FusedField(head, last)
    return _PointField(head, last)


class _PointField:
    """The field by the reference."""

    def __init__(self, head: FieldHead, planes: Tensor) -> None:
        self._head, self._planes = head, planes

    def __call__(self, points: Tensor) -> Tensor:
        return in_parts(lambda part: reference.distances(self._head, self._planes, part), points)


class _TableField(_PointField):
    """A `GridField` on the CPU."""

    def __init__(self, head: FieldHead, planes: Tensor) -> None:
        super().__init__(head, planes)
        self._dtype = torch.bfloat16 if bfloat16_is_fast(planes.device) else torch.float32
        self.error_bound = ERRORS[self._dtype]

    def __call__(self, points: Tensor) -> Tensor:
        found = torch.empty(len(points))

        def evaluate(start: int) -> None:
            part = slice(start, start + CHUNK)
            found[part] = reference.distances(self._head, self._planes, points[part])

        in_threads(evaluate, [(start,) for start in range(0, len(points), CHUNK)])
        return found

    def on_grid(self, ticks: Tensor) -> tuple[Field, Field]:
        """See `meshcodec.surface.field.GridField`; makes the tables of the grid."""
        tables = GridTables(self._head, self._planes, ticks, self._dtype)
        return tables, tables.exact
