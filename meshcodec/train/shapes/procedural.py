"""Unlimited training shapes: ``generate(seed)`` gives a random mesh, always the same one for the same seed.

Four families: assemblies of exact primitives arranged as real objects are; profiles that were revolved,
extruded or swept; solids from signed distances (see ``sdf``); thin and open surfaces. Meshes here are pairs
``(V, F)``; parts are concatenated without booleans, as most artists' models are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from meshcodec.geometry.triangles import area_normals, used_vertices
from meshcodec.train.shapes import sdf

Points: TypeAlias = NDArray[np.float64]
Faces: TypeAlias = NDArray[np.int32]
Mesh: TypeAlias = tuple[Points, Faces]
Maker: TypeAlias = Callable[[Generator], Mesh]


# Building blocks: everything below is made of lattices, polygons and placement.


def lattice(rows: ArrayLike, wrap_rows: bool = False, wrap_cols: bool = False) -> Mesh:
    """Triangulate (R, C, 3) points; the normal is (along a row) x (from row to row)."""
    P = np.asarray(rows, np.float64)
    R, C = P.shape[:2]
    i = np.arange(R if wrap_rows else R - 1)[:, None]
    j = np.arange(C if wrap_cols else C - 1)[None]
    below, above, right = i * C, (i + 1) % R * C, (j + 1) % C
    a, b, c, d = below + j, below + right, above + right, above + j
    F = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2)
    return P.reshape(-1, 3), F.reshape(-1, 3).astype(np.int32)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, parts concatenated as they are."""
    offsets = np.cumsum([0] + [len(V) for V, _ in meshes[:-1]])
    F = np.concatenate([F + o for (_, F), o in zip(meshes, offsets, strict=True)])
    return np.concatenate([V for V, _ in meshes]), F.astype(np.int32)


def moved(mesh: Mesh, matrix: ArrayLike = 1.0, offset: ArrayLike = 0.0) -> Mesh:
    """Apply a matrix (or factors) and an offset; faces keep pointing outwards when the matrix mirrors."""
    V, F = mesh
    M = np.asarray(matrix, np.float64)
    M = M if M.ndim == 2 else np.diag(np.broadcast_to(M, 3))
    return V @ M.T + np.asarray(offset), F if np.linalg.det(M) > 0 else F[:, ::-1]


def fitted(mesh: Mesh, centre: ArrayLike, half: ArrayLike, axis: int = 2) -> Mesh:
    """Turn the mesh's z axis to ``axis`` and stretch it to fill a box."""
    V = np.roll(mesh[0], axis - 2, axis=1)
    lo, hi = V.min(0), V.max(0)
    scale = 2 * np.asarray(half) / np.maximum(hi - lo, 1e-9)
    return (V - (lo + hi) / 2) * scale + np.asarray(centre), mesh[1]


def rotation(axis: ArrayLike, angle: float) -> Points:
    """(3, 3) rotation about an axis by an angle in radians (Rodrigues)."""
    x, y, z = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K)


def circle(n: int, radius: ArrayLike = 1.0, phase: float = 0.0) -> Points:
    """``n`` points counter-clockwise; ``radius`` may differ for each."""
    a = 2 * np.pi * np.arange(n) / n + phase
    return np.stack([np.cos(a), np.sin(a)], -1) * np.asarray(radius, np.float64).reshape(-1, 1)


def smooth_path(knots: ArrayLike, n: int, closed: bool = False) -> Points:
    """(n, D) points of a cubic spline through (K, D) knots."""
    P = np.asarray(knots, np.float64)
    P = np.concatenate([P, P[:1]]) if closed else P
    spline = CubicSpline(np.arange(len(P)), P, bc_type="periodic" if closed else "not-a-knot")
    return np.asarray(spline(np.linspace(0, len(P) - 1, n, endpoint=not closed)))


def lathe(profile: ArrayLike, segments: int, closed: bool = False) -> Mesh:
    """Revolve (radius, z) points about z; upwards, or counter-clockwise if closed, for an outward surface."""
    r, z = np.asarray(profile, np.float64).T
    ring = circle(segments)
    P = np.concatenate(
        [r[:, None, None] * ring, np.broadcast_to(z[:, None, None], (len(r), segments, 1))], -1
    )
    return lattice(P, closed, True)


def triangulate(polygon: Points) -> Faces:
    """Cut ears off a simple counter-clockwise polygon."""
    left, triangles = list(range(len(polygon))), []
    x, y = polygon.T

    def area(a: int, b: int, c: Any) -> Any:
        return (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])

    def is_ear(k: int) -> bool:
        a, b, c = left[k - 1], left[k], left[(k + 1) % len(left)]
        if area(a, b, c) <= 0:
            return False
        q = np.array([v for v in left if v not in (a, b, c)], int)
        return not ((area(a, b, q) >= 0) & (area(b, c, q) >= 0) & (area(c, a, q) >= 0)).any()

    while len(left) > 3:
        k = next((k for k in range(len(left)) if is_ear(k)), 0)
        triangles.append((left[k - 1], left[k], left[(k + 1) % len(left)]))
        del left[k]
    return np.array([*triangles, tuple(left)], np.int32)


def raised(polygon: Points, z: float) -> Points:
    """(n, 2) points of a plane as (n, 3) points at height ``z``."""
    return np.column_stack([polygon, np.full(len(polygon), z)])


def extrude(polygon: ArrayLike, half_height: float = 1.0) -> Mesh:
    """A prism over a simple counter-clockwise polygon (n, 2), from ``-half_height`` to ``half_height``."""
    P = np.asarray(polygon, np.float64)
    bottom, top = raised(P, -half_height), raised(P, half_height)
    caps = triangulate(P)
    walls, F = lattice([bottom, top], wrap_cols=True)
    return walls, np.concatenate([F, caps[:, ::-1], caps + len(P)]).astype(np.int32)


def extrude_ring(outer: Points, inner: Points, half_height: float = 1.0) -> Mesh:
    """Extrude what lies between two polygons of equal numbers of points."""
    h = half_height
    return lattice([raised(outer, -h), raised(outer, h), raised(inner, h), raised(inner, -h)], True, True)


