"""What is inside, which faces bound it, and the distances that follow."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.surfaces import Arrays, as_soup, box, house, klein_bottle, moebius_strip, torus, with_reversed
from support.surfaces import joined as together

from meshcodec.geometry.normalize import fit_cube
from meshcodec.geometry.signed_distance import (
    SHEET_HALF_THICKNESS,
    FaceClasses,
    FaceKind,
    TargetField,
    classify,
)
from meshcodec.geometry.winding import winding_number


def ball(subdivisions: int = 3, radius: float = 1.0) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return mesh


def classified(mesh: trimesh.Trimesh) -> FaceClasses:
    return classify(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def fine_box(low: tuple[float, float, float], high: tuple[float, float, float]) -> trimesh.Trimesh:
    """A box in faces of edges below 0.1."""
    mesh: trimesh.Trimesh = trimesh.creation.box(bounds=[low, high]).subdivide_to_size(0.1)
    return mesh


def joined(one: trimesh.Trimesh, other: trimesh.Trimesh) -> FaceClasses:
    """The faces of both, those of the first mesh first."""
    vertices = np.concatenate([one.vertices, other.vertices])
    return classify(vertices, np.concatenate([one.faces, other.faces + len(one.vertices)]))


def square(cells: int = 10) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The open square [-1, 1]² at z = 0."""
    line = np.linspace(-1, 1, cells + 1)
    x, y = np.meshgrid(line, line, indexing="ij")
    corner = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (corner[i : i + cells, j : j + cells].ravel() for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)))
    vertices = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def outward(surfaces: FaceClasses) -> NDArray[np.bool_]:
    """(F,) whether each normal of a star-shaped mesh about the origin points away from it."""
    centers = surfaces.vertices[surfaces.faces].mean(axis=1)
    out: NDArray[np.bool_] = np.einsum("fx,fx->f", centers, surfaces.normals) > 0
    return out


# ---- kinds


@pytest.mark.parametrize("flipped", [False, True])
def test_a_ball_is_solid_with_normals_to_the_outside(flipped: bool) -> None:
    mesh = ball()
    if flipped:
        mesh.invert()
    surfaces = classified(mesh)
    assert (surfaces.kinds == FaceKind.SOLID).all()
    assert outward(surfaces).all()
    np.testing.assert_allclose(np.linalg.norm(surfaces.normals, axis=1), 1, atol=1e-6)
    assert surfaces.areas.sum() == pytest.approx(mesh.area, rel=1e-6)


def test_an_open_square_is_a_sheet() -> None:
    surfaces = classify(*square())
    assert (surfaces.kinds == FaceKind.SHEET).all()
    assert surfaces.encodable.all()


def test_the_walls_of_a_thin_cup_are_sheets() -> None:
    """Walls 0.004 thick, a shell of them without a lid: too thin to hold an inside between the two tests."""
    outer = trimesh.creation.cylinder(radius=1, height=2, sections=48)
    inner = trimesh.creation.cylinder(radius=0.996, height=1.996, sections=48)
    inner.apply_translation([0, 0, 0.002])
    inner.invert()
    walls = []
    for part, top in ((outer, 1.0), (inner, 1.0)):
        part.update_faces(part.triangles_center[:, 2] < top - 1e-6)
        walls.append(part)
    surfaces = joined(*walls)
    assert (surfaces.kinds == FaceKind.SHEET).all()


def cap(height: float) -> trimesh.Trimesh:
    """The unit ball's surface below a height: a cup of a single wall."""
    mesh = ball(4)
    mesh.update_faces(mesh.triangles_center[:, 2] < height)
    mesh.remove_unreferenced_vertices()
    return mesh


def test_a_bowl_of_a_single_wall_is_a_sheet() -> None:
    """It has no lid, and a decode that filled it would have one."""
    surfaces = classified(cap(-0.6))
    assert (surfaces.kinds == FaceKind.SHEET).all()
    assert not surfaces.encloses.any()
    depth = TargetField(surfaces)(np.array([[0, 0, -0.7], [0, 0, -1.0]]))
    np.testing.assert_allclose(depth, [0.3 - SHEET_HALF_THICKNESS, -SHEET_HALF_THICKNESS], atol=0.003)


