"""The verb ``generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from meshcodec.cli.options import PATH, Machine, Reply, gathered, machine_options, reply_options
from meshcodec.cli.streams import print_json, read_vat
from meshcodec.errors import UsageError, error_context, quote_name

if TYPE_CHECKING:
    from meshcodec.prior.sampling import Sampling


class Wish(NamedTuple):
    """``--text``, ``--image``, ``--like`` and ``--keep-scales``: what the shapes are to be like."""

    text: str
    image: Path | None
    like: str | None
    keep_scales: int | None


class Draw(NamedTuple):
    """``--guidance``, ``--temperature``, ``--top-k`` and ``--top-p``: how tokens are drawn."""

    guidance: float | None
    temperature: float | None
    top_k: int | None
    top_p: float | None

    def sampling(self) -> Sampling:
        """The same with defaults for what is None."""
        from meshcodec.prior.sampling import Sampling

        return Sampling(**{name: value for name, value in self._asdict().items() if value is not None})


_wish_options = gathered(
    "wish",
    Wish,
    click.option("--text", default="", metavar="WORDS", help="What they shall be, such as 'office chair'."),
    click.option(
        "--image", type=PATH, metavar="PICTURE", help="Picture of such a thing, on a plain background."
    ),
    click.option("--like", metavar="A.vat", help="Keep the box and the coarse scales of this file."),
    click.option(
        "--keep-scales", type=click.IntRange(min=1), metavar="K", help="So many of them; 3 by default."
    ),
)
_draw_options = gathered(
    "draw",
    Draw,
    click.option("--guidance", type=click.FloatRange(min=0), help="How strictly words and pictures count."),
    click.option("--temperature", type=click.FloatRange(min=0.01), help="Below 1: safer, more alike."),
    click.option(
        "--top-k", type=click.IntRange(0, 256), help="Draw from the K likeliest tokens; 0: from all."
    ),
    click.option(
        "--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw from the likeliest share."
    ),
)


@click.command()
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Where the files go.")
@click.option("-n", "count", type=click.IntRange(1, 9999), default=8, show_default=True, help="Shapes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_wish_options
@_draw_options
@click.option("--no-sheet", is_flag=True, help="Do not draw sheet.png.")
@machine_options
@reply_options()
def generate(
    output: Path,
    count: int,
    seed: int,
    wish: Wish,
    draw: Draw,
    no_sheet: bool,
    machine: Machine,
    reply: Reply,
) -> None:
    """Draw new shapes: DIR/0000.vat and so on, and sheet.png with a picture of each.

    Words and pictures say what they shall be like; with --like they are variations of a file.
    """
    if wish.keep_scales is not None and wish.like is None:
        raise UsageError("--keep-scales is about a file", "give --like, too")
    original = read_vat(wish.like)[0] if wish.like is not None else None
    from meshcodec.api import Codec
    from meshcodec.prior.generate import Generator, output_paths, write_shapes
    from meshcodec.prior.views import picture_view

    paths, picture = output_paths(output, count, not no_sheet, reply.force)
    generator = Generator(Codec(machine.device, machine.weights))
    side = generator.prior.config.image_side
    view = picture_view(wish.image, side) if wish.image is not None else None
    kept = None
    if original is not None:
        with error_context(str(wish.like)):
            kept = generator.conditioning_tokens(original, wish.keep_scales or 3)
    shapes = generator.generate(count, seed, wish.text, view, kept, draw.sampling())
    write_shapes(shapes, paths, picture)
    if reply.as_json:
        print_json([{"file": str(path), "bytes": len(s.data)} for path, s in zip(paths, shapes, strict=True)])
    else:
        reply.log(f"{len(shapes)} shapes -> {quote_name(output)}")
