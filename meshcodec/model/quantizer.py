"""Multi-scale residual quantization: a latent becomes one byte per token, coarse to fine."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import PLANES, ModelConfig


def squash(u: Tensor, levels: Tensor) -> Tensor:
    """Squash (..., D) real numbers into the open range of each digit, (-L/2, L/2)."""
    return torch.tanh(u) * (levels / 2 - 1e-3)


def unsquash(x: Tensor, levels: Tensor) -> Tensor:
    """The inverse of `squash`, (..., D) numbers in its range to real numbers."""
    return torch.atanh(x / (levels / 2 - 1e-3))


def round_to_level(x: Tensor, levels: Tensor) -> Tensor:
    """Nearest level, with the gradient of the identity (straight-through).

    The L levels of a digit are 1 apart and symmetric about zero: -1.5, -0.5, 0.5, 1.5 for L = 4.
    """
    half = (levels - 1) / 2
    nearest = (torch.floor(x + levels / 2).clamp(min=torch.zeros_like(levels), max=levels - 1)) - half
    return x + (nearest - x).detach()


def token_masks(tokens: Tensor, config: ModelConfig, device: torch.device | None = None) -> list[Tensor]:
    """(B,) lengths of prefixes -> of each scale begun by any, (B, 3, n, n, 1): one where there is a token.

    The masks are on `device`, by default that of the lengths. Lengths on the CPU spare a GPU the wait for how
    many scales there are.
    """
    begun = config.scales_begun(int(tokens.max()))
    tokens = tokens.to(device or tokens.device, non_blocking=True)
    masks = []
    for number in range(begun):
        side, end = config.scale_sides[number], config.scale_ends()[number]
        mask = torch.arange(end - PLANES * side * side, end, device=tokens.device) < tokens[:, None]
        masks.append(mask.float().view(-1, PLANES, side, side, 1))
    return masks


class ScaleCodec(nn.Module):
    """One scale: cells of the residual to digits, and digits to what they add to the latent.

    A digit vector is a finite scalar quantization (Mentzer et al. 2023) of a linear projection of the cell.
    """

    def __init__(self, side: int, config: ModelConfig) -> None:
        super().__init__()
        self.side = side
        self.latent_side = config.latent_side
        C, D = config.latent_channels, len(config.token_levels)
        self.down = nn.Linear(C, D)
        self.up = nn.Linear(D, C)
        self.smooth = nn.Conv2d(C, C, 3, padding=1)
        for parameter in self.smooth.parameters():
            nn.init.zeros_(parameter)

    def project(self, residual: Tensor) -> Tensor:
        """(B, 3, S, S, C) residual -> (B, 3, n, n, D) unbounded digits."""
        digits: Tensor = self.down(resize(residual, self.side))
        return digits

    def expand(self, digits: Tensor) -> Tensor:
        """(B, 3, n, n, D) digit values -> (B, 3, S, S, C), what this scale adds to the latent."""
        cells = resize(self.up(digits), self.latent_side)
        flat = cells.flatten(0, 1).permute(0, 3, 1, 2)
        smoothed: Tensor = flat + self.smooth(flat)
        return smoothed.permute(0, 2, 3, 1).view(cells.shape)


class MultiScaleQuantizer(nn.Module):
    """Residual quantization over scales of growing resolution (VAR, Tian et al. 2024; VAT's VVQ).

    ::

        z ──(-)── shrink to n_s ─ linear ─ tanh ─ round ─> tokens of scale s
             │                                      │
             └──────────── (+) <── 3x3 <── grow to S <── linear

    All arithmetic is float32: half precision moves values across the borders of levels.
    """

    levels: Tensor
    radix: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(ScaleCodec(side, config) for side in config.scale_sides)
        levels = torch.tensor(config.token_levels)
        self.register_buffer("levels", levels.float(), persistent=False)
        radix = torch.cat([torch.ones(1, dtype=torch.long), levels.cumprod(0)[:-1]])
        self.register_buffer("radix", radix, persistent=False)

    def codecs(self) -> list[ScaleCodec]:
        """The scales, coarse to fine."""
        return [scale for scale in self.scales if isinstance(scale, ScaleCodec)]

    def forward(self, z: Tensor, keep: Tensor) -> Tensor:
        """Quantize with gradients: (B, 3, S, S, C) latents, (B,) scales kept of each -> same shape."""
        total = torch.zeros_like(z)
        for number, codec in enumerate(self.codecs()):
            kept = (keep > number).view(-1, 1, 1, 1, 1)
            if not bool(kept.any()):
                break
            digits = self.quantize(codec.project(z - total))
            total = total + torch.where(kept, codec.expand(digits), 0.0)
        return total

    def compose(self, digits: list[Tensor], tokens: Tensor) -> Tensor:
        """Unbounded digits of each scale, (B, 3, n, n, D), and (B,) tokens kept -> (B, 3, S, S, C)."""
        parts = []
        masks = token_masks(tokens, self.config, digits[0].device)
        for codec, unbounded, mask in zip(self.codecs(), digits, masks, strict=False):
            begun = mask.flatten(1).any(1).view(-1, 1, 1, 1, 1)
            parts.append(torch.where(begun, codec.expand(self.quantize(unbounded) * mask), 0.0))
        return torch.stack(parts).sum(0)

    def quantize(self, unbounded: Tensor) -> Tensor:
        """Unbounded digits (..., D) to levels, straight-through."""
        return round_to_level(squash(unbounded, self.levels), self.levels)

    @torch.no_grad()
    def project(self, z: Tensor) -> list[Tensor]:
        """Unbounded digits of each scale, (B, 3, n, n, D); each codes what the rounded ones before left."""
        total, digits = torch.zeros_like(z), []
        for codec in self.codecs():
            digits.append(codec.project(z - total))
            total = total + codec.expand(self.quantize(digits[-1]))
        return digits

    def to_tokens(self, digits: list[Tensor]) -> Tensor:
        """Level values of scales, each (B, 3, n, n, D) -> (B, T) uint8, by scale, then plane, then row."""
        half = (self.levels - 1) / 2
        tokens = [((d + half).round().long() * self.radix).sum(-1).flatten(1) for d in digits]
        return torch.cat(tokens, dim=1).to(torch.uint8)

    def to_digits(self, tokens: Tensor) -> list[Tensor]:
        """(B, T) uint8, T any prefix length -> level values of each scale begun.

        Absent tokens are digits of zero, which lies between two levels: the middle of what they could say.
        """
        B, T = tokens.shape
        half = (self.levels - 1) / 2
        digits, start = [], 0
        for side, count in zip(self.config.scale_sides, self.config.scale_tokens, strict=True):
            if start >= T:
                break
            part = tokens[:, start : start + count].long()
            values = (part[..., None] // self.radix) % self.levels.long() - half
            values = F.pad(values, (0, 0, 0, count - part.shape[1]))
            digits.append(values.view(B, PLANES, side, side, -1))
            start += count
        return digits

    def dequantize(self, digits: list[Tensor]) -> Tensor:
        """Sum of what the scales add: list of (B, 3, n, n, D) -> (B, 3, S, S, C)."""
        parts = [codec.expand(d) for codec, d in zip(self.codecs(), digits, strict=False)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def calibrate(self, z: Tensor) -> None:
        """Start the projections from data: each scale's principal axes of the residual, scaled to the levels.

        Parameters
        ----------
        z : (B, 3, S, S, C) unquantized latents of a few hundred meshes
        """
        D = len(self.config.token_levels)
        total = torch.zeros_like(z)
        for codec in self.codecs():
            cells = resize(z - total, codec.side).flatten(0, -2)
            mean = cells.mean(0)
            variances, axes = torch.linalg.eigh(torch.cov((cells - mean).T) + 1e-8 * torch.eye(len(mean)))
            variances, axes = variances[-D:], axes[:, -D:]
            # A fixed rotation shares the variance among the digits, which all have the same number of levels.
            rotation = _hadamard(D).to(axes)
            deviation = (rotation.T @ torch.diag(variances) @ rotation).diagonal().sqrt()
            basis = axes @ rotation
            # tanh(1.1 x / sigma) is nearly uniform for a normal x: all levels get used.
            codec.down.weight.copy_((basis * (1.1 / deviation)).T)
            codec.down.bias.copy_(-codec.down.weight @ mean)
            # 0.94 sigma a level: least squares for 4 levels placed by that tanh.
            codec.up.weight.copy_(basis * (0.94 * deviation))
            codec.up.bias.copy_(mean)
            total = total + codec.expand(self.quantize(codec.project(z - total)))


def resize(cells: Tensor, side: int) -> Tensor:
    """(B, 3, S, S, C) -> (B, 3, side, side, C): mean over areas when shrinking, bilinear when growing."""
    B, planes, old, _, C = cells.shape
    if side == old:
        return cells
    if side > old and cells.is_cuda:  # where the kernel for it has no more threads than the result cells
        return grown(cells, side)
    flat = cells.flatten(0, 1).permute(0, 3, 1, 2)
    if side < old:
        if old % side == 0:
            flat = F.adaptive_avg_pool2d(flat, side)
        else:
            flat = F.interpolate(flat, (side, side), mode="bilinear", align_corners=False, antialias=True)
    else:
        flat = F.interpolate(flat, size=(side, side), mode="bilinear", align_corners=False)
    return flat.permute(0, 2, 3, 1).reshape(B, planes, side, side, C)


def grown(cells: Tensor, side: int) -> Tensor:
    """`resize` to a larger side, by products with the weights along each axis."""
    weights = _linear(cells.shape[2], side, cells.device)
    rows = torch.einsum("ai,bpijc->bpajc", weights, cells)
    return torch.einsum("dj,bpajc->bpadc", weights, rows)


@cache
def _linear(old: int, side: int, device: torch.device) -> Tensor:
    """(side, old) weights of a linear interpolation along one axis."""
    ones = torch.eye(old, device=device)[None]
    return F.interpolate(ones, side, mode="linear", align_corners=False)[0].T.contiguous()


def _hadamard(n: int) -> Tensor:
    """An orthogonal (n, n) matrix without small entries where n is a power of two, else the identity."""
    if n & (n - 1):
        return torch.eye(n)
    matrix = torch.ones(1, 1)
    while len(matrix) < n:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix / math.sqrt(n)
