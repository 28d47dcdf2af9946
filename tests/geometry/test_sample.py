"""Points on a surface: even over its area, and half of them along sharp edges."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from meshcodec.config import EXTENT
from meshcodec.errors import BadMeshError
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import FaceClasses, FaceKind, classify

Sampled = tuple[NDArray[np.float32], NDArray[np.float32]]


def sampled(surfaces: FaceClasses, count: int = 4000, seed: int = 0, share: float = 0.5) -> Sampled:
    return sample_surface(surfaces, count, np.random.default_rng(seed), share)


@pytest.fixture(scope="module")
def cube() -> FaceClasses:
    box = trimesh.creation.box((2, 2, 2))
    return classify(np.asarray(box.vertices), np.asarray(box.faces))


@pytest.fixture(scope="module")
def ball() -> FaceClasses:
    mesh = trimesh.creation.icosphere(subdivisions=4)
    return classify(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def on_edges(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Points of the cube [-1, 1]³ with two coordinates at its border."""
    on: NDArray[np.bool_] = (np.abs(points) > 1 - 1e-5).sum(axis=1) >= 2
    return on


@pytest.mark.parametrize("count", [1, 2, 7, 4096])
def test_as_many_as_asked_for_with_unit_normals(cube: FaceClasses, ball: FaceClasses, count: int) -> None:
    for surfaces in (cube, ball):
        points, normals = sampled(surfaces, count)
        assert points.shape == normals.shape == (count, 3)
        assert points.dtype == normals.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_share_of_a_cube_lies_on_its_edges(cube: FaceClasses, share: float) -> None:
    points, _ = sampled(cube, share=share)
    assert on_edges(points).mean() == pytest.approx(share, abs=0.005)


def test_all_points_lie_on_the_cube_with_the_normals_of_its_sides(cube: FaceClasses) -> None:
    points, normals = sampled(cube)
    np.testing.assert_allclose(np.abs(points).max(axis=1), 1, atol=1e-6)
    axis = np.abs(normals).argmax(axis=1)
    rows = np.arange(len(points))
    # Outward, and of a side that the point is on.
    np.testing.assert_allclose(normals[rows, axis], points[rows, axis], atol=1e-5)


def test_edges_are_sampled_evenly_by_length_and_sides_by_area() -> None:
    box = trimesh.creation.box((2, 1, 0.5))
    surfaces = classify(np.asarray(box.vertices), np.asarray(box.faces))
    half = np.array([1, 0.5, 0.25])
    points, normals = sampled(surfaces, 8000)
    border = np.abs(points) > half - 1e-5
    edges = border.sum(axis=1) >= 2
    assert edges.mean() == pytest.approx(0.5, abs=0.005)
    along = [(~border[edges, axis]).mean() for axis in range(3)]
    np.testing.assert_allclose(along, [2 / 3.5, 1 / 3.5, 0.5 / 3.5], atol=0.03)
    facing = np.abs(normals[~edges]).argmax(axis=1)
    sides = [(facing == axis).mean() for axis in range(3)]
    np.testing.assert_allclose(sides, [0.5 / 3.5, 1 / 3.5, 2 / 3.5], atol=0.03)
    # On an edge both of its sides give their normal, about equally often.
    longest = edges & ~border[:, 0]
    facing = np.abs(normals[longest]).argmax(axis=1)
    assert (facing == 1).mean() == pytest.approx(0.5, abs=0.06)
    assert set(facing) == {1, 2}


def test_a_smooth_surface_is_sampled_evenly(ball: FaceClasses) -> None:
    points, normals = sampled(ball)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=0.003)
    assert np.einsum("ij,ij->i", points, normals).min() > 0.99
    octants = np.bincount((points > 0) @ [1, 2, 4], minlength=8) / len(points)
    np.testing.assert_allclose(octants, 1 / 8, atol=0.02)


def test_the_seed_decides(cube: FaceClasses) -> None:
    first, again, other = sampled(cube), sampled(cube), sampled(cube, seed=1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_any_run_of_the_points_is_a_fair_sample(cube: FaceClasses) -> None:
    points, _ = sampled(cube)
    assert on_edges(points[:1000]).mean() == pytest.approx(0.5, abs=0.07)
    assert np.abs(points[:1000].mean(axis=0)).max() < 0.12


@pytest.mark.slow
def test_split_vertices_make_no_edges() -> None:
    """STL repeats the corners of every face; the edges of a smooth ball stay smooth."""
    mesh = trimesh.creation.icosphere(subdivisions=4)
    soup = np.asarray(mesh.triangles).reshape(-1, 3)
    faces = np.arange(len(soup)).reshape(-1, 3)
    points, _ = sampled(classify(soup, faces), share=1.0)
    radius = np.linalg.norm(points, axis=1)
    even = np.linalg.norm(sampled(classify(soup, faces), share=0.0)[0], axis=1)
    assert radius.mean() == pytest.approx(even.mean(), abs=1e-4)


def test_an_opening_has_an_edge_and_a_flat_fold_has_none() -> None:
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=float)
    for faces in ([[0, 1, 2], [0, 2, 3]], [[0, 1, 2], [0, 3, 2]]):  # alike and opposed, as sheets may be
        surfaces = classify(vertices, np.array(faces))
        assert (surfaces.kinds == FaceKind.SHEET).all()
        points, _ = sampled(surfaces, share=1.0)
        np.testing.assert_allclose(np.abs(points[:, :2]).max(axis=1), 1, atol=1e-6)  # not along the diagonal


@pytest.mark.parametrize(("side", "encodable"), [(0.1, False), (0.6, True)])
def test_hidden_faces_are_sampled_where_they_are_encodable(side: float, encodable: bool) -> None:
    outer, inner = trimesh.creation.icosphere(subdivisions=3), trimesh.creation.box((side,) * 3)
    vertices = np.concatenate([outer.vertices, inner.vertices])
    surfaces = classify(vertices, np.concatenate([outer.faces, inner.faces + len(outer.vertices)]))
    points, _ = sampled(surfaces)
    assert (np.linalg.norm(points, axis=1).min() < 0.9) == encodable == surfaces.even_odd


def test_of_a_mesh_that_reaches_out_of_the_cube_the_part_inside_is_sampled() -> None:
    """A beam four times as long as the cube: even over what lies within, and as many as asked for."""
    plate = trimesh.creation.box((8, 2, 2))
    surfaces = classify(np.asarray(plate.vertices), np.asarray(plate.faces))
    for count in (1, 4000):
        points, normals = sampled(surfaces, count, share=0.0)
        assert points.shape == normals.shape == (count, 3)
        assert np.abs(points).max() <= EXTENT
        assert (np.abs(points[:, 1:]).max(axis=1) > 1 - 1e-6).all()  # the ends lie out of the cube
    # Uniform along x: the mean square of [-a, a] is a² / 3.
    assert np.mean(points[:, 0] ** 2) == pytest.approx(EXTENT**2 / 3, rel=0.05)


def test_a_mesh_beside_the_cube_is_refused() -> None:
    far = trimesh.creation.box()
    far.apply_translation((5, 0, 0))
    surfaces = classify(np.asarray(far.vertices), np.asarray(far.faces))
    with pytest.raises(BadMeshError, match="next to nothing of it lies in the cube"):
        sampled(surfaces, 100)
