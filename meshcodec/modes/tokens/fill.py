"""Which tokens a file of some size gets."""

from __future__ import annotations

import torch

from meshcodec.config import SIZES, ModelConfig
from meshcodec.format.payload import TOKEN_PACKINGS, Packing, pack
from meshcodec.format.short_header import SHORT_VERSION
from meshcodec.format.token_coder import TokenModel
from meshcodec.model.quantizer import MultiScaleQuantizer, token_masks
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.tokens.rates import TokenRates, quantize_within
from meshcodec.modes.tokens.refine import RateControl
from meshcodec.modes.tokens.settings import BudgetSettings, RefineSettings


def token_budget(
    size: int, config: ModelConfig, iso_offset: bool = True, version: int = SHORT_VERSION
) -> int:
    """Tokens of one byte each that a file of at most `size` bytes gets, with a byte for an iso offset or not.

    A preset size ends at a scale, so that its file is the start of every larger one; any other is filled.

    Raises
    ------
    UsageError
        Less than 64 bytes.
    """
    capacity = min(payload_bytes(size, version, iso_offset=iso_offset), config.max_tokens)
    if size in SIZES.values():
        return max((end for end in config.scale_ends() if end <= capacity), default=capacity)
    return capacity


def shorter_prefixes(size: int, config: ModelConfig) -> list[int]:
    """Prefixes, as numbers of scales, that the preset sizes below `size` hold as bytes."""
    budgets = (token_budget(smaller, config) for smaller in SIZES.values() if smaller < size)
    return [config.scales_started(budget) for budget in budgets]


@torch.no_grad()
def nearest_tokens(quantizer: MultiScaleQuantizer, latents: list[torch.Tensor]) -> bytes:
    """The tokens nearest to unbounded latents of each scale, (1, 3, n, n, D)."""
    codes = [quantizer.quantize(part) for part in latents]
    return bytes(quantizer.to_tokens(codes)[0].cpu().numpy().tobytes())


def shortest_payload(tokens: bytes, entropy_model: TokenModel | None) -> tuple[bytes, Packing]:
    """The shorter of the payloads of tokens, and its packing; without an entropy model there is one."""
    if entropy_model is None:
        return tokens, Packing.BYTES
    payloads = [(pack(tokens, packing, entropy_model), packing) for packing in TOKEN_PACKINGS]
    return min(payloads, key=lambda payload: len(payload[0]))


class TokenBudget:
    """The tokens that fit into a file.

    Parameters
    ----------
    size : bytes of the file, at most
    iso_offset : whether it keeps a byte for an iso offset
    config : shape of the model
    entropy_model : probabilities of its tokens; None for one byte each
    settings : numbers of the budget
    version : of the file's header

    Attributes
    ----------
    size, version, entropy_model : as given
    payload_bytes : bytes of the payload, at most
    refined_tokens : tokens worth refining
    """

    def __init__(
        self,
        size: int,
        iso_offset: bool,
        config: ModelConfig,
        entropy_model: TokenModel | None,
        settings: BudgetSettings | None = None,
        version: int = SHORT_VERSION,
    ) -> None:
        self._settings, self._config, self._iso_offset = settings or BudgetSettings(), config, iso_offset
        self.size, self.payload_bytes = size, payload_bytes(size, version, iso_offset=iso_offset)
        self.version, self.entropy_model = version, entropy_model
        self.refined_tokens = token_budget(size, config, iso_offset, version)
        if entropy_model is not None:
            wanted = int(self._settings.tokens_per_byte * self.payload_bytes)
            self.refined_tokens = min(wanted, config.max_tokens)

    def without_iso_offset(self) -> TokenBudget:
        """The budget of a file of that size without an iso offset."""
        if not self._iso_offset:
            return self
        return TokenBudget(self.size, False, self._config, self.entropy_model, self._settings, self.version)

    def longest_prefix(self, tokens: bytes) -> bytes:
        """The longest prefix of tokens that fits, or nearly: what a prefix takes is not monotone."""
        if self.entropy_model is None:
            return tokens[: self.refined_tokens]
        fits, too_long = min(self.payload_bytes, len(tokens)), len(tokens) + 1
        count = len(tokens)
        while fits < count:
            taken = len(self.entropy_model.encode(tokens[:count]))
            if taken <= self.payload_bytes:
                fits = count
            else:
                too_long = count
            # By proportion, but always nearer: tokens of one scale take about as much each.
            guess = count * self.payload_bytes // max(taken, 1)
            count = min(max(guess, fits + 1), too_long - 1)
        return tokens[:fits]

    def rate_control(self, device: torch.device, settings: RefineSettings) -> RateControl | None:
        """What keeps refined tokens within the payload; None where `refined_tokens` fit as they are."""
        if self.entropy_model is None or self.refined_tokens <= self.payload_bytes:
            return None
        bits = 8 * (self.payload_bytes - self._settings.coder_bytes)
        return RateControl(TokenRates(self.entropy_model, device), bits, settings)

    def initial_tokens(
        self, quantizer: MultiScaleQuantizer, latents: list[torch.Tensor], rate: RateControl | None
    ) -> bytes:
        """The tokens of the encoder's unbounded latents of each scale, (1, 3, n, n, D), that fit."""
        tokens = self.longest_prefix(nearest_tokens(quantizer, latents))
        if rate is None:
            return tokens
        # Some more of them are worth it, where for their bits the most expensive codes of all give way.
        count = min(int(self._settings.initial_gain * len(tokens)), self.refined_tokens)
        masks = token_masks(torch.tensor([count]), quantizer.config, latents[0].device)
        codes = quantize_within(quantizer, rate.rates, latents[: len(masks)], masks, rate.bits)
        return self.longest_prefix(bytes(quantizer.to_tokens(codes)[0].cpu().numpy().tobytes())[:count])
