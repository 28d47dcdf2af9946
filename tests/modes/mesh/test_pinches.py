"""Sheets that meet at an edge are taken apart."""

from __future__ import annotations

import numpy as np
import trimesh

from meshcodec.modes.mesh.pinches import split_pinches
from meshcodec.surface.loop import edges_of

CORNERS = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0.0]])
TETRAHEDRA = np.array(
    [[0, 1, 2], [1, 0, 3], [0, 2, 3], [1, 3, 2], [0, 1, 4], [1, 0, 5], [0, 4, 5], [1, 5, 4]]
)
"""Two that share the edge 0, 1."""


def test_two_solids_at_an_edge_become_two_solids() -> None:
    assert edges_of(TETRAHEDRA, 6).uses.max() == 4
    vertices, faces = split_pinches(CORNERS, TETRAHEDRA)
    assert len(vertices) == 8
    assert (edges_of(faces, 8).uses == 2).all()
    assert (vertices[faces] == CORNERS[TETRAHEDRA]).all()
    assert not set(faces[:4].ravel()) & set(faces[4:].ravel())


def test_other_meshes_stay_as_they_are() -> None:
    box = trimesh.creation.box((1, 1, 1))
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int64)
    assert split_pinches(vertices, faces)[1] is faces
    # A vertex that two solids share is no edge.
    touching = np.array([[0, 1, 2], [1, 0, 3], [0, 2, 3], [1, 3, 2]])
    both = np.concatenate([touching, np.where(touching == 0, 0, touching + 3)])
    assert split_pinches(np.random.default_rng(0).random((7, 3)), both)[1] is both
