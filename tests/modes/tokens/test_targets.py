"""Query points and their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from meshcodec.api import Codec
from meshcodec.format.box import NO_AXES
from meshcodec.geometry.signed_distance import SHEET_HALF_THICKNESS, TargetField
from meshcodec.modes.tokens.targets import SHEET_IN_MESH, THICKEST_SHEET, draw_queries


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


def wave() -> trimesh.Trimesh:
    """An open sheet, wider than high: its box is stretched."""
    x, y = (side.ravel() for side in np.meshgrid(np.linspace(0, 4, 21), np.linspace(0, 3, 16), indexing="ij"))
    corner = (np.arange(20)[:, None] * 16 + np.arange(15)).ravel()
    a, b, c, d = corner, corner + 16, corner + 17, corner + 1
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return trimesh.Trimesh(np.stack([x, y, 0.4 * np.sin(x + y)], axis=1), faces, process=False)


def test_a_sheet_alone_is_as_thick_as_the_mesh_allows(tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights)
    beside, solid = wave(), trimesh.creation.icosphere(2)
    faces = np.concatenate([beside.faces, solid.faces + len(beside.vertices)])
    both = np.concatenate([beside.vertices, solid.vertices]), faces
    sheet, *others = (codec.prepare(m) for m in (beside, both, solid))
    pool = draw_queries(sheet, np.zeros((0, 3)), 4000, np.random.default_rng(0))
    half = np.minimum(SHEET_IN_MESH / pool.units, THICKEST_SHEET)
    assert (half == THICKEST_SHEET).any()
    assert (half < THICKEST_SHEET).any()
    apart = TargetField(sheet.classes)(pool.points) + SHEET_HALF_THICKNESS
    assert apart.min() < 0.001
    np.testing.assert_allclose(pool.distances, apart - half, rtol=0, atol=1e-6)
    for mesh in others:
        pool = draw_queries(mesh, np.zeros((0, 3)), 4000, np.random.default_rng(0))
        np.testing.assert_array_equal(pool.distances, TargetField(mesh.classes)(pool.points))
