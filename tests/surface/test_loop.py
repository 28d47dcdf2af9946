"""Loop's rules on known answers, creases that are found exactly, and levels."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from meshcodec.format.grid_mesh import MOST_CREASE, SMOOTH, crease_angle
from meshcodec.metrics import is_closed
from meshcodec.surface.loop import (
    MOST_LEVELS,
    Floats,
    Ints,
    crease_edges,
    edges_of,
    levels_within,
    limit,
    refined,
    subdivide,
)

TETRAHEDRON = (
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]),
    np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]),
)


def cube() -> tuple[Floats, Ints]:
    box = trimesh.creation.box((2, 2, 2))
    return np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int64)


def fan(valence: int) -> tuple[Floats, Ints]:
    """A vertex at 0 and ``valence`` neighbours around it, in a plane, with a second ring that closes them."""
    angle = 2 * np.pi * np.arange(valence) / valence
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(valence)], axis=1)
    around = 1 + np.arange(valence)
    after = np.roll(around, -1)
    inner = np.stack([np.zeros(valence, dtype=np.int64), around, after], axis=1)
    outer = np.concatenate(
        [
            np.stack([around, around + valence, after], axis=1),
            np.stack([after, around + valence, after + valence], axis=1),
        ]
    )
    return np.concatenate([np.zeros((1, 3)), ring, 2 * ring]), np.concatenate([inner, outer])


def smooth(faces: Ints, count: int) -> np.ndarray:
    return edges_of(faces, count).border


# ---- the rules


def test_a_regular_vertex_keeps_five_eighths() -> None:
    _, faces = fan(6)
    heights = np.zeros((13, 3))
    heights[0, 2] = 16.0
    rule, _, _ = refined(faces, 13, smooth(faces, 13))
    moved = rule(heights)[:, 2]
    assert moved[0] == pytest.approx(10.0)  # 5/8
    assert moved[1:7] == pytest.approx(np.full(6, 16 * 0.0840932), rel=1e-5)  # they are of valence 5
    assert sorted(moved[13:].round(9))[-6:] == pytest.approx(6 * [6.0])  # 3/8 on the edges to it


def test_a_vertex_of_valence_three() -> None:
    vertices, faces = TETRAHEDRON
    rule, _, sharp = refined(faces, 4, smooth(faces, 4))
    weights = np.zeros((10, 4))
    np.add.at(weights, (rule.rows, rule.columns), rule.weights)
    assert weights[0] == pytest.approx([7 / 16, 3 / 16, 3 / 16, 3 / 16])
    assert weights[4] == pytest.approx([3 / 8, 3 / 8, 1 / 8, 1 / 8])
    assert not sharp.any()
    assert rule(vertices)[0] == pytest.approx(vertices[1:].sum(axis=0) * 3 / 16)


@pytest.mark.parametrize("valence", [3, 4, 5, 6, 7, 12])
def test_points_of_the_limit_stay_there(valence: int) -> None:
    """The limit of a vertex is the same before and after a level, which no other weights would give."""
    vertices, faces = fan(valence)
    vertices = vertices + np.random.default_rng(valence).normal(size=vertices.shape)
    count = len(vertices)
    rule, finer, sharp = refined(faces, count, smooth(faces, count))
    before = limit(faces, count, smooth(faces, count))(vertices)
    after = limit(finer, rule.points, sharp)(rule(vertices))
    assert after[:count] == pytest.approx(before)


def test_weights_add_up_to_one() -> None:
    _, faces = cube()
    sharp = smooth(faces, 8)
    sharp[::3] = True
    for rule in (refined(faces, 8, sharp)[0], limit(faces, 8, sharp)):
        assert np.bincount(rule.rows, rule.weights, rule.points) == pytest.approx(np.ones(rule.points))


def test_a_border_is_the_b_spline_of_its_own_vertices() -> None:
    """Moving what is inside does not move the border."""
    vertices, faces = fan(6)
    border = np.arange(7, 13)
    moved = vertices.copy()
    moved[:7, 2] += 5
    one, fine = subdivide(vertices, faces, smooth(faces, 13), 2)
    other, _ = subdivide(moved, faces, smooth(faces, 13), 2)
    edges = edges_of(fine, len(one))
    on_border = np.unique(edges.ends[edges.border])
    assert len(on_border) == 4 * len(border)
    assert other[on_border] == pytest.approx(one[on_border])
    # A vertex of a regular hexagon of radius 2 has two neighbours at half its distance along its axis.
    assert np.linalg.norm(one[border], axis=1) == pytest.approx(2 * (2 / 3 + 1 / 3 * 1 / 2))


def test_a_cube_of_creases_stays_a_cube() -> None:
    vertices, faces = cube()
    sharp = np.ones(len(edges_of(faces, 8).ends), dtype=bool)
    points, fine = subdivide(vertices, faces, sharp, 3)
    assert points[:8] == pytest.approx(vertices)
    assert np.abs(points).max(axis=1) == pytest.approx(np.ones(len(points)))
    assert len(fine) == 12 * 4**3
    assert is_closed((points, fine))


def test_a_crease_that_ends_is_smooth_there() -> None:
    _, faces = fan(6)
    edges = edges_of(faces, 13)
    sharp = edges.border
    sharp[(edges.ends == [0, 1]).all(axis=1)] = True
    heights = np.zeros((13, 3))
    heights[0, 2] = 16.0
    rule, _, _ = refined(faces, 13, sharp)
    assert rule(heights)[0, 2] == pytest.approx(10.0)


def test_a_sphere_from_an_icosahedron() -> None:
    ball = trimesh.creation.icosahedron()
    faces = np.asarray(ball.faces, dtype=np.int64)
    points, fine = subdivide(np.asarray(ball.vertices), faces, smooth(faces, 12), 4)
    radius = np.linalg.norm(points, axis=1)
    assert radius.max() / radius.min() < 1.03
    assert is_closed((points, fine))


# ---- levels and faces


@pytest.mark.parametrize(("faces", "most", "levels"), [(10, 9, 0), (10, 40, 1), (10, 159, 1), (10, 160, 2)])
def test_levels_within_a_number_of_faces(faces: int, most: int, levels: int) -> None:
    assert levels_within(faces, most) == levels


def test_levels_have_a_bound() -> None:
    assert levels_within(1, 1 << 60) == MOST_LEVELS


def test_children_follow_their_parents() -> None:
    vertices, faces = cube()
    points, fine = subdivide(vertices, faces, np.ones(18, dtype=bool), 1)
    centers = points[fine].mean(axis=1).reshape(12, 4, 3).mean(axis=1)
    assert centers == pytest.approx(vertices[faces].mean(axis=1))


# ---- creases


def tent(height: int, half_width: int) -> tuple[Ints, Ints]:
    """Two triangles that share the edge 0, 1; their normals are 2 atan(height / half_width) apart."""
    return np.array([[0, 0, height], [9, 0, height], [4, half_width, 0], [4, -half_width, 0]]), np.array(
        [[0, 1, 2], [1, 0, 3]]
    )


def is_crease(positions: Ints, faces: Ints, crease: int) -> bool:
    edges = edges_of(faces, len(positions))
    return bool(crease_edges(positions, faces, edges, crease)[0])


@pytest.mark.parametrize("crease", range(2, MOST_CREASE + 1))
def test_an_edge_is_a_crease_from_its_angle_on(crease: int) -> None:
    half = np.radians(crease_angle(crease)) / 2
    width = 900
    steep, shallow = int(np.tan(half) * width) + 8, int(np.tan(half) * width) - 8
    if steep > 4000:
        steep, shallow, width = 3000, 3000, int(3000 / np.tan(half))
        assert is_crease(*tent(3000, width - 8), crease)
        assert not is_crease(*tent(3000, width + 8), crease)
        return
    assert is_crease(*tent(steep, width), crease)
    assert not is_crease(*tent(shallow, width), crease)


def test_a_right_angle_is_exact() -> None:
    """90 degrees are no crease of 90 degrees: the comparison is strict, and nothing is rounded."""
    assert not is_crease(*tent(4095, 4095), 7)
    assert is_crease(*tent(4095, 4094), 7)


@given(flips=st.lists(st.booleans(), min_size=2, max_size=2), crease=st.integers(2, MOST_CREASE))
@settings(max_examples=20, deadline=None)
def test_the_orientation_of_faces_makes_no_crease(flips: list[bool], crease: int) -> None:
    positions, faces = tent(100, 300)
    turned = np.array([face[::-1] if flip else face for face, flip in zip(faces, flips, strict=True)])
    assert is_crease(positions, turned, crease) == is_crease(positions, faces, crease)


def test_only_edges_without_two_faces_are_creases_of_a_smooth_surface() -> None:
    positions, faces = tent(4000, 10)
    edges = edges_of(faces, 4)
    assert crease_edges(positions, faces, edges, SMOOTH).tolist() == [False, True, True, True, True]
    three = np.concatenate([faces, [[0, 1, 4]]])
    positions = np.concatenate([positions, [[4, 0, 0]]])
    assert is_crease(positions, three, SMOOTH)


def test_a_face_without_an_area_makes_no_crease() -> None:
    positions = np.array([[0, 0, 0], [8, 0, 0], [4, 0, 0], [4, 5, 0]])
    for crease in range(SMOOTH, MOST_CREASE + 1):
        assert not is_crease(positions, np.array([[0, 1, 2], [1, 0, 3]]), crease)


@pytest.mark.parametrize("crease", [0, -1, MOST_CREASE + 1])
def test_other_codes_are_refused(crease: int) -> None:
    positions, faces = tent(1, 1)
    with pytest.raises(ValueError, match="crease code"):
        is_crease(positions, faces, crease)
