"""The Variational Tokenizer: encoder, multi-scale residual quantizer, triplane decoder."""

from meshcodec.model.vat import VariationalTokenizer

__all__ = ["VariationalTokenizer"]
