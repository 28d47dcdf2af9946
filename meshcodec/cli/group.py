"""The ``meshcodec`` command: options, files and messages around `meshcodec.api`.

Results go to stdout, messages to stderr. A failure is one line, ``meshcodec: error: FILE: fault; remedy``,
and the exit code of its class in `meshcodec.errors`; 130 after an interruption. Whatever imports numpy, torch
or trimesh is imported inside the verb that needs it, so that ``--help`` and ``info`` answer at once.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click

from meshcodec import __version__
from meshcodec.cli.streams import log_line, print_error
from meshcodec.errors import MeshcodecError, UsageError

_EPILOG = """Exit codes: 0 done; 2 usage; 3 some files of several failed, or no size reaches the quality
asked for; 4 bad input or corrupt file; 5 weights missing or not the ones the file names; 130 interrupted.

Shell completion: eval "$(_MESHCODEC_COMPLETE=bash_source meshcodec)", or zsh_source, or for fish:
_MESHCODEC_COMPLETE=fish_source meshcodec | source"""


class ExitCodes(click.Command):
    """A command that turns errors, warnings and interruptions into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _said_once()
                return super().invoke(ctx)
        except MeshcodecError as error:
            print_error(error)
            ctx.exit(error.exit_code)
        except OSError as error:
            # Files report this themselves, so it is stdout. A reader that left (EPIPE) is click's business.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            # What is still in the buffer would fail once more, and with a traceback, when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fault = f"<stdout>: cannot be written ({error.strerror})"
            print_error(UsageError(fault, "make room, or write to another place"))
            ctx.exit(UsageError.exit_code)
        except KeyboardInterrupt:
            click.echo("meshcodec: interrupted", err=True)
            ctx.exit(130)


def _said_once() -> Callable[..., None]:
    """Prints each warning once: what is read again, to be measured, warns again."""
    said: set[str] = set()

    def show(message: Warning | str, *_: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            log_line(f"meshcodec: warning: {message}")

    return show


class _Verbs(ExitCodes, click.Group):
    """Keeps the verbs in order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Verbs, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meshcodec", message="%(prog)s %(version)s")
def cli() -> None:
    """Meshes to files of 512 bytes to 4 KB, and back. The name - stands for a pipe."""


def main() -> None:
    """Entry point of the ``meshcodec`` command."""
    try:
        cli(prog_name="meshcodec")
    finally:
        # The process ends, and all that it has made with it: Python need not look for what can go first,
        # which takes half a second where torch is loaded.
        gc.freeze()
