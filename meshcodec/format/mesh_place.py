"""Where a new vertex lies: its three coordinates one after the other, in a frame that the gate decides.

The parallelogram's corner a + b - c (Touma and Gotsman 1998) is the first guess. Axes are put in an order,
and
mirrored where need be, so that gates which are the same up to one of the 48 symmetries of the grid look the
same: the axis along which the normal of the face behind the gate is longest comes last, since there the plane
of that face is a better guess once both others are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.mesh_context import (
    GATE_FEATURES,
    GATE_PAIRS,
    GATE_SIGNED,
    Floats,
    Integers,
    Known,
    Surroundings,
    cross,
    dot,
    log2,
    rounded,
    unit,
)
from meshcodec.format.mesh_network import CANDIDATES, Booleans, CoordinateTables, Whole, distinct

PLACE_FEATURES = (183, 191, 216)
"""Features of the three coordinates."""
PLACE_SPANS = np.array([[90, 93, 101], [91, 94, 110], [92, 95, 119]])
"""For each coordinate those that are a component of b - a, of the way from c to the middle, and of the
normal."""
THIRD_OFFSET = 200
"""The third coordinate's that is twice the distance from the guess to the plane of the face."""
_FAR = 4.0  # largest distance, in lengths of the gate, that is told from larger ones
_SWAPPED = np.array([1, 0, 2, 4, 3, 6, 5, 7, 8])  # points of a gate whose ends have changed places
_SWAPPED_FEATURES = np.arange(GATE_FEATURES)
_SWAPPED_FEATURES[: 2 * GATE_PAIRS] ^= 1
_SWAPPED_SIGNS = np.ones(GATE_FEATURES)
_SWAPPED_SIGNS[2 * GATE_PAIRS : 2 * GATE_PAIRS + GATE_SIGNED] = -1.0
_SWAPPED_FACES = np.array([0, 1, 3, 2])
_ONES, _OTHERS = np.array([[0, 1, 0, 3, 4, 3, 4, 3], [1, 2, 2, 0, 1, 2, 2, 4]])  # points that are compared
_OTHER_AXES = np.array([[1, 0, 0], [2, 2, 1]])  # both others of each axis
_PARENTS = np.array([2, 3, 1])  # faces behind the gates before and after, and the one before that behind
_THROUGH = np.array([0, 1, 3, 4, 2])  # points whose planes tell of the third coordinate


def signed_log(values: Floats) -> Floats:
    """Sign times log2(1 + magnitude)."""
    return np.copysign(log2(1.0 + np.abs(values)), values)


def swapped_gates(features: Whole, swap: NDArray[np.bool_]) -> Whole:
    """Features of gates with the ends of some of them changed."""
    return np.where(swap[:, None], features.take(_SWAPPED_FEATURES, axis=1) * _SWAPPED_SIGNS, features)


