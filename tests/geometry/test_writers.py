"""What is written far from the origin: in place, closed, and no larger than it needs to be."""

from __future__ import annotations

import io
import json
import struct
import warnings
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from meshcodec.errors import MeshWarning, UsageError
from meshcodec.geometry.io import as_written, export_mesh, load_mesh
from meshcodec.geometry.writers import float32_does
from meshcodec.metrics import is_closed

MAP = (500123.0, 5412345.0, 320.0)
"""A place in metres east and north, as surveyors have it."""
KEEPING = ("obj", "off", "ply", "glb")
"""Formats that keep vertices in place."""


def fine_ball(radius: float = 1.0, center: Any = (0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    """A ball with vertices a hundred thousandth of its radius apart, as marching cubes makes them."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    vertices, faces = np.array(ball.vertices), np.array(ball.faces)
    # The first face gets a small one in its middle.
    a, b, c = faces[0]
    middle = vertices[[a, b, c]].mean(axis=0)
    inner = middle + 1e-4 * (vertices[[a, b, c]] - middle)
    n = len(vertices)
    ring = [[a, b, n + 1], [a, n + 1, n], [b, c, n + 2], [b, n + 2, n + 1], [c, a, n], [c, n, n + 2]]
    faces = np.vstack([faces[1:], ring, [[n, n + 1, n + 2]]])
    mesh = trimesh.Trimesh(np.vstack([vertices, inner]) + np.asarray(center), faces, process=False)
    assert is_closed(mesh)
    return mesh


def back(data: bytes, kind: str) -> trimesh.Trimesh:
    return load_mesh(io.BytesIO(data), kind)


@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize(
    "center", [(0, 0, 0), (100, 0, 0), (0, 1e4, 0), MAP, (-1e6, 0, 1e6), (1e7, -1e7, 1e7)]
)
@pytest.mark.parametrize("radius", [1.0, 0.5, 0.25, 0.005])
def test_a_mesh_is_written_in_place_and_closed(kind: str, center: Any, radius: float) -> None:
    mesh = fine_ball(radius, center)
    data = export_mesh(mesh, kind)
    found = back(data, kind)
    assert is_closed(found)
    np.testing.assert_allclose(found.bounds, mesh.bounds, rtol=0, atol=2e-6 * radius)
    np.testing.assert_allclose(found.extents, mesh.extents, rtol=0, atol=2e-6 * radius)
    others = trimesh.load(io.BytesIO(data), file_type=kind, force="mesh")
    assert isinstance(others, trimesh.Trimesh)
    assert others.is_watertight
    np.testing.assert_allclose(others.bounds, mesh.bounds, rtol=0, atol=2e-6 * radius)


def test_near_the_origin_files_are_small() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.apply_translation((2, 1, 0))
    assert b"property float x" in export_mesh(mesh, "ply")
    bare = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    for kind in ("ply", "glb", "stl"):
        assert export_mesh(mesh, kind) == bare.export(file_type=kind)
    words = export_mesh(mesh, "obj").split()
    assert max(len(word.lstrip(b"-0.").replace(b".", b"").partition(b"e")[0]) for word in words) <= 9


def test_far_away_each_format_has_what_it_needs() -> None:
    mesh = fine_ball(1.0, MAP)
    assert b"property double x" in export_mesh(mesh, "ply")
    data = export_mesh(mesh, "glb")
    (length,) = struct.unpack_from("<I", data, 12)
    tree = json.loads(data[20 : 20 + length])
    (node,) = [node for node in tree["nodes"] if "mesh" in node]
    np.testing.assert_allclose(node["translation"], MAP, rtol=0, atol=1e-6)
    assert "matrix" not in node
    (accessor,) = [a for a in tree["accessors"] if a["type"] == "VEC3"]
    np.testing.assert_allclose(accessor["max"], [1, 1, 1], rtol=0, atol=1e-6)


def test_stl_says_what_it_cannot_keep() -> None:
    said = r"STL has float32 only, which moves vertices by up to 0\.25 here, 0\.0012 of the longest side; PLY"
    with pytest.warns(MeshWarning, match=said):
        data = export_mesh(fine_ball(100.0, MAP), "stl")
    assert len(data) == 84 + 50 * (20 * 4**3 + 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in KEEPING:
            export_mesh(fine_ball(1.0, MAP), kind)
        export_mesh(fine_ball(), "stl")


@pytest.mark.parametrize(
    ("radius", "center", "said"),
    [
        (1.0, MAP, r"by up to 0\.24 here, 0\.12 of the longest side"),
        (0.5, (1e7, 0, 0), r"by up to 0\.5 here, 0\.5 of the longest side"),
        (0.5, (0, -1e12, 0), r"of the longest side"),
        (1e30, (0, 0, 1e39), r"by up to inf here, inf of the longest side"),
    ],
)
def test_no_stl_is_written_of_which_little_would_be_left(radius: float, center: Any, said: str) -> None:
    mesh = fine_ball()
    far = trimesh.Trimesh(np.asarray(mesh.vertices) * radius + np.array(center), mesh.faces, process=False)
    with pytest.raises(UsageError, match=f"^STL has float32 only, .*{said}; write PLY, OBJ, OFF or GLB"):
        export_mesh(far, "stl")
    for kind in ("obj", "off", "ply"):
        assert export_mesh(far, kind)


def test_one_point_far_away_is_no_stl() -> None:
    point = np.full((3, 3), 1e9 + 0.3)
    with pytest.raises(UsageError, match="and all are one point; write PLY"):
        export_mesh(trimesh.Trimesh(point, [[0, 1, 2]], process=False), "stl")


def test_what_merges_in_float32_needs_more_even_where_little_moves() -> None:
    apart = np.array([[4.0, 0, 0], [4.0 + 1e-7, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert not float32_does(apart)
    twice = np.array([[4.0, 0, 0], [4.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert float32_does(twice)  # they are one place already
    assert float32_does(np.array([[0.0, 0, 0], [-0.0, 0, 0], [1, 1, 1]]))
    assert float32_does(np.zeros((0, 3)))


@given(
    st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=3, max_size=12),
    st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    st.sampled_from(KEEPING),
)
@settings(max_examples=60, deadline=None)
def test_every_vertex_comes_back(points: list[tuple[float, float, float]], center: Any, kind: str) -> None:
    points = [*points, (0.0, 0.0, 1.5)]
    vertices = np.array([*points, (1.5, 0, 0), (0, 1.5, 0)]) + np.array(center)
    faces = np.array([[k, len(vertices) - 2, len(vertices) - 1] for k in range(len(points))])
    side = float(np.ptp(vertices, axis=0).max())
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    found = back(export_mesh(mesh, kind), kind)
    corners = np.asarray(found.vertices)[np.asarray(found.faces)]
    np.testing.assert_allclose(corners, vertices[faces], rtol=0, atol=1.01e-6 * side)


def test_as_written_is_what_a_reader_finds() -> None:
    far, near = fine_ball(1.0, MAP), fine_ball()
    np.testing.assert_array_equal(as_written(far).vertices, far.vertices)
    np.testing.assert_array_equal(as_written(near).vertices, near.vertices.astype(np.float32))
    np.testing.assert_array_equal(as_written(near).faces, near.faces)
