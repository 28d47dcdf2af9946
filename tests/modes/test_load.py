"""Meshes made ready to be encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.surfaces import as_soup

from meshcodec.api import Codec


def test_the_vertices_of_a_large_mesh_are_merged_and_its_file_is_the_same(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    soup = trimesh.Trimesh(*as_soup(np.asarray(ball.vertices), np.asarray(ball.faces)), process=False)
    codec = Codec("cpu", tiny_weights)
    data = codec.encode(soup, size=256, effort=0)
    assert len(codec.prepare(soup).mesh.vertices) == 960
    monkeypatch.setattr("meshcodec.modes.load.LARGE", 100)
    prepared = codec.prepare(soup)
    assert len(prepared.mesh.vertices) == 162
    np.testing.assert_array_equal(prepared.mesh.triangles, soup.triangles)
    assert len(soup.vertices) == 960
    assert codec.encode(soup, size=256, effort=0) == data
