"""The verb ``generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcodec.cli.group import cli
from meshcodec.cli.options import PATH, device_option, force_option, json_option, weights_option
from meshcodec.cli.streams import log_line, print_json, read_vat
from meshcodec.errors import UsageError, error_context, quote_name

if TYPE_CHECKING:
    pass


# ---- training


@cli.command()
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Where the files go.")
@click.option("-n", "count", type=click.IntRange(1, 9999), default=8, show_default=True, help="Shapes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--text", default="", metavar="WORDS", help="What they shall be, such as 'office chair'.")
@click.option("--image", type=PATH, metavar="PICTURE", help="Of such a thing, on a plain background.")
@click.option("--like", metavar="A.vat", help="Keep the box and the coarse scales of this file.")
@click.option("--keep-scales", type=click.IntRange(min=1), metavar="K", help="So many of them; 3 by default.")
@click.option("--guidance", type=click.FloatRange(min=0), help="How strictly words and pictures count.")
@click.option("--temperature", type=click.FloatRange(min=0.01), help="Below 1: safer, more alike.")
@click.option("--top-k", type=click.IntRange(0, 256), help="Draw from the K likeliest tokens; 0: from all.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw from the likeliest share.")
@click.option("--no-sheet", is_flag=True, help="Do not draw sheet.png.")
@weights_option
@device_option
@json_option
@force_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def generate(
    output: Path,
    count: int,
    seed: int,
    text: str,
    image: Path | None,
    like: str | None,
    keep_scales: int | None,
    guidance: float | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    no_sheet: bool,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Draw new shapes: DIR/0000.vat and so on, and sheet.png with a picture of each.

    Words and pictures say what they shall be like; with --like they are variations of a file.
    """
    if keep_scales is not None and like is None:
        raise UsageError("--keep-scales is about a file", "give --like, too")
    given: dict[str, Any] = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    original = read_vat(like)[0] if like is not None else None
    from meshcodec.api import Codec
    from meshcodec.prior.generate import Generator, output_paths, write_shapes
    from meshcodec.prior.sampling import Sampling
    from meshcodec.prior.views import picture_view

    paths, picture = output_paths(output, count, not no_sheet, force)
    generator = Generator(Codec(device, weights))
    side = generator.prior.config.image_side
    view = picture_view(image, side) if image is not None else None
    known = None
    if original is not None:
        with error_context(str(like)):
            known = generator.known_of(original, keep_scales or 3)
    sampling = Sampling(**{name: value for name, value in given.items() if value is not None})
    shapes = generator.generate(count, seed, text, view, known, sampling)
    write_shapes(shapes, paths, picture)
    if as_json:
        print_json([{"file": str(path), "bytes": len(s.data)} for path, s in zip(paths, shapes, strict=True)])
    elif not quiet:
        log_line(f"{len(shapes)} shapes -> {quote_name(output)}")
