"""Steps that know no earlier ones."""

from __future__ import annotations

import pytest
import torch

from meshcodec.modes.tokens.descent import SoftDescent


def test_a_step_is_the_gradient_over_its_size_and_the_usual_one() -> None:
    value = torch.zeros(1, 4, requires_grad=True)
    value.grad = torch.tensor([[3.0, -3.0, 0.0, 0.0]])  # root mean square: 3 / sqrt 2
    SoftDescent([value], 2.0).step(0.6)
    step = 0.6 * 3 / (3 + 2 * 3 / 2**0.5)
    assert value.detach()[0].tolist() == pytest.approx([-step, step, 0.0, 0.0])
    assert value.grad is None


def test_meshes_of_a_batch_do_not_know_each_other() -> None:
    gradient = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    gradient[1] *= 100
    both = torch.zeros(2, 3, 5, requires_grad=True)
    both.grad = gradient.clone()
    SoftDescent([both], 1.0).step(0.5)
    for row in range(2):
        alone = torch.zeros(1, 3, 5, requires_grad=True)
        alone.grad = gradient[row : row + 1].clone()
        SoftDescent([alone], 1.0).step(0.5)
        assert torch.equal(alone[0], both[row])


def test_what_has_no_gradient_stays() -> None:
    still, flat = torch.ones(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    flat.grad = torch.zeros(1, 2)
    SoftDescent([still, flat], 1.0).step(0.5)
    assert torch.equal(still, torch.ones(1, 2))
    assert torch.equal(flat, torch.ones(1, 2))
