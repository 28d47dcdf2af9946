"""What every mesh must have, whichever format it came in."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.outliers import without_stray
from meshcodec.geometry.triangles import area_normals, box_of, used_vertices, without_degenerate

EXPORT_AGAIN = "check that it opens in a 3D viewer, or export it again"  # remedy for a damaged file
_FIRST_CHUNK, _CHUNK = 1 << 10, 1 << 16  # faces whose areas are computed at once
_LEAST_AREA = 1e-14  # area of a mesh of extent 1 that is above the rounding of coordinates in 0..1
Vertices = NDArray[np.float64]  # (V, 3) positions
Faces = NDArray[np.int64]  # (F, 3) numbers of vertices


def check_faces(count: int, max_faces: int) -> None:
    """Refuse more faces than are allowed. Raises BadMeshError."""
    if count > max_faces:
        raise BadMeshError(
            f"it has more than {max_faces} faces", "simplify the mesh first, or allow more with --max-faces"
        )


def checked_mesh(vertices: Vertices, faces: Faces, max_faces: int) -> trimesh.Trimesh:
    """A mesh of its own arrays, without faces that name a vertex twice and vertices that no face uses.

    Faces without an area that reach out of the box of all others go, too (`without_stray`).

    Parameters
    ----------
    vertices : (V, 3)
    faces : (F, 3)
    max_faces : most faces allowed

    Raises
    ------
    BadMeshError
        Positions that are not three finite numbers each, indices out of range, too many faces, or no face
        with an area.
    """
    vertices = as_positions(vertices)
    faces = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    if len(faces) == 0:
        raise no_faces_error(len(vertices))
    check_faces(len(faces), max_faces)
    check_indices(faces, len(vertices))

    faces = without_degenerate(faces)
    if len(faces) == 0:
        raise BadMeshError("all its faces are degenerate", "give a mesh with a surface")
    vertices, faces = without_unused(vertices, faces)
    if not np.isfinite(vertices).all():
        raise BadMeshError("it has NaN or infinite coordinates", "repair the mesh or export it again")
    vertices, faces = without_unused(vertices, without_stray(vertices, faces))
    _check_area(vertices, faces)
    # A copy, as the arrays may still be those of the caller's mesh.
    return trimesh.Trimesh(vertices.copy(), faces, process=False)


def as_positions(vertices: ArrayLike) -> Vertices:
    """Vertices as float64 (n, 3). Raises BadMeshError: a glTF may name any of its accessors as positions."""
    if np.iscomplexobj(vertices):
        raise BadMeshError("its vertices are complex numbers", "give real ones")
    positions = np.asarray(vertices, dtype=np.float64)
    if positions.size and (positions.ndim != 2 or positions.shape[1] != 3):
        raise BadMeshError("its vertices do not have three coordinates each", "export it again")
    return positions.reshape(-1, 3)


def no_faces_error(points: int) -> BadMeshError:
    """What to say of a file without faces that has `points` vertices."""
    if points:
        fault = f"it has no faces: a point cloud of {points} points"
        return BadMeshError(fault, "make a surface of it first")
    return BadMeshError("it has no faces", "give a mesh with a surface")


def without_unused(vertices: Vertices, faces: Faces) -> tuple[Vertices, Faces]:
    """A mesh without the vertices that no face uses."""
    used = used_vertices(faces, len(vertices))
    if used.all():
        return vertices, faces
    return vertices[used], (np.cumsum(used) - 1)[faces]


def check_size(size: int, max_bytes: int) -> None:
    """Refuse more bytes than are allowed. Raises BadMeshError."""
    if size > max_bytes:
        raise BadMeshError(
            f"it is larger than {max_bytes} bytes", "simplify the mesh first, or allow more with --max-bytes"
        )


def check_indices(faces: Faces, count: int) -> None:
    """Refuse faces that name other vertices than the first `count`. Raises BadMeshError."""
    if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= count):
        raise BadMeshError(f"its faces name vertices that it does not have (it has {count})", EXPORT_AGAIN)


def _check_area(vertices: Vertices, faces: Faces) -> None:
    """Refuse zero extent, and faces that are all without area, at any scale of the coordinates."""
    low, high = box_of(vertices)
    extent = float((high / 2 - low / 2).max())
    if extent == 0:
        raise BadMeshError("it has zero extent: all vertices are one point", "give a mesh with a surface")
    for start in (0, *range(_FIRST_CHUNK, len(faces), _CHUNK)):  # nearly always the first chunk decides
        end = start + _CHUNK if start else _FIRST_CHUNK
        corners = (vertices[faces[start:end]] / 2 - low / 2) / extent
        if float(np.abs(area_normals(corners)).max()) > _LEAST_AREA:
            return
    raise BadMeshError("all its faces are degenerate: none has an area", "give a mesh with a surface")
