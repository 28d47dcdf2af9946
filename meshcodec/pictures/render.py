"""Pictures of meshes without a display: orthographic rays, two lights, dark lines where the shape breaks.

For looking at and for reports, not for beauty. Everything is deterministic, and two pictures taken with the
same centre and radius lie on top of each other, so that an original and its decode can be compared. Text and
PNG files need Pillow, the extra ``report``; `render_mesh` and `distance_colors` do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import point_cloud_utils
from numpy.typing import ArrayLike, NDArray

from meshcodec.geometry.triangles import area_normals, used_vertices

Array = NDArray[Any]
"""Arrays of any type, inside this module."""
Image = NDArray[np.uint8]
"""Pictures: (H, W, 3), red, green, blue."""
Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""
WHITE: Color = (255, 255, 255)
"""The background of pictures and sheets."""
_SUPER = 2  # rays per pixel and axis
_MARGIN = 1.04  # half the picture's side over the radius
_KEY = np.array([-0.45, 0.65, 0.61])  # lights, in the camera's frame: x right, y up, z towards the eye
_FILL = np.array([0.80, -0.05, 0.60])
_CREASE = 0.7  # cosine between the normals of neighbouring rays below which a line is drawn
_CLIFF = 0.04  # step in depth beyond the surface's own slope at which a line is drawn, over the radius
_INK = 0.45  # brightness of a line


# Nine points of matplotlib's viridis.
_VIRIDIS = np.array(
    [
        [68, 1, 84],
        [71, 44, 122],
        [59, 81, 139],
        [44, 113, 142],
        [33, 144, 141],
        [39, 173, 129],
        [92, 200, 99],
        [170, 220, 50],
        [253, 231, 37],
    ]
)


def frame_of(vertices: ArrayLike, faces: ArrayLike | None = None) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) of the bounding box and the radius around it: what `render_mesh` shows by default.

    Vertices (V, 3) that are not finite, or not used by the ``faces`` (F, 3) if these are given, are left out;
    without any, the frame is the unit sphere.
    """
    points = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    if faces is not None:
        points = points[used_vertices(np.asarray(faces, dtype=np.int64), len(points))]
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.zeros(3), 1.0
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    return center, float(np.linalg.norm(points - center, axis=1).max()) or 1.0


def _camera(azimuth: float, elevation: float, up: str) -> NDArray[np.float64]:
    """(3, 3) rotation whose columns are the camera's right, up and backward directions. Angles in degrees."""
    if up not in ("y", "z"):
        raise ValueError(f'up must be "y" or "z", not {up!r}')
    a, e = np.radians([azimuth, elevation])
    back = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    frame = np.stack([right, np.cross(back, right), back], axis=1)
    # (x, y, z) with y up is (x, z, -y) of a frame with z up.
    return frame if up == "y" else np.stack([frame[0], -frame[2], frame[1]])


def _as_float_colors(colors: ArrayLike) -> NDArray[np.float64]:
    """(n, 3) colours in 0 to 255 from bytes, or from floats in 0 to 1."""
    given = np.asarray(colors)
    if given.ndim != 2 or given.shape[1] != 3:
        raise ValueError(f"colors must be of shape (n, 3), not {given.shape}")
    scale = 255.0 if np.issubdtype(given.dtype, np.floating) else 1.0
    return np.clip(given.astype(np.float64) * scale, 0, 255)


