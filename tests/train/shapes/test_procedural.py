"""The generator of training shapes and its signed-distance library."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from meshcodec.train.shapes import procedural, sdf


def at(shape: sdf.Sdf, *points: tuple[float, float, float]) -> list[float]:
    return [float(d) for d in shape(np.array(points, np.float32).T)]


def signed_volume(mesh: procedural.Mesh) -> float:
    a, b, c = (mesh[0][mesh[1][:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def test_primitives_know_their_distances() -> None:
    assert at(sdf.sphere(1), (0, 0, 0), (0, 3, 4)) == pytest.approx([-1, 4])
    assert at(sdf.box((1, 2, 3)), (0, 0, 0), (4, 6, 0), (0, 0, 3.5)) == pytest.approx([-1, 5, 0.5])
    assert at(sdf.rounded_box((1, 1, 1), 0.2), (1.5, 0, 0), (0, 0, 0)) == pytest.approx([0.5, -1])
    assert at(sdf.cylinder(1, 2), (4, 0, 6), (0, 0, 0), (0, 0, 3)) == pytest.approx([5, -1, 1])
    assert at(sdf.capsule((0, 0, 0), (0, 0, 1), 0.5), (2, 0, 0.5), (0, 0, 3)) == pytest.approx([1.5, 1.5])
    assert at(sdf.torus(2, 0.5), (2, 0, 0), (0, 0, 0)) == pytest.approx([-0.5, 1.5])
    assert at(sdf.prism(1, 1, 6), (2, 0, 0), (0, 0, 3)) == pytest.approx([1, 2])
    assert at(sdf.cone(1, 1, 2), (3, 0, 0), (0, 0, 3)) == pytest.approx([2, 1])
    assert at(sdf.cone(1, 0, 1), (0.5, 0, 0), (0, 0, 1)) == pytest.approx([0, 0], abs=1e-6)
    assert at(sdf.ellipsoid((1, 2, 3)), (1, 0, 0), (0, 2, 0), (0, 0, 3)) == pytest.approx([0, 0, 0])
    assert at(sdf.plane((0, 0, 1), 0.5), (7, 7, 2)) == pytest.approx([1.5])


def test_combinations_are_minima_and_maxima() -> None:
    a, b = sdf.sphere(1), sdf.translate(sdf.box((1, 1, 1)), (0.8, 0, 0))
    points = np.random.default_rng(0).uniform(-2, 2, (3, 500)).astype(np.float32)
    da, db = a(points), b(points)
    np.testing.assert_array_equal(sdf.union(a, b)(points), np.minimum(da, db))
    np.testing.assert_array_equal(sdf.intersection(a, b)(points), np.maximum(da, db))
    np.testing.assert_array_equal(sdf.difference(a, b)(points), np.maximum(da, -db))
    np.testing.assert_allclose(sdf.rounded(a, 0.3)(points), da - 0.3, atol=1e-6)
    np.testing.assert_allclose(sdf.shell(a, 0.2)(points), np.abs(da) - 0.1, atol=1e-6)
    blend = sdf.smooth_union(0.4, a, b)(points)
    assert (blend <= np.minimum(da, db)).all()
    assert (blend >= np.minimum(da, db) - 0.1 - 1e-6).all()  # k / 4 is the most that a blend fills
    far = np.abs(da - db) > 0.4
    np.testing.assert_array_equal(blend[far], np.minimum(da, db)[far])


def test_changes_of_space_move_the_surface() -> None:
    ball = sdf.translate(sdf.sphere(0.2), (1, 0, 0))
    quarter = procedural.rotation((0, 0, 1), np.pi / 2)
    assert at(sdf.rotate(ball, quarter), (0, 1, 0)) == pytest.approx([-0.2], abs=1e-6)
    assert at(sdf.mirror(ball), (-1, 0, 0)) == pytest.approx([-0.2])
    assert at(sdf.repeat(sdf.sphere(0.2), 1.0, (2, 0, 0)), (2, 0, 0), (3, 0, 0)) == pytest.approx([-0.2, 0.8])
    assert at(sdf.repeat_around(ball, 3), (-0.5, 0.75**0.5, 0)) == pytest.approx([-0.2], abs=1e-5)
    assert at(sdf.stretch(sdf.sphere(1), (2, 1, 1)), (2, 0, 0)) == pytest.approx([0])
    point = (0.3, 0.2, 0.1)
    for warp in (sdf.twist, sdf.bend, sdf.taper):
        assert at(warp(ball, 0.0), point) == pytest.approx(at(ball, point))


def test_polygonize_places_a_closed_outward_surface() -> None:
    shape = sdf.translate(sdf.sphere(0.7), (0.2, -0.1, 0.3))
    V, F = sdf.polygonize(shape, 48)
    mesh = trimesh.Trimesh(V, F)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.01)
    np.testing.assert_allclose(np.linalg.norm(V - [0.2, -0.1, 0.3], axis=1), 0.7, atol=2e-3)


def test_polygonize_of_nothing_is_empty_and_of_too_much_is_closed() -> None:
    assert len(sdf.polygonize(sdf.translate(sdf.sphere(0.1), (9, 9, 9)))[1]) == 0
    assert trimesh.Trimesh(*sdf.polygonize(sdf.sphere(1.8), 32)).is_watertight


@pytest.mark.parametrize("solid", list(dict.fromkeys(procedural.SOLIDS)))
def test_solids_are_closed_and_face_outwards(solid: procedural.Maker) -> None:
    for seed in range(8):
        mesh = procedural.cleaned(solid(np.random.default_rng(seed)))
        assert signed_volume(mesh) > 0
        assert trimesh.Trimesh(*mesh, merge_norm=True, merge_tex=True).is_watertight


def test_triangulate_fills_a_polygon() -> None:
    for seed in range(30):
        polygon = procedural.polygon(np.random.default_rng(seed))
        F = procedural.triangulate(polygon)
        x, y = polygon.T
        area = float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
        u, v = polygon[F[:, 1]] - polygon[F[:, 0]], polygon[F[:, 2]] - polygon[F[:, 0]]
        pieces = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
        assert len(F) == len(polygon) - 2
        assert pieces.min() > -1e-9
        assert pieces.sum() == pytest.approx(area)


def test_grilles_leave_no_gap() -> None:
    for seed in range(20):
        V, F = procedural.cleaned(procedural.grille(np.random.default_rng(seed)))
        _, place = np.unique(np.round(V, 6), axis=0, return_inverse=True)
        edges = place.reshape(-1)[F[:, [0, 1, 1, 2, 2, 0]]].reshape(-1, 2)
        # In a closed surface every edge is run through as often one way as the other.
        there, back = np.sort(edges @ [len(V), 1]), np.sort(edges[:, ::-1] @ [len(V), 1])
        np.testing.assert_array_equal(there, back)
        assert signed_volume((V, F)) > 0


@pytest.mark.slow
def test_generate_is_deterministic() -> None:
    for seed in range(6):
        (V, F), (V2, F2) = procedural.generate(seed), procedural.generate(seed)
        np.testing.assert_array_equal(V, V2)
        np.testing.assert_array_equal(F, F2)


@pytest.mark.parametrize("seed", range(60))
def test_generate_gives_valid_meshes(seed: int) -> None:
    V, F = procedural.generate(seed)
    assert V.dtype == np.dtype(np.float32)
    assert F.dtype == np.dtype(np.int32)
    assert V.shape[1:] == F.shape[1:] == (3,)
    assert len(F) >= 4
    assert np.isfinite(V).all()
    assert F.min() == 0
    assert F.max() == len(V) - 1
    extent = np.ptp(V, axis=0)
    assert (extent > 1e-3).sum() >= 2
    assert extent.max() < 100
