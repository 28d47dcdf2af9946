"""Files that hold a mesh: written from a candidate, read to a surface. Reading needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import CorruptFileError
from meshcodec.format.container import VatFile, version_for
from meshcodec.format.grid_mesh import GridMesh, Integers, MeshGrid
from meshcodec.format.mesh_coder import MeshCoder, payload_head, payload_kind, unpack_mesh
from meshcodec.format.payload import Packing
from meshcodec.geometry.triangles import has_no_border
from meshcodec.modes.mesh.decode import DEFAULT_MOST_FACES, decoded_surface, with_images
from meshcodec.modes.result import MeshFacts


def mesh_file(
    mesh: GridMesh, grid: MeshGrid, message: bytes, coder: MeshCoder, coder_id: bytes
) -> tuple[VatFile, GridMesh]:
    """The file of a mesh, and the same mesh as it was read back from there and compared.

    Parameters
    ----------
    mesh, grid : the mesh and where it lies
    message : the mesh as it is coded
    coder, coder_id : by what, and the model id of that
    """
    file = VatFile(
        payload=payload_head(mesh) + message,
        model_id=coder_id,
        count=len(mesh.faces),
        packing=Packing.MESH,
        center=grid.center,
        half_extents=grid.half_extents,
        mirrored=grid.mirrored,
        version=version_for(coder_id, grid.center, grid.half_extents),
    )
    again, _ = read_mesh(file, coder)
    if (again.bits, again.crease) != (mesh.bits, mesh.crease) or _faces(again) != _faces(mesh):
        raise AssertionError("the coded mesh does not decode to itself")
    return file, again


def read_mesh(file: VatFile, coder: MeshCoder) -> tuple[GridMesh, MeshGrid]:
    """The mesh that a file holds, and its grid.

    Raises
    ------
    CorruptFileError
        Its payload is that of no mesh.
    """
    bits, _, _ = payload_kind(file.payload)
    center, half_extents, mirrored = file.box
    grid = MeshGrid(center, half_extents, mirrored, bits)
    return unpack_mesh(file.payload, file.count, coder, grid.sides), grid


def mesh_facts(mesh: GridMesh, grid: MeshGrid) -> MeshFacts:
    """What there is to say of a mesh: it is closed where its images make it so."""
    positions, faces = mesh.whole
    _, whole = with_images(positions, faces, grid.mirrored)
    return MeshFacts(len(faces), len(positions), mesh.bits, mesh.crease, has_no_border(whole))


def surface_of(
    file: VatFile, coder: MeshCoder, most_faces: int = DEFAULT_MOST_FACES
) -> tuple[NDArray[np.float64], Integers]:
    """Vertices (V, 3) and faces (F, 3) of the surface that a file holds, in the frame of the original.

    Raises
    ------
    CorruptFileError
        Its payload is that of no mesh, or its placement is beyond float32.
    """
    return placed_surface(*read_mesh(file, coder), most_faces)


def placed_surface(
    mesh: GridMesh, grid: MeshGrid, most_faces: int = DEFAULT_MOST_FACES
) -> tuple[NDArray[np.float64], Integers]:
    """`surface_of` a file that is read. Raises CorruptFileError: its placement is beyond float32."""
    vertices, faces = decoded_surface(mesh, grid, most_faces)
    if float(np.abs(vertices).max()) > float(np.finfo(np.float32).max):  # most mesh files hold float32
        raise CorruptFileError("its placement is beyond the range of float32", "encode the mesh again")
    return vertices, faces


def _faces(mesh: GridMesh) -> list[tuple[tuple[int, ...], ...]]:
    """The faces, those of copies too, by the places of their corners, each begun at its least one; sorted."""
    found = []
    positions, faces = mesh.whole
    for corners in positions[faces].tolist():
        first = corners.index(min(corners))
        found.append(tuple(map(tuple, corners[first:] + corners[:first])))
    return sorted(found)
