"""Mesh files in, mesh files out.

Reading goes through trimesh, except for OBJ: its reader there takes relative indices from the end of the file
rather than from the line, and fails on comments behind a face, tabs, indentation and names that are not
UTF-8, all of which real files have. Only geometry is read: no material, texture or image file is ever opened.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import secrets
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

import numpy as np
import trimesh
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError, UsageError

READ_FORMATS = ("obj", "ply", "stl", "glb", "gltf", "off")
WRITE_FORMATS = ("obj", "ply", "stl", "glb", "off")
MAX_FACES = 20_000_000

_EXPORT_AGAIN = "check that it opens in a 3D viewer, or export it again"
_CHUNK = 1 << 16

Vertices = NDArray[np.float64]
Faces = NDArray[np.int64]


def load_mesh(
    source: str | Path | BinaryIO | trimesh.Trimesh, file_type: str | None = None, max_faces: int = MAX_FACES
) -> trimesh.Trimesh:
    """Read a mesh as one set of triangles.

    Scenes are flattened with their transforms, polygons become fans, faces that name a vertex twice and
    vertices that no face uses are dropped. Nothing else is changed: vertices are not merged, faces not
    reordered or turned.

    Parameters
    ----------
    source : a path, a file object open in binary mode, or a mesh (which is copied, not changed).
    file_type : one of ``READ_FORMATS``; by default the extension of the path or of the file object's name.
    max_faces : refuse more triangles than this, counted with every instance of a scene.

    Returns
    -------
    A mesh with vertices float64 (n, 3), finite, and faces int64 (m, 3), at least one of them with area.

    Raises
    ------
    BadMeshError : a file that cannot be read or holds no surface to encode; the message starts with its name.
    """
    try:
        if isinstance(source, trimesh.Trimesh):
            vertices, faces = np.asarray(source.vertices), np.asarray(source.faces)
        else:
            data, kind, folder = _read(source, file_type)
            vertices, faces = _parse(data, kind, folder, max_faces)
        return _checked(vertices, faces, max_faces)
    except BadMeshError as error:
        raise error.about(_name_of(source)) from error.__cause__


def export_mesh(mesh: trimesh.Trimesh, file_type: str) -> bytes:
    """The bytes of a mesh file with vertices and faces only.

    ``file_type``: one of ``WRITE_FORMATS``. Coordinates keep float32 precision whatever their magnitude:
    binary PLY, STL and GLB store float32, OBJ and OFF nine significant digits. Raises UsageError for another
    format.
    """
    kind = _normal_type(file_type)
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    if kind == "obj":
        # trimesh writes a fixed number of decimals, which loses small meshes.
        return (_rows("v %.9g %.9g %.9g\n", vertices) + _rows("f %d %d %d\n", faces + 1)).encode("ascii")
    if kind == "off":
        head = f"OFF\n{len(vertices)} {len(faces)} 0\n"
        return (head + _rows("%.9g %.9g %.9g\n", vertices) + _rows("3 %d %d %d\n", faces)).encode("ascii")
    if kind in WRITE_FORMATS:
        bare = trimesh.Trimesh(vertices, faces, process=False)
        data = bare.export(file_type=kind)
        assert isinstance(data, bytes)  # text and dicts are for other formats
        return data
    raise UsageError(f"cannot write {file_type!r} files", f"use one of {', '.join(WRITE_FORMATS)}")


def write_atomic(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file so that it is there whole or not at all.

    Raises UsageError: the file exists and ``overwrite`` is False, it is a folder, or it cannot be written.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "name a file")
        if path.exists() and not path.is_file():
            # /dev/null or a pipe: replacing it would remove the device.
            path.write_bytes(data)
            return
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists", "pass -f to overwrite")
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is not a folder", "create it or choose another output")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {_one_line(error)}", "choose another output") from error

    # Made by hand because the tempfile module gives its files mode 0600, which os.replace would keep.
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(
                f"cannot write {path.name} in {path.parent}: {_one_line(error)}",
                "choose another output folder",
            ) from error
        raise


# ---- reading


def _name_of(source: str | Path | BinaryIO | trimesh.Trimesh) -> str:
    if isinstance(source, trimesh.Trimesh):
        return "mesh"
    if isinstance(source, (str, Path)):
        return repr(str(source))[1:-1]  # a name with a line break must not break the one-line message
    name = getattr(source, "name", None)
    return repr(name)[1:-1] if isinstance(name, str) else "stream"


def _normal_type(file_type: str) -> str:
    return file_type.strip().lower().removeprefix(".")


def _read(source: str | Path | BinaryIO, file_type: str | None) -> tuple[bytes, str, Path | None]:
    """Bytes, format, and the folder where a glTF's buffers may lie (None for a stream)."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is not None:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise BadMeshError("there is no such file", "check the path") from error
        except (OSError, ValueError) as error:
            raise BadMeshError(f"cannot be opened: {_one_line(error)}", "check the path") from error
        if stat.S_ISDIR(mode):
            raise BadMeshError("it is a folder", "name a mesh file, or use meshcodec compress for a folder")
        if not stat.S_ISREG(mode):
            raise BadMeshError("it is not a regular file", "pass a pipe as -")
        suffix = path.suffix
    else:
        name = getattr(source, "name", None)
        suffix = Path(name).suffix if isinstance(name, str) else ""

    kind = _normal_type(suffix if file_type is None else file_type)
    if kind not in READ_FORMATS:
        fault = f"unknown mesh format {kind!r}" if kind else "its format is not known: it has no extension"
        raise BadMeshError(fault, f"give one of {', '.join(READ_FORMATS)}")

    try:
        data = path.read_bytes() if path is not None else source.read()  # type: ignore[union-attr]
    except (OSError, ValueError, MemoryError) as error:
        raise BadMeshError(f"cannot be read: {_one_line(error)}", "check that you may read it") from error
    if not isinstance(data, bytes):
        raise BadMeshError("it is open as text", "open it in binary mode")
    if not data.strip():
        raise BadMeshError("it is empty", _EXPORT_AGAIN)
    return data, kind, path.parent if path is not None else None


