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

import io
from dataclasses import dataclass

import numpy as np
import trimesh

from meshcodec.evaluation.report.view3d import AZIMUTH, EDGE, ELEVATION, FAR, view_of
from meshcodec.geometry.simplify import closest
from meshcodec.geometry.triangles import Floats, Ints, area_normals
from meshcodec.pictures.render import Color, Image, distance_colors, frame_of, render_mesh
from meshcodec.pictures.sheets import pillow

_BACKGROUND: Color = (240, 242, 245)  # between the light page and the dark one
_DECODED: Color = (204, 184, 156)
_QUALITY = 72  # WebP's own scale, 0 to 100
_MOST_FACES = 400_000  # faces that `bisected` stops at


@dataclass(frozen=True)
class Detail:
    """How much of the page one pair of meshes may take.

    Attributes
    ----------
    side : pixels along a side of a thumbnail
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
    fine_w, fine_g = bisected(w, g)
    distances = closest(fine_w, v, f)[0]

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
    return Pictures(*shots, view=view_of((v, f), (w, g), left * 3 // 4))


def in_base64(data: bytes) -> int:
    """Characters that bytes take in the page."""
    return (len(data) + 2) // 3 * 4


def _solid(mesh: trimesh.Trimesh) -> tuple[Floats, Ints]:
    """Arrays of a mesh without the faces that have no area."""
    v, f = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    return v, np.ascontiguousarray(f[np.linalg.norm(area_normals(v[f]), axis=1) > 0])


def bisected(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """The same surface with every edge at most `EDGE`, unless that takes more than `_MOST_FACES`.

    Halves the longest edge: slivers become few faces. Neighbours do not share the new vertices.
    """
    v, f = vertices, faces
    while len(f) < _MOST_FACES:
        edges = np.linalg.norm(v[f[:, [1, 2, 0]]] - v[f], axis=2)  # from corner k to the next
        long = np.flatnonzero(edges.max(axis=1) > EDGE)[: _MOST_FACES - len(f)]
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
    PILImage, _, _ = pillow()
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()
