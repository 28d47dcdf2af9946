"""3MF files: a zip archive of XML, whose build places objects, https://github.com/3MFConsortium/spec_core.

What the build names is read, with the transforms of its items and of the components that objects are made
of, also from other model files of the archive (production extension). Supports are no part of the shape:
the specification lets a reader ignore them. Coordinates stay in the unit of the file.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import unquote
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import MAX_BYTES
from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import (
    EXPORT_AGAIN,
    Faces,
    Vertices,
    check_faces,
    check_indices,
    check_size,
    without_unused,
)
from meshcodec.geometry.readers.text import as_vertices

_PIECE = 1 << 16  # bytes of XML that are parsed at a time
_DEEPEST = 64  # elements, or components, in each other
_MOST_PLACES = 1 << 18  # places of meshes, in all objects together
_START = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"  # relation to the first model
_RELATIONS = "/_rels/.rels"
_USUAL_START = "/3d/3dmodel.model"
_KNOWN = ("/production/", "/material/", "/trianglesets/")
"""In the names of the extensions that may be asked for: those of other files, of colours and of groups."""
_NO_SHAPE = ("support", "solidsupport", "other")  # types of objects that are no part of the shape
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what the packages' standard allows
_Attributes = dict[str, str]
_Key = tuple[str, str]  # a model file of the archive, and the number of an object in it
_Matrices = NDArray[np.float64]  # (k, 4, 4), for positions as rows


@dataclass(frozen=True)
class _Place:
    """An object in the build or in another object, and how it is moved: 12 numbers, row by row."""

    key: _Key
    transform: tuple[float, ...] | None


@dataclass
class _Object:
    """A mesh, or what other objects make up."""

    kind: str = "model"
    coordinates: array[float] = field(default_factory=lambda: array("d"))
    corners: array[int] = field(default_factory=lambda: array("q"))
    components: list[_Place] | None = None
    has_mesh: bool = False


def read_3mf(data: bytes, max_faces: int, max_bytes: int = MAX_BYTES) -> tuple[Vertices, Faces]:
    """Positions and triangles of all that the build of a 3MF file places, unpacked to `max_bytes` at most.

    A mesh that a transform mirrors is turned, so that its outside stays outside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            package = _Package(archive, max_bytes)
            places = package.read()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadMeshError("its zip archive is damaged or cut short", EXPORT_AGAIN) from error
    except expat.ExpatError as error:
        raise ValueError(f"its XML: {error}") from error
    scene = _Scene(package.objects)
    return _placed(package.objects, scene.all_of(places), max_faces)


# ---- the archive and its XML


class _Package:
    """The model files of an archive, of which each is read once, when something in it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._parts = {_part_name(info.filename): info for info in archive.infolist()}
        self._left = self._max_bytes = max_bytes
        self.objects: dict[_Key, _Object] = {}

    def read(self) -> list[_Place]:
        """What the build places; `objects` then has all of it. BadMeshError: it is nothing."""
        start = self._start()
        build = self._model(start).items
        if not build:
            raise BadMeshError("its build names no object, so nothing in it has a place", EXPORT_AGAIN)
        models, waiting, met = {start}, [place.key for place in build], set[_Key]()
        while waiting:
            key = waiting.pop()
            if key in met:
                continue
            met.add(key)
            if key[0] not in models:
                models.add(key[0])
                self._model(key[0])
            if key not in self.objects:
                raise ValueError(f"there is no object {key[1]} in {key[0]}")
            waiting += [place.key for place in self.objects[key].components or ()]
        return build

    def _start(self) -> str:
        """The name of the first model file."""
        found: list[str] = []

        def relation(name: str, attributes: _Attributes) -> None:
            if name.endswith("Relationship") and attributes.get("Type") == _START:
                found.append(_part_name(attributes.get("Target", "")))

        if _RELATIONS in self._parts:
            _parse(self._chunks(_RELATIONS), relation)
        return found[0] if found else _USUAL_START

    def _model(self, part: str) -> _Model:
        model = _Model(part)
        _parse(self._chunks(part), model.begin, model.name_space)
        self.objects |= model.objects
        return model

    def _chunks(self, part: str) -> Iterator[bytes]:
        """A file of the archive, unpacked piece by piece. BadMeshError: all that is unpacked is too large."""
        info = self._parts.get(part)
        if info is None:
            raise ValueError(f"it holds no {part}")
        if info.flag_bits & 1:
            raise BadMeshError("it is encrypted", "save it without a password")
        if info.compress_type not in _STORED_OR_DEFLATED:
            raise BadMeshError(f"{part} in it is packed in a way that 3MF does not know", EXPORT_AGAIN)
        stream: IO[bytes]
        with self._archive.open(info) as stream:
            while chunk := stream.read(_PIECE):
                self._left -= len(chunk)
                check_size(self._max_bytes - self._left, self._max_bytes)
                yield chunk


def _part_name(name: str) -> str:
    """The name of a file of the archive as all are compared: from the root, whatever its case.

    Names are parts of URIs, percent-encoded, in relations and paths; in a zip archive programs write either.
    """
    return posixpath.normpath("/" + unquote(name).replace("\\", "/").lower().lstrip("/"))


def _parse(
    chunks: Iterator[bytes],
    begin: Callable[[str, _Attributes], None],
    name_space: Callable[[str | None, str], None] | None = None,
) -> None:
    """Give the elements of an XML file one by one, without ever holding a tree of them.

    A document type could define entities that grow without bound, and the specification forbids it.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def start(name: str, attributes: _Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"elements nested more than {_DEEPEST} deep")
        try:
            begin(name, attributes)
        except (ValueError, LookupError, OverflowError) as error:
            raise ValueError(f"line {parser.CurrentLineNumber} of its XML") from error

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise BadMeshError("its XML has a document type, which 3MF forbids", EXPORT_AGAIN)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    if name_space is not None:
        parser.StartNamespaceDeclHandler = name_space
    for chunk in chunks:
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


