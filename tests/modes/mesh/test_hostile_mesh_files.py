"""Damaged and hostile files of the mesh mode: each is refused, or decodes to a bounded, valid mesh.

All files are encoded here, by networks that know nothing, so that they follow whatever the format becomes.
"""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import trimesh
from support.meshes import grid_mesh, random_mesh_coder, sheet

from meshcodec.errors import CorruptFileError
from meshcodec.format import mesh_coder as coding
from meshcodec.format.container import HEADER_BYTES, PLACEMENT_BYTES, VatFile
from meshcodec.format.grid_copies import Copy
from meshcodec.format.grid_mesh import (
    FLAT,
    MOST_CREASE,
    MOST_FACES,
    GridMesh,
    MeshGrid,
)
from meshcodec.format.mesh_coder import most_faces
from meshcodec.format.mesh_front import Front
from meshcodec.format.range_coder import RangeDecoder
from meshcodec.geometry.io import export_mesh
from meshcodec.modes.mesh.file import mesh_file, placed_surface, read_mesh, surface_of
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder

CODER = random_mesh_coder(1)
MOST_SURFACE = 2000
"""Faces that a Loop surface is subdivided to here."""
HALF_EXTENTS = (1.0, 0.75, 0.5)
CUBE = np.array([[x, y, z] for x in (0, 20) for y in (0, 20) for z in (0, 20)])
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip
MESHES = {
    "flat": sheet(2, 2),
    "loop": GridMesh(CUBE, CUBE_FACES, 6, 5),
    "mirrored": GridMesh(CUBE, CUBE_FACES[(CUBE[CUBE_FACES][:, :, 0] > 0).any(axis=1)], 6, FLAT),
    "parts": GridMesh(
        np.concatenate([CUBE[:4], CUBE[:4] + 1, CUBE[:4] + 11]),
        np.concatenate([CUBE_FACES[:2], CUBE_FACES[:2] + 4, CUBE_FACES[:2] + 8]),
        6,
    ),
    "copies": GridMesh(
        CUBE[:4],
        CUBE_FACES[:2],
        6,
        FLAT,
        (Copy(0, 0, (9, 0, 0)), Copy(0, 0, (9, 20, 0)), Copy(0, 33, (0, 9, 3))),
    ),
    "tangle": grid_mesh(
        [[0, 0, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [0, 20, 0], [30, 1, 1]],
        [[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 1, 5], [0, 2, 1], [2, 3, 4]],
    ),
}


def encoded(name: str) -> bytes:
    """The file of one of MESHES."""
    mesh = MESHES[name]
    grid = MeshGrid((3.0, -7.0, 0.5), HALF_EXTENTS, (name == "mirrored", False, False), mesh.bits)
    file, _ = mesh_file(mesh, grid, CODER.encode(mesh, grid.sides), CODER, b"abcd")
    return file.to_bytes()


def sealed(data: bytes | bytearray) -> bytes:
    """The bytes with a right checksum."""
    at = HEADER_BYTES - 4
    crc = zlib.crc32(data[HEADER_BYTES:], zlib.crc32(bytes(4), zlib.crc32(data[:at])))
    return bytes(data[:at]) + struct.pack("<I", crc) + bytes(data[HEADER_BYTES:])


def flips(data: bytes) -> Iterator[bytes]:
    """The bytes with one bit turned, for each of their bits."""
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


def decoded_or_refused(data: bytes) -> bool:
    """Whether bytes decode, and then to a mesh that is one; anything but CorruptFileError is a fault."""
    try:
        file = VatFile.from_bytes(data)
        if not file.is_mesh:
            return False  # tokens, which are not the business here
        mesh, grid = read_mesh(file, CODER)
        vertices, faces = placed_surface(mesh, grid, MOST_SURFACE)
    except CorruptFileError:
        return False
    assert file.to_bytes() == data  # there is one way to write a file
    assert len(mesh.faces) == file.count
    assert ((mesh.positions >= 0) & (mesh.positions <= grid.sides)).all()
    assert len(np.unique(mesh.positions, axis=0)) == len(mesh.positions)
    assert len(mesh.positions) <= 3 * len(mesh.faces)
    assert 0 < len(faces) <= max(MOST_SURFACE, len(mesh.whole[1]) << sum(file.mirrored))
    assert len(mesh.whole[1]) <= MOST_FACES
    assert (mesh.whole[0] >= 0).all()
    assert (mesh.whole[0] <= grid.sides).all()
    assert (faces.min(), faces.max()) == (0, len(vertices) - 1)
    assert np.isfinite(vertices).all()
    return True


@pytest.mark.parametrize("name", MESHES)
def test_whole_files_decode(name: str) -> None:
    assert decoded_or_refused(encoded(name))


@pytest.mark.parametrize("name", MESHES)
def test_every_truncation_and_every_flipped_bit_is_refused(name: str) -> None:
    data = encoded(name)
    damaged = [data[:length] for length in range(len(data))]
    damaged += [data + b"\0", data + data, *flips(data)]
    for one in damaged:
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(one)


@pytest.mark.slow
@pytest.mark.parametrize("name", MESHES)
def test_damage_under_a_right_checksum_is_refused_or_decodes_to_a_mesh(name: str) -> None:
    """Of header, placement and payload; whoever makes such a file means it."""
    data = encoded(name)
    start = HEADER_BYTES + PLACEMENT_BYTES
    cut = [sealed(data[:length]) for length in range(start, len(data))]
    flipped = [sealed(one) for one in flips(data)]
    # What is left, or a flipped bit makes, may be the whole message of other symbols.
    assert not all(map(decoded_or_refused, cut))
    decodes = sum(map(decoded_or_refused, flipped))
    assert 8 * 4 < decodes < len(flipped)  # whatever the model id says, which is nothing to these networks


@pytest.mark.parametrize("name", ["flat", "loop"])
def test_a_payload_of_an_unknown_kind_is_refused(name: str) -> None:
    data = bytearray(encoded(name))
    outcomes = Counter[bool]()
    for first in range(256):
        data[HEADER_BYTES + PLACEMENT_BYTES] = first
        known = first >> 4 <= MOST_CREASE
        file = VatFile.from_bytes(sealed(data))
        if not known:
            with pytest.raises(CorruptFileError, match=f"unknown kind of mesh 0x{first:02x}"):
                read_mesh(file, CODER)
            with pytest.raises(CorruptFileError, match="unknown kind of mesh"):
                surface_of(file, CODER)
        outcomes[known] += 1
    assert outcomes[True] == 16 * (MOST_CREASE + 1)


def flagged(data: bytes, turned: int) -> bytes:
    """A file some of whose flags are turned."""
    return sealed(data[:4] + bytes([data[4] ^ turned]) + data[5:])


@pytest.mark.parametrize(
    ("turned", "words"),
    [
        (0x10, "need a placement and there is none"),  # its half-extents differ: that stands beside one alone
        (0x20, "are none of a mesh"),  # an iso offset
        (0x01, "unknown packing 3"),
    ],
)
def test_flags_that_contradict_a_mesh_are_refused(turned: int, words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        VatFile.from_bytes(flagged(encoded("flat"), turned))


def test_every_combination_of_flags_is_refused_or_decodes_to_a_mesh() -> None:
    """Other packings, no placement, a box or none, mirrors: none of which the payload was made for."""
    data = encoded("mirrored")
    decoded = {turned for turned in range(256) if decoded_or_refused(flagged(data, turned))}
    assert 0 in decoded
    assert decoded < {
        turned for turned in range(256) if not turned & 0x33
    }  # packing, placement and iso offset


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat", "tangle"])
def test_heads_that_contradict_their_message_are_refused_or_decode(name: str) -> None:
    """A message begins with ten bits of its head: the length of edges, and what the walk may meet."""
    data = bytearray(encoded(name))
    at = HEADER_BYTES + PLACEMENT_BYTES + 1
    outcomes = Counter[bool]()
    for head in range(1 << 10):
        data[at], data[at + 1] = head >> 2, (head & 3) << 6 | data[at + 1] & 63
        outcomes[decoded_or_refused(sealed(data))] += 1
    assert outcomes[True] >= 1
    assert outcomes[False] > 512


def test_more_faces_than_the_bytes_hold_are_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytearray(encoded("flat"))
    message = data[HEADER_BYTES + PLACEMENT_BYTES + 1 :]
    struct.pack_into("<H", data, 9, MOST_FACES)
    hostile = sealed(data)
    assert most_faces(bytes(message)) < MOST_FACES

    def began(*arguments: Any) -> None:
        raise AssertionError("the walk began")

    monkeypatch.setattr(coding, "Conquest", began)
    with pytest.raises(CorruptFileError, match=f"announces {MOST_FACES} faces"):
        surface_of(VatFile.from_bytes(hostile), CODER)  # what is imported and cached at first is not counted
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFileError, match=f"announces {MOST_FACES} faces"):
            surface_of(VatFile.from_bytes(hostile), CODER)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 10


STEPS = 40
"""Symbols of a face and of all that comes with it: three gates, each with a rank or three coordinates, and
what is said of its edges."""


class CountingDecoder(RangeDecoder):
    """Counts what it is asked for."""

    asked = 0

    def decode(self, starts: list[int]) -> int:
        CountingDecoder.asked += 1
        return super().decode(starts)

    def decode_uniform(self, count: int) -> int:
        CountingDecoder.asked += 1
        return super().decode_uniform(count)


def garbage() -> Iterator[bytes]:
    """Messages that announce as many faces as there can be: random, constant, and both after each other."""
    rng = np.random.default_rng(0)
    for number in range(60):
        begin = rng.integers(0, 256, int(rng.integers(2, 100)), dtype=np.uint8).tobytes()
        rest = bytes([(0, 255, number)[number % 3]]) * 120
        yield begin + rest


@pytest.mark.slow
@pytest.mark.parametrize("networks", ["random", "shipped"])
def test_garbage_takes_steps_in_proportion_to_the_faces_it_makes(
    networks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that goes nowhere would go on for ever if a step could be taken without a face."""
    coder = CODER if networks == "random" else load_mesh_coder(Registry().default_mesh_coder())
    made = Counter[str]()
    seed, attach = Front.seed, Front.attach

    def seeding(self: Front, *arguments: Any) -> Any:
        made["faces"] += 1
        return seed(self, *arguments)

    def attaching(self: Front, *arguments: Any) -> Any:
        made["faces"] += 1
        return attach(self, *arguments)

    monkeypatch.setattr(Front, "seed", seeding)
    monkeypatch.setattr(Front, "attach", attaching)
    monkeypatch.setattr(coding, "RangeDecoder", CountingDecoder)
    longest = 0
    for message in garbage():
        made.clear()
        CountingDecoder.asked = 0
        sides = np.array([4095, 4095, 4095])
        try:
            positions, faces, _ = coder.decode(message, most_faces(message), sides)
        except CorruptFileError:
            pass
        else:
            assert len(faces) == most_faces(message)
            assert len(np.unique(positions, axis=0)) == len(positions)
        # Beside those of the faces, what is told of the one that was refused, of a wave and of the head.
        assert CountingDecoder.asked <= STEPS * (made["faces"] + 1) + 2 * 128 + 10
        longest = max(longest, made["faces"])
    print(f"at most {longest} faces")
    assert longest > (10 if networks == "random" else 100)  # some of it goes on for a while


def test_a_decoded_file_can_be_written() -> None:
    """What comes out of a hostile file that decodes is a mesh like any other."""
    data = bytearray(encoded("loop"))
    data[HEADER_BYTES : HEADER_BYTES + 4] = struct.pack(
        "<f", -1e30
    )  # a centre where float32 has no steps left
    vertices, faces = surface_of(VatFile.from_bytes(sealed(data)), CODER, MOST_SURFACE)
    assert export_mesh(trimesh.Trimesh(vertices, faces, process=False), "ply")
