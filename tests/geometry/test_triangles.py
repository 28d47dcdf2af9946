"""Arrays of triangles."""

from __future__ import annotations

import numpy as np

from meshcodec.geometry.triangles import compact, without_degenerate


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