def test_a_ball_with_a_hole_is_solid() -> None:
    surfaces = classified(cap(0.9))
    assert (surfaces.kinds == FaceKind.SOLID).all()
    assert outward(surfaces).all()
    assert TargetField(surfaces)(np.array([[0, 0, -0.5]]))[0] == pytest.approx(-0.5, abs=0.01)


def test_an_open_part_does_not_disturb_a_closed_one() -> None:
    bowl, inner = cap(-0.6), ball(3, 0.1)
    inner.apply_translation([0, 0, -0.7])
    surfaces = joined(inner, bowl)
    assert (surfaces.kinds[: len(inner.faces)] == FaceKind.SOLID).all()
    assert (surfaces.kinds[len(inner.faces) :] == FaceKind.SHEET).all()
    np.testing.assert_array_equal(surfaces.encloses, surfaces.kinds == FaceKind.SOLID)


def test_a_cube_of_patches_that_share_no_edge_is_solid() -> None:
    """Six squares of their own vertices, one of them in finer triangles: together they enclose a cube."""
    cube = trimesh.creation.box((2.0, 2.0, 2.0))
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            on_side = cube.triangles_center[:, axis] * sign > 0.99
            part = cube.submesh([np.flatnonzero(on_side)], append=True)
            sides.append(part.subdivide() if axis == 0 else part)
    soup = cast(trimesh.Trimesh, trimesh.util.concatenate(sides))
    surfaces = classify(soup.vertices, soup.faces)
    assert surfaces.encloses.all()
    assert (surfaces.kinds == FaceKind.SOLID).all()


# ---- faces drawn both ways


