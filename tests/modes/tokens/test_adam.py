from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from meshcodec.modes.tokens.adam import Adam


def test_steps_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    first = [torch.randn(2, 3, 4, generator=generator), torch.randn(5, generator=generator)]
    ours, theirs = ([part.clone().requires_grad_() for part in first] for _ in range(2))
    rates = [0.3, 0.2, 0.15, 0.1, 0.01, 0.0]
    stepped, wanted = Adam(ours, (0.8, 0.95)), torch.optim.Adam(theirs, betas=(0.8, 0.95))
    for number, rate in enumerate(rates):
        for one, other in zip(ours, theirs, strict=True):
            # The second tensor has no gradient in every other step, as a scale that a prefix leaves out.
            gradient = torch.randn(one.shape, generator=generator)
            one.grad = None if one is ours[1] and number % 2 else gradient.clone()
            other.grad = None if one is ours[1] and number % 2 else gradient.clone()
        stepped.step(rate)
        wanted.param_groups[0]["lr"] = rate
        wanted.step()
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
        assert all(one.grad is None for one in ours)


@pytest.mark.slow
def test_refinement_imports_no_compiler() -> None:
    program = (
        "import sys\n"
        "from meshcodec.model.vat import VariationalTokenizer\n"
        "from support.refinement import first_guess, pool, refined\n"
        "from support.tiny import TINY\n"
        "model, first = VariationalTokenizer(TINY).requires_grad_(False), first_guess()\n"
        "found = refined(model, first, pool(0.8), 20, 2)\n"
        "print((found[0] != first[0]).any().item(), 'torch._dynamo' in sys.modules)\n"
    )
    tests = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tests
    )
    assert result.stdout == "True False\n"
