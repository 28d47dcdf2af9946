"""What tokens cost: the networks of `meshcodec.entropy` in floating point, for gradients.

Refinement weighs the bits of a digit against the distances that it mends, and training fits the networks.
Nothing is coded with these numbers, so they need not be the same everywhere; what is coded is counted with
the integer networks that are rounded from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from meshcodec.entropy import (
    HIDDEN_BITS,
    HIDDEN_MAX,
    WEIGHT_BITS,
    Integers,
    ScaleNetwork,
    TokenModel,
    cell_features,
)

_ONES = {
    **dict.fromkeys(("weights", "bias", "own", "out"), 1 << WEIGHT_BITS),
    "out_bias": 1 << (WEIGHT_BITS + HIDDEN_BITS),
}
"""What a parameter of 1 is as an integer."""
_LARGEST_WEIGHT = (1 << 15) - 1


class RateNetwork(nn.Module):
    """The network of one scale; see `meshcodec.entropy.ScaleNetwork` for its shape.

    Parameters
    ----------
    features, hidden : F and H
    digits, levels : D and L
    """

    def __init__(self, features: int, hidden: int, digits: int, levels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(features, hidden) / (3 * math.sqrt(features)))
        self.bias = nn.Parameter(torch.zeros(digits, hidden))
        self.own = nn.Parameter(torch.zeros(digits, levels, hidden))
        self.out = nn.Parameter(0.02 * torch.randn(digits, hidden, levels))
        self.out_bias = nn.Parameter(torch.zeros(digits, levels))

    def forward(self, features: Tensor, symbols: Tensor) -> Tensor:
        """(N, F) features and (N, D) symbols -> (N, D, L) logits, of each digit given those before it."""
        summed = features @ self.weights
        logits = []
        for digit in range(len(self.bias)):
            hidden = (summed + self.bias[digit]).clamp(0, HIDDEN_MAX / (1 << HIDDEN_BITS))
            logits.append(hidden @ self.out[digit] + self.out_bias[digit])
            summed = summed + self.own[digit][symbols[:, digit]]
        return torch.stack(logits, dim=1)

    def rounded(self) -> ScaleNetwork:
        """As integers."""
        values = {name: _integers(getattr(self, name), one) for name, one in _ONES.items()}
        return ScaleNetwork(**values)

    @classmethod
    def of(cls, network: ScaleNetwork) -> RateNetwork:
        """The float network that an integer one stands for."""
        features, hidden = network.weights.shape
        digits, levels = network.out_bias.shape
        result = cls(features, hidden, digits, levels)
        for name, one in _ONES.items():
            getattr(result, name).data.copy_(torch.from_numpy(getattr(network, name)).float() / one)
        return result


def _integers(parameter: Tensor, one: int) -> Integers:
    values = np.rint(parameter.detach().double().cpu().numpy() * one)
    result: Integers = np.clip(values, -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int64)
    return result


class TokenRates:
    """Bits of tokens as functions of their digits.

    Parameters
    ----------
    model : of the tokens
    device : where the digits are

    Attributes
    ----------
    levels : (D,) levels of each digit
    """

    def __init__(self, model: TokenModel, device: torch.device) -> None:
        self._networks = [RateNetwork.of(n).to(device).requires_grad_(False) for n in model.networks]
        self.levels = torch.tensor(model.config.token_levels, device=device).float()

    @torch.no_grad()
    def tables(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """What each level of each digit would cost, given all other digits as they are.

        Parameters
        ----------
        levels : level values of the scales begun, coarse to fine, (B, 3, n, n, D)
        masks : (1, 3, n, n, 1), one where a token is present, else zero

        Returns
        -------
        Bits of each scale, (B, 3, n, n, D, L); zero for absent tokens.
        """
        digits = [_doubled(level * mask) for level, mask in zip(levels, masks, strict=True)]
        half = (self.levels - 1) / 2
        tables = []
        for scale, (level, mask) in enumerate(zip(levels, masks, strict=True)):
            features = torch.from_numpy(cell_features(digits, scale)).to(level)
            symbols = (level + half).round().long()
            logits = self._networks[scale](features.flatten(0, 3), symbols.flatten(0, 3))
            bits = F.log_softmax(logits, dim=-1) / -math.log(2)
            tables.append(bits.view(*level.shape, -1) * mask[..., None])
        return tables


def _doubled(levels: Tensor) -> NDArray[np.int16]:
    doubled: NDArray[np.int16] = (2 * levels.detach()).round().to(torch.int16).cpu().numpy()
    return doubled


def bits_at(table: Tensor, bounded: Tensor) -> Tensor:
    """Bits of digits between levels, with a gradient: (..., L) tables at (...) bounded digits -> (...).

    Linear between neighbouring levels: the gradient is what the next level would save or cost.
    """
    last = table.shape[-1] - 1
    place = (bounded + last / 2).clamp(0, last)
    lower = place.detach().floor().clamp(max=last - 1).long()
    low, high = (table.gather(-1, (lower + step)[..., None])[..., 0] for step in (0, 1))
    return low + (high - low) * (place - lower)
