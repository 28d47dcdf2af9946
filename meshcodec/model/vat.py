"""The Variational Tokenizer (VAT, Zhang et al. 2024, arXiv 2412.02202), whole."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshcodec.config import ModelConfig
from meshcodec.model.decoder import FieldHead, TriplaneDecoder
from meshcodec.model.encoder import PointEncoder
from meshcodec.model.quantizer import MultiScaleQuantizer


class VariationalTokenizer(nn.Module):
    """Points to tokens, tokens to planes, planes to distances.

    ::

        points, normals ─ encoder ─ mu, log var ─ z = mu + sigma eps ─ quantizer ─ tokens (one byte each)
                                                                          │
        distances <─ field head <─ planes <─ triplane decoder <─ latent <─┘
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointEncoder(config)
        self.quantizer = MultiScaleQuantizer(config)
        self.decoder = TriplaneDecoder(config)
        self.field = FieldHead(config)

    @torch.no_grad()
    def tokenize(self, points: Tensor, normals: Tensor) -> Tensor:
        """(B, N, 3) points and normals -> (B, max_tokens) uint8, from the posterior's mean."""
        mu, _ = self.encoder(points, normals)
        return self.quantizer.to_tokens([self.quantizer.quantize(d) for d in self.quantizer.project(mu)])

    def planes(self, tokens: Tensor) -> Tensor:
        """(B, T) uint8, any prefix of the tokens -> (B, 3, C, P, P) float32 planes."""
        return self.decode_latent(self.quantizer.dequantize(self.quantizer.to_codes(tokens)))

    def decode_latent(self, latent: Tensor) -> Tensor:
        """(B, 3, S, S, C) latent -> (B, 3, C, P, P) float32 planes."""
        planes: Tensor = self.decoder(latent)
        return planes
