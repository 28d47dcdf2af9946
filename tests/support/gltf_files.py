"""glTF files for tests, put together piece by piece, and a bracket whose measures are known."""

from __future__ import annotations

import base64
import io
import json
import struct
from itertools import pairwise
from typing import Any

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from meshcodec.geometry.io import load_mesh

_COMPONENT_TYPES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
_NAMES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}

_OUTLINE = [(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)]  # of the bracket, in x and z
BRACKET = np.array([[x, y, z] for y in (0, 2) for x, z in _OUTLINE], dtype=np.float64)
"""(12, 3) vertices of an L of area 40, volume 12 and extents 4, 2, 3."""
CAP_FANS = [[3, 4, 5, 0, 1, 2], [9, 8, 7, 6, 11, 10]]  # corners of both caps, as fans
SIDE_STRIP = [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 0, 6]  # corners of what is between the caps, as a strip


def _bracket_faces() -> NDArray[np.int64]:
    caps = [[fan[0], a, b] for fan in CAP_FANS for a, b in pairwise(fan[1:])]
    sides = [
        corners
        for a, b in zip(range(6), [1, 2, 3, 4, 5, 0], strict=True)
        for corners in ([a, a + 6, b], [a + 6, b + 6, b])
    ]
    return np.array([*caps, *sides])


BRACKET_FACES = _bracket_faces()
"""(20, 3) triangles of the bracket."""

BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)
"""(12, 3) triangles of a box of area 24 and volume 8."""


