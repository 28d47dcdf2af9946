"""What is known around a gate, as whole numbers that a network is given.

Everything here is either whole or comes from +, -, *, / and square roots of float64 numbers, one after the
other in the order that is written, and is rounded at the end: the same on every machine. Vectors have their
three components first, so that one expression serves all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.mesh_front import BORDER, LEFT, NEW, RIGHT, SEED, SYMBOLS, Front
from meshcodec.format.mesh_network import FEATURE_BITS, FEATURE_MAX, Whole

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_ONE = float(1 << FEATURE_BITS)
_FAR = 6.0  # largest distance, in lengths of the gate, that is told from larger ones
_PI = 3.141592653589793


def log2(values: Floats) -> Floats:
    """Logarithm of values above 0, linear between powers of two."""
    result: Floats
    result, exponent = np.frexp(values)
    result *= 2.0
    result += exponent
    result -= 2.0
    return result


def angle(cosine: Floats) -> Floats:
    """Angle of a cosine, in radians, to 1e-4 (Abramowitz and Stegun 4.4.45)."""
    size = np.minimum(np.abs(cosine), 1.0)
    polynomial = ((-0.0187293 * size + 0.0742610) * size - 0.2121144) * size + 1.5707288
    acute = np.sqrt(1.0 - size) * polynomial
    return np.where(cosine < 0, _PI - acute, acute)


def dot(u: Floats, v: Floats) -> Floats:
    """(3, ...) and (3, ...) -> (...)."""
    products = u * v
    result: Floats = products[0] + products[1]
    result += products[2]
    return result


def cross(u: Floats, v: Floats) -> Floats:
    """(3, ...) and (3, ...) -> (3, ...)."""
    return np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])


def unit(vectors: Floats) -> Floats:
    """(3, ...) of length 1; zero stays zero."""
    length = np.sqrt(dot(vectors, vectors))
    length[length == 0] = 1.0
    result: Floats = vectors / length
    return result


def rounded(rows: list[Floats] | Floats) -> Whole:
    """(F, N) numbers -> (N, F) features."""
    values = np.asarray(rows) * _ONE
    values += 0.5
    np.floor(values, out=values)
    np.maximum(values, -FEATURE_MAX, out=values)
    np.minimum(values, FEATURE_MAX, out=values)
    return np.ascontiguousarray(values.T)


_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])  # corners of a face, from each on


@dataclass
class Known:
    """Arrays over the vertices and faces that are known so far.

    Attributes
    ----------
    front : gates
    sides : (3, 1) largest coordinates
    scale : log2 of the typical length of an edge, in steps, as the head of a message says
    classes : further facts of the head, 0 or 1
    positions : (3, V) whole
    normals : (3, V) sums of the normals of faces around a vertex, each as long as twice the area
    turned : (V,) sum of the angles of faces around a vertex, in 1/64 radian, whole
    valence : (V,) faces around a vertex
    bordered : (V,) borders that begin or end there
    error : (2, V) log2 of 1 + the residual in the plane and across it, of vertices that a gate made
    face_normals : (3, F) as long as twice the area
    vertices, placed, measured : vertices, those whose place is known, and faces that are taken in
    counts : of each symbol so far, and of faces that are still to come
    residuals : sums of the errors and of exact coordinates, and their number
    """

    front: Front
    sides: Floats
    scale: float
    classes: tuple[float, ...]
    positions: Floats = field(default_factory=lambda: np.zeros((3, 64)))
    normals: Floats = field(default_factory=lambda: np.zeros((3, 64)))
    turned: Floats = field(default_factory=lambda: np.zeros(64))
    valence: Floats = field(default_factory=lambda: np.zeros(64))
    bordered: Floats = field(default_factory=lambda: np.zeros(64))
    error: Floats = field(default_factory=lambda: np.full((2, 64), 1.0))
    face_normals: Floats = field(default_factory=lambda: np.zeros((3, 64)))
    vertices: int = 0
    placed: int = 0
    measured: int = 0
    faces_left: int = 0
    counts: list[int] = field(default_factory=lambda: [1] * SYMBOLS)
    residuals: Floats = field(default_factory=lambda: np.array([4.0, 4.0, 1.0, 1.0, 2.0]))

    def reserve(self, vertices: int, faces: int) -> None:
        """Make room for so many."""
        if vertices > self.positions.shape[1]:
            more = max(vertices, 2 * self.positions.shape[1]) - self.positions.shape[1]
            for name in ("positions", "normals"):
                setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more))))
            for name in ("turned", "valence", "bordered"):
                setattr(self, name, np.pad(getattr(self, name), (0, more)))
            self.error = np.pad(self.error, ((0, 0), (0, more)), constant_values=1.0)
        if faces > self.face_normals.shape[1]:
            more = max(faces, 2 * self.face_normals.shape[1]) - self.face_normals.shape[1]
            self.face_normals = np.pad(self.face_normals, ((0, 0), (0, more)))

    def measure_faces(self) -> None:
        """Take in the faces that the front has made since; the places of all their corners are known."""
        self.placed = self.vertices
        faces = self.front.corners[self.measured :]
        if not faces:
            return
        corners = np.array(faces, dtype=np.int64).T
        self.reserve(0, self.measured + len(faces))
        places = self.positions.take(corners, axis=1)
        towards = places.take(_NEXT, axis=1) - places
        normals = cross(towards[:, 0], towards[:, 1])
        self.face_normals[:, self.measured : self.measured + len(faces)] = normals
        self.measured += len(faces)
        edges = unit(towards)
        turned = np.floor(angle(-dot(edges, edges.take(_LAST, axis=1))) * 64.0 + 0.5)
        # Sums of whole numbers: their order does not matter.
        where = corners.ravel()
        count = self.turned.shape[0]
        self.turned += np.bincount(where, turned.ravel(), count)
        self.valence += np.bincount(where, minlength=count)
        each = np.concatenate([normals, normals, normals], axis=1)
        for axis in range(3):
            self.normals[axis] += np.bincount(where, each[axis], count)


@dataclass(frozen=True)
class Surroundings:
    """The gates of a wave.

    Attributes
    ----------
    points : (9, N) vertices: a, b of the gate a -> b; c of the face behind it; the vertices before and
    after it in
        the loop, l and r; those before and after these; and the two nearest other ones with an open gate
        (a where there is none)
    faces : (4, N) the face behind, the one from which that was made, those behind the gates before and after
    facts : (12, N) numbers that are not places
    found : (2, N) whether there are others
    """

    points: Integers
    faces: Integers
    facts: Floats
    found: Floats


def surroundings(known: Known, wave: list[int]) -> Surroundings:
    """The surroundings of the gates of a wave."""
    front = known.front
    origin, end, apex, face = front.origin, front.end, front.apex, front.face
    before, after, state, maker = front.before, front.after, front.state, front.maker
    rows = []
    for gate in wave:
        left, right = before[gate], after[gate]
        further_left, further_right = before[left], after[right]
        behind = face[gate]
        rows.append(
            (
                origin[gate], end[gate], apex[gate], origin[left], end[right],
                origin[further_left], end[further_right],
                behind, front.parent[behind], face[left], face[right],
                state[left], state[right], maker[behind], apex[gate] == front.corners[behind][0],
                state[further_left], state[further_right],
            )
        )  # fmt: skip
    table = np.array(rows, dtype=np.int64).T
    others, found = _others(known, table[:5])
    points = np.concatenate([table[:7], others])
    makers = table[13]
    facts = np.array(
        [
            table[11] == BORDER,
            table[12] == BORDER,
            table[15] == BORDER,
            table[16] == BORDER,
            table[14],
            table[3] == table[4],
            (table[5] == table[4]) & (table[3] != table[4]),
            makers == NEW,
            makers == SEED,
            (makers == LEFT) | (makers == RIGHT),
            (makers != SEED) & (makers > RIGHT),
            table[3] == table[1],
        ],
        dtype=np.float64,
    )
    return Surroundings(points, table[7:11], facts, found)


def _others(known: Known, around: Integers) -> tuple[Integers, Floats]:
    """(2, N) vertices nearest to the parallelogram's corner, but for the five around, and whether there are.

    The first is the nearest with an open gate. The second is the next of these or, in a tangled mesh, the
    nearest of all others.
    """
    front, count = known.front, known.placed
    ends = {*map(front.origin.__getitem__, front.queue), *map(front.end.__getitem__, front.queue)}
    everything = known.classes[1] > 0
    pool = np.arange(count) if everything else np.array(sorted(ends), dtype=np.int64)
    points = known.positions.take(around[:3], axis=1)
    corner = points[:, 0] + points[:, 1] - points[:, 2]
    offsets = corner[:, :, None] - known.positions.take(pool, axis=1)[:, None]
    distances = dot(offsets, offsets)
    base = np.arange(0, distances.size, len(pool))  # where the rows begin
    if everything:
        distances[np.arange(len(base)), around] = np.inf
        is_open = np.zeros(count, dtype=np.bool_)
        is_open[list(ends)] = True
        first = np.where(is_open, distances, np.inf)
        second = np.where(is_open, np.inf, distances)
        choices = np.array([first.argmin(axis=1), second.argmin(axis=1)])
        nearest = np.array([first.take(base + choices[0]), second.take(base + choices[1])])
    else:
        flat = distances.reshape(-1)
        where = np.minimum(pool.searchsorted(around), len(pool) - 1)
        there = pool.take(where) == around
        where += base
        flat[where[there]] = np.inf
        one = distances.argmin(axis=1)
        at = base + one
        least = flat.take(at)
        flat[at] = np.inf
        other = distances.argmin(axis=1)
        choices = np.array([one, other])
        nearest = np.array([least, flat.take(base + other)])
    found = nearest < np.inf
    others = np.where(found, pool.take(choices), around[0])
    return others, found.astype(np.float64)


GATE_FEATURES = 90
"""Features of a gate's surroundings."""
GATE_LENGTH = 55
"""The one that is log2 of the gate's length."""
GATE_PAIRS = 21
"""Pairs of features of a gate's surroundings that belong to its two ends, the first features of all."""
GATE_SIGNED = 4
"""Features after them that change their sign when the ends change places."""


