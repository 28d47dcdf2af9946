"""What entropy coding saves: the bytes of files with the same tokens, one byte each and coded.

``python benchmarks/coding.py DIR`` encodes the meshes of a folder at effort 0 and prints, for the tokens of
each preset size, the mean size of both files, header and placement included.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from meshcodec.api import Codec
from meshcodec.errors import UsageError
from meshcodec.format.container import head_bytes
from meshcodec.format.short_header import SHORT_VERSION
from meshcodec.geometry.formats import MESH_ENDINGS
from meshcodec.runtime.files import find_files


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Compare both packings on the meshes below FOLDER."""
    codec = Codec("cpu")
    coder, model = codec.engine.encoding.entropy_model, codec.model
    if coder is None:
        raise UsageError("the default model has no coder", "train one with meshcodec train coder")
    paths = find_files(folder, MESH_ENDINGS)
    ends = codec.config.scale_ends()[4:]
    sizes: list[list[int]] = []
    for path in paths:
        latents = codec.prepare(path).latents
        with torch.no_grad():
            tokens = model.quantizer.to_tokens([model.quantizer.quantize(d) for d in latents])[0].numpy()
        sizes.append([len(coder.encode(tokens[:end].tobytes())) for end in ends])
    frame = head_bytes(SHORT_VERSION)
    click.echo(f"{len(paths)} meshes, model {codec.model_id}\n")
    click.echo("| tokens | bytes | coded | saved | least saved |\n|---|---|---|---|---|")
    for end, coded in zip(ends, np.array(sizes).T + frame, strict=True):
        plain = end + frame
        saved, least = 1 - coded.mean() / plain, 1 - coded.max() / plain
        click.echo(f"| {end} | {plain} | {coded.mean():.0f} | {100 * saved:.0f} % | {100 * least:.0f} % |")


if __name__ == "__main__":
    main()
