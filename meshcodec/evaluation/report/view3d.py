"""Two meshes packed small, for the page's 3D view."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from meshcodec.geometry.simplify import closest, simplify
from meshcodec.geometry.triangles import Floats, Ints

FAR = 0.04
"""Distance, in units of the reference's longest half-extent, at which the colours end."""
LIMIT = 2.5
"""Half side of the cube, in the same units, that the 3D view shows; what is outside is moved to its side."""
AZIMUTH, ELEVATION = 35.0, 25.0
"""Where the thumbnails and the 3D view look from at first, in degrees; see `render_mesh`."""
_BITS = 14  # bits of a coordinate in the page
EDGE = FAR
"""Length of an edge from which on a face gets more corners, so that its middle has a colour of its own."""
_MOST_VERTICES = 65_535  # what 16 bits can count
_BYTES_PER_FACE = 5.0  # a first guess
_FEWEST_FACES = 60  # faces that a mesh keeps, whatever they take
_ROUNDS = 5  # tries to meet the size


@dataclass(frozen=True)
class _Small:
    """A simplified mesh: (V, 3) places and (V,) colours 0 to 255, (F, 3) faces."""

    vertices: Floats
    colors: NDArray[np.uint8]
    faces: Ints


# ---- the 3D view


def view_of(reference: tuple[Floats, Ints], decoded: tuple[Floats, Ints], size: int) -> bytes:
    """Both meshes packed into about ``size`` bytes: never fewer than `_FEWEST_FACES` faces each."""
    each = max(int(size / 2 / _BYTES_PER_FACE), _FEWEST_FACES)
    small = reference, decoded
    for number in range(_ROUNDS):
        small = _few(*small[0], each), _few(*small[1], each)
        if number == 0:
            small = divided(*small[0], each), divided(*small[1], each)
        packed = _packed([_colored(small[0], reference, decoded), _colored(small[1], decoded, reference)])
        if len(packed) <= size or each == _FEWEST_FACES:
            break
        each = max(int(each * min(0.97 * size / len(packed), 0.9)), _FEWEST_FACES)
    return packed


def _few(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """`simplify`, to vertices that 16 bits can count, too."""
    v, f = simplify(vertices, faces, count)
    while len(v) > _MOST_VERTICES:
        count = int(count * 0.9)
        v, f = simplify(v, f, count)
    return v, f


def divided(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """The same surface with each face in four, and again, as long as edges are long and ``count`` allows.

    Colours belong to vertices, and a large face has none where it is far off in its middle.
    """
    subdivide: Any = trimesh.remesh.subdivide  # has no types
    v, f = vertices, faces
    while len(f) and 4 * len(f) <= count and np.linalg.norm(v[f[:, [1, 2, 0]]] - v[f], axis=2).max() > EDGE:
        v, f = subdivide(v, f)
    return v, f


def _colored(small: tuple[Floats, Ints], whole: tuple[Floats, Ints], other: tuple[Floats, Ints]) -> _Small:
    """A simplified mesh with the distances of the whole one from the other."""
    v, f = small
    # From the nearest place of the whole surface: what simplification moves is not the codec's error.
    distances = closest(closest(v, *whole)[1], *other)[0] if len(v) else np.zeros(0)
    colors = np.rint(np.minimum(distances / FAR, 1) * 255).astype(np.uint8)
    return _Small(v, colors, f)


def _packed(meshes: list[_Small]) -> bytes:
    parts = []
    for mesh in meshes:
        order = _order(mesh.faces, len(mesh.vertices))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        parts.append(struct.pack("<II", len(mesh.vertices), len(mesh.faces)))
        places = np.rint((np.clip(mesh.vertices[order], -LIMIT, LIMIT) / LIMIT + 1) / 2 * ((1 << _BITS) - 1))
        for column in places.T.astype(np.int64):
            step = np.diff(column, prepend=0)
            parts.append(_planes(np.where(step < 0, -2 * step - 1, 2 * step)))
        parts.append(mesh.colors[order].tobytes())
        f = rank[mesh.faces]
        turn = (f.argmin(axis=1)[:, None] + np.arange(3)) % 3 if len(f) else f
        f = np.take_along_axis(f, turn, axis=1)  # the smallest corner first, the same side outside
        f = f[np.lexsort((f[:, 2], f[:, 1], f[:, 0]))]
        parts += [
            _planes(np.diff(f[:, 0], prepend=0)),
            _planes(f[:, 1] - f[:, 0]),
            _planes(f[:, 2] - f[:, 0]),
        ]
    return zlib.compress(b"".join(parts), 9)


def _order(faces: Ints, count: int) -> Ints:
    """Vertices so that neighbours come near each other."""
    rows, columns = faces.T.ravel(), faces[:, [1, 2, 0]].T.ravel()
    both = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    graph = coo_matrix((np.ones(len(both[0]), dtype=np.int8), both), shape=(count, count))
    return np.asarray(reverse_cuthill_mckee(graph.tocsr(), symmetric_mode=True), dtype=np.int64)


def _planes(values: Ints) -> bytes:
    """(n,) numbers from 0 to 65535: all low bytes, then all high bytes."""
    return np.ascontiguousarray(values.astype("<u2").view(np.uint8).reshape(-1, 2).T).tobytes()
