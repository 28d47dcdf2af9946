"""Losses, and which prefixes they are taken of."""

from __future__ import annotations

import pytest
import torch

from meshcodec.train.objective import field_loss


def test_the_loss_counts_what_it_says() -> None:
    # Distances of 0.02 and 0.08 where 0.01 and -0.03 are wanted; 0.1 is the largest, 0.05 is near.
    logits, wanted = torch.atanh(torch.tensor([[0.2, 0.8]])), torch.tensor([[0.01, -0.03]])
    loss, distance = field_loss(logits, wanted, 0.0)
    assert float(loss) == pytest.approx((0.01 + 0.11) / 2 / 0.1, rel=1e-5)
    near, reported = field_loss(logits, wanted, 0.0, near_surface=True)
    assert float(near) == pytest.approx(((0.01 + 0.08) / 2 + 0.2 * (0.01 + 0.11) / 2) / 0.05, rel=1e-5)
    assert reported == distance == loss
