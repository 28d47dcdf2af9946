"""Compressed glTF: streams of meshoptimizer, meshes of Draco."""

from __future__ import annotations

import base64
import importlib.util
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from support.gltf_files import (
    BRACKET,
    BRACKET_FACES,
    CAP_FANS,
    SIDE_STRIP,
    GltfFile,
    assert_brackets,
    loaded,
)

from meshcodec.errors import BadMeshError
from meshcodec.geometry.gltf.compression import decode_meshopt

NAMES = ["EXT_meshopt_compression", "KHR_meshopt_compression"]
find_spec = importlib.util.find_spec


def refused(data: bytes, words: str, **limits: int) -> None:
    with pytest.raises(BadMeshError, match=words):
        loaded(data, "glb", **limits)


# ---- meshoptimizer


class Packed:
    """What becomes a compressed buffer view: its stream, and how that is described."""

    def __init__(self, values: ArrayLike, dtype: str, mode: str = "ATTRIBUTES", **more: Any) -> None:
        meshoptimizer = pytest.importorskip("meshoptimizer")
        table = np.array(values).astype(f"<{dtype}")
        self.raw = table.tobytes()
        self.count, self.mode, self.more = len(table), mode, more
        self.stride = table.nbytes // len(table)
        if mode == "ATTRIBUTES":
            self.stream = meshoptimizer.encode_vertex_buffer(table, len(table), self.stride)
        elif mode == "TRIANGLES":
            self.stream = meshoptimizer.encode_index_buffer(table.astype("u4"))
        else:
            self.stream = meshoptimizer.encode_index_sequence(table.astype("u4"))

    def view(self, file: GltfFile, name: str = NAMES[0], **changes: Any) -> int:
        """A view of the values, compressed; where they would lie uncompressed, buffer 1 has nothing."""
        start = len(file.blob) + -len(file.blob) % 4
        file.blob += bytes(start - len(file.blob)) + self.stream
        if not file.more_buffers:
            file.more_buffers = [{"byteLength": 0, "extensions": {name: {"fallback": True}}}]
        packed: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": start,
            "byteLength": len(self.stream),
            "byteStride": self.stride,
        }
        packed |= {"count": self.count, "mode": self.mode, **self.more, **changes}
        place = {"buffer": 1, "byteOffset": 0, "byteLength": len(self.raw)}
        if self.mode == "ATTRIBUTES":
            place["byteStride"] = self.stride
        return file.add("bufferViews", **place, extensions={name: packed})


def indexed_bracket(file: GltfFile, positions: int, index: str, name: str = NAMES[0]) -> int:
    corners = Packed(BRACKET_FACES.ravel(), index, "TRIANGLES").view(file, name)
    made = file.primitive(positions)
    made["indices"] = file.accessor(BRACKET_FACES.ravel(), index, bufferView=corners)
    return file.mesh(made)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("index", ["u2", "u4"])
def test_compressed_floats_and_triangles(name: str, index: str) -> None:
    file = GltfFile()
    view = Packed(BRACKET, "f4").view(file, name)
    positions = file.accessor(BRACKET, bufferView=view)
    file.node(mesh=indexed_bracket(file, positions, index, name))
    file.tree["extensionsRequired"] = [name]
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_compressed_integers_of_a_stride() -> None:
    """As gltfpack writes them: 16-bit positions padded to 8 bytes, behind a node that scales them back."""
    file = GltfFile()
    steps = np.zeros((12, 4))
    steps[:, :3] = BRACKET * 4000
    view = Packed(steps, "u2").view(file)
    positions = file.accessor(steps[:, :3], "u2", bufferView=view)
    file.node(mesh=indexed_bracket(file, positions, "u2"), scale=[1 / 4000] * 3, translation=[1, 2, 3])
    assert_brackets(loaded(file.glb()), low=(1, 2, 3))


