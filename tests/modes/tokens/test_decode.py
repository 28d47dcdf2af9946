"""Tokens to a mesh: the iso offset, and the grid that is chosen."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from support.paths import GOLDEN
from support.tiny import BALL_RADIUS

from meshcodec.api import Codec
from meshcodec.config import EXTENT, TRUNCATION
from meshcodec.format.container import ISO_OFFSET_UNIT, VatFile
from meshcodec.modes.tokens.decode import FACES, PILOT_CELLS, cells_of
from meshcodec.surface.extract import extract
from meshcodec.surface.marching_cubes import Extraction


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, BALL_RADIUS)
    return mesh


@pytest.mark.slow
def test_a_level_thickens(tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights)
    file = VatFile.from_bytes(codec.encode(ball(), size=128, effort=0))
    volumes = []
    for iso_offset in (-10, 0, 10):
        made = dataclasses.replace(file, iso_offset=iso_offset)
        mesh = codec.decode(made.to_bytes(), resolution=32)
        assert mesh.is_watertight
        volumes.append(mesh.volume)
    assert volumes[0] < volumes[1] < volumes[2]
    # Near the surface the field is a distance, so an iso offset of 10 moves it by about
    # 10 / 2000 of the radius.
    area, scale = ball().area, file.scale
    assert scale is not None
    assert (volumes[2] - volumes[0]) / area == pytest.approx(20 * ISO_OFFSET_UNIT * scale, rel=0.5)


@pytest.mark.parametrize(
    ("faces", "cells"), [(0, 160), (22_000, 160), (90_000, 80), (250_000, 48), (10**7, 16)]
)
def test_cells_are_chosen_by_the_faces_of_a_pilot(faces: int, cells: int) -> None:
    pilot = Extraction(np.zeros((3, 3)), np.zeros((faces, 3), dtype=np.int64), 0, 0)
    assert cells_of(pilot) == cells


@pytest.mark.parametrize("axes", range(4))
def test_a_mirrored_surface_does_not_have_more_faces(axes: int) -> None:
    """Spheres, halves of spheres, and so on: all have about as many faces."""
    mirrored = (axes > 0, axes > 1, axes > 2)
    at = torch.tensor([-EXTENT if mirror else 0.0 for mirror in mirrored])

    def field(points: torch.Tensor) -> torch.Tensor:
        away: torch.Tensor = torch.linalg.norm(points - at, dim=1) - 0.95
        return away.clamp(-TRUNCATION, TRUNCATION)

    find = partial(extract, field, lo=-EXTENT, hi=EXTENT, truncation=TRUNCATION, mirrored=mirrored)
    assert len(find(cells_of(find(PILOT_CELLS))).faces) < FACES


@pytest.mark.slow
def test_the_default_decode_is_closed_and_has_about_a_quarter_million_faces(shipped: Codec) -> None:
    """Two of the golden files whose decodes at 256 cells have 1.4 and 1.0 million."""
    for name in ("car-12a8363d-512-coded", "church-12a8363d-1k"):
        decoded = shipped.decode_detailed(GOLDEN / f"{name}.vat")
        assert decoded.mesh.is_watertight
        assert (
            0.8 * FACES < len(decoded.mesh.faces) < 1.15 * FACES
        )  # the pilot does not see the thinnest parts
        assert decoded.total == (decoded.resolution + 1) ** 3
        same = shipped.decode(GOLDEN / f"{name}.vat", decoded.resolution)
        assert np.array_equal(same.vertices, decoded.mesh.vertices)
