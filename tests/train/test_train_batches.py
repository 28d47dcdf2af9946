"""Batches out of a cache."""

from __future__ import annotations

from pathlib import Path

import torch
from support.training import CPU, recipe

from meshcodec.train.augment import (
    random_rotations,
)
from meshcodec.train.batches import DeviceBatches


def test_batches_on_the_device_repeat_by_seed_and_use_all_symmetries(small_cache: Path) -> None:
    batches = DeviceBatches(
        small_cache, recipe("tiny", batch=64, points=16, queries=12, rotate_share=0.4), CPU
    )
    first, again, other = (next(batches.training(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.queries, again.queries)
    assert not torch.equal(first.queries, other.queries)
    rotations = random_rotations(500, torch.Generator().manual_seed(0))
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(500), atol=1e-5)
    assert rotations.mean(0).abs().max() < 0.12
    assert len(batches) == 2
    assert [len(b.points) for b in batches.validation()] == [2]
