"""What a mesh may be given as in Python: a path, a file, its bytes, a mesh, a scene, or two arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import (
    Faces,
    Vertices,
    as_positions,
    check_faces,
    check_indices,
    no_faces_error,
)

T = TypeVar("T")


class BinaryFile(Protocol):
    """A file that is open in binary mode, of any kind."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, all that are left by default; none at the end."""


MeshSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | trimesh.Trimesh | trimesh.Scene"
    " | tuple[ArrayLike, ArrayLike]"
)
"""A path, the bytes of a mesh file, a file open in binary mode, a mesh, a scene, or vertices and faces."""
TAKEN = (
    "a path, an open binary file or bytes (with file_type), a trimesh.Trimesh or trimesh.Scene, "
    "or a tuple (vertices, faces)"
)
"""The same in the words of an error message."""
Content = (bytes, bytearray, memoryview)
"""Types of bytes in memory."""


def check_source(source: Any, taker: str) -> None:
    """Raise TypeError where `source` is nothing that a mesh can be given as, with the name of the `taker`."""
    known = (str, os.PathLike, *Content, trimesh.Trimesh, trimesh.Scene)
    if not (isinstance(source, known) or _is_pair(source) or callable(getattr(source, "read", None))):
        is_tuple = isinstance(source, tuple)
        given = f"a tuple of {len(source)}" if is_tuple else type(source).__name__
        raise TypeError(f"{taker} takes {TAKEN}, not {given}")


def several(sources: Iterable[T], taker: str) -> Iterator[T]:
    """An iterator over many sources; TypeError for a string or bytes, which would be taken by letters."""
    if isinstance(sources, (str, *Content)):
        raise TypeError(f"{taker} takes several of them, such as a list, not {type(sources).__name__}")
    return iter(sources)


def name_of(source: MeshSource) -> str:
    """What messages call a mesh that was given: the name of its file, on one line, or its kind."""
    if isinstance(source, (str, os.PathLike)):
        return repr(os.fspath(source))[1:-1]  # a name with a line break must not break the one-line message
    if isinstance(source, trimesh.Scene):
        return "scene"
    if isinstance(source, (trimesh.Trimesh, tuple)):
        return "mesh"
    if isinstance(source, Content):
        return "bytes"
    name = getattr(source, "name", None)
    return repr(name)[1:-1] if isinstance(name, str) else "stream"


def arrays_of_pair(pair: tuple[ArrayLike, ArrayLike]) -> tuple[Vertices, Faces]:
    """Vertices (V, 3) float64 and faces (F, 3) int64 of a pair of arrays.

    Raises
    ------
    BadMeshError
        Arrays of another shape, or faces that are no whole numbers: nothing is guessed.
    """
    try:
        vertices, faces = as_positions(pair[0]), np.asarray(pair[1])
    except (TypeError, ValueError) as error:  # what numpy says of lists of several lengths, or of no numbers
        fault = "its vertices and faces are no arrays of numbers"
        raise BadMeshError(fault, "give (V, 3) positions and (F, 3) whole numbers") from error
    if not faces.size:
        return vertices, np.zeros((0, 3), dtype=np.int64)
    if not np.issubdtype(faces.dtype, np.integer):
        fault = f"its faces are of type {faces.dtype}"
        raise BadMeshError(fault, "give vertices first, then faces as whole numbers of vertices")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise BadMeshError(f"its faces have the shape {faces.shape}", "give triangles, (F, 3)")
    return vertices, faces.astype(np.int64)


def arrays_of_scene(scene: trimesh.Scene, max_faces: int) -> tuple[Vertices, Faces]:
    """Vertices (V, 3) and faces (F, 3) of every mesh instance of a scene, in the scene's frame.

    A node may name a mesh that was taken out of the scene: it is passed over, as trimesh does.

    Raises
    ------
    BadMeshError
        No mesh, more than `max_faces` faces with every instance, or indices that a mesh does not have.
    """
    instances: list[tuple[NDArray[np.float64], trimesh.Trimesh]] = []
    points = total = 0
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        part = scene.geometry.get(name)
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            instances.append((np.asarray(transform, dtype=np.float64), part))
            total += len(part.faces)
            check_faces(total, max_faces)  # before anything is copied
        else:
            points += len(getattr(part, "vertices", ()))
    if not instances:
        raise no_faces_error(points)
    vertices, faces, offset = list[Vertices](), list[Faces](), 0
    for transform, part in instances:
        positions, corners = as_positions(part.vertices), np.asarray(part.faces, dtype=np.int64)
        check_indices(corners, len(positions))  # an offset would let them point into the next part
        with np.errstate(all="ignore"):  # what is not finite is refused later, in one line
            vertices.append(positions @ transform[:3, :3].T + transform[:3, 3])
            mirrored = bool(np.linalg.det(transform[:3, :3]) < 0)  # which turns every face inside out
        faces.append((corners[:, ::-1] if mirrored else corners) + offset)
        offset += len(positions)
    return np.concatenate(vertices), np.concatenate(faces)


def _is_pair(source: Any) -> bool:
    return isinstance(source, tuple) and len(source) == 2
