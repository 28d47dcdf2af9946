"""Meshes with fewer faces."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from support.report import SAMPLES, ball

from meshcodec.geometry.simplify import closest, simplify
from meshcodec.metrics import score


@pytest.mark.slow
def test_simplified_meshes_keep_their_shape() -> None:
    mesh = ball(5)
    v, f = simplify(mesh.vertices, mesh.faces, 600)
    assert 300 <= len(f) <= 600
    assert len(np.unique(f)) == len(v)
    assert score(mesh, (v, f), samples=SAMPLES).p95 < 0.03


@pytest.mark.slow
def test_many_small_parts_are_simplified_too() -> None:
    parts = [trimesh.creation.box((0.05,) * 3) for _ in range(400)]
    for k, part in enumerate(parts):
        part.apply_translation([k % 20 / 10, k // 20 / 10, 0])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + 8 * k for k, part in enumerate(parts)])
    _, f = simplify(vertices, faces, 300)
    assert 50 < len(f) <= 300


@pytest.mark.slow
def test_open_walls_are_not_eaten_away() -> None:
    wall = trimesh.creation.box((2, 2, 0)).subdivide_to_size(0.1)
    walls = [wall.copy() for _ in range(6)]
    for k, copy in enumerate(walls):
        copy.apply_translation([0, 0, k / 3])
    vertices = np.concatenate([copy.vertices for copy in walls])
    faces = np.concatenate([copy.faces + len(wall.vertices) * k for k, copy in enumerate(walls)])
    v, f = simplify(vertices, faces, 600)
    assert len(f) <= 600
    distances = closest(vertices, v, f)[0]
    assert np.quantile(distances, 0.95) < 0.2
