"""A field with random weights, and points to ask it at."""

from __future__ import annotations

import numpy as np
import torch

from meshcodec.config import EXTENT, PLANES, ModelConfig
from meshcodec.model.decoder import FieldHead
from support.tiny import TINY


def head_and_planes(config: ModelConfig = TINY) -> tuple[FieldHead, torch.Tensor]:
    """A field with random weights, distances of the order of the truncation, and (3, P, P, C) planes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = FieldHead(config).requires_grad_(False)
        for weight in head.parameters():
            weight.mul_(2.5)
        side, C = config.plane_side, config.plane_channels[-1]
        return head, torch.randn(PLANES, side, side, C)


def some_points(count: int, reach: float = 1.3 * EXTENT) -> torch.Tensor:
    rng = np.random.default_rng(count)
    return torch.from_numpy(rng.uniform(-reach, reach, (count, 3)).astype(np.float32))
