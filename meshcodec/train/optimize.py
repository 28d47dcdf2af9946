"""What the trainers of the autoencoder and of the prior have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


def cosine(progress: float) -> float:
    """Factor of a learning rate that falls from 1 at `progress` 0 to a twentieth at 1."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))


def adamw(parameters: Iterable[Tensor], rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) that lets matrices and kernels decay, but no vectors."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Have all parameters of an optimizer learn at one rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def update_average(averaged: Sequence[Tensor], current: Sequence[Tensor], step: int, decay: float) -> None:
    """Move averaged weights towards the current ones, in place; at first faster than `decay` says."""
    get_ema_multi_avg_fn(min(decay, (step + 1) / (step + 10)))(list(averaged), list(current), step)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; whenever this is interrupted, the one before it is still whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
