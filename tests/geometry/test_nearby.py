"""Places on a mesh that are next to the closest."""

from __future__ import annotations

import numpy as np
import trimesh

from meshcodec.geometry.nearby import NearbyPlaces, morton_order, spread
from meshcodec.geometry.simplify import closest
from meshcodec.geometry.triangles import Floats, Ints


def rock() -> tuple[Floats, Ints]:
    """20 480 faces, with valleys."""
    ball = trimesh.creation.icosphere(5)
    v = np.asarray(ball.vertices)
    return v * (0.8 + 0.2 * np.sin(5 * v).sum(axis=1, keepdims=True) / 3), np.asarray(ball.faces)


def test_places_lie_on_their_faces_and_next_to_the_closest() -> None:
    vertices, faces = rock()
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    places, face = NearbyPlaces(vertices, faces)(points)
    exact, _ = closest(points, vertices, faces)
    found = np.linalg.norm(places - points, axis=1)
    assert (found > exact - 1e-9).all()
    assert np.mean(found > exact + 1e-3) < 0.02
    normals = np.cross(*(vertices[faces[face, k]] - vertices[faces[face, 0]] for k in (1, 2)))
    height = np.einsum("nd,nd->n", normals, places - vertices[faces[face, 0]])
    assert np.abs(height / np.linalg.norm(normals, axis=1)).max() < 1e-9


def test_all_regions_of_a_triangle() -> None:
    """Of one face the places are the closest ones, above it and beyond each of its edges and corners."""
    vertices, faces = np.array([[0, 0, 0], [1, 0, 0], [0.3, 0.8, 0.1]]), np.array([[0, 1, 2]])
    points = np.random.default_rng(0).uniform(-2, 2, (500, 3))
    places, face = NearbyPlaces(vertices, faces)(points)
    exact, there = closest(points, vertices, faces)
    assert np.abs(np.linalg.norm(places - points, axis=1) - exact).max() < 1e-6
    assert np.abs(places - there).max() < 1e-6
    assert not face.any()


def test_faces_without_an_area_are_left_out() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0.0]])
    places, face = NearbyPlaces(vertices, np.array([[0, 1, 2], [0, 1, 3]]))(np.array([[1.8, 0.0, 0.1]]))
    assert face.tolist() == [1]
    assert np.abs(places - [[1, 0, 0]]).max() < 1e-12


def test_neighbours_are_next_to_each_other() -> None:
    points = np.random.default_rng(0).random((4000, 3))
    order = morton_order(points)
    assert sorted(order) == list(range(4000))
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert steps.mean() < np.linalg.norm(np.diff(points, axis=0), axis=1).mean() / 5


def test_each_face_has_its_share_of_the_places() -> None:
    face, corners = spread(np.array([1.0, 0.0, 2.0, 5.0]), 800, np.random.default_rng(0))
    assert np.abs(np.bincount(face, minlength=4) - [100, 0, 200, 500]).max() <= 1
    assert (corners >= 0).all()
    assert np.abs(corners.sum(axis=1) - 1).max() < 1e-12
    assert np.abs(corners.mean(axis=0) - 1 / 3).max() < 0.03
