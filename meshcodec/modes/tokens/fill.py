"""Which tokens a file of some size gets."""

from __future__ import annotations

import torch

from meshcodec.config import SIZES, ModelConfig
from meshcodec.format.payload import Packing, pack
from meshcodec.format.token_coder import TokenModel
from meshcodec.model.quantizer import MultiScaleQuantizer, token_masks
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.tokens.rates import TokenRates, quantize_within
from meshcodec.modes.tokens.refine import RateControl

_CODED_GAIN = 1.7
"""So many tokens for each byte are refined at first where they are entropy-coded. More of them fit only at a
price that the coarser ones pay. Of the encoder's tokens `_SQUEEZE` times as many as fit by themselves."""
_SQUEEZE = 1.15
_CODER_BYTES = 4
"""What a range coder takes beyond the bits of its symbols, and what rounding its networks costs, at most."""


def token_budget(size: int, config: ModelConfig, level: bool = True) -> int:
    """Tokens of one byte each that a file of at most `size` bytes gets, with room for a level or without.

    A size of the ladder ends at a scale, so that its file is the start of every larger one; any other is
    filled.

    Raises
    ------
    UsageError
        Less than 64 bytes.
    """
    capacity = min(payload_bytes(size, level=level), config.max_tokens)
    if size in SIZES.values():
        return max((end for end in config.scale_ends() if end <= capacity), default=capacity)
    return capacity


@torch.no_grad()
def nearest_tokens(quantizer: MultiScaleQuantizer, digits: list[torch.Tensor]) -> bytes:
    """The tokens nearest to digits: unbounded, of each scale, (1, 3, n, n, D)."""
    levels = [quantizer.quantize(d) for d in digits]
    return bytes(quantizer.to_tokens(levels)[0].cpu().numpy().tobytes())


def shortest_payload(tokens: bytes, coder: TokenModel | None) -> tuple[bytes, Packing]:
    """The shorter of the payloads of tokens, and its packing; without a coder there is one."""
    if coder is None:
        return tokens, Packing.BYTES
    payloads = [(pack(tokens, packing, coder), packing) for packing in Packing]
    return min(payloads, key=lambda payload: len(payload[0]))


class TokenBudget:
    """Which tokens a file of some size gets.

    Parameters
    ----------
    size : of the file
    level : whether it keeps a byte for a level
    config : of the model
    coder : of its tokens; None for one byte each

    Attributes
    ----------
    size : as given
    room : bytes of the payload
    goal : tokens worth refining
    """

    def __init__(self, size: int, level: bool, config: ModelConfig, coder: TokenModel | None) -> None:
        self.size, self.room = size, payload_bytes(size, level=level)
        self.coder = coder
        self.goal = token_budget(size, config, level)
        if coder is not None:
            self.goal = min(int(_CODED_GAIN * self.room), config.max_tokens)

    def fill(self, tokens: bytes) -> bytes:
        """The longest prefix of tokens that fits, or nearly: what a prefix takes is not monotone."""
        if self.coder is None:
            return tokens[: self.goal]
        fits, too_long = min(self.room, len(tokens)), len(tokens) + 1
        count = len(tokens)
        while fits < count:
            taken = len(self.coder.encode(tokens[:count]))
            if taken <= self.room:
                fits = count
            else:
                too_long = count
            # By proportion, but always nearer: tokens of one scale take about as much each.
            guess = count * self.room // max(taken, 1)
            count = min(max(guess, fits + 1), too_long - 1)
        return tokens[:fits]

    def rate_control(self, device: torch.device) -> RateControl | None:
        """What keeps refined tokens within the room; None where `goal` tokens fit as they are."""
        if self.coder is None or self.goal <= self.room:
            return None
        return RateControl(TokenRates(self.coder, device), 8 * (self.room - _CODER_BYTES))

    def first_tokens(
        self, quantizer: MultiScaleQuantizer, digits: list[torch.Tensor], rate: RateControl | None
    ) -> bytes:
        """The tokens of the encoder's digits: unbounded, of each scale, (1, 3, n, n, D)."""
        tokens = self.fill(nearest_tokens(quantizer, digits))
        if rate is None:
            return tokens
        # Some more of them are worth it, where for their bits the dearest digits of all give way.
        count = min(int(_SQUEEZE * len(tokens)), self.goal)
        masks = token_masks(torch.tensor([count]), quantizer.config, digits[0].device)
        levels = quantize_within(quantizer, rate.rates, digits[: len(masks)], masks, rate.bits)
        return self.fill(bytes(quantizer.to_tokens(levels)[0].cpu().numpy().tobytes())[:count])
