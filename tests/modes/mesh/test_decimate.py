"""Coarse meshes by every decimator."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import is_closed
from meshcodec.modes.mesh.decimate import DECIMATORS, Decimations, least_mesh
from meshcodec.modes.mesh.decode import with_images
from meshcodec.modes.mesh.halves import upper_half

WHOLE, UPPER = (False, False, False), (True, False, False)


def ball() -> tuple[Floats, Ints]:
    mesh = trimesh.creation.icosphere(4)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)


@pytest.mark.parametrize("name", DECIMATORS)
@pytest.mark.parametrize("count", [60, 400])
def test_about_as_many_faces_as_asked_for(name: str, count: int) -> None:
    decimations = Decimations(*ball(), WHOLE)
    vertices, faces = decimations.mesh(name, count)
    assert 0.3 * count <= len(faces) <= 1.02 * count
    assert len(np.unique(faces)) == len(vertices) == len(np.unique(vertices, axis=0))
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(np.ones(len(vertices)), abs=0.25)
    assert decimations.mesh(name, count)[1] is faces  # made once


@pytest.mark.parametrize("name", DECIMATORS)
def test_a_mesh_with_few_faces_is_left_alone(name: str) -> None:
    vertices, faces = ball()
    assert Decimations(vertices, faces, WHOLE).mesh(name, len(faces))[1] is faces


@pytest.mark.parametrize("name", ["halved", "quadric", "welded"])
def test_a_half_keeps_its_border_in_the_plane(name: str) -> None:
    half = upper_half(*ball(), UPPER, 1e-3)
    vertices, faces = Decimations(*half, UPPER).mesh(name, 150)
    assert is_closed(with_images(vertices, faces, UPPER))


def test_small_parts_are_pruned_where_faces_are_few() -> None:
    vertices, faces = ball()
    small = vertices * 0.01 + [3, 0, 0]
    both = np.concatenate([vertices, small]), np.concatenate([faces, faces + len(vertices)])
    kept, _ = Decimations(*both, WHOLE).mesh("halved", 40)
    assert kept[:, 0].max() < 1.1


def test_the_coarsest_mesh_has_a_few_faces() -> None:
    vertices, faces = least_mesh(Decimations(*ball(), WHOLE))
    assert 1 <= len(faces) <= 8
    assert len(np.unique(faces)) == len(vertices)
