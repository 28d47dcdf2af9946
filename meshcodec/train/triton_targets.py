"""`meshcodec.train.torch_targets`'s two sums over all triangles, in one Triton kernel each.

The same arithmetic on the same tables. A program takes `BLOCK` points past all triangles, `TILE` at a time,
and keeps what it has summed up or found nearest in registers: between points and answers nothing is written,
where plain torch writes some eighty arrays of a number for each pair.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 64
"""Points of a program."""
TILE = 16
"""Triangles looked at in one go."""


@triton.jit
def _angle(y, x):
    """atan2 by the minimax polynomial of degree 11; off by 2e-6 at most."""
    wide, high = tl.abs(x), tl.abs(y)
    small, large = tl.minimum(wide, high), tl.maximum(wide, high)
    a = small / tl.maximum(large, 1e-30)
    s = a * a
    p = -0.01172120 * s + 0.05265332
    p = p * s - 0.11643287
    p = p * s + 0.19354346
    p = p * s - 0.33262347
    angle = (p * s + 0.99997726) * a
    angle = tl.where(high > wide, 1.5707963267948966 - angle, angle)
    angle = tl.where(x < 0, 3.141592653589793 - angle, angle)
    return tl.where(y < 0, -angle, angle)


@triton.jit
def _own_points(points, count, BLOCK: tl.constexpr):
    """Numbers of a program's points, which of them there are, and their coordinates as columns."""
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = number < count
    px = tl.load(points + 3 * number, mask=there, other=0.0)[:, None]
    py = tl.load(points + 3 * number + 1, mask=there, other=0.0)[:, None]
    pz = tl.load(points + 3 * number + 2, mask=there, other=0.0)[:, None]
    return number, there, px, py, pz


@triton.jit
def winding_kernel(points, corners, found, count, faces, BLOCK: tl.constexpr, TILE: tl.constexpr):
    """Sum of solid angles over (9, faces) `corners`, as parts of a whole sphere, into (count,) `found`."""
    number, there, px, py, pz = _own_points(points, count, BLOCK)
    total = tl.zeros((BLOCK, TILE), tl.float32)
    for begin in range(0, faces, TILE):
        face = begin + tl.arange(0, TILE)
        real = face < faces
        column = corners + face
        ax = tl.load(column, mask=real, other=0.0)[None, :] - px
        ay = tl.load(column + faces, mask=real, other=0.0)[None, :] - py
        az = tl.load(column + 2 * faces, mask=real, other=0.0)[None, :] - pz
        bx = tl.load(column + 3 * faces, mask=real, other=0.0)[None, :] - px
        by = tl.load(column + 4 * faces, mask=real, other=0.0)[None, :] - py
        bz = tl.load(column + 5 * faces, mask=real, other=0.0)[None, :] - pz
        cx = tl.load(column + 6 * faces, mask=real, other=0.0)[None, :] - px
        cy = tl.load(column + 7 * faces, mask=real, other=0.0)[None, :] - py
        cz = tl.load(column + 8 * faces, mask=real, other=0.0)[None, :] - pz
        la = tl.sqrt(ax * ax + ay * ay + az * az)
        lb = tl.sqrt(bx * bx + by * by + bz * bz)
        lc = tl.sqrt(cx * cx + cy * cy + cz * cz)
        over = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
        under = la * lb * lc + (ax * bx + ay * by + az * bz) * lc
        under += (bx * cx + by * cy + bz * cz) * la + (cx * ax + cy * ay + cz * az) * lb
        total += tl.where(real[None, :], _angle(over, under), 0.0)
    tl.store(found + number, tl.sum(total, axis=1) * 0.15915494309189535, mask=there)


@triton.jit
def distance_kernel(points, table, found, count, faces, BLOCK: tl.constexpr, TILE: tl.constexpr):
    """Distance to the nearest of (33, faces) triangles, see `triangle_table`, into (count,) `found`."""
    number, there, px, py, pz = _own_points(points, count, BLOCK)
    nearest = tl.full((BLOCK, TILE), float("inf"), tl.float32)
    for begin in range(0, faces, TILE):
        face = begin + tl.arange(0, TILE)
        real = face < faces
        column = table + face
        within = tl.full((BLOCK, TILE), 1, tl.int1)
        height = tl.zeros((BLOCK, TILE), tl.float32)
        rim = tl.full((BLOCK, TILE), float("inf"), tl.float32)
        for k in tl.static_range(3):
            x = px - tl.load(column + (10 * k) * faces, mask=real, other=0.0)[None, :]
            y = py - tl.load(column + (10 * k + 1) * faces, mask=real, other=0.0)[None, :]
            z = pz - tl.load(column + (10 * k + 2) * faces, mask=real, other=0.0)[None, :]
            ex = tl.load(column + (10 * k + 3) * faces, mask=real, other=0.0)[None, :]
            ey = tl.load(column + (10 * k + 4) * faces, mask=real, other=0.0)[None, :]
            ez = tl.load(column + (10 * k + 5) * faces, mask=real, other=0.0)[None, :]
            sx = tl.load(column + (10 * k + 6) * faces, mask=real, other=0.0)[None, :]
            sy = tl.load(column + (10 * k + 7) * faces, mask=real, other=0.0)[None, :]
            sz = tl.load(column + (10 * k + 8) * faces, mask=real, other=0.0)[None, :]
            scale = tl.load(column + (10 * k + 9) * faces, mask=real, other=0.0)[None, :]
            along = tl.minimum(tl.maximum((x * ex + y * ey + z * ez) * scale, 0.0), 1.0)
            ox, oy, oz = x - along * ex, y - along * ey, z - along * ez
            rim = tl.minimum(rim, ox * ox + oy * oy + oz * oz)
            # Comparisons with NaN are false: triangles without an area have no face region.
            within = within & ((x * sx + y * sy + z * sz) >= 0)
            if k == 0:
                nx = tl.load(column + 30 * faces, mask=real, other=0.0)[None, :]
                ny = tl.load(column + 31 * faces, mask=real, other=0.0)[None, :]
                nz = tl.load(column + 32 * faces, mask=real, other=0.0)[None, :]
                height = x * nx + y * ny + z * nz
        square = tl.where(within, height * height, rim)
        nearest = tl.minimum(nearest, tl.where(real[None, :], square, float("inf")))
    tl.store(found + number, tl.sqrt(tl.min(nearest, axis=1)), mask=there)


def winding_number(points: Tensor, corners: Tensor) -> Tensor:
    """`meshcodec.train.torch_targets.winding_number`, float32."""
    table = corners.reshape(-1, 9).float().T.contiguous()
    return _answer(winding_kernel, points, table, len(corners))


def unsigned_distance(points: Tensor, table: Tensor) -> Tensor:
    """`meshcodec.train.torch_targets.unsigned_distance` of a table of (33, F) float32: for each of a
    triangle's corners the corner, the edge from it, the direction from that edge inwards, and one by the
    edge's square; then the normal."""
    return _answer(distance_kernel, points, table.contiguous(), table.shape[1])


def _answer(kernel: Any, points: Tensor, table: Tensor, faces: int) -> Tensor:
    found = torch.empty(len(points), device=points.device)
    if len(points):
        grid = (math.ceil(len(points) / BLOCK),)
        kernel[grid](points.float().contiguous(), table, found, len(points), faces, BLOCK=BLOCK, TILE=TILE)
    return found
