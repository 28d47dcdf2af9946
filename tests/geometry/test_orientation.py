"""Faces of a part turned so that neighbours agree."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.surfaces import (
    Arrays,
    as_soup,
    box,
    grid_faces,
    house,
    joined,
    klein_bottle,
    moebius_strip,
    torus,
    with_reversed,
)

from meshcodec.geometry.components import Edges, connected_parts
from meshcodec.geometry.orientation import Orientation, agreeing_faces, orient
from meshcodec.geometry.triangles import positions_of


def turned(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Orientation:
    corners = positions_of(vertices)[faces]
    part = connected_parts(corners, len(vertices))[1][corners[:, 0]]
    return orient(corners, Edges.of(corners), part, vertices, faces)


def outward(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """The faces after they were turned."""
    return with_reversed(faces, turned(vertices, faces).reversed)


def volume(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
    """The signed volume of closed faces."""
    return float(np.linalg.det(vertices[faces]).sum() / 6)


def masks(count: int) -> st.SearchStrategy[NDArray[np.bool_]]:
    """Which of `count` faces to reverse: any share of them."""
    return st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 1)).map(
        lambda drawn: np.random.default_rng(drawn[0]).random(count) < drawn[1]
    )


# ---- what agrees


@pytest.mark.parametrize("inverted", [False, True])
def test_a_closed_mesh_that_agrees_stays_as_drawn(inverted: bool) -> None:
    vertices, faces = torus()
    found = turned(vertices, faces[:, ::-1] if inverted else faces)
    assert not found.reversed.any()
    assert not found.inward.any()
    assert found.orientable.all()


def test_parts_that_agree_each_in_itself_stay_as_drawn() -> None:
    vertices, faces = joined(box((0, 0, 0), (1, 1, 1)), box((2, 0, 0), (3, 1, 1)))
    assert not turned(vertices, with_reversed(faces, np.arange(24) < 12)).reversed.any()


def test_solids_that_share_an_edge_agree() -> None:
    """Its four faces pass the edge twice in each direction, however each of the boxes faces."""
    vertices, faces = joined(box((0, 0, 0), (1, 1, 1)), box((1, 1, 0), (2, 2, 1)))
    for inverted in (np.zeros(24, dtype=bool), np.arange(24) < 12):
        assert not turned(vertices, with_reversed(faces, inverted)).reversed.any()


# ---- what does not


def test_one_reversed_face_is_turned() -> None:
    vertices, faces = box((0, 0, 0), (1, 1, 1))
    np.testing.assert_array_equal(turned(vertices, with_reversed(faces, [7])).reversed, np.arange(12) == 7)


def test_the_reversed_roof_of_a_house_is_turned() -> None:
    vertices, faces = house()
    roof = np.arange(16) >= 10
    np.testing.assert_array_equal(turned(vertices, with_reversed(faces, roof)).reversed, roof)
    floor = np.arange(16) < 2
    np.testing.assert_array_equal(turned(vertices, with_reversed(faces, floor)).reversed, floor)


@given(masks(576))
@settings(deadline=None, max_examples=30)
def test_a_closed_part_drawn_both_ways_is_turned_outwards(reversed_faces: NDArray[np.bool_]) -> None:
    vertices, faces = torus()
    drawn = with_reversed(faces, reversed_faces)
    if 0 < reversed_faces.sum() < len(faces):
        found = turned(vertices, drawn)
        np.testing.assert_array_equal(found.reversed, reversed_faces)
        assert found.inward.all() == (volume(vertices, agreeing_faces(vertices, drawn)) < 0)
    else:
        np.testing.assert_array_equal(outward(vertices, drawn), drawn)


@given(masks(16))
@settings(deadline=None, max_examples=30)
def test_triangles_of_their_own_vertices_are_turned_the_same(reversed_faces: NDArray[np.bool_]) -> None:
    vertices, faces = house()
    faces = with_reversed(faces, reversed_faces)
    np.testing.assert_array_equal(
        turned(*as_soup(vertices, faces)).reversed, turned(vertices, faces).reversed
    )


def test_an_open_part_is_turned_as_most_of_its_area_was_drawn() -> None:
    line = np.linspace(-1, 1, 6)
    x, y = np.meshgrid(line, line, indexing="ij")
    vertices = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
    faces = grid_faces(6, 6)
    few = np.arange(len(faces)) < 20
    np.testing.assert_array_equal(turned(vertices, with_reversed(faces, few)).reversed, few)
    np.testing.assert_array_equal(turned(vertices, with_reversed(faces, ~few)).reversed, few)


def test_only_parts_that_disagree_are_turned() -> None:
    vertices, faces = joined(torus(), box((2, 0, 0), (3, 1, 1)))
    face = np.arange(len(faces))
    drawn = with_reversed(faces, (face % 2 == 0) | (face >= 576))
    np.testing.assert_array_equal(turned(vertices, drawn).reversed, (face % 2 == 0) & (face < 576))


def test_the_wall_of_a_cavity_is_noted() -> None:
    """Nothing but its place tells a cavity from a solid; so what faced inwards is said."""
    vertices, faces = box((0, 0, 0), (1, 1, 1))
    found = turned(vertices, with_reversed(faces, np.arange(12) != 3))
    np.testing.assert_array_equal(found.reversed, np.arange(12) != 3)
    assert found.inward.all()
    assert volume(vertices, agreeing_faces(vertices, with_reversed(faces, np.arange(12) != 3))) == -1


# ---- one side only


@pytest.mark.parametrize("mesh", [moebius_strip(), klein_bottle()], ids=["Moebius strip", "Klein bottle"])
def test_a_surface_with_one_side_cannot_be_turned(mesh: Arrays) -> None:
    vertices, faces = mesh
    together = joined((vertices, faces), box((2, 0, 0), (3, 1, 1)))
    found = turned(*together)
    np.testing.assert_array_equal(found.orientable, np.arange(len(together[1])) >= len(faces))
    assert not found.reversed.any()


# ---- edges of more than two faces


def divided_box() -> Arrays:
    """A box of two rooms with a wall between them, the last two faces: three faces at each of its edges."""
    x, y, z = np.meshgrid([0.0, 1.0, 2.5], [0.0, 1.0], [0.0, 1.0], indexing="ij")
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    rooms = []
    for k in (0, 4):
        quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
        rooms.append(np.array([[q[0], q[j], q[j + 1]] for q in quads for j in (1, 2)]) + k)
    left, right = rooms
    return vertices, np.concatenate([left[:2], left[4:], right[2:], left[2:4]])


@given(masks(20))
@settings(deadline=None, max_examples=30)
def test_around_a_wall_between_two_rooms_the_outer_faces_agree(reversed_faces: NDArray[np.bool_]) -> None:
    vertices, faces = divided_box()
    assert volume(vertices, faces[:-2]) == pytest.approx(2.5)
    reversed_faces[:2] = False, True  # the end of the first room disagrees in itself
    found = outward(vertices, with_reversed(faces, np.append(reversed_faces, [False, False])))
    assert volume(vertices, found[:-2]) == pytest.approx(2.5)


@given(masks(24))
@settings(deadline=None, max_examples=30)
def test_two_boxes_at_one_edge_are_both_turned_outwards(reversed_faces: NDArray[np.bool_]) -> None:
    vertices, faces = joined(box((0, 0, 0), (1, 1, 1)), box((1, 1, 0), (2, 2, 1)))
    reversed_faces[[0, 1, 12, 13]] = False, True, False, True
    found = turned(vertices, with_reversed(faces, reversed_faces))
    np.testing.assert_array_equal(found.reversed, reversed_faces)


def test_fins_do_not_turn_the_box_that_they_stand_on() -> None:
    vertices, faces = box((0, 0, 0), (1, 1, 1))
    fins = np.array([[1, 1, 0], [1, 1, 1], [2, 2, 0], [3, 1.5, 1], [1.5, 3, 1.0]])
    vertices, faces = joined((vertices, faces), (fins, np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])))
    for few in ([4], [4, 13], [5, 6, 12]):
        found = outward(vertices, with_reversed(faces, few))
        np.testing.assert_array_equal(found[:12], faces[:12])


@given(masks(18))
@settings(deadline=None, max_examples=30)
def test_a_roof_that_overhangs_is_turned_with_the_walls(reversed_faces: NDArray[np.bool_]) -> None:
    """A roof ends outside of the walls: at their upper edges it is inside, outside and wall that meet."""
    rim = [[-0.3, -0.3, 1], [2.3, -0.3, 1], [2.3, 2.3, 1], [-0.3, 2.3, 1]]
    top = [[0.0, 0, 1], [2, 0, 1], [2, 2, 1], [0, 2, 1]]
    ring = [[0, 1, 4], [1, 5, 4], [1, 2, 5], [2, 6, 5], [2, 3, 6], [3, 7, 6], [3, 0, 7], [0, 4, 7]]
    vertices, faces = joined(box((0, 0, 0), (2, 2, 1)), (np.array(rim + top), np.array(ring)))
    order = np.argsort(vertices[faces][:, :, 2].min(axis=1) == 1, kind="stable")  # the walls come first
    faces = faces[order]
    reversed_faces[:2] = False, True
    found = outward(vertices, with_reversed(faces, np.append(reversed_faces, [False, True])))
    closed = np.abs(vertices[faces] - 1).max(axis=(1, 2)) <= 1
    assert abs(volume(vertices, found[closed])) == pytest.approx(4)


def test_pieces_that_overlap_are_each_turned_outwards() -> None:
    part = trimesh.creation.icosphere(subdivisions=2)
    vertices, faces = joined((part.vertices, part.faces), (part.vertices + 0.3, part.faces))
    reversed_faces = np.random.default_rng(0).random(len(faces)) < 0.5
    found = turned(vertices, with_reversed(faces, reversed_faces))
    np.testing.assert_array_equal(found.reversed, reversed_faces)