@pytest.mark.parametrize("index", ["u2", "u4"])
def test_compressed_strips_and_fans(index: str) -> None:
    file = GltfFile()
    parts = []
    positions = file.accessor(BRACKET)
    for mode, order in ((6, CAP_FANS[0]), (6, CAP_FANS[1]), (5, SIDE_STRIP)):
        view = Packed(order, index, "INDICES").view(file)
        made = file.primitive(positions, mode=mode)
        parts.append(made | {"indices": file.accessor(order, index, bufferView=view)})
    file.node(mesh=file.mesh(*parts))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_the_exponential_filter() -> None:
    exponents = np.tile([-4, -10, 0], (12, 1))
    steps = np.rint((BRACKET - [2, 0, 0]) / 2.0**exponents).astype(np.int64)
    packed = ((exponents << 24) | (steps & 0xFFFFFF)).astype(np.int64) & 0xFFFFFFFF
    file = GltfFile()
    view = Packed(packed, "u4", filter="EXPONENTIAL").view(file)
    positions = file.accessor(BRACKET, bufferView=view)
    file.node(mesh=indexed_bracket(file, positions, "u2"))
    assert_brackets(loaded(file.glb()), low=(-2, 0, 0))


def packed_quaternion(largest: int, others: list[float], bits: int) -> list[int]:
    """A quaternion as the filter has it: components behind the largest one, in turn, in `bits` bits each."""
    one = (1 << (bits - 1)) - 1
    small = [round(part * np.sqrt(2) * one) for part in others]
    return [*small, (one & ~3) | largest]


def test_the_quaternion_filter_turns_instances() -> None:
    half = float(np.sqrt(0.5))
    turns = [
        packed_quaternion(3, [0, 0, half], 16),  # x y z 0 0 .7, and w: a quarter turn about z
        packed_quaternion(2, [half, 0, 0], 12),  # the same with z as the largest, and w x y behind it
        packed_quaternion(3, [0, 0, 0], 8),
    ]
    file = GltfFile()
    view = Packed(turns, "i2", filter="QUATERNION").view(file)
    rotations = file.accessor(turns, "i2", bufferView=view, normalized=True)
    places = file.accessor([[0, 0, 0], [10, 0, 0], [20, 0, 0]])
    attributes = {"ROTATION": rotations, "TRANSLATION": places}
    file.bracket(extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    mesh = loaded(file.glb())
    assert len(mesh.faces) == 60
    bounds = np.asarray(mesh.vertices).reshape(3, 12, 3)
    np.testing.assert_allclose(bounds.min(axis=1), [[-2, 0, 0], [8, 0, 0], [20, 0, 0]], atol=2e-3)
    np.testing.assert_allclose(bounds.max(axis=1), [[0, 4, 3], [10, 4, 3], [24, 2, 3]], atol=2e-3)


def test_the_filters_give_what_meshoptimizer_gives() -> None:
    meshoptimizer = pytest.importorskip("meshoptimizer")
    rng = np.random.default_rng(0)
    numbers = (rng.integers(-100, 101, 99) << 24) | (rng.integers(-(1 << 23), 1 << 23, 99) & 0xFFFFFF)
    raw = numbers.astype("<i4")
    ours = decode_meshopt(memoryview(Packed(raw, "i4").stream), 4, 99, "ATTRIBUTES", "EXPONENTIAL")
    theirs = meshoptimizer.decode_filter_exp(raw, 99, 4)
    np.testing.assert_array_equal(np.frombuffer(ours, "<f4"), np.asarray(theirs).view("<f4"))

    unit = rng.normal(size=(99, 4))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(axis=1)
    unit *= np.sign(np.take_along_axis(unit, largest[:, None], axis=1))
    rows = [[unit[n, (largest[n] + k) % 4] for k in (1, 2, 3)] for n in range(99)]
    quats = np.array(
        [packed_quaternion(int(m), row, 13) for m, row in zip(largest, rows, strict=True)], "<i2"
    )
    ours = decode_meshopt(memoryview(Packed(quats, "i2").stream), 8, 99, "ATTRIBUTES", "QUATERNION")
    mine = np.frombuffer(ours, "<i2").reshape(-1, 4).astype(int)
    theirs = np.asarray(meshoptimizer.decode_filter_quat(quats, 99, 8)).reshape(-1, 4).astype(int)
    assert np.abs(mine - theirs).max() <= 1
    np.testing.assert_allclose(mine / 32767, unit, atol=1e-3)


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find_spec(name))


