"""Meshes made ready for the mesh mode."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from meshcodec.errors import BadMeshError
from meshcodec.format.box import round_box
from meshcodec.modes.mesh.original import original_of


def ball(shift: float = 0.0, stretch: float = 1.0) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(4)
    mesh.vertices = np.asarray(mesh.vertices) * [3.0, 3.0 * stretch, 3.0]
    mesh.vertices = mesh.vertices + np.array([shift, -shift, 2 * shift])
    return mesh


def test_the_unit_frame_and_the_grid_lie_on_the_mesh() -> None:
    original = original_of(ball(5.0, 0.3), 10**6)
    assert original.center == pytest.approx((5, -5, 10))
    assert round_box(original.half_extents) == original.half_extents
    assert original.half_extents == pytest.approx((3, 0.9, 3), rel=0.03)
    assert np.abs(original.vertices).max() <= 1
    assert np.sort(original.to_world(original.vertices), axis=0) == pytest.approx(
        np.sort(np.asarray(ball(5.0, 0.3).vertices), axis=0)
    )
    grid = original.grid(7, original.mirrored)
    places = grid.to_grid(original.to_world(original.part(original.mirrored)[0]))
    assert (places > -1e-9).all()
    assert (places < grid.sides + 1e-9).all()


def test_a_symmetric_mesh_has_a_half_and_a_whole() -> None:
    original = original_of(ball(), 10**6)
    assert original.mirrored == (True, True, True)
    assert original.closed
    whole, half, two = (original.part(axes) for axes in ((False,) * 3, (True,) * 3, (True, True, False)))
    assert whole[1] is original.faces
    assert (half[0] >= 0).all()
    assert (two[0][:, :2] >= 0).all()
    assert two[0][:, 2].min() < -0.9
    assert len(half[1]) < len(two[1]) < len(whole[1])


def test_known_axes_are_taken() -> None:
    assert original_of(ball(), 10**6, (False, True, False)).mirrored == (False, True, False)


def test_very_many_faces_are_decimated() -> None:
    original = original_of(ball(), 1000)
    assert 900 <= len(original.faces) <= 1000
    assert original.mirrored == (True, True, True)
    assert original.closed


def test_a_flat_mesh_has_a_thin_grid() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    original = original_of((square, [[0, 1, 2], [0, 2, 3]]), 100)
    assert not original.closed
    assert original.grid(8, (False,) * 3).sides[2] <= 2


@pytest.mark.parametrize("faces", [[[0, 1, 1]], [[0, 0, 0]]])
def test_a_mesh_without_a_surface_is_refused(faces: list[list[int]]) -> None:
    with pytest.raises(BadMeshError):
        original_of((np.eye(3), faces), 100)


def test_how_sharp_a_mesh_is() -> None:
    assert original_of(ball(), 10**6).sharpness == 0.0
    box = trimesh.creation.box()  # 12 edges of 1, and 6 diagonals
    assert original_of(box, 10**6).sharpness == pytest.approx(12 / (12 + 6 * 2**0.5))
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]])
    assert original_of(sheet, 10**6).sharpness == 0.0


def test_faces_drawn_in_either_order_are_turned_as_a_solid_has_them() -> None:
    ball = trimesh.creation.icosphere(2)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64)
    mixed = faces.copy()
    mixed[::3] = mixed[::3, ::-1]
    turned = original_of((vertices, mixed), 60_000)
    drawn = original_of((vertices, faces), 60_000)
    assert turned.closed
    np.testing.assert_array_equal(turned.vertices, drawn.vertices)
    assert trimesh.Trimesh(turned.vertices, turned.faces, process=False).volume == pytest.approx(
        trimesh.Trimesh(drawn.vertices, drawn.faces, process=False).volume
    )


def test_a_mesh_that_agrees_stays_as_drawn() -> None:
    ball = trimesh.creation.icosphere(1)
    inverted = np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64)[:, ::-1]
    found = original_of(inverted, 60_000)
    assert trimesh.Trimesh(found.vertices, found.faces, process=False).volume < 0


@pytest.mark.parametrize("backwards", [False, True])
def test_faces_that_are_there_twice_are_there_once(backwards: bool) -> None:
    box = trimesh.creation.box((3.0, 2.0, 1.0))
    faces = np.asarray(box.faces, dtype=np.int64)
    again = faces[:, ::-1] if backwards else np.roll(faces, 1, axis=1)
    found = original_of((np.asarray(box.vertices), np.concatenate([faces, again])), 60_000)
    assert len(found.faces) == 12
    assert found.closed


def test_a_few_faces_that_are_there_twice_stay() -> None:
    """They count twice in what a mesh is measured by."""
    box = trimesh.creation.box((3.0, 2.0, 1.0))
    faces = np.asarray(box.faces, dtype=np.int64)
    found = original_of((np.asarray(box.vertices), np.concatenate([faces, faces[:2]])), 60_000)
    assert len(found.faces) == 14
