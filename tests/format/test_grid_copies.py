"""Copies of parts: what they look like, what a message tells of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.meshes import random_mesh_coder, soup

from meshcodec.errors import CorruptFileError
from meshcodec.format.grid_copies import MIRRORED, TURNS, Copy, image_of, parts_of, with_copies
from meshcodec.format.grid_mesh import GridMesh
from meshcodec.format.mesh_coder import pack_mesh, payload_kind, unpack_mesh

WEDGE = np.array([[3, 2, 1], [8, 2, 1], [3, 5, 1], [3, 2, 3]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
SIDES = np.array([31, 20, 25])
CODER = random_mesh_coder(1)


def volume(positions: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = positions[faces].transpose(1, 0, 2)
    return float((np.cross(a, b) * c).sum() / 6)


def test_turns_are_those_of_a_cube_by_the_order_of_the_specification() -> None:
    assert len({turn.tobytes() for turn in TURNS}) == 48
    assert TURNS[0].tolist() == np.eye(3).tolist()
    assert (TURNS[8] @ [1, 2, 3]).tolist() == [1, 3, 2]  # the second permutation, no minus
    assert (TURNS[33] @ [1, 2, 3]).tolist() == [-3, 1, 2]  # the fifth, a minus at the first
    assert MIRRORED.sum() == 24
    assert not MIRRORED[0]


def test_parts_hang_together_by_vertices() -> None:
    faces = np.array([[5, 4, 6], [0, 3, 1], [6, 2, 7]])
    assert parts_of(faces, 8).tolist() == [0, 0, 2, 0, 2, 2, 2, 2]


def test_an_image_begins_at_zero() -> None:
    assert image_of(WEDGE, 0).tolist() == [[0, 0, 0], [5, 0, 0], [0, 3, 0], [0, 0, 2]]
    assert image_of(WEDGE, 33).tolist() == [[2, 0, 0], [2, 5, 0], [2, 0, 3], [0, 0, 0]]


@pytest.mark.parametrize("turn", range(48))
def test_a_copy_is_the_same_part_right_side_out(turn: int) -> None:
    positions, faces = with_copies(WEDGE, FACES, [Copy(2, turn, (7, 8, 9))])
    assert positions[4:].min(axis=0).tolist() == [7, 8, 9]
    assert volume(positions, faces[4:]) == volume(WEDGE, FACES) > 0


@st.composite
def copied_meshes(draw: st.DrawFn) -> GridMesh:
    """Random faces with random copies of their parts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = draw(st.integers(3, 20))
    mesh = soup(rng.integers(0, 20, (points, 3)), rng.integers(0, points, (draw(st.integers(1, 12)), 3)))
    if mesh is None:
        mesh = GridMesh(WEDGE, FACES, 5)
    part = parts_of(mesh.faces, len(mesh.positions))
    copies = []
    for _ in range(draw(st.integers(1, 12))):
        vertex, turn = int(rng.integers(len(part))), int(rng.integers(48))
        room = SIDES - image_of(mesh.positions[part == part[vertex]], turn).max(axis=0)
        if (room >= 0).all():
            x, y, z = rng.integers(0, room + 1).tolist()
            copies.append(Copy(vertex, turn, (x, y, z)))
    return GridMesh(mesh.positions, mesh.faces, 5, 3, tuple(copies))


def solids(mesh: GridMesh) -> list[list[list[int]]]:
    """All faces by the places of their corners, in an order that does not hang on that of the mesh."""
    positions, faces = mesh.whole
    first = [min(range(3), key=lambda k: positions[face[k]].tolist()) for face in faces]
    return sorted(positions[np.roll(face, -k)].tolist() for face, k in zip(faces, first, strict=True))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(copied_meshes())
def test_copies_come_back(mesh: GridMesh) -> None:
    payload = pack_mesh(mesh, CODER, SIDES)
    assert payload_kind(payload) == (5, 3, bool(mesh.copies))
    again = unpack_mesh(payload, len(mesh.faces), CODER, SIDES)
    assert solids(again) == solids(mesh)
    assert len(again.copies) == len(mesh.copies)


def test_copies_in_a_row_take_a_bit_for_what_stays_the_same() -> None:
    """Turn, two coordinates: a bit each; the third a bit and as many as its room has."""
    row = tuple(Copy(0, 0, (3, 2, z)) for z in (5, 8, 11, 14))
    bits = CODER.bits(GridMesh(WEDGE, FACES, 5, 0, row), SIDES)["copies"]
    # Of one part all: nothing; four copies: two digits, 5 bits in all.
    assert bits == pytest.approx(5 + 4 * (4 + np.log2(24)))


@pytest.mark.parametrize(
    ("copy", "words"),
    [
        (Copy(0, 0, (27, 0, 0)), "outside of the grid"),
        (Copy(0, 0, (0, 0, -1)), "outside of the grid"),
        (Copy(4, 0, (0, 0, 0)), "of no part"),
    ],
)
def test_a_copy_that_cannot_be_is_not_written(copy: Copy, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pack_mesh(GridMesh(WEDGE, FACES, 5, 0, (copy,)), CODER, SIDES)


def test_more_faces_than_a_file_announces_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = GridMesh(WEDGE, FACES, 5, 0, tuple(Copy(0, 0, (k, 0, 0)) for k in range(20)))
    payload = pack_mesh(mesh, CODER, SIDES)
    monkeypatch.setattr("meshcodec.format.mesh_copies.MOST_FACES", 83)
    with pytest.raises(CorruptFileError, match="damaged"):
        unpack_mesh(payload, 4, CODER, SIDES)
    monkeypatch.setattr("meshcodec.format.mesh_coder.MOST_FACES", 83)
    with pytest.raises(ValueError, match="84 faces with the copies"):
        pack_mesh(mesh, CODER, SIDES)


@pytest.mark.parametrize("depth", [4, 12])
def test_copies_are_not_for_the_least_and_the_most_bits(depth: int) -> None:
    with pytest.raises(ValueError, match=f"{depth} bits"):
        pack_mesh(GridMesh(WEDGE, FACES, depth, 0, (Copy(0, 0, (0, 0, 0)),)), CODER, SIDES)
