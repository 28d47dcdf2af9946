"""Polygons as triangles: they cover what the outline encloses, once, and face the same way."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.solids import BOX, E, L, Outline, U, area_and_volume, outline_area, prism

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.polygons import Polygons, triangulate

MANY = 1_000_000
Floats = NDArray[np.float64]
Faces = NDArray[np.int64]

ARROW: Outline = ((0, 0), (4, 0), (1, 1), (0, 4))  # a quad whose third corner points inwards
KEYHOLE = [0, 1, 2, 3, 0, 4, 5, 6, 7, 4]
"""A square with a square hole: round the outside, along a slit, round the hole the other way, and back."""
WITH_HOLE: Outline = ((0, 0), (4, 0), (4, 4), (0, 4), (1, 1), (1, 3), (3, 3), (3, 1))


def solid(outline: Outline) -> Floats:
    return np.column_stack([np.array(outline, dtype=float), np.zeros(len(outline))])


def cut(vertices: Floats, *polygons: list[int]) -> Faces:
    lengths = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    return triangulate(vertices, lengths, np.array(list(chain(*polygons)), dtype=np.int64), MANY)


def areas(vertices: Floats, faces: Faces) -> Floats:
    """Signed areas of flat triangles, seen from above."""
    a, b, c = vertices[faces][:, :, :2].transpose(1, 0, 2)
    u, v = b - a, c - a
    return np.asarray((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2)


def turned(vertices: Floats, seed: int) -> Floats:
    """The same anywhere in space."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return np.asarray(vertices @ axes.T + 10 * rng.normal(size=3))


# ---- flat ones


@pytest.mark.parametrize(("outline", "area", "volume"), [(U, 184, 88), (E, 284, 148)])
@pytest.mark.parametrize("first", range(0, 12, 3))
def test_concave_prisms(outline: Outline, area: float, volume: float, first: int) -> None:
    """Whatever corner the outline begins with."""
    made = prism(outline, 2)
    polygons = [
        polygon[first % len(polygon) :] + polygon[: first % len(polygon)] for polygon in made.polygons
    ]
    faces = cut(made.vertices, *polygons)
    assert area_and_volume(made.vertices, faces) == pytest.approx((area, volume), rel=1e-12)
    assert area_and_volume(made.vertices, faces[:, ::-1]) == pytest.approx((area, -volume), rel=1e-12)


@pytest.mark.parametrize("first", range(4))
def test_a_quad_with_a_reflex_corner(first: int) -> None:
    ring = [*range(first, 4), *range(first)]
    vertices = solid(ARROW)
    found = areas(vertices, cut(vertices, ring))
    np.testing.assert_allclose(np.sort(found), [2, 2])
    np.testing.assert_allclose(np.sort(areas(vertices, cut(vertices, ring[::-1]))), [-2, -2])


@pytest.mark.parametrize("first", range(len(KEYHOLE)))
def test_a_hole_at_the_end_of_a_slit(first: int) -> None:
    vertices = solid(WITH_HOLE)
    for ring in (KEYHOLE, KEYHOLE[::-1]):
        found = areas(vertices, cut(vertices, ring[first:] + ring[:first]))
        assert len(found) == 8
        assert found.sum() == pytest.approx(12 if ring is KEYHOLE else -12)
        assert np.abs(found).sum() == pytest.approx(12)


def test_a_hole_at_the_end_of_a_slit_whose_vertices_stand_twice() -> None:
    """Some programs write the slit's corners as vertices of their own."""
    vertices = solid([WITH_HOLE[corner] for corner in KEYHOLE])
    found = areas(vertices, cut(vertices, list(range(10))))
    assert found.sum() == pytest.approx(12)
    assert np.abs(found).sum() == pytest.approx(12)


SEVEN_HOLES: Outline = (
    *((0, 0), (16, 12), (13, 18), (19, 17), (24, 27), (29, 30), (39, 35), (35, 40), (41, 41)),
    *((49, 46), (47, 52), (53, 51), (61, 58), (58, 63), (65, 63), (73, 69), (70, 74), (76, 75)),
    *((84, 81), (82, 87), (88, 86), (84, 81), (76, 75), (73, 69), (65, 63), (61, 58), (53, 51)),
    *((49, 46), (41, 41), (39, 35), (29, 30), (29, 24), (24, 27), (19, 17), (16, 12), (0, 0)),
    *((100, 0), (100, 100), (0, 100)),
)
"""A square with seven triangular holes on the way along its diagonal, which the cutter at its own epsilon
covers in part twice."""