@dataclass
class Places:
    """Frames and contexts of the N new vertices of a wave.

    Attributes
    ----------
    axes : (3, N) the grid's axis of each axis of the frame
    mirrored : (3, N) whether it runs backwards
    limits : (3, N) largest coordinates
    points : (3, 9, N) the points of `Surroundings` in the frame, a and b in the frame's order
    corner : (3, N) a + b - c
    normal : (3, N) of the face behind
    planes : (3, 5, N) normals through a, b, l, r and c: of the faces around a, around b, behind the gates
    before
        and after, and of the face from which the one behind was made
    length : (N,) of the gate
    features : (N, F) what is known before the next coordinate
    values : coordinates found so far, (N,) each
    candidates, valid : (3, N, C) as in `CoordinateTables`
    slope : (N,) what the plane of the face says of the third coordinate, above the corner, once it is asked
    for
    """

    axes: Integers
    mirrored: NDArray[np.bool_]
    limits: Floats
    points: Floats
    corner: Floats
    normal: Floats
    planes: Floats
    length: Floats
    features: Whole
    values: list[Floats]
    candidates: Whole
    valid: Booleans
    slope: Floats

    @classmethod
    def of(cls, known: Known, near: Surroundings, gates: Whole, rows: Integers) -> Places:
        """The frames at some gates of a wave, whose features are `gates`."""
        indices, faces = near.points.take(rows, axis=1), near.faces.take(rows, axis=1)
        a, b, c = known.positions.take(indices[:3], axis=1).transpose(1, 0, 2)
        edge = b - a
        outward, forward = cross(-edge, c - b), a + b - 2.0 * c
        axes = _order(np.abs(outward), np.abs(forward))
        each = np.arange(len(rows))
        mirrored = np.array([forward[axes[0], each], forward[axes[1], each], outward[axes[2], each]]) < 0
        sign = np.where(mirrored, -1.0, 1.0)
        edge = edge[axes, each] * sign
        swap = (edge[0] < 0) | ((edge[0] == 0) & (edge[1] < 0))
        indices = np.where(swap, indices.take(_SWAPPED, axis=0), indices)
        faces = np.where(swap, faces.take(_SWAPPED_FACES, axis=0), faces)
        limits = known.sides[axes, 0]
        points = known.positions[axes[:, None], indices]
        points = np.where(mirrored[:, None], limits[:, None] - points, points)
        normals = known.normals[axes[:, None], indices[:5]] * sign[:, None]
        folded = known.face_normals[axes[:, None], faces] * sign[:, None]
        candidates = np.zeros((3, len(rows), CANDIDATES))
        candidates[:, :, :5] = points[:, :5].transpose(0, 2, 1)
        candidates[:, :, 6] = limits
        result = cls(
            axes,
            mirrored,
            limits,
            points,
            points[:, 0] + points[:, 1] - points[:, 2],
            folded[:, 0],
            np.concatenate([normals[:, :2], folded.take(_PARENTS, axis=1)], axis=1),
            np.sqrt(dot(edge, edge)),
            swapped_gates(gates.take(rows, axis=0), swap),
            [],
            candidates,
            distinct(candidates, limits),
            limits[2],
        )
        errors = known.error[:, indices[:3]].reshape(6, -1)
        own = result._features(normals, folded, errors, near.found[:, rows])
        result.features = np.concatenate([result.features, own], axis=1)
        return result

    def _features(self, normals: Floats, folded: Floats, errors: Floats, found: Floats) -> Whole:
        a, b, c = (self.points[:, k] for k in range(3))
        edge, forward = b - a, (a + b) * 0.5 - c
        offsets = (self.points[:, 3:] - self.corner[:, None]) / self.length
        offsets[:, 4:] *= found
        equal = self.points.take(_ONES, axis=1) == self.points.take(_OTHERS, axis=1)
        inside = np.minimum(np.maximum(self.corner, 0.0), self.limits)
        ways = np.concatenate([edge, forward])
        parts = [
            ways / self.length,
            unit(np.concatenate([normals, folded], axis=1)).reshape(27, -1),
            np.minimum(np.maximum(offsets, -_FAR), _FAR).reshape(18, -1),
            signed_log(np.concatenate([ways, inside, self.limits - inside])),
            equal.reshape(24, -1),
            errors,
        ]
        return rounded(np.concatenate(parts))

    def tables(self, k: int) -> tuple[Whole, CoordinateTables]:
        """Features (N, F) for the network of coordinate k, and what the coordinate may be.

        To be asked once for each coordinate, when all before it are in `values`.
        """
        more = self._found(k - 1) if k else []
        guess = self.corner[k]
        if k == 2:
            first, second = self.values[0] - self.corner[0], self.values[1] - self.corner[1]
            self.slope = _plane(self.normal, first, second, self.length)
            guess = guess + np.floor(self.slope + 0.5)
            more += self._third(self.slope)
        if more:
            self.features = np.concatenate([self.features, rounded(np.concatenate(more))], axis=1)
        guess = np.minimum(np.maximum(guess, 0.0), self.limits[k])
        tables = CoordinateTables.of(guess, self.limits[k], self.candidates[k], self.valid[k])
        return self.features, tables

    def _found(self, k: int) -> list[NDArray[Any]]:
        """What a coordinate that is found tells of those after it, (F, N) each."""
        value = self.values[k]
        residual = (value - self.corner[k])[None]
        way = np.minimum(np.maximum(residual / self.length, -_FAR), _FAR)
        return [way, signed_log(residual), value == self.points[k, :5], residual == 0]

    def _third(self, slope: Floats) -> list[NDArray[Any]]:
        """What both other coordinates tell of the last one, (F, N) each."""
        place = np.array([*self.values, self.corner[2] + slope])
        through = self.points.take(_THROUGH, axis=1)
        offset = place[:, None] - through
        far = np.minimum(np.sqrt(dot(offset, offset)) / self.length, _FAR)
        # How far above the guess the planes of the faces around lie.
        above = _plane(self.planes, offset[0], offset[1], self.length) - offset[2]
        away = np.minimum(np.maximum(above / self.length, -2.0), 2.0) * 4.0
        return [
            np.minimum(np.maximum(slope / self.length, -_FAR), _FAR)[None],
            ((slope - np.floor(slope + 0.5)) * 2.0)[None],
            far,
            away,
            signed_log(above),
        ]

    def positions(self) -> Floats:
        """(3, N) in the grid, once all values are known."""
        frame = np.array(self.values)
        frame = np.where(self.mirrored, self.limits - frame, frame)
        result = np.empty_like(frame)
        result[self.axes, np.arange(frame.shape[1])] = frame
        return result

    def in_frame(self, positions: Floats) -> Floats:
        """(3, N) places of the grid in the frames."""
        frame = positions[self.axes, np.arange(positions.shape[1])]
        return np.where(self.mirrored, self.limits - frame, frame)

    def errors(self) -> Floats:
        """(2, N) log2 of 1 + the residual in the plane, and across it, once all values are known."""
        residuals = np.array(self.values) - self.corner
        across = np.abs(residuals[2] - np.floor(self.slope + 0.5))
        return log2(1.0 + np.array([np.abs(residuals[0]) + np.abs(residuals[1]), across]))


def _order(outward: Floats, forward: Floats) -> Integers:
    """(3, N) axes: last the one with the longest normal, first the longer of the others' ways forward."""
    last = outward.argmax(axis=0)
    one, other = _OTHER_AXES.take(last, axis=1)
    rows = np.arange(len(last))
    change = forward[other, rows] > forward[one, rows]
    return np.array([np.where(change, other, one), np.where(change, one, other), last])


def _plane(normals: Floats, first: Floats, second: Floats, length: Floats) -> Floats:
    """Height over a plane's point at which the plane lies at two offsets; 0 where it stands upright."""
    upright = normals[2] == 0
    height = normals[0] * first
    height += normals[1] * second
    height /= np.where(upright, -1.0, -normals[2])
    upright |= np.abs(height) > 64.0 * length
    return np.where(upright, 0.0, height)
