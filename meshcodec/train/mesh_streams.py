"""Streams of triangle meshes for `meshcodec.train.pack`: integers that are small where a mesh is regular.

Faces are put in an order in which neighbours follow each other and rotated so that their newest vertex comes
last; vertices are numbered in the order of first use. A corner is then coded by how far below the next new
vertex it is (so that a new one is 0), and a vertex by its difference to the newest older vertex of the face
that brings it in.
"""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np
from numpy.typing import NDArray

Quantized = tuple[NDArray[np.uint16], NDArray[np.int32]]
"""Vertices (V, 3) on a grid and faces (F, 3) of a mesh."""
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
"""Filters of xz that suit the streams."""


def order_mesh(mesh: Quantized, optimizer: Any) -> Quantized:
    """The same mesh with faces and vertices in the order of the file, by the module `meshoptimizer`."""
    vertices, faces = mesh
    flat = np.ascontiguousarray(faces, dtype=np.uint32).reshape(-1)
    near = np.empty_like(flat)
    optimizer.optimize_vertex_cache(near, flat, len(flat), len(vertices))
    vertices, faces = _by_first_use(vertices, near.reshape(-1, 3).astype(np.int32))
    # Rotating a face changes the order of first use within it, so number again.
    for _ in range(2):
        newest = faces.argmax(axis=1)
        faces = np.take_along_axis(faces, (newest[:, None] + np.array([1, 2, 3])) % 3, axis=1)
        vertices, faces = _by_first_use(vertices, faces)
    return vertices, faces


def _by_first_use(vertices: NDArray[np.uint16], faces: NDArray[np.int32]) -> Quantized:
    used, first, compact = np.unique(faces, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty(len(used), dtype=np.int32)
    number[order] = np.arange(len(used), dtype=np.int32)
    return vertices[used[order]], number[compact.reshape(-1)].reshape(-1, 3)


def encode_streams(meshes: list[Quantized]) -> list[bytes]:
    """The streams of the faces and of the vertices of meshes that `order_mesh` gave."""
    codes, steps = [], []
    for vertices, faces in meshes:
        corners = faces.reshape(-1)
        newest = np.maximum.accumulate(corners)
        codes.append(np.concatenate([[0], newest[:-1] + 1]).astype(np.uint32) - corners.astype(np.uint32))
        parents = _parents(faces, len(vertices))
        wide = vertices.astype(np.int32)
        difference = wide - np.where(parents[:, None] >= 0, wide[parents], 0)
        # Arithmetic modulo 2**16, folded so that small differences of either sign have a high byte of zero.
        wrapped = difference.astype(np.uint16).view(np.int16).astype(np.int32)
        steps.append(((wrapped << 1) ^ (wrapped >> 15)).astype(np.uint16))
    planes = _split(np.concatenate(codes)), _split(np.concatenate(steps).reshape(-1))
    return [lzma.compress(plane, filters=FILTERS) for plane in planes]


def decode_streams(
    streams: list[bytes], vertex_starts: NDArray[np.int64], face_starts: NDArray[np.int64]
) -> Quantized:
    """What `encode_streams` was given, the vertices and the faces of all meshes in one array each.

    Parameters
    ----------
    streams : two, of the faces and of the vertices
    vertex_starts, face_starts : (M + 1,), where the rows of each mesh begin, and all of them end

    Raises
    ------
    ValueError, lzma.LZMAError
        The streams are damaged, or do not hold as many rows.
    """
    codes = _join(lzma.decompress(streams[0]), np.uint32).reshape(-1, 3)
    steps = _join(lzma.decompress(streams[1]), np.uint16).reshape(-1, 3)
    if len(codes) != face_starts[-1] or len(steps) != vertex_starts[-1]:
        raise ValueError("its parts do not fit each other")
    faces, vertices = np.empty(codes.shape, np.int32), np.empty(steps.shape, np.uint16)
    for row in range(len(vertex_starts) - 1):
        f, v = (slice(starts[row], starts[row + 1]) for starts in (face_starts, vertex_starts))
        faces[f] = _decode_faces(codes[f])
        vertices[v] = _decode_vertices(steps[v], faces[f])
    return vertices, faces


def _decode_faces(codes: NDArray[np.uint32]) -> NDArray[np.int32]:
    flat = codes.reshape(-1).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(flat == 0)[:-1]])
    faces: NDArray[np.int32] = (before - flat).reshape(-1, 3).astype(np.int32)
    return faces


def _decode_vertices(steps: NDArray[np.uint16], faces: NDArray[np.int32]) -> NDArray[np.uint16]:
    # Unsigned arithmetic wraps as it did when encoding.
    total: NDArray[np.uint16] = ((steps >> 1) ^ (0 - (steps & 1))).astype(np.uint16)
    parents = _parents(faces, len(steps))
    # Each round adds what the ancestor has summed up and doubles how far up the next ancestor is.
    while (parents >= 0).any():
        has = np.flatnonzero(parents >= 0)
        up = parents[has]
        total[has] += total[up]
        parents[has] = parents[up]
    return total


def _parents(faces: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(V,) the vertex each is coded from, or -1: its first face's newest older one, else the one before."""
    corners = faces.reshape(-1)
    newest = np.maximum.accumulate(corners)
    first = np.flatnonzero(np.concatenate([[True], newest[1:] > newest[:-1]]))
    own = np.arange(count)
    others = faces[first // 3]
    older = np.where(others < own[:, None], others, -1).max(axis=1)
    return np.where(older >= 0, older, own - 1).astype(np.int64)


def _split(values: NDArray[Any]) -> bytes:
    """Bytes of little-endian integers, all the lowest ones first."""
    little = np.ascontiguousarray(values.reshape(-1)).astype(values.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(-1, values.dtype.itemsize).T.tobytes()


def _join(data: bytes, dtype: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    planes = np.frombuffer(data, dtype=np.uint8).reshape(size, -1)
    little = np.ascontiguousarray(planes.T).view(np.dtype(dtype).newbyteorder("<"))
    return little.reshape(-1).astype(dtype)
