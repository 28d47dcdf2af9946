"""The distance field, evaluated by what suits the device. Which, and why, is what ``meshcodec doctor`` says.

=========  ===========================================================================================
tables     CPU: what a regular grid lets share is computed once (`tables`); single points by `reference`
triton     CUDA: all of it in one kernel, nothing in between in global memory (`fused`)
reference  anywhere: plain torch (`reference`)
=========  ===========================================================================================

MESHCODEC_KERNEL in the environment chooses: ``auto`` (the default), ``reference`` or ``triton``.
"""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import Tensor

from meshcodec.errors import UsageError
from meshcodec.kernels import reference
from meshcodec.kernels.tables import CHUNK, ERRORS, GridTables
from meshcodec.model.decoder import FieldHead
from meshcodec.runtime.device import bfloat16_is_fast, in_parts
from meshcodec.runtime.threads import in_threads
from meshcodec.surface.field import Field

VARIABLE = "MESHCODEC_KERNEL"  # name of the environment variable that chooses the kernel
CHOICES = ("auto", "reference", "triton")  # values that it may have
BATCHES = {"tables": 1 << 20, "triton": 1 << 20, "reference": 1 << 16}
"""Points to give each kernel at once: the reference keeps every hidden layer of all of them in memory."""


def choose_kernel(device: torch.device) -> tuple[str, str]:
    """The kernel that runs on a device, ``tables``, ``triton`` or ``reference``, and a phrase that says why.

    Raises
    ------
    UsageError
        MESHCODEC_KERNEL is none of `CHOICES`, or asks for Triton where it cannot run.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in CHOICES:
        raise UsageError(f"{VARIABLE}={wanted}: no such kernel", f"set it to one of {', '.join(CHOICES)}")
    asked = f"{VARIABLE}={wanted}"
    if wanted == "reference":
        return "reference", asked
    installed = importlib.util.find_spec("triton") is not None
    if wanted == "triton":
        remedy = f"set {VARIABLE} to auto"
        if not installed:
            raise UsageError(
                f"{asked}: Triton is not installed", f"{remedy}, or pip install 'meshcodec[gpu]'"
            )
        if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            raise UsageError(f"{asked}: Triton needs CUDA, the device is {device}", remedy)
        return "triton", asked
    if device.type != "cuda":
        return "tables", f"the device is {device}"
    if not installed:
        return "reference", "Triton is not installed"
    return "triton", "the device is cuda and Triton is installed"


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
