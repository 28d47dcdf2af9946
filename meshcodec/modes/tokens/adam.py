"""Adam for the few tensors of a refinement.

`torch.optim` has it, too, but its first optimizer imports a compiler: two seconds of every process
that encodes. The arithmetic is that of `torch.optim.Adam`, operation by operation: the tokens are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_LEAST = 1e-8
"""Added to the root of the mean square, as in `torch.optim.Adam`."""


class Adam:
    """Steps along gradients divided by their size (Kingma and Ba 2015, algorithm 1).

    Parameters
    ----------
    parameters : tensors of any shapes, changed in place by `step`
    momenta : decay of the mean of the gradients and of that of their squares, both in [0, 1)
    """

    def __init__(self, parameters: Sequence[Tensor], momenta: tuple[float, float]) -> None:
        self._parameters, self._momenta = parameters, momenta
        self._means = [torch.zeros_like(each) for each in parameters]
        self._squares = [torch.zeros_like(each) for each in parameters]
        self._counts = [0] * len(parameters)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take one step of length `rate` by the gradients there are, and forget these.

        A parameter without a gradient stays, and so does what is known of it.
        """
        of_mean, of_square = self._momenta
        for number, parameter in enumerate(self._parameters):
            gradient = parameter.grad
            if gradient is None:
                continue
            self._counts[number] += 1
            mean = self._means[number].lerp_(gradient, 1 - of_mean)
            square = self._squares[number].mul_(of_square).addcmul_(gradient, gradient, value=1 - of_square)
            # Both begin at zero; these divide by the share of them that is there.
            seen_of_mean = 1 - of_mean ** self._counts[number]
            seen_of_square = math.sqrt(1 - of_square ** self._counts[number])
            size = (square.sqrt() / seen_of_square).add_(_LEAST)
            parameter.addcdiv_(mean, size, value=-rate / seen_of_mean)
            parameter.grad = None