@pytest.mark.parametrize("first", range(0, len(SEVEN_HOLES), 3))
def test_holes_that_are_narrow_for_their_outline(first: int) -> None:
    ring = [*range(first, len(SEVEN_HOLES)), *range(first)]
    expected = outline_area(np.array(SEVEN_HOLES, dtype=float))
    for seed in range(4):
        vertices = turned(solid(SEVEN_HOLES), seed) if seed else solid(SEVEN_HOLES)
        for turn in (ring, ring[::-1]):
            faces = cut(vertices, turn)
            area, _ = area_and_volume(vertices, faces)
            assert len(faces) == len(ring) - 2
            assert area == pytest.approx(abs(expected), rel=1e-9)


def test_two_holes_on_one_slit_each() -> None:
    outline = [
        (0, 0),
        (9, 0),
        (9, 4),
        (0, 4),
        *((1, 1), (1, 3), (3, 3), (3, 1)),
        *((5, 1), (5, 3), (7, 3), (7, 1)),
    ]
    vertices = solid(outline)
    found = areas(vertices, cut(vertices, [0, 4, 5, 6, 7, 4, 0, 1, 8, 9, 10, 11, 8, 1, 2, 3]))
    assert found.sum() == pytest.approx(28)
    assert np.abs(found).sum() == pytest.approx(28)


@given(
    radii=st.lists(st.floats(0.1, 1), min_size=5, max_size=40),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-30, 1, 1e30]),
)
@settings(max_examples=60, deadline=None)
def test_stars_anywhere_and_of_any_size(radii: list[float], seed: int, scale: float) -> None:
    """An outline round a point, whose area is known; concave at random."""
    angles = np.arange(len(radii)) * (2 * np.pi / len(radii))
    flat = np.array(radii)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    vertices = turned(np.column_stack([flat, np.zeros(len(radii))]), seed) * scale
    faces = cut(vertices, list(range(len(radii))))
    found, _ = area_and_volume(vertices / scale, faces)
    assert found == pytest.approx(outline_area(flat), rel=1e-9)
    assert len(faces) == len(radii) - 2


@given(teeth=st.lists(st.floats(0.1, 5), min_size=2, max_size=30), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_combs(teeth: list[float], seed: int) -> None:
    """Outlines that no single point sees all of."""
    outline = [(float(2 * len(teeth)), -1.0)]
    for place, height in reversed(list(enumerate(teeth))):
        outline += [(2 * place + 2, 0), (2 * place + 1, height), (2 * place, 0)]
    flat = np.array([*outline, (0.0, -1.0)])
    vertices = turned(np.column_stack([flat, np.zeros(len(flat))]), seed)
    found, _ = area_and_volume(vertices, cut(vertices, list(range(len(flat)))))
    assert found == pytest.approx(outline_area(flat), rel=1e-9)


def test_map_coordinates() -> None:
    made = prism(E, 2)
    vertices = made.vertices + np.array([500123, 5412345, 320])
    faces = cut(vertices, *made.polygons)
    np.testing.assert_array_equal(faces, cut(made.vertices, *made.polygons))


# ---- corners on straight sides, twice, or without an area


def test_every_corner_of_a_straight_side_is_used() -> None:
    """The neighbour has it too; without it there would be a crack. No triangle is without area."""
    side = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]
    for outline in (
        [*side, (4, 2), (0, 2)],
        [*side, (4, 2), (2, 2), (0, 2)],
        [*side[:3], (2, 2)],
        [*side, (2, 1)],
    ):
        vertices = solid(outline)
        for first in range(len(outline)):
            ring = [*range(first, len(outline)), *range(first)]
            faces = cut(vertices, ring)
            assert set(faces.ravel().tolist()) == set(ring)
            found = areas(vertices, faces)
            assert (found > 1e-9).all()
            assert found.sum() == pytest.approx(outline_area(np.array(outline, dtype=float)))


