"""What tokens cost: the networks of `meshcodec.format.token_coder` in floating point, for gradients.

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

from meshcodec.format.token_coder import (
    HIDDEN_BITS,
    HIDDEN_MAX,
    WEIGHT_BITS,
    Integers,
    ScaleNetwork,
    TokenModel,
    cell_features,
)
from meshcodec.model.quantizer import MultiScaleQuantizer, squash

_ONES = {
    **dict.fromkeys(("weights", "bias", "own", "out"), 1 << WEIGHT_BITS),
    "out_bias": 1 << (WEIGHT_BITS + HIDDEN_BITS),
}
"""What a parameter of 1 is as an integer."""
_LARGEST_WEIGHT = (1 << 15) - 1  # largest integer of a network: files hold int16
_PASSES = 4  # roundings of all digits, as what one takes depends on its neighbours (by hand)
_BISECTIONS = 20  # halvings of the range of the weight of a bit (by hand)
_WEIGHTS = (1e-8, 1e4)  # least and largest weight of a bit against the squared error of the latents (by hand)


class RateNetwork(nn.Module):
    """The network of one scale; see `meshcodec.format.token_coder.ScaleNetwork` for its shape. It begins
    with zeros.

    Parameters
    ----------
    features, hidden : F and H
    digits, levels : D and L
    """

    def __init__(self, features: int, hidden: int, digits: int, levels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(features, hidden))
        self.bias = nn.Parameter(torch.zeros(digits, hidden))
        self.own = nn.Parameter(torch.zeros(digits, levels, hidden))
        self.out = nn.Parameter(torch.zeros(digits, hidden, levels))
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
    model : entropy model of the tokens
    device : where the latents are

    Attributes
    ----------
    levels : (D,) number of levels of each digit
    """

    def __init__(self, model: TokenModel, device: torch.device) -> None:
        self._networks = [RateNetwork.of(n).to(device).requires_grad_(False) for n in model.networks]
        self.levels = torch.tensor(model.config.token_levels, device=device).float()

    @torch.no_grad()
    def tables(self, codes: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """What each level of each digit would cost, given all other digits as they are.

        Parameters
        ----------
        codes : code values of the scales started, coarse to fine, (B, 3, n, n, D)
        masks : (B or 1, 3, n, n, 1), one where a token is present, else zero

        Returns
        -------
        Bits of each scale, (B, 3, n, n, D, L); zero for absent tokens.
        """
        doubled = [_doubled(code * mask) for code, mask in zip(codes, masks, strict=True)]
        half = (self.levels - 1) / 2
        tables = []
        for scale, (code, mask) in enumerate(zip(codes, masks, strict=True)):
            features = torch.from_numpy(cell_features(doubled, scale, len(doubled))).to(code)
            symbols = (code + half).round().long()
            logits = self._networks[scale](features.flatten(0, 3), symbols.flatten(0, 3))
            bits = F.log_softmax(logits, dim=-1) / -math.log(2)
            tables.append(bits.view(*code.shape, -1) * mask[..., None])
        return tables


@torch.no_grad()
def quantize_within(
    quantizer: MultiScaleQuantizer,
    rates: TokenRates,
    latents: Sequence[Tensor],
    masks: Sequence[Tensor],
    bits: float,
) -> list[Tensor]:
    """Round latents so that they take at most so many bits, or nearly.

    Each digit gets the level with the least error + weight * bits, where its error is that of the latent
    (rate-distortion optimized quantization), and one weight for all is found by bisection. What a digit
    takes depends on its neighbours, so this is done a few times over.

    Parameters
    ----------
    latents : unbounded latents of each scale, (1, 3, n, n, D)
    masks : (1, 3, n, n, 1), one where a token is present, else zero
    bits : that the tokens may take

    Returns
    -------
    Code values of each scale; the nearest ones where these fit.
    """
    half = (rates.levels - 1) / 2
    # All digits have the levels of the first, which the shape of the tables says, too.
    values = torch.arange(int(rates.levels[0]), device=half.device) - half[0]
    errors = []
    for codec, unbounded in zip(quantizer.codecs(), latents, strict=False):
        # How much one unit of a digit moves the planes, in all of the cells that its own covers.
        gains = codec.up.weight.square().sum(0) * (codec.latent_side / codec.side) ** 2
        errors.append((squash(unbounded, rates.levels)[..., None] - values).square() * gains[:, None])
    codes = [quantizer.quantize(unbounded) for unbounded in latents]
    for _ in range(_PASSES):
        tables = rates.tables(codes, masks)
        if sum(float(bits_at(t, code).sum()) for t, code in zip(tables, codes, strict=True)) <= bits:
            return codes
        low, high = _WEIGHTS
        for _ in range(_BISECTIONS):
            weight = math.sqrt(low * high)
            chosen = [(e + weight * t).argmin(-1) for e, t in zip(errors, tables, strict=True)]
            taken = sum(float(t.gather(-1, c[..., None]).sum()) for t, c in zip(tables, chosen, strict=True))
            low, high = (low, weight) if taken <= bits else (weight, high)
        chosen = [(e + high * t).argmin(-1) for e, t in zip(errors, tables, strict=True)]
        codes = [values[c] for c in chosen]
    return codes


def _doubled(codes: Tensor) -> NDArray[np.int16]:
    doubled: NDArray[np.int16] = (2 * codes.detach()).round().to(torch.int16).cpu().numpy()
    return doubled


def bits_at(table: Tensor, squashed: Tensor) -> Tensor:
    """Bits of digits between levels, with a gradient: (..., L) tables at (...) squashed latents -> (...).

    Linear between neighbouring levels, and on beyond the last ones, where saturated digits are: the gradient
    is what the next level would save or cost.
    """
    last = table.shape[-1] - 1
    place = squashed + last / 2
    lower = place.detach().floor().clamp(0, last - 1).long()
    low, high = (table.gather(-1, (lower + step)[..., None])[..., 0] for step in (0, 1))
    return low + (high - low) * (place - lower)