def _lines(hit: Array, depth: Array, normal: Array, sine_per_ray: float) -> NDArray[np.bool_]:
    """Rays (H, W) at which a line is drawn: outlines, steps in depth, creases."""
    drawn = np.zeros(hit.shape, dtype=bool)
    for axis in (0, 1):
        here, there = (np.moveaxis(a, axis, 0) for a in (hit, drawn))
        z, n = np.moveaxis(depth, axis, 0), np.moveaxis(normal, axis, 0)
        both = here[1:] & here[:-1]
        # A slanted surface steps in depth too; the flatter of the two rays' faces says by how much it may.
        slope = np.sqrt(1 / np.maximum(np.maximum(n[1:, :, 2], n[:-1, :, 2]), 0.05) ** 2 - 1) * sine_per_ray
        step = z[1:] - z[:-1]
        cliff = both & (np.abs(step) > _CLIFF + slope)
        crease = both & ((n[1:] * n[:-1]).sum(axis=-1) < _CREASE)
        # The line belongs to what lies in front, so that it does not widen the silhouette.
        there[1:] |= (cliff & (step < 0)) | (here[1:] & ~here[:-1]) | crease
        there[:-1] |= (cliff & (step > 0)) | (here[:-1] & ~here[1:])
    return drawn


def render_mesh(
    vertices: ArrayLike,
    faces: ArrayLike,
    *,
    size: int = 320,
    azimuth: float = 35.0,
    elevation: float = 25.0,
    up: str = "y",
    center: ArrayLike | None = None,
    radius: float | None = None,
    color: Color = (168, 184, 204),
    background: Color = WHITE,
    face_or_vertex_colors: ArrayLike | None = None,
    lines: bool = True,
) -> Image:
    """Render a mesh, both sides of its faces, with flat shading.

    Parameters
    ----------
    vertices, faces : (V, 3) float, (F, 3) int
        F may be 0. Faces with a vertex that is not finite are left out.
    size : side of the picture in pixels
    azimuth, elevation : float
        Where the eye is, in degrees: 0, 0 looks along -z (along +y if z is up), 90 azimuth is on the +x side.
    up : {"y", "z"}
        The axis that points up in the picture.
    center, radius : (3,) float, float
        The sphere that fills the picture; by default `frame_of` the vertices.
    color, background : three bytes
    face_or_vertex_colors : (F, 3) or (V, 3)
        Bytes, or floats in 0 to 1, instead of ``color``; taken as the vertices' where F = V.
    lines : whether outlines, steps in depth and creases are darkened

    Returns
    -------
    (size, size, 3) uint8

    Raises
    ------
    ValueError
        For arrays of the wrong shape, indices out of range, and options out of range.
    """
    v, f = _checked_arrays(vertices, faces)
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    middle, reach = _checked_frame(v, f, center, radius)
    view = _camera(azimuth, elevation, up)
    image = np.broadcast_to(np.array(background, dtype=np.float64), (size * _SUPER, size * _SUPER, 3)).copy()
    finite = np.isfinite(v[f]).all(axis=(1, 2))
    paint, per_vertex = _checked_paint(face_or_vertex_colors, len(v), finite)
    f = f[finite].astype(np.int64)
    if len(f):
        # The tracer computes in float32, so it gets the shape around the origin.
        eye = np.where(np.isfinite(v), (v - middle) / reach, 0.0) @ view
        _shade(image, eye, f, paint, per_vertex, color, lines)
    folded = image.reshape(size, _SUPER, size, _SUPER, 3).mean(axis=(1, 3))
    pixels: Image = np.rint(np.clip(folded, 0, 255)).astype(np.uint8)
    return pixels


def _checked_arrays(vertices: ArrayLike, faces: ArrayLike) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Vertices (V, 3) and faces (F, 3). Raises ValueError for other shapes and for indices out of range."""
    v = np.asarray(vertices, dtype=np.float64)
    f = np.asarray(faces, dtype=np.int64).reshape(-1, 3) if np.size(faces) == 0 else np.asarray(faces)
    if v.ndim != 2 or v.shape[1] != 3 or f.ndim != 2 or f.shape[1] != 3:
        raise ValueError(f"vertices and faces must be of shape (n, 3), not {v.shape} and {f.shape}")
    if len(f) and not (np.issubdtype(f.dtype, np.integer) and f.min() >= 0 and f.max() < len(v)):
        raise ValueError(f"faces must be whole numbers from 0 to {len(v) - 1}")
    return v, f


def _checked_frame(
    v: NDArray[np.float64], f: Array, center: ArrayLike | None, radius: float | None
) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) and radius as asked for, else of the mesh. Raises ValueError for no positive radius."""
    own_center, own_radius = frame_of(v, f)
    reach = own_radius if radius is None else float(radius)
    if not (np.isfinite(reach) and reach > 0):
        raise ValueError(f"radius must be positive, not {radius}")
    return own_center if center is None else np.asarray(center, dtype=np.float64).reshape(3), reach


