"""Prefixes of the tokens and their masks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tiny import TINY

from meshcodec.model.quantizer import token_masks
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.registry import Registry
from meshcodec.weights import load_model


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> VariationalTokenizer:
    return load_model(Registry(tiny_weights).default())


def test_masks_end_within_a_scale() -> None:
    assert TINY.scale_ends() == (3, 15, 63)
    masks = token_masks(torch.tensor([20]), TINY)
    assert [m.shape for m in masks] == [(1, 3, side, side, 1) for side in (1, 2, 4)]
    assert [int(m.sum()) for m in masks] == [3, 12, 5]
    assert masks[2].flatten()[:6].tolist() == [1, 1, 1, 1, 1, 0]


def test_digits_of_a_prefix_are_those_of_the_whole_under_its_masks(model: VariationalTokenizer) -> None:
    """What is optimized is what will be decoded."""
    made = torch.Generator().manual_seed(0)
    whole = torch.randint(256, (1, TINY.max_tokens), generator=made).to(torch.uint8)
    for tokens in range(1, TINY.max_tokens + 1):
        masks = token_masks(torch.tensor([tokens]), TINY)
        assert len(masks) == TINY.scales_started(tokens)
        assert sum(int(m.sum()) for m in masks) == tokens
        prefix = model.quantizer.to_codes(whole[:, :tokens])
        masked = [d * m for d, m in zip(model.quantizer.to_codes(whole), masks, strict=False)]
        assert all(torch.equal(a, b) for a, b in zip(prefix, masked, strict=True))


@pytest.mark.parametrize(("tokens", "scales"), [(1, 1), (3, 1), (4, 2), (15, 2), (16, 3), (63, 3)])
def test_a_scale_begins_with_its_first_token(tokens: int, scales: int) -> None:
    assert TINY.scales_started(tokens) == scales
