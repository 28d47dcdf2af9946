"""Tokens to a field, the field to a closed mesh, and a whole file to a mesh in its original frame."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from meshcodec.config import DEFAULT_RESOLUTION, EXTENT, TRUNCATION
from meshcodec.engine import Engine, Networks
from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format.box import Axes
from meshcodec.format.container import ISO_OFFSET_UNIT, VatFile
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.signed_distance import SHEET_HALF_THICKNESS
from meshcodec.kernels import BATCHES, field_of
from meshcodec.modes.result import Decoded
from meshcodec.runtime.clock import Clock
from meshcodec.surface.extract import extract, extract_dense
from meshcodec.surface.field import Field, OffsetField
from meshcodec.surface.grid import MAX_RESOLUTION, MIN_RESOLUTION
from meshcodec.surface.marching_cubes import Extraction
from meshcodec.surface.slits import Slits
from meshcodec.surface.small_components import without_small_components

SMALL_COMPONENT = 0.066
"""Extent, in the cube, up to which a component of the decode is an error of the field: four texels of a plane
(docs/experiments/speed.md, "Guesses in place of evaluations")."""
LIPSCHITZ_FACTOR = 0.75
"""Learned distance per true distance that the search counts on; a little short of 1, because no part that the
planes can hold hides between corners this near (docs/experiments/speed.md, "Points instead of blocks")."""
PILOT_CELLS = 48
"""Cells a side of the grid on which the faces of a surface are estimated."""
FACES = 250_000
"""Faces that a decode is given where no resolution is asked for, about (docs/experiments/decode.md)."""
MOST_CELLS = 160
"""Cells a side of the grid of such a decode, at most (docs/experiments/decode.md)."""
CELLS_STEP = 8
"""Steps in which its cells a side are chosen: the points between two of the coarsest lattice."""


@torch.no_grad()
def token_field(engine: Engine, networks: Networks, tokens: bytes) -> Field:
    """The field that tokens say: (n, 3) points of the cube to (n,) signed distances, not truncated."""
    model = networks.model
    row = torch.frombuffer(bytearray(tokens), dtype=torch.uint8)[None].to(engine.device)
    return field_of(model.field, model.planes(row)[0], engine.kernel)


def extract_surface(
    engine: Engine,
    field: Field,
    iso_offset: int,
    resolution: int | None,
    mirrored: Axes,
    dense: bool = False,
    narrow: bool = True,
) -> Extraction:
    """The surface of a field at an iso offset, in the cube, with narrow slits and no small components.

    Parameters
    ----------
    engine : on whose device the field is evaluated
    field : signed distances, not truncated
    iso_offset : iso offset in units of `meshcodec.format.container.ISO_OFFSET_UNIT`
    resolution : cells a side of the grid; None: `cells_of` the surface
    mirrored : axes whose lower side of the cube is a mirror
    dense : evaluate every point of the grid
    narrow : make slits narrow; what is one hangs on thresholds, which the last bits of a field may cross
    """
    find = partial(
        extract_dense if dense else partial(extract, lipschitz_factor=LIPSCHITZ_FACTOR),
        OffsetField(field, iso_offset),
        lo=-EXTENT,
        hi=EXTENT,
        truncation=TRUNCATION,
        batch=BATCHES[engine.kernel],
        device=engine.device,
        mirrored=mirrored,
    )
    slit = 2 * (SHEET_HALF_THICKNESS - iso_offset * ISO_OFFSET_UNIT)
    cells = resolution if resolution is not None else cells_of(find(PILOT_CELLS))
    move = Slits(slit, -EXTENT, mirrored) if narrow else None
    return without_small_components(find(cells, move=move), SMALL_COMPONENT)


def cells_of(pilot: Extraction) -> int:
    """Cells a side of the grid on which a surface has about `FACES` faces, given it on `PILOT_CELLS`: at most
    `MOST_CELLS`.

    A surface has four times the faces where the cells are half as long. Of a surface that the pilot does not
    meet nothing is known, so it is looked for on the finest grid.
    """
    wanted = PILOT_CELLS * math.sqrt(FACES / max(len(pilot.faces), 1))
    return max(min(CELLS_STEP * int(wanted / CELLS_STEP), MOST_CELLS), MIN_RESOLUTION)


def decode_tokens(
    engine: Engine,
    file: VatFile,
    resolution: int | None = DEFAULT_RESOLUTION,
    tokens: int | None = None,
    dense: bool = False,
) -> Decoded:
    """A parsed file to a closed mesh in the original frame.

    Parameters
    ----------
    engine : with the model that the file names
    file : header and payload
    resolution : cells a side of the grid, 16 to 512; it fills the mesh's box, across a mirror its half. None:
        as many as give about `FACES` faces, see `cells_of`
    tokens : use only this many of the file's tokens; all by default
    dense : evaluate the field at every grid point: slow, finds the tiniest parts too

    Raises
    ------
    CorruptFileError
        Tokens that do not decode, or to no surface, or a placement beyond float32.
    WeightsError
        The model that it names is not here.
    UsageError
        `resolution` or `tokens` out of range.
    """
    if resolution is not None and not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        remedy = f"choose {MIN_RESOLUTION} to {MAX_RESOLUTION}"
        raise UsageError(f"resolution {resolution} is out of range", remedy)
    networks = engine.open(file)
    if tokens is not None and not 1 <= tokens <= file.count:
        raise UsageError(f"--tokens {tokens} is out of range", f"the file holds {file.count} tokens")
    clock = Clock()
    with clock("code"):
        decoded_tokens = file.tokens(networks.entropy_model)[: tokens or file.count]

    def extracted() -> Extraction:
        with clock("weights"):
            networks.model  # noqa: B018 - loads it, so that its seconds are not those of the planes
        with clock("planes"):
            field = token_field(engine, networks, decoded_tokens)
        with clock("extract"):
            return extract_surface(engine, field, file.iso_offset, resolution, file.mirrored, dense)

    extraction = engine.or_on_cpu(extracted)
    if len(extraction.faces) == 0:
        raise CorruptFileError("its tokens decode to no surface", "encode the mesh again at a larger --size")
    vertices = BoxTransform(*file.box).to_world(extraction.vertices)
    if float(np.abs(vertices).max()) > float(np.finfo(np.float32).max):  # most mesh files hold float32
        raise CorruptFileError("its placement is beyond the range of float32", "encode the mesh again")
    surface = vertices, extraction.faces
    return Decoded(surface, extraction.evaluated, extraction.total, clock.seconds)
