"""Query points about a sphere, and latents to begin with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.config import EXTENT
from support.tiny import TINY

Pool = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def pool(radius: float, count: int = 3000) -> Pool:
    """(1, count, 3) points about a sphere and their (1, count) distances to it, with equal units."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(1, count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    points = np.clip(directions * (radius + rng.normal(scale=0.05, size=(1, count, 1))), -EXTENT, EXTENT)
    distances = np.linalg.norm(points, axis=-1) - radius
    return points.astype(np.float32), distances.astype(np.float32), np.ones((1, count), dtype=np.float32)


def first_guess(batch: int = 1, seed: int = 0) -> list[Tensor]:
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3, side, side, 4, generator=made) for side in TINY.scale_sides]
