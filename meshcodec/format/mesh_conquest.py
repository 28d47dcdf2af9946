"""The order in which a mesh is told, and what is told: one walk for both ends of a message.

An encoder's walk knows the mesh (`Script`) and names symbols; a decoder's is given them. Gates are worked off
in waves (`Front.wave`): first what lies behind each gate of the wave, then the first coordinates of all new
vertices, then their second ones, then their third ones, so that a network sees a whole wave at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from meshcodec.errors import CorruptFileError
from meshcodec.format.grid_mesh import Integers
from meshcodec.format.mesh_context import Floats, Known, Surroundings, gate_features, surroundings
from meshcodec.format.mesh_front import (
    BORDER,
    FRESH,
    KNOWN,
    LEFT,
    NEW,
    NONE,
    OPEN,
    OTHER,
    RIGHT,
    Front,
)
from meshcodec.format.mesh_network import BINS, TOTAL, CoordinateTables, Whole
from meshcodec.format.mesh_place import Places
from meshcodec.format.mesh_script import Script
from meshcodec.format.mesh_seeds import Seeds, axis_order

_MOST_GATES = 128  # gates of a wave
_FEW_GATES = 24  # gates below which a further part is begun
RANK_CLASSES = 18  # classes of ranks: rank + 1 has so many bits
SEED_RANK = 3  # table of the ranks of known vertices at which a part begins
DAMAGED = CorruptFileError("its coded mesh is damaged", "fetch the file again")
Starts = list[int]
PARTS = HEAD, SEEDS, GATES, RANKS, PLACES = ("head", "seeds", "gates", "ranks", "places")
"""What symbols tell of: the mesh as a whole; the first faces of parts; what lies behind gates; which of
the known vertices; the places of new vertices."""


@dataclass(frozen=True)
class Head:
    """What a message says of a mesh first, since it tells so much of the rest.

    Attributes
    ----------
    scale : four times log2 of the typical length of an edge in steps, 0 to 63
    open : whether some gate is a border
    tangled : whether some gate leads to a vertex that has no open gate
    touching : whether some part begins at a vertex of another
    branched : whether some edge has more faces than one each way
    """

    scale: int
    open: bool
    tangled: bool
    touching: bool
    branched: bool

    def known(self, front: Front, sides: Integers) -> Known:
        """Nothing is known yet."""
        classes = tuple(map(float, (self.open, self.tangled, self.touching, self.branched)))
        return Known(front, sides.astype(np.float64)[:, None], self.scale / 4.0, classes)


class Tables(Protocol):
    """Where probabilities come from; rows of starts as the range coder has them."""

    def gates(
        self, features: Whole, allowed: Sequence[tuple[bool, ...]]
    ) -> tuple[list[Starts], list[Starts]]:
        """Of the symbols of gates, without FRESH and with it; `allowed` says of all others whether they
        can be."""

    def coordinate(self, k: int, features: Whole, tables: CoordinateTables) -> list[Starts]:
        """Of coordinate k of new vertices; 3 is any of a part's first face."""

    def rank(self, kind: int) -> Starts:
        """Of the classes of ranks; the kinds are 0 OTHER, 1 KNOWN, 2 FRESH, 3 of parts."""

    def flag(self, kind: int) -> Starts:
        """Of flags: 0 to 3 whether a further part begins, after so many; 4 to 6 whether a corner is known."""

    def experts(self) -> Floats:
        """Weights of the guesses in `Seeds` at first, (3, EXPERTS)."""


class Channel(Protocol):
    """One end of a message."""

    def symbol(self, starts: Starts, known: int, part: str) -> int:
        """The next symbol, of one of PARTS; an encoder's is `known`."""

    def uniform(self, count: int, known: int, part: str) -> int:
        """The next of `count` alternatives that are all as likely."""


Watch = Callable[..., None]