class GltfFile:
    """A glTF 2.0 file that grows: views, accessors, meshes and nodes each give their number.

    ``tree`` is its JSON, to be changed at will. Unless it is, there is one scene, of the nodes in ``roots``,
    or of all nodes. ``more_buffers``: entries behind the first buffer, which holds what `view` is given.
    """

    def __init__(self) -> None:
        self.blob = bytearray()
        self.roots: list[int] | None = None
        self.more_buffers: list[dict[str, Any]] = []
        self.tree: dict[str, Any] = {"asset": {"version": "2.0"}}

    def add(self, collection: str, **entry: Any) -> int:
        """One more entry of a collection; its number."""
        self.tree.setdefault(collection, []).append(entry)
        return len(self.tree[collection]) - 1

    def view(self, data: bytes, **more: Any) -> int:
        """A buffer view of these bytes."""
        self.blob += bytes(-len(self.blob) % 4)
        start = len(self.blob)
        self.blob += data
        return self.add("bufferViews", buffer=0, byteOffset=start, byteLength=len(data), **more)

    def accessor(self, values: ArrayLike, dtype: str = "f4", **more: Any) -> int:
        """An accessor of (n,) or (n, k) values in a view of their own."""
        table = np.array(values).astype(f"<{dtype}")
        table = table.reshape(len(table), -1)
        return self.add(
            "accessors",
            **{
                "bufferView": self.view(table.tobytes()),
                "componentType": _COMPONENT_TYPES[dtype],
                "count": len(table),
                "type": _NAMES[table.shape[1]],
                **more,
            },
        )

    def sparse(
        self, count: int, places: ArrayLike, values: ArrayLike, index: str = "u2", **more: Any
    ) -> dict[str, Any]:
        """What an accessor of float positions, of `count` elements, has where some are stored apart."""
        indices = np.array(places).astype(f"<{index}")
        return {
            "componentType": 5126,
            "count": count,
            "type": "VEC3",
            "sparse": {
                "count": len(indices),
                "indices": {
                    "bufferView": self.view(indices.tobytes()),
                    "componentType": _COMPONENT_TYPES[index],
                },
                "values": {"bufferView": self.view(np.array(values).astype("<f4").tobytes())},
            },
            **more,
        }

    def primitive(
        self, positions: ArrayLike | int, faces: ArrayLike | None = None, **more: Any
    ) -> dict[str, Any]:
        """A primitive of (n, 3) positions, or of an accessor's, and of corners; `more` goes into it."""
        named = positions if isinstance(positions, int) else self.accessor(positions)
        made: dict[str, Any] = {"attributes": {"POSITION": named, **more.pop("attributes", {})}}
        if faces is not None:
            made["indices"] = self.accessor(np.array(faces).ravel(), "u2")
        return made | more

    def mesh(self, *primitives: dict[str, Any], **more: Any) -> int:
        """A mesh of primitives."""
        return self.add("meshes", primitives=list(primitives), **more)

    def node(self, **entry: Any) -> int:
        """A node."""
        return self.add("nodes", **entry)

    def bracket(self, **node: Any) -> int:
        """A node that shows the bracket; the mesh is shared."""
        if "meshes" not in self.tree:
            self.mesh(self.primitive(BRACKET, BRACKET_FACES))
        return self.node(mesh=0, **node)

    def _document(self, uri: str | None) -> bytes:
        buffers = [{"byteLength": len(self.blob)} | ({} if uri is None else {"uri": uri})]
        tree = {"buffers": buffers + self.more_buffers} | self.tree
        if "nodes" in tree and "scenes" not in tree:
            tree["scenes"] = [
                {"nodes": list(range(len(tree["nodes"]))) if self.roots is None else self.roots}
            ]
        return json.dumps(tree).encode()

    def gltf(self, uri: str | None = None) -> bytes:
        """The file as JSON, its buffer by `uri` or in it."""
        inline = "data:application/octet-stream;base64," + base64.b64encode(self.blob).decode()
        return self._document(inline if uri is None else uri)

    def glb(self, **header: Any) -> bytes:
        """The file as GLB."""
        text = self._document(None)
        return glb_of((b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", bytes(self.blob)), **header)


def skinned_bracket(
    file: GltfFile, joints: ArrayLike = 0, weights: ArrayLike = (1, 0, 0, 0), dtype: str = "f4", **more: Any
) -> int:
    """A bracket whose vertices follow joints; both are (12, 4), or what becomes that."""
    numbers = np.zeros((12, 4), dtype=int)
    numbers[:] = joints
    shares = np.broadcast_to(np.asarray(weights, dtype=float), (12, 4))
    attributes = {
        "JOINTS_0": file.accessor(numbers, "u1"),
        "WEIGHTS_0": file.accessor(shares, dtype, normalized=dtype != "f4"),
    }
    return file.mesh(file.primitive(BRACKET, BRACKET_FACES, attributes=attributes), **more)


def glb_of(*chunks: tuple[bytes, bytes], version: int = 2) -> bytes:
    """A GLB of chunks, each of a type and its data."""
    body = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", version, 12 + len(body)) + body


def loaded(data: bytes, kind: str = "glb", **limits: int) -> trimesh.Trimesh:
    """A file's bytes as `load_mesh` reads them."""
    return load_mesh(io.BytesIO(data), kind, **limits)


def corners(mesh: trimesh.Trimesh) -> NDArray[np.float64]:
    """(m, 3, 3) corner positions: what a mesh is, however its vertices are numbered."""
    found: NDArray[np.float64] = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    return found


def assert_brackets(
    mesh: trimesh.Trimesh, count: int = 1, scale: float = 1.0, low: ArrayLike | None = None
) -> None:
    """Fail unless a mesh is `count` brackets of a size, not inside out; `low` is the corner of its box."""
    assert len(mesh.faces) == 20 * count
    np.testing.assert_allclose(float(mesh.area), 40 * count * scale**2, rtol=1e-5)
    np.testing.assert_allclose(float(mesh.volume), 12 * count * scale**3, rtol=1e-5)
    if count == 1:
        extents = np.sort(np.asarray(mesh.extents))
        np.testing.assert_allclose(extents, np.array([2.0, 3.0, 4.0]) * scale, rtol=1e-5)
    if low is not None:
        np.testing.assert_allclose(np.asarray(mesh.bounds)[0], np.array(low, dtype=float), atol=1e-5 * scale)


def assert_measures(mesh: trimesh.Trimesh, area: float, volume: float, extents: ArrayLike) -> None:
    """Fail unless a mesh has an area, a volume and the extents of a box, the smallest first."""
    found = [float(mesh.area), float(mesh.volume), *np.sort(np.asarray(mesh.extents)).tolist()]
    np.testing.assert_allclose(found, [area, volume, *np.asarray(extents).tolist()], rtol=1e-4)
