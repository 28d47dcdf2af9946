"""The distance field at points, in one Triton kernel: nothing between points and distances in global memory.

A program takes `BLOCK` points from their coordinates to their distances::

    points ─┬─ 3 planes, half precision, channels last: 4 texels, bilinear ─ dot ──┐
            └─ Fourier features ──────────────────────────────────────────── dot ─(+)─ GELU ─ dot ─ GELU ─ sum

The matrix products are in half precision on the tensor cores with sums in float32; the last layer, one row,
is a sum in float32. Per point it reads 12 bytes and 12 texels, which neighbours share in the caches, and
writes 4 bytes. Widths that are not powers of two are filled up with zeros, which GELU leaves zeros.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
import triton
import triton.language as tl
from torch import Tensor, nn

from meshcodec.config import EXTENT, PLANES, TRUNCATION
from meshcodec.model.decoder import FieldHead

BLOCK = 64  # points of a program
WARPS = 8
"""Warps of a program. With 64 or 128 points and 4 or 8 warps, this pair spills the fewest registers, by the
account of the compiler for sm_80 and sm_90; none of them has been timed."""
_LEAST = 16  # length of the sums in a matrix product, at least


@triton.jit
def plane_features(
    image,  # (SIDE, SIDE, C) half, and the channels to read
    is_channel,
    row,  # (BLOCK,) float32 coordinates along the plane's axes, in the unit frame
    column,
    EXTENT: tl.constexpr,
    SIDE: tl.constexpr,
    C: tl.constexpr,
):
    """(BLOCK, C_FULL) float32 features of a plane, bilinear between 4 texels, at the border the nearest."""
    row = tl.minimum(tl.maximum(((row / EXTENT + 1) * SIDE - 1) / 2, 0.0), SIDE - 1.0)
    column = tl.minimum(tl.maximum(((column / EXTENT + 1) * SIDE - 1) / 2, 0.0), SIDE - 1.0)
    top, left = row.to(tl.int32), column.to(tl.int32)
    low, right = (row - top)[:, None], (column - left)[:, None]
    below, beside = tl.minimum(top + 1, SIDE - 1), tl.minimum(left + 1, SIDE - 1)
    a = tl.load(image + ((top * SIDE + left) * C)[:, None], mask=is_channel, other=0.0).to(tl.float32)
    b = tl.load(image + ((top * SIDE + beside) * C)[:, None], mask=is_channel, other=0.0).to(tl.float32)
    c = tl.load(image + ((below * SIDE + left) * C)[:, None], mask=is_channel, other=0.0).to(tl.float32)
    d = tl.load(image + ((below * SIDE + beside) * C)[:, None], mask=is_channel, other=0.0).to(tl.float32)
    upper, lower = a + right * (b - a), c + right * (d - c)
    return upper + low * (lower - upper)


@triton.jit
def field_kernel(
    planes,  # (3, SIDE, SIDE, C) half
    points,  # (count, 3) float32
    first,  # (3, C_FULL, WIDTH) half, of the planes' features
    position,  # (POSITION, WIDTH) half, of the position's features
    waves,  # (4, POSITION) float32: a feature's frequency along each axis, and its phase
    second,  # (WIDTH, WIDTH) half
    biases,  # (2, WIDTH) float32
    last,  # (WIDTH + 1,) float32: weights, then the bias
    found,  # (count,) float32
    count,
    EXTENT: tl.constexpr,
    SIDE: tl.constexpr,
    C: tl.constexpr,
    C_FULL: tl.constexpr,
    WIDTH: tl.constexpr,
    POSITION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fill in ``found``."""
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = number < count
    x = tl.load(points + 3 * number, mask=there, other=0.0)
    y = tl.load(points + 3 * number + 1, mask=there, other=0.0)
    z = tl.load(points + 3 * number + 2, mask=there, other=0.0)
    half = planes.dtype.element_ty
    channel = tl.arange(0, C_FULL)[None, :]
    wide = tl.arange(0, WIDTH)[None, :]
    is_channel = channel < C

    hidden = tl.zeros((BLOCK, WIDTH), tl.float32) + tl.load(biases + wide)
    for plane in tl.static_range(3):
        if plane == 0:
            down, along = x, y
        elif plane == 1:
            down, along = y, z
        else:
            down, along = z, x
        image = planes + plane * SIDE * SIDE * C + channel
        features = plane_features(image, is_channel, down, along, EXTENT, SIDE, C).to(half)
        weight = tl.load(first + (plane * C_FULL + tl.arange(0, C_FULL)[:, None]) * WIDTH + wide)
        hidden = tl.dot(features, weight, hidden)

    feature = tl.arange(0, POSITION)[None, :]
    angle = tl.load(waves + 3 * POSITION + feature)
    angle += x[:, None] * tl.load(waves + feature) + y[:, None] * tl.load(waves + POSITION + feature)
    angle += z[:, None] * tl.load(waves + 2 * POSITION + feature)
    features = tl.where(feature < 3, angle, tl.sin(angle)).to(half)
    hidden = tl.dot(features, tl.load(position + tl.arange(0, POSITION)[:, None] * WIDTH + wide), hidden)

    hidden = 0.5 * hidden * (1 + tl.erf(hidden * 0.7071067811865476))
    weight = tl.load(second + tl.arange(0, WIDTH)[:, None] * WIDTH + wide)
    bias = tl.zeros((BLOCK, WIDTH), tl.float32) + tl.load(biases + WIDTH + wide)
    hidden = tl.dot(hidden.to(half), weight, bias)
    hidden = 0.5 * hidden * (1 + tl.erf(hidden * 0.7071067811865476))
    distance = tl.sum(hidden * tl.load(last + wide), axis=1) + tl.load(last + WIDTH)
    tl.store(found + number, distance, mask=there)


