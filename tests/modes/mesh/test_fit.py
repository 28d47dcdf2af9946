"""Coarse meshes come nearer to what they stand for, and what has to stay stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.fitting import few

from meshcodec.format.grid_mesh import FLAT, SMOOTH
from meshcodec.geometry.nearby import spread
from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import Reference
from meshcodec.modes.mesh.fit import ClosestPoints, ControlMesh, Target, fit, surface_map
from meshcodec.modes.mesh.halves import upper_half

QUICK = few(2000)
UPPER = (True, False, False)


def ball(levels: int) -> tuple[Floats, Ints]:
    mesh = trimesh.creation.icosphere(levels)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)


def eight_sided(levels: int) -> tuple[Floats, Ints]:
    """A ball made of an octahedron: no edge crosses a middle plane."""
    mesh = trimesh.Trimesh(
        np.concatenate([np.eye(3), -np.eye(3)]),
        [[0, 1, 2], [1, 0, 5], [2, 1, 3], [0, 2, 4], [1, 5, 3], [0, 4, 5], [2, 3, 4], [3, 5, 4]],
    )
    for _ in range(levels):
        mesh = mesh.subdivide()
        mesh.vertices /= np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)


def surface(mesh: ControlMesh) -> tuple[Floats, Ints]:
    """What the mesh stands for, the own half of it."""
    chart, faces = surface_map(mesh, QUICK.most_fine_faces)
    return mesh.vertices if chart is None else (chart @ mesh.vertices.reshape(-1)).reshape(-1, 3), faces


def chamfer(reference: tuple[Floats, Ints], mesh: ControlMesh) -> float:
    found = Reference(reference, samples=3000).score(surface(mesh), exterior=False, points=False, iou=False)
    return found.chamfer


@pytest.mark.parametrize(("crease", "gain"), [(FLAT, 2), (SMOOTH, 20)])
def test_a_coarse_ball_comes_nearer(crease: int, gain: float) -> None:
    """With its vertices on the ball, a mesh lies inside it; a Loop surface through them lies far inside."""
    target = Target(*ball(4), QUICK.samples)
    before = ControlMesh(*ball(1), crease)
    after = fit(before, target, QUICK).mesh
    assert chamfer(ball(4), after) < chamfer(ball(4), before) / gain
    assert after.faces is before.faces


def test_a_mesh_of_many_faces_gets_more_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples than faces leave many a vertex to noise."""
    asked: list[int] = []

    def counted(weights: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
        asked.append(count)
        return spread(weights, count, rng)

    monkeypatch.setattr("meshcodec.modes.mesh.fit.spread", counted)
    found = []
    for level in (1, 3):  # 80 and 1280 faces
        asked.clear()
        settings = replace(few(1000), samples_per_face=2.0)
        fit(ControlMesh(*ball(level)), Target(*ball(4), 4000), settings)
        found.append(set(asked))
    assert found == [{1000}, {4000}]


def test_vertices_of_the_plane_stay_in_it() -> None:
    half = upper_half(*ball(4), UPPER, 1e-3)
    for crease in (FLAT, SMOOTH):
        before = ControlMesh(*upper_half(*eight_sided(2), UPPER, 1e-3), crease, UPPER)
        after = fit(before, Target(*half, QUICK.samples), QUICK).mesh
        assert before.held.any()
        assert (after.vertices[before.held] == 0.0).all()
        assert (after.vertices[~before.held] != before.vertices[~before.held]).any()
        assert chamfer(half, after) < chamfer(half, before) / 1.5


def test_the_mirrored_surface_is_that_of_the_whole_mesh() -> None:
    vertices, faces = eight_sided(2)
    half = ControlMesh(*upper_half(vertices, faces, UPPER, 1e-3), SMOOTH, UPPER)
    points, own = surface(half)
    whole = surface(ControlMesh(vertices, faces, SMOOTH))
    assert (points[np.unique(own), 0] > -1e-12).all()
    assert np.sort(np.linalg.norm(points, axis=1)) == pytest.approx(np.sort(np.linalg.norm(whole[0], axis=1)))


def test_an_open_border_is_kept() -> None:
    sheet = trimesh.creation.box((2, 2, 0)).subdivide_to_size(0.2)
    top = np.asarray(sheet.faces)[np.asarray(sheet.face_normals)[:, 2] > 0].astype(np.int64)
    flat, _ = np.asarray(sheet.vertices), None
    square = np.array([[-0.9, -0.9, 0], [0.9, -0.9, 0], [0.9, 0.9, 0], [-0.9, 0.9, 0.0]])
    coarse = ControlMesh(square, np.array([[0, 1, 2], [0, 2, 3]]))
    after = fit(coarse, Target(flat, top, QUICK.samples), QUICK).mesh
    assert np.abs(after.vertices[:, :2]) == pytest.approx(np.ones((4, 2)), abs=0.02)


def test_the_same_twice() -> None:
    meshes = [fit(ControlMesh(*ball(1)), Target(*ball(3), 500), few(500)).mesh for _ in range(2)]
    assert (meshes[0].vertices == meshes[1].vertices).all()


def test_closest_points_leave_out_faces_without_an_area() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0.0]])
    closest = ClosestPoints(vertices, np.array([[0, 1, 2], [0, 1, 3]]))
    places, faces = closest(np.array([[0.2, 0.2, 3.0]]))
    assert places == pytest.approx(np.array([[0.2, 0.2, 0.0]]))
    assert faces.tolist() == [1]
    assert ClosestPoints(vertices, np.array([[0, 1, 2]])).empty
