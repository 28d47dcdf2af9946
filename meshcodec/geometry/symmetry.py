"""Which middle planes of its bounding box a mesh is symmetric to.

Of a symmetric mesh one half is coded: all tokens and planes serve it alone, and its image comes for free.
A third of the public evaluation meshes are symmetric to at least one plane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.box import Axes
from meshcodec.geometry.normalize import BoxTransform, filled_axes, fit_box, fit_cube
from meshcodec.geometry.signed_distance import unsigned_distance
from meshcodec.geometry.triangles import face_areas, points_in
from meshcodec.geometry.winding import LARGE

_SAMPLES = 10_000  # points on the surface whose images are looked at
_FLOOR_AREA = 1e-30  # added to every area, so that faces without one can be sampled too
_SHARES = ((0.01, 0.99), (0.005, 0.95))
"""Pairs of a distance, in units of the longest half-extent, and the share of the samples' images that is
nearer to a symmetric mesh: the best F-score of a symmetric decode is not much below the first, at 0.01."""


def mirror_axes(vertices: NDArray[np.floating], faces: NDArray[np.integer], seed: int = 0) -> Axes:
    """The axes across whose middle plane a mesh is its own image, as far as its F-score can tell.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3), in any frame that `fit_cube` takes
    seed : seed of the samples

    Raises BadMeshError as `fit_cube` does.
    """
    unit = fit_cube(vertices).to_unit(vertices).astype(np.float32)
    triangles = np.asarray(faces, dtype=np.int32)
    rng = np.random.default_rng(seed)
    areas = face_areas(unit, triangles) + _FLOOR_AREA
    pick = rng.choice(len(triangles), _SAMPLES, p=areas / areas.sum())
    points = points_in(unit[triangles[pick]], rng).astype(np.float32)
    thick = filled_axes(fit_box(vertices).to_unit(vertices))
    mirrored = _mirrored(unit, triangles, points, np.flatnonzero(thick))
    x, y, z = (axis in mirrored for axis in range(3))
    return x, y, z


def fit_coding_box(vertices: NDArray[np.floating], faces: NDArray[np.integer], seed: int = 0) -> BoxTransform:
    """The box in which a mesh is coded: its bounding box, of a symmetric mesh with one half in the cube.

    Raises BadMeshError as `fit_cube` does.
    """
    return fit_box(vertices, mirror_axes(vertices, faces, seed))


def _mirrored(
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    points: NDArray[np.float32],
    axes: NDArray[np.intp],
) -> set[int]:
    """Those of the axes across which the images of points on a mesh are near it."""
    few = len(points) // 8  # most meshes are so far from symmetric that a few samples tell
    for count in (few, len(points)) if len(faces) <= LARGE else (len(points),):
        if not len(axes):
            break
        # The images across all axes at once, because preparing the mesh takes longer than many distances.
        images = np.repeat(points[None, :count], len(axes), axis=0)
        images[np.arange(len(axes)), :, axes] *= -1
        distances = unsigned_distance(images.reshape(-1, 3), vertices, faces).reshape(len(axes), count)
        near = np.array([(distances <= distance).mean(axis=1) >= share for distance, share in _SHARES])
        axes = axes[near.all(axis=0)]
    return set(axes.tolist())
