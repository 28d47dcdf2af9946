"""What owns a bounding box and is no part of the shape."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.surfaces import Arrays, as_soup, box, joined

from meshcodec.errors import OutlierWarning
from meshcodec.geometry import outliers
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.geometry.outliers import outlier_fault, without_stray
from meshcodec.geometry.triangles import face_areas

PART = box((0, 0, 0), (2, 3, 4))


def with_triangle(part: Arrays, *corners: tuple[float, float, float], at: int = 0) -> Arrays:
    """A part with one more triangle, of its own vertices, before the face `at`."""
    vertices, faces = joined(part, (np.array(corners, dtype=np.float64), np.array([[0, 1, 2]])))
    return vertices, np.insert(faces[:-1], at, faces[-1], axis=0)


def kept(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> int:
    return len(without_stray(vertices, faces))


# ---- faces without an area


@pytest.mark.parametrize(
    "corners",
    [
        [(100, 0, 0)] * 3,
        [(2, 3, 4), (2, 3, 4), (100, 50, 0)],
        [(0, 0, 0), (50, 25, 10), (100, 50, 20)],
        [(0, 0, 0), (-1e6, 1e6, 1e6), (-2e6, 2e6, 2e6)],
    ],
    ids=["one point", "two points", "a line", "a very long line"],
)
@pytest.mark.parametrize("at", [0, 5, 12])
def test_a_far_face_without_area_goes(corners: list[tuple[float, float, float]], at: int) -> None:
    for part in (PART, as_soup(*PART)):
        vertices, faces = with_triangle(part, *corners, at=at)
        np.testing.assert_array_equal(without_stray(vertices, faces), np.delete(faces, at, axis=0))


@pytest.mark.parametrize("digits", ["%.6g", "%.4f", "%.3f"])
def test_a_line_written_with_few_digits_goes(digits: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        way = rng.normal(size=3)
        begin = rng.random(3) * 2
        end = begin + 200 * way / np.linalg.norm(way)
        between = begin + (end - begin) * rng.random()
        corners = [tuple(float(digits % value) for value in point) for point in (begin, end, between)]
        assert kept(*with_triangle(PART, *corners)) == 12  # type: ignore[arg-type]


def test_a_needle_that_does_not_own_the_box_stays() -> None:
    assert kept(*with_triangle(PART, (2, 3, 4), (5, 3, 4), (3.5, 3, 4.00001))) == 13
    assert kept(*with_triangle(PART, (2, 3, 4), (50, 3, 4), (35, 3, 4.1))) == 13


def test_a_needle_that_is_part_of_a_surface_stays() -> None:
    pole = box((2.0, 1.0, 1.0), (200.0, 1.0005, 1.0005))
    assert kept(*joined(PART, pole)) == 24


def test_all_that_repeat_or_hang_on_them_go() -> None:
    mesh = PART
    for far in ((9, 9, 9), (9, 9, 9), (0, -70, 0), (500, 0, 0)):
        mesh = with_triangle(mesh, far, (0, 0, 0), far)
    chain = joined(
        mesh, (np.array([[9.0, 9, 9], [20, 20, 20], [31, 31, 31]]), np.array([[0, 1, 2], [2, 1, 2]]))
    )
    assert kept(*chain) == 12


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.integers(1, 7))
@settings(deadline=None, max_examples=50)
def test_a_line_goes_although_its_ends_were_rounded(seed: int, share: float, digits: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(0, 2, 3), rng.uniform(-1, 1, 3) * 10.0**digits
    middle = start + share * (end - start)
    far = (end < 0).any() or (end > (2, 3, 4)).any()
    for order in ((start, middle, end), (end, start, middle)):
        corners = [tuple(p) for p in np.array(order).astype(np.float32).tolist()]
        assert kept(*with_triangle(PART, *corners)) == (12 if far else 13)


def test_a_face_without_area_in_the_box_stays() -> None:
    """It may fill the gap at a vertex on another face's edge."""
    assert kept(*with_triangle(PART, (0, 0, 0), (1, 0, 0), (2, 0, 0))) == 13
    assert kept(*with_triangle(PART, (1, 1, 1), (1, 1, 1), (1, 1, 1))) == 13


@pytest.mark.parametrize("height", [1e-3, 1e-4])
def test_a_needle_is_a_face(height: float) -> None:
    """A facet as computer-aided design has them: 10 long and a thousandth or less high."""
    assert kept(*with_triangle(PART, (2, 0, 0), (12, 0, 0), (5, height, 0))) == 13


