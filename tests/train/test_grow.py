"""A larger model that starts with what a smaller one can do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.training import CPU, quick_recipe, recipe

from meshcodec.errors import UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.train.autoencoder import Trainer
from meshcodec.train.grow import grow


@pytest.mark.slow
def test_a_model_grows_by_channels_that_change_next_to_nothing() -> None:
    small = recipe("tiny").model
    a, b, c = small.plane_channels
    wide = 2 * a + 1, 2 * b, c + 3
    large = dataclasses.replace(small, plane_channels=wide, field_width=small.field_width + 8)
    assert large.grows_from(small)
    assert not small.grows_from(large)
    torch.manual_seed(0)
    before, after = VariationalTokenizer(small), VariationalTokenizer(large)
    for parameter in before.parameters():  # as training would leave it: nothing is zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    grow(after, before.state_dict())
    tokens = torch.randint(0, 256, (1, small.max_tokens), dtype=torch.uint8)
    points = 2 * torch.rand(1, 200, 3) - 1
    planes, wider = before.planes(tokens), after.planes(tokens)
    torch.testing.assert_close(wider[:, :, : planes.shape[2]], planes, rtol=1e-4, atol=1e-4)
    assert wider[:, :, planes.shape[2] :].std() > 0
    torch.testing.assert_close(after.field(wider, points), before.field(planes, points), rtol=1e-4, atol=1e-4)
    # And what is new does learn.
    after.field(after.planes(tokens), points).square().mean().backward()
    first = after.field.mlp[0].weight
    assert isinstance(first, torch.Tensor)
    assert first.grad is not None
    assert first.grad[:, c : wide[-1]].abs().max() > 0
    with pytest.raises(UsageError, match="another shape"):
        grow(VariationalTokenizer(small), after.state_dict())


def test_a_model_grows_by_blocks_that_change_nothing(small_cache: Path, tmp_path: Path) -> None:
    small = quick_recipe()
    model = dataclasses.replace(small.model, encoder_blocks=2, encoder_convs=1, decoder_blocks=3)
    large = dataclasses.replace(small, model=model)
    assert model.grows_from(small.model)
    assert not small.model.grows_from(model)
    assert not model.grows_from(dataclasses.replace(small.model, plane_side=2 * model.plane_side))
    before = Trainer(small, small_cache, tmp_path / "small", CPU).objective.model
    for parameter in before.parameters():  # as training would leave it: nothing is zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    after = Trainer(large, small_cache, tmp_path / "large", CPU, before.state_dict()).objective.model
    tokens = torch.randint(0, 256, (1, small.model.max_tokens), dtype=torch.uint8)
    points = torch.nn.functional.normalize(torch.randn(1, 64, 3), dim=-1)
    with torch.no_grad():
        assert torch.equal(before.planes(tokens), after.planes(tokens))
        assert torch.equal(before.encoder(points, points)[0], after.encoder(points, points)[0])
    with pytest.raises(UsageError, match="another shape"):
        Trainer(small, small_cache, tmp_path / "shrunk", CPU, after.state_dict())
