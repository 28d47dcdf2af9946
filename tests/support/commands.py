"""The command line, called as a user would."""

from __future__ import annotations

from click.testing import CliRunner, Result

from meshcodec.cli import cli


def call(*words: object, data: bytes | None = None) -> Result:
    """A command in this process, with ``data`` on its stdin."""
    return CliRunner().invoke(cli, [str(word) for word in words], input=data)
