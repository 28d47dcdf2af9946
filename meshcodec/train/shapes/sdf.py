"""A small signed-distance library: shapes are functions, and functions of shapes.

An ``Sdf`` maps points to distances, negative inside. Points are ``(3, ...)`` float32, coordinates first, so
that each coordinate stays contiguous. Primitives are centred at the origin with z as their axis; operators
take shapes and give shapes, so a drilled, rounded plate reads
``difference(rounded(box((1, 1, 0.1)), 0.05), cylinder(0.3, 1))``. Warps (twist, bend, taper, stretch) and
``ellipsoid`` only bound the distance near the surface, which is all that meshing needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import UsageError

Floats: TypeAlias = NDArray[np.floating[Any]]
Sdf: TypeAlias = Callable[[Floats], Floats]
_SLAB = 32768  # points evaluated at a time: the temporaries then stay in the processor's cache


def _column(v: ArrayLike, p: Floats) -> Floats:
    """A 3-vector shaped to broadcast against the points ``p``."""
    return np.asarray(v, np.float32).reshape(3, *([1] * (p.ndim - 1)))


def _norm(*coordinates: Floats) -> Floats:
    total = coordinates[0] * coordinates[0]
    for c in coordinates[1:]:
        total = total + c * c
    return np.asarray(np.sqrt(total))


def _corner(*q: Floats) -> Floats:
    """Distance to a corner where every ``q`` is the signed distance to one of perpendicular walls."""
    return np.asarray(_norm(*(np.maximum(c, 0) for c in q)) + np.minimum(reduce(np.maximum, q), 0))


# Primitives


def sphere(radius: float) -> Sdf:
    """A sphere about the origin."""
    return lambda p: _norm(*p) - np.float32(radius)


def box(half: ArrayLike) -> Sdf:
    """An axis-aligned box of the given half extents."""

    def f(p: Floats) -> Floats:
        return _corner(*(np.abs(p) - _column(half, p)))

    return f


def rounded_box(half: ArrayLike, radius: float) -> Sdf:
    """A box of the given outer half extents with edges rounded by ``radius``."""
    return rounded(box(np.asarray(half) - radius), radius)


def ellipsoid(radii: ArrayLike) -> Sdf:
    """An ellipsoid of the given three radii; the distance is a bound."""

    def f(p: Floats) -> Floats:
        q = p / _column(radii, p)
        k = _norm(*q)
        return k * (k - 1) / np.maximum(_norm(*(q / _column(radii, p))), np.float32(1e-6))

    return f


def cylinder(radius: float, half_height: float) -> Sdf:
    """A cylinder with flat ends."""
    return lambda p: _corner(_norm(p[0], p[1]) - np.float32(radius), np.abs(p[2]) - np.float32(half_height))


def prism(apothem: float, half_height: float, sides: int = 6) -> Sdf:
    """A regular prism; ``apothem`` is the distance from axis to side. Outside its edges a lower bound."""
    angles = 2 * np.pi * np.arange(sides) / sides
    normals = list(zip(np.cos(angles), np.sin(angles), strict=True))

    def f(p: Floats) -> Floats:
        walls = reduce(np.maximum, (np.float32(c) * p[0] + np.float32(s) * p[1] for c, s in normals))
        return _corner(walls - np.float32(apothem), np.abs(p[2]) - np.float32(half_height))

    return f


def torus(major: float, minor: float) -> Sdf:
    """A ring: ``minor`` is the radius of its tube, ``major`` that of the circle which the tube follows."""
    return lambda p: _norm(_norm(p[0], p[1]) - np.float32(major), p[2]) - np.float32(minor)


def cone(bottom: float, top: float, half_height: float) -> Sdf:
    """A frustum with the two radii; a cone where ``top`` is zero. A lower bound at its edges."""
    slope = np.hypot(2 * half_height, bottom - top)
    cos, sin = np.float32(2 * half_height / slope), np.float32((bottom - top) / slope)

    def f(p: Floats) -> Floats:
        side = cos * (_norm(p[0], p[1]) - np.float32((bottom + top) / 2)) + sin * p[2]
        return np.asarray(np.maximum(side, np.abs(p[2]) - np.float32(half_height)))

    return f


def capsule(a: ArrayLike, b: ArrayLike, radius: float, end_radius: float | None = None) -> Sdf:
    """A limb from ``a`` to ``b``, tapering to ``end_radius`` if given."""
    start, axis = np.asarray(a, np.float32), np.asarray(b, np.float32) - np.asarray(a, np.float32)
    along = axis / max(float(axis @ axis), 1e-12)
    growth = np.float32(0 if end_radius is None else end_radius - radius)

    def f(p: Floats) -> Floats:
        x, y, z = (p[i] - start[i] for i in range(3))
        t: Floats = np.clip(x * along[0] + y * along[1] + z * along[2], np.float32(0), np.float32(1))
        return _norm(x - t * axis[0], y - t * axis[1], z - t * axis[2]) - (np.float32(radius) + growth * t)

    return f


def plane(normal: ArrayLike, offset: float = 0.0) -> Sdf:
    """The half-space behind a plane, ``normal`` being of unit length."""
    return lambda p: np.asarray((_column(normal, p) * p).sum(axis=0) - np.float32(offset))


def gyroid(period: float, thickness: float) -> Sdf:
    """An endless gyroid sheet, to be cut to a shape by ``intersection``."""
    k = np.float32(2 * np.pi / period)

    def f(p: Floats) -> Floats:
        s, c = np.sin(k * p), np.cos(k * p)
        level = s[0] * c[1] + s[1] * c[2] + s[2] * c[0]
        return np.asarray(np.abs(level) / (k * np.float32(1.5)) - np.float32(thickness / 2))

    return f


# Combinations


def union(*shapes: Sdf) -> Sdf:
    """What is in any of the shapes."""
    return lambda p: reduce(np.minimum, (f(p) for f in shapes))


def intersection(*shapes: Sdf) -> Sdf:
    """What is in all of the shapes; outside a bound."""
    return lambda p: reduce(np.maximum, (f(p) for f in shapes))


def difference(shape: Sdf, *cuts: Sdf) -> Sdf:
    """What is in a shape and in none of its cuts; near them a bound."""
    return lambda p: reduce(lambda d, cut: np.maximum(d, -cut(p)), cuts, shape(p))


def _smooth_min(a: Floats, b: Floats, k: np.float32) -> Floats:
    h = np.maximum(k - np.abs(a - b), 0)
    return np.asarray(np.minimum(a, b) - h * h / (4 * k))


def smooth_union(k: float, *shapes: Sdf) -> Sdf:
    """A union whose seams are filled over a width of about ``k``."""
    return lambda p: reduce(lambda a, b: _smooth_min(a, b, np.float32(k)), (f(p) for f in shapes))


def smooth_difference(k: float, shape: Sdf, *cuts: Sdf) -> Sdf:
    """A difference whose edges are rounded over a width of about ``k``."""
    return lambda p: reduce(lambda d, cut: -_smooth_min(-d, cut(p), np.float32(k)), cuts, shape(p))


# Changes of the distance


def rounded(shape: Sdf, radius: float) -> Sdf:
    """Grow a shape by ``radius``, which rounds its convex edges."""
    return lambda p: shape(p) - np.float32(radius)


def shell(shape: Sdf, thickness: float) -> Sdf:
    """Only a skin of the given thickness, half of it on each side of the surface."""
    return lambda p: np.abs(shape(p)) - np.float32(thickness / 2)


def displace(shape: Sdf, waves: ArrayLike, phases: ArrayLike, amplitude: float) -> Sdf:
    """Ripple the surface by a product of sine waves; ``waves`` is (K, 3) wave vectors, ``phases`` (K,)."""
    k, phi = np.asarray(waves, np.float32), np.asarray(phases, np.float32)

    def f(p: Floats) -> Floats:
        ripples = (np.sin(w[0] * p[0] + w[1] * p[1] + w[2] * p[2] + q) for w, q in zip(k, phi, strict=True))
        return np.asarray(shape(p) + np.float32(amplitude) * reduce(np.multiply, ripples))

    return f


# Changes of space


def translate(shape: Sdf, offset: ArrayLike) -> Sdf:
    """A shape moved by an offset (3,)."""
    return lambda p: shape(p - _column(offset, p))


def rotate(shape: Sdf, rotation: ArrayLike) -> Sdf:
    """Turn a shape by a 3x3 rotation matrix."""
    inverse = np.asarray(rotation, np.float32).T
    return lambda p: shape(np.tensordot(inverse, p, axes=1))


def stretch(shape: Sdf, factors: ArrayLike) -> Sdf:
    """A shape stretched by a factor for each axis; the distance is a bound."""
    least = np.float32(np.min(np.asarray(factors)))
    return lambda p: shape(p / _column(factors, p)) * least


def mirror(shape: Sdf, axis: int = 0) -> Sdf:
    """Replace the negative side of a coordinate plane by the mirror image of the positive one."""

    def f(p: Floats) -> Floats:
        q = p.copy()
        np.abs(q[axis], out=q[axis])
        return shape(q)

    return f


def repeat(shape: Sdf, spacing: float, counts: Sequence[int]) -> Sdf:
    """``2 n + 1`` copies along every axis, for ``n`` in ``counts``."""

    def f(p: Floats) -> Floats:
        step, limit = np.float32(spacing), _column(counts, p)
        return shape(p - step * np.clip(np.round(p / step), -limit, limit))

    return f


def repeat_around(shape: Sdf, count: int) -> Sdf:
    """``count`` copies around z of a shape that lies in the sector about +x."""
    sector = np.float32(2 * np.pi / count)

    def f(p: Floats) -> Floats:
        angle = np.arctan2(p[1], p[0])
        angle = angle - sector * np.round(angle / sector)
        r = _norm(p[0], p[1])
        return shape(np.stack([r * np.cos(angle), r * np.sin(angle), p[2]]))

    return f


def twist(shape: Sdf, rate: float) -> Sdf:
    """Turn the cross-sections about z by ``rate`` radians a unit of height."""

    def f(p: Floats) -> Floats:
        c, s = np.cos(np.float32(rate) * p[2]), np.sin(np.float32(rate) * p[2])
        return shape(np.stack([c * p[0] + s * p[1], c * p[1] - s * p[0], p[2]]))

    return f


def bend(shape: Sdf, rate: float) -> Sdf:
    """Curl the z axis in the x-z plane by ``rate`` radians a unit of height."""

    def f(p: Floats) -> Floats:
        c, s = np.cos(np.float32(rate) * p[2]), np.sin(np.float32(rate) * p[2])
        return shape(np.stack([c * p[0] - s * p[2], p[1], s * p[0] + c * p[2]]))

    return f


def taper(shape: Sdf, rate: float) -> Sdf:
    """Scale the cross-sections by ``1 - rate * z``, held between a fifth and double."""

    def f(p: Floats) -> Floats:
        scale: Floats = np.clip(1 - np.float32(rate) * p[2], np.float32(0.2), np.float32(2))
        return shape(np.stack([p[0] / scale, p[1] / scale, p[2]])) * np.minimum(scale, 1)

    return f


# Meshing


def _lattice(axes: Sequence[Floats], shape: Sdf) -> Floats:
    """Distances at every point of a lattice, a slab of it at a time."""
    x, y, z = axes
    flat = np.stack([g.ravel() for g in np.meshgrid(y, z, indexing="ij")]).astype(np.float32)
    rows = max(1, _SLAB // flat.shape[1])
    slabs = []
    for xs in (x[i : i + rows] for i in range(0, len(x), rows)):
        points = np.concatenate([np.repeat(xs, flat.shape[1])[None], np.tile(flat, len(xs))])
        slabs.append(shape(points.astype(np.float32)))
    return np.concatenate(slabs).reshape(len(x), len(y), len(z))


def polygonize(
    shape: Sdf, resolution: int = 72, reach: float = 1.6
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Mesh what lies within ``[-reach, reach]^3`` with about ``resolution`` cells along its longest side.

    A coarse look finds the bounds; the fine lattice is then evaluated once. The result is closed and its
    faces point outwards; it is empty where there is no surface. Raises UsageError where PyMCubes is not
    installed.
    """
    try:
        import mcubes
    except ImportError as error:
        fault = "procedural shapes need PyMCubes, which is not installed"
        raise UsageError(fault, 'pip install "meshcodec[train]"') from error
    none = np.zeros((0, 3)), np.zeros((0, 3), np.int32)
    coarse = np.linspace(-reach, reach, 28, dtype=np.float32)
    cell = float(coarse[1] - coarse[0])
    near = np.nonzero(_lattice((coarse, coarse, coarse), shape) < 0.87 * cell)
    if not len(near[0]):
        return none
    lo = np.array([coarse[i.min()] for i in near], np.float64) - cell / 2
    hi = np.array([coarse[i.max()] for i in near], np.float64) + cell / 2
    step = float((hi - lo).max()) / resolution
    axes = [np.arange(a, b + step, step).astype(np.float32) for a, b in zip(lo, hi, strict=True)]
    values = _lattice(axes, shape)
    for side in (values, values.swapaxes(0, 1), values.swapaxes(0, 2)):
        side[[0, -1]] = np.maximum(side[[0, -1]], step)  # a positive rim closes shapes that leave the box
    if values.min() >= 0:
        return none
    vertices, faces = mcubes.marching_cubes(values, 0.0)
    return lo + step * np.asarray(vertices), np.asarray(faces)[:, ::-1].astype(np.int32)
