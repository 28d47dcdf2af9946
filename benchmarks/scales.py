"""What each scale of the tokens says: IoU of the decode of every prefix, with that of all and with the mesh.

    python benchmarks/scales.py EVAL                     # the encoder's own tokens
    python benchmarks/scales.py EVAL --effort 4          # those of files of 4096 bytes, one byte each

Of each mesh below a folder the tokens up to and with each scale are decoded, and the points of the cube that
lie inside are compared: with those inside the decode of all tokens (the cross-scale IoU), and with those
inside the target of refinement, in which sheets have a thickness (the volume IoU). Points are drawn uniformly
in the cube, from a fixed seed. One thread; 59 meshes take a few minutes without refinement.
"""

from __future__ import annotations

import os
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"):
    os.environ[_name] = "1"

import click  # noqa: E402 - after the environment says one thread
import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from meshcodec.api import Codec  # noqa: E402
from meshcodec.config import EXTENT  # noqa: E402
from meshcodec.geometry.formats import MESH_ENDINGS  # noqa: E402
from meshcodec.geometry.signed_distance import SHEET_HALF_THICKNESS, TargetField  # noqa: E402
from meshcodec.modes.tokens.decode import token_field  # noqa: E402
from meshcodec.modes.tokens.prepare import PreparedMesh  # noqa: E402
from meshcodec.runtime.files import find_files  # noqa: E402

POINTS = 100_000
"""Points of the cube for each mesh."""
LARGEST = 4096
"""Bytes of a file with the tokens of all scales, one byte each."""
Inside = NDArray[np.bool_]


def tokens_of(codec: Codec, prepared: PreparedMesh, effort: int) -> bytes:
    """All tokens of a mesh: the encoder's own, or refined ones."""
    if effort:
        encoded = codec.encode_subject(prepared, LARGEST, effort, packing="bytes", mode="tokens")
        return codec.tokens(encoded.data).tobytes()
    quantizer = codec.model.quantizer
    with torch.no_grad():
        row = quantizer.to_tokens([quantizer.quantize(latents) for latents in prepared.latents])[0]
    return bytes(row.numpy().tobytes())


def iou(one: Inside, other: Inside) -> float:
    """Points inside both over points inside either; 1 where there are none."""
    either = int((one | other).sum())
    return float((one & other).sum()) / either if either else 1.0


def of_mesh(codec: Codec, path: Path, effort: int) -> NDArray[np.float64]:
    """(scales, 2) cross-scale IoU and volume IoU of the prefixes."""
    prepared = codec.prepare(path)
    tokens = tokens_of(codec, prepared, effort)
    points = np.random.default_rng(0).uniform(-EXTENT, EXTENT, (POINTS, 3)).astype(np.float32)
    target = TargetField(prepared.classes)(points, SHEET_HALF_THICKNESS) < 0
    engine, queries = codec.engine, torch.from_numpy(points)
    with torch.no_grad():
        inside = [
            token_field(engine, engine.encoding, tokens[:end])(queries).numpy() < 0
            for end in codec.config.scale_ends()
        ]
    return np.array([[iou(prefix, inside[-1]), iou(prefix, target)] for prefix in inside])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--effort", type=click.IntRange(0, 9), default=0, help="0: the encoder's own tokens.")
@click.option("--every", type=click.IntRange(min=1), default=1, help="Take one mesh of so many.")
def main(folder: Path, effort: int, every: int) -> None:
    """Print a line for each scale, means over the meshes below FOLDER."""
    codec = Codec("cpu")
    paths = find_files(folder, MESH_ENDINGS)[::every]
    found = np.array([of_mesh(codec, path, effort) for path in paths])
    click.echo(f"{len(paths)} meshes, model {codec.model_id}, effort {effort}\n")
    click.echo("| cells a side | tokens up to it | cross-scale IoU | volume IoU |\n|---|---|---|---|")
    rows = zip(codec.config.scale_sides, codec.config.scale_ends(), found.mean(axis=0), strict=True)
    for side, end, (across, volume) in rows:
        click.echo(f"| {side} | {end} | {100 * across:.1f} % | {100 * volume:.1f} % |")


if __name__ == "__main__":
    main()