def test_without_meshoptimizer_the_fallback_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    file = GltfFile()
    packed = Packed(BRACKET, "f4")
    positions = file.accessor(BRACKET, bufferView=packed.view(file))
    made = file.primitive(positions, BRACKET_FACES)
    file.node(mesh=file.mesh(made))
    assert_brackets(loaded(file.glb()))
    without(monkeypatch, "meshoptimizer")
    refused(file.glb(), "compressed with meshoptimizer; install the Python package meshoptimizer, or export")
    file.more_buffers[0]["uri"] = "data:;base64," + base64.b64encode(packed.raw).decode()
    assert_brackets(loaded(file.glb()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 10**9}, "too short for what it is compressed from"),
        ({"count": 10**9, "byteStride": 0}, "elements of 0 bytes"),
        ({"count": 13}, "too short"),
        ({"byteStride": 6}, "elements of 6 bytes"),
        ({"byteStride": 260, "count": 0}, "elements of 260 bytes"),
        ({"mode": "TRIANGLES", "byteStride": 4, "count": 11}, "11 elements of 4 bytes"),
        ({"mode": "TRIANGLES"}, "elements of 12 bytes"),
        ({"mode": "INDICES", "byteStride": 1}, "elements of 1 bytes"),
        ({"mode": "SPLINES"}, "SPLINES"),
        ({"filter": "OCTAHEDRAL"}, "OCTAHEDRAL"),
        ({"filter": "QUATERNION"}, "QUATERNION"),
        ({"byteLength": 20}, "not a readable glb"),
        ({"byteOffset": 1, "byteLength": 30}, "not a readable glb"),
        ({"buffer": 1}, "its buffer 1 has no data"),
        ({"count": 0}, "beyond its view of 0 bytes"),
    ],
)
def test_streams_that_are_damaged_are_refused(changes: dict[str, Any], words: str) -> None:
    file = GltfFile()
    view = Packed(BRACKET, "f4").view(file, **changes)
    file.node(mesh=file.mesh(file.primitive(file.accessor(BRACKET, bufferView=view), BRACKET_FACES)))
    refused(file.glb(), words)


def test_what_views_decode_to_is_counted_before_they_are_decoded() -> None:
    file = GltfFile()
    view = Packed(BRACKET, "f4").view(file, count=10**9)
    file.tree["bufferViews"][view]["byteLength"] = 12 * 10**9
    file.node(mesh=file.mesh(file.primitive(file.accessor(BRACKET, bufferView=view), BRACKET_FACES)))
    refused(file.glb(), "announce 12000000")


@pytest.mark.parametrize("mode", ["ATTRIBUTES", "TRIANGLES", "INDICES"])
def test_streams_of_noise_are_refused_or_read(mode: str) -> None:
    rng = np.random.default_rng(0)
    whole = Packed(np.arange(48), "u4", mode).stream
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        end = int(rng.integers(0, len(whole) + 1))
        try:
            assert len(decode_meshopt(memoryview(bytes(damaged[:end])), 4, 48, mode, "NONE")) == 192
        except (RuntimeError, ValueError):
            continue


def test_large_indices_do_not_fit_into_small_ones() -> None:
    stream = memoryview(Packed([0, 1, 65536], "u4", "TRIANGLES").stream)
    assert len(decode_meshopt(stream, 4, 3, "TRIANGLES", "NONE")) == 12
    with pytest.raises(ValueError, match="one that is larger"):
        decode_meshopt(stream, 2, 3, "TRIANGLES", "NONE")


# ---- Draco


def draco_file(**attributes: NDArray[Any]) -> GltfFile:
    """The bracket, as Draco compresses it to 14 bits; `attributes` go into the same stream."""
    draco = pytest.importorskip("DracoPy")
    stream = draco.encode(
        BRACKET.astype(np.float32), BRACKET_FACES.astype(np.uint32), preserve_order=True, quantization_bits=14
    )
    (position,) = draco.decode(stream).attributes
    file = GltfFile()
    made = file.primitive(file.add("accessors", componentType=5126, count=12, type="VEC3"))
    made["indices"] = file.add("accessors", componentType=5123, count=60, type="SCALAR")
    packed = {"bufferView": file.view(stream), "attributes": {"POSITION": position["unique_id"]}}
    file.node(mesh=file.mesh(made | {"extensions": {"KHR_draco_mesh_compression": packed}}))
    file.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    return file


def assert_near_brackets(data: bytes, count: int) -> None:
    mesh = loaded(data)
    assert len(mesh.faces) == 20 * count
    np.testing.assert_allclose(float(mesh.volume), 12 * count, rtol=1e-3)
    np.testing.assert_allclose(float(mesh.area), 40 * count, rtol=1e-3)