class _Model:
    """What the elements of one model file say."""

    def __init__(self, part: str) -> None:
        self.objects: dict[_Key, _Object] = {}
        self.items: list[_Place] = []
        self._part = part
        self._prefixes: dict[str, str] = {}
        self._object = _Object()
        self._by_name: dict[str, Callable[[_Attributes], None]] = {}

    def name_space(self, prefix: str | None, name: str) -> None:
        """Note what a prefix stands for."""
        self._prefixes[prefix or ""] = name

    def begin(self, name: str, attributes: _Attributes) -> None:
        """Take in an element. Raises ValueError or LookupError: it is not as it has to be."""
        if not self._by_name:
            self._begin_model(name, attributes)
        elif name in self._by_name:
            self._by_name[name](attributes)

    def _begin_model(self, name: str, attributes: _Attributes) -> None:
        space, _, local = name.rpartition(" ")
        if local != "model":
            raise ValueError("it does not start with a model")
        for prefix in attributes.get("requiredextensions", "").split():
            extension = self._prefixes.get(prefix, prefix)
            if not any(known in extension for known in _KNOWN):
                fault = f"it needs an extension of 3MF that is not read ({extension[:80]})"
                raise BadMeshError(fault, "export it as a mesh alone")
        handlers = {
            "object": self._begin_object,
            "mesh": self._begin_mesh,
            "vertex": self._vertex,
            "triangle": self._triangle,
            "components": self._begin_components,
            "component": self._component,
            "item": self._item,
        }
        self._by_name = {f"{space} {local}".strip(): handler for local, handler in handlers.items()}

    def _begin_object(self, attributes: _Attributes) -> None:
        self._object = _Object(attributes.get("type", "model"))
        self.objects[self._part, attributes["id"].strip()] = self._object

    def _begin_mesh(self, _attributes: _Attributes) -> None:
        self._object.has_mesh = True

    def _vertex(self, attributes: _Attributes) -> None:
        x, y, z = attributes["x"], attributes["y"], attributes["z"]
        self._object.coordinates.extend((float(x), float(y), float(z)))

    def _triangle(self, attributes: _Attributes) -> None:
        a, b, c = attributes["v1"], attributes["v2"], attributes["v3"]
        self._object.corners.extend((int(a), int(b), int(c)))

    def _begin_components(self, _attributes: _Attributes) -> None:
        self._object.components = []

    def _component(self, attributes: _Attributes) -> None:
        if self._object.components is None:
            raise ValueError("a component outside of components")
        self._object.components.append(self._place(attributes))

    def _item(self, attributes: _Attributes) -> None:
        self.items.append(self._place(attributes))

    def _place(self, attributes: _Attributes) -> _Place:
        path = next((value for name, value in attributes.items() if name.endswith(" path")), None)
        part = self._part if path is None else _part_name(path)
        text = attributes.get("transform")
        transform = None if text is None else tuple(map(float, text.split()))
        if transform is not None and len(transform) != 12:
            raise ValueError("a transform of other than 12 numbers")
        return _Place((part, attributes["objectid"].strip()), transform)


