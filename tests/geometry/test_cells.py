"""The shells of what walls of one face divide into rooms."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from support.surfaces import Arrays, box, house, joined, quad, rooms, with_reversed

from meshcodec.geometry.cells import outer_shells
from meshcodec.geometry.components import connected_parts
from meshcodec.geometry.triangles import positions_of


def shell_of(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], trimesh.Trimesh]:
    """Which faces are of divided parts, which are of a shell, and that shell turned outwards."""
    corners = positions_of(vertices)[faces]
    part = connected_parts(corners, len(vertices))[1][corners[:, 0]]
    divided, shell, reverse = outer_shells(corners, part, vertices[faces])
    outside = trimesh.Trimesh(vertices, with_reversed(faces, reverse)[shell])
    return divided, shell, outside


def walls_of(across: int, deep: int) -> int:
    """Triangles of the inner walls."""
    return 2 * ((across - 1) * deep + (deep - 1) * across)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_shell_of_rooms_is_what_is_seen_from_outside(across: int, deep: int, random: object) -> None:
    """However each face is drawn, and in whatever order."""
    vertices, faces = rooms(across, deep)
    walls = np.arange(len(faces)) >= len(faces) - walls_of(across, deep)
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order = rng.permutation(len(faces))
    drawn = with_reversed(faces, rng.random(len(faces)) < 0.5)[order]
    divided, shell, outside = shell_of(vertices, drawn)
    if not walls.any():  # a closed surface without any wall is not asked about
        assert not divided.any()
        assert not shell.any()
        return
    assert divided.all()
    np.testing.assert_array_equal(shell, ~walls[order])
    assert outside.is_watertight
    assert outside.volume == pytest.approx(8 * across * deep)


def test_tetrahedra_of_a_cube_have_the_cube_as_their_shell() -> None:
    """Each face once, as finite element meshes have them."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    points = np.concatenate([corners, np.random.default_rng(0).random((40, 3))])
    sides = np.sort(Delaunay(points).simplices[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]], axis=2)
    _, shell, outside = shell_of(points, np.unique(sides.reshape(-1, 3), axis=0).astype(np.int64))
    assert shell.sum() == 12
    assert outside.is_watertight
    assert outside.volume == pytest.approx(1)


def test_a_block_with_a_hole_is_left_alone() -> None:
    """The outside comes in, and every face has it on both of its sides."""
    vertices, faces = rooms(2, 2)
    divided, shell, _ = shell_of(vertices, faces[1:])
    assert not divided.any()
    assert not shell.any()


@pytest.mark.parametrize(
    "mesh",
    [house(), joined(box((0, 0, 0), (1, 1, 1)), quad([(3, 0, 0), (4, 0, 0), (4, 1, 0), (3, 1, 0)]))],
    ids=["closed", "closed and a sheet"],
)
def test_parts_without_walls_are_left_alone(mesh: Arrays) -> None:
    divided, shell, _ = shell_of(*mesh)
    assert not divided.any()
    assert not shell.any()


def test_of_two_blocks_each_has_its_own_shell() -> None:
    first, second = rooms(2, 1), rooms(1, 3)
    divided, shell, outside = shell_of(*joined(first, (second[0] + (100, 0, 0), second[1][:, ::-1])))
    assert divided.all()
    assert (~shell).sum() == walls_of(2, 1) + walls_of(1, 3)
    assert outside.volume == pytest.approx(8 * 5)
