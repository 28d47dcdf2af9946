"""Importing this module lets trimesh read and write ``.vat`` files.

::

    import meshcodec.trimesh_plugin
    mesh = trimesh.load_mesh("shape.vat")
    mesh.export("again.vat", size=512, effort=0)

Options of `meshcodec.encode` and `meshcodec.decode` may be passed on. A mesh comes back in its own frame.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import trimesh
from trimesh.exchange import export, load

from meshcodec import api


def _load(file_obj: BinaryIO, file_type: str | None = None, **options: Any) -> dict[str, Any]:
    """What trimesh builds a mesh of."""
    known = {name: value for name, value in options.items() if name in ("resolution", "device", "faces")}
    mesh = api.decode(file_obj.read(), **known)
    return {"vertices": mesh.vertices, "faces": mesh.faces, "process": False}


def _export(mesh: trimesh.Trimesh, **options: Any) -> bytes:
    return api.encode(mesh, **options)


load.mesh_loaders["vat"] = _load
export._mesh_exporters["vat"] = _export
