"""A glTF file taken apart: its JSON, checked before anything is made of it, and the binary chunk of a GLB."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from meshcodec.errors import BadMeshError

GEOMETRY_EXTENSIONS = frozenset(
    {
        "KHR_mesh_quantization",
        "KHR_draco_mesh_compression",
        "EXT_meshopt_compression",
        "KHR_meshopt_compression",
        "EXT_mesh_gpu_instancing",
        "EXT_mesh_primitive_restart",
        "BENTLEY_primitive_restart",
        "KHR_node_visibility",
    }
)
"""Extensions that change the geometry and are read."""
HARMLESS_EXTENSIONS = (
    # looks
    "KHR_materials_",
    "EXT_materials_",
    "ADOBE_materials_",
    "BENTLEY_materials_",
    "FB_material",
    "NV_materials_",
    "MOZ_lightmap",
    "KHR_techniques_webgl",
    "KHR_texture_",
    "EXT_texture_",
    "MSFT_texture_",
    "MSFT_packing_",
    "EXT_image_",
    "ADOBE_render_order",
    "KHR_lights_",
    "EXT_lights_",
    "INTEL_lights_",
    # what moves, sounds or answers: the scene at rest is the same
    "KHR_animation_pointer",
    "KHR_audio",
    "MSFT_audio_emitter",
    "KHR_interactivity",
    "KHR_node_hoverability",
    "KHR_node_selectability",
    "KHR_physics_rigid_bodies",
    "KHR_collision_shapes",
    "KHR_implicit_shapes",
    "AGI_articulations",
    "VRM",
    # notes on what is there anyway
    "KHR_xmp",
    "AGI_stk_metadata",
    "EXT_feature_metadata",
    "EXT_structural_metadata",
    "EXT_mesh_features",
    "EXT_instance_features",
    "EXT_mesh_manifold",
    "EXT_mesh_primitive_edge_visibility",
    "CESIUM_primitive_outline",
    "FB_geometry_metadata",
    "FB_ngon_encoding",
    "GODOT_single_root",
    "MSFT_lod",
    # points, which are passed over
    "KHR_gaussian_splatting",
)
"""Beginnings of the names of extensions without which the triangles of a file are the same."""
_MOST_JSON_VALUES = 5_000_000  # values in the JSON of a file, each of which becomes an object in memory
_MOST_CHUNKS = 1000  # chunks of a GLB that are looked at for its JSON and its binary data
_COLLECTIONS = ("scenes", "nodes", "meshes", "accessors", "bufferViews", "buffers")
_FALLBACK_TEXT = ("utf-8", "surrogateescape")  # keeps bytes that are not UTF-8; they may name a buffer's file


@dataclass(frozen=True)
class Document:
    """The JSON of a glTF file, and the data of its first buffer where the file is a GLB that holds them."""

    tree: dict[str, Any]
    chunk: memoryview | None

    def items(self, collection: str) -> list[Any]:
        """All entries of a collection, such as ``nodes``; none where the file lacks it."""
        found = self.tree.get(collection)
        if found is None:
            return []
        if not isinstance(found, list):
            raise ValueError(f"its {collection} are no list")
        return found

    def item(self, collection: str, index: object) -> dict[str, Any]:
        """The entry that an index names. ValueError: there is none."""
        number, items = whole(index), self.items(collection)
        if number >= len(items):
            raise ValueError(f"it names number {number} of its {collection}, of which there are {len(items)}")
        found = items[number]
        if not isinstance(found, dict):
            raise ValueError(f"number {number} of its {collection} is no object")
        return found


def extension_of(thing: dict[str, Any], name: str) -> dict[str, Any] | None:
    """What an extension says of a node, a primitive or a buffer view; None where it says nothing."""
    found = (thing.get("extensions") or {}).get(name)
    return found if isinstance(found, dict) else None


def whole(value: object) -> int:
    """A number of the JSON as an index, a count or an offset. ValueError: it is no whole number from 0 up."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"it has {str(value)[:40]!r} where a whole number from 0 up belongs")
    return number


def read_document(data: bytes) -> Document:
    """A ``.glb`` or ``.gltf`` file, told apart by its first bytes, as a document.

    Raises
    ------
    BadMeshError
        glTF of another version than 2, an extension that is required and not known, or JSON with more than
        5 000 000 values.
    ValueError
        What is no JSON object, or a GLB that is cut short.
    """
    text, chunk = _glb_chunks(data) if data[:4] == b"glTF" else (data, None)
    if sum(map(text.count, (b",", b"[", b"{"))) > _MOST_JSON_VALUES:
        raise BadMeshError(f"its JSON holds more than {_MOST_JSON_VALUES} values", "simplify the scene first")
    try:
        tree = json.loads(text)  # with or without a byte order mark
    except UnicodeDecodeError:
        tree = json.loads(text.decode(*_FALLBACK_TEXT).removeprefix("\ufeff"))
    if not isinstance(tree, dict):
        raise ValueError("its JSON is no object")
    _check_version(tree)
    for name in tree.get("extensionsRequired") or []:
        if name not in GEOMETRY_EXTENSIONS and not str(name).startswith(HARMLESS_EXTENSIONS):
            raise BadMeshError(
                f"it requires the glTF extension {str(name)[:60]!r}, which is not known here",
                "export it without that extension",
            )
    return Document(tree, chunk)


def _glb_chunks(data: bytes) -> tuple[bytes, memoryview | None]:
    """JSON and binary data of a GLB ("GLB File Format Specification"); chunks of other types are skipped."""
    if len(data) < 12:
        raise ValueError("it is cut short: a GLB has a header of 12 bytes")
    (version,) = struct.unpack_from("<I", data, 4)
    if version == 1:
        raise _old_error()
    if version != 2:
        raise ValueError(f"a GLB container of version {version}")
    text: bytes | None = None
    start = 12
    for _ in range(_MOST_CHUNKS):
        if start + 8 > len(data):
            break
        length, kind = struct.unpack_from("<I4s", data, start)
        start, end = start + 8, start + 8 + length
        if end > len(data):
            raise ValueError(
                f"it is cut short: a chunk announces {length} bytes, {len(data) - start} are there"
            )
        if kind == b"JSON" and text is None:
            text = data[start:end].rstrip(b"\0")  # some exporters pad with zeros in place of spaces
        elif kind == b"BIN\0" and text is not None:
            return text, memoryview(data)[start:end]
        start = end
    if text is None:
        raise ValueError("a GLB without JSON")
    return text, None


def _check_version(tree: dict[str, Any]) -> None:
    """Refuse what is not glTF 2.

    glTF 1 keeps its collections in objects, by name. That tells it, rather than the version that a file
    announces: some exporters write 1.0, or none, above glTF 2.
    """
    if any(isinstance(tree.get(name), dict) for name in _COLLECTIONS):
        raise _old_error()
    asset = tree.get("asset")
    version = asset.get("minVersion", asset.get("version")) if isinstance(asset, dict) else None
    major, _, minor = str(version).partition(".")
    newer = "minVersion" in (asset or {}) and minor not in ("", "0")
    if major.isdecimal() and (int(major) > 2 or (int(major) == 2 and newer)):
        raise BadMeshError(f"it is glTF {major}.{minor}", "export it as glTF 2.0")


def _old_error() -> BadMeshError:
    return BadMeshError("it is glTF 1.0", "convert it to glTF 2.0, or export it again")