def gate_features(known: Known, near: Surroundings) -> Whole:
    """(N, F) what is known around gates, in lengths of each gate.

    Features that belong to the ends of the gate come in pairs, a's before b's, then those that change their
    sign when the ends change places, then all others.
    """
    places = known.positions.take(near.points, axis=1)
    a, b, c = places[:, 0], places[:, 1], places[:, 2]
    edge = b - a
    length = np.sqrt(dot(edge, edge))
    along = edge / length
    outward = cross(-edge, c - b)
    area = np.sqrt(dot(outward, outward))
    normal = outward / np.where(area > 0, area, 1.0)
    axes = np.array([along, cross(normal, along), normal])
    middle = (a + b) * 0.5
    offset = (places[:, 2:] - middle[:, None]) / length
    products = offset * axes[:, :, None]
    x, y, z = products[:, 0] + products[:, 1] + products[:, 2]
    gap = offset + offset[:, :1]  # from the corner of the parallelogram, which lies at minus c
    distance = np.minimum(np.sqrt(dot(gap, gap)), _FAR)  # c, l, r, ll, rr, o, p
    sides = places.take(_TO, axis=1) - places.take(_FROM, axis=1)
    lengths = np.sqrt(dot(sides, sides))
    turns = dot(sides[:, :2], along[:, None]) * _TOWARDS / np.where(lengths[:2] > 0, lengths[:2], 1.0)
    sizes = np.concatenate([length[None], lengths[:2], (area / length)[None]])
    sizes[1:] += 0.25
    logs = log2(sizes)
    scale = logs[0]
    relative = logs[1:] - scale
    normals = [known.normals.take(near.points[:5], axis=1), known.face_normals.take(near.faces[1:], axis=1)]
    cosines = dot(unit(np.concatenate(normals, axis=1)), normal[:, None])
    bends, folds = cosines[:5], cosines[5:]
    corners = near.points.take(_CORNERS, axis=0)
    found = near.found
    beside = np.where(found > 0, distance[5:], _FAR)
    facts = near.facts
    wide = np.empty((_GLOBAL_FACTS, len(scale)))
    wide.T[:] = _global_facts(known)
    return rounded(
        np.concatenate(
            [
                x[1:5] * _OUTWARDS, y[1:5], z[1:5], distance[1:5],
                relative[:2], angle(turns), bends.take(_CORNERS, axis=0), folds[1:],
                known.turned.take(corners) * 0.015625, known.valence.take(corners) * 0.5,
                np.minimum(known.bordered.take(corners), 3.0), facts[:2], facts[2:4],
                x[:1], x[5:] * found, facts[4:5] - 0.5,
                y[:1], y[5:] * found, z[5:] * found, beside, found[:1],
                np.minimum(lengths[2:] / length, _FAR), scale[None], scale[None] - known.scale, relative[2:],
                bends[2:3], folds[:1], facts[5:], _in_end_planes(known, places),
                np.minimum(known.bordered.take(near.points[8:]), 3.0) * found[1:], wide,
            ]
        )
    )  # fmt: skip


