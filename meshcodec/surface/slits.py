"""Slits of a decoded surface, made narrow.

Solids that touch, and the faces that lie hidden between them, are coded with a slit of a known thickness
between them (`meshcodec.geometry.signed_distance`): otherwise the field could not say that anything is there.
Where the decoded surface has two sides with such a slit between them, both are moved towards its middle,
where the surface was that they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshcodec.format.box import NO_AXES, Axes
from meshcodec.geometry.triangles import area_normals

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

REST = 0.002
"""Half the thickness, in the cube, that is left of a slit: sides that do not meet stay closed surfaces."""
WHOLE, NONE = 1.3, 1.7
"""Thicknesses of a gap, in those of a slit, up to which it is one and from which on it is none; in between
its sides move a share of the way."""
OPPOSED = -0.7
"""Cosine of the normals of two points that lie opposite to each other, at most."""
ASIDE = 0.012
"""Length in the cube, about that of a grid cell, by which they may miss each other sideways."""
REACH = 0.0125
"""Distance in the cube within which a vertex is looked for about the point where the other side should be."""
LEAST = 0.003
"""Thickness of slits, in the cube, below which there is nothing to be made narrower."""


@dataclass(frozen=True)
class Slits:
    """The slits of a field, as what moves the vertices of its surface: see `meshcodec.surface.extract`.

    Attributes
    ----------
    thickness : of a slit, in the cube
    low : where the mirrors are, along their axes
    mirrored : axes with a mirror
    """

    thickness: float
    low: float
    mirrored: Axes = NO_AXES

    def __call__(self, vertices: Floats, faces: Ints) -> Floats:
        """(V, 3) vertices moved along their normals, given those of the side of the mirrors that is kept."""
        if self.thickness < LEAST or not len(faces):
            return vertices
        normals = vertex_normals(vertices, faces)
        for axis in np.flatnonzero(self.mirrored):
            inside = np.abs(vertices[:, axis] - self.low) < 1e-9
            normals[inside, axis] = 0.0  # what lies in a mirror stays there
        others, towards = self._with_images(vertices, normals)
        tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
        aim = vertices + self.thickness * normals
        found = tree.query(aim, distance_upper_bound=REACH, workers=torch.get_num_threads())[1]
        near = np.flatnonzero(found < len(others))
        normal, other = normals[near], found[near]
        way = others[other] - vertices[near]
        gap = np.einsum("ij,ij->i", way, normal)
        aside = np.linalg.norm(way - gap[:, None] * normal, axis=1)
        opposed = np.einsum("ij,ij->i", towards[other], normal) < OPPOSED
        share = np.clip((NONE - gap / self.thickness) / (NONE - WHOLE), 0.0, 1.0)
        share[~(opposed & (gap > 0) & (aside < ASIDE))] = 0.0
        length = share * np.maximum(np.minimum(gap, WHOLE * self.thickness) / 2 - REST, 0.0)
        moved = vertices.copy()
        moved[near] += length[:, None] * normal
        return moved

    def _with_images(self, vertices: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """The vertices and normals that may lie opposite to others: those that have a normal, and the images
        of those near a mirror."""
        has = np.flatnonzero(np.einsum("ij,ij->i", normals, normals) > 0)
        points, towards = vertices[has], normals[has]
        for axis in np.flatnonzero(self.mirrored):
            near = np.flatnonzero(points[:, axis] < self.low + NONE * self.thickness)
            images, turned = points[near], towards[near]
            images[:, axis] = 2 * self.low - images[:, axis]
            turned[:, axis] *= -1
            points, towards = np.concatenate([points, images]), np.concatenate([towards, turned])
        return points, towards


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """(V, 3) unit normals of vertices, by the areas of the faces around them; zero where there are none.

    Summed in the order of the faces, so that they do not depend on the number of threads.
    """
    areas, corners = area_normals(vertices[faces]), faces.T.reshape(-1)
    total = np.stack(
        [np.bincount(corners, np.tile(areas[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    normals: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)
    return normals
