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
from meshcodec.geometry.triangles import box_of

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

_CHUNK = 1 << 15  # faces whose normals are computed at once, within a processor's cache


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
        sides = Sides(others, towards, self.thickness + REACH)
        asked = np.flatnonzero(sides.may_oppose(vertices, normals))
        if not len(asked):
            return vertices
        beside = sides.near(vertices[asked])
        others, towards = others[beside], towards[beside]
        tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
        aim = vertices[asked] + self.thickness * normals[asked]
        found = tree.query(aim, distance_upper_bound=REACH, workers=torch.get_num_threads())[1]
        hit = found < len(others)
        near, other = asked[hit], found[hit]
        normal = normals[near]
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


class Sides:
    """Which ways a surface points about each place: quick to ask where nothing lies opposite.

    Parameters
    ----------
    points, normals : (n, 3) places and unit normals of the surface
    reach : how far away another side is looked for, in each coordinate
    """

    def __init__(self, points: Floats, normals: Floats, reach: float) -> None:
        low, high = box_of(points)
        self._low, self._reach = low, reach
        x, y, z = (((high - low) / reach).astype(np.int64) + 1).tolist()
        self._shape = x, y, z
        cells = self._cells_of(points)
        self._cell = np.ravel_multi_index(tuple(cells.T), self._shape)
        self._least = [self._spread(normals[:, axis], np.minimum) for axis in range(3)]
        self._most = [self._spread(normals[:, axis], np.maximum) for axis in range(3)]

    def may_oppose(self, points: Floats, normals: Floats) -> NDArray[np.bool_]:
        """(n,) whether the least and largest coordinates of normals within reach leave room for an opposed
        one."""
        cell = np.ravel_multi_index(tuple(self._cells_of(points).T), self._shape)
        bound = np.zeros(len(points))
        for axis, least, most in zip(range(3), self._least, self._most, strict=True):
            own = normals[:, axis]
            bound += np.minimum(own * least[cell], own * most[cell])
        opposable: NDArray[np.bool_] = bound < OPPOSED
        return opposable

    def near(self, points: Floats) -> Ints:
        """The points of the surface within reach of any of (n, 3) points, and others."""
        asked = np.zeros(self._shape)
        asked[tuple(self._cells_of(points).T)] = 1.0
        return np.flatnonzero(_around(asked, np.maximum).reshape(-1)[self._cell])

    def _cells_of(self, points: Floats) -> Ints:
        cells: Ints = ((points - self._low) / self._reach).astype(np.int64)
        return np.clip(cells, 0, np.array(self._shape) - 1)

    def _spread(self, values: Floats, join: np.ufunc) -> Floats:
        """What values (n,) of the points join to in each cell and those around it."""
        found = np.zeros(self._shape)
        join.at(found.reshape(-1), self._cell, values)
        return _around(found, join).reshape(-1)


def _around(cells: Floats, join: np.ufunc) -> Floats:
    """(a, b, c) cells, each joined with all around it."""
    for axis in range(3):
        before = np.moveaxis(cells, axis, 0)
        cells = cells.copy()
        after = np.moveaxis(cells, axis, 0)
        join(after[1:], before[:-1], out=after[1:])
        join(after[:-1], before[1:], out=after[:-1])
    return cells


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """(V, 3) unit normals of vertices, by the areas of the faces around them; zero where there are none.

    Summed in the order of the faces, so that they do not depend on the number of threads.
    """
    corners = faces.T.reshape(-1)
    total = np.empty((len(vertices), 3))
    for axis, areas in enumerate(_area_columns(vertices, faces)):
        total[:, axis] = np.bincount(corners, np.tile(areas, 3), len(vertices))
    normals: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)
    return normals


def _area_columns(vertices: Floats, faces: Ints) -> Floats:
    """(3, F) the columns of `meshcodec.geometry.triangles.area_normals` of faces, in half the time."""
    places, found = np.ascontiguousarray(vertices.T), np.empty((3, len(faces)))
    for start in range(0, len(faces), _CHUNK):
        one, two, three = faces[start : start + _CHUNK].T
        first = places[:, one]
        a, b = places[:, two] - first, places[:, three] - first
        for axis, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
            found[axis, start : start + _CHUNK] = a[j] * b[k] - a[k] * b[j]
    return found
