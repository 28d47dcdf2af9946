"""The order in which a mesh is told, and what is told: one walk for both ends of a message.

An encoder's walk knows the mesh (`Script`) and names symbols; a decoder's is given them. Gates are worked off
in waves (`Front.wave`): first what lies behind each gate of the wave, then the first coordinates of all new
vertices, then their second ones, then their third ones, so that a network sees a whole wave at once.
"""

from __future__ import annotations

import numpy as np

from meshcodec.format.grid_mesh import Integers
from meshcodec.format.mesh_context import Surroundings, gate_features, surroundings
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
from meshcodec.format.mesh_network import Whole
from meshcodec.format.mesh_parts import Parts
from meshcodec.format.mesh_place import Places
from meshcodec.format.mesh_script import Script
from meshcodec.format.mesh_teller import DAMAGED, GATES, Channel, Head, Starts, Tables, Teller, Watch

_MOST_GATES = 128  # gates of a wave
_BRANCHES = (30, 5, 2)  # edges without a further face for one with it each way, to begin with


class Branches:
    """Further faces of edges that have two, or a border.

    Parameters
    ----------
    teller : how they are told
    front : where gates for them are opened

    Attributes
    ----------
    any : whether there was one
    """

    def __init__(self, teller: Teller, front: Front) -> None:
        self.teller, self.front = teller, front
        self.any = False
        # How often edges had no further face, one in their direction, one in the other.
        self._counts: dict[tuple[int, ...], list[int]] = {}
        self._uses: dict[tuple[int, int], int] = {}  # faces of each edge
        self._forked: set[int] = set()  # ends of edges with further faces

    def after_face(self) -> None:
        """Open gates for further faces of the edges that have two by now."""
        if not (self.teller.head.branched or self.teller.script):
            self.front.second.clear()
            return
        i, j, k = self.front.corners[-1]
        for a, b in ((i, j), (j, k), (k, i)):
            edge = min(a, b), max(a, b)
            self._uses[edge] = self._uses.get(edge, 0) + 1
        for a, b, face, same in self.front.second:
            self.at_edge(int(same), a, b, face)
        self.front.second.clear()

    def at_edge(self, kind: int, a: int, b: int, face: int) -> None:
        """Open a gate for one more face of an edge, where there is one: 1 for a -> b, 2 for b -> a."""
        which = 0
        if self.teller.script:
            ways = ((a, b), (b, a))
            more = [self.teller.script.left_at(*way) > self.front.open_gates(*way) for way in ways]
            which = 1 if more[0] else 2 if more[1] else 0
            self.any |= which > 0
        if not (self.teller.head.branched or self.teller.blind):
            return
        beside = (a in self._forked) + (b in self._forked)
        uses = min(self._uses[min(a, b), max(a, b)], 4)
        begin = [(_BRANCHES[beside], 1, 1), (1, 1, 1), (4, 1, 1)][max(uses - 2, 0)]
        counts = self._counts.setdefault((kind, beside, uses), list(begin))
        which = self.teller.adaptive(counts, which)
        if which:
            self._forked.update((a, b))
            self.front.reopen(*((a, b) if which == 1 else (b, a)), face)


class Conquest:
    """One walk.

    Parameters
    ----------
    tables : probabilities; None in a walk that only counts what there is
    channel : the message
    faces : number of faces
    sides : (3,) largest coordinates
    head : of the message
    script : the mesh, at the encoder's
    watch : called with all that networks are given and what came

    Attributes
    ----------
    known, parts, branches : the mesh so far
    bordered, tangled : what the head of a message says of the walk, once it is done
    """

    def __init__(
        self,
        tables: Tables | None,
        channel: Channel,
        faces: int,
        sides: Integers,
        head: Head,
        script: Script | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.tables, self.channel, self.faces, self.head = tables, channel, faces, head
        self.script, self.watch = script, watch
        self.front = Front()
        self.known = head.known(self.front, sides)
        self.teller = Teller(tables, channel, head, self.known, script, watch)
        self.parts = Parts(self.teller)
        self.branches = Branches(self.teller, self.front)
        self.bordered = self.tangled = False

    def run(self) -> tuple[Integers, Integers]:
        """Positions (V, 3) and faces (F, 3), both in the order of the walk. CorruptFileError: there are
        none."""
        while self._left():
            while self._left() and self.parts.wanted(self.front.count_open()):
                self.front.seed(*self.parts.begin())
                self.branches.after_face()
                self.known.measure_faces()
            if self._left():
                self._conquer(self.front.wave(_MOST_GATES))
        positions = self.known.positions[:, : self.known.vertices].T.astype(np.int64)
        return positions, np.array(self.front.corners, dtype=np.int64).reshape(-1, 3)

    def _left(self) -> int:
        self.known.faces_left = self.faces - len(self.front.corners)
        return self.known.faces_left

    def _conquer(self, wave: list[int]) -> None:
        allowed = [self._allowed(gate) for gate in wave]
        near: Surroundings | None = None
        features: Whole | None = None
        rows: list[Starts] = []
        fresh_rows: list[Starts] = []
        if not self.teller.blind:
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
                self.branches.at_edge(2, b, a, front.face[gate])
            return symbol
        place = -1
        if symbol == NEW:
            vertex = self.teller.meet(source)
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
        self.branches.after_face()
        return symbol

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
        if self.teller.blind:
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
            choices = self.teller.by_distance(free, corner).tolist()
            if symbol == KNOWN:
                choices += range(first_fresh, self.known.vertices)
        if not choices:
            raise DAMAGED
        rank = choices.index(vertex) if self.script else 0
        return choices[self.teller.rank(symbol - OTHER, len(choices), rank)]

    def _place(self, near: Surroundings | None, features: Whole | None, made: list[tuple[int, int]]) -> None:
        """The coordinates of the new vertices of a wave."""
        vertices = np.array([vertex for _, vertex in made])
        wanted = None
        if self.script:
            sources = [self.script.sources[vertex] for vertex in vertices]
            wanted = np.array([self.script.positions[source] for source in sources], dtype=np.float64).T
        if near is None or features is None:
            if wanted is not None:
                self.teller.put(vertices, wanted)
            return
        places = Places.of(self.known, near, features, np.array([row for row, _ in made]))
        frame = places.in_frame(wanted) if wanted is not None else np.zeros((3, len(made)))
        for k in range(3):
            inputs, tables = places.tables(k)
            found = self.teller.coordinates(k, inputs, tables, frame[k].astype(np.int64).tolist())
            places.values.append(np.array(found, dtype=np.float64))
        self.teller.put(vertices, places.positions())
        errors = places.errors()  # multiples of 2**-13: their sums are exact
        self.known.error[:, vertices] = errors
        exact = [(places.values[k] == places.corner[k]).sum() for k in (0, 2)]
        self.known.residuals += np.array([*errors.sum(axis=1), *exact, len(made)])
