"""Mesh files in, mesh files out.

OBJ, OFF and PLY are read by `meshcodec.geometry.readers`, STL and glTF by trimesh. Only geometry is read: no
material, texture or image file is ever opened. A file may be anyone's: what it announces is checked against
what it holds, and against limits, before memory is taken for it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import secrets
import stat
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import BadMeshError, UsageError
from meshcodec.geometry.normalize import used_vertices
from meshcodec.geometry.readers import Faces, Vertices, check_faces, read_obj, read_off, read_ply

READ_FORMATS = ("obj", "ply", "stl", "glb", "gltf", "off")
WRITE_FORMATS = ("obj", "ply", "stl", "glb", "off")
MAX_FACES = 5_000_000
MAX_BYTES = 512 << 20
"""Of a file and, a second time, of the buffers beside a glTF. Reading takes at most some 30 times as much."""

_MOST_JSON_VALUES = 5_000_000
_MOST_NODE_STEPS = 10_000_000
"""Steps from the root to each node of a glTF, over all nodes: they are what its transforms cost."""

_EXPORT_AGAIN = "check that it opens in a 3D viewer, or export it again"
_CHUNK = 1 << 16

_READERS: dict[str, Callable[[bytes, int], tuple[Vertices, Faces]]] = {
    "obj": read_obj,
    "off": read_off,
    "ply": read_ply,
}


def load_mesh(
    source: str | Path | BinaryIO | trimesh.Trimesh,
    file_type: str | None = None,
    max_faces: int = MAX_FACES,
    max_bytes: int = MAX_BYTES,
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
    max_bytes : refuse larger files, and a glTF with larger files beside it.

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
            data, kind, folder = _read(source, file_type, max_bytes)
            vertices, faces = _parse(data, kind, folder, max_faces, max_bytes)
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


def _read(
    source: str | Path | BinaryIO, file_type: str | None, max_bytes: int
) -> tuple[bytes, str, Path | None]:
    """Bytes, format, and the folder where a glTF's buffers may lie (None for a stream)."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    size = 0
    if path is not None:
        try:
            status = path.stat()
            mode, size = status.st_mode, status.st_size
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

    _check_size(size, max_bytes)
    try:
        data = path.read_bytes() if path is not None else _read_stream(source, max_bytes)  # type: ignore[arg-type]
    except (OSError, ValueError, MemoryError) as error:
        raise BadMeshError(f"cannot be read: {_one_line(error)}", "check that you may read it") from error
    if not isinstance(data, bytes):
        raise BadMeshError("it is open as text", "open it in binary mode")
    _check_size(len(data), max_bytes)
    if not data.strip():
        raise BadMeshError("it is empty", _EXPORT_AGAIN)
    return data, kind, path.parent if path is not None else None


def _read_stream(stream: BinaryIO, max_bytes: int) -> bytes:
    """A stream to its end, or one byte more than is allowed. One without a buffer gives a piece at a time."""
    data = stream.read(max_bytes + 1)
    while len(data) <= max_bytes and (more := stream.read(max_bytes + 1 - len(data))):
        data += more
    return data


