"""Meshes on the grid: what a `GridMesh` promises, whatever is rounded."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import identity
from support.fitting import few

from meshcodec.format.grid_mesh import GridMesh, MeshGrid
from meshcodec.metrics import is_closed
from meshcodec.modes.mesh.fit import ControlMesh, Target, fit
from meshcodec.modes.mesh.rounding import grid_mesh, rounded

UPPER = (True, False, False)


def unit_grid(bits: int, mirrored: tuple[bool, bool, bool] = (False, False, False)) -> MeshGrid:
    return MeshGrid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), mirrored, bits)


def keeps_its_promise(mesh: GridMesh, grid: MeshGrid) -> bool:
    """Whether a mesh is what `GridMesh` says."""
    a, b, c = mesh.faces.T
    return bool(
        ((mesh.positions >= 0) & (mesh.positions <= grid.sides)).all()
        and len(np.unique(mesh.positions, axis=0)) == len(mesh.positions)
        and ((a != b) & (b != c) & (c != a)).all()
        and len(np.unique(mesh.faces)) == len(mesh.positions)
        and len(np.unique(np.sort(mesh.faces, axis=1), axis=0)) == len(mesh.faces)
    )


@given(
    seed=st.integers(0, 1 << 30),
    bits=st.integers(4, 8),
    apart=st.booleans(),
    mirrored=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_rounded_is_a_grid_mesh(
    seed: int, bits: int, apart: bool, mirrored: tuple[bool, bool, bool]
) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 60))
    vertices = rng.uniform(-0.3, 1.2, (count, 3)) * rng.integers(0, 2, (count, 3))
    faces = np.array([rng.choice(count, 3, replace=False) for _ in range(int(rng.integers(1, 80)))])
    mesh, grid = ControlMesh(vertices, faces, mirrored=mirrored), unit_grid(bits, mirrored)
    result, at = rounded(mesh, grid.to_grid(vertices), grid, identity(3 * count, format="csr"), apart)
    assert len(at) == count
    assert set(at[at >= 0].tolist()) == set(range(len(result.positions)))
    assert keeps_its_promise(result, grid)


def test_rounding_by_the_fit_is_nearer_than_rounding_to_nearest() -> None:
    ball = trimesh.creation.icosphere(4)
    target = Target(np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64), 4000)
    coarse = trimesh.creation.icosphere(2)
    result = fit(
        ControlMesh(np.asarray(coarse.vertices), np.asarray(coarse.faces, dtype=np.int64)),
        target,
        few(4000),
    )
    grid = unit_grid(6)
    places = grid.to_grid(result.mesh.vertices)

    def error(hessian: object) -> float:
        mesh, _ = rounded(result.mesh, places, grid, hessian, True)
        radii = np.linalg.norm(mesh.positions[mesh.faces].mean(axis=1) * grid.step - 1, axis=1)
        return float(np.std(radii))

    assert error(result.hessian) < 0.7 * error(None)


def test_vertices_stay_in_the_plane_or_out_of_it() -> None:
    vertices = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0.001, 0.5, 0.5]])
    grid = unit_grid(6, UPPER)
    faces = np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3]])
    mesh, _ = rounded(ControlMesh(vertices, faces, mirrored=UPPER), grid.to_grid(vertices), grid, None, True)
    assert sorted(mesh.positions[:, 0].tolist()) == [0, 0, 0, 1]


@pytest.mark.parametrize("apart", [True, False])
def test_a_thin_plate_stays_closed_or_becomes_a_sheet(apart: bool) -> None:
    plate = trimesh.creation.box((2, 2, 1e-4)).subdivide()
    grid = unit_grid(7)
    vertices = np.array(plate.vertices)
    vertices[:, 2] += grid.step / 2  # both sides are nearest to one height
    faces = np.asarray(plate.faces, dtype=np.int64)
    mesh, _ = rounded(ControlMesh(vertices, faces), grid.to_grid(vertices), grid, None, apart)
    assert is_closed((mesh.positions, mesh.faces)) == apart
    assert len(mesh.faces) == (len(faces) if apart else 16)


def test_equal_places_are_merged_and_what_they_leave_empty_is_dropped() -> None:
    positions = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 0], [9, 9, 9]])
    faces = np.array([[0, 1, 2], [3, 1, 2], [0, 3, 1], [2, 1, 0]])
    mesh, at = grid_mesh(positions, faces, 4, 0)
    assert mesh.positions.tolist() == [[0, 0, 0], [0, 5, 0], [5, 0, 0]]
    assert mesh.faces.tolist() == [[0, 2, 1]]
    assert at.tolist() == [0, 2, 1, 0, -1]


def test_vertices_of_different_kinds_are_kept_apart() -> None:
    two = np.array([[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.001, 0, 0], [-0.5, 0, 0], [0, -0.5, 0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    grid = unit_grid(6)
    mesh = ControlMesh(two, faces)
    together, _ = rounded(mesh, grid.to_grid(two), grid, None, False)
    assert len(together.positions) == 5
    kinds = np.array([0, 0, 0, 1, 1, 1])
    apart, at = rounded(mesh, grid.to_grid(two), grid, None, False, kinds)
    assert len(apart.positions) == 6
    assert np.abs(apart.positions[at[0]] - apart.positions[at[3]]).max() == 1
    same, _ = rounded(mesh, grid.to_grid(two), grid, None, False, np.zeros(6, dtype=np.int64))
    assert len(same.positions) == 5