def _parse(data: bytes, kind: str, folder: Path | None, max_faces: int) -> tuple[Vertices, Faces]:
    if kind == "obj":
        return _parse_obj(data)
    try:
        if kind == "gltf":
            json.loads(data)  # for what is not JSON, trimesh would look for a model.gltf beside it
        scene = trimesh.load_scene(
            io.BytesIO(_as_utf8(data, kind)),
            file_type=kind,
            resolver=_BufferFolder(folder),
            process=False,
            skip_materials=True,
        )
        return _flatten(scene, max_faces)
    except BadMeshError:
        raise
    except ImportError as error:
        # trimesh asks for an optional package to guess the encoding of what is not UTF-8.
        raise BadMeshError(f"not a readable {kind} file: damaged or cut short", _EXPORT_AGAIN) from error
    except Exception as error:  # the loaders raise whatever their parsing stumbles over
        raise BadMeshError(f"not a readable {kind} file ({_one_line(error)})", _EXPORT_AGAIN) from error


def _as_utf8(data: bytes, kind: str) -> bytes:
    """Text whose comments and names may be in an 8-bit encoding, as valid UTF-8; all else as it is."""
    text, mark, binary = data, b"", b""
    if kind == "ply":
        text, mark, binary = data.partition(b"end_header")
    elif not (kind == "off" or (kind == "stl" and data[:5].lower() == b"solid" and b"\0" not in data)):
        return data
    if text.isascii():
        return data
    return text.decode("latin-1").encode() + mark + binary


class _BufferFolder(trimesh.resolvers.Resolver):  # type: ignore[misc, unused-ignore]
    """Reads the ``.bin`` files of a glTF, and nothing outside the folder that it lies in."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder.resolve() if folder is not None else None

    def get(self, key: str) -> bytes:
        if self.folder is None:
            raise ValueError(f"its buffer {key!r} is another file, which a stream cannot reach")
        path = (self.folder / PurePosixPath(unquote(key))).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(f"its buffer {key!r} lies outside its folder")
        if not path.is_file():
            raise ValueError(f"its buffer {key!r} is missing")
        return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def namespaced(self, namespace: str) -> _BufferFolder:
        raise NotImplementedError

    def keys(self) -> list[str]:
        return []


def _flatten(scene: trimesh.Scene, max_faces: int) -> tuple[Vertices, Faces]:
    """One vertex and face array of every mesh instance of a scene, in the scene's frame."""
    instances: list[tuple[NDArray[np.float64], trimesh.Trimesh]] = []
    points = total = 0
    for node in scene.graph.nodes_geometry:
        transform, geometry_name = scene.graph[node]
        geometry = scene.geometry[geometry_name]
        if isinstance(geometry, trimesh.Trimesh):
            instances.append((np.asarray(transform, dtype=np.float64), geometry))
            # Counted before anything is copied: a small file can hold a million instances.
            total += len(geometry.faces)
            _check_count(total, max_faces)
        else:
            points += len(getattr(geometry, "vertices", ()))
    vertices = [np.zeros((0, 3))] if instances else [np.zeros((points, 3))]
    faces = [np.zeros((0, 3), dtype=np.int64)]
    offset = 0
    for transform, mesh in instances:
        placed = np.asarray(mesh.vertices, dtype=np.float64)
        part = np.asarray(mesh.faces, dtype=np.int64)
        _check_indices(part, len(placed))  # here, as an offset would let them point into the next part
        if not np.array_equal(transform, np.eye(4)):
            placed = placed @ transform[:3, :3].T + transform[:3, 3]
            if np.linalg.det(transform[:3, :3]) < 0:
                part = part[:, ::-1]  # a mirror turns every face inside out
        vertices.append(placed)
        faces.append(part + offset)
        offset += len(placed)
    return np.concatenate(vertices), np.concatenate(faces)


