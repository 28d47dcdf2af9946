"""Tokens to a mesh: the iso offset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import trimesh
from support.tiny import BALL_RADIUS

from meshcodec.api import Codec
from meshcodec.format.container import ISO_OFFSET_UNIT, VatFile


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
