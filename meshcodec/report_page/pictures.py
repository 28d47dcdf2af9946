"""What the report shows of one pair of meshes: three thumbnails, and both meshes small enough for a page.

The meshes of the 3D view are simplified and packed into about five bytes a face; the page unpacks them:

    deflate (zlib) of, for the original and then for the decode,
        u32 V, u32 F
        x, y, z         V each: 14-bit places on [-LIMIT, LIMIT], the difference to the vertex before, zigzag
        colour          V bytes: distance to the other surface, 0 to 255 for 0 to FAR
        a, b - a, c - a F each: corners of the faces; a is the smallest, its difference to the face before

Numbers are little-endian. Each run of 16-bit numbers is stored as all its low bytes, then all its high bytes,
which deflate packs better.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import point_cloud_utils as pcu
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from meshcodec.errors import UsageError
from meshcodec.geometry.render import Color, Image, distance_colors, frame_of, render_mesh
from meshcodec.metrics import merge_identical

FAR = 0.04
"""Distance, in units of the reference's longest half-extent, at which the colours end."""
LIMIT = 2.5
"""Half side of the cube, in the same units, that the 3D view shows; what is outside is moved to its side."""
AZIMUTH, ELEVATION = 35.0, 25.0
"""Where the thumbnails and the 3D view look from at first, in degrees; see `render_mesh`."""

