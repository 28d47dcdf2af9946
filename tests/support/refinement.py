"""Query points about a sphere, latents to begin with, and settings that are quick."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshcodec.config import EXTENT
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.efforts import Effort
from meshcodec.modes.tokens.refine import QueryPool, RefinementJob, refine_batch
from meshcodec.modes.tokens.settings import JudgeSettings, RefineSettings, Stop, TokenSettings
from support.tiny import TINY

COARSE = TokenSettings(judge=JudgeSettings(resolution=48))
"""The field of the tiny model has surface everywhere: at the full resolution each evaluation takes
seconds."""

HURRIED = TokenSettings(
    efforts=(Effort((), 0), Effort((1, 1, 3), 2000, extended_rounds=(2,))),
    judge=JudgeSettings(
        proxy_samples=1000,
        full_samples=1000,
        resolution=16,
        offset_steps=(4,),
        margin=0.0,
    ),
)
"""Effort 1 is three or four short rounds, measured coarsely."""


def pool(radius: float, count: int = 3000) -> QueryPool:
    """Points about a sphere and their distances to it, with equal units."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    points = np.clip(directions * (radius + rng.normal(scale=0.05, size=(count, 1))), -EXTENT, EXTENT)
    distances = np.linalg.norm(points, axis=-1) - radius
    return QueryPool(
        points.astype(np.float32), distances.astype(np.float32), np.ones(count, dtype=np.float32)
    )


def first_guess(batch: int = 1, seed: int = 0) -> list[Tensor]:
    """Random unbounded latents of each scale of the tiny model, (B, 3, n, n, 4)."""
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3, side, side, 4, generator=made) for side in TINY.scale_sides]


def refined(
    model: VariationalTokenizer,
    latents: list[Tensor],
    queries: QueryPool,
    tokens: int,
    steps: int,
    stop: Stop | None = None,
    shorter: tuple[int, ...] = (),
    settings: RefineSettings | None = None,
    **options: Any,
) -> list[Tensor]:
    """The latents that one job of refinement gives."""
    job = RefinementJob(latents, queries, tokens, list(shorter), steps, **options)
    (result,) = refine_batch(model, [job], settings, stop)
    return result.latents