def _parse(
    data: bytes, kind: str, folder: Path | None, max_faces: int, max_bytes: int
) -> tuple[Vertices, Faces]:
    try:
        if kind in _READERS:
            return _READERS[kind](data, max_faces)
        data = (
            _checked_stl(data, max_faces)
            if kind == "stl"
            else _checked_gltf(data, kind, max_faces, max_bytes)
        )
        with np.errstate(all="ignore"):  # of transforms: what is not finite is refused later, in one line
            scene = trimesh.load_scene(
                io.BytesIO(data),
                file_type=kind,
                resolver=_BufferFolder(folder, max_bytes),
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


def _checked_stl(data: bytes, max_faces: int) -> bytes:
    """A binary STL without what may follow it, or a text one, with names in any encoding, as valid UTF-8."""
    if b"\0" not in data:
        return data if data.isascii() else data.decode("latin-1").encode()
    (count,) = struct.unpack_from("<I", data, 80)
    check_faces(count, max_faces)
    end = 84 + 50 * count
    if end > len(data):
        raise BadMeshError(f"it is cut short: its header announces {count} faces", _EXPORT_AGAIN)
    return data[:end]


# ---- glTF

_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_DRACO = "KHR_draco_mesh_compression"
_TRIANGLES = 4
_PLAIN = bytes(range(128)) + b"?" * 128


def _checked_gltf(data: bytes, kind: str, max_faces: int, max_bytes: int) -> bytes:
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


class _BufferFolder(trimesh.resolvers.Resolver):  # type: ignore[misc, unused-ignore]
    """Reads the ``.bin`` files of a glTF, and nothing outside the folder that it lies in."""

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        self.folder = folder.resolve() if folder is not None else None
        self.max_bytes = self.left = max_bytes

    def get(self, key: str) -> bytes:
        if self.folder is None:
            raise ValueError(f"its buffer {key!r} is another file, which a stream cannot reach")
        path = (self.folder / PurePosixPath(unquote(key))).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(f"its buffer {key!r} lies outside its folder")
        if not path.is_file():
            raise ValueError(f"its buffer {key!r} is missing")
        self.left -= path.stat().st_size  # the same file may be named a thousand times
        _check_size(self.max_bytes - self.left, self.max_bytes)
        return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def namespaced(self, namespace: str) -> _BufferFolder:
        raise NotImplementedError

    def keys(self) -> list[str]:
        return []


def _flatten(scene: trimesh.Scene, max_faces: int) -> tuple[Vertices, Faces]:
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
        raise _no_faces(points)
    vertices, faces = [], []
    offset = 0
    for transform, name in instances:
        if name not in parts:
            corners = np.asarray(scene.geometry[name].faces, dtype=np.int64)
            positions = _positions(scene.geometry[name].vertices)
            _check_indices(corners, len(positions))  # an offset would let them point into the next part
            # Unused vertices are dropped here, or a single face would multiply millions of them.
            parts[name] = _used(positions, corners)
        placed, part = parts[name]
        if not np.array_equal(transform, np.eye(4)):
            placed = placed @ transform[:3, :3].T + transform[:3, 3]
            if np.linalg.det(transform[:3, :3]) < 0:
                part = part[:, ::-1]  # a mirror turns every face inside out
        vertices.append(placed)
        faces.append(part + offset)
        offset += len(placed)
    return np.concatenate(vertices), np.concatenate(faces)


# ---- checking


def _checked(vertices: NDArray[np.float64], faces: NDArray[np.int64], max_faces: int) -> trimesh.Trimesh:
    vertices = _positions(vertices)
    faces = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    if len(faces) == 0:
        raise _no_faces(len(vertices))
    check_faces(len(faces), max_faces)
    _check_indices(faces, len(vertices))

    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if len(faces) == 0:
        raise BadMeshError("all its faces are degenerate", "give a mesh with a surface")
    vertices, faces = _used(vertices, faces)
    if not np.isfinite(vertices).all():
        raise BadMeshError("it has NaN or infinite coordinates", "repair the mesh or export it again")
    _check_area(vertices, faces)
    # A copy, as the arrays may still be those of the caller's mesh.
    return trimesh.Trimesh(vertices.copy(), faces, process=False)


def _positions(vertices: ArrayLike) -> Vertices:
    """Vertices as float64 (n, 3); a glTF may name any of its accessors as positions."""
    positions = np.asarray(vertices, dtype=np.float64)
    if positions.size and (positions.ndim != 2 or positions.shape[1] != 3):
        raise BadMeshError("its vertices do not have three coordinates each", "export it again")
    return positions.reshape(-1, 3)


def _no_faces(points: int) -> BadMeshError:
    if points:
        fault = f"it has no faces: a point cloud of {points} points"
        return BadMeshError(fault, "make a surface of it first")
    return BadMeshError("it has no faces", "give a mesh with a surface")


def _used(vertices: Vertices, faces: Faces) -> tuple[Vertices, Faces]:
    """A mesh without the vertices that no face uses."""
    used = used_vertices(faces, len(vertices))
    if used.all():
        return vertices, faces
    return vertices[used], (np.cumsum(used) - 1)[faces]


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BadMeshError(
            f"it is larger than {max_bytes} bytes", "simplify the mesh first, or allow more with --max-bytes"
        )


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
