"""A mesh of the grid to vertices and faces in the frame of the mesh. Needs numpy alone."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.box import Axes
from meshcodec.format.grid_mesh import FLAT, GridMesh, Integers, MeshGrid
from meshcodec.surface.loop import crease_edges, edges_of, levels_within, subdivide

Numbers = TypeVar("Numbers", Integers, NDArray[np.float64])
DEFAULT_MOST_FACES = 40_000  # faces that a Loop surface is subdivided to at most, where nothing else is asked


def decoded_surface(
    mesh: GridMesh, grid: MeshGrid, most_faces: int = DEFAULT_MOST_FACES
) -> tuple[NDArray[np.float64], Integers]:
    """The surface that a file describes, in the frame of the mesh.

    Parameters
    ----------
    mesh, grid : what the file holds
    most_faces : a Loop surface has as many levels as give no more faces than this, and at least none; the
        triangles of a flat mesh stay as they are

    Returns
    -------
    vertices, faces : (V, 3) and (F, 3). Where the grid is mirrored, both halves; they share the vertices of
        the middle plane, so that a half without another border than that gives a closed mesh.
    """
    positions, faces = with_images(*mesh.whole, grid.mirrored)
    if mesh.crease == FLAT:
        return grid.to_world(positions), faces
    sharp = crease_edges(positions, faces, edges_of(faces, len(positions)), mesh.crease)
    levels = levels_within(len(faces), most_faces)
    points, fine = subdivide(positions.astype(np.float64), faces, sharp, levels)
    return grid.to_world(points), fine


def with_images(positions: Numbers, faces: Integers, mirrored: Axes) -> tuple[Numbers, Integers]:
    """A mesh of the grid with its images across the middle planes, where one coordinate is 0.

    Vertices of the plane and faces that lie in it are their own image and come once. The vertices of the mesh
    come first.

    Parameters
    ----------
    positions, faces : (V, 3) and (F, 3)
    mirrored : axes across which the mesh is mirrored, one after the other
    """
    for axis in np.flatnonzero(mirrored):
        beside = positions[:, axis] != 0
        image = np.arange(len(positions))
        image[beside] = len(positions) + np.arange(int(beside.sum()))
        signs = np.ones(3, dtype=np.int64)
        signs[axis] = -1
        positions = np.concatenate([positions, positions[beside] * signs])
        other = faces[beside[faces].any(axis=1)]
        # In the mirror counter-clockwise is clockwise.
        faces = np.concatenate([faces, image[other][:, ::-1]])
    return positions, faces
