"""From surface points to the latent: pooled into anchored cells, then an in-context transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import EXTENT, PLANES, ModelConfig
from meshcodec.model.layers import Block, ResidualConv, fourier_features, patchify, unpatchify

PLANE_AXES = ((0, 1), (1, 2), (2, 0))  # the two coordinates that span each plane: xy, yz, zx


class PointEncoder(nn.Module):
    """Points and normals to the posterior of the latent.

    VAT's in-context encoder (Zhang et al. 2024): points and latents stand in one sequence and only the
    latents are kept. A latent token owns a patch of cells of one plane and starts from what the points that
    project into those cells say, so that little has to be learned about where to look.

    ::

        points, normals ─ Fourier ─ MLP ─┬─ mean and max over the points of a cell ─ patches ─┐
                                         └─ mean and max over the points of a group ─────────(cat)─ blocks ─┐
                                                           mu, log var <─ linear <─ the latents among them ─┘
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        C, width, patch = config.point_channels, config.width, config.patch
        fourier = 3 * (1 + 2 * config.point_frequencies)
        cell = C + C // 2 + 3
        side = config.latent_side // patch
        self.point = nn.Sequential(nn.Linear(fourier + 3, C), nn.GELU(), nn.Linear(C, C))
        self.offset = nn.Linear(C + 2, C)
        self.group = nn.Linear(C + C // 2 + fourier, width)
        self.embed = nn.Linear(patch * patch * cell, width)
        self.position = nn.Parameter(0.02 * torch.randn(PLANES * side * side, width))
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio) for _ in range(config.encoder_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, patch * patch * 2 * config.latent_channels)
        self.skip = nn.Linear(cell, 2 * config.latent_channels)
        self.local = LocalBranch(cell, config) if config.encoder_convs else None

    def forward(self, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Parameters
        ----------
        points : (B, N, 3) float in the unit frame
        normals : (B, N, 3) float, unit length

        Returns
        -------
        mu, log_variance : (B, 3, S, S, latent_channels) each, S = `latent_side`
        """
        config = self.config
        fourier = fourier_features(points, config.point_frequencies)
        features = self.point(torch.cat([fourier, normals], dim=-1))
        cells = self.pool_cells(points, features)
        latents = self.embed(patchify(cells, config.patch)) + self.position
        x = torch.cat([self.pool_groups(points, features, fourier), latents], dim=1)
        for block in self.blocks:
            x = block(x)
        latents = self.out(self.norm(x[:, -latents.shape[1] :]))
        out = unpatchify(latents, config.latent_side, config.patch) + self.skip(cells)
        if self.local is not None:
            out = out + self.local(cells)
        mu, log_variance = out.float().chunk(2, dim=-1)
        return mu, log_variance.clamp(-12.0, 4.0)

    def pool_cells(self, points: Tensor, features: Tensor) -> Tensor:
        """(B, 3, S, S, 1.5 C + 3): mean and max over each cell's points, log of their number, their reach.

        The reach is the largest coordinate across the plane and the largest of its negative: the height maps
        of both sides, given outright because a decoder that lacks them falls back to silhouettes.
        """
        B, N, _ = points.shape
        side = self.config.latent_side
        scaled = ((points + EXTENT) * (side / (2 * EXTENT))).clamp(0, side - 1e-3)
        axes = torch.tensor(PLANE_AXES, device=points.device)
        on_planes = scaled[..., axes].transpose(1, 2)  # (B, 3, N, 2)
        corner = on_planes.floor()
        offset = (on_planes - corner) * 2 - 1
        spread = features[:, None].expand(B, PLANES, N, features.shape[-1])
        values = F.gelu(self.offset(torch.cat([spread, offset.to(features.dtype)], dim=-1)))
        plane = torch.arange(B * PLANES, device=points.device).view(B, PLANES, 1)
        cell = (plane * side + corner[..., 0].long()) * side + corner[..., 1].long()
        bins = B * PLANES * side * side
        pooled, count = pool(values.reshape(-1, values.shape[-1]), cell.reshape(-1), bins)
        across = points[..., [2, 0, 1]].transpose(1, 2)  # (B, 3, N), the axis that each plane lacks
        heights = torch.stack([across, -across], dim=-1).reshape(-1, 2).float()
        wide = cell.reshape(-1, 1).expand(-1, 2)
        reach = torch.zeros(bins, 2, device=points.device)
        reach = reach.scatter_reduce(0, wide, heights, "amax", include_self=False)
        return torch.cat([pooled, count.log1p()[:, None], reach], dim=-1).view(B, PLANES, side, side, -1)

    def pool_groups(self, points: Tensor, features: Tensor, fourier: Tensor) -> Tensor:
        """(B, groups, width): points pooled around the first `groups` of them, which come in random order."""
        B, N, C = features.shape
        G = min(self.config.groups, N)
        nearest = torch.cdist(points.float(), points[:, :G].float()).argmin(dim=-1)
        index = nearest + G * torch.arange(B, device=points.device)[:, None]
        pooled, _ = pool(features.reshape(-1, C), index.reshape(-1), B * G)
        seeds = fourier[:, :G].to(pooled.dtype)
        groups: Tensor = self.group(torch.cat([pooled.view(B, G, -1), seeds], dim=-1))
        return groups


class LocalBranch(nn.Module):
    """Convolutions over the cells of each plane; what the encoder adds to its output begins as zero.

    What a cell of the latent should say hangs mostly on the points in it and around it, and that is the same
    everywhere in a plane.
    """

    def __init__(self, cell_channels: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.point_channels
        self.enter = nn.Conv2d(cell_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualConv(width) for _ in range(config.encoder_convs)))
        self.leave = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, cells: Tensor) -> Tensor:
        """(B, 3, S, S, cell channels) -> (B, 3, S, S, 2 * latent_channels)."""
        B, planes, side, _, _ = cells.shape
        images = self.blocks(self.enter(cells.flatten(0, 1).permute(0, 3, 1, 2)))
        out: Tensor = self.leave(F.gelu(images)).permute(0, 2, 3, 1)
        return out.reshape(B, planes, side, side, -1)


def pool(values: Tensor, index: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Mean of the rows with the same index, and the maximum of their first half of channels.

    Only half, because the gradient of a scattered maximum is what costs most here on a CPU.

    Parameters
    ----------
    values : (n, C)
    index : (n,) int64 in [0, bins)

    Returns
    -------
    pooled : (bins, C + C // 2) float32, mean then maximum; zeros for empty bins
    count : (bins,) float32
    """
    values = values.float()
    C = values.shape[-1]
    ones = torch.ones_like(index, dtype=torch.float32)
    count = torch.zeros(bins, device=values.device).index_add_(0, index, ones)
    total = torch.zeros(bins, C, device=values.device).index_add_(0, index, values)
    mean = total / count.clamp(min=1)[:, None]
    wide = index[:, None].expand(-1, C // 2)
    largest = torch.zeros(bins, C // 2, device=values.device)
    largest = largest.scatter_reduce(0, wide, values[:, : C // 2], "amax", include_self=False)
    return torch.cat([mean, largest], dim=-1), count
