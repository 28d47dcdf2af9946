"""Primitives: lists, strips and fans as triangles, with vertices moved by morph targets and skins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_indices
from meshcodec.geometry.gltf.accessors import Accessors, Layout, as_reals
from meshcodec.geometry.gltf.buffers import Buffers
from meshcodec.geometry.gltf.compression import DracoMesh, can_decode_draco, decode_draco
from meshcodec.geometry.gltf.document import Document, extension_of, whole
from meshcodec.geometry.triangles import used_vertices

Matrices = NDArray[np.float64]  # (n, 4, 4) transforms of column vectors
_TRIANGLES, _STRIP, _FAN = 4, 5, 6  # modes with a surface; 0 to 3 are points and lines
_DRACO = "KHR_draco_mesh_compression"
_MOST_JOINT_SETS = 16  # sets of four joints for each vertex
_CHUNK = 1 << 14  # vertices that are skinned at a time, with a matrix for each of their joints


@dataclass(frozen=True)
class MeshOutline:
    """What a mesh announces, before any data are read.

    ``faces``: triangles. ``points``: vertices of primitives without triangles. ``surfaces``: primitives with
    triangles. ``jointed``: whether these have joints, True and False where some have.
    """

    faces: int
    points: int
    surfaces: list[dict[str, Any]]
    jointed: set[bool]


class Meshes:
    """The meshes of a document; what Draco compressed is decoded once."""

    def __init__(self, document: Document, accessors: Accessors, buffers: Buffers) -> None:
        self._document, self._accessors, self._buffers = document, accessors, buffers
        self._outlines: dict[int, MeshOutline] = {}
        self._draco: dict[int, DracoMesh] = {}

    def outline(self, number: int) -> MeshOutline:
        """What a mesh announces. Primitives without positions are skipped, as the specification allows."""
        if number not in self._outlines:
            faces = points = 0
            surfaces, jointed = [], set()
            for primitive in self._document.item("meshes", number)["primitives"]:
                attributes = primitive.get("attributes") or {}
                if attributes.get("POSITION") is None:
                    continue
                announced = self._announced(primitive)
                faces += announced
                if announced:
                    surfaces.append(primitive)
                    jointed.add("JOINTS_0" in attributes and "WEIGHTS_0" in attributes)
                else:
                    points += self._accessors.layout(attributes["POSITION"]).count
            self._outlines[number] = MeshOutline(faces, points, surfaces, jointed)
        return self._outlines[number]

    def has_joints(self, number: int) -> bool:
        """Whether a skin moves a mesh. BadMeshError: it moves some of its primitives and not the others."""
        jointed = self.outline(number).jointed
        if len(jointed) > 1:
            raise BadMeshError("a part of a mesh with a skin has no joints", "export it again")
        return jointed == {True}

    def triangles(
        self, number: int, weights: Sequence[float] | None, joints: Matrices | None
    ) -> tuple[Vertices, Faces]:
        """The triangles of a mesh, and the vertices that they use.

        Parameters
        ----------
        weights : of the morph targets; None: those of the mesh.
        joints : (n, 4, 4) matrices of a skin, from the frame of the mesh to that of the scene; None: no skin.
        """
        if weights is None:
            weights = self._document.item("meshes", number).get("weights") or ()
        vertices, faces, offset = [np.zeros((0, 3))], [np.zeros((0, 3), dtype=np.int64)], 0
        for primitive in self.outline(number).surfaces:
            part, corners = self._read(primitive, weights, joints)
            vertices.append(part)
            faces.append(corners + offset)
            offset += len(part)
        return np.concatenate(vertices), np.concatenate(faces)

    def _announced(self, primitive: dict[str, Any]) -> int:
        """Triangles of a primitive, by the count of its corners."""
        named = (
            primitive["attributes"]["POSITION"] if primitive.get("indices") is None else primitive["indices"]
        )
        corners = self._accessors.layout(named).count
        mode = _mode(primitive)
        if mode < _TRIANGLES:
            return 0
        return corners // 3 if mode == _TRIANGLES else max(corners - 2, 0)

    def _read(
        self, primitive: dict[str, Any], weights: Sequence[float], joints: Matrices | None
    ) -> tuple[Vertices, Faces]:
        attributes = _Attributes(primitive["attributes"], self._accessors, *self._decoded(primitive))
        count = attributes.count("POSITION")
        faces = attributes.draco.faces if attributes.draco is not None else self._faces(primitive, count)
        check_indices(faces, count)
        # Only what the faces use is read: a thousand primitives may share a million vertices.
        rows, faces = _compact(faces, count)
        if attributes.width("POSITION") != 3:
            raise BadMeshError("its vertices do not have three coordinates each", "export it again")
        positions = attributes.reals("POSITION", 3, rows)
        for target, weight in _morphs(primitive, weights).items():
            if self._accessors.layout(target).count != count:
                raise ValueError(f"a morph target that is not for {count} vertices")
            positions += weight * self._accessors.reals(target, 3, rows)
        if joints is not None:
            mirrored = _skin(attributes, rows, positions, joints)
            turned = mirrored[faces].sum(axis=1) >= 2
            faces[turned] = faces[turned][:, ::-1]
        return positions, faces

    def _decoded(self, primitive: dict[str, Any]) -> tuple[DracoMesh | None, dict[str, Any]]:
        """What Draco compressed of a primitive, and the ids of its attributes there."""
        packed = extension_of(primitive, _DRACO)
        if packed is None or (not can_decode_draco() and self._is_stored(primitive)):
            return None, {}
        number = whole(packed["bufferView"])
        if number not in self._draco:
            self._draco[number] = decode_draco(self._buffers.view(number))
        return self._draco[number], packed["attributes"]

    def _is_stored(self, primitive: dict[str, Any]) -> bool:
        """Whether a file holds a primitive once more, uncompressed, for programs that do not know Draco."""
        if _DRACO in (self._document.tree.get("extensionsRequired") or ()):
            return False
        position = self._document.item("accessors", primitive["attributes"]["POSITION"])
        return position.get("bufferView") is not None

    def _faces(self, primitive: dict[str, Any], count: int) -> Faces:
        indices = primitive.get("indices")
        if indices is None:
            return triangulated(np.arange(count), _mode(primitive))
        corners = self._accessors.integers(indices, 1)[:, 0]
        restart = int(np.iinfo(self._accessors.layout(indices).dtype).max)
        return triangulated(corners, _mode(primitive), restart)


class _Attributes:
    """The attributes of a primitive by their names, from accessors or from what Draco decoded."""

    def __init__(
        self, named: dict[str, Any], accessors: Accessors, draco: DracoMesh | None, ids: dict[str, Any]
    ) -> None:
        self.draco = draco
        self._named, self._accessors, self._ids = named, accessors, ids

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def count(self, name: str) -> int:
        """Number of values of an attribute."""
        decoded = self._decoded(name)
        return self._accessors.layout(self._named[name]).count if decoded is None else len(decoded)

    def width(self, name: str) -> int:
        """Numbers in each value of an attribute."""
        decoded = self._decoded(name)
        return self._accessors.layout(self._named[name]).width if decoded is None else decoded.shape[1]

    def reals(self, name: str, width: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, width) values of an attribute at some vertices."""
        decoded = self._decoded(name)
        if decoded is None:
            return self._accessors.reals(self._named[name], width, rows)
        layout = self._accessors.layout(self._named[name])
        return as_reals(_as_announced(decoded, layout)[rows], layout)

    def integers(self, name: str, width: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n, width) whole numbers of an attribute at some vertices."""
        decoded = self._decoded(name)
        if decoded is None:
            return self._accessors.integers(self._named[name], width, rows)
        return decoded[rows].astype(np.int64)

    def _decoded(self, name: str) -> NDArray[Any] | None:
        if self.draco is None or name not in self._ids:
            return None
        return self.draco.attributes[whole(self._ids[name])]


def triangulated(corners: NDArray[np.int64], mode: int, restart: int = -1) -> Faces:
    """(F, 3) triangles of the corners, (n,), of a list, a strip or a fan ("Geometry: Overview").

    Every other triangle of a strip is turned, so that all wind alike. Behind the number `restart` a strip or
    a fan begins anew (EXT_mesh_primitive_restart).
    """
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    if len(corners) < 3:
        return np.zeros((0, 3), dtype=np.int64)
    places = np.arange(len(corners))
    ends = corners == restart
    start = np.maximum.accumulate(np.where(ends, places + 1, 0))[:-2]  # of the strip that each corner is in
    first = corners[start] if mode == _FAN else corners[:-2]
    faces = np.stack([first, corners[1:-1], corners[2:]], axis=1)
    if mode == _STRIP:
        turned = (places[:-2] - start) % 2 == 1
        faces[turned] = faces[turned][:, [0, 2, 1]]
    return np.asarray(faces[~(ends[:-2] | ends[1:-1] | ends[2:])])


def _as_announced(decoded: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Values of an attribute that Draco decoded, as integers where its accessor has integers.

    DracoPy gives signed integers as floats: as they are, or between -1 and 1 where the stream itself calls
    them normalized.
    """
    if decoded.dtype.kind != "f" or layout.dtype.kind != "i":
        return decoded
    largest = float(np.abs(decoded).max(initial=0))
    whole_numbers = np.rint(decoded * (np.iinfo(layout.dtype).max if largest <= 1 else 1))
    return np.asarray(whole_numbers, dtype=layout.dtype)


