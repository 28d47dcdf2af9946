"""The ``meshcodec`` command: one module for each group of verbs, in the order in which ``--help`` names them."""

from meshcodec.cli import codec, folders, checks, generate, evaluate, train  # noqa: F401, I001 - the order of the verbs
from meshcodec.cli.group import cli, main

__all__ = ["cli", "main"]