def test_corners_that_are_named_twice() -> None:
    vertices = solid(U)
    once = cut(vertices, list(range(8)))
    np.testing.assert_array_equal(cut(vertices, [0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 7]), once)
    np.testing.assert_array_equal(cut(vertices, [0, 1, 2, 3, 4, 5, 6, 7, 0]), once)
    np.testing.assert_array_equal(cut(vertices, [0, 1, 1, 2]), [[0, 1, 2]])
    assert len(cut(vertices, [0, 1, 0, 1], [2, 2, 2, 2, 2])) <= 2


def test_polygons_without_an_area_do_no_harm() -> None:
    vertices = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4], [0, 0, 0.0]])
    made = prism(U, 2)
    faces = cut(
        np.concatenate([made.vertices, vertices]), *made.polygons, [16, 17, 18, 19, 20], [16, 21, 16, 21]
    )
    assert area_and_volume(np.concatenate([made.vertices, vertices]), faces) == pytest.approx((184, 88))


@pytest.mark.parametrize("ring", [[0, 2, 1, 3], [0, 2, 4, 1, 3], [0, 3, 1, 4, 2, 5]])
def test_outlines_that_cross_themselves_stay_what_they_name(ring: list[int]) -> None:
    vertices = solid([(0, 0), (4, 0), (5, 3), (2, 5), (-1, 3), (1, 1)])
    faces = cut(vertices, ring)
    assert len(faces) == len(ring) - 2
    assert set(faces.ravel().tolist()) == set(ring)


# ---- not flat


def test_a_bent_quad_is_cut_where_it_bends_less() -> None:
    """A roof along its ridge, whichever corner comes first."""
    vertices = np.array([[0, -1, 0], [0.3, 0, 1], [0, 1, 0], [-0.3, 0, 1.0]])
    for first in range(4):
        ring = [*range(first, 4), *range(first)]
        edges = [set(face) for face in cut(vertices, ring).tolist()]
        assert edges[0] & edges[1] == {1, 3}
    flat = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1e-5]])  # as flat as its digits allow
    np.testing.assert_array_equal(cut(flat, [0, 1, 2, 3]), [[0, 1, 2], [0, 2, 3]])


def test_a_warped_concave_polygon_keeps_to_its_outline() -> None:
    made = solid(U)
    made[:, 2] = 0.05 * np.sin(np.arange(8))
    found = areas(made, cut(made, list(range(8))))
    assert (found > 0).all()
    assert found.sum() == pytest.approx(44)


# ---- twice, the other way round


