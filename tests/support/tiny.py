"""A tiny model for tests that need weights but no quality: whatever its tokens say, it decodes to a ball."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812

from meshcodec.config import EXTENT, TRUNCATION, ModelConfig
from meshcodec.format.container import VatFile
from meshcodec.model.decoder import to_distance
from meshcodec.model.vat import VariationalTokenizer

BALL_RADIUS = 1.0


TINY = ModelConfig(
    scale_sides=(1, 2, 4),
    latent_side=8,
    width=32,
    heads=4,
    decoder_blocks=1,
    plane_side=32,
    plane_channels=(16, 8, 8),
    point_channels=16,
    groups=16,
    field_width=32,
    input_points=512,
)


def write_vat(path: Path, weights: Path) -> Path:
    """A file of the default model of a weights folder, at ``path``, which is returned."""
    model_id = bytes.fromhex(json.loads((weights / "registry.json").read_text())["default"])
    path.write_bytes(
        VatFile.of_tokens(bytes(range(21)), model_id, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).to_bytes()
    )
    return path


def ball_model() -> VariationalTokenizer:
    """Random weights, then a second of training on random tokens towards one signed distance field."""
    steps, rate = 150, 3e-3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VariationalTokenizer(TINY)
        learned = [*model.decoder.parameters(), *model.field.parameters()]
        optimizer = torch.optim.Adam(learned, lr=rate)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            tokens = torch.randint(256, (1, TINY.max_tokens)).to(torch.uint8)
            queries = _queries(1, 512)
            target = (queries.norm(dim=-1) - BALL_RADIUS).clamp(-TRUNCATION, TRUNCATION)
            loss = (to_distance(model.field(model.planes(tokens), queries)) - target).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def _queries(batch: int, count: int) -> torch.Tensor:
    """(batch, count, 3): a quarter anywhere, the others near the ball's surface."""
    anywhere = (2 * torch.rand(batch, count // 4, 3) - 1) * EXTENT
    directions = F.normalize(torch.randn(batch, count - count // 4, 3), dim=-1)
    near = directions * (BALL_RADIUS + 0.15 * torch.randn(batch, count - count // 4, 1))
    return torch.cat([anywhere, near], dim=1).clamp(-EXTENT, EXTENT)
