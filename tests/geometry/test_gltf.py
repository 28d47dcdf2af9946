"""glTF files: containers, buffers, accessors and primitives."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gltf_files import (
    BOX,
    BOX_FACES,
    BRACKET,
    BRACKET_FACES,
    CAP_FANS,
    SIDE_STRIP,
    GltfFile,
    assert_brackets,
    corners,
    glb_of,
    loaded,
)

from meshcodec.errors import BadMeshError
from meshcodec.geometry.gltf.primitives import triangulated
from meshcodec.geometry.io import load_mesh

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype=np.float64)


def bracket_file() -> GltfFile:
    file = GltfFile()
    file.bracket()
    return file


def refused(data: bytes, words: str, kind: str = "glb", **limits: int) -> None:
    with pytest.raises(BadMeshError, match=words):
        loaded(data, kind, **limits)


# ---- containers


@pytest.mark.parametrize("kind", ["glb", "gltf"])
def test_the_first_bytes_tell_a_glb_whatever_its_name(kind: str) -> None:
    assert_brackets(loaded(bracket_file().glb(), kind), low=(0, 0, 0))
    assert_brackets(loaded(bracket_file().gltf(), kind), low=(0, 0, 0))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_in_other_encodings(encoding: str) -> None:
    assert_brackets(loaded(bracket_file().gltf().decode().encode(encoding), "gltf"))


def test_chunks_of_other_types_are_skipped() -> None:
    whole = bracket_file().glb()
    length = int.from_bytes(whole[12:16], "little")
    text, blob = whole[20 : 20 + length], whole[28 + length :]
    for chunks in (
        [(b"JSON", text), (b"BIN\0", blob), (b"ODD\0", b"more")],
        [(b"JSON", text), (b"ODD\0", b"more"), (b"BIN\0", blob)],
        [(b"JSON", text.rstrip() + b"\0" * 3), (b"BIN\0", blob)],
    ):
        assert_brackets(loaded(glb_of(*chunks)))
    assert_brackets(loaded(whole + b"signature"))
    assert_brackets(loaded(whole[:8] + bytes(4) + whole[12:]))  # the length of the whole is not needed
    refused(glb_of((b"JSON", text)), "its buffer 0 has no data")
    refused(glb_of((b"BIN\0", blob)), "a GLB without JSON")
    refused(whole[:-1], "cut short")
    refused(whole[: 20 + length // 2], "cut short")


def test_versions() -> None:
    for asset in ({"version": "1.0"}, {}, {"version": "2.1"}, {"version": "2.0", "minVersion": "2.0"}, None):
        file = bracket_file()
        file.tree["asset"] = asset
        assert_brackets(loaded(file.glb()))
    del file.tree["asset"]
    assert_brackets(loaded(file.glb()))
    for asset, version in (({"version": "3.0"}, "3.0"), ({"version": "2.1", "minVersion": "2.1"}, "2.1")):
        file.tree["asset"] = asset
        refused(file.glb(), f"it is glTF {version}; export it as glTF 2.0")


def test_gltf_1_is_refused_in_one_line() -> None:
    old = {
        "asset": {"version": "1.0"},
        "meshes": {"m": {"primitives": []}},
        "nodes": {"n": {"meshes": ["m"]}},
    }
    for data in (json.dumps(old).encode(), bracket_file().glb(version=1)):
        refused(data, r"^stream: it is glTF 1\.0; convert it to glTF 2\.0")


def test_extensions_that_are_required_and_not_known_are_refused_by_name() -> None:
    file = bracket_file()
    file.tree["extensionsRequired"] = [
        "KHR_materials_unlit",
        "KHR_texture_transform",
        "KHR_mesh_quantization",
    ]
    assert_brackets(loaded(file.glb()))
    file.tree["extensionsUsed"] = file.tree["extensionsRequired"] + ["CESIUM_RTC"]
    assert_brackets(loaded(file.glb()))
    file.tree["extensionsRequired"].append("CESIUM_RTC")
    refused(
        file.glb(), "requires the glTF extension 'CESIUM_RTC', which is not known here; export it without"
    )


# ---- buffers


@pytest.mark.parametrize(
    "head", ["data:application/octet-stream;base64,", "data:;base64,", "DATA:application/gltf-buffer;BASE64,"]
)
def test_data_uris(head: str) -> None:
    file = bracket_file()
    plain = base64.b64encode(file.blob).decode()
    broken = "\n".join(plain[start : start + 60] for start in range(0, len(plain), 60))
    url_safe = base64.urlsafe_b64encode(file.blob).decode()
    for text in (plain, plain.rstrip("="), broken, url_safe):
        assert_brackets(loaded(file.gltf(head + text), "gltf"))
    refused(file.gltf(head + plain[:-8] + "!!!!"), "not a readable gltf", "gltf")
    refused(file.gltf(head + plain[: len(plain) // 2]), "reaches beyond", "gltf")
    refused(file.gltf("data:text/plain," + plain), "not base64", "gltf")


@pytest.mark.parametrize(
    "head", ["data:;base64,", "data:application/octet-stream ; base64,", "data:a/b; BASE64 ,"]
)
def test_data_uris_may_have_spaces_and_percent_signs(head: str) -> None:
    file = bracket_file()
    plain = base64.b64encode(file.blob).decode()
    some = plain.replace("A", "%41").replace("/", "%2F").replace("+", "%2b").replace("=", "%3D")
    for text in (plain, some, "".join(f"%{ord(digit):02x}" for digit in plain)):
        assert_brackets(loaded(file.gltf(head + text), "gltf"))


@pytest.mark.parametrize(
    "head", ["data:,", "data:application/octet-stream,", "data:text/plain;charset=base64,"]
)
def test_data_uris_of_bytes(head: str) -> None:
    """Percent-encoded, each byte or only those that need it; as many as the buffer has."""
    file = bracket_file()
    every = "".join(f"%{byte:02X}" for byte in file.blob)
    for text in (every, every.lower(), quote(bytes(file.blob))):
        assert_brackets(loaded(file.gltf(head + text), "gltf"))
    refused(
        file.gltf(head + every[:-3]), "a data URI that is not base64, nor the bytes of its buffer", "gltf"
    )


def test_a_data_uri_in_a_glb_is_its_buffer() -> None:
    file = bracket_file()
    text = file.gltf()
    assert_brackets(loaded(glb_of((b"JSON", text), (b"BIN\0", bytes(len(file.blob))))))


def test_names_of_buffers(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, uri in (
        ("a b.bin", "a%20b.bin"),
        ("a%20c.bin", "a%20c.bin"),
        ("sub/d.bin", "sub\\\\d.bin"),
        ("e.bin", "./e.bin"),
        ("f\u00e9.bin", "f%C3%A9.bin"),
        ("g.bin", "g.bin?v=2"),
        ("h 1.bin", "h%201.bin?v=2#here"),
        ("i#1.bin", "i%231.bin"),
        ("j#1.bin", "j#1.bin"),
    ):
        file = bracket_file()
        (tmp_path / name).write_bytes(file.blob)
        path = tmp_path / "model.gltf"
        path.write_bytes(file.gltf("URI").replace(b"URI", uri.encode()))
        assert_brackets(load_mesh(path))


def test_names_that_are_not_utf_8_are_passed_over() -> None:
    file = bracket_file()
    file.tree["nodes"][0]["name"] = "NAME"
    assert_brackets(loaded(file.glb().replace(b"NAME", b"caf\xe9")))
    assert_brackets(loaded(b"\xef\xbb\xbf" + file.gltf().replace(b"NAME", b"caf\xe9"), "gltf"))


# ---- accessors


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "u4"])
def test_normalized_and_plain_integers(dtype: str) -> None:
    largest = int(np.iinfo(dtype).max)
    steps = np.rint(BRACKET / 4 * largest)
    for normalized, factor in ((True, 4.0), (False, 4.0 / largest)):
        file = GltfFile()
        positions = file.accessor(steps, dtype, normalized=normalized)
        file.mesh(file.primitive(positions, BRACKET_FACES))
        file.node(mesh=0, scale=[factor] * 3, translation=[10, 0, 0])
        mesh = loaded(file.glb())
        expected = (steps / largest * 4 + [10, 0, 0])[BRACKET_FACES]
        np.testing.assert_allclose(corners(mesh), expected, rtol=0, atol=1e-9)


def test_normalized_integers_are_not_below_minus_one() -> None:
    for dtype in ("i1", "i2"):
        lowest, largest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        file = GltfFile()
        points = [[lowest, 0, 0], [largest, 0, 0], [0, largest, 0]]
        file.node(mesh=file.mesh(file.primitive(file.accessor(points, dtype, normalized=True))))
        np.testing.assert_array_equal(corners(loaded(file.glb())), [[[-1, 0, 0], [1, 0, 0], [0, 1, 0]]])


def test_interleaved_attributes_have_a_stride() -> None:
    file = GltfFile()
    rows = np.zeros(12, dtype=[("odd", "u1"), ("position", "<f4", 3), ("normal", "<f4", 3)])
    rows["position"], rows["odd"] = BRACKET, 255
    view = file.view(rows.tobytes(), byteStride=rows.dtype.itemsize)
    positions = file.accessor(BRACKET, bufferView=view, byteOffset=1)
    file.node(mesh=file.mesh(file.primitive(positions, BRACKET_FACES)))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


@pytest.mark.parametrize("index", ["u1", "u2", "u4"])
def test_sparse_values_replace_those_of_the_buffer_or_zeros(index: str) -> None:
    file = GltfFile()
    moved = BOX.copy()
    moved[[1, 7]] = [[-1, -1, 5], [2, 2, 2]]
    base = file.view(BOX.astype("<f4").tobytes())
    over = file.add("accessors", **file.sparse(8, [1, 7], moved[[1, 7]], index, bufferView=base))
    file.node(mesh=file.mesh(file.primitive(over, BOX_FACES)))
    np.testing.assert_array_equal(corners(loaded(file.glb())), moved[BOX_FACES])

    file = GltfFile()
    zeros = BRACKET.copy()
    alone = file.add("accessors", **file.sparse(12, np.arange(1, 12), zeros[1:], index))
    file.node(mesh=file.mesh(file.primitive(alone, BRACKET_FACES)))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_sparse_indices_of_corners() -> None:
    file = GltfFile()
    wrong = BRACKET_FACES.ravel().copy()
    wrong[[3, 8]] = 0
    named = file.accessor(wrong, "u1")
    values = file.view(BRACKET_FACES.ravel()[[3, 8]].astype("u1").tobytes())
    places = file.view(np.array([3, 8], dtype="u1").tobytes())
    file.tree["accessors"][named]["sparse"] = {
        "count": 2,
        "indices": {"bufferView": places, "componentType": 5121},
        "values": {"bufferView": values},
    }
    file.node(mesh=file.mesh(file.primitive(BRACKET) | {"indices": named}))
    assert_brackets(loaded(file.glb()))


def test_an_accessor_without_a_view_is_zeros() -> None:
    file = GltfFile()
    zeros = file.add("accessors", componentType=5126, count=12, type="VEC3")
    file.node(mesh=file.mesh(file.primitive(zeros, BRACKET_FACES)))
    refused(file.glb(), "zero extent")


# ---- primitives


@given(
    st.lists(st.integers(0, 5) | st.just(255), max_size=40),
    st.sampled_from([5, 6]),
)
def test_strips_and_fans_are_the_triangles_of_the_specification(numbers: list[int], mode: int) -> None:
    expected = []
    runs: list[list[int]] = [[]]
    for number in numbers:
        if number == 255:
            runs.append([])
        else:
            runs[-1].append(number)
    for v in runs:
        for i in range(len(v) - 2):
            if mode == 6:
                expected.append([v[0], v[i + 1], v[i + 2]])
            else:
                a, b = v[i + 1 + i % 2], v[i + 2 - i % 2]
                expected.append([v[i], a, b])
    found = triangulated(np.array(numbers, dtype=np.int64), mode, 255)
    assert found.tolist() == expected


def test_a_bracket_of_strips_and_fans() -> None:
    file = GltfFile()
    positions = file.accessor(BRACKET)
    caps = [file.primitive(positions, fan, mode=6) for fan in CAP_FANS]
    file.node(mesh=file.mesh(*caps, file.primitive(positions, SIDE_STRIP, mode=5)))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_strips_that_repeat_corners_or_begin_anew() -> None:
    one, other = SIDE_STRIP[:7], SIDE_STRIP[5:]  # the other begins with a triangle that is turned
    for joined in ([*one, one[-1], other[0], *other], [*SIDE_STRIP[:8], 65535, *SIDE_STRIP[6:]]):
        file = GltfFile()
        positions = file.accessor(BRACKET)
        caps = [file.primitive(positions, fan, mode=6) for fan in CAP_FANS]
        file.node(mesh=file.mesh(*caps, file.primitive(positions, joined, mode=5)))
        assert_brackets(loaded(file.glb()))


def test_primitives_without_indices() -> None:
    file = GltfFile()
    soup = np.concatenate([BRACKET[BRACKET_FACES].reshape(-1, 3), TRIANGLE[:2]])  # two corners are left over
    strip = file.primitive(BRACKET[SIDE_STRIP], mode=5)
    fans = [file.primitive(BRACKET[fan], mode=6) for fan in CAP_FANS]
    file.node(mesh=file.mesh(file.primitive(soup)))
    file.node(mesh=file.mesh(strip, *fans))
    assert_brackets(loaded(file.glb()), count=2)


def test_points_lines_and_primitives_without_positions_are_passed_over() -> None:
    file = GltfFile()
    lines = [file.primitive(TRIANGLE + 50, [0, 1, 2], mode=mode) for mode in range(4)]
    nothing = {"attributes": {"_X": 0}}
    file.node(mesh=file.mesh(nothing, *lines, file.primitive(BRACKET, BRACKET_FACES), {"attributes": {}}))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))
    file.tree["meshes"][0]["primitives"] = lines
    refused(file.glb(), "no faces: a point cloud of 12 points")
    file.tree["meshes"][0]["primitives"] = [nothing]
    refused(file.glb(), "it has no faces; give a mesh")
    file.tree["meshes"][0]["primitives"] = [file.primitive(TRIANGLE, mode=7)]
    refused(file.glb(), "a primitive of mode 7")


def test_parts_that_share_many_vertices_cost_their_faces() -> None:
    """A thousand materials of one model name one accessor of all its vertices."""
    file = GltfFile()
    positions = file.accessor(np.concatenate([BRACKET, np.full((200_000, 3), np.nan)]))
    parts = [file.primitive(positions, BRACKET_FACES[n % 20]) for n in range(1000)]
    file.node(mesh=file.mesh(*parts))
    mesh = loaded(file.glb())
    assert len(mesh.faces) == 1000
    np.testing.assert_allclose(float(mesh.area), 40 * 50, rtol=1e-6)


def test_a_part_cannot_borrow_vertices_of_the_next() -> None:
    file = GltfFile()
    file.node(mesh=file.mesh(file.primitive(TRIANGLE, [0, 1, 3]), file.primitive(BRACKET, BRACKET_FACES)))
    refused(file.glb(), "vertices that it does not have")


# ---- what is refused


@pytest.mark.parametrize(
    ("collection", "entry", "words"),
    [
        ("nodes", {"mesh": -1}, "whole number"),
        ("nodes", {"mesh": 1}, "number 1 of its meshes, of which there are 1"),
        ("nodes", {"mesh": 0.5}, "whole number"),
        ("nodes", {"mesh": 0, "children": [-1]}, "whole number"),
        ("nodes", {"mesh": 0, "scale": [1, 2]}, "2 numbers where 3 belong"),
        ("nodes", {"mesh": 0, "matrix": [1, 0, 0]}, "3 numbers where 16 belong"),
        ("nodes", {"mesh": 0, "rotation": "north"}, "not a readable glb"),
        ("nodes", 7, "its JSON is not built as glTF 2.0 has it"),
        ("nodes", {"mesh": 0, "children": 3}, "its JSON is not built as glTF 2.0 has it"),
        ("meshes", {}, "its JSON lacks 'primitives'"),
        ("bufferViews", {"buffer": 0}, "its JSON lacks 'byteLength'"),
        ("accessors", {"bufferView": -1, "componentType": 5126, "count": 12, "type": "VEC3"}, "whole number"),
        ("accessors", {"bufferView": 0, "componentType": 5124, "count": 12, "type": "VEC3"}, "5124"),
        ("accessors", {"bufferView": 0, "componentType": 5126, "count": 12, "type": "VEC9"}, "VEC9"),
        (
            "accessors",
            {"bufferView": 0, "componentType": 5126, "count": 13, "type": "VEC3"},
            "beyond its view",
        ),
        (
            "accessors",
            {"bufferView": 0, "componentType": 5126, "count": 12, "type": "VEC3", "byteOffset": 4},
            "beyond its view",
        ),
        ("bufferViews", {"buffer": 0, "byteLength": 144, "byteStride": 16}, "beyond its view"),
        (
            "bufferViews",
            {"buffer": 0, "byteLength": 144, "byteOffset": 300},
            "beyond the 264 bytes of buffer 0",
        ),
        ("bufferViews", {"buffer": 1, "byteLength": 144}, "number 1 of its buffers"),
        ("scenes", {"nodes": [1]}, "number 1 of its nodes"),
    ],
)
def test_numbers_that_lead_nowhere_are_refused(collection: str, entry: Any, words: str) -> None:
    file = bracket_file()
    file.tree["scenes"] = [{"nodes": [0]}]
    assert_brackets(loaded(file.glb()))
    file.tree[collection][0] = entry
    refused(file.glb(), words)


def test_a_sparse_value_of_no_element_is_refused() -> None:
    for places, words in (([0, 12], "sparse value for element 12 of 12"), (range(13), "13 sparse values")):
        file = GltfFile()
        values = np.ones((len(places), 3))
        file.node(mesh=file.mesh(file.primitive(file.add("accessors", **file.sparse(12, places, values)))))
        refused(file.glb(), words)


def test_indices_that_are_fractions_are_refused() -> None:
    file = GltfFile()
    made = file.primitive(BRACKET)
    made["indices"] = file.accessor(BRACKET_FACES.ravel(), "f4")
    file.node(mesh=file.mesh(made))
    refused(file.glb(), "fractions where whole numbers belong")