_BITS = 14
_BACKGROUND: Color = (240, 242, 245)  # between the light page and the dark one
_DECODED: Color = (204, 184, 156)
_QUALITY = 72  # of WebP
_EDGE = FAR  # a face longer than this gets more corners, so that its middle has its own colour
_MOST_FACES = 400_000  # that this may make
_MOST_VERTICES = 65_535  # what 16 bits can count
_BYTES_PER_FACE = 5.0  # a first guess
_FEWEST_FACES = 60
_MOST_LOST = 0.01  # above what quadric decimation costs where it works
_ROUNDS = 5

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Detail:
    """How much of the page one pair of meshes may take.

    Attributes
    ----------
    side : of a thumbnail, in pixels
    size : bytes that its pictures should take in the page, thumbnails and 3D view together, as base64
    """

    side: int
    size: int

    @classmethod
    def of(cls, count: int, total: int) -> Detail:
        """An even share of ``total`` bytes for each of ``count`` pairs, at most 400 kB."""
        size = min(total // max(count, 1), 400_000)
        return cls(192 if size >= 60_000 else 128 if size >= 16_000 else 80, size)


@dataclass(frozen=True)
class Pictures:
    """Pictures of one pair of meshes, from the same side.

    Attributes
    ----------
    original, decoded, distance : bytes
        WebP. The last is the decode in the colours of `distance_colors`, up to `FAR`.
    view : bytes
        Both meshes, simplified and packed as this module says.
    """

    original: bytes
    decoded: bytes
    distance: bytes
    view: bytes


@dataclass(frozen=True)
class _Small:
    """A simplified mesh: (V, 3) places and (V,) colours 0 to 255, (F, 3) faces."""

    vertices: Floats
    colors: NDArray[np.uint8]
    faces: Ints


def take_pictures(reference: trimesh.Trimesh, decoded: trimesh.Trimesh, detail: Detail) -> Pictures:
    """Pictures of a decoded mesh beside its reference.

    Parameters
    ----------
    reference, decoded : in the reference's unit frame, see `meshcodec.metrics`
    detail : how large they may be

    Raises
    ------
    UsageError
        Without Pillow.
    """
    v, f = _solid(reference)
    w, g = _solid(decoded)
    center, radius = frame_of(v, f)
    fine_w, fine_g = _bisected(w, g)
    distances = _closest(fine_w, v, f)[0]

    def thumbnail(
        vertices: Floats, faces: Ints, color: Color = _DECODED, paint: Image | None = None
    ) -> bytes:
        return _webp(
            render_mesh(
                vertices,
                faces,
                size=detail.side,
                azimuth=AZIMUTH,
                elevation=ELEVATION,
                center=center,
                radius=radius,
                color=color,
                background=_BACKGROUND,
                face_or_vertex_colors=paint,
            )
        )

    shots = (
        thumbnail(v, f, (168, 184, 204)),
        thumbnail(w, g),
        thumbnail(fine_w, fine_g, paint=distance_colors(distances, FAR)),
    )
    left = detail.size - sum(map(in_base64, shots))
    return Pictures(*shots, view=_view((v, f), (w, g), left * 3 // 4))


def in_base64(data: bytes) -> int:
    """Characters that bytes take in the page."""
    return (len(data) + 2) // 3 * 4


def simplify(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """A mesh of at most ``count`` faces that looks like the given one.

    Quadric decimation if ``fast_simplification`` is installed. Without it, where it stalls, as it does on
    many small parts, and where it eats away open borders, vertices are merged by the cells of a grid.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3)
    count : at least 4

    Returns
    -------
    vertices, faces
        No vertex twice, none that no face uses.
    """
    v, f = merge_identical(vertices, faces)
    if len(f) <= count:
        return v, f
    if importlib.util.find_spec("fast_simplification") is None:
        return _finest_grid(v, f, count)
    from fast_simplification import simplify as quadric

    w, g = quadric(v.astype(np.float32), f.astype(np.int32), target_count=count)
    w, g = merge_identical(np.asarray(w, dtype=np.float64), np.asarray(g, dtype=np.int64))
    if len(g) > count:
        w, g = _finest_grid(w, g, count)
    lost = _lost(v, w, g)
    if lost <= _MOST_LOST:
        return w, g
    x, h = _finest_grid(v, f, count)
    return (x, h) if _lost(v, x, h) < lost else (w, g)


def _lost(vertices: Floats, simple_vertices: Floats, simple_faces: Ints) -> float:
    """Mean distance of vertices, or some thousands of them, to a simplified surface, over half the extent."""
    if not len(simple_faces):
        return np.inf
    half = float((vertices.max(axis=0) - vertices.min(axis=0)).max()) / 2
    some = vertices[:: max(1, len(vertices) // 4000)]
    return float(_closest(some, simple_vertices, simple_faces)[0].mean()) / half


def _finest_grid(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """`_clustered` by the finest grid that leaves few enough faces."""
    low, high = 1, 2048  # one cell leaves none
    while high - low > 1:
        middle = (low + high) // 2
        if len(_clustered(vertices, faces, middle)[1]) <= count:
            low = middle
        else:
            high = middle
    return _clustered(vertices, faces, low)


def _clustered(vertices: Floats, faces: Ints, cells: int) -> tuple[Floats, Ints]:
    """Each vertex at the mean of those in its cell, of ``cells`` along the longest side of the box."""
    low = vertices.min(axis=0)
    step = float((vertices.max(axis=0) - low).max()) / cells or 1.0
    cell = np.minimum(((vertices - low) / step).astype(np.int64), cells - 1)
    keys = (cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]
    _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(group, vertices[:, k], len(size)) / size for k in range(3)], axis=1)
    merged = group[faces]
    a, b, c = merged.T
    merged = merged[(a != b) & (b != c) & (c != a)]
    if not len(merged):
        return means[:0], merged
    _, first = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)  # the same corners: one face
    return merge_identical(means, merged[np.sort(first)])


def _solid(mesh: trimesh.Trimesh) -> tuple[Floats, Ints]:
    """Arrays of a mesh without the faces that have no area."""
    v, f = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    corners = v[f]
    double = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return v, np.ascontiguousarray(f[double > 0])


def _closest(points: Floats, vertices: Floats, faces: Ints) -> tuple[Floats, Floats]:
    """(n,) distance from each point to the surface, and (n, 3) the place on it that is closest."""
    distances, face, weights = pcu.closest_points_on_mesh(np.ascontiguousarray(points), vertices, faces)
    places = np.einsum("nk,nkd->nd", weights, vertices[faces[face]])
    return np.asarray(distances, dtype=np.float64), np.asarray(places)


def _bisected(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """The same surface with every edge at most `_EDGE`, unless that takes more than `_MOST_FACES`.

    Halves the longest edge: slivers become few faces. Neighbours do not share the new vertices.
    """
    v, f = vertices, faces
    while len(f) < _MOST_FACES:
        edges = np.linalg.norm(v[f[:, [1, 2, 0]]] - v[f], axis=2)  # from corner k to the next
        long = np.flatnonzero(edges.max(axis=1) > _EDGE)[: _MOST_FACES - len(f)]
        if not len(long):
            break
        start = edges[long].argmax(axis=1)
        a, b, c = (f[long, (start + k) % 3] for k in range(3))
        middle = len(v) + np.arange(len(long))
        v = np.concatenate([v, (v[a] + v[b]) / 2])
        f = f.copy()
        f[long] = np.stack([a, middle, c], axis=1)
        f = np.concatenate([f, np.stack([middle, b, c], axis=1)])
    return v, f


def _webp(image: Image) -> bytes:
    try:
        from PIL import Image as PILImage
    except ImportError as error:
        raise UsageError("pictures need Pillow", 'pip install "meshcodec[report]"') from error
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()


# ---- the 3D view


def _view(reference: tuple[Floats, Ints], decoded: tuple[Floats, Ints], size: int) -> bytes:
    """Both meshes packed into about ``size`` bytes: never fewer than `_FEWEST_FACES` faces each."""
    each = max(int(size / 2 / _BYTES_PER_FACE), _FEWEST_FACES)
    small = reference, decoded
    for number in range(_ROUNDS):
        small = _few(*small[0], each), _few(*small[1], each)
        if number == 0:
            small = _divided(*small[0], each), _divided(*small[1], each)
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


def _divided(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Ints]:
    """The same surface with each face in four, and again, as long as edges are long and ``count`` allows.

    Colours belong to vertices, and a large face has none where it is far off in its middle.
    """
    subdivide: Any = trimesh.remesh.subdivide  # has no types
    v, f = vertices, faces
    while len(f) and 4 * len(f) <= count and np.linalg.norm(v[f[:, [1, 2, 0]]] - v[f], axis=2).max() > _EDGE:
        v, f = subdivide(v, f)
    return v, f


def _colored(small: tuple[Floats, Ints], whole: tuple[Floats, Ints], other: tuple[Floats, Ints]) -> _Small:
    """A simplified mesh with the distances of the whole one from the other."""
    v, f = small
    # From the nearest place of the whole surface: what simplification moves is not the codec's error.
    distances = _closest(_closest(v, *whole)[1], *other)[0] if len(v) else np.zeros(0)
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
