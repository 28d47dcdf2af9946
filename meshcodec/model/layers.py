"""Layers that the encoder and the decoder share."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def fourier_features(x: Tensor, octaves: int) -> Tensor:
    """(..., d) coordinates -> (..., d * (1 + 2 * octaves)): x, sine and cosine of pi 2^k x (NeRF, eq. 4)."""
    angles = x[..., None] * (math.pi * 2.0 ** torch.arange(octaves, device=x.device, dtype=x.dtype))
    return torch.cat([x, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1)


class Block(nn.Module):
    """A pre-norm transformer block: (B, T, width) -> (B, T, width).

    ::

        x ─┬─ LayerNorm ─ attention ─(+)─┬─ LayerNorm ─ MLP ─(+)─
           └──────────────────────────┘  └─────────────────┘
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, mlp_ratio * width)
        self.down = nn.Linear(mlp_ratio * width, width)
        # Residual branches start at zero, so that a deep stack starts as the identity.
        for last in (self.project, self.down):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        x = x + self.project(self.attend(self.qkv(self.norm1(x))))
        residual: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + residual

    def attend(self, qkv: Tensor) -> Tensor:
        """(B, T, 3 * width) queries, keys and values -> (B, T, width): every token sees every token."""
        B, T, wide = qkv.shape
        q, k, v = qkv.view(B, T, 3, self.heads, wide // 3 // self.heads).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, wide // 3)


class SlabBlock(Block):
    """A transformer block over the cells of three planes: a cell sees those that share a coordinate with it.

    The cells at one x, say, are a row of the xy plane and a column of the zx plane: the slab of that x, 2S
    cells. Half of the heads of a cell look along the slab of its plane's first axis, half along that of its
    second, so two blocks reach everywhere, at a twelfth of the price of full attention over 3 * 16² cells.
    """

    def attend(self, qkv: Tensor) -> Tensor:
        """(B, 3 S², 3 * width) -> (B, 3 S², width); planes xy, yz, zx, tokens plane by plane, row by row."""
        B, T, wide = qkv.shape
        side = math.isqrt(T // 3)
        half, channels = self.heads // 2, wide // 3 // self.heads
        cells = qkv.view(B, 3, side, side, 3, 2, half, channels)
        # Axis a is the first axis (rows) of plane a and the second (columns) of the plane before it.
        first = cells[:, :, :, :, :, 0]
        second = cells[:, :, :, :, :, 1].transpose(2, 3).roll(1, dims=1)
        slabs = torch.cat([first, second], dim=3)  # (B, axis, slab, 2S, qkv, heads / 2, channels)
        q, k, v = slabs.permute(4, 0, 1, 2, 5, 3, 6).reshape(3, B * 3 * side, half, 2 * side, channels)
        # Over so few cells the plain products are six times faster on a CPU than the fused kernel.
        weights = torch.softmax((q * channels**-0.5) @ k.transpose(-1, -2), dim=-1)
        seen = weights.to(v.dtype) @ v
        seen = seen.view(B, 3, side, half, 2 * side, channels).transpose(3, 4)
        first, second = seen.split(side, dim=3)
        second = second.roll(-1, dims=1).transpose(2, 3)
        return torch.stack([first, second], dim=4).reshape(B, T, wide // 3)


class ResidualConv(nn.Module):
    """Two 3x3 convolutions around a GELU, added to the input: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        residual: Tensor = self.second(F.gelu(self.first(F.gelu(x))))
        return x + residual


class PlaneLookup(torch.autograd.Function):
    """Bilinear lookups in planes, with gradients for the planes only.

    The same values as `grid_sample` with border padding and without aligned corners, at a third of its time,
    forwards and backwards, on a CPU: a texel's channels lie side by side and are fetched as a table's row.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, positions: Tensor) -> Tensor:
        """(N, C, H, W) float32 planes, (N, n, 2) columns and rows in [-1, 1] -> (N, n, C)."""
        N, C, H, W = planes.shape
        size = torch.tensor([W, H], dtype=positions.dtype, device=positions.device)
        texel = torch.minimum((((positions + 1) * size - 1) / 2).clamp(min=0), size - 1)
        near = texel.floor()
        right, down = (texel - near).unbind(-1)
        x0, y0 = near.long().unbind(-1)
        x1, y1 = (x0 + 1).clamp(max=W - 1), (y0 + 1).clamp(max=H - 1)
        first = (torch.arange(N, device=planes.device) * (H * W))[:, None]
        above, below = first + y0 * W, first + y1 * W
        index = torch.stack([above + x0, above + x1, below + x0, below + x1], dim=-1).view(-1, 4)
        left, up = 1 - right, 1 - down
        shares = torch.stack([left * up, right * up, left * down, right * down], dim=-1).view(-1, 4)
        ctx.save_for_backward(index, shares)
        ctx.shape = planes.shape
        table = planes.permute(0, 2, 3, 1).reshape(N * H * W, C)
        found = F.embedding_bag(index, table, per_sample_weights=shares, mode="sum")
        return found.view(N, positions.shape[1], C)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Spread (N, n, C) gradients over the texels that the lookups came from."""
        index, shares = ctx.saved_tensors
        N, C, H, W = ctx.shape
        parts = (gradients[0].reshape(-1, 1, C) * shares[:, :, None]).view(-1, C)
        table = parts.new_zeros(N * H * W, C).index_add_(0, index.view(-1), parts)
        return table.view(N, H, W, C).permute(0, 3, 1, 2), None


def patchify(cells: Tensor, patch: int) -> Tensor:
    """(B, 3, S, S, C) cells -> (B, 3 * (S/p)², p² C) tokens, plane by plane, row by row."""
    B, planes, side, _, C = cells.shape
    small = side // patch
    blocks = cells.view(B, planes, small, patch, small, patch, C).transpose(3, 4)
    return blocks.reshape(B, planes * small * small, patch * patch * C)


def unpatchify(tokens: Tensor, side: int, patch: int) -> Tensor:
    """The inverse of `patchify`: (B, 3 * (S/p)², p² C) -> (B, 3, S, S, C) with S = `side`."""
    B, count, channels = tokens.shape
    small = side // patch
    planes, C = count // (small * small), channels // (patch * patch)
    blocks = tokens.view(B, planes, small, small, patch, patch, C).transpose(3, 4)
    return blocks.reshape(B, planes, side, side, C)
