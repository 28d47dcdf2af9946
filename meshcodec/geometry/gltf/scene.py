"""A glTF file to one mesh: every instance of a mesh that its scene shows, in the scene's frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces, Vertices, check_faces, no_faces_error
from meshcodec.geometry.gltf.accessors import Accessors, check_announced
from meshcodec.geometry.gltf.buffers import BufferFolder, Buffers
from meshcodec.geometry.gltf.document import Document, extension_of, read_document, whole
from meshcodec.geometry.gltf.nodes import IDENTITY, TRANSFORM_DEFAULTS, Matrix, Nodes, composed
from meshcodec.geometry.gltf.primitives import Meshes

_INSTANCING = "EXT_mesh_gpu_instancing"
_CHUNK = 1 << 18  # vertices of instances that are placed at a time


def read_gltf(data: bytes, folder: Path | None, max_faces: int, max_bytes: int) -> tuple[Vertices, Faces]:
    """One vertex and face array of all that a glTF or GLB file shows, at rest.

    Nodes are placed by their transforms, vertices moved by default morph weights and by the joints of skins
    where the nodes have them; animations are not played.

    Parameters
    ----------
    data : the file.
    folder : where the buffers beside it lie; None: it comes from a stream.
    max_faces : most triangles, counted with every instance before anything is copied.
    max_bytes : most bytes of all buffers beside the file, and most that its accessors announce.

    Raises
    ------
    BadMeshError
        It holds more than the limits allow, or needs what is not read here, or has no triangles.
    ValueError
        A file that is damaged, or not built as glTF has it.
    Exception
        Whatever else damaged data make numpy and the decoders raise.
    """
    try:
        return _read(data, folder, max_faces, max_bytes)
    except KeyError as error:
        raise ValueError(f"its JSON lacks {error}") from error
    except (AttributeError, TypeError) as error:
        raise ValueError("its JSON is not built as glTF 2.0 has it") from error


def _read(data: bytes, folder: Path | None, max_faces: int, max_bytes: int) -> tuple[Vertices, Faces]:
    document = read_document(data)
    check_announced(document, max_bytes)
    scene = _Scene(document, Buffers(document, BufferFolder(folder, max_bytes)))
    instances = scene.instances()
    total = points = 0
    for instance in instances:
        outline = scene.meshes.outline(instance.mesh)
        total += outline.faces * instance.copies
        points += outline.points
        check_faces(total, max_faces)
    vertices: list[Vertices] = []
    faces: list[Faces] = []
    offset = total = 0
    for _, alike in groupby(instances, key=_Instance.part):
        group = list(alike)
        if scene.meshes.outline(group[0].mesh).faces == 0:
            continue
        part = scene.part(group[0])
        total += len(part[1]) * sum(instance.copies for instance in group)
        check_faces(total, max_faces)  # once more: Draco may hold more than is announced
        for placed, corners in scene.placed(group, *part):
            vertices.append(placed)
            faces.append(corners + offset)
            offset += len(placed)
    if not faces:
        raise no_faces_error(points)
    return np.concatenate(vertices), np.concatenate(faces)


@dataclass(frozen=True)
class _Instance:
    """A node that shows a mesh, `copies` times where it has instances, and the skin that moves it."""

    mesh: int
    node: dict[str, Any]
    world: Matrix
    copies: int
    skin: int | None

    def part(self) -> tuple[int, int | None, tuple[float, ...] | None, bool]:
        """What two instances have in common that show the same triangles: mesh, skin, weights, kind."""
        weights = self.node.get("weights")
        return self.mesh, self.skin, None if weights is None else tuple(weights), bool(_instancing(self.node))


class _Scene:
    """What a document shows. Meshes, skins and accessors are read when an instance first needs them."""

    def __init__(self, document: Document, buffers: Buffers) -> None:
        self._document = document
        self._accessors = Accessors(document, buffers)
        self._nodes = Nodes(document)
        self.meshes = Meshes(document, self._accessors, buffers)
        self._skins: dict[int, Matrix] = {}
        self._parts: dict[Any, tuple[Vertices, Faces]] = {}

    def instances(self) -> list[_Instance]:
        """Nodes of the scene with a mesh. Of a file without scenes and such nodes, each mesh once."""
        nodes = self._document.items("nodes")
        if not self._document.items("scenes") and all(node.get("mesh") is None for node in nodes):
            meshes = range(len(self._document.items("meshes")))
            return [_Instance(number, {}, IDENTITY, 1, None) for number in meshes]
        shown = ((nodes[number], self._nodes.world(number)) for number in self._nodes.shown)
        return [self._instance(node, world) for node, world in shown if node.get("mesh") is not None]

    def _instance(self, node: dict[str, Any], world: Matrix) -> _Instance:
        mesh, skin, instancing = whole(node["mesh"]), node.get("skin"), _instancing(node)
        if skin is not None and not self.meshes.has_joints(mesh):
            skin = None  # a mesh without joints stays at its node
        if skin is not None and instancing:
            raise BadMeshError(
                "it has instances of a mesh with a skin, whose places glTF leaves open",
                "export it without instances or without the skin",
            )
        counts = {self._accessors.layout(index).count for index in instancing.values()}
        if len(counts) > 1:
            raise ValueError("a node whose instances have attributes of different lengths")
        copies = counts.pop() if counts else 1
        return _Instance(mesh, node, world, copies, None if skin is None else whole(skin))

    def part(self, instance: _Instance) -> tuple[Vertices, Faces]:
        """The triangles of an instance: in the frame of its node, or in the scene's if a skin moves them."""
        key = instance.part()
        if key not in self._parts:
            joints = None if instance.skin is None else self._joints(instance.skin)
            self._parts[key] = self.meshes.triangles(instance.mesh, instance.node.get("weights"), joints)
        return self._parts[key]

    def placed(
        self, group: list[_Instance], vertices: Vertices, faces: Faces
    ) -> Iterator[tuple[Vertices, Faces]]:
        """The triangles of instances of one part, and of all their copies, in the scene's frame."""
        step = max(1, _CHUNK // max(1, len(vertices)))
        if group[0].skin is not None:
            # They are where the joints are; the places of the nodes do not count.
            yield from ((vertices, faces) for _ in group)
        elif not _instancing(group[0].node):
            for start in range(0, len(group), step):
                worlds = np.stack([instance.world for instance in group[start : start + step]])
                yield _moved(vertices, faces, worlds)
        else:
            for instance in group:
                for start in range(0, instance.copies, step):
                    rows = np.arange(start, min(start + step, instance.copies))
                    yield _moved(vertices, faces, instance.world @ self._copied(instance.node, rows))

    def _copied(self, node: dict[str, Any], rows: NDArray[np.int64]) -> Matrix:
        """(n, 4, 4) transforms of some instances of a node, in the node's frame."""
        attributes = _instancing(node)
        parts = [
            self._accessors.reals(attributes[name.upper()], len(default), rows)
            if name.upper() in attributes
            else np.tile(default, (len(rows), 1))
            for name, default in TRANSFORM_DEFAULTS.items()
        ]
        return composed(*parts)

    def _joints(self, number: int) -> Matrix:
        """(n, 4, 4) matrices of a skin: from a mesh to the frame of each joint, from there to the scene."""
        if number not in self._skins:
            skin = self._document.item("skins", number)
            joints = skin["joints"]
            if not 0 < len(joints) <= len(self._document.items("nodes")):
                raise ValueError(f"a skin of {len(joints)} joints")
            worlds = np.stack([self._nodes.world(joint) for joint in joints])
            if skin.get("inverseBindMatrices") is not None:
                rows = np.arange(len(joints))
                inverse = self._accessors.reals(skin["inverseBindMatrices"], 16, rows)
                worlds = worlds @ inverse.reshape(-1, 4, 4).transpose(0, 2, 1)
            self._skins[number] = worlds
        return self._skins[number]


def _instancing(node: dict[str, Any]) -> dict[str, Any]:
    """Accessors of the instances of a node by the names of their attributes; empty where it has none."""
    return (extension_of(node, _INSTANCING) or {}).get("attributes") or {}


def _moved(vertices: Vertices, faces: Faces, transforms: Matrix) -> tuple[Vertices, Faces]:
    """A mesh once for each of the (n, 4, 4) transforms; a mirror turns every face inside out."""
    copies = len(transforms)
    if copies == 1 and np.array_equal(transforms[0], IDENTITY):
        return vertices, faces
    placed = vertices @ transforms[:, :3, :3].transpose(0, 2, 1) + transforms[:, None, :3, 3]
    corners = np.tile(faces, (copies, 1, 1))
    mirrored = np.linalg.det(transforms[:, :3, :3]) < 0
    corners[mirrored] = corners[mirrored][:, :, ::-1]
    corners += (np.arange(copies) * len(vertices))[:, None, None]
    return placed.reshape(-1, 3), corners.reshape(-1, 3)
