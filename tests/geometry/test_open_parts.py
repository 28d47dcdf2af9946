"""Pieces that enclose something together, and floors that enclose nothing, by what is inside in the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.surfaces import Arrays, box, grid_faces, house, joined, pot, quad, rooms, with_reversed

from meshcodec.geometry.normalize import fit_cube
from meshcodec.geometry.signed_distance import FaceClasses, FaceKind, TargetField, classify, turned_faces


def classified(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> FaceClasses:
    return classify(fit_cube(vertices).to_unit(vertices), faces)


def volume_inside(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
    """The volume that the target has inside, from 20 000 points of the bounding box."""
    field = TargetField(classified(vertices, faces))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (20_000, 3))
    return float((field(fit_cube(vertices).to_unit(points)) < 0).mean() * np.prod(high - low))


def inverted(mesh: Arrays, chosen: bool = True) -> Arrays:
    return mesh[0], mesh[1][:, ::-1] if chosen else mesh[1]


def six_grids(turned: set[int]) -> Arrays:
    """A box of 2 x 2 x 3 whose sides are grids of other cells, so that corners alone are shared."""
    x, y, z = np.diag([2.0, 2.0, 3.0])
    sides = [(0 * x, y, x), (z, x, y), (0 * x, x, z), (y, z, x), (0 * x, z, y), (x, y, z)]
    parts = []
    for number, (origin, along, across) in enumerate(sides):
        rows, columns = 2 + number, 3 + 3 * number % 5
        u, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
        points = origin + u.reshape(-1, 1) * along + v.reshape(-1, 1) * across
        parts.append(inverted((points, grid_faces(rows, columns)), number in turned))
    return joined(*parts)


def with_roof(overhang: float, turned: bool) -> Arrays:
    """The walls of a house under a roof of its own, which shares no edge with them; volume 30."""
    vertices, faces = house()
    centers = vertices[faces].mean(axis=1)
    slopes = (centers[:, 2] > 2) & (centers[:, 0] > 0) & (centers[:, 0] < 4)
    eaves = 2 - overhang / 1.5
    left, right, near, far = -overhang, 4 + overhang, -overhang, 3 + overhang
    front = [(left, near, eaves), (right, near, eaves), (right, 1.5, 3), (left, 1.5, 3)]
    back = [(left, 1.5, 3), (right, 1.5, 3), (right, far, eaves), (left, far, eaves)]
    return joined((vertices, faces[~slopes]), inverted(joined(quad(front), quad(back)), turned))


# ---- pieces that meet without sharing edges


@pytest.mark.parametrize("turned", [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize(("lid", "gap"), [(24, 0.0), (32, 1e-5)])
def test_a_lid_or_a_wall_that_is_inside_out_closes_its_pot(
    turned: tuple[int, ...], lid: int, gap: float
) -> None:
    pieces = [inverted(piece, number in turned) for number, piece in enumerate(pot(32, lid, gap))]
    vertices, faces = joined(*pieces)
    assert volume_inside(vertices, faces) == pytest.approx(32 * np.sin(2 * np.pi / 32), rel=0.02)
    assert (classified(vertices, faces).kinds == FaceKind.SOLID).all()


@settings(max_examples=12, deadline=None)
@given(st.sets(st.integers(0, 5)))
def test_sides_of_other_grids_close_a_box_however_they_are_drawn(turned: set[int]) -> None:
    vertices, faces = six_grids(turned)
    assert volume_inside(vertices, faces) == pytest.approx(12, rel=0.01)
    made = turned_faces(fit_cube(vertices).to_unit(vertices), faces)
    a, b, c = (vertices[corner] for corner in made.T)
    # As drawn where nothing disagrees, and that may be inside out; else outwards.
    expected = -12 if len(turned) == 6 else 12
    assert np.einsum("fx,fx->", a, np.cross(b, c)) / 6 == pytest.approx(expected)


@pytest.mark.parametrize("overhang", [0.02, 0.3, 0.5])
@pytest.mark.parametrize("turned", [False, True])
def test_a_roof_that_is_inside_out_covers_its_house(overhang: float, turned: bool) -> None:
    assert volume_inside(*with_roof(overhang, turned)) == pytest.approx(30, rel=0.03)


def test_sheets_by_themselves_stay_as_they_were_drawn() -> None:
    """Three leaves, of which each is as far from enclosing anything however it is turned."""
    leaves = [quad([(x, 0, 0), (x + 1, 0, 0), (x + 1, 1, x / 9), (x, 1, x / 9)]) for x in (0.0, 3.0, 6.0)]
    vertices, faces = joined(leaves[0], inverted(leaves[1]), leaves[2])
    classes = classified(vertices, faces)
    np.testing.assert_array_equal(classes.faces, faces)
    assert (classes.kinds == FaceKind.SHEET).all()


# ---- floors and walls inside


@pytest.mark.parametrize("floors", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("inset", [0.0, 0.05])
def test_floors_of_one_face_leave_a_block_solid(floors: int, inset: float) -> None:
    low, high = inset, 4 - inset
    decks = [
        quad([(low, low, z), (high, low, z), (high, high, z), (low, high, z)]) for z in range(1, floors + 1)
    ]
    classes = classified(*joined(box((0, 0, 0), (4, 4, floors + 1)), *decks))
    assert classes.kinds.tolist() == 12 * [FaceKind.SOLID] + 2 * floors * [FaceKind.INTERIOR]
    assert classes.encloses.tolist() == 12 * [True] + 2 * floors * [False]


@pytest.mark.parametrize(("across", "deep"), [(2, 1), (3, 1), (2, 2), (3, 3)])
def test_a_block_of_rooms_is_solid_but_for_its_walls(across: int, deep: int) -> None:
    vertices, faces = rooms(across, deep)
    classes = classified(vertices, with_reversed(faces, np.arange(len(faces)) % 3 == 0))
    walls = 2 * ((across - 1) * deep + (deep - 1) * across)
    shell = len(faces) - walls
    assert classes.kinds.tolist() == shell * [FaceKind.SOLID] + walls * [FaceKind.INTERIOR]


def test_vertices_of_no_face_do_not_matter() -> None:
    """Numbers of parts that have no face stand between those of the others, and behind them."""
    vertices, faces = joined(house(), rooms(2, 2))
    vertices[10:, 0] += 10
    loose = np.array([[0.5, 0.5, 0.5], [11, 0.5, 0.5]])
    apart = np.concatenate([vertices[:5], loose, vertices[5:-3], loose + 0.25, vertices[-3:]])
    moved = faces + 2 * (faces >= 5) + 2 * (faces >= len(vertices) - 3)
    np.testing.assert_array_equal(apart[moved], vertices[faces])
    np.testing.assert_array_equal(classified(apart, moved).kinds, classified(vertices, faces).kinds)


def test_a_closed_hull_with_a_bowl_in_it_keeps_the_bowl_enclosing() -> None:
    """Half a ball, of which w tells something by itself, is no floor."""
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(-np.pi / 2, 1.2, 12), indexing="ij")
    ball = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], axis=-1)
    bowl = 0.6 * ball.reshape(-1, 3), grid_faces(25, 12)
    classes = classified(*joined(box((-1, -1, -1), (1, 1, 1)), bowl))
    assert classes.encloses.all()
