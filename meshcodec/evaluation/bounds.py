"""Two surfaces that stand for codecs without a size: what any codec must beat, and what ours aims at."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from meshcodec.config import EXTENT, TRUNCATION
from meshcodec.errors import BadMeshError
from meshcodec.geometry.signed_distance import TargetField, classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.geometry.triangles import MeshLike, used_vertices


def convex_hull(mesh: MeshLike) -> trimesh.Trimesh:
    """The convex hull: what a codec must beat to be worth any bytes at all. It has no file.

    A mesh that lies in a plane gives its outline, filled.
    """
    vertices, faces = (mesh.vertices, mesh.faces) if isinstance(mesh, trimesh.Trimesh) else mesh
    points = np.asarray(vertices, dtype=np.float64)
    used = used_vertices(np.asarray(faces), len(points))
    hull: trimesh.Trimesh = trimesh.convex.convex_hull(points[used])
    return hull


def target_surface(mesh: MeshLike, resolution: int = 192) -> trimesh.Trimesh:
    """The surface of the signed distances that our codec is asked to reproduce, at `resolution` cells a side.

    What a codec without any loss but this one would decode: see `meshcodec.geometry.signed_distance`. It
    lies in the frame of the mesh. Raises BadMeshError where there is no surface.
    """
    import torch  # here, because the others do without it

    from meshcodec.surface.extract import extract

    vertices, faces = (mesh.vertices, mesh.faces) if isinstance(mesh, trimesh.Trimesh) else mesh
    placement = fit_coding_box(np.asarray(vertices), np.asarray(faces))
    field = TargetField(classify(placement.to_unit(vertices), np.asarray(faces)))

    def distance(points: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.clip(field(points.numpy()), -TRUNCATION, TRUNCATION))

    cube: dict[str, Any] = {"lo": -EXTENT, "hi": EXTENT, "truncation": TRUNCATION}
    found = extract(distance, resolution, **cube, mirrored=placement.mirrored)
    if not len(found.faces):
        raise BadMeshError("nothing of it encloses a grid point", "give a mesh with a surface")
    return trimesh.Trimesh(placement.to_world(found.vertices), found.faces, process=False)