def bent(seed: int) -> Floats:
    """Positions of a polygon of 4 to 12 corners round a point, as flat as they come, or far from it."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 13)))
    flat = rng.uniform(0.2, 1, len(angles))[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return turned(np.column_stack([flat, rng.uniform(-1, 1, len(angles)) * (seed % 3) / 5]), seed)


OUTLINES = {
    **{name: solid(outline) for name, outline in (("U", U), ("E", E), ("arrow", ARROW), ("L", L))},
    **{f"box {axis}": np.roll(solid(((0, 0), (2, 0), (2, 1), (0, 1))), axis, axis=1) for axis in range(3)},
    "hole": solid(tuple(WITH_HOLE[corner] for corner in KEYHOLE)),
    "seven holes": solid(SEVEN_HOLES),
    "spike": solid(((1, 1), (0, 0), (1, 1), (3, 1), (2, 4), (1, 3))),
    "crossing": solid(((0, 0), (4, 4), (4, 0), (0, 4), (2, 6))),
    **{f"bent {seed}": bent(seed) for seed in range(30)},
}


@pytest.mark.parametrize("name", OUTLINES)
def test_the_cut_is_the_same_from_any_corner_and_in_both_ways(name: str) -> None:
    """So that each triangle of a face with two sides is seen to be there twice."""
    vertices = OUTLINES[name]
    count = len(vertices)
    expected = set(map(in_order, cut(vertices, list(range(count))).tolist()))
    assert len(expected) == count - 2
    for first in range(count):
        ring = [*range(first, count), *range(first)]
        assert set(map(in_order, cut(vertices, ring).tolist())) == expected
        assert {in_order(face[::-1]) for face in cut(vertices, ring[::-1]).tolist()} == expected


def in_order(face: list[int]) -> tuple[int, ...]:
    """A triangle from its least corner on, the same way round."""
    first = face.index(min(face))
    return (*face[first:], *face[:first])


@pytest.mark.parametrize("outline", [BOX, L, U, E])
def test_every_face_of_a_solid_twice(outline: Outline) -> None:
    """Those that are turned round may begin with any corner."""
    made = prism(outline, 2)
    once = cut(made.vertices, *made.polygons)
    for first in range(4):
        again = [(p[first:] + p[:first])[::-1] for p in made.polygons]
        faces = cut(made.vertices, *made.polygons, *again)
        np.testing.assert_array_equal(faces[: len(once)], once)
        assert len(np.unique(np.sort(faces, axis=1), axis=0)) == len(once)
        area, volume = area_and_volume(made.vertices, faces[len(once) :])
        assert (area, -volume) == pytest.approx(area_and_volume(made.vertices, once))


def test_corners_that_lie_on_each_other_all_the_way() -> None:
    """Where no corner is lower than the others nothing is decided, and nothing takes for ever."""
    count = 20_000
    for vertices in (np.zeros((count, 3)), np.tile([[0.0, 0, 0], [1, 0, 0]], (count // 2, 1))):
        assert cut(vertices, list(range(count))).shape == (count - 2, 3)


# ---- order, mixtures and limits


def test_the_order_of_the_polygons_is_kept() -> None:
    vertices = solid(U)
    concave, quad, triangle = list(range(8)), [0, 1, 4, 5], [1, 2, 3]
    faces = cut(vertices, triangle, concave, [3], quad, [], triangle, concave, [1, 2])
    parts = [cut(vertices, polygon) for polygon in (triangle, concave, quad, triangle, concave)]
    np.testing.assert_array_equal(faces, np.concatenate(parts))


def test_polygons_that_are_collected_one_by_one() -> None:
    vertices = solid(U)
    polygons = Polygons(8)
    assert len(polygons.triangulated(vertices)) == 0
    for ring in ([0, 1], [0, 1, 2], list(range(8))):
        polygons.add(ring)
    assert len(polygons) == 2
    np.testing.assert_array_equal(polygons.triangulated(vertices), cut(vertices, [0, 1, 2], list(range(8))))
    polygons.add([0, 1, 2])
    with pytest.raises(BadMeshError, match="more than 8 faces"):
        polygons.add([0, 1, 2])


def test_triangles_are_left_as_they_are() -> None:
    """Whether they name vertices that there are is for the caller to say."""
    np.testing.assert_array_equal(cut(np.zeros((0, 3)), [7, 8, 9], [1, 1, 2]), [[7, 8, 9], [1, 1, 2]])
    assert cut(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("ring", [[0, 1, 2, 8], [0, 1, 2, 3, -1]])
def test_a_polygon_of_vertices_that_are_not_there_is_refused(ring: list[int]) -> None:
    with pytest.raises(BadMeshError, match="its faces name vertices that it does not have"):
        cut(solid(U), ring)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_polygon_with_a_vertex_at_infinity_keeps_it(bad: float) -> None:
    """So that the mesh is refused, and not read without it."""
    for outline in (U, ARROW):
        vertices = solid(outline)
        vertices[1, 1] = bad
        assert set(cut(vertices, list(range(len(outline)))).ravel().tolist()) == set(range(len(outline)))


def test_more_triangles_or_corners_than_allowed_are_refused() -> None:
    vertices = solid(U)
    with pytest.raises(BadMeshError, match="more than 5 faces"):
        triangulate(vertices, np.array([8]), np.arange(8), 5)
    angles = np.linspace(0, 2 * np.pi, 40_000, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
    assert len(cut(circle, list(range(40_000)))) == 39_998  # convex, however many corners
    circle[::2] *= 0.5
    with pytest.raises(BadMeshError, match="too many corners to triangulate them: one has 40000; export it"):
        cut(circle, list(range(40_000)))
