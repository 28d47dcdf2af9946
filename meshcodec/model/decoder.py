"""From the latent to a signed distance field: transformer, upsampling convolutions, planes, a small MLP."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import EXTENT, PLANES, TRUNCATION, ModelConfig
from meshcodec.model.encoder import PLANE_AXES
from meshcodec.model.layers import (
    PlaneLookup,
    ResidualConv,
    SlabBlock,
    fourier_features,
    patchify,
    unpatchify,
)


class TriplaneDecoder(nn.Module):
    """Latent to planes.

    ::

        latent ─ patches ─ linear ─(+)─ transformer ─ (3, 32², 64) ─(+)─ conv ─ (3, 64², 32) ─ conv ─┐
                   triplane tokens ─┘                                │                               │
        latent ─ 3x3 ────────────────────────────────────────────────┘      planes (3, 128², 16) <───┘
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        side, patch, width = config.latent_side // config.patch, config.patch, config.width
        wide, middle, narrow = config.plane_channels
        self.embed = nn.Linear(patch * patch * config.latent_channels, width)
        self.triplane = nn.Parameter(0.02 * torch.randn(PLANES * side * side, width))
        self.blocks = nn.ModuleList(
            SlabBlock(width, config.heads, config.mlp_ratio) for _ in range(config.decoder_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, patch * patch * wide)
        self.skip = nn.Conv2d(config.latent_channels, wide, 3, padding=1)
        self.at_quarter = ResidualConv(wide)
        self.to_half = nn.Conv2d(wide, 4 * middle, 3, padding=1)
        self.at_half = ResidualConv(middle)
        self.to_full = nn.Conv2d(middle, 4 * narrow, 3, padding=1)
        self.at_full = nn.Conv2d(narrow, narrow, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, 3, S, S, C) latent -> (B, 3, plane_channels[-1], P, P) float32 planes."""
        config = self.config
        x = self.embed(patchify(latent, config.patch)) + self.triplane
        for block in self.blocks:
            x = block(x)
        cells = unpatchify(self.out(self.norm(x)), config.latent_side, config.patch)
        images = cells.flatten(0, 1).permute(0, 3, 1, 2)  # channels last in memory, as convolutions like it
        images = images + self.skip(latent.flatten(0, 1).permute(0, 3, 1, 2))
        images = self.at_quarter(images)
        images = F.pixel_shuffle(self.to_half(images), 2)
        images = self.at_half(images)
        images = F.gelu(F.pixel_shuffle(self.to_full(images), 2))
        planes: Tensor = self.at_full(images).float()
        return planes.view(len(latent), PLANES, *planes.shape[1:])


class FieldHead(nn.Module):
    """Planes and query points to truncated signed distances: bilinear lookups and the position, and an MLP.

    With the position beside them, the features of one plane can say at which depths behind a texel the solid
    lies; from features alone the field is drawn to the common part of three silhouettes.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        C, width = config.plane_channels[-1], config.field_width
        self.octaves = config.field_frequencies
        position = 3 * (1 + 2 * self.octaves)
        self.mlp = nn.Sequential(
            nn.Linear(PLANES * C + position, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 1),
        )

    def forward(self, planes: Tensor, queries: Tensor) -> Tensor:
        """Evaluate.

        Parameters
        ----------
        planes : (B, 3, C, P, P)
        queries : (B, n, 3) float32 in [-EXTENT, EXTENT]; outside of it the planes' border texels count

        Returns
        -------
        (B, n) float32 logits; `to_distance` makes distances of them.
        """
        B, n, _ = queries.shape
        axes = torch.tensor(PLANE_AXES, device=queries.device)
        # A lookup takes (column, row): the plane's first axis is its row, as in the encoder's cells.
        positions = (queries[..., axes.flip(-1)] / EXTENT).transpose(1, 2).reshape(B * PLANES, n, 2)
        found: Tensor = PlaneLookup.apply(planes.flatten(0, 1), positions)  # type: ignore[no-untyped-call]
        features = found.view(B, PLANES, n, planes.shape[2]).transpose(1, 2).flatten(2)
        features = torch.cat([features, fourier_features(queries, self.octaves)], dim=-1)
        logits: Tensor = self.mlp(features).squeeze(-1).float()
        return logits


def to_distance(logits: Tensor) -> Tensor:
    """Logits to signed distances in (-TRUNCATION, TRUNCATION); the slope at the surface is TRUNCATION."""
    return TRUNCATION * torch.tanh(logits)
