"""The distance field at the points of a regular grid, on a CPU: three tables in place of lookups and a layer.

A point's first hidden layer is linear in what the MLP is given, which is a sum of three parts: each is of one
plane and of a position's Fourier features along one axis, and depends on two of the three grid indices.
So there are three tables of N² rows that hold the parts of all points of the grid::

    planes ─ bilinear at (N, N) ticks ─ layer 1 ─(+)─ 3 tables (N², width)
    ticks ─ Fourier features ────────── layer 1 ─┘

    point (i, j, k) ─ rows xy[i, j], yz[j, k], zx[k, i] ─ sum ─ GELU ─ layer 2 ─ GELU ─ layer 3 ─ distance

Beside the reference it saves the 12 texels of a point, its sines and the first layer; the sum is the same up
to rounding. The layers after it may be in bfloat16, and where that leaves the sign in doubt again in float32.
They are done in chunks that stay in a core's cache, each by one thread from end to end: threads that meet
after every operation wait for the one that the system has taken the core from.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import EXTENT, PLANES, TRUNCATION
from meshcodec.model.decoder import FieldHead
from meshcodec.model.encoder import PLANE_AXES
from meshcodec.model.layers import fourier_features
from meshcodec.runtime.threads import in_threads

CHUNK = 4096
"""Points whose hidden layers stay in a core's caches: 2 MB in float32, half of it in bfloat16."""
ERRORS = {torch.float32: 0.0, torch.bfloat16: 4e-4}
"""Largest difference to the reference's distances near the surface, by the type of the layers; float32 rounds
by 1e-6."""
ERRORS_BELOW = 2e-3
"""Distance to the surface below which `ERRORS` holds: 3.0e-4 is the largest error on the golden files, 2.7e-4
below 6e-4."""
_ROWS = 16  # rows of a table that are made at once


class GridTables:
    """The field of one set of planes as a function of the keys of one grid.

    Parameters
    ----------
    head : weights, float32 on the CPU
    planes : (3, P, P, C) float32, channels last
    ticks : (N, 3) float32, coordinates of the grid's points: point (i, j, k) is (ticks[i, 0], ticks[j, 1],
        ticks[k, 2])
    dtype : type of the layers, one of `ERRORS`
    """

    def __init__(self, head: FieldHead, planes: Tensor, ticks: Tensor, dtype: torch.dtype) -> None:
        first, second, last = (layer for layer in head.mlp if isinstance(layer, nn.Linear))
        self.side, width, C = len(ticks), first.out_features, planes.shape[-1]
        self.table = torch.empty(PLANES * self.side * self.side, width)
        exact = second.weight, second.bias, TRUNCATION * last.weight, TRUNCATION * last.bias
        self.layers, self.exact_layers = tuple(t.to(dtype) for t in exact), exact
        near = [_texels(ticks[:, a], planes.shape[1]) for a in range(3)]
        # The position's columns: three coordinates, the sines of each, the cosines of each.
        octaves, begin = head.octaves, PLANES * C
        sines = begin + 3 + torch.arange(3 * octaves).view(3, octaves)
        parts = []
        for a in range(3):
            columns = torch.cat([torch.tensor([begin + a]), sines[a], sines[a] + 3 * octaves])
            parts.append(fourier_features(ticks[:, a, None], octaves) @ first.weight[:, columns].T)
        parts[0] = parts[0] + first.bias

        def fill(plane: int, start: int) -> None:
            """Rows of a table from `start` on."""
            rows, columns = PLANE_AXES[plane]
            some = slice(start, min(start + _ROWS, self.side))
            above, below, down = (a[some] for a in near[rows])
            left, right, along = near[columns]
            image = torch.lerp(planes[plane, above], planes[plane, below], down[:, None, None])
            features = torch.lerp(image[:, left], image[:, right], along[:, None])
            weight = first.weight[:, plane * C : (plane + 1) * C].T.expand(len(features), -1, -1)
            table = self.table.view(PLANES, self.side, self.side, width)
            # The rows' axis brings its position features: each axis is that of one plane's rows.
            torch.baddbmm(parts[rows][some, None], features, weight, out=table[plane, some])

        in_threads(fill, [(p, start) for p in range(PLANES) for start in range(0, self.side, _ROWS)])

    def __call__(self, keys: Tensor) -> Tensor:
        """(n,) int32 keys ``(i * N + j) * N + k`` -> (n,) float32 distances, off by `ERRORS` at most."""
        return self._by_layers(keys, self.layers)

    def exact(self, keys: Tensor) -> Tensor:
        """The same with layers in float32."""
        return self._by_layers(keys, self.exact_layers)

    def _by_layers(self, keys: Tensor, layers: tuple[Tensor, ...]) -> Tensor:
        second, second_bias, last, last_bias = layers
        found = torch.empty(len(keys))

        def evaluate(start: int) -> None:
            part = keys[start : start + CHUNK]
            N = self.side
            xy = part // N
            x = xy // N
            yz, zx = part - x * (N * N), (part - xy * N) * N + x
            rows = torch.stack([xy, yz + N * N, zx + 2 * N * N], dim=1)
            hidden = F.gelu(F.embedding_bag(rows, self.table, mode="sum")).to(second.dtype)
            hidden = F.gelu(F.linear(hidden, second, second_bias))
            found[start : start + CHUNK] = F.linear(hidden, last, last_bias)[:, 0]

        in_threads(evaluate, [(start,) for start in range(0, len(keys), CHUNK)])
        return found


def _texels(ticks: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two texels that each tick lies between, and the share of the second: as `PlaneLookup` has them."""
    texel = (((ticks / EXTENT + 1) * side - 1) / 2).clamp(0, side - 1)
    near = texel.floor()
    return near.long(), (near.long() + 1).clamp(max=side - 1), texel - near
