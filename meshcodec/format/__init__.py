"""Bytes of a ``.vat`` file: what every language must do alike. No torch here."""
