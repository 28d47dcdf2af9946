"""Where a part of a mesh begins: the three corners of its first face.

The first corner is the lowest of its part along the grid's longest axis, and parts come in that order.
Each of
its coordinates is drawn from a mixture of simple guesses (uniform, values that other vertices have, near the
part before ...), whose weights follow what they were worth so far in the mesh. Both other corners come from a
network, coordinate by coordinate like those of `meshcodec.format.mesh_place`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshcodec.format.mesh_context import Floats, Known, rounded
from meshcodec.format.mesh_network import TOTAL, CoordinateTables, Whole, distinct
from meshcodec.format.mesh_place import signed_log

EXPERTS = 5
"""Guesses that are mixed; see `Seeds.first_starts`."""
SEED_FEATURES = 39
"""Features of a coordinate of the second or third corner."""
SEED_LENGTH = 5
"""The one that is log2 of the typical length of an edge."""
_UNIT = 65536.0  # what the shares of one guess add up to, nearly
_LEARNED = 1024.0  # weight that the guesses gain together with each coordinate
_NEAR = 4096.0


def axis_order(sides: Floats) -> tuple[int, int, int]:
    """The longest axis, the first of them, then the two that follow it in turn."""
    longest = int(sides.argmax())
    return longest, (longest + 1) % 3, (longest + 2) % 3


@dataclass
class Seeds:
    """What the parts so far tell of the next.

    Attributes
    ----------
    known : the mesh so far
    weights : (3, EXPERTS) of the guesses, for each axis in the order of `axis_order`
    last : corners of the part before, (3,) each; none before the first
    """

    known: Known
    weights: Floats
    last: list[Floats] = field(default_factory=list)
    count: int = 0
    shares: Floats = field(default_factory=lambda: np.zeros((EXPERTS, 1)))

    def first_starts(self, role: int, axis: int) -> list[int]:
        """Starts, as the range coder has them, of the values of a coordinate of a first corner."""
        limit = int(self.known.sides[axis, 0])
        values = np.arange(limit + 1, dtype=np.float64)
        there = self.known.positions[axis, : self.known.vertices].astype(np.int64)
        used = np.bincount(there, minlength=limit + 1).astype(np.float64)
        guesses = [np.ones(limit + 1), used, used[::-1]]
        last = float(self.last[0][axis]) if self.last else 0.0
        near = np.abs(values - last)
        guesses.append(np.floor(_NEAR / ((1.0 + near) * (1.0 + near))))
        if role == 0:
            guesses.append(np.where(values >= last, np.floor(_NEAR / (1.0 + near)), 0.0))
        else:
            mirrored = np.abs(values - (limit - last))
            guesses.append(np.floor(_NEAR / ((1.0 + mirrored) * (1.0 + mirrored))))
        each = np.stack(guesses)
        total = each.sum(axis=1, keepdims=True)
        self.shares = np.floor(each * _UNIT / np.where(total > 0, total, 1.0))
        mixed = (self.weights[role][:, None] * self.shares).sum(axis=0)
        counts = np.floor(mixed * (TOTAL - limit - 1.0) / mixed.sum()) + 1.0
        counts[mixed.argmax()] += TOTAL - counts.sum()
        starts: list[int] = [0, *np.cumsum(counts).astype(np.int64).tolist()]
        return starts

    def learn(self, role: int, value: int) -> None:
        """Let the guesses that saw the value of the last table coming gain weight."""
        right = self.weights[role] * self.shares[:, value]
        total = right.sum()
        if total > 0:
            self.weights[role] += np.floor(right * _LEARNED / total)

    def tables(
        self, corners: list[Floats], values: list[float], axes: tuple[int, int, int]
    ) -> tuple[Whole, CoordinateTables]:
        """Features (1, F) for the network and what the next coordinate of the second or third corner may be.

        Parameters
        ----------
        corners : those known, (3,) each
        values : coordinates of this corner so far, in the order of `axes`
        """
        role, which = len(values), len(corners)
        axis = axes[role]
        first = corners[0]
        limit = float(self.known.sides[axis, 0])
        before = [one - self.last[0] for one in self.last[1:]] or [np.zeros(3), np.zeros(3)]
        edge = corners[1] - first if which == 2 else np.zeros(3)
        so_far = [value - float(first[a]) for value, a in zip(values, axes, strict=False)]
        guess = float(first[axis])
        step = float(before[which - 1][axis])
        candidates = [
            guess,
            float(corners[-1][axis]),
            guess + step,
            guess - step,
            float(self.last[which][axis]) if self.last else -1.0,
            0.0,
            limit,
        ]
        turned = list(axes)
        vectors = np.concatenate([edge[turned], before[0][turned], before[1][turned]])
        small = np.array([*so_far, *[0.0] * (2 - len(so_far))])
        same = [float(r == before[which - 1][a]) for r, a in zip(so_far, axes, strict=False)]
        facts = [
            *[float(role == k) for k in range(3)],
            float(which == 2),
            float(bool(self.last)),
            self.known.scale,
            *self.known.classes,
            *[*same, 0.0, 0.0][:2],
            min(self.count, 15) * 1.0,
        ]
        logs = signed_log(np.array([*vectors, *small, guess, limit - guess, limit, step]))
        near = np.clip(np.array([*vectors, *small]) * 0.5, -12.0, 12.0)
        features = rounded(np.concatenate([facts, logs, near])[:, None])
        values_there, limits = np.array([candidates]), np.array([limit])
        offered = np.array([[True, which == 2, *[bool(self.last)] * 3, True, True]])
        valid = distinct(values_there, limits, offered)
        table = CoordinateTables.of(np.array([guess]), limits, values_there, valid)
        return features, table
