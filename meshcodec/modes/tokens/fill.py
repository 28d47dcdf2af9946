"""Which tokens a file of some size gets."""

from __future__ import annotations

import numpy as np
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
        as_bytes = min(self.payload_bytes, len(tokens))
        count = self._about(tokens, self.entropy_model)
        while count > as_bytes and not self._holds(tokens[:count], self.entropy_model):
            count -= 1
        while count < len(tokens) and self._holds(tokens[: count + 1], self.entropy_model):
            count += 1
        return tokens[:count]

    def more_tokens(self, tokens: bytes) -> int:
        """How many tokens may fit where these do, and leave bytes: tokens that follow take about as much."""
        if self.entropy_model is None or not tokens:
            return len(tokens)
        taken = max(len(self.entropy_model.encode(tokens)), 1)
        return max(len(tokens), min(len(tokens) * self.payload_bytes // taken, self._config.max_tokens))

    def _about(self, tokens: bytes, entropy_model: TokenModel) -> int:
        """How many tokens fit by the bits that they take, or as bytes."""
        count, fits = len(tokens) + 1, len(tokens)
        # The fewer scales a file begins, the fewer bits it takes for each.
        while fits < count:
            count = fits
            taken = np.cumsum(entropy_model.bits(tokens[:count]))
            fits = int(np.searchsorted(taken, 8 * self.payload_bytes, side="right"))
        return max(count, min(self.payload_bytes, len(tokens)))

    def _holds(self, tokens: bytes, entropy_model: TokenModel) -> bool:
        return len(entropy_model.encode(tokens)) <= self.payload_bytes

    def rate_control(
        self, device: torch.device, settings: RefineSettings, other: RateControl | None = None
    ) -> RateControl | None:
        """What keeps refined tokens within the payload; None where `refined_tokens` fit as they are.

        An `other` one of the same model lends its networks.
        """
        if self.entropy_model is None or self.refined_tokens <= self.payload_bytes:
            return None
        bits = 8 * (self.payload_bytes - self._settings.coder_bytes)
        rates = other.rates if other is not None else TokenRates(self.entropy_model, device)
        return RateControl(rates, bits, settings)

    def initial_tokens(
        self, quantizer: MultiScaleQuantizer, latents: list[torch.Tensor], rate: RateControl | None
    ) -> bytes:
        """The tokens of the encoder's unbounded latents of each scale, (1, 3, n, n, D), that fit."""
        tokens = nearest_tokens(quantizer, latents)[: self.refined_tokens]
        if rate is None or self.entropy_model is None:
            return self.longest_prefix(tokens)
        # Some more of them are worth it, where for their bits the most expensive codes of all give way.
        count = min(
            int(self._settings.initial_gain * self._about(tokens, self.entropy_model)), self.refined_tokens
        )
        masks = token_masks(torch.tensor([count]), quantizer.config, latents[0].device)
        codes = quantize_within(quantizer, rate.rates, latents[: len(masks)], masks, rate.bits)
        return self.longest_prefix(bytes(quantizer.to_tokens(codes)[0].cpu().numpy().tobytes())[:count])
