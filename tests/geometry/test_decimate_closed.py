"""Fewer faces: no more than asked for, closed whatever was folded together, near the mesh before."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from meshcodec.errors import UsageError
from meshcodec.geometry.decimate_closed import as_manifold, decimate, without_reversed
from meshcodec.geometry.triangles import Floats, Ints, merge_identical, without_degenerate
from meshcodec.metrics import fscore, is_closed


def arrays(mesh: trimesh.Trimesh) -> tuple[Floats, Ints]:
    return np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)


def merged(*meshes: trimesh.Trimesh) -> tuple[Floats, Ints]:
    """Meshes as one, with one vertex for each place."""
    vertices, faces, offset = list[Floats](), list[Ints](), 0
    for mesh in meshes:
        places, corners = arrays(mesh)
        vertices.append(places)
        faces.append(corners + offset)
        offset += len(places)
    return merge_identical(np.concatenate(vertices), np.concatenate(faces))


def edges_are_pairs(faces: Ints) -> bool:
    """Whether each side of a face has exactly one partner, in the opposite direction."""
    sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = {tuple(side) for side in sides.tolist()}
    return len(there) == len(sides) and all((b, a) in there for a, b in there)


@pytest.mark.parametrize("count", [4, 12, 100, 1000])
@pytest.mark.parametrize("center", [(0.0, 0.0, 0.0), (500123.0, 5412345.0, 320.0)])
def test_a_ball_has_as_many_faces_as_asked_for(count: int, center: tuple[float, ...]) -> None:
    vertices, faces = arrays(trimesh.creation.icosphere(subdivisions=4))
    found = decimate(vertices + center, faces, count)
    assert 0.9 * count <= len(found.faces) <= count
    assert edges_are_pairs(found.faces)
    mesh = trimesh.Trimesh(found.vertices - center, found.faces)
    assert mesh.is_watertight
    assert mesh.volume > 0
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 1, atol=1e-6)
    assert 0 < found.error < (0.5 if count < 100 else 0.05)


def test_a_torus_keeps_its_hole() -> None:
    torus = trimesh.creation.torus(1.0, 0.3, major_sections=96, minor_sections=48)
    found = decimate(*arrays(torus), 800)
    mesh = trimesh.Trimesh(found.vertices, found.faces)
    assert mesh.is_watertight
    assert mesh.euler_number == 0
    assert mesh.volume == pytest.approx(torus.volume, rel=0.03)
    assert fscore(torus, mesh, samples=20_000)[0] > 0.99


def test_a_mesh_with_few_faces_stays_as_it_is() -> None:
    vertices, faces = arrays(trimesh.creation.box())
    found = decimate(vertices, faces, 12)
    assert found.vertices is vertices
    assert found.faces is faces
    assert found.error == 0


def test_many_parts_are_dropped_where_there_are_more_than_faces() -> None:
    balls = []
    for x in range(40):
        ball = trimesh.creation.icosphere(subdivisions=1, radius=0.1 + 0.01 * x)
        ball.apply_translation((2 * x, 0, 0))
        balls.append(ball)
    vertices, faces = merged(*balls)
    found = decimate(vertices, faces, 100)
    assert 4 <= len(found.faces) <= 100
    assert is_closed((found.vertices, found.faces))


@pytest.mark.parametrize("count", [-1, 0, 3])
def test_fewer_faces_than_a_closed_mesh_has_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="are no closed mesh; ask for 4 or more"):
        decimate(*arrays(trimesh.creation.icosphere()), count)


def test_what_vanishes_is_refused() -> None:
    flat = trimesh.creation.box((1, 1, 1e-9)).subdivide().subdivide()
    with pytest.raises(UsageError, match="4 faces do not do for this mesh; ask for more"):
        decimate(*arrays(flat), 4)


@pytest.mark.parametrize("step", [(1.0, 1.0, 0.0), (1.0, 1.0, 1.0)])
def test_boxes_that_touch_come_apart(step: tuple[float, ...]) -> None:
    """In an edge, which then has four faces, or in a corner."""
    boxes = [trimesh.creation.box(), trimesh.creation.box()]
    boxes[1].apply_translation(step)
    vertices, faces = merged(*boxes)
    assert len(vertices) == 16 - (2 if step[2] == 0 else 1)
    v, f = as_manifold(vertices, faces)
    assert edges_are_pairs(f)
    mesh = trimesh.Trimesh(v, f)
    assert mesh.is_watertight
    assert len(v) == 16
    assert sorted(part.volume for part in mesh.split()) == pytest.approx([1, 1], abs=0.01)
    assert mesh.volume < 2  # each moved into itself


def test_faces_that_are_each_others_reverse_are_dropped() -> None:
    faces = np.array([[0, 1, 2], [1, 2, 3], [2, 1, 0], [0, 1, 2], [3, 1, 2], [4, 5, 6]])
    np.testing.assert_array_equal(without_reversed(faces), [[1, 2, 3], [0, 1, 2], [3, 1, 2], [4, 5, 6]])
    assert not len(without_reversed(np.array([[0, 1, 2], [1, 0, 2]])))
    assert not len(without_reversed(np.zeros((0, 3), dtype=np.int64)))


BALL = arrays(trimesh.creation.icosphere(subdivisions=1))


@given(st.lists(st.tuples(st.integers(0, 41), st.integers(0, 41)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_whatever_vertices_are_merged_it_is_closed(pairs: list[tuple[int, int]]) -> None:
    vertices, faces = BALL
    name: NDArray[np.int64] = np.arange(len(vertices))
    for a, b in pairs:
        name[name == name[a]] = name[b]
    v, f = as_manifold(vertices, name[faces])
    assert edges_are_pairs(f)
    assert not len(f) or is_closed((v, f))


def test_one_of_two_edges_with_the_same_ends_is_halved() -> None:
    """Of a ball whose sides are pinched together in two places, so that two of its edges become one."""
    vertices, faces = BALL
    name: NDArray[np.int64] = np.arange(len(vertices))
    name[11], name[38] = 28, 9
    folded = name[faces]
    v, f = as_manifold(vertices, folded)
    assert edges_are_pairs(f)
    assert is_closed((v, f))
    assert len(f) == len(without_reversed(without_degenerate(folded))) + 2


def test_open_meshes_keep_their_borders() -> None:
    plate = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    v, f = as_manifold(*arrays(plate))
    assert len(v) == 4
    assert len(f) == 2
