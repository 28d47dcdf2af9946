"""Where the parts of a mesh begin: when, and with which face."""

from __future__ import annotations

import numpy as np

from meshcodec.format.mesh_context import Floats
from meshcodec.format.mesh_seeds import Seeds, axis_order
from meshcodec.format.mesh_teller import SEED_RANK, SEEDS, Teller

_FEW_GATES = 24  # gates below which a further part is begun


class Parts:
    """The parts of a mesh, one after the other.

    Parameters
    ----------
    teller : how they are told

    Attributes
    ----------
    touching : whether some part began at a vertex that was known
    """

    def __init__(self, teller: Teller) -> None:
        self.teller = teller
        self.touching = False
        self.axes = axis_order(teller.known.sides[:, 0])
        weights = np.ones((3, 1)) if teller.tables is None else teller.tables.experts().copy()
        self.seeds = Seeds(teller.known, weights)
        self._asking = True

    def wanted(self, gates: int) -> bool:
        """Whether a further part begins, where so many gates are open."""
        if not gates:
            return True
        if gates < _FEW_GATES and self._asking:
            script = self.teller.script
            more = script is not None and script.more_parts()
            self._asking = self.teller.flag(min(self.seeds.count, 3), more)
            return self._asking
        return False

    def begin(self) -> tuple[int, int, int]:
        """The corners of the first face of the next part."""
        wanted = self.teller.script.seed() if self.teller.script else None
        corners: list[Floats] = []
        numbers: list[int] = []
        for which in range(3):
            source = wanted[which] if wanted else -1
            number = self.teller.script.numbers[source] if self.teller.script else -1
            number = self._known_corner(which, number, numbers)
            if number < 0:
                place = self._first_corner(source) if which == 0 else self._next_corner(corners, source)
                number = self.teller.meet(source)
                self.teller.put(np.array([number]), place[:, None])
            numbers.append(number)
            corners.append(self.teller.known.positions[:, number].copy())
        self.seeds.last = corners
        self.seeds.count += 1
        i, j, k = numbers
        return i, j, k

    def _known_corner(self, which: int, number: int, others: list[int]) -> int:
        """The number of a corner that is a known vertex, -1 where it is not."""
        self.touching |= number >= 0
        if self.teller.blind:
            return number
        free = np.delete(np.arange(self.teller.known.vertices), others)
        if not (self.teller.head.touching and len(free) and self.teller.flag(4 + which, number >= 0)):
            return -1
        if which:
            free = self.teller.by_distance(free, self.teller.known.positions[:, others[0]])
        rank = int(np.flatnonzero(free == number)[0]) if self.teller.script else 0
        rank = (
            self.teller.rank(SEED_RANK, len(free), rank)
            if which
            else self.teller.channel.uniform(len(free), rank, SEEDS)
        )
        return int(free[rank])

    def _first_corner(self, source: int) -> Floats:
        place = np.zeros(3)
        for role, axis in enumerate(self.axes):
            value = self.teller.script.positions[source][axis] if self.teller.script else 0
            if self.teller.tables is not None:
                starts = self.seeds.first_starts(role, axis)
                value = self.teller.channel.symbol(starts, value, SEEDS)
                self.seeds.learn(role, value)
            place[axis] = value
        return place

    def _next_corner(self, corners: list[Floats], source: int) -> Floats:
        place = np.zeros(3)
        values: list[float] = []
        for axis in self.axes:
            value = self.teller.script.positions[source][axis] if self.teller.script else 0
            if not self.teller.blind:
                features, tables = self.seeds.tables(corners, values, self.axes)
                (value,) = self.teller.coordinates(3, features, tables, [value])
            place[axis] = value
            values.append(float(value))
        return place