def sweep(path: Points, section: Points, scale: ArrayLike = 1.0, closed: bool = False) -> Mesh:
    """Carry a counter-clockwise section along a path with a frame that does not twist, and cap the ends."""
    tangent = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    normals = [np.eye(3)[np.abs(tangent[0]).argmin()]]
    for t in tangent:
        n = normals[-1] - (normals[-1] @ t) * t
        normals.append(n / max(float(np.linalg.norm(n)), 1e-12))
    N = np.array(normals[1:])
    B = np.cross(tangent, N)
    S = np.broadcast_to(np.asarray(scale, np.float64).reshape(-1, 1, 1), (len(path), 1, 1)) * section
    rings = path[:, None] + S[..., :1] * N[:, None] + S[..., 1:] * B[:, None]
    if closed:
        return lattice(rings, True, True)
    ends = [np.broadcast_to(p, (1, len(section), 3)) for p in (path[0], path[-1])]
    return lattice(np.concatenate([ends[0], rings, ends[1]]), False, True)


def rod(a: ArrayLike, b: ArrayLike, radius: float, sides: int = 8) -> Mesh:
    """A straight round rod from ``a`` to ``b``."""
    return sweep(np.linspace(np.asarray(a, float), np.asarray(b, float), 2), circle(sides, radius))


# Exact primitives, in or near [-1, 1]^3 with z as their axis. `fitted` gives them their sizes.

RECT: Points = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


def _segments(rng: Generator) -> int:
    return 4 * int(rng.integers(3, 11))


def box(rng: Generator) -> Mesh:
    """The cube [-1, 1]^3."""
    return extrude(RECT)


def cylinder(rng: Generator) -> Mesh:
    """A cylinder of radius 1."""
    return lathe([(0, -1), (1, -1), (1, 1), (0, 1)], _segments(rng))


def frustum(rng: Generator) -> Mesh:
    """A cone, or one with its tip cut off."""
    top = rng.choice([0.0, rng.uniform(0.1, 0.9)])
    return lathe([(0, -1), (1, -1), (top, 1), (0, 1)], _segments(rng))


def prism(rng: Generator) -> Mesh:
    """A regular prism of 3 to 8 sides."""
    return extrude(circle(int(rng.integers(3, 9))))


def wedge(rng: Generator) -> Mesh:
    """A prism over a triangle whose tip lies anywhere opposite its base."""
    return extrude([(-1, -1), (1, -1), (rng.uniform(-1, 1), 1)])


def _ball_profile(n: int) -> Points:
    a = np.linspace(-np.pi / 2, np.pi / 2, n)
    return np.stack([np.cos(a), np.sin(a)], -1)


def ball(rng: Generator) -> Mesh:
    """A sphere of radius 1."""
    return lathe(_ball_profile(int(rng.integers(7, 18))), _segments(rng))