# ---- from the build to triangles


class _Scene:
    """Where meshes end up."""

    def __init__(self, objects: dict[_Key, _Object]) -> None:
        self._objects = objects
        self._found: dict[_Key, dict[_Key, _Matrices]] = {}
        self._open: list[_Key] = []
        self._count = 0

    def all_of(self, places: list[_Place]) -> dict[_Key, _Matrices]:
        """The meshes that objects at these places are made of, and the transforms of each, (k, 4, 4).

        Raises BadMeshError: too many, or objects nested too deep; ValueError: an object in itself.
        """
        parts: dict[_Key, list[_Matrices]] = {}
        for place in places:
            for key, matrices in self._of(place.key).items():
                self._count += len(matrices)
                if self._count > _MOST_PLACES:
                    fault = f"its components place meshes more than {_MOST_PLACES} times"
                    raise BadMeshError(fault, "simplify the scene first")
                parts.setdefault(key, []).append(_moved(matrices, place.transform))
        return {key: np.concatenate(matrices) for key, matrices in parts.items()}

    def _of(self, key: _Key) -> dict[_Key, _Matrices]:
        """The meshes of one object, and where they are in it."""
        if key in self._found:
            return self._found[key]
        if key in self._open:
            raise ValueError(f"object {key[1]} is a component of itself")
        if len(self._open) >= _DEEPEST:
            raise BadMeshError(
                f"its components are nested more than {_DEEPEST} deep", "flatten the scene first"
            )
        made = self._objects[key]
        if made.components is not None:
            self._open.append(key)
            found = self.all_of(made.components)
            self._open.pop()
        elif not made.has_mesh:
            raise ValueError(f"object {key[1]} has neither a mesh nor components")
        else:
            drawn = made.kind not in _NO_SHAPE and len(made.corners) > 0
            found = {key: np.eye(4)[None]} if drawn else {}
        self._found[key] = found
        return found


def _moved(matrices: _Matrices, transform: tuple[float, ...] | None) -> _Matrices:
    if transform is None:
        return matrices
    outer = np.eye(4)
    outer[:, :3] = np.reshape(transform, (4, 3))
    with np.errstate(all="ignore"):  # what is not finite is refused later, in one line
        moved: _Matrices = matrices @ outer
    return moved


def _placed(
    objects: dict[_Key, _Object], places: dict[_Key, _Matrices], max_faces: int
) -> tuple[Vertices, Faces]:
    """All meshes at all their places as one; counted before any is copied."""
    meshes: list[tuple[Vertices, Faces, _Matrices]] = []
    total = points = 0
    for key, matrices in places.items():
        vertices = as_vertices(objects[key].coordinates)
        faces = np.frombuffer(objects[key].corners, np.int64).reshape(-1, 3)
        check_indices(faces, len(vertices))
        vertices, faces = without_unused(vertices, faces)
        meshes.append((vertices, faces, matrices))
        total += len(faces) * len(matrices)
        points += len(vertices) * len(matrices)
        check_faces(max(total, points // 3), max_faces)
    if not meshes:
        fault = "nothing that its build names is part of a shape: supports, or meshes without triangles"
        raise BadMeshError(fault, "give a file with an object of type model")
    all_vertices, all_faces = [], []
    offset = 0
    for vertices, faces, matrices in meshes:
        with np.errstate(all="ignore"):
            moved = vertices[None] @ matrices[:, :3, :3] + matrices[:, 3:, :3]
            mirrored = np.linalg.det(matrices[:, :3, :3]) < 0
        turned = np.where(mirrored[:, None, None], faces[None, :, ::-1], faces[None])
        starts = offset + len(vertices) * np.arange(len(matrices))
        all_vertices.append(moved.reshape(-1, 3))
        all_faces.append((turned + starts[:, None, None]).reshape(-1, 3))
        offset += len(vertices) * len(matrices)
    return np.concatenate(all_vertices), np.concatenate(all_faces)
