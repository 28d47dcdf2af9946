"""The ``meshcodec`` command: one module for each group of verbs."""

from meshcodec.cli import checks, codec, evaluate, folders, generate, train
from meshcodec.cli.group import cli, main

__all__ = ["cli", "main"]

_VERBS = (
    codec.encode,
    codec.decode,
    folders.compress,
    folders.decompress,
    checks.info,
    checks.verify,
    checks.link,
    checks.doctor,
    evaluate.bench,
    evaluate.report,
    generate.generate,
    train.train,
)
"""The verbs, in the order in which ``--help`` names them."""
for _verb in _VERBS:
    cli.add_command(_verb)
