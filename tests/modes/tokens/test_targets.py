"""Query points and their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from meshcodec.api import Codec
from meshcodec.format.box import NO_AXES
from meshcodec.modes.tokens.targets import draw_queries


def test_the_unit_of_a_distance_is_its_length_in_the_mesh(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *_: NO_AXES)
    codec, sides = Codec("cpu", tiny_weights), np.array((4.0, 2.0, 1.0))
    prepared = codec.prepare(trimesh.creation.box(2 * sides))
    pool = draw_queries(prepared, np.zeros((0, 3)), 8000, np.random.default_rng(0))
    off = np.abs(pool.points)
    for axis, unit in enumerate((1.0, 0.5, 0.25)):
        others = np.delete(off, axis, axis=1).max(axis=1)
        beside = (np.abs(off[:, axis] - 1) < 0.04) & (others < 0.8)  # a face of the cube, but not its edges
        assert beside.sum() > 50
        assert np.isclose(pool.units[beside], unit).mean() > 0.95