def _parse_obj(data: bytes) -> tuple[Vertices, Faces]:
    """Positions and triangles of an OBJ file; everything else in it is passed over."""
    coordinates: list[float] = []
    triangles: list[int] = []
    count = 0
    if b"\\" in data:
        data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    for number, line in enumerate(data.splitlines(), start=1):
        words = line.split()
        if not words or words[0] not in (b"v", b"f"):
            continue
        if b"#" in line:
            words = line.partition(b"#")[0].split()
        try:
            if words[0] == b"v":
                x, y, z = words[1:4]
                coordinates += (float(x), float(y), float(z))
                count += 1
                continue
            corners = [int(word.partition(b"/")[0]) for word in words[1:]]
        except ValueError as error:
            raise BadMeshError(f"not a readable obj file (line {number})", _EXPORT_AGAIN) from error
        # 1 is the first vertex, -1 the latest before this line; 0 is none: it becomes -1, refused below.
        corners = [corner - 1 if corner >= 0 else max(corner + count, -1) for corner in corners]
        for second, third in itertools.pairwise(corners[1:]):
            triangles += (corners[0], second, third)
    if not coordinates and not triangles:
        raise BadMeshError("not a readable obj file (no vertices and no faces)", _EXPORT_AGAIN)
    return np.array(coordinates).reshape(-1, 3), np.array(triangles, dtype=np.int64).reshape(-1, 3)


# ---- checking


def _checked(vertices: NDArray[np.float64], faces: NDArray[np.int64], max_faces: int) -> trimesh.Trimesh:
    vertices = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    if len(faces) == 0:
        if len(vertices):
            raise BadMeshError(
                f"it has no faces: a point cloud of {len(vertices)} points", "make a surface of it first"
            )
        raise BadMeshError("it has no faces", "give a mesh with a surface")
    _check_count(len(faces), max_faces)
    _check_indices(faces, len(vertices))

    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if len(faces) == 0:
        raise BadMeshError("all its faces are degenerate", "give a mesh with a surface")
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    if not used.all():
        faces = (np.cumsum(used) - 1)[faces]
        vertices = vertices[used]

    if not np.isfinite(vertices).all():
        raise BadMeshError("it has NaN or infinite coordinates", "repair the mesh or export it again")
    _check_area(vertices, faces)
    # A copy, as the arrays may still be those of the caller's mesh.
    return trimesh.Trimesh(vertices.copy(), faces, process=False)


def _check_count(count: int, max_faces: int) -> None:
    if count > max_faces:
        raise BadMeshError(f"it has more than {max_faces} faces", "simplify the mesh first")


def _check_indices(faces: NDArray[np.int64], count: int) -> None:
    if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= count):
        raise BadMeshError(f"its faces name vertices that it does not have (it has {count})", _EXPORT_AGAIN)


def _check_area(vertices: Vertices, faces: Faces) -> None:
    """Refuse zero extent, and faces that are all without area, at any scale of the coordinates."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high / 2 - low / 2).max())
    if extent == 0:
        raise BadMeshError("it has zero extent: all vertices are one point", "give a mesh with a surface")
    for start in range(0, len(faces), _CHUNK):  # nearly always the first chunk decides
        corners = (vertices[faces[start : start + _CHUNK]] / 2 - low / 2) / extent
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        if float(np.abs(normals).max()) > 1e-14:  # above the rounding of coordinates in 0..1
            return
    raise BadMeshError("all its faces are degenerate: none has an area", "give a mesh with a surface")


def _rows(form: str, values: NDArray[np.float64] | NDArray[np.int64]) -> str:
    return (form * len(values)) % tuple(values.ravel().tolist())


def _one_line(error: BaseException) -> str:
    """The message of a foreign exception, on one line and without the path that ours starts with."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:160] or type(error).__name__
