"""Arrays of triangles: areas, normals, points, merging, dropping."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import trimesh

Floats: TypeAlias = NDArray[np.float64]  # of vertices, (V, 3), as a rule
Ints: TypeAlias = NDArray[np.int64]  # of faces, (F, 3), as a rule
MeshLike: TypeAlias = "trimesh.Trimesh | tuple[ArrayLike, ArrayLike]"  # a pair: vertices, then faces
AnyInts = TypeVar("AnyInts", bound=np.integer)
FLOOR_AREA = 1e-30  # that stands for none in a division
_CHUNK = 1 << 16  # faces whose corners are looked up at once


def mesh_arrays(mesh: MeshLike) -> tuple[Floats, Ints]:
    """Vertices (V, 3) and faces (F, 3) of a mesh or of a pair of arrays."""
    vertices, faces = mesh if isinstance(mesh, tuple) else (mesh.vertices, mesh.faces)
    v = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    f = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    return v, f


def without_degenerate(faces: NDArray[AnyInts]) -> NDArray[AnyInts]:
    """The (F, 3) faces that have three different corners; the others are a segment or a point."""
    a, b, c = faces.T
    return np.asarray(faces[(a != b) & (b != c) & (c != a)])


def distinct_faces(faces: NDArray[AnyInts], positions: NDArray[np.integer]) -> NDArray[AnyInts]:
    """The (F, 3) faces without those that repeat the places of an earlier one, in whatever order; `positions`
    are (V,) numbers of the places of vertices, see `positions_of`."""
    corners = np.sort(positions[faces], axis=1)
    order = np.lexsort(corners.T)  # is stable: the first of those that are the same comes first
    first = np.ones(len(faces), dtype=bool)
    first[order[1:]] = (corners[order[1:]] != corners[order[:-1]]).any(axis=1)
    return np.asarray(faces[first])


def compact(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """A mesh, (V, 3) and (F, 3), without degenerate faces and without vertices that no face uses."""
    used, index = np.unique(without_degenerate(faces), return_inverse=True)
    return vertices[used], index.reshape(-1, 3).astype(np.int64)


def used_vertices(faces: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """(count,) which vertices the (F, 3) `faces` use; `numpy.unique` of millions of them is much slower."""
    used = np.zeros(count, dtype=bool)
    used[faces] = True
    return used


def any_corner(marked: NDArray[np.bool_], faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(F,) which of the (F, 3) faces have a corner among the (V,) `marked` vertices."""
    a, b, c = faces.T
    found: NDArray[np.bool_] = marked[a] | marked[b] | marked[c]
    return found


def box_of(points: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Lowest and highest corner, (3,) each, of the box of (n, 3) points, of which there is one at least.

    A coordinate that is not a number makes both corners' not one. Numpy reduces long rows some twenty times
    as fast as columns of three.
    """
    columns = np.ascontiguousarray(points.T)
    return columns.min(axis=1), columns.max(axis=1)


def area_normals(triangles: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, 3) normals of the triangles (n, 3, 3), twice as long as the area; outwards if counter-clockwise.

    In the precision of the triangles, with no check: what is not finite, or overflows, gives what is not.
    """
    normals: NDArray[np.float64] = np.cross(
        triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    )
    return normals


def face_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(F, 3) `area_normals` of the triangles (F, 3) of vertices (V, 3), in double precision."""
    normals = np.empty((len(faces), 3))
    for start in range(0, len(faces), _CHUNK):  # for the memory of millions
        chosen = slice(start, start + _CHUNK)
        normals[chosen] = area_normals(vertices[faces[chosen]].astype(np.float64))
    return normals


def face_areas(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(F,) areas of the triangles (F, 3) of vertices (V, 3)."""
    areas: NDArray[np.float64] = np.linalg.norm(face_normals(vertices, faces), axis=1) / 2
    return areas


def points_in(triangles: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 3) points, one in each of the triangles (n, 3, 3), even over its area."""
    count = len(triangles)
    u, v = rng.random(count), rng.random(count)
    flip = u + v > 1.0
    u[flip], v[flip] = 1.0 - u[flip], 1.0 - v[flip]
    a, b, c = triangles.astype(np.float64).transpose(1, 0, 2)
    points: NDArray[np.float64] = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    return points


def positions_of(vertices: NDArray[np.floating]) -> NDArray[np.intp]:
    """(V,) numbers of the places of (V, 3) vertices, in the order of x, y, z; equal vertices share one."""
    return _numbered(np.asarray(vertices), (2, 1, 0))[0]


def _numbered(
    places: NDArray[np.floating], axes: tuple[int, int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers of the distinct (V, 3) places in the order of axes, the last one first.

    Returns
    -------
    number, first : (V,) of each place, and (distinct,) one of the places with each number
    """
    order = np.lexsort([places[:, axis] for axis in axes])
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for axis in axes:  # one at a time, for the memory of millions; -0.0 and 0.0 are one place
        values = places[:, axis][order]
        new[1:] |= values[1:] != values[:-1]
    number = np.empty(len(order), dtype=np.intp)
    number[order] = np.cumsum(new) - 1
    return number, order[new]


def merge_identical(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """Merge vertices with equal coordinates; drop faces left with equal corners and vertices of no face.

    Returns
    -------
    vertices : (V', 3) float64
    faces : (F', 3) int64
    """
    places = np.asarray(vertices, dtype=np.float64)
    number, first = _numbered(places, (0, 1, 2))
    merged = without_degenerate(number[faces])
    distinct = places[first] + 0.0  # no place is at -0.0
    used = used_vertices(merged, len(distinct))
    return distinct[used], (np.cumsum(used) - 1)[merged]


def has_no_border(faces: Ints) -> bool:
    """Whether every edge of faces (F, 3) is shared by exactly two of them; no edge is no such surface."""
    if not len(faces):
        return False
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1], return_counts=True)
    return bool((counts == 2).all())
