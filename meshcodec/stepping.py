"""Digits that gradient steps change: in refinement, and at the later visits of training.

What is stepped are digits in levels, rounded in the forward pass and straight through in the backward pass.
At the encoder's unbounded digits, behind a tanh, a step would move a digit the less the farther out it is
(docs/experiments.md, "What refinement steps").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from meshcodec.model.quantizer import bound, round_to_level, unbound

_MOMENTA = (0.8, 0.95)
_OVERSHOOT = 0.1
"""Levels that a digit may go beyond its last one: a short way back when its gradient turns."""


def falling(rate: float, done: float) -> float:
    """The rate after a share `done` of the steps: large moves first, then settling, along a cosine."""
    return rate * 0.5 * (1 + math.cos(math.pi * done))


class SteppedDigits:
    """Digits of a batch of meshes, stepped by Adam.

    Parameters
    ----------
    digits : unbounded digits of each scale, (B, 3, n, n, D), as `MultiScaleQuantizer.project` gives them
    levels : (D,) levels of each digit of a token

    Attributes
    ----------
    bounded : the digits in levels, with gradients
    """

    def __init__(self, digits: list[Tensor], levels: Tensor) -> None:
        self._given, self._levels = [d.detach() for d in digits], levels
        self._farthest = (levels - 1) / 2 + _OVERSHOOT
        self._first = [self._clamped(bound(d, levels)) for d in self._given]
        self.bounded = [b.clone().requires_grad_() for b in self._first]
        self._optimizer = torch.optim.Adam(self.bounded, betas=_MOMENTA)

    def rounded(self) -> list[Tensor]:
        """Levels of each scale, (B, 3, n, n, D), straight-through."""
        return [round_to_level(b, self._levels) for b in self.bounded]

    def step(self, rate: float) -> None:
        """Move by the gradients, at Adam's learning rate in levels, and forget them."""
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for b in self.bounded:
                b.copy_(self._clamped(b))

    def unbounded(self) -> list[Tensor]:
        """The digits as they were given, but for those that have moved."""
        return [
            torch.where(b == first, given, unbound(b.detach(), self._levels))
            for b, first, given in zip(self.bounded, self._first, self._given, strict=True)
        ]

    def _clamped(self, bounded: Tensor) -> Tensor:
        return bounded.clamp(-self._farthest, self._farthest)
