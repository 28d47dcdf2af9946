"""A mesh of the grid to a surface in the frame of the mesh: levels, mirrors, place."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import trimesh
from support.source import loaded_by

from meshcodec.format.grid_mesh import FLAT, SMOOTH, GridMesh, MeshGrid
from meshcodec.metrics import is_closed
from meshcodec.modes.mesh.decode import decoded_surface, with_images
from meshcodec.modes.mesh.rounding import grid_mesh

CENTER = (10.0, -20.0, 0.5)


def open_box(axes: tuple[bool, bool, bool], crease: int = FLAT) -> GridMesh:
    """A box of 15 steps a side without its sides in the middle planes."""
    box = trimesh.creation.box((15, 15, 15))
    positions = np.rint(np.asarray(box.vertices) + 7.5).astype(np.int64)
    faces = np.asarray(box.faces, dtype=np.int64)
    walls = ((positions[faces] == 0).all(axis=1) & np.array(axes)).any(axis=1)
    return grid_mesh(positions, faces[~walls], 5, crease)[0]


def grid(axes: tuple[bool, bool, bool]) -> MeshGrid:
    return MeshGrid(CENTER, (2.0, 2.0, 2.0), axes, 5)


@pytest.mark.parametrize("axes", list(product((False, True), repeat=3)))
@pytest.mark.parametrize("crease", [FLAT, SMOOTH, 5])
def test_halves_meet_in_closed_meshes(axes: tuple[bool, bool, bool], crease: int) -> None:
    mesh = open_box(axes, crease)
    vertices, faces = decoded_surface(mesh, grid(axes), 2000)
    assert is_closed((vertices, faces))
    assert trimesh.Trimesh(vertices, faces, process=False).volume > 0  # the images are turned, too
    assert len(np.unique(faces)) == len(vertices)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    assert np.where(axes, middle, CENTER) == pytest.approx(CENTER)
    levels = 0
    while (
        crease != FLAT and 4 ** (levels + 1) * len(with_images(mesh.positions, mesh.faces, axes)[1]) <= 2000
    ):
        levels += 1
    assert len(faces) == len(mesh.faces) * 2 ** sum(axes) * 4**levels


def test_a_flat_mesh_is_placed_and_nothing_else() -> None:
    mesh = open_box((False, False, False))
    vertices, faces = decoded_surface(mesh, grid((False, False, False)), 1_000_000)
    assert faces.tolist() == mesh.faces.tolist()
    assert vertices == pytest.approx(mesh.positions * 4 / 31 + np.array(CENTER) - 2)


def test_the_image_is_exact() -> None:
    rng = np.random.default_rng(0)
    mesh = open_box((True, False, False), SMOOTH)
    moved = mesh.positions + np.where(mesh.positions > 0, rng.integers(0, 9, mesh.positions.shape), 0)
    points, faces = decoded_surface(
        GridMesh(moved, mesh.faces, 5, SMOOTH),
        MeshGrid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (True, False, False), 5),
    )
    assert is_closed((points, faces))
    rows = {tuple(row) for row in points.round(9).tolist()}
    assert {(-x, y, z) for x, y, z in rows} == rows | {(-x, y, z) for x, y, z in rows if x == 0}


def test_a_surface_is_smooth_across_its_mirror() -> None:
    """The middle plane is no crease: the whole mesh is subdivided, not its half."""
    mesh = open_box((True, False, False), SMOOTH)
    half, _ = decoded_surface(mesh, grid((True, False, False)), 50_000)
    positions, whole = with_images(mesh.positions, mesh.faces, (True, False, False))
    same, _ = decoded_surface(GridMesh(positions, whole, 5, SMOOTH), grid((False, False, False)), 50_000)
    assert np.sort(half, axis=0) == pytest.approx(np.sort(same + np.array([2, 0, 0]), axis=0))


def test_a_face_in_the_plane_comes_once() -> None:
    positions = np.array([[0, 0, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0]])
    faces = np.array([[0, 1, 2], [0, 1, 3]])
    points, whole = with_images(positions, faces, (True, False, False))
    assert points.tolist() == [*positions.tolist(), [-9, 0, 0]]
    assert whole.tolist() == [[0, 1, 2], [0, 1, 3], [4, 1, 0]]


@pytest.mark.slow
def test_decoding_loads_nothing_slow() -> None:
    loaded = loaded_by("meshcodec.modes.mesh.decode")
    assert not {"torch", "scipy", "trimesh", "igl"} & loaded.keys()
