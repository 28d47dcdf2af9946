"""Mesh files in, mesh files out.

glTF is read by `meshcodec.geometry.gltf`, every other format by `meshcodec.geometry.readers`. Only geometry
is read: no material, texture or image file is ever opened. A file may be anyone's: what it announces is
checked against what it holds, and against limits, before memory is taken for it.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from meshcodec.config import MAX_BYTES, MAX_FACES
from meshcodec.errors import BadMeshError, OutlierWarning, UsageError
from meshcodec.geometry.check import EXPORT_AGAIN, Faces, Vertices, check_indices, check_size, checked_mesh
from meshcodec.geometry.formats import GZIPPED, READ_FORMATS, WRITE_FORMATS
from meshcodec.geometry.gltf.scene import read_gltf
from meshcodec.geometry.outliers import outlier_fault
from meshcodec.geometry.readers.content import check_content
from meshcodec.geometry.readers.gzipped import MAGIC, unpacked
from meshcodec.geometry.readers.obj import read_obj
from meshcodec.geometry.readers.off import read_off
from meshcodec.geometry.readers.ply import read_ply
from meshcodec.geometry.readers.stl import read_stl
from meshcodec.geometry.readers.threemf import read_3mf
from meshcodec.geometry.sources import (
    BinaryFile,
    Content,
    MeshSource,
    arrays_of_pair,
    arrays_of_scene,
    check_source,
    name_of,
)
from meshcodec.geometry.triangles import mesh_arrays
from meshcodec.geometry.writers import write_mesh
from meshcodec.runtime.files import ending_of, foreign_message

_READERS: dict[str, Callable[[bytes, int], tuple[Vertices, Faces]]] = {
    "obj": read_obj,
    "off": read_off,
    "ply": read_ply,
    "stl": read_stl,
}


def load_mesh(
    source: MeshSource,
    file_type: str | None = None,
    max_faces: int = MAX_FACES,
    max_bytes: int = MAX_BYTES,
) -> trimesh.Trimesh:
    """Read a mesh as one set of triangles.

    Scenes are flattened with their transforms, polygons are triangulated in their plane. Faces that name a
    vertex twice are dropped, faces without an area that lie out of the box of all others, and vertices that
    no face uses. Nothing else is changed: vertices are not merged, faces not reordered or turned.

    Parameters
    ----------
    source : a path, a file object open in binary mode, the bytes of a file, a mesh or a scene, or a pair of
        vertices (V, 3) and faces (F, 3). Meshes and arrays are copied, not changed.
    file_type : one of ``READ_FORMATS``, with ``.gz`` behind it for a file that is compressed with gzip; by
        default the extension of the path or of the file object's name. Bytes have no name and need it.
    max_faces : most triangles that are not refused, counted with every instance of a scene.
    max_bytes : size of the largest file that is not refused, of what is unpacked from it, and of all files
        beside a glTF together. Reading takes at most some 30 times as much memory.

    Returns
    -------
    A mesh with vertices float64 (n, 3), finite, and faces int64 (m, 3), at least one of them with area.

    Raises
    ------
    BadMeshError : a file that cannot be read or holds no surface to encode; the message starts with its name.
    TypeError : `source` is none of these.

    Warns
    -----
    OutlierWarning : next to all of its area is crowded into a small part of its bounding box.
    """
    check_source(source, "load_mesh")
    try:
        if isinstance(source, trimesh.Trimesh):
            vertices, faces = np.asarray(source.vertices), np.asarray(source.faces)
        elif isinstance(source, trimesh.Scene):
            vertices, faces = arrays_of_scene(source, max_faces)
        elif isinstance(source, tuple):
            vertices, faces = arrays_of_pair(source)
        else:
            file = io.BytesIO(source) if isinstance(source, Content) else source
            vertices, faces = _parse(*_read(file, file_type, max_bytes), max_faces, max_bytes)
        mesh = checked_mesh(vertices, faces, max_faces)
    except BadMeshError as error:
        raise error.about(name_of(source)) from error.__cause__
    if (fault := outlier_fault(np.asarray(mesh.vertices), np.asarray(mesh.faces))) is not None:
        warnings.warn(f"{name_of(source)}: {fault}", OutlierWarning, stacklevel=2)
    return mesh


def arrays_of(source: MeshSource) -> tuple[Vertices, Faces]:
    """Vertices (V, 3) and faces (F, 3) of whatever `load_mesh` takes, to be measured.

    A mesh and a pair of arrays need no face: what is measured may be without any.
    """
    mesh: Any = source
    if hasattr(mesh, "faces"):
        return mesh_arrays(mesh)
    check_source(source, "measuring")
    if not isinstance(source, tuple):
        return mesh_arrays(load_mesh(source))
    vertices, faces = arrays_of_pair(source)
    check_indices(faces, len(vertices))
    return vertices, faces


def export_mesh(mesh: trimesh.Trimesh, file_type: str) -> bytes:
    """The bytes of a mesh file with vertices and faces only.

    Each vertex is written to a millionth of the box of the mesh, wherever that lies; of STL, which cannot, a
    `MeshWarning` says so, and it is refused where vertices would move by more than a hundredth. Near the
    origin binary files hold float32 and text nine significant digits; see `meshcodec.geometry.writers`.

    ``file_type``: one of ``WRITE_FORMATS``. Raises UsageError for another format, and for such an STL.
    """
    kind = _normal_type(file_type)
    if kind not in WRITE_FORMATS:
        raise UsageError(f"cannot write {file_type!r} files", f"use one of {', '.join(WRITE_FORMATS)}")
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    return write_mesh(vertices, np.asarray(mesh.faces, dtype=np.int64), kind)


def as_written(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh as it is read from the PLY file that `export_mesh` makes of it."""
    vertices, faces = read_ply(export_mesh(mesh, "ply"), len(mesh.faces))
    return trimesh.Trimesh(vertices, faces, process=False)


