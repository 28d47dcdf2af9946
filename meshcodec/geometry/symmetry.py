"""Which middle planes of its bounding box a mesh is symmetric to.

Of a symmetric mesh one half is coded: all tokens and planes serve it alone, and its image comes for free.
A third of the public evaluation meshes are symmetric to at least one plane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.container import Axes
from meshcodec.geometry.inside import unsigned_distance
from meshcodec.geometry.normalize import placement_of, snug_placement_of
from meshcodec.geometry.sample import face_areas

_SAMPLES = 10_000
_SHARES = ((0.01, 0.99), (0.005, 0.95))
"""A mesh is symmetric where of its samples' images this share is nearer to it than that, in units of the
longest half-extent: the best F-score of a symmetric decode is not much below the first share, at 0.01."""
_LEAST_REACH = 0.9


def mirror_axes(vertices: NDArray[np.floating], faces: NDArray[np.integer], seed: int = 0) -> Axes:
    """The axes across whose middle plane a mesh is its own image, as far as its F-score can tell.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3), in any frame that `placement_of` takes
    seed : of the samples

    Raises BadMeshError as `placement_of` does.
    """
    unit = placement_of(vertices).to_unit(vertices).astype(np.float32)
    points = _sample(unit, np.asarray(faces, dtype=np.int32), np.random.default_rng(seed))
    # Across a flat mesh there is nothing to halve.
    thick = np.abs(snug_placement_of(vertices).to_unit(vertices)).max(axis=0) > _LEAST_REACH
    x, y, z = (bool(thick[axis]) and _is_mirrored(unit, faces, points, axis) for axis in range(3))
    return x, y, z


def _is_mirrored(
    vertices: NDArray[np.float32], faces: NDArray[np.integer], points: NDArray[np.float32], axis: int
) -> bool:
    image = points.copy()
    image[:, axis] *= -1
    part = len(image) // 8  # most meshes are so far from symmetric that a few samples tell
    for chosen in (image[:part], image):
        distances = unsigned_distance(chosen, vertices, np.asarray(faces, dtype=np.int32))
        if any((distances <= near).mean() < share for near, share in _SHARES):
            return False
    return True


def _sample(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(_SAMPLES, 3) points, even over the area."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    areas = face_areas(vertices, faces) + 1e-30  # faces without area can be sampled too
    pick = rng.choice(len(faces), _SAMPLES, p=areas / areas.sum())
    u, v = rng.random((2, _SAMPLES, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points: NDArray[np.float32] = (a[pick] + u * (b - a)[pick] + v * (c - a)[pick]).astype(np.float32)
    return points
