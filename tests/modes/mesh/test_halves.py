"""Meshes cut at their middle planes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import trimesh

from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import is_closed, score
from meshcodec.modes.mesh.halves import upper_half


def mirrored(vertices: Floats, faces: Ints, axes: tuple[bool, bool, bool]) -> tuple[Floats, Ints]:
    for axis in np.flatnonzero(axes):
        signs = np.ones(3)
        signs[axis] = -1
        faces = np.concatenate([faces, faces[:, ::-1] + len(vertices)])
        vertices = np.concatenate([vertices, vertices * signs])
    return vertices, faces


def turned_ball() -> tuple[Floats, Ints]:
    """A ball whose edges cross the planes anywhere."""
    ball = trimesh.creation.icosphere(3)
    ball.apply_transform(trimesh.transformations.random_rotation_matrix(np.array([0.3, 0.7, 0.1])))
    return np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64)


@pytest.mark.parametrize("axes", list(product((False, True), repeat=3)))
def test_a_cut_ball_and_its_images_are_a_closed_ball(axes: tuple[bool, bool, bool]) -> None:
    ball = turned_ball()
    vertices, faces = upper_half(*ball, axes, 1e-3)
    assert (vertices[:, np.array(axes)] >= 0).all()
    whole = mirrored(vertices, faces, axes)
    assert is_closed(whole)
    assert trimesh.Trimesh(*whole).volume == pytest.approx(trimesh.Trimesh(*ball).volume, rel=1e-2)
    assert score(ball, whole, samples=2000).f[2] > 0.99


def test_what_lies_near_the_plane_is_in_it() -> None:
    box = trimesh.creation.box((2, 2, 2)).subdivide()
    shaken = np.asarray(box.vertices) + 1e-4 * np.random.default_rng(0).normal(size=(len(box.vertices), 3))
    vertices, faces = upper_half(shaken, np.asarray(box.faces, dtype=np.int64), (True, False, False), 1e-3)
    assert len(faces) == len(box.faces) // 2  # no sliver
    assert set(vertices[np.abs(vertices[:, 0]) < 0.5, 0]) == {0.0}


def test_a_wall_in_the_plane_is_left_out() -> None:
    wall = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0.0]])
    vertices, faces = upper_half(wall, np.array([[0, 1, 2], [0, 1, 3]]), (True, False, False), 1e-3)
    assert len(faces) == 1
    assert len(vertices) == 3


def test_a_mesh_below_the_plane_leaves_nothing() -> None:
    below = np.array([[-1, 0, 0], [-1, 1, 0], [-2, 0, 1.0]])
    assert len(upper_half(below, np.array([[0, 1, 2]]), (True, False, False), 1e-3)[1]) == 0
