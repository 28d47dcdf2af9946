"""Coding by tokens: VAT's, refined for each mesh."""