def _checked_paint(
    colors: ArrayLike | None, vertices: int, shown: NDArray[np.bool_]
) -> tuple[Array | None, bool]:
    """Colours of the vertices, or of the faces that are `shown` (F,), and whether they are the vertices'."""
    if colors is None:
        return None, False
    paint = _as_float_colors(colors)
    if len(paint) not in (vertices, len(shown)):
        raise ValueError(f"{len(paint)} colors for {vertices} vertices and {len(shown)} faces")
    return (paint, True) if len(paint) == vertices else (paint[shown], False)


def _shade(
    image: Array, v: Array, f: Array, paint: Array | None, per_vertex: bool, color: Color, lines: bool
) -> None:
    """Draw faces given in the camera's frame, radius 1, into a float image."""
    side = len(image)
    ticks = ((np.arange(side) + 0.5) / side * 2 - 1) * _MARGIN
    corners = v[f]
    top = float(corners[:, :, 2].max()) + 1.0
    origin = np.empty((side, side, 3), dtype=np.float32)
    origin[..., 0], origin[..., 1], origin[..., 2] = ticks, -ticks[:, None], top
    ray = np.broadcast_to(np.array([0, 0, -1], dtype=np.float32), (side * side, 3)).copy()
    face, weights, distance = point_cloud_utils.ray_mesh_intersection(
        np.ascontiguousarray(v, dtype=np.float32), f, origin.reshape(-1, 3), ray
    )
    hit = face >= 0
    seen = face[hit]

    normals = area_normals(corners)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    normals[normals[:, 2] < 0] *= -1  # two-sided: every face is lit as if it faced the eye
    normal = normals[seen]

    if paint is None:
        base: Array = np.array(color, dtype=np.float64)
    elif per_vertex:
        base = (paint[f[seen]] * weights[hit][:, :, None]).sum(axis=1)
    else:
        base = paint[seen]
    light = 0.38 + 0.62 * np.maximum(normal @ _KEY, 0) + 0.20 * np.maximum(normal @ _FILL, 0)
    if lines:
        mask = hit.reshape(side, side)
        depth = np.zeros((side, side))
        depth[mask] = distance[hit]
        grid = np.zeros((side, side, 3))
        grid[mask] = normal
        light = light * np.where(_lines(mask, depth, grid, 2 * _MARGIN / side)[mask], _INK, 1.0)
    image.reshape(-1, 3)[hit] = np.minimum(base * light[:, None], 255)


def distance_colors(distances: ArrayLike, maximum: float) -> Image:
    """Colours (n, 3) for distances (n,): dark violet at 0 over green to yellow at ``maximum`` and beyond.

    A distance that is not a number is grey. Raises ValueError unless ``maximum`` is positive and finite.
    """
    if not (np.isfinite(maximum) and maximum > 0):
        raise ValueError(f"maximum must be positive, not {maximum}")
    d = np.asarray(distances, dtype=np.float64).reshape(-1)
    place = np.clip(np.where(np.isnan(d), 0.0, d) / maximum, 0, 1) * (len(_VIRIDIS) - 1)
    ticks = np.arange(len(_VIRIDIS))
    colors = np.stack([np.interp(place, ticks, _VIRIDIS[:, c]) for c in range(3)], axis=-1)
    colors[np.isnan(d)] = 128
    rounded: Image = np.rint(colors).astype(np.uint8)
    return rounded
