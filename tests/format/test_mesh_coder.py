"""Coding of meshes: exact round trips of anything that is made of triangles, and what is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import python
from support.meshes import grid_mesh, oriented_faces, random_mesh_coder, sheet, sides_of, soup, soups

from meshcodec.errors import CorruptFileError
from meshcodec.format.grid_mesh import GridMesh
from meshcodec.format.mesh_coder import (
    MeshCoder,
    most_faces,
    pack_mesh,
    payload_kind,
    unpack_mesh,
)
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder

TETRAHEDRON = grid_mesh(
    [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]
)
TRIANGLE = grid_mesh([[1, 2, 3], [40, 2, 3], [1, 60, 7]], [[2, 0, 1]])
FAN = grid_mesh(
    [[0, 0, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [0, 20, 0], [30, 1, 1]],
    [[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 1, 5]],
)
"""Four faces at one edge, three of them one way."""
FLIPPED = grid_mesh([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 1]], [[0, 1, 2], [0, 3, 2]])
"""Two neighbours of which one is turned."""
DOUBLE = grid_mesh([[0, 0, 0], [9, 0, 0], [0, 9, 0]], [[0, 1, 2], [0, 2, 1]])
BOW_TIE = grid_mesh([[5, 5, 5], [0, 0, 0], [0, 9, 0], [9, 0, 9], [9, 9, 9]], [[0, 1, 2], [0, 3, 4]])
APART = grid_mesh(
    [*TETRAHEDRON.positions.tolist(), *(TETRAHEDRON.positions + 30).tolist()],
    [*TETRAHEDRON.faces.tolist(), *(TETRAHEDRON.faces + 4).tolist()],
)


def moebius(count: int = 11) -> GridMesh:
    """A strip that returns turned: its neighbours cannot all be oriented alike."""
    turn = 2 * np.pi * np.arange(count) / count
    middle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    away = np.cos(turn / 2)[:, None] * middle + np.sin(turn / 2)[:, None] * np.array([0, 0, 1.0])
    points = np.rint(30 + 18 * np.stack([middle + 0.4 * away, middle - 0.4 * away], axis=1)).astype(np.int64)
    faces = []
    for k in range(count):
        a, b, c, d = 2 * k, 2 * k + 1, 2 * k + 2, 2 * k + 3
        if k == count - 1:
            c, d = 1, 0
        faces += [[a, b, c], [b, d, c]]
    return GridMesh(points.reshape(-1, 3), np.array(faces, dtype=np.int64), 6)


def dust(count: int) -> GridMesh:
    """Parts of one face each."""
    rng = np.random.default_rng(1)
    places = rng.permutation(64**3)[: 3 * count]
    positions = np.stack(np.unravel_index(places, (64, 64, 64)), axis=1)
    return GridMesh(positions, np.arange(3 * count).reshape(-1, 3), 6)


def tangle() -> GridMesh:
    """Sixty faces between twenty points: edges of many faces, corners of many parts."""
    rng = np.random.default_rng(7)
    mesh = soup(rng.integers(0, 40, (20, 3)), rng.integers(0, 20, (60, 3)))
    assert mesh is not None
    return mesh


SHAPES = {
    "tetrahedron": TETRAHEDRON,
    "triangle": TRIANGLE,
    "fan": FAN,
    "flipped": FLIPPED,
    "double": DOUBLE,
    "bow tie": BOW_TIE,
    "apart": APART,
    "moebius": moebius(),
    "sheet": sheet(5, 4),
    "dust": dust(40),
    "soup": tangle(),
    "closed": grid_mesh(
        [[x, y, z] for x in (0, 8) for y in (0, 8) for z in (0, 8)],
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
         [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],
    ),
}  # fmt: skip


def round_trip(mesh: GridMesh, coder: MeshCoder) -> bytes:
    sides = sides_of(mesh)
    message = coder.encode(mesh, sides)
    positions, faces, _ = coder.decode(message, len(mesh.faces), sides)
    assert oriented_faces(positions, faces) == oriented_faces(mesh.positions, mesh.faces)
    again = GridMesh(positions, faces, mesh.bits)
    assert oriented_faces(*coder.decode(coder.encode(again, sides), len(faces), sides)[:2]) == oriented_faces(
        positions, faces
    )
    return message


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_come_back(shape: str) -> None:
    round_trip(SHAPES[shape], random_mesh_coder(1))


@settings(deadline=None, max_examples=20)
@given(soups(), st.integers(0, 3))
def test_any_faces_come_back(mesh: GridMesh, seed: int) -> None:
    round_trip(mesh, random_mesh_coder(seed))


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(soups(most=120), st.integers(0, 3))
def test_many_faces_come_back(mesh: GridMesh, seed: int) -> None:
    round_trip(mesh, random_mesh_coder(seed))


@pytest.mark.slow
def test_hundreds_of_parts_come_back() -> None:
    round_trip(dust(250), random_mesh_coder(0))


def test_what_parts_take_is_the_message() -> None:
    """The bits that are counted are the bytes that are written, but for what an arithmetic coder loses."""
    coder, mesh = random_mesh_coder(2), sheet(9, 8)
    message = coder.encode(mesh, sides_of(mesh))
    bits = coder.bits(mesh, sides_of(mesh))
    assert sum(bits.values()) / 8 == pytest.approx(len(message), abs=2)
    assert bits["head"] == 10


def test_arrays_hold_a_coder() -> None:
    coder, mesh = random_mesh_coder(3), sheet(3, 3)
    again = MeshCoder.from_arrays(coder.to_arrays())
    assert again.encode(mesh, sides_of(mesh)) == coder.encode(mesh, sides_of(mesh))
    arrays = coder.to_arrays()
    with pytest.raises(ValueError, match="network gate has the shapes"):
        MeshCoder.from_arrays({**arrays, "gate.weights.0": arrays["gate.weights.0"][1:]})
    with pytest.raises(ValueError, match="arrays of the shapes"):
        MeshCoder.from_arrays({**arrays, "ranks": arrays["ranks"][:, 1:]})


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (grid_mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [3, 3, 3]], [[0, 1, 2]]), "vertices without faces"),
        (grid_mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 1], [0, 1, 2]]), "a vertex twice"),
        (grid_mesh([[0, 0, 0], [1, 0, 0], [0, 0, 0]], [[0, 1, 2]]), "two vertices in one place"),
        (grid_mesh([[0, 0, 0], [9, 0, 0], [0, -1, 0]], [[0, 1, 2]]), "outside of the grid"),
        (GridMesh(np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3), dtype=np.int64), 6), "0 faces"),
    ],
)
def test_what_is_no_mesh_of_the_grid_is_refused(mesh: GridMesh, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        random_mesh_coder(0).encode(mesh, np.array([9, 9, 9]))


def test_the_message_of_random_networks_is_pinned() -> None:
    """Bytes that every machine must give: whatever changes them makes written files unreadable."""
    mesh = sheet(4, 3, seed=5)
    assert random_mesh_coder(1).encode(mesh, sides_of(mesh)).hex() == PINNED


@pytest.mark.parametrize("shape", SHAPES)
def test_the_message_of_every_shape_is_pinned(shape: str) -> None:
    """A round trip cannot see what encoder and decoder change alike."""
    mesh = SHAPES[shape]
    message = random_mesh_coder(1).encode(mesh, sides_of(mesh))
    assert hashlib.sha256(message).hexdigest()[:16] == PINNED_SHAPES[shape]


DECODE_GOLDEN = """
import sys
import numpy as np
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder
entry = Registry().find_mesh_coder(bytes.fromhex(sys.argv[1]))
positions, faces, _ = load_mesh_coder(entry).decode(bytes.fromhex(sys.argv[2]), 24, np.array([16, 12, 3]))
assert "torch" not in sys.modules
print(positions[faces].tolist())
"""


def test_the_message_of_the_shipped_networks_is_pinned_and_needs_no_torch() -> None:
    mesh = sheet(4, 3, seed=5)
    coder = load_mesh_coder(Registry().find_mesh_coder(bytes.fromhex(SHIPPED)))
    assert coder.encode(mesh, sides_of(mesh)).hex() == GOLDEN
    done = python("-c", DECODE_GOLDEN, SHIPPED, GOLDEN)
    assert done.returncode == 0, done.stderr
    corners = np.array(json.loads(done.stdout)).reshape(-1, 3)
    decoded = oriented_faces(corners, np.arange(len(corners)).reshape(-1, 3))
    assert decoded == oriented_faces(mesh.positions, mesh.faces)


# ---- hostile bytes


def test_more_faces_than_bytes_hold_are_refused_first() -> None:
    coder, sides = random_mesh_coder(0), np.array([63, 63, 63])
    assert most_faces(b"") == 64 * 64
    assert most_faces(bytes(1 << 17)) == 65535
    for faces in (0, 64 * 64 + 1, 65535):
        with pytest.raises(CorruptFileError, match=f"announces {faces} faces, which 0 bytes do not hold"):
            coder.decode(b"", faces, sides)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["sheet", "fan", "apart", "bow tie"])
def test_damage_is_refused_or_decodes_to_as_many_faces(shape: str) -> None:
    """Every truncation, and a flip of every bit; whatever decodes is the message of those very symbols."""
    coder, mesh = random_mesh_coder(1), SHAPES[shape]
    sides = sides_of(mesh)
    message = coder.encode(mesh, sides)
    damaged = [message[:length] for length in range(len(message))]
    damaged += [message + b"\0", message + b"\x01"]
    for bit in range(0, 8 * len(message), 7):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        try:
            positions, faces, _ = coder.decode(data, len(mesh.faces), sides)
        except CorruptFileError:
            refused += 1
            continue
        assert faces.shape == mesh.faces.shape
        assert ((positions >= 0) & (positions <= sides)).all()
    assert refused > len(message)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40), st.integers(1, 200))
def test_any_bytes_decode_or_are_refused(message: bytes, faces: int) -> None:
    try:
        positions, found, _ = random_mesh_coder(3).decode(message, faces, np.array([63, 20, 7]))
    except CorruptFileError:
        return
    assert len(found) == faces
    assert len(np.unique(positions, axis=0)) == len(positions)


# ---- payloads


def test_a_payload_says_bits_and_crease() -> None:
    coder = random_mesh_coder(1)
    mesh = GridMesh(TETRAHEDRON.positions, TETRAHEDRON.faces, 9, 5)
    payload = pack_mesh(mesh, coder, sides_of(mesh))
    assert payload[0] == 0x55
    assert payload_kind(payload) == (9, 5, False)
    decoded = unpack_mesh(payload, 4, coder, sides_of(mesh))
    assert (decoded.bits, decoded.crease) == (9, 5)
    assert oriented_faces(decoded.positions, decoded.faces) == oriented_faces(mesh.positions, mesh.faces)
    with pytest.raises(ValueError, match="13 bits"):
        pack_mesh(GridMesh(mesh.positions, mesh.faces, 13), coder, sides_of(mesh))


@pytest.mark.parametrize("payload", [b"", b"\xd0", b"\xff"])
def test_an_unknown_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(CorruptFileError):
        payload_kind(payload)


PINNED = "2602d604fae1c2e4264b9ce41203157f70004a1cd2f8cf4edeb9c86209553a437b"
SHIPPED = "028d2bcc"
GOLDEN = "260513be6ab7adac21fdcb86fbefee7938"
PINNED_SHAPES = {
    "tetrahedron": "7c0aa855ca8800c3",
    "triangle": "bfb43d8565a3eec7",
    "fan": "f4e9347769181ed7",
    "flipped": "f352cd9d48a38bed",
    "double": "3e794147b5c975e6",
    "bow tie": "82ee74760dad1428",
    "apart": "b17c10d658411003",
    "moebius": "6b0bf9ffef165fb4",
    "sheet": "c08be655d25e5dd2",
    "dust": "716facc807ed3c61",
    "soup": "d248192c88be4250",
    "closed": "2df4aba51b6f8aeb",
}
