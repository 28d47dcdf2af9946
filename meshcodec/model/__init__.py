"""The Variational Tokenizer: encoder, multi-scale residual quantizer, triplane decoder."""

from __future__ import annotations

from meshcodec.model.vat import VariationalTokenizer

__all__ = ["VariationalTokenizer"]