def _mode(primitive: dict[str, Any]) -> int:
    mode = whole(primitive.get("mode", _TRIANGLES))
    if mode > _FAN:
        raise ValueError(f"a primitive of mode {mode}")
    return mode


def _compact(faces: Faces, count: int) -> tuple[NDArray[np.int64], Faces]:
    """The vertices that faces use, of `count`, and the faces with the numbers that these have among them."""
    if 4 * faces.size < count:
        rows, numbers = np.unique(faces, return_inverse=True)
        return rows, numbers.reshape(-1, 3).astype(np.int64)
    used = used_vertices(faces, count)
    return np.flatnonzero(used), (np.cumsum(used) - 1)[faces]


def _morphs(primitive: dict[str, Any], weights: Sequence[float]) -> dict[int, float]:
    """Weight of each accessor of position offsets ("Morph Targets"); that of one named twice adds up."""
    found: dict[int, float] = {}
    for target, weight in zip(primitive.get("targets") or (), weights, strict=False):
        if weight and target.get("POSITION") is not None:
            number = whole(target["POSITION"])
            found[number] = found.get(number, 0.0) + float(weight)
    return found


def _skin(
    attributes: _Attributes, rows: NDArray[np.int64], positions: Vertices, joints: Matrices
) -> NDArray[np.bool_]:
    """Move positions, (V, 3), in place to where their joints are ("Skins"); (V,) which of them are mirrored.

    Weights are scaled to a sum of 1; a vertex without weights follows its first joint. What a weight of 0
    names as its joint does not matter.
    """
    sets = 0
    while f"JOINTS_{sets}" in attributes and f"WEIGHTS_{sets}" in attributes:
        sets += 1
    if sets > _MOST_JOINT_SETS:
        raise ValueError(f"{sets} sets of joints")
    turns = bool((np.linalg.det(joints[:, :3, :3]) < 0).any())
    mirrored = np.zeros(len(rows), dtype=bool)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        weights = np.hstack([attributes.reals(f"WEIGHTS_{n}", 4, rows[part]) for n in range(sets)])
        numbers = np.hstack([attributes.integers(f"JOINTS_{n}", 4, rows[part]) for n in range(sets)])
        weights = np.maximum(weights, 0.0)
        weights[weights.sum(axis=1) == 0, 0] = 1.0
        weights /= weights.sum(axis=1, keepdims=True)
        numbers[weights == 0] = 0
        if int(numbers.min()) < 0 or int(numbers.max()) >= len(joints):
            raise ValueError(f"a vertex follows joint {int(numbers.max())} of a skin with {len(joints)}")
        blend = np.einsum("vk,vkij->vij", weights, joints[numbers])
        positions[part] = np.einsum("vij,vj->vi", blend[:, :3, :3], positions[part]) + blend[:, :3, 3]
        if turns:
            mirrored[part] = np.linalg.det(blend[:, :3, :3]) < 0
    return mirrored