# ---- reading


def _normal_type(file_type: str) -> str:
    return file_type.strip().lower().removeprefix(".")


def _read(
    source: str | os.PathLike[str] | BinaryFile, file_type: str | None, max_bytes: int
) -> tuple[bytes, str, Path | None]:
    """Bytes, format, and the folder where a glTF's buffers may lie (None for a stream)."""
    path = Path(source) if isinstance(source, (str, os.PathLike)) else None
    size = 0
    if path is not None:
        try:
            status = path.stat()
            mode, size = status.st_mode, status.st_size
        except FileNotFoundError as error:
            raise BadMeshError("there is no such file", "check the path") from error
        except (OSError, ValueError) as error:
            raise BadMeshError(f"cannot be opened: {foreign_message(error)}", "check the path") from error
        if stat.S_ISDIR(mode):
            raise BadMeshError("it is a folder", "name a mesh file, or use meshcodec compress for a folder")
        if not stat.S_ISREG(mode):
            raise BadMeshError("it is not a regular file", "pass a pipe as -")
        suffix = ending_of(path)
    else:
        name = getattr(source, "name", None)
        suffix = ending_of(Path(name)) if isinstance(name, str) else ""

    ending = _normal_type(suffix if file_type is None else file_type)
    kind = ending.removesuffix(GZIPPED)
    if kind not in READ_FORMATS:
        known = ", ".join(READ_FORMATS)
        if not ending:
            fault = "its format is not known: it has no extension"
            raise BadMeshError(fault, f"name it by its file_type: {known}")
        raise BadMeshError(f"unknown mesh format {ending!r}", f"give one of {known}")

    check_size(size, max_bytes)
    try:
        data = path.read_bytes() if path is not None else _read_stream(source, max_bytes)  # type: ignore[arg-type]
    except (OSError, ValueError, MemoryError) as error:
        raise BadMeshError(
            f"cannot be read: {foreign_message(error)}", "check that you may read it"
        ) from error
    if not isinstance(data, bytes):
        raise BadMeshError("it is open as text", "open it in binary mode")
    check_size(len(data), max_bytes)
    # A stream that unpacks as it is read may still have the name of the packed file.
    if ending != kind and (path is not None or file_type is not None or data.startswith(MAGIC)):
        data = unpacked(data, max_bytes)
    check_content(data, kind)
    if not data.strip():
        raise BadMeshError("it is empty", EXPORT_AGAIN)
    return data, kind, path.parent if path is not None else None


def _read_stream(stream: BinaryFile, max_bytes: int) -> bytes:
    """A stream to its end, or one byte more than is allowed. One without a buffer gives a piece at a time."""
    data = stream.read(max_bytes + 1)
    while len(data) <= max_bytes and (more := stream.read(max_bytes + 1 - len(data))):
        data += more
    return data


def _parse(
    data: bytes, kind: str, folder: Path | None, max_faces: int, max_bytes: int
) -> tuple[Vertices, Faces]:
    try:
        with np.errstate(all="ignore"):  # of transforms: what is not finite is refused later, in one line
            if kind in ("glb", "gltf"):
                return read_gltf(data, folder, max_faces, max_bytes)
            if kind == "3mf":
                return read_3mf(data, max_faces, max_bytes)
            return _READERS[kind](data, max_faces)
    except BadMeshError:
        raise
    except Exception as error:  # readers raise whatever their parsing stumbles over
        raise BadMeshError(f"not a readable {kind} file ({foreign_message(error)})", EXPORT_AGAIN) from error