@dataclass
class Conquest:
    """One walk.

    Attributes
    ----------
    tables : probabilities; None in a walk that only counts what there is
    channel : the message
    faces : number of faces
    sides : (3,) largest coordinates
    head : of the message
    script : the mesh, at the encoder's
    watch : called with all that networks are given and what came
    """

    tables: Tables | None
    channel: Channel
    faces: int
    sides: Integers
    head: Head
    script: Script | None = None
    watch: Watch | None = None
    front: Front = field(default_factory=Front)
    tangled: bool = False
    touching: bool = False
    branched: bool = False
    bordered: bool = False

    def __post_init__(self) -> None:
        self.known = self.head.known(self.front, self.sides)
        self.axes = axis_order(self.sides.astype(np.float64))
        weights = np.ones((3, 1)) if self.tables is None else self.tables.experts().copy()
        self.seeds = Seeds(self.known, weights)
        self._asking = True
        self._branches = [[30, 1, 1] for _ in range(3)]  # how often an edge had no further face, one each way

    def run(self) -> tuple[Integers, Integers]:
        """Positions (V, 3) and faces (F, 3), both in the order of the walk. CorruptFileError: there are
        none."""
        while self._left():
            self._begin_parts()
            if self._left():
                self._conquer(self.front.wave(_MOST_GATES))
        positions = self.known.positions[:, : self.known.vertices].T.astype(np.int64)
        return positions, np.array(self.front.corners, dtype=np.int64).reshape(-1, 3)

    def _left(self) -> int:
        self.known.faces_left = self.faces - len(self.front.corners)
        return self.known.faces_left

    # ---- parts

    def _begin_parts(self) -> None:
        state = self.front.state
        while self._left():
            gates = sum(state[gate] == OPEN for gate in self.front.queue)
            if gates:
                if not self._asking or gates >= _FEW_GATES:
                    return
                more = self.script is not None and self.script.more_parts()
                self._asking = self._flag(min(self.seeds.count, 3), more)
                if not self._asking:
                    return
            self._begin_part()

    def _begin_part(self) -> None:
        wanted = self.script.seed() if self.script else None
        corners: list[Floats] = []
        numbers: list[int] = []
        for which in range(3):
            source = wanted[which] if wanted else -1
            number = self.script.numbers[source] if self.script else -1
            number = self._known_corner(which, number, numbers)
            if number < 0:
                place = self._first_corner(source) if which == 0 else self._next_corner(corners, source)
                number = self._meet(place, source)
            numbers.append(number)
            corners.append(self.known.positions[:, number].copy())
        self.seeds.last = corners
        self.seeds.count += 1
        i, j, k = numbers
        self.front.seed(i, j, k)
        self._branch()
        self.known.measure_faces()

    def _known_corner(self, which: int, number: int, others: list[int]) -> int:
        """The number of a corner that is a known vertex, -1 where it is not."""
        self.touching |= number >= 0
        if self.tables is None and self.watch is None:
            return number
        free = np.setdiff1d(np.arange(self.known.vertices), others)
        if not (self.head.touching and len(free) and self._flag(4 + which, number >= 0)):
            return -1
        if which:
            free = free[self._by_distance(free, self.known.positions[:, others[0]])]
        rank = int(np.flatnonzero(free == number)[0]) if self.script else 0
        rank = (
            self._rank(SEED_RANK, len(free), rank) if which else self.channel.uniform(len(free), rank, SEEDS)
        )
        return int(free[rank])

    def _first_corner(self, source: int) -> Floats:
        place = np.zeros(3)
        for role, axis in enumerate(self.axes):
            value = self.script.positions[source][axis] if self.script else 0
            if self.tables is not None:
                starts = self.seeds.first_starts(role, axis)
                value = self.channel.symbol(starts, value, SEEDS)
                self.seeds.learn(role, value)
            place[axis] = value
        return place

    def _next_corner(self, corners: list[Floats], source: int) -> Floats:
        place = np.zeros(3)
        values: list[float] = []
        for axis in self.axes:
            value = self.script.positions[source][axis] if self.script else 0
            if self.tables is not None or self.watch is not None:
                features, tables = self.seeds.tables(corners, values, self.axes)
                (value,) = self._coordinates(3, features, tables, [value])
            place[axis] = value
            values.append(float(value))
        return place

    # ---- gates

    def _conquer(self, wave: list[int]) -> None:
        allowed = [self._allowed(gate) for gate in wave]
        near: Surroundings | None = None
        features: Whole | None = None
        rows: list[Starts] = []
        fresh_rows: list[Starts] = []
        if self.tables is not None or self.watch is not None:
            near = surroundings(self.known, wave)
            features = gate_features(self.known, near)
        if self.tables is not None and features is not None:
            rows, fresh_rows = self.tables.gates(features, allowed)
        first_fresh = self.known.vertices
        made: list[tuple[int, int]] = []
        told: list[tuple[int, bool, int]] = []
        for number, gate in enumerate(wave):
            if self.front.state[gate] != OPEN or not self._left():
                continue
            fresh = list(self.front.fresh_near(gate, first_fresh)) if made else []
            row = (fresh_rows if fresh else rows)[number] if rows else []
            symbol = self._conquer_gate(gate, allowed[number], row, fresh, first_fresh)
            if symbol == NEW:
                made.append((number, self.known.vertices - 1))
            told.append((number, bool(fresh), symbol))
            self.known.counts[symbol] += 1
        if self.watch is not None:
            self.watch("gates", features, allowed, told)
        if made:
            self._place(near, features, made)
        self.known.measure_faces()

    def _allowed(self, gate: int) -> tuple[bool, ...]:
        """Which symbols there can be, FRESH left out."""
        front = self.front
        left, right = front.before[gate], front.after[gate]
        before, after = front.origin[left], front.end[right]
        can_left = front.state[left] != BORDER and before != front.end[gate]
        can_right = front.state[right] != BORDER and after != front.origin[gate]
        can_right = can_right and not (can_left and before == after)
        return self.head.open, True, can_left, can_right, True, self.head.tangled

    def _conquer_gate(
        self, gate: int, allowed: tuple[bool, ...], row: Starts, fresh: list[int], first_fresh: int
    ) -> int:
        front = self.front
        a, b = front.origin[gate], front.end[gate]
        symbol, vertex, source = NONE, -1, -1
        if self.script:
            source = self.script.third(a, b)
            vertex = self.script.numbers[source] if source >= 0 else -1
            symbol = self._symbol_of(gate, source, vertex, allowed, fresh, first_fresh)
        if self.tables is not None:
            symbol = self.channel.symbol(row, symbol, GATES)
        if symbol == NONE:
            self.bordered = True
            front.close_as_border(gate)
            for end in (a, b):
                self.known.bordered[end] += 1
            if gate not in front.extra:
                self._branch_at(2, b, a, front.face[gate])
            return symbol
        place = -1
        if symbol == NEW:
            vertex = self._meet(None, source)
        elif symbol == LEFT:
            place = front.before[gate]
            vertex = front.origin[place]
        elif symbol == RIGHT:
            place = front.after[front.after[gate]]
            vertex = front.origin[place]
        else:
            vertex = self._named(symbol, gate, vertex, allowed, fresh, first_fresh)
            place = front.places().get(vertex, -1)
        if vertex in (a, b):
            raise DAMAGED
        front.attach(gate, vertex, place, symbol)
        self._branch()
        return symbol

    def _branch(self) -> None:
        """Open gates for further faces of the edges that have two by now."""
        if not (self.head.branched or self.script):
            self.front.second.clear()
            return
        for number, (a, b, face) in enumerate(self.front.second):
            self._branch_at(min(number, 1), a, b, face)
        self.front.second.clear()

    def _branch_at(self, kind: int, a: int, b: int, face: int) -> None:
        """Open a gate for one more face of an edge, where there is one: 1 for a -> b, 2 for b -> a."""
        which = 0
        if self.script:
            ways = ((a, b), (b, a))
            more = [self.script.left_at(*way) > self.front.open_gates(*way) for way in ways]
            which = 1 if more[0] else 2 if more[1] else 0
            self.branched |= which > 0
        if not self.head.branched and (self.tables is not None or self.watch is not None):
            return
        counts = self._branches[kind]
        if self.tables is not None:
            which = self.channel.symbol(_adaptive_starts(counts), which, GATES)
        counts[which] += 1
        if which:
            self.front.reopen(*((a, b) if which == 1 else (b, a)), face)

    def _symbol_of(
        self,
        gate: int,
        source: int,
        vertex: int,
        allowed: tuple[bool, ...],
        fresh: list[int],
        first_fresh: int,
    ) -> int:
        """The symbol for what the script says lies behind a gate."""
        front = self.front
        if source < 0:
            return NONE
        if vertex < 0:
            return NEW
        if allowed[LEFT] and vertex == front.origin[front.before[gate]]:
            return LEFT
        if allowed[RIGHT] and vertex == front.end[front.after[gate]]:
            return RIGHT
        if vertex in fresh:
            return FRESH
        if vertex < first_fresh and vertex in front.places():
            return OTHER
        self.tangled = True
        return KNOWN

    def _named(
        self,
        symbol: int,
        gate: int,
        vertex: int,
        allowed: tuple[bool, ...],
        fresh: list[int],
        first_fresh: int,
    ) -> int:
        """The vertex that OTHER, KNOWN or FRESH leads to, by its rank among those that there are."""
        if self.tables is None and self.watch is None:
            return vertex
        if symbol == FRESH:
            choices = fresh
        else:
            front, positions = self.front, self.known.positions
            a, b, c = front.origin[gate], front.end[gate], front.apex[gate]
            named = {a, b}
            if allowed[LEFT]:
                named.add(front.origin[front.before[gate]])
            if allowed[RIGHT]:
                named.add(front.end[front.after[gate]])
            pool = front.places() if symbol == OTHER else range(first_fresh)
            free = np.array([v for v in pool if v < first_fresh and v not in named], dtype=np.int64)
            free.sort()
            corner = positions[:, a] + positions[:, b] - positions[:, c]
            choices = free[self._by_distance(free, corner)].tolist()
            if symbol == KNOWN:
                choices += range(first_fresh, self.known.vertices)
        if not choices:
            raise DAMAGED
        rank = choices.index(vertex) if self.script else 0
        return choices[self._rank(symbol - OTHER, len(choices), rank)]

    def _by_distance(self, vertices: Integers, place: Floats) -> Integers:
        """The order of known vertices by their distance to a place."""
        offset = self.known.positions[:, vertices] - place[:, None]
        order: Integers = np.argsort((offset * offset).sum(axis=0), kind="stable")
        return order

    def _place(self, near: Surroundings | None, features: Whole | None, made: list[tuple[int, int]]) -> None:
        """The coordinates of the new vertices of a wave."""
        vertices = np.array([vertex for _, vertex in made])
        wanted = None
        if self.script:
            sources = [self.script.sources[vertex] for vertex in vertices]
            wanted = np.array([self.script.positions[source] for source in sources], dtype=np.float64).T
        if near is None or features is None:
            if wanted is not None:
                self.known.positions[:, vertices] = wanted
            return
        places = Places.of(self.known, near, features, np.array([row for row, _ in made]))
        frame = places.in_frame(wanted) if wanted is not None else np.zeros((3, len(made)))
        for k in range(3):
            inputs, tables = places.tables(k)
            found = self._coordinates(k, inputs, tables, frame[k].astype(np.int64).tolist())
            places.values.append(np.array(found, dtype=np.float64))
        self.known.positions[:, vertices] = places.positions()
        errors = places.errors()  # multiples of 2**-13: their sums are exact
        self.known.error[:, vertices] = errors
        exact = [(places.values[k] == places.corner[k]).sum() for k in (0, 2)]
        self.known.residuals += np.array([*errors.sum(axis=1), *exact, len(made)])

    # ---- what is told

    def _meet(self, place: Floats | None, source: int) -> int:
        number = self.known.vertices
        self.known.vertices += 1
        self.known.reserve(self.known.vertices, 0)
        if place is not None:
            self.known.positions[:, number] = place
        if self.script:
            self.script.meet(source)
        return number

    def _coordinates(self, k: int, features: Whole, tables: CoordinateTables, values: list[int]) -> list[int]:
        if self.watch is not None:
            self.watch("coordinate", k, features, tables, values)
        if self.tables is None:
            return values
        found = []
        rows = self.tables.coordinate(k, features, tables)
        part = PLACES if k < 3 else SEEDS
        for row, starts in enumerate(rows):
            symbol, index = tables.symbol(row, values[row]) if self.script else (0, 0)
            symbol = self.channel.symbol(starts, symbol, part)
            if symbol < BINS:
                room = int(tables.room[row, symbol])
                if room > 1:
                    index = self.channel.uniform(room, index, part)
            found.append(tables.value(row, symbol, index))
        return found

    def _flag(self, kind: int, known: bool) -> bool:
        if self.watch is not None:
            self.watch("flag", kind, known)
        if self.tables is None:
            return known
        return bool(self.channel.symbol(self.tables.flag(kind), int(known), SEEDS))

    def _rank(self, kind: int, count: int, known: int) -> int:
        """A number below `count`: the class of its length, then the number within it."""
        if self.watch is not None:
            self.watch("rank", kind, known)
        if self.tables is None:
            return known
        part = SEEDS if kind == SEED_RANK else RANKS
        bits = self.channel.symbol(self.tables.rank(kind), (known + 1).bit_length() - 1, part)
        rank = (1 << bits) - 1
        if bits:
            rank += self.channel.uniform(1 << bits, known - rank, part)
        if rank >= count:
            raise DAMAGED
        return rank


def _adaptive_starts(counts: list[int]) -> Starts:
    """Starts of alternatives that came so often."""
    total, spare = sum(counts), TOTAL - len(counts)
    starts, end = [0], 0
    for number, count in enumerate(counts, 1):
        end += count
        starts.append(end * spare // total + number)
    return starts
