"""What is known around a gate, as whole numbers that a network is given.

Everything here is either whole or comes from +, -, *, / and square roots of float64 numbers, one after the
other in the order that is written, and is rounded at the end: the same on every machine. Vectors have their
three components first, so that one expression serves all of them.
"""

from __future__ import annotations

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
    mantissa, exponent = np.frexp(values)
    result: Floats = exponent + 2.0 * mantissa - 2.0
    return result


def angle(cosine: Floats) -> Floats:
    """Angle of a cosine, in radians, to 1e-4 (Abramowitz and Stegun 4.4.45)."""
    size = np.minimum(np.abs(cosine), 1.0)
    polynomial = ((-0.0187293 * size + 0.0742610) * size - 0.2121144) * size + 1.5707288
    acute = np.sqrt(1.0 - size) * polynomial
    return np.where(cosine < 0, _PI - acute, acute)


def dot(u: Floats, v: Floats) -> Floats:
    """(3, ...) and (3, ...) -> (...)."""
    result: Floats = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
    return result


def cross(u: Floats, v: Floats) -> Floats:
    """(3, ...) and (3, ...) -> (3, ...)."""
    return np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])


def unit(vectors: Floats) -> Floats:
    """(3, ...) of length 1; zero stays zero."""
    length = np.sqrt(dot(vectors, vectors))
    result: Floats = vectors / np.where(length > 0, length, 1.0)
    return result


def rounded(rows: list[Floats] | Floats) -> Whole:
    """(F, N) numbers -> (N, F) features."""
    values = np.floor(np.asarray(rows) * _ONE + 0.5)
    return np.ascontiguousarray(np.minimum(np.maximum(values, -FEATURE_MAX), FEATURE_MAX).T)


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
        places = self.positions[:, corners]
        towards = places[:, (1, 2, 0)] - places
        normals = cross(towards[:, 0], towards[:, 1])
        self.face_normals[:, self.measured : self.measured + len(faces)] = normals
        self.measured += len(faces)
        edges = unit(towards)
        turned = np.floor(angle(-dot(edges, edges[:, (2, 0, 1)])) * 64.0 + 0.5)
        # Sums of whole numbers: their order does not matter.
        where = corners.ravel()
        count = self.turned.shape[0]
        self.turned += np.bincount(where, turned.ravel(), count)
        self.valence += np.bincount(where, minlength=count)
        for axis in range(3):
            self.normals[axis] += np.bincount(where, np.tile(normals[axis], 3), count)


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
    ends = {front.origin[gate] for gate in front.queue}
    ends.update(front.end[gate] for gate in front.queue)
    everything = known.classes[1] > 0
    pool = np.arange(count) if everything else np.array(sorted(ends), dtype=np.int64)
    a, b, c = known.positions[:, around[:3]].transpose(1, 0, 2)
    offsets = (a + b - c)[:, :, None] - known.positions[:, None, pool]
    distances = dot(offsets, offsets)
    rows = np.arange(around.shape[1])
    if everything:
        distances[rows, around] = np.inf
        is_open = np.zeros(count, dtype=np.bool_)
        is_open[list(ends)] = True
        first = np.where(is_open, distances, np.inf)
        second = np.where(is_open, np.inf, distances)
        choices = [first.argmin(axis=1), second.argmin(axis=1)]
        nearest = [first[rows, choices[0]], second[rows, choices[1]]]
    else:
        where = np.minimum(np.searchsorted(pool, around), len(pool) - 1)
        there = pool[where] == around
        distances[np.broadcast_to(rows, where.shape)[there], where[there]] = np.inf
        choices = [distances.argmin(axis=1)]
        nearest = [distances[rows, choices[0]]]
        distances[rows, choices[0]] = np.inf
        choices.append(distances.argmin(axis=1))
        nearest.append(distances[rows, choices[1]])
    found = np.stack(nearest) < np.inf
    others = np.where(found, pool[np.stack(choices)], around[0])
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
    places = known.positions[:, near.points]
    a, b, c = places[:, 0], places[:, 1], places[:, 2]
    edge = b - a
    length = np.sqrt(dot(edge, edge))
    along = edge / length
    outward = cross(a - b, c - b)
    area = np.sqrt(dot(outward, outward))
    normal = outward / np.where(area > 0, area, 1.0)
    across = cross(normal, along)
    middle = (a + b) * 0.5
    offset = (places[:, 2:] - middle[:, None]) / length
    x, y, z = dot(offset, along[:, None]), dot(offset, across[:, None]), dot(offset, normal[:, None])
    gap = offset + offset[:, :1]  # from the corner of the parallelogram, which lies at minus c
    distance = np.minimum(np.sqrt(dot(gap, gap)), _FAR)  # c, l, r, ll, rr, o, p
    sides = np.stack([places[:, 3] - a, places[:, 4] - b, places[:, 3] - places[:, 4]], axis=1)
    lengths = np.sqrt(dot(sides, sides))
    turns = dot(sides[:, :2], along[:, None]) * _TOWARDS / np.where(lengths[:2] > 0, lengths[:2], 1.0)
    scale = log2(length)
    relative = log2(np.concatenate([lengths[:2], area[None] / length]) + 0.25) - scale
    bends = dot(unit(known.normals[:, near.points[:5]]), normal[:, None])
    folds = dot(unit(known.face_normals[:, near.faces[1:]]), normal[:, None])
    corners = near.points[_CORNERS]
    found = near.found
    beside = np.where(found > 0, distance[5:], _FAR)
    facts = near.facts
    wide = np.broadcast_to(np.array(_global_facts(known))[:, None], (_GLOBAL_FACTS, len(scale)))
    return rounded(
        np.concatenate(
            [
                x[1:5] * _OUTWARDS, y[1:5], z[1:5], distance[1:5],
                relative[:2], angle(turns), bends[_CORNERS], folds[1:],
                known.turned[corners] * 0.015625, known.valence[corners] * 0.5,
                np.minimum(known.bordered[corners], 3.0), facts[:2], facts[2:4],
                x[:1], x[5:] * found, facts[4:5] - 0.5,
                y[:1], y[5:] * found, z[5:] * found, beside, found[:1],
                np.minimum(lengths[2:] / length, _FAR), scale[None], scale[None] - known.scale, relative[2:],
                bends[2:3], folds[:1], facts[5:], _in_end_planes(known, places),
                np.minimum(known.bordered[near.points[8:]], 3.0) * found[1:], wide,
            ]
        )
    )  # fmt: skip


