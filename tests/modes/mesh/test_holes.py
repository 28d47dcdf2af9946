"""Small holes are filled, openings and the borders in middle planes are not."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from meshcodec.format.box import NO_AXES
from meshcodec.geometry.triangles import has_no_border
from meshcodec.modes.mesh.decode import with_images
from meshcodec.modes.mesh.holes import without_holes

BALL = trimesh.creation.icosphere(2)
PLACES = np.rint(100 * (np.asarray(BALL.vertices) + 1)).astype(np.int64)
FACES = np.asarray(BALL.faces, dtype=np.int64)


def around(vertex: int) -> NDArray[np.bool_]:
    return np.asarray(np.isin(FACES, vertex).any(axis=1))


@pytest.mark.parametrize("missing", [[7], [7, 200]])
def test_missing_faces_come_back(missing: list[int]) -> None:
    left = np.delete(FACES, missing, axis=0)
    found = without_holes(PLACES, left, NO_AXES)
    assert (found[: len(left)] == left).all()
    assert {frozenset(face) for face in found.tolist()} == {frozenset(face) for face in FACES.tolist()}
    volume = trimesh.Trimesh(PLACES, found, process=False).volume
    assert volume == pytest.approx(trimesh.Trimesh(PLACES, FACES, process=False).volume)


def test_a_lid_is_put_where_a_vertex_is_missing() -> None:
    left = FACES[~around(50)]
    found = without_holes(PLACES, left, NO_AXES)
    assert has_no_border(found)
    assert len(found) == len(left) + around(50).sum() - 2
    assert trimesh.Trimesh(PLACES, found, process=False).is_winding_consistent


def test_an_opening_stays_and_then_no_hole_is_filled() -> None:
    left = FACES[(PLACES[FACES] > 90).all(axis=(1, 2)) | (PLACES[FACES][:, :, 2] > 130).all(axis=1)]
    assert not has_no_border(left)
    assert without_holes(PLACES, left, NO_AXES) is left


def test_a_closed_mesh_stays_as_it_is() -> None:
    assert without_holes(PLACES, FACES, NO_AXES) is FACES


def test_the_border_in_a_middle_plane_is_none() -> None:
    box = trimesh.creation.box().subdivide().subdivide()
    upper, faces = (
        np.rint(8 * np.asarray(box.vertices)).astype(np.int64),
        np.asarray(box.faces, dtype=np.int64),
    )
    half = faces[(upper[faces][:, :, 2] >= 0).all(axis=1)]
    mirrored = (False, False, True)
    assert has_no_border(with_images(upper, half, mirrored)[1])
    assert without_holes(upper, half, mirrored) is half
    found = without_holes(upper, half[1:], mirrored)
    assert len(found) == len(half)
    assert has_no_border(with_images(upper, found, mirrored)[1])


def test_edges_of_three_faces_are_no_hole() -> None:
    fin = np.concatenate([FACES, [[*FACES[0, :2], 60]]])
    assert without_holes(PLACES, fin, NO_AXES) is fin
