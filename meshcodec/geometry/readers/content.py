"""What has the name of a mesh file and is something else."""

from __future__ import annotations

import re

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.gzipped import MAGIC
from meshcodec.geometry.readers.stl import has_all_facets

_ZIP = b"PK\x03\x04"
_LOOKED_AT = 1024  # bytes of a file that tell what it is: a text of one long line is none to search through
_STARTS = {
    "glb": re.compile(rb"glTF[\1\2]\0\0\0"),
    "ply": re.compile(rb"ply\s+(?:format|comment|obj_info|element)\s"),
    "off": re.compile(rb"(?:ST|[CN4n])*OFF\s"),
    "stl": re.compile(rb"\s*solid\b[^\r\n]*\s+facet\s+normal\s"),
}
"""How files begin that say what they are."""
_LFS = b"version https://git-lfs.github.com/spec/"


def check_content(data: bytes, kind: str) -> None:
    """Refuse bytes that are no mesh file, whatever their format `kind`, by what they are.

    What begins a binary STL file is anyone's: it counts where the number of facets does not.

    Raises BadMeshError.
    """
    if kind == "stl" and has_all_facets(data):
        return
    if data.startswith(_LFS):
        fault = "it is a pointer of Git LFS, in place of the mesh itself"
        raise BadMeshError(fault, "fetch the mesh with: git lfs pull")
    if data[:_LOOKED_AT].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise BadMeshError("it is a web page, not a mesh", "download the file itself")
    if data.startswith(MAGIC):
        remedy = f"name it .{kind}.gz (in a pipe: --file-type {kind}.gz)"
        raise BadMeshError("it is compressed with gzip", remedy)
    if data.startswith(_ZIP) and kind != "3mf":
        raise BadMeshError("it is a zip archive", "unpack it, and name a mesh file in it")
    for name, start in _STARTS.items():
        if start.match(data, 0, _LOOKED_AT) is not None and kind != name and (kind, name) != ("gltf", "glb"):
            fault = f"it is not {kind.upper()}: it begins as {name.upper()} does"
            raise BadMeshError(fault, f"name it .{name} (in a pipe: --file-type {name})")