_CORNERS = [0, 1, 3, 4]  # a, b, l and r among the points
_OUTWARDS = np.array([[1.0], [-1.0], [1.0], [-1.0]])
_TOWARDS = np.array([[1.0], [-1.0]])
_GLOBAL_FACTS = 18


def _in_end_planes(known: Known, places: Floats) -> Floats:
    """(4, N) axes along which a gate, and the face behind it, lies in the first or the last plane of the
    grid."""
    corners = places[:, :3]
    ends = np.stack([corners == 0, corners == known.sides[:, :, None]])
    gate = ends[:, :, 0] & ends[:, :, 1]
    both = np.concatenate([gate, gate & ends[:, :, 2]])
    result: Floats = both.sum(axis=1).astype(np.float64)
    return result


def _global_facts(known: Known) -> list[float]:
    """Numbers of the mesh as a whole and of how it went so far."""
    total = float(sum(known.counts))
    shares = [8.0 * count / total for count in known.counts]
    queue = float(len(known.front.queue))
    left, gates = np.frexp([known.faces_left + 1.0, queue + 1.0])
    logs = np.array(gates) + 2.0 * np.array(left) - 2.0
    mean = known.residuals[:4] / known.residuals[4]
    return [
        *shares,
        float(logs[0]),
        float(logs[0] - logs[1]),
        known.scale,
        *known.classes,
        float(mean[0]),
        float(mean[1]),
        4.0 * float(mean[2]),
        4.0 * float(mean[3]),
    ]
