"""Steps along gradients that know no earlier ones: what a few steps are best taken with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LEAST = 1e-12
"""Added to the root of a mean square: a gradient may be zero everywhere."""


class SoftDescent:
    """Steps along gradients that are divided by their size and by what is usual in their tensor.

    A value with the gradient g moves by rate * g / (|g| + softness * s), s the root mean square over the
    values of the same mesh and scale. Adam's first steps are as long for values of which nothing is known but
    noise as for those that matter, and each may take a code to another level; these are not.

    Parameters
    ----------
    parameters : tensors (B, ...) of B meshes, changed in place by `step`
    softness : how far above the usual a gradient is that gets a step of half of the rate
    """

    def __init__(self, parameters: Sequence[Tensor], softness: float) -> None:
        self._parameters, self._softness = parameters, softness

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take one step of at most `rate` by the gradients there are, and forget these."""
        for parameter in self._parameters:
            gradient = parameter.grad
            if gradient is None:
                continue
            usual = gradient.flatten(1).square().mean(1).sqrt() + _LEAST
            usual = usual.view(-1, *[1] * (gradient.ndim - 1))
            parameter.addcdiv_(gradient, gradient.abs() + self._softness * usual, value=-rate)
            parameter.grad = None