_CORNERS = np.array([0, 1, 3, 4])  # a, b, l and r among the points
_TO, _FROM = np.array([3, 4, 3]), np.array([0, 1, 4])  # from a to l, from b to r, from r to l
_OUTWARDS = np.array([[1.0], [-1.0], [1.0], [-1.0]])
_TOWARDS = np.array([[1.0], [-1.0]])
_GLOBAL_FACTS = 18


def _in_end_planes(known: Known, places: Floats) -> Floats:
    """(4, N) axes along which a gate, and the face behind it, lies in the first or the last plane of the
    grid."""
    corners = places[:, :3]
    ends = np.array([corners == 0, corners == known.sides[:, :, None]])
    gate = ends[:, :, 0] & ends[:, :, 1]
    both = np.concatenate([gate, gate & ends[:, :, 2]])
    result: Floats = np.add.reduce(both, axis=1, dtype=np.float64)
    return result


def _global_facts(known: Known) -> list[float]:
    """Numbers of the mesh as a whole and of how it went so far."""
    total = float(sum(known.counts))
    shares = [8.0 * count / total for count in known.counts]
    queue = float(len(known.front.queue))
    left, gates = _log2(known.faces_left + 1.0), _log2(queue + 1.0)
    first, second, third, fourth, count = known.residuals.tolist()
    return [
        *shares,
        left,
        left - gates,
        known.scale,
        *known.classes,
        first / count,
        second / count,
        4.0 * (third / count),
        4.0 * (fourth / count),
    ]


def _log2(value: float) -> float:
    """`log2` of one number."""
    mantissa, exponent = math.frexp(value)
    return exponent + 2.0 * mantissa - 2.0