def in_the_cube(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> FaceClasses:
    """The classes of a mesh of any size."""
    return classify(fit_cube(vertices).to_unit(vertices), faces)


def inside_volume(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
    """The volume where the target is negative, in the mesh's units, within a percent or two."""
    placement = fit_cube(vertices)
    points = np.random.default_rng(0).uniform(vertices.min(axis=0), vertices.max(axis=0), (20_000, 3))
    inside = TargetField(in_the_cube(vertices, faces))(placement.to_unit(points)) < 0
    return float(inside.mean() * np.ptp(vertices, axis=0).prod())


@pytest.mark.parametrize("drawn", [[], [10, 11, 12, 13], [0, 1], [0, 2, 4, 5, 7, 9, 10, 12, 15]])
def test_a_house_is_solid_however_its_faces_are_drawn(drawn: list[int]) -> None:
    vertices, faces = house()
    good = in_the_cube(vertices, faces)
    for shape in ((vertices, with_reversed(faces, drawn)), as_soup(vertices, with_reversed(faces, drawn))):
        surfaces = in_the_cube(*shape)
        assert (surfaces.kinds == FaceKind.SOLID).all()
        np.testing.assert_array_equal(surfaces.normals, good.normals)
        assert inside_volume(*shape) == pytest.approx(30, rel=0.02)
        points = np.random.default_rng(1).uniform(-1, 1, (500, 3))
        np.testing.assert_allclose(TargetField(surfaces)(points), TargetField(good)(points), atol=1e-6)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_faces_reversed_at_random_change_nothing(seed: int, share: float) -> None:
    vertices, faces = torus()
    rng = np.random.default_rng(seed)
    good, other = classify(vertices, faces), classify(vertices, with_reversed(faces, rng.random(576) < share))
    np.testing.assert_array_equal(other.kinds, good.kinds)
    np.testing.assert_allclose(other.normals, good.normals, atol=1e-6)
    points = rng.uniform(-1, 1, (200, 3))
    np.testing.assert_allclose(TargetField(other)(points), TargetField(good)(points), atol=1e-5)


def test_two_parts_of_which_one_is_turned_inside_out_are_both_solid() -> None:
    vertices, faces = together(box((-1, -1, -1), (-0.2, 1, 1)), box((0.2, -1, -1), (1, 1, 1)))
    surfaces = classify(vertices, with_reversed(faces, np.arange(24) < 12))
    assert (surfaces.kinds == FaceKind.SOLID).all()
    np.testing.assert_allclose(TargetField(surfaces)(np.array([[-0.6, 0, 0], [0.6, 0, 0]])), -0.4, atol=1e-6)


@pytest.mark.parametrize("drawn", [[], [13], [13, 3, 18, 19], [1, 2]])
def test_an_inner_box_that_faces_inwards_is_a_cavity(drawn: list[int]) -> None:
    """Too small to be told from what is hidden, it stays a cavity if some of its faces are reversed."""
    vertices, faces = together(box((-1, -1, -1), (1, 1, 1)), box((-0.15, -0.15, -0.15), (0.15, 0.15, 0.15)))
    hollow = with_reversed(faces, np.arange(24) >= 12)
    surfaces = classify(vertices, with_reversed(hollow, drawn))
    assert not surfaces.even_odd
    assert (surfaces.kinds == FaceKind.SOLID).all()
    distances = TargetField(surfaces)(np.array([[0, 0, 0], [0.6, 0.0, 0.0], [0, 0, 1.1]]))
    np.testing.assert_allclose(distances, [0.15, -0.4, 0.1], atol=1e-6)


def test_solids_that_overlap_are_not_cut_where_one_is_drawn_inwards() -> None:
    """A rod that stands in a box. Most of its faces are drawn inwards, but not all."""
    vertices, faces = together(box((-1, -0.5, -0.5), (0.5, 0.5, 0.5)), box((0.4, -0.1, -0.1), (1, 0.1, 0.1)))
    surfaces, good = (classify(vertices, with_reversed(faces, list(drawn))) for drawn in (range(14, 24), ()))
    assert not good.even_odd
    np.testing.assert_array_equal(surfaces.kinds, good.kinds)
    assert TargetField(surfaces)(np.array([[0.45, 0, 0]]))[0] == pytest.approx(-0.05, abs=1e-6)


def test_an_open_box_drawn_both_ways_is_as_one_drawn_one_way() -> None:
    vertices, faces = box((-1, -1, -1), (1, 1, 1))
    faces = faces[vertices[faces][:, :, 2].min(axis=1) < 1]
    assert len(faces) == 10
    good, other = classify(vertices, faces), classify(vertices, with_reversed(faces, [1, 4, 6]))
    np.testing.assert_array_equal(other.kinds, good.kinds)
    np.testing.assert_array_equal(other.encloses, good.encloses)


@pytest.mark.parametrize("mesh", [moebius_strip(), klein_bottle()], ids=["Moebius strip", "Klein bottle"])
def test_a_surface_with_one_side_is_a_sheet_and_disturbs_no_solid(mesh: Arrays) -> None:
    surfaces = classify(*mesh)
    assert (surfaces.kinds == FaceKind.SHEET).all()
    assert not surfaces.encloses.any()
    vertices, faces = together(mesh, box((-0.1, -0.1, -1), (0.1, 0.1, -0.7)))
    surfaces = classify(vertices, faces)
    np.testing.assert_array_equal(surfaces.kinds == FaceKind.SOLID, np.arange(len(faces)) >= len(mesh[1]))


def test_fins_on_a_box_drawn_both_ways_leave_it_solid() -> None:
    fin = np.array([[0.5, 0.5, -0.5], [0.5, 0.5, 0.5], [1, 1, -0.5], [1, 1, 0.5]])
    vertices, faces = together(
        box((-1, -0.5, -0.5), (0.5, 0.5, 0.5)), (fin, np.array([[0, 1, 2], [1, 3, 2]]))
    )
    surfaces = classify(vertices, with_reversed(faces, [2, 5, 13]))
    np.testing.assert_array_equal(surfaces.kinds, [FaceKind.SOLID] * 12 + [FaceKind.SHEET] * 2)
    assert TargetField(surfaces)(np.array([[-0.25, 0, 0]]))[0] == pytest.approx(-0.5, abs=1e-6)


# ---- what is hidden


def test_the_overlap_of_two_solids_is_a_cavity_with_the_hidden_faces_around_it() -> None:
    left, right = fine_box((-1, -0.4, -0.4), (0.3, 0.4, 0.4)), fine_box((-0.3, -0.5, -0.3), (1, 0.3, 0.5))
    surfaces = joined(left, right)
    assert surfaces.even_odd
    centers = surfaces.vertices[surfaces.faces].mean(axis=1)
    margin = 0.1  # faces that cross the other box's surface may count as either
    for part, other in ((slice(0, len(left.faces)), right), (slice(len(left.faces), None), left)):
        inner = ((centers > other.bounds[0] + margin) & (centers < other.bounds[1] - margin)).all(axis=1)
        assert inner[part].sum() > 20
        assert (surfaces.kinds[part][inner[part]] == FaceKind.SOLID).all()
    # In the overlap, in the left box alone, in the right one alone, in neither.
    points = np.array([[0, -0.05, 0.05], [-0.7, 0, 0], [0.7, 0, 0.1], [0, 0.45, -0.45]])
    distances = TargetField(surfaces)(points)
    np.testing.assert_allclose(distances[:3], [0.3, -0.3, -0.3], atol=1e-5)
    assert distances[3] > 0


def test_a_ball_within_a_ball_is_a_cavity() -> None:
    inner, outer = ball(3, 0.4), ball(3)
    surfaces = joined(outer, inner)
    assert surfaces.even_odd
    assert surfaces.encodable.all()
    assert (surfaces.kinds == FaceKind.SOLID).all()
    normals, centers = surfaces.normals, surfaces.vertices[surfaces.faces].mean(axis=1)
    facing = np.einsum("fx,fx->f", normals, centers) > 0  # the cavity is outside, too
    np.testing.assert_array_equal(facing, np.arange(len(facing)) < len(outer.faces))
    distances = TargetField(surfaces)(np.array([[0, 0, 0], [0, 0, 0.4], [0, 0, 0.7], [0, 0, 1.0]]))
    np.testing.assert_allclose(distances, [0.4, 0, -0.3, 0], atol=0.01)


def test_between_solids_that_touch_there_is_a_slit() -> None:
    """Two boxes with a face in common, once for each of them and in other triangles."""
    left, right = fine_box((-1, -0.5, -0.5), (0, 0.5, 0.5)), fine_box((0, -0.5, -0.5), (1, 0.5, 0.5))
    right.vertices[:, 1] *= -1
    right.invert()
    surfaces = joined(left, right)
    assert surfaces.even_odd
    between = np.abs(surfaces.vertices[surfaces.faces][:, :, 0]).max(axis=1) < 1e-6
    assert (surfaces.kinds[between] == FaceKind.INTERIOR).all()
    assert (surfaces.kinds[~between] == FaceKind.SOLID).all()
    assert surfaces.encodable.all()
    depth = np.array([0.0, 0.005, 0.2])
    points = np.stack([depth, np.full(3, 0.03), np.full(3, 0.07)], axis=1)
    np.testing.assert_allclose(TargetField(surfaces)(points), SHEET_HALF_THICKNESS - depth, atol=1e-5)


def test_a_little_that_is_hidden_is_left_out() -> None:
    inner, outer = ball(2, 0.15), ball(3)
    surfaces = joined(outer, inner)
    assert not surfaces.even_odd
    assert (surfaces.kinds[: len(outer.faces)] == FaceKind.SOLID).all()
    assert (surfaces.kinds[len(outer.faces) :] == FaceKind.INTERIOR).all()
    np.testing.assert_array_equal(surfaces.encodable, surfaces.kinds == FaceKind.SOLID)
    points = np.array([[0, 0, 0.15], [0, 0, 0]])
    alone = TargetField(classified(outer))(points)
    np.testing.assert_allclose(TargetField(surfaces)(points), alone, atol=1e-6)


def test_what_is_hidden_close_to_what_shows_is_left_out() -> None:
    """A second skin 0.01 below the first: half of the area, and as good as encoded by the first."""
    surfaces = joined(ball(3), ball(3, 0.99))
    assert not surfaces.even_odd


# ---- large meshes


@pytest.mark.parametrize("shift", [0.3, 0.6])
def test_of_many_faces_some_stand_for_others(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two balls that overlap, and a sheet: nearly all faces are what they are when each is asked."""
    balls = together(*(ball_arrays(side * shift) for side in (-1, 1)))
    sheet = square(20)
    vertices, faces = together(balls, (sheet[0] * 0.5 + (0, 0, 0.9), sheet[1]))
    asked = []

    def counting(
        vertices: NDArray[np.float32], faces: NDArray[np.int32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        asked.append(len(points) * len(faces))
        return winding_number(vertices, faces, points)

    exact = classify(vertices, faces, counting)
    # The second time of the sheet alone, which does not enclose anything; in full it is of all but the sheet.
    assert len(asked) == 2
    assert asked[1] < asked[0] / 4
    in_full, begun = 2 * asked[0] - asked[1], sum(asked)
    monkeypatch.setattr("meshcodec.geometry.winding.LARGE", 1000)
    monkeypatch.setattr("meshcodec.geometry.winding.CELL", 1 / 8)
    large = classify(vertices, faces, counting)
    assert large.even_odd == exact.even_odd
    np.testing.assert_array_equal(large.encloses, exact.encloses)
    assert (large.kinds == exact.kinds).mean() > 0.995
    assert (large.normals == exact.normals).all(axis=1).mean() > 0.99
    assert sum(asked) - begun < in_full / 3


def ball_arrays(x: float) -> Arrays:
    mesh = ball(3, 0.6)
    return np.asarray(mesh.vertices) * (0.6, 1, 1) + (x, 0, 0), np.asarray(mesh.faces)


# ---- repeated faces


def test_repeated_faces_count_once() -> None:
    mesh = ball()
    again = np.concatenate([mesh.faces, mesh.faces[:, [1, 2, 0]], mesh.faces[:, ::-1]])
    surfaces = classify(np.asarray(mesh.vertices), again)
    np.testing.assert_array_equal(surfaces.faces, mesh.faces)
    assert (surfaces.kinds == FaceKind.SOLID).all()
    assert outward(surfaces).all()


@pytest.mark.slow
def test_coincident_shells_of_other_triangles_stay_a_shell() -> None:
    """Turned against each other their windings cancel: nothing is inside, and all faces are sheets."""
    mesh = fine_box((-1, -1, -1), (1, 1, 1))
    other = mesh.copy()
    other.vertices[:, 0] *= -1  # a mirror turns the triangles' orientation, too
    assert (joined(mesh, other).kinds == FaceKind.SHEET).all()


def test_faces_without_area_are_dropped_unless_there_are_no_others() -> None:
    mesh = ball(1)
    slivers = np.array([[0, 1, 1], [2, 2, 2]])
    surfaces = classify(np.asarray(mesh.vertices), np.concatenate([mesh.faces, slivers]))
    assert len(surfaces.faces) == len(mesh.faces)
    only = classify(np.asarray(mesh.vertices), slivers)
    assert len(only.faces) == 2
    assert np.isfinite(only.normals).all()


# ---- distances


@pytest.mark.slow
def test_the_distance_of_a_ball_is_the_analytic_one() -> None:
    mesh = ball(4)
    sagitta = 1 - np.linalg.norm(mesh.triangles_center, axis=1).min()  # how far faces lie within the sphere
    assert sagitta < 0.003
    points = np.random.default_rng(0).uniform(-1.05, 1.05, (2000, 3))
    analytic = np.linalg.norm(points, axis=1) - 1
    error = TargetField(classified(mesh))(points) - analytic
    assert error.max() < sagitta + 1e-5
    assert error.min() > -1e-5
    flipped = mesh.copy()
    flipped.invert()
    np.testing.assert_allclose(TargetField(classified(flipped))(points), error + analytic, atol=1e-6)


def test_a_sheet_has_a_thickness() -> None:
    field = TargetField(classify(*square()))
    heights = np.array([0, 0.002, SHEET_HALF_THICKNESS, 0.02, -0.5])
    points = np.stack([np.full(5, 0.03), np.full(5, 0.11), heights], axis=1)
    np.testing.assert_allclose(field(points), np.abs(heights) - SHEET_HALF_THICKNESS, atol=1e-6)


def test_solids_are_not_inflated_by_sheets() -> None:
    mesh = ball(3, 0.3)
    vertices, faces = square()
    together = np.concatenate([mesh.vertices, vertices + np.array([0, 0, 0.8])])
    surfaces = classify(together, np.concatenate([mesh.faces, faces + len(mesh.vertices)]))
    assert (surfaces.kinds[: len(mesh.faces)] == FaceKind.SOLID).all()
    assert (surfaces.kinds[len(mesh.faces) :] == FaceKind.SHEET).all()
    points = np.array([[0, 0, -0.3], [0, 0, 0], [0.5, 0.5, 0.8]])
    expected = [0, -0.3, -SHEET_HALF_THICKNESS]
    np.testing.assert_allclose(TargetField(surfaces)(points), expected, atol=0.004)


@pytest.mark.slow
def test_a_single_point() -> None:
    field = TargetField(classified(ball(4)))
    points = np.array([[0.0, 0.0, -0.5], [0.3, 0.1, 0.2]])
    np.testing.assert_array_equal(np.concatenate([field(p[None]) for p in points]), field(points))


def test_no_points_give_no_distances() -> None:
    surfaces = classified(ball(1))
    assert TargetField(surfaces)(np.zeros((0, 3))).shape == (0,)
    assert winding_number(surfaces.vertices, surfaces.faces, np.zeros((0, 3), np.float32)).shape == (0,)


def test_inside_a_thin_closed_plate_the_faces_are_near_not_the_rim() -> None:
    plate = trimesh.creation.box((2.0, 2.0, 0.006)).subdivide().subdivide().subdivide()
    field = TargetField(classify(plate.vertices, plate.faces))
    depth = np.array([0.0, 0.001, 0.002], dtype=np.float32)
    points = np.stack([np.zeros(3, np.float32), np.zeros(3, np.float32), depth], axis=1)
    # The nearest face is 0.003 - depth away and thickened outwards.
    assert field(points) == pytest.approx((0.003 - depth) - SHEET_HALF_THICKNESS, abs=1e-5)


def test_a_part_that_is_there_several_times_is_open_in_all_places() -> None:
    """Rings of a hose with gaps: of those in the middle the others close the ends, of the outer ones less."""
    sides = 32
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    circle = 0.25 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    vertices, faces = [], []
    this, following = np.arange(sides), (np.arange(sides) + 1) % sides
    for ring in range(12):
        low = -0.9 + 0.15 * ring
        vertices += [np.insert(circle, 0, x, axis=1) for x in (low, low + 0.085)]
        wall = np.concatenate(
            [
                np.stack([this, following, this + sides], 1),
                np.stack([following, following + sides, this + sides], 1),
            ]
        )
        faces.append(wall + 2 * sides * ring)
    classes = classify(np.concatenate(vertices), np.concatenate(faces))
    assert not classes.encloses.any()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "meshcodec.geometry.open_parts.ALIKE", 1.0
        )  # as if all of them had to be open by themselves
        assert classify(np.concatenate(vertices), np.concatenate(faces)).encloses.any()