@pytest.mark.parametrize("origin", [(0.0, 0, 0), (500123, 5412345, 320)])
def test_small_faces_far_from_the_origin_are_faces(origin: tuple[float, float, float]) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    assert kept(ball.vertices + np.array(origin), ball.faces) == len(ball.faces)


def test_a_mesh_without_any_area_is_left_alone() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [9, 0, 0]])
    faces = np.array([[0, 1, 2], [1, 2, 3]])
    np.testing.assert_array_equal(without_stray(vertices, faces), faces)
    assert without_stray(vertices, faces[:0]).shape == (0, 3)


def test_a_far_face_without_area_leaves_no_trace_in_what_is_read() -> None:
    clean = as_soup(*box((0, 0, 0), (2, 3, 4)))
    line = [(0.1, 0.2, 0.3), (333.33, 100.1, 77.7), (666.56, 200.0, 155.1)]
    expected = load_mesh(trimesh.Trimesh(*clean, process=False))
    for corners in ([(900, 0, 0)] * 3, [(0, 0, 0), (0, 0, 0), (77, 77, 77)], line):
        mesh = trimesh.Trimesh(*with_triangle(clean, *corners, at=4), process=False)
        read = load_mesh(io.BytesIO(export_mesh(mesh, "stl")), "stl")
        np.testing.assert_array_equal(read.vertices, expected.vertices)
        np.testing.assert_array_equal(read.faces, expected.faces)


# ---- faces with an area, far away


def test_a_small_face_far_away_is_named() -> None:
    mesh = with_triangle(PART, (80, 0, 0), (80.1, 0, 0), (80, 0.1, 0))
    fault = outlier_fault(*mesh)
    assert fault is not None
    assert fault.startswith("1 of its 13 faces lie far away, out to (80.1, 0, 0): the others fill 5 % of its")
    with pytest.warns(OutlierWarning, match=r"^mesh: 1 of its 13 faces lie far away"):
        load_mesh(trimesh.Trimesh(*mesh, process=False))


def test_many_far_faces_of_next_to_no_area_are_counted() -> None:
    dust = [box((k, k, k), (k + 0.01, k + 0.01, k + 0.01)) for k in (90, 100, -50)]
    fault = outlier_fault(*joined(*dust, PART))
    assert fault is not None
    assert fault.startswith(
        "36 of its 48 faces lie far away, out to (100.01, 100, 100): the others fill 2.7 %"
    )


@pytest.mark.parametrize(
    "other",
    [
        box((30, 0, 0), (30.3, 0.3, 0.3)),  # has more than a thousandth of the area
        box((12, 0, 0), (12.01, 0.01, 0.01)),  # not so far
        box((2, 1, 1), (100, 1.2, 1.2)),  # a long pole, with as much area as the part
    ],
)
def test_what_is_part_of_the_shape_is_not_complained_of(other: Arrays) -> None:
    assert outlier_fault(*joined(PART, other)) is None


def test_ordinary_meshes_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mesh in (
            trimesh.creation.icosphere(),
            trimesh.creation.box((100, 1, 0.01)),
            trimesh.creation.axis(),
        ):
            load_mesh(mesh)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 3), st.floats(0.5, 60))
def test_what_is_told_quickly_is_what_the_long_way_says(seed: int, size: float, distance: float) -> None:
    """A crowd of faces and some others, of any area, at any distance."""
    rng = np.random.default_rng(seed)
    crowd = rng.normal(0, 1, (60, 1, 3)) + rng.normal(0, 0.3, (60, 3, 3))
    others = distance * rng.normal(0, 1, (3, 1, 3)) + size * rng.normal(0, 0.05, (3, 3, 3))
    vertices = np.concatenate([crowd, others]).reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    fault = outlier_fault(vertices, faces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outliers, "is_spread", lambda *arguments: False)
        assert outlier_fault(vertices, faces) == fault


def test_an_ordinary_mesh_is_told_quickly_and_a_crowded_one_is_not() -> None:
    ball = trimesh.creation.icosphere(2)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    far = np.concatenate([vertices, [[30.0, 0, 0], [30.0, 0.1, 0], [30.0, 0, 0.1]]])
    for points, corners, spread in (
        (vertices, faces, True),
        (far, np.concatenate([faces, [[len(vertices), len(vertices) + 1, len(vertices) + 2]]]), False),
    ):
        triangles = points[corners]
        areas = face_areas(points, corners)
        assert outliers.is_spread(triangles, areas, float(np.ptp(points, axis=0).max())) == spread