def test_a_draco_mesh_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    file = draco_file()
    file.tree["meshes"][0]["primitives"] *= 3
    file.node(mesh=0, translation=[9, 0, 0])
    draco = pytest.importorskip("DracoPy")
    decode, calls = draco.decode, []

    def count(data: bytes) -> Any:
        calls.append(len(data))
        return decode(data)

    monkeypatch.setattr(draco, "decode", count)
    assert_near_brackets(file.glb(), count=6)
    assert len(calls) == 1


def test_attributes_beside_a_draco_mesh_are_read() -> None:
    file = draco_file()
    primitive = file.tree["meshes"][0]["primitives"][0]
    primitive["targets"] = [{"POSITION": file.accessor(np.tile([0, 0, 1.0], (12, 1)))}]
    primitive["attributes"] |= {
        "JOINTS_0": file.accessor(np.zeros((12, 4)), "u1"),
        "WEIGHTS_0": file.accessor(np.tile([1.0, 0, 0, 0], (12, 1))),
    }
    file.tree["meshes"][0]["weights"] = [5]
    file.tree["nodes"][0]["skin"] = 0
    file.add("skins", joints=[file.node(translation=[1, 0, 0])])
    mesh = loaded(file.glb())
    np.testing.assert_allclose(np.asarray(mesh.bounds), [[1, 0, 5], [5, 2, 8]], atol=1e-3)


def test_a_draco_mesh_of_more_faces_than_it_announces_is_counted() -> None:
    file = draco_file()
    file.tree["accessors"][1]["count"] = 3
    refused(file.glb(), "more than 19 faces", max_faces=19)


def test_without_draco_what_is_stored_beside_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    file = draco_file()
    file.tree["accessors"][0]["bufferView"] = file.view(BRACKET.astype("<f4").tobytes())
    file.tree["accessors"][1]["bufferView"] = file.view(BRACKET_FACES.astype("<u2").tobytes())
    without(monkeypatch, "DracoPy")
    refused(file.glb(), "install DracoPy")
    del file.tree["extensionsRequired"]
    assert_brackets(loaded(file.glb()))


DRACO_SHORTS = bytes.fromhex(
    "445241434f02020101000000040200020000011fff011101ff00000100030300000101010100"
    "113f01400100fdff00000000fefffeff00000000fdfffeff0100fdfffeff0180ffffff7f0000"
)
"""Two triangles of 16-bit positions, of 32767 and -32767, as Draco compresses them."""
DRACO_NORMALIZED = 31  # byte of the stream that says whether its integers are normalized


@pytest.mark.parametrize("flag", [0, 1])
def test_small_integers_of_draco(flag: int) -> None:
    """glTF-Transform quantizes positions, and then has Draco compress the integers."""
    pytest.importorskip("DracoPy")
    data = DRACO_SHORTS[:DRACO_NORMALIZED] + bytes([flag]) + DRACO_SHORTS[DRACO_NORMALIZED + 1 :]
    for normalized, scale in ((True, 1.0), (False, 1 / 32767)):
        file = GltfFile()
        layout = {"componentType": 5122, "count": 4, "type": "VEC3", "normalized": normalized}
        made = file.primitive(file.add("accessors", **layout))
        made["indices"] = file.add("accessors", componentType=5123, count=6, type="SCALAR")
        packed = {"bufferView": file.view(data), "attributes": {"POSITION": 0}}
        mesh = file.mesh(made | {"extensions": {"KHR_draco_mesh_compression": packed}})
        file.node(mesh=mesh, scale=[scale] * 3)
        found = sorted(tuple(map(float, np.round(row, 6))) for row in np.asarray(loaded(file.glb()).vertices))
        assert found == [(-1, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]


def test_draco_data_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = draco_file()
    packed = file.tree["meshes"][0]["primitives"][0]["extensions"]["KHR_draco_mesh_compression"]
    packed["attributes"]["POSITION"] = 77
    refused(file.glb(), "not a readable glb")
    file.tree["bufferViews"][packed["bufferView"]]["byteLength"] = 20
    refused(file.glb(), "not a readable glb")
    without(monkeypatch, "DracoPy")
    refused(file.glb(), "compressed with Draco; install DracoPy, or export it without compression")