class FusedField:
    """The field of one set of planes: (n, 3) float32 points to (n,) signed distances, not truncated.

    Parameters
    ----------
    head : weights, float32, on the device of the planes
    planes : (3, P, P, C), channels last
    """

    def __init__(self, head: FieldHead, planes: Tensor) -> None:
        half = torch.float16  # closer than bfloat16; weights and planes are far from where its range ends
        first, second, last = (layer for layer in head.mlp if isinstance(layer, nn.Linear))
        C, octaves = planes.shape[-1], head.octaves
        wide, full = _filled(first.out_features) - first.out_features, _filled(C) - C
        columns = first.in_features - PLANES * C
        long = _filled(columns) - columns
        by_plane = first.weight[:, : PLANES * C].T.reshape(PLANES, C, -1)
        waves = planes.new_zeros(4, columns + long, dtype=torch.float32)
        for axis in range(3):
            waves[axis, axis] = 1
            for part, phase in enumerate((0.0, math.pi / 2)):  # sines, then cosines
                begin = 3 + (3 * part + axis) * octaves
                waves[axis, begin : begin + octaves] = math.pi * 2.0 ** torch.arange(octaves)
                waves[3, begin : begin + octaves] = phase
        self._tensors = (
            F.pad(by_plane, (0, wide, 0, full)).to(half).contiguous(),
            F.pad(first.weight[:, PLANES * C :].T, (0, wide, 0, long)).to(half).contiguous(),
            waves,
            F.pad(second.weight.T, (0, wide, 0, wide)).to(half).contiguous(),
            F.pad(torch.stack([first.bias, second.bias]), (0, wide)).contiguous(),
            TRUNCATION * torch.cat([F.pad(last.weight[0], (0, wide)), last.bias]),
        )
        self._planes = planes.to(half).contiguous()
        self.constants = {
            "EXTENT": EXTENT,
            "SIDE": planes.shape[1],
            "C": C,
            "C_FULL": C + full,
            "WIDTH": first.out_features + wide,
            "POSITION": columns + long,
            "BLOCK": BLOCK,
        }

    def __call__(self, points: Tensor) -> Tensor:
        return self.into(torch.empty(len(points), device=points.device), points)

    def into(self, found: Tensor, points: Tensor) -> Tensor:
        """The distances in ``found``, (n,) float32 of any content."""
        if len(points):
            grid = (triton.cdiv(len(points), BLOCK),)
            tensors = (self._planes, points.contiguous(), *self._tensors)
            field_kernel[grid](*tensors, found, len(points), **self.constants, num_warps=WARPS)
        return found


def distances(head: FieldHead, planes: Tensor, points: Tensor) -> Tensor:
    """`meshcodec.kernels.reference.distances`, in half precision; for one set of points only."""
    return FusedField(head, planes)(points)


def _filled(width: int) -> int:
    """The least power of two, from 16 up, that is not below `width`."""
    return max(_LEAST, 1 << (width - 1).bit_length())
