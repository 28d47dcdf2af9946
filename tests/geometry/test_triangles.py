"""Arrays of triangles."""

from __future__ import annotations

import numpy as np
import trimesh

from meshcodec.geometry.triangles import (
    any_corner,
    area_normals,
    box_of,
    compact,
    face_areas,
    mesh_arrays,
    without_degenerate,
)


def test_faces_without_three_corners_are_dropped() -> None:
    faces = np.array([[0, 1, 2], [3, 3, 4], [4, 5, 5], [6, 7, 6], [8, 8, 8], [2, 1, 0]], dtype=np.int32)
    kept = without_degenerate(faces)
    assert kept.tolist() == [[0, 1, 2], [2, 1, 0]]
    assert kept.dtype == np.int32
    assert without_degenerate(faces[1:5]).shape == (0, 3)


def test_a_compact_mesh_has_only_the_vertices_of_its_faces() -> None:
    vertices = np.arange(15.0).reshape(5, 3)
    kept, faces = compact(vertices, np.array([[4, 2, 0], [1, 1, 3]]))
    assert kept.tolist() == vertices[[0, 2, 4]].tolist()
    assert faces.tolist() == [[2, 1, 0]]


def test_normals_are_twice_as_long_as_the_area_and_point_outwards() -> None:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    normals = area_normals(box.triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1) / 2, box.area_faces)
    np.testing.assert_allclose(face_areas(box.vertices, box.faces), box.area_faces)
    assert ((normals * box.triangles_center).sum(axis=1) > 0).all()


def test_a_mesh_and_a_pair_of_arrays_are_the_same() -> None:
    box = trimesh.creation.box()
    vertices, faces = mesh_arrays(box)
    assert (str(vertices.dtype), str(faces.dtype)) == ("float64", "int64")
    for here, there in zip(mesh_arrays((vertices.tolist(), faces.tolist())), (vertices, faces), strict=True):
        np.testing.assert_array_equal(here, there)


def test_the_box_of_points() -> None:
    points = np.array([[0.0, 5.0, -1.0], [2.0, 3.0, -1.0], [1.0, 4.0, 7.0]])
    low, high = box_of(points)
    assert low.tolist() == [0.0, 3.0, -1.0]
    assert high.tolist() == [2.0, 5.0, 7.0]
    points[1, 1] = np.nan
    assert [np.isnan(corner).tolist() for corner in box_of(points)] == [[False, True, False]] * 2


def test_faces_with_a_marked_corner() -> None:
    faces = np.array([[0, 1, 2], [3, 1, 2], [3, 4, 5], [1, 2, 0]])
    marked = np.array([True, False, False, False, False, True])
    assert any_corner(marked, faces).tolist() == [True, False, True, True]
