"""What has the name of a mesh file and is something else."""

from __future__ import annotations

from meshcodec.errors import BadMeshError

_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"
_LFS = b"version https://git-lfs.github.com/spec/"


def check_content(data: bytes, kind: str) -> None:
    """Refuse bytes that are no mesh file, whatever their format `kind`, by what they are.

    Raises BadMeshError.
    """
    if data.startswith(_LFS):
        fault = "it is a pointer of Git LFS, in place of the mesh itself"
        raise BadMeshError(fault, "fetch the mesh with: git lfs pull")
    if data[:1024].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise BadMeshError("it is a web page, not a mesh", "download the file itself")
    if data.startswith(_GZIP):
        remedy = f"name it .{kind}.gz (in a pipe: --file-type {kind}.gz)"
        raise BadMeshError("it is compressed with gzip", remedy)
    if data.startswith(_ZIP) and kind != "3mf":
        raise BadMeshError("it is a zip archive", "unpack it, and name a mesh file in it")
