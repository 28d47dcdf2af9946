"""``python docs/generate_cli.py``: write ``docs/cli.md`` from the command line itself.

The page lists every verb with its arguments, options, defaults and help. ``tests/test_docs.py`` fails where
it is not what this script writes, so ``--help`` cannot change without the page.
"""

from __future__ import annotations

from pathlib import Path

import click

from meshcodec.cli import cli

PAGE = Path(__file__).parent / "cli.md"

_HEAD = """\
# Command line

`docs/generate_cli.py` writes this page from the program; change the help texts there, not here.
`meshcodec VERB --help` (or `-h`) prints the same.

Results go to stdout, messages to stderr. `-` in place of a file name stands for a pipe. An error is
one line: the file, the fault, the remedy.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | usage: an unknown option, options that exclude each other, an output that exists or cannot be written |
| 3 | some files of several failed and are listed, or no size reaches the quality asked for |
| 4 | bad input or a corrupt file, or one that takes more memory than it may |
| 5 | weights are missing, damaged, or not those that the file names |
| 130 | interrupted |
"""


def page(group: click.Group, name: str = "meshcodec") -> str:
    """The whole page, Markdown, of a group of verbs and the groups below it."""
    context = click.Context(group, info_name=name)
    commands = _commands(group, context)
    verbs = [f"- [`{path}`](#{_anchor(path)}): {_first_line(command)}" for path, command, _ in commands]
    parts = [_HEAD, "\n".join(verbs) + "\n", _section(name, group, context)]
    parts += [_section(path, command, its_context) for path, command, its_context in commands]
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> list[tuple[str, click.Command, click.Context]]:
    """All commands below a group, in its order, with the words that call each."""
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(f"{context.command_path} lists {name} and has no such command")
        own = click.Context(command, info_name=name, parent=context)
        found.append((own.command_path, command, own))
        if isinstance(command, click.Group):
            found += _commands(command, own)
    return found


def _section(path: str, command: click.Command, context: click.Context) -> str:
    """Heading, usage, description and options of a command."""
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    lines = [f"## {path}", "", "```text", usage, "```", "", _prose(command.help or "")]
    rows = [_row(option, context) for option in command.params if isinstance(option, click.Option)]
    if rows:
        lines += ["", "| option | default | meaning |", "|---|---|---|", *rows]
    if command.epilog:
        lines += ["", _prose(command.epilog)]
    return "\n".join(lines) + "\n"


def _row(option: click.Option, context: click.Context) -> str:
    """The line of an option in the table of its command."""
    kind, names, meaning = option.type, ", ".join(option.opts), [option.help or ""]
    if isinstance(kind, click.IntRange | click.FloatRange):
        names, meaning = f"{names} {option.metavar or 'N'}", [*meaning, _range(kind)]
    elif not option.is_flag:
        names = f"{names} {option.make_metavar(context)}"
    if option.required:
        meaning.append("Required.")
    default = option.get_default(context, call=False)
    has_default = isinstance(default, str | int | float) and default is not False and default != ""
    shown = f"`{default}`" if has_default else ""
    return f"| {_code(names)} | {shown} | {_escaped(' '.join(part for part in meaning if part))} |"


def _range(kind: click.IntRange | click.FloatRange) -> str:
    """The values that a number may have, as a sentence."""
    if kind.min is not None and kind.max is not None:
        return f"{'Above ' if kind.min_open else ''}{kind.min} to {kind.max}."
    if kind.min is not None:
        return f"Above {kind.min}." if kind.min_open else f"{kind.min} or more."
    return f"At most {kind.max}."


def _first_line(command: click.Command) -> str:
    return _escaped((command.help or "").strip().splitlines()[0])


def _prose(text: str) -> str:
    """A docstring's paragraphs, each on its own line."""
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return "\n\n".join(paragraphs)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(cli), encoding="utf-8")
