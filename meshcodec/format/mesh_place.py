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
from meshcodec.format.mesh_network import CANDIDATES, CoordinateTables, Whole

PLACE_FEATURES = (183, 191, 216)
"""Features of the three coordinates."""
PLACE_SPANS = [[90, 93, 101], [91, 94, 110], [92, 95, 119]]
"""For each coordinate those that are a component of b - a, of the way from c to the middle, and of the
normal."""
THIRD_OFFSET = 200
"""The third coordinate's that is twice the distance from the guess to the plane of the face."""
_FAR = 4.0  # largest distance, in lengths of the gate, that is told from larger ones
_SWAPPED = [1, 0, 2, 4, 3, 6, 5, 7, 8]  # points of a gate whose ends have changed places
_ONES, _OTHERS = [0, 1, 0, 3, 4, 3, 4, 3], [1, 2, 2, 0, 1, 2, 2, 4]  # points that are compared


def signed_log(values: Floats) -> Floats:
    """Sign times log2(1 + magnitude)."""
    return np.copysign(log2(1.0 + np.abs(values)), values)


def swapped_gates(features: Whole, swap: NDArray[np.bool_]) -> Whole:
    """Features of gates with the ends of some of them changed."""
    result = features.copy()
    pairs = features[swap, : 2 * GATE_PAIRS].reshape(-1, GATE_PAIRS, 2)
    result[swap, : 2 * GATE_PAIRS] = pairs[:, :, ::-1].reshape(-1, 2 * GATE_PAIRS)
    result[swap, 2 * GATE_PAIRS : 2 * GATE_PAIRS + GATE_SIGNED] *= -1
    return result


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
    features : (N, F) what is known before the first coordinate
    values : coordinates found so far, (N,) each
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

    @classmethod
    def of(cls, known: Known, near: Surroundings, gates: Whole, rows: Integers) -> Places:
        """The frames at some gates of a wave, whose features are `gates`."""
        indices, faces = near.points[:, rows], near.faces[:, rows]
        a, b, c = known.positions[:, indices[:3]].transpose(1, 0, 2)
        outward, forward, edge = cross(a - b, c - b), a + b - 2.0 * c, b - a
        axes = _order(np.abs(outward), np.abs(forward))
        each = np.arange(len(rows))
        mirrored = np.array([forward[axes[0], each], forward[axes[1], each], outward[axes[2], each]]) < 0
        sign = np.where(mirrored, -1.0, 1.0)
        edge = edge[axes, each] * sign
        swap = (edge[0] < 0) | ((edge[0] == 0) & (edge[1] < 0))
        indices = np.where(swap, indices[_SWAPPED], indices)
        faces = np.where(swap, faces[[0, 1, 3, 2]], faces)
        limits = known.sides[axes, 0]
        points = known.positions[axes[:, None], indices]
        points = np.where(mirrored[:, None], limits[:, None] - points, points)
        normals = known.normals[axes[:, None], indices[:5]] * sign[:, None]
        folded = known.face_normals[axes[:, None], faces] * sign[:, None]
        result = cls(
            axes,
            mirrored,
            limits,
            points,
            points[:, 0] + points[:, 1] - points[:, 2],
            folded[:, 0],
            np.concatenate([normals[:, :2], folded[:, (2, 3, 1)]], axis=1),
            np.sqrt(dot(edge, edge)),
            swapped_gates(gates[rows], swap),
            [],
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
        equal = self.points[:, _ONES] == self.points[:, _OTHERS]
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

        The coordinates before it are in `values`.
        """
        corner = self.corner[k]
        residuals = [value - self.corner[j] for j, value in enumerate(self.values)]
        more: list[NDArray[Any]] = []
        for j, residual in enumerate(residuals):
            more += [np.minimum(np.maximum(residual / self.length, -_FAR), _FAR), signed_log(residual)]
            more += [*(self.values[j] == self.points[j, :5]), residual == 0]
        guess = corner
        if k == 2:
            slope = _plane(self.normal, residuals[0], residuals[1], self.length)
            guess = corner + np.floor(slope + 0.5)
            more += self._third(slope)
        guess = np.minimum(np.maximum(guess, 0.0), self.limits[k])
        candidates = np.zeros((CANDIDATES, len(guess)))
        candidates[:5] = self.points[k, :5]
        candidates[6] = self.limits[k]
        offered = np.ones((len(guess), CANDIDATES), dtype=np.bool_)
        features = (
            np.concatenate([self.features, rounded(np.array(more, dtype=np.float64))], axis=1)
            if more
            else self.features
        )
        return features, CoordinateTables.of(guess, self.limits[k], candidates.T, offered)

    def _third(self, slope: Floats) -> list[Floats]:
        """What both other coordinates tell of the last one."""
        place = np.array([*self.values, self.corner[2] + slope])
        through = self.points[:, (0, 1, 3, 4, 2)]
        offset = place[:, None] - through
        far = np.minimum(np.sqrt(dot(offset, offset)) / self.length, _FAR)
        # How far above the guess the planes of the faces around lie.
        above = _plane(self.planes, offset[0], offset[1], self.length) - offset[2]
        away = np.minimum(np.maximum(above / self.length, -2.0), 2.0) * 4.0
        return [
            np.minimum(np.maximum(slope / self.length, -_FAR), _FAR),
            (slope - np.floor(slope + 0.5)) * 2.0,
            *far,
            *away,
            *signed_log(above),
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
        """(2, N) log2 of 1 + the residual in the plane, and across it."""
        residuals = np.array(self.values) - self.corner
        slope = _plane(self.normal, residuals[0], residuals[1], self.length)
        across = np.abs(residuals[2] - np.floor(slope + 0.5))
        return log2(1.0 + np.array([np.abs(residuals[0]) + np.abs(residuals[1]), across]))


def _order(outward: Floats, forward: Floats) -> Integers:
    """(3, N) axes: last the one with the longest normal, first the longer of the others' ways forward."""
    last = outward.argmax(axis=0)
    one, other = (last + 1) % 3, (last + 2) % 3
    rows = np.arange(len(last))
    one, other = np.minimum(one, other), np.maximum(one, other)
    change = forward[other, rows] > forward[one, rows]
    return np.stack([np.where(change, other, one), np.where(change, one, other), last])


def _plane(normals: Floats, first: Floats, second: Floats, length: Floats) -> Floats:
    """Height over a plane's point at which the plane lies at two offsets; 0 where it stands upright."""
    upright = normals[2] == 0
    height = -(normals[0] * first + normals[1] * second) / np.where(upright, 1.0, normals[2])
    return np.where(upright | (np.abs(height) > 64.0 * length), 0.0, height)
