"""glTF and GLB files: bounds before trimesh reads them, and scenes flattened."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
import trimesh
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import (
    Faces,
    Vertices,
    as_positions,
    check_faces,
    check_indices,
    check_size,
    no_faces_error,
    without_unused,
)

_MOST_JSON_VALUES = 5_000_000  # values in the JSON of a file, each of which becomes an object in memory
_MOST_NODE_STEPS = 10_000_000  # steps from the root to each node, over all nodes: what transforms cost
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}  # by OpenGL's number of a type
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}  # by type
_DRACO = "KHR_draco_mesh_compression"  # extension that needs DracoPy
_TRIANGLES = 4  # mode of a primitive whose indices are triangles one by one
_PLAIN = bytes(range(128)) + b"?" * 128  # table that replaces what is not ASCII


def checked_gltf(data: bytes, kind: str, max_faces: int, max_bytes: int) -> bytes:
    """A glTF whose JSON does not make more of itself than the limits allow; trimesh checks none of this.

    A few hundred bytes of JSON can name the same buffer a million times, or announce accessors with no buffer
    at all.
    """
    start, end = 0, len(data)
    if kind == "glb":
        (length,) = struct.unpack_from("<I", data, 12)
        start, end = 20, min(20 + length, end)
    text = data[start:end]
    if sum(map(text.count, (b",", b"[", b"{"))) > _MOST_JSON_VALUES:
        raise BadMeshError(f"its JSON holds more than {_MOST_JSON_VALUES} values", "simplify the scene first")
    try:
        tree = json.loads(text)
    except UnicodeDecodeError:
        text = text.translate(_PLAIN)  # only names can be in another encoding, and no name is read
        data = data[:start] + text + data[end:]
        tree = json.loads(text)

    accessors = tree.get("accessors", [])
    sizes = [
        [int(view["byteLength"]) for view in tree.get("bufferViews", [])],
        [a["count"] * _COMPONENT_BYTES[a["componentType"]] * _COMPONENTS[a["type"]] for a in accessors],
    ]
    for total, least in ((sum(given), min(given, default=0)) for given in sizes):
        if least < 0 or total > max_bytes:
            raise BadMeshError(
                f"its buffer views or accessors announce {total} bytes, more than {max_bytes}",
                "export it again, or allow more with --max-bytes",
            )
    vertices = faces = 0
    for primitive in (p for mesh in tree.get("meshes", []) for p in mesh["primitives"]):
        if _DRACO in primitive.get("extensions", {}) and importlib.util.find_spec("DracoPy") is None:
            raise BadMeshError(
                "it is compressed with Draco", "install DracoPy, or export it without compression"
            )
        points = accessors[primitive["attributes"]["POSITION"]]["count"]
        corners = accessors[primitive["indices"]]["count"] if "indices" in primitive else points
        vertices += points
        faces += corners // 3 if primitive.get("mode", _TRIANGLES) == _TRIANGLES else corners
        check_faces(faces, max_faces)
        if vertices > 3 * max_faces:
            raise BadMeshError(
                f"its parts have more than {3 * max_faces} vertices",
                "simplify the mesh first, or allow more with --max-faces",
            )
    _check_nodes(tree)
    return data


def _check_nodes(tree: dict[str, Any]) -> None:
    """Refuse nodes that are no tree, and trees so deep that their transforms would take for ever."""
    nodes = tree.get("nodes", [])
    scenes = tree.get("scenes", [])
    level = list(scenes[tree.get("scene", 0)].get("nodes", [])) if scenes else []
    met = bytearray(len(nodes))
    depth = steps = 0
    while level:
        depth += 1
        steps += depth * len(level)
        if steps > _MOST_NODE_STEPS:
            raise BadMeshError("its nodes are nested too deep", "flatten the scene first")
        for node in level:
            if met[node]:
                raise ValueError(f"node {node} lies below itself or below two others")
            met[node] = 1
        level = [child for node in level for child in nodes[node].get("children", [])]


class BufferFolder(trimesh.resolvers.Resolver):  # type: ignore[misc, unused-ignore]
    """Reads the ``.bin`` files of a glTF, and nothing outside the folder that it lies in."""

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        self.folder = folder.resolve() if folder is not None else None
        self.max_bytes = self.left = max_bytes

    def get(self, key: str) -> bytes:
        """The bytes of a file by its URI. ValueError: it cannot be reached, lies outside or is missing."""
        if self.folder is None:
            raise ValueError(f"its buffer {key!r} is another file, which a stream cannot reach")
        path = (self.folder / PurePosixPath(unquote(key))).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(f"its buffer {key!r} lies outside its folder")
        if not path.is_file():
            raise ValueError(f"its buffer {key!r} is missing")
        self.left -= path.stat().st_size  # the same file may be named a thousand times
        check_size(self.max_bytes - self.left, self.max_bytes)
        return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Part of trimesh's interface; a file that is read writes nothing."""
        raise NotImplementedError

    def namespaced(self, namespace: str) -> BufferFolder:
        """Part of trimesh's interface; glTF has no name spaces."""
        raise NotImplementedError

    def keys(self) -> list[str]:
        """Part of trimesh's interface; no file is listed."""
        return []


def flatten(scene: trimesh.Scene, max_faces: int) -> tuple[Vertices, Faces]:
    """One vertex and face array of every mesh instance of a scene, in the scene's frame."""
    instances: list[tuple[NDArray[np.float64], str]] = []
    parts: dict[str, tuple[Vertices, Faces]] = {}
    points = total = 0
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node][0], str(scene.graph[node][1])
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            instances.append((np.asarray(transform, dtype=np.float64), name))
            # Counted before anything is copied: a small file can hold a million instances.
            total += len(geometry.faces)
            check_faces(total, max_faces)
        else:
            points += len(getattr(geometry, "vertices", ()))
    if not instances:
        raise no_faces_error(points)
    vertices, faces = [], []
    offset = 0
    for transform, name in instances:
        if name not in parts:
            corners = np.asarray(scene.geometry[name].faces, dtype=np.int64)
            positions = as_positions(scene.geometry[name].vertices)
            check_indices(corners, len(positions))  # an offset would let them point into the next part
            # Unused vertices are dropped here, or a single face would multiply millions of them.
            parts[name] = without_unused(positions, corners)
        placed, part = parts[name]
        if not np.array_equal(transform, np.eye(4)):
            placed = placed @ transform[:3, :3].T + transform[:3, 3]
            if np.linalg.det(transform[:3, :3]) < 0:
                part = part[:, ::-1]  # a mirror turns every face inside out
        vertices.append(placed)
        faces.append(part + offset)
        offset += len(placed)
    return np.concatenate(vertices), np.concatenate(faces)