def dome(rng: Generator) -> Mesh:
    """The upper half of a sphere."""
    profile = _ball_profile(2 * int(rng.integers(4, 9)) + 1)
    return lathe([(0, 0), *profile[len(profile) // 2 :]], _segments(rng))


def capsule(rng: Generator) -> Mesh:
    """A cylinder with half a sphere at each end."""
    profile, n = _ball_profile(16), rng.uniform(0.3, 4)
    return lathe(profile + np.outer(np.sign(profile[:, 1]), [0, n]), _segments(rng))


def torus(rng: Generator) -> Mesh:
    """A ring of random thickness."""
    n = int(rng.integers(8, 20))
    return lathe(circle(n, rng.uniform(0.08, 0.45)) + np.array([1, 0]), 2 * _segments(rng), closed=True)


def tube(rng: Generator) -> Mesh:
    """A cylinder with a hole along its axis."""
    r = rng.uniform(0.4, 0.95)
    return lathe([(r, -1), (1, -1), (1, 1), (r, 1)], _segments(rng), closed=True)


def rounded_box(rng: Generator) -> Mesh:
    """A box with rounded edges."""
    profile = _ball_profile(12)
    # A tiny ring beside each pole, and half a step of phase, keep the box's flat sides flat.
    profile[[0, -1], 0] = 1e-6
    V, F = lathe([(0, -1), *profile, (0, 1)], 24)
    V = V @ rotation((0, 0, 1), np.pi / 24).T
    return V * rng.uniform(0.1, 0.6) + np.sign(np.round(V, 9)), F


SOLIDS: tuple[Maker, ...] = (
    *(
        box,
        box,
        box,
        cylinder,
        cylinder,
        rounded_box,
        ball,
        frustum,
        prism,
        wedge,
        capsule,
        tube,
        torus,
        dome,
    ),
)
BARS: tuple[Maker, ...] = (box, box, cylinder, cylinder, rounded_box, prism, capsule)


def pick(rng: Generator, makers: Sequence[Maker]) -> Maker:
    """One of several makers, each equally likely."""
    return makers[int(rng.integers(len(makers)))]


def loguniform(rng: Generator, lo: float, hi: float, size: int | None = None) -> Any:
    """Random numbers from ``lo`` to ``hi`` whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(lo), np.log(hi), size))


def part(rng: Generator) -> Mesh:
    """One solid of random proportions about the origin, at times a thin plate or rod, at times askew."""
    half = loguniform(rng, 0.08, 1.0, 3)
    style = rng.random()
    if style < 0.15:
        half[rng.integers(3)] = 0.02
    elif style < 0.3:
        half[np.arange(3) != rng.integers(3)] = loguniform(rng, 0.02, 0.06)
    elif style < 0.6:
        half[:] = half[0]
    mesh = fitted(pick(rng, SOLIDS)(rng), 0, half, int(rng.integers(3)))
    return moved(mesh, random_rotation(rng)) if rng.random() < 0.2 else mesh


def random_rotation(rng: Generator) -> Points:
    """(3, 3) rotation by a random angle about a random axis."""
    return rotation(rng.normal(size=3), rng.uniform(0, np.pi))


# (a) Assemblies


def cluster(rng: Generator) -> Mesh:
    """Two to eight parts that overlap."""
    parts = [moved(part(rng), 1, rng.uniform(-0.7, 0.7, 3)) for _ in range(int(rng.integers(2, 9)))]
    return join(parts)


def module(rng: Generator) -> Mesh:
    """What repetitions repeat: a part or a small group."""
    return cluster(rng) if rng.random() < 0.3 else part(rng)


def mirrored(rng: Generator) -> Mesh:
    """A part, and modules at its right that its left mirrors."""
    side = join(
        [moved(module(rng), 1, rng.uniform((0.1, -0.8, -0.8), 0.8)) for _ in range(rng.integers(1, 5))]
    )
    return join([part(rng), side, moved(side, (-1, 1, 1))])


def array(rng: Generator) -> Mesh:
    """A grid of copies of a module, at times on a plate."""
    mesh, counts = module(rng), rng.integers(1, 5, 3)
    counts[rng.integers(3)] = rng.integers(1, 3)
    step = np.ptp(mesh[0], axis=0) * rng.uniform(0.9, 2.0, 3)
    copies = [moved(mesh, 1, step * index) for index in np.ndindex(*counts)]
    V, F = join(copies[:40])
    if rng.random() < 0.5:
        centre, half = (V.min(0) + V.max(0)) / 2, np.ptp(V, axis=0) / 2
        plate = fitted(
            box(rng), (centre[0], centre[1], V[:, 2].min()), (*(half[:2] * 1.1), half.max() * 0.04)
        )
        return join([(V, F), plate])
    return V, F


def radial(rng: Generator) -> Mesh:
    """A hub with copies of an arm around it."""
    n, arm = (
        int(rng.integers(3, 17)),
        moved(module(rng), rng.uniform(0.2, 0.6), (rng.uniform(0.4, 1.2), 0, 0)),
    )
    hub = fitted(pick(rng, SOLIDS)(rng), 0, loguniform(rng, 0.1, 0.6, 2)[[0, 0, 1]])
    return join([hub, *(moved(arm, rotation((0, 0, 1), 2 * np.pi * k / n)) for k in range(n))])


def stack(rng: Generator) -> Mesh:
    """Parts on top of each other."""
    z, parts, axial = 0.0, [], rng.random() < 0.6
    for _ in range(int(rng.integers(2, 8))):
        half = loguniform(rng, 0.05, 0.7, 3)
        half[1] = half[0] if axial else half[1]
        parts.append(fitted(pick(rng, SOLIDS)(rng), (0, 0, z + half[2]), half))
        z += 2 * half[2]
    return join(parts)


def furniture(rng: Generator) -> Mesh:
    """Tables, chairs, benches, shelves: a top on legs with perhaps a back, arms, shelves and rails."""
    w, d, h = rng.uniform(0.3, 1.2), rng.uniform(0.3, 0.7), rng.uniform(0.2, 1.0)
    t, leg_r = loguniform(rng, 0.015, 0.08), loguniform(rng, 0.015, 0.07)
    leg, top = pick(rng, (*BARS, frustum)), pick(rng, (box, box, rounded_box, cylinder))
    parts = [fitted(top(rng), (0, 0, h), (w, d, t))]
    x, y = w * rng.uniform(0.6, 0.95), d * rng.uniform(0.6, 0.95)
    if rng.random() < 0.8:
        foot = moved(fitted(leg(rng), 0, (leg_r, leg_r, h / 2)), (1, 1, -1))
        parts += [moved(foot, 1, (sx * x, sy * y, h / 2)) for sx in (-1, 1) for sy in (-1, 1)]
    else:
        parts += [fitted(leg(rng), (0, 0, h / 2), (2 * leg_r, 2 * leg_r, h / 2))]
        parts += [fitted(pick(rng, (cylinder, box))(rng), (0, 0, 0), (w * 0.6, d * 0.6, t))]
    for level in rng.uniform(0.1, 0.8, rng.integers(0, 3)):
        parts.append(fitted(box(rng), (0, 0, level * h), (x, y, t * 0.6)))
    if rng.random() < 0.5:
        back, slats = rng.uniform(0.3, 0.9), int(rng.integers(1, 8))
        width = w / slats * rng.uniform(0.3, 0.9) if slats > 1 else w
        slat = pick(rng, (box, rounded_box))(rng)
        for cx in np.linspace(-w + width, w - width, slats) if slats > 1 else [0.0]:
            parts.append(fitted(slat, (cx, d, h + back / 2), (width, t, back / 2)))
        parts.append(fitted(leg(rng), (0, d, h + back), (w, t, t), 0) if slats > 1 else parts[0])
    if rng.random() < 0.3:
        arm = pick(rng, BARS)(rng)
        parts += [fitted(arm, (s * w, 0, h * 1.4), (leg_r, d, leg_r)) for s in (-1, 1)]
        parts += [fitted(arm, (s * w, -d * 0.8, h * 1.2), (leg_r, leg_r, h * 0.2)) for s in (-1, 1)]
    return join(parts)


def building(rng: Generator) -> Mesh:
    """A house on a plate: one to three blocks with rows of windows, and a roof."""
    w, d, z = rng.uniform(0.3, 1), rng.uniform(0.3, 1), 0.0
    parts = [fitted(box(rng), (0, 0, 0), (w * 1.3, d * 1.3, 0.02))]
    for _ in range(int(rng.integers(1, 4))):
        h, floors = rng.uniform(0.2, 0.9), int(rng.integers(1, 5))
        body = box if rng.random() < 0.75 else pick(rng, (cylinder, prism))
        parts.append(fitted(body(rng), (0, 0, z + h / 2), (w, d, h / 2)))
        columns, depth = int(rng.integers(1, 6)), rng.uniform(0.005, 0.04)
        size = (w / columns * 0.5, d + depth, h / floors * 0.3)
        for cx in (np.arange(columns) + 0.5) / columns * 2 * w - w:
            parts += [fitted(box(rng), (cx, 0, z + (k + 0.5) * h / floors), size) for k in range(floors)]
        z, w, d = z + h, w * rng.uniform(0.5, 1.0), d * rng.uniform(0.5, 1.0)
    roof = pick(rng, (wedge, frustum, dome, box))
    height = rng.uniform(0.05, 0.4)
    shape = roof(rng)
    # A wedge's ridge must lie along y: its triangle stands in x-z after turning z to y.
    if roof is wedge:
        shape = (shape[0][:, [1, 0, 2]], shape[1][:, ::-1])
    parts.append(
        fitted(shape, (0, 0, z + height / 2), (w * 1.1, d * 1.1, height / 2), 1 if roof is wedge else 2)
    )
    if rng.random() < 0.4:
        parts.append(fitted(box(rng), (w * 0.5, 0, z + height * 0.7), (w * 0.1, w * 0.1, height * 0.6)))
    return join(parts)


def vehicle(rng: Generator) -> Mesh:
    """A car or truck: body, cabin, wheels and axles, perhaps bumpers."""
    length, w, h, r = (
        rng.uniform(0.7, 1.3),
        rng.uniform(0.25, 0.5),
        rng.uniform(0.1, 0.3),
        rng.uniform(0.1, 0.25),
    )
    body, cabin = pick(rng, (box, rounded_box, capsule)), pick(rng, (box, rounded_box, prism, dome, wedge))
    parts = [fitted(body(rng), (0, 0, h + r), (length, w, h), 0)]
    cx, ch = rng.uniform(-0.4, 0.4) * length, rng.uniform(0.1, 0.3)
    parts.append(fitted(cabin(rng), (cx, 0, 2 * h + r + ch), (length * rng.uniform(0.25, 0.6), w * 0.9, ch)))
    wheel = pick(rng, (cylinder, cylinder, torus, tube))(rng)
    axles = np.linspace(-0.7, 0.7, int(rng.integers(2, 5))) * length
    width = rng.uniform(0.03, 0.1)
    parts += [fitted(wheel, (ax, s * w, r), (r, width, r), 1) for ax in axles for s in (-1, 1)]
    parts += [fitted(cylinder(rng), (ax, 0, r), (0.03, w, 0.03), 1) for ax in axles]
    for s in (-1, 1):
        if rng.random() < 0.5:
            parts.append(fitted(pick(rng, BARS)(rng), (s * length, 0, r + 0.5 * h), (0.05, w, 0.05), 1))
    return join(parts)


def aircraft(rng: Generator) -> Mesh:
    """An aircraft: fuselage, wings, tail and two pods."""
    r, span, chord = rng.uniform(0.08, 0.2), rng.uniform(0.6, 1.2), rng.uniform(0.1, 0.35)
    fuselage = fitted(pick(rng, (capsule, ball, cylinder, rounded_box))(rng), 0, (1, r, r), 0)
    wing, fin = wedge(rng), wedge(rng)
    sweepback, z = rng.uniform(-0.4, 0.1), rng.uniform(-r, r)
    parts = [fuselage]
    for y, x, size in ((span, 0.1, chord), (span * 0.4, -0.85, chord * 0.5)):
        corners = ((1, 0), (-1, 0), (-1, 0.03), (1, 0.03))
        root = [(x_ * size, 0, z_) for x_, z_ in corners]
        tip = [(x_ * size * 0.4 + sweepback, y, z_ + 0.05) for x_, z_ in corners]
        slab = lattice(np.array([root, tip, [tip[0]] * 4]), wrap_cols=True)
        parts += [moved(slab, (1, s, 1), (x, 0, z)) for s in (-1, 1)]
    parts.append(fitted(fin, (-0.85, 0, r + 0.15), (0.15, 0.015, 0.2), 1))
    parts += [fitted(wing, (0.9, 0, 0), (0.02, 0.02, 0.3))] if rng.random() < 0.3 else []
    pod = fitted(pick(rng, (capsule, cylinder, tube))(rng), 0, (0.15, 0.06, 0.06), 0)
    return join([*parts, *(moved(pod, 1, (0.1, s * span * 0.4, z - 0.06)) for s in (-1, 1))])


def character(rng: Generator) -> Mesh:
    """A figure of separate solids: torso, head, limbs in two pieces, hands and feet."""
    limb, bulk = (
        pick(rng, (capsule, cylinder, box, rounded_box, frustum)),
        pick(rng, (rounded_box, ball, box, frustum)),
    )
    w, t = rng.uniform(0.15, 0.4), rng.uniform(0.25, 0.5)
    parts = [fitted(bulk(rng), (0, 0, t), (w, w * 0.6, t))]
    head = rng.uniform(0.12, 0.3)
    parts.append(fitted(pick(rng, (ball, box, rounded_box))(rng), (0, 0, 2 * t + head), (head, head, head)))
    parts += [fitted(ball(rng), (s * head * 0.4, -head, 2 * t + head * 1.2), 0.15 * head) for s in (-1, 1)]
    r, leg, arm = rng.uniform(0.04, 0.12), rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.3)
    pose = rotation((0, 1, 0), rng.uniform(0, 1.6))
    upper, foot = fitted(limb(rng), (0, 0, -arm), (r, r, arm)), box(rng)
    arm_mesh = join(
        [upper, moved(upper, 0.9, (0, 0, -2 * arm)), fitted(ball(rng), (0, 0, -3.9 * arm), 1.4 * r)]
    )
    side = [
        moved(arm_mesh, pose.T, (w, 0, 1.8 * t)),
        fitted(limb(rng), (w * 0.5, 0, -leg), (r * 1.2, r * 1.2, leg)),
    ]
    side.append(fitted(foot, (w * 0.5, -r, -2 * leg), (r * 1.2, 2.2 * r, r * 0.7)))
    return join([*parts, *side, *(moved(m, (-1, 1, 1)) for m in side)])


def robot_link(rng: Generator) -> Mesh:
    """A bar between two joints, with bored hubs, bolted flanges and perhaps a motor."""
    r, h, w = rng.uniform(0.12, 0.4, 2), rng.uniform(0.05, 0.3), rng.uniform(0.04, 0.12)
    bar = pick(rng, BARS)
    parts = [fitted(bar(rng), (0, 0, 0), (1 - r.min() * 0.5, w, min(h, w) * rng.uniform(0.3, 1)), 0)]
    for s, radius in zip((-1, 1), r, strict=True):
        parts.append(fitted(pick(rng, (tube, cylinder))(rng), (s, 0, 0), (radius, radius, h)))
        parts.append(fitted(tube(rng), (s, 0, h), (radius * 1.15, radius * 1.15, 0.03)))
        bolt, n = fitted(prism(rng), (radius * 0.9, 0, h), (0.025, 0.025, 0.05)), int(rng.integers(4, 9))
        parts += [moved(bolt, rotation((0, 0, 1), 2 * np.pi * k / n), (s, 0, 0)) for k in range(n)]
    if rng.random() < 0.5:
        parts.append(fitted(pick(rng, SOLIDS)(rng), (-1, 0, h + 0.2), (r[0] * 0.7, r[0] * 0.7, 0.2)))
    return join(parts)


# (b) Revolved, extruded, swept


def vessel(rng: Generator) -> Mesh:
    """A vase, bottle, bowl or cup: solid, with an inner wall, or an open skin; at times with a handle."""
    knots, segments = int(rng.integers(4, 8)), 2 * _segments(rng)
    z = np.linspace(0, rng.uniform(0.4, 2.5), 40)
    radii = loguniform(rng, 0.2, 1, knots)
    r = np.asarray(PchipInterpolator(np.linspace(0, z[-1], knots), radii)(z))
    if rng.random() < 0.3:
        r, z = np.repeat(radii, 2), np.append(0, np.repeat(np.linspace(0, z[-1], knots + 1)[1:], 2))[:-1]
    outer, wall = np.stack([r, z], -1), loguniform(rng, 0.02, 0.12)
    style = rng.random()
    if style < 0.4:
        inner = np.stack([np.maximum(r - wall, 0.01), np.maximum(z, wall)], -1)[::-1]
        parts = [lathe([(0, 0), *outer, *inner, (0, wall)], segments)]
    else:
        parts = [lathe([(0, 0), *outer] if style < 0.6 else [(0, 0), *outer, (0, z[-1])], segments)]
    if rng.random() < 0.35:
        lo, hi = z[-1] * rng.uniform(0.15, 0.35), z[-1] * rng.uniform(0.6, 0.85)
        out = max(np.interp((lo, hi), z, r)) + rng.uniform(0.2, 0.5)
        a, b = np.interp((lo, hi), z, r) - wall / 2
        knots_xyz = [(a, 0, lo), (out, 0, lo * 0.9 + hi * 0.1), (out, 0, hi), (b, 0, hi)]
        parts.append(sweep(smooth_path(knots_xyz, 24), circle(10, wall)))
    return join(parts)


def polygon(rng: Generator) -> Points:
    """A random outline: star, gear, blob, or an L, T, U or plus profile."""
    kind, n = rng.integers(4), int(rng.integers(3, 13))
    if kind == 0:
        return circle(2 * n, np.tile([1, rng.uniform(0.3, 0.8)], n))
    if kind == 1:
        return circle(4 * n, np.tile([1, 1, *2 * [rng.uniform(0.6, 0.9)]], n))
    if kind == 2:
        a = 2 * np.pi * np.arange(48) / 48
        waves = sum(rng.normal(0, 0.3 / k) * np.cos(k * a + rng.uniform(0, 6)) for k in range(2, 6))
        return circle(48, np.maximum(1 + np.asarray(waves), 0.2))
    s, t = rng.uniform(0.15, 0.5, 2)
    profiles = [
        [(-1, -1), (1, -1), (1, -1 + 2 * s), (-1 + 2 * t, -1 + 2 * s), (-1 + 2 * t, 1), (-1, 1)],
        [(-s, -1), (s, -1), (s, t), (1, t), (1, 1), (-1, 1), (-1, t), (-s, t)],
        [(-1, -1), (1, -1), (1, 1), (1 - s, 1), (1 - s, -1 + t), (s - 1, -1 + t), (s - 1, 1), (-1, 1)],
    ]
    return np.array(profiles[rng.integers(3)], float)


def extrusion(rng: Generator) -> Mesh:
    """A random polygon extruded, at times with a round hole."""
    outline, h = polygon(rng), loguniform(rng, 0.05, 2)
    if rng.random() < 0.5 and np.linalg.norm(outline, axis=1).min() > 0.2:
        dense = outline[np.arange(len(outline)).repeat(4)]
        dense += (np.roll(outline, -1, 0) - outline).repeat(4, 0) * np.tile(
            [[0], [0.25], [0.5], [0.75]], (len(outline), 1)
        )
        angle = np.arctan2(dense[:, 1], dense[:, 0])
        inner = 0.8 * np.linalg.norm(dense, axis=1).min() * np.stack([np.cos(angle), np.sin(angle)], -1)
        # Only outlines that go round the centre once, forwards, leave a clean ring.
        if (np.diff(np.unwrap(angle)) > 0).all():
            return extrude_ring(dense, inner * rng.uniform(0.3, 1), h)
    return extrude(outline, h)


def swept(rng: Generator) -> Mesh:
    """Cables, horns, springs, rings and rails."""
    section = circle(int(rng.integers(6, 17))) if rng.random() < 0.7 else RECT * rng.uniform(0.3, 1, 2)
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        n, r, style = 90, loguniform(rng, 0.02, 0.2), rng.random()
        if style < 0.3:
            a = np.linspace(0, 2 * np.pi * rng.uniform(1.5, 6), 160)
            coil = np.stack([np.cos(a), np.sin(a), a / a[-1] * rng.uniform(1, 4)], -1)
            coil[:, :2] *= np.linspace(1, rng.uniform(0.3, 1.2), len(a))[:, None]
            return sweep(coil, section * min(r, 0.15))
        closed = style < 0.5
        path = smooth_path(rng.uniform(-1, 1, (int(rng.integers(4, 8)), 3)), n, closed)
        scale = np.linspace(1, rng.choice([1.0, 0.05]), n) if not closed else 1.0
        parts.append(sweep(path, section * r, scale, closed))
    return join(parts)


def wall_frame(rng: Generator) -> Mesh:
    """Windows, doors and picture frames, with bars or a pane, at times in a row."""
    w, h, t, d = (
        rng.uniform(0.3, 1),
        rng.uniform(0.4, 1.2),
        loguniform(rng, 0.02, 0.15),
        loguniform(rng, 0.01, 0.2),
    )
    parts = [extrude_ring(RECT * (w, h), RECT * (w - t, h - t), d)]
    parts += [fitted(box(rng), (x, 0, 0), (t / 3, h, d / 2)) for x in rng.uniform(-w, w, rng.integers(0, 4))]
    parts += [fitted(box(rng), (0, y, 0), (w, t / 3, d / 2)) for y in rng.uniform(-h, h, rng.integers(0, 4))]
    parts += [fitted(box(rng), 0, (w, h, d * 0.1))] if rng.random() < 0.4 else []
    one, n = join(parts), int(rng.choice([1, 1, 2, 3]))
    return join([moved(one, 1, (2.1 * w * k, 0, 0)) for k in range(n)])


# (c) Solids from signed distances


def _primitive(rng: Generator, size: float = 0.6) -> sdf.Sdf:
    a, b, c = size * loguniform(rng, 0.35, 1.3, 3)
    small = min(a, b, c)
    return (
        lambda: sdf.box((a, b, c)),
        lambda: sdf.rounded_box((a, b, c), small * 0.6),
        lambda: sdf.sphere(a),
        lambda: sdf.ellipsoid((a, b, c)),
        lambda: sdf.cylinder(a, b),
        lambda: sdf.capsule((0, 0, -b), (0, 0, b), a * 0.6, c * 0.6),
        lambda: sdf.torus(max(a, b), min(a, b) * 0.4),
        lambda: sdf.cone(a, rng.uniform(0, 0.6) * a, b),
        lambda: sdf.prism(a, b, int(rng.integers(3, 9))),
    )[rng.integers(9)]()


def _turned(rng: Generator, shape: sdf.Sdf) -> sdf.Sdf:
    quarter = np.roll(np.eye(3), int(rng.integers(3)), axis=0)
    return sdf.rotate(shape, quarter if rng.random() < 0.7 else random_rotation(rng))


def _scattered(rng: Generator, size: float = 0.4, reach: float = 0.6) -> sdf.Sdf:
    return sdf.translate(_turned(rng, _primitive(rng, size)), rng.uniform(-reach, reach, 3))


def _csg(rng: Generator) -> sdf.Sdf:
    """A few primitives joined and cut, sharply or smoothly."""
    shape, smooth = _turned(rng, _primitive(rng)), rng.random() < 0.5
    k = loguniform(rng, 0.03, 0.3)
    for _ in range(int(rng.integers(1, 6))):
        other, action = _scattered(rng), rng.random()
        if action < 0.5:
            shape = sdf.smooth_union(k, shape, other) if smooth else sdf.union(shape, other)
        elif action < 0.95:
            shape = sdf.smooth_difference(k, shape, other) if smooth else sdf.difference(shape, other)
        else:
            shape = sdf.intersection(shape, sdf.rounded(other, 0.3))
    return shape


def _machined(rng: Generator) -> sdf.Sdf:
    """A plate, block or disc with bores, a bolt pattern, bosses and a pocket."""
    a, b, c = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.9), loguniform(rng, 0.06, 0.5)
    body = (sdf.box((a, b, c)), sdf.rounded_box((a, b, c), c * 0.6), sdf.cylinder(a, c), sdf.prism(a, c))[
        rng.integers(4)
    ]
    boss = sdf.translate(sdf.cylinder(rng.uniform(0.15, 0.4), c), (0, 0, c))
    hole = sdf.cylinder(rng.uniform(0.03, 0.1), 4)
    pattern = sdf.repeat_around(sdf.translate(hole, (0.7 * min(a, b), 0, 0)), int(rng.integers(3, 9)))
    if rng.random() < 0.4:
        pattern = sdf.repeat(hole, rng.uniform(0.25, 0.4), rng.integers(1, 4, 3).tolist())
    shape = sdf.smooth_union(0.1, body, boss) if rng.random() < 0.6 else body
    cuts = [pattern, sdf.cylinder(rng.uniform(0.08, 0.2), 4)][: rng.integers(1, 3)]
    if rng.random() < 0.4:
        cuts.append(sdf.translate(_primitive(rng, 0.5), (0, rng.uniform(-b, b), c)))
    return sdf.difference(shape, *cuts)


def _warped(rng: Generator) -> sdf.Sdf:
    shape = _csg(rng) if rng.random() < 0.5 else sdf.box(loguniform(rng, 0.15, 0.8, 3))
    warps = (sdf.twist, sdf.bend, sdf.taper)
    for i in rng.permutation(3)[: rng.integers(1, 3)]:
        shape = warps[i](shape, float(rng.uniform(-1, 1) * (2.0, 1.0, 0.8)[i]))
    return shape


def _rippled(rng: Generator, shape: sdf.Sdf, frequency: float, amplitude: float) -> sdf.Sdf:
    return sdf.displace(shape, rng.normal(0, frequency, (2, 3)), rng.uniform(0, 6, 2), amplitude)


def _blob(rng: Generator) -> sdf.Sdf:
    """Rocks, fruit, clouds: smoothly joined ellipsoids with two octaves of ripples."""
    lumps = [_scattered(rng, 0.45, 0.45) for _ in range(int(rng.integers(1, 6)))]
    shape = _rippled(rng, sdf.smooth_union(0.3, *lumps), rng.uniform(2, 5), rng.uniform(0.02, 0.12))
    return _rippled(rng, shape, rng.uniform(8, 20), rng.uniform(0, 0.025))


def _creature(rng: Generator) -> sdf.Sdf:
    """Body, neck, head, mirrored legs in two pieces, ears or horns, and a tail; about x it is symmetric."""
    length, girth, leg = rng.uniform(0.3, 0.6), rng.uniform(0.12, 0.28), rng.uniform(0.3, 0.85)
    thick = girth * rng.uniform(0.2, 0.5)
    chest, rump = np.array([0, length, 0]), np.array([0, -length, rng.uniform(-0.1, 0.1)])
    head = chest + rng.uniform((0, 0.05, 0.1), (0, 0.4, 0.5))
    nose, r = head + rng.uniform((0, 0.1, -0.08), (0, 0.3, -0.08)), rng.uniform(0.1, 0.18)
    limbs = [
        sdf.capsule(chest, rump, girth, girth * rng.uniform(0.7, 1.1)),
        sdf.capsule(chest, head, girth * 0.6, r * 0.7),
    ]
    limbs += [sdf.capsule(head, nose, r, r * rng.uniform(0.3, 0.8))]
    for hip in np.linspace(chest, rump, int(rng.choice([2, 2, 2, 3, 4]))):
        knee = hip + rng.uniform((girth * 0.6, -0.15, -leg * 0.6), (girth * 1.3, 0.15, -leg * 0.5))
        foot = knee + rng.uniform((-0.05, -0.15, -leg * 0.8), (0.05, 0.15, -leg * 0.6))
        limbs += [sdf.capsule(hip, knee, thick * 1.5, thick), sdf.capsule(knee, foot, thick, thick * 0.7)]
        limbs += [sdf.capsule(foot, foot + np.array([0, 0.1, 0]), thick * 0.8)]
    ear = head + np.array([r * rng.uniform(0.6, 2), -0.05, rng.uniform(0.1, 0.4)])
    limbs += [sdf.capsule(head, ear, r * 0.4, r * 0.15)]
    tail = rump + np.array([0, -rng.uniform(0.1, 0.4), rng.uniform(-0.3, 0.3)])
    limbs += [sdf.capsule(rump, tail, thick, thick * 0.4)]
    shape = sdf.mirror(sdf.smooth_union(rng.uniform(0.05, 0.15), *limbs))
    return _rippled(rng, shape, 12, 0.01) if rng.random() < 0.3 else shape


def _statue(rng: Generator) -> sdf.Sdf:
    """A bust or figure on a plinth."""
    head, shoulder = rng.uniform(0.2, 0.3), rng.uniform(0.2, 0.5)
    figure = [
        sdf.translate(sdf.ellipsoid((head * 0.8, head, head * 1.2)), (0, 0, 0.65)),
        sdf.capsule((0, 0, -0.6), (0, 0, 0.5), rng.uniform(0.15, 0.45), head * 0.5),
        sdf.capsule((-shoulder, 0, 0.1), (shoulder, 0, 0.1), 0.18),
        sdf.capsule((0, 0.8 * head, 0.68), (0, head * 1.15, 0.6), 0.05),
        sdf.capsule((shoulder, 0, 0.1), rng.uniform((0.2, -0.2, -0.6), (0.7, 0.6, 0.6)), 0.12, 0.07),
        sdf.capsule((-shoulder, 0, 0.1), rng.uniform((-0.7, -0.2, -0.6), (-0.2, 0.6, 0.6)), 0.12, 0.07),
    ]
    body = _rippled(rng, sdf.smooth_union(0.12, *figure), rng.uniform(4, 12), rng.uniform(0, 0.025))
    plinth = sdf.box((0.5, 0.5, 0.15)) if rng.random() < 0.5 else sdf.cylinder(0.5, 0.12)
    return sdf.union(body, sdf.translate(plinth, (0, 0, -0.75)))


def _tree(rng: Generator) -> sdf.Sdf:
    """A branching chain of capsules, bare or with crowns: trees, corals, roots."""
    limbs: list[sdf.Sdf] = []
    crowns: list[sdf.Sdf] = []
    tips = [(np.array([0, 0, -0.9]), np.array([0, 0, 1.0]), 0.6, 0.1)]
    while tips and len(limbs) < 22:
        start, direction, length, r = tips.pop(0)
        end = start + length * direction
        limbs.append(sdf.capsule(start, end, r, r * 0.7))
        if length < 0.28:
            crowns.append(sdf.translate(sdf.sphere(rng.uniform(0.1, 0.25)), end))
        for _ in range(int(rng.integers(2, 4))):
            d = direction + rng.normal(0, 0.6, 3)
            tips.append((end, d / np.linalg.norm(d), length * rng.uniform(0.55, 0.8), max(r * 0.65, 0.025)))
    wood = sdf.smooth_union(0.05, *limbs)
    return sdf.union(wood, *crowns[:8]) if crowns and rng.random() < 0.5 else wood


def _hollow(rng: Generator) -> sdf.Sdf:
    """A thin-walled body cut open: helmets, husks, housings."""
    body = _csg(rng) if rng.random() < 0.5 else _primitive(rng, 0.8)
    normal = rng.normal(size=3)
    cut = sdf.plane(normal / np.linalg.norm(normal), rng.uniform(0.0, 0.3))
    return sdf.intersection(sdf.shell(body, rng.uniform(0.05, 0.12)), cut)


def _porous(rng: Generator) -> sdf.Sdf:
    """Lattices: a gyroid, or a sponge of repeated holes, within a solid."""
    body = _primitive(rng, 0.8)
    if rng.random() < 0.5:
        return sdf.intersection(body, sdf.gyroid(rng.uniform(0.7, 1.4), rng.uniform(0.08, 0.25)))
    spacing = rng.uniform(0.35, 0.6)
    return sdf.difference(body, sdf.repeat(_primitive(rng, spacing * 0.45), spacing, (3, 3, 3)))


def _from_sdf(recipe: Callable[[Generator], sdf.Sdf]) -> Maker:
    return lambda rng: sdf.polygonize(recipe(rng), int(rng.integers(52, 72)))


# (d) Thin and open


def sheet(rng: Generator) -> Mesh:
    """An open height field, cloth or card, flat or curled; zero thickness."""
    n = int(rng.integers(16, 64))
    u, v = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    z = np.zeros_like(u)
    for _ in range(int(rng.integers(1, 9))):
        f = rng.normal(0, 3, 2)
        z += rng.normal(0, 0.3) * np.cos(f[0] * u + f[1] * v + rng.uniform(0, 6)) / (1 + np.abs(f).sum() / 2)
    v = v * rng.uniform(0.3, 1)
    if rng.random() < 0.3:
        z = z * 0.3
        a = u * rng.uniform(0.5, 3)
        return lattice(np.stack([np.sin(a) * (1 + z), v, np.cos(a) * (1 + z)], -1))
    return lattice(np.stack([u, v, z], -1))


def plant(rng: Generator) -> Mesh:
    """A stem or trunk with cards or curved leaves around it."""
    leaf_n = int(rng.choice([2, 2, 6]))
    s = np.linspace(0, 1, leaf_n)
    width, droop = rng.uniform(0.05, 0.2), rng.uniform(0, 0.6)
    outline = width * (np.sin(np.pi * (0.08 + 0.88 * s)) if leaf_n > 2 else np.ones(leaf_n))
    leaf = lattice(np.stack([np.stack([s, k * outline, 0.3 * s - droop * s**2], -1) for k in (-1, 1)]))
    top = rng.uniform(0.3, 1.8)
    parts = [rod((0, 0, 0), (0, 0, top), rng.uniform(0.01, 0.06))]
    for k in range(int(rng.integers(6, 50))):
        M = rotation((0, 0, 1), 2.4 * k) @ rotation((0, 1, 0), rng.uniform(-1.2, 0.5)) * rng.uniform(0.3, 0.9)
        parts.append(moved(leaf, M, (0, 0, top * rng.uniform(0.3, 1))))
    if rng.random() < 0.4:
        parts.append(lathe([(0, -0.4), (0.2, -0.4), (0.3, 0), (0.25, 0), (0, -0.02)], 24))
    return join(parts)


def wireframe(rng: Generator) -> Mesh:
    """Rods along the edges of a coarse solid or of a box lattice: cages, trusses, scaffolds."""
    radius = loguniform(rng, 0.012, 0.05)
    if rng.random() < 0.5:
        V, F = lathe(_ball_profile(int(rng.integers(3, 7))), int(rng.integers(3, 9)))
        pairs = V[np.concatenate([F[:, :2], F[:, 1:]])]
    else:
        n = rng.integers(2, 5, 3)
        P = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in n), indexing="ij"), -1)
        along = [
            np.stack([P.swapaxes(0, k)[:-1], P.swapaxes(0, k)[1:]], 3).reshape(-1, 2, 3) for k in range(3)
        ]
        pairs = np.concatenate(along)
    ends = np.unique(np.round(np.sort(pairs.view("f8,f8,f8"), axis=1).view("f8").reshape(-1, 6), 6), axis=0)
    sides = int(rng.integers(4, 9))
    rods = [rod(e[:3], e[3:], radius, sides) for e in ends if np.linalg.norm(e[:3] - e[3:]) > 1e-3]
    return moved(join(rods[:150]), rng.uniform(0.4, 1, 3))


def grille(rng: Generator) -> Mesh:
    """A plate with a grid of round or square holes, flat or rolled up, or a fence of bars."""
    nx, ny, t = int(rng.integers(2, 9)), int(rng.integers(2, 9)), rng.uniform(0.05, 0.4)
    if rng.random() < 0.4:
        bar, r = pick(rng, BARS)(rng), rng.uniform(0.03, 0.2)
        parts = [fitted(bar, (k, ny / 2, 0), (r, ny / 2, r), 1) for k in range(nx + 1)]
        parts += [
            fitted(box(rng), (nx / 2, y, 0), (nx / 2 + r, r, r))
            for y in np.linspace(0, ny, rng.integers(2, 5))
        ]
        return join(parts)
    hole = circle(24, rng.uniform(0.2, 0.45), np.pi / 4)
    rim = hole / np.abs(hole).max(1, keepdims=True) / 2
    inner = hole if rng.random() < 0.6 else rim * rng.uniform(0.4, 0.9)
    cell = lattice([raised(rim, t), raised(inner, t), raised(inner, -t), raised(rim, -t)], wrap_cols=True)
    cells = [moved(cell, 1, (i + 0.5, j + 0.5, 0)) for i in range(nx) for j in range(ny)]
    # The outer wall has the cells' own rim points, so that it still meets them when rolled up.
    step = (np.tan(np.pi / 12 * np.arange(-3, 3)) + 1) / 2
    x, y = ((np.arange(n)[:, None] + step).ravel() for n in (nx, ny))
    sides = [(x, 0 * x), (0 * y + nx, y), (nx - x, 0 * x + ny), (0 * y, ny - y)]
    edge = np.concatenate([np.column_stack(side) for side in sides])
    V, F = join([*cells, lattice([raised(edge, -t), raised(edge, t)], wrap_cols=True)])
    if rng.random() < 0.3:
        angle, radius = V[:, 0] * rng.uniform(0.5, 1.9) * np.pi / nx, nx / 3 + V[:, 2]
        V = np.stack([radius * np.sin(angle), V[:, 1], radius * np.cos(angle)], -1)
    return V, F


def open_shell(rng: Generator) -> Mesh:
    """A surface of zero thickness with a rim: a lathe that does not go all round, or a lidless box."""
    if rng.random() < 0.3:
        V, F = box(rng)
        return moved((V, F[: -int(rng.integers(1, 4))]), loguniform(rng, 0.2, 1, 3))
    knots, n = int(rng.integers(3, 7)), 30
    r = np.asarray(
        PchipInterpolator(np.linspace(0, 1, knots), loguniform(rng, 0.15, 1, knots))(np.linspace(0, 1, n))
    )
    a = np.linspace(0, rng.uniform(1.5, 6.0), 40)
    z = np.broadcast_to(np.linspace(0, rng.uniform(0.3, 2), n)[:, None], (n, 40))
    return lattice(np.stack([np.outer(r, np.cos(a)), np.outer(r, np.sin(a)), z], -1))


FAMILIES: tuple[tuple[float, Maker], ...] = (
    *((5, furniture), (3, stack), (3, mirrored), (3, array), (3, radial), (4, cluster), (3, building)),
    *((3, vehicle), (2, aircraft), (3, character), (4, robot_link)),
    *((5, vessel), (5, extrusion), (4, swept), (2, wall_frame)),
    *((6, _from_sdf(_csg)), (5, _from_sdf(_machined)), (4, _from_sdf(_warped)), (5, _from_sdf(_blob))),
    *((7, _from_sdf(_creature)), (4, _from_sdf(_statue)), (3, _from_sdf(_tree)), (3, _from_sdf(_hollow))),
    (2, _from_sdf(_porous)),
    *((3, sheet), (3, plant), (3, wireframe), (3, grille), (2, open_shell)),
)
_WEIGHTS = np.array([w for w, _ in FAMILIES]) / sum(w for w, _ in FAMILIES)


def _posed(rng: Generator, mesh: Mesh) -> Mesh:
    """Perhaps stretched, then with some axis up, at times askew."""
    if rng.random() < 0.25:
        mesh = moved(mesh, loguniform(rng, 0.5, 2, 3))
    mesh = moved(mesh, np.roll(np.eye(3), int(rng.integers(3)), axis=0))
    return moved(mesh, random_rotation(rng)) if rng.random() < 0.15 else mesh


def cleaned(mesh: Mesh) -> Mesh:
    """Drop faces without area (poles of lathes, caps) and vertices that no face uses."""
    V, F = mesh
    area = np.linalg.norm(area_normals(V[F]), axis=1)
    F = F[area > 1e-12 * np.ptp(V, axis=0).max(initial=0.0) ** 2]
    used = used_vertices(F, len(V))
    return V[used], (np.cumsum(used) - 1)[F].astype(np.int32)


def generate(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A random mesh (V, F), the same for the same seed; of moderate but not normalized extent."""
    rng = np.random.default_rng(seed)
    while True:
        maker = FAMILIES[int(rng.choice(len(FAMILIES), p=_WEIGHTS))][1]
        V, F = cleaned(_posed(rng, maker(rng)))
        if len(F) >= 4 and np.isfinite(V).all() and (np.ptp(V, axis=0) > 1e-3).sum() >= 2:
            return V.astype(np.float32), F
