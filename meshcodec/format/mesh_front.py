"""Conquest of a triangle mesh: the loops of open edges around the faces that are known.

A mesh is coded face by face (Touma and Gotsman 1998; Gumhold and Strasser 1998). Known faces are surrounded
by *gates*: directed edges a -> b to which a further face (a, b, v) may be attached. A gate that has none is a
border. Gates form loops, each followed by one that begins where it ends; a face replaces its gate by two, and
a gate that meets its opposite vanishes with it. Nothing here asks for a manifold: of an edge with three faces
or with faces of both orientations some gates become borders, and a vertex may lie on many loops.
"""

from __future__ import annotations

from collections.abc import Iterator

OPEN, BORDER, CLOSED = 0, 1, 2  # states of a gate
NONE, NEW, LEFT, RIGHT, OTHER, KNOWN, FRESH = range(7)
"""What lies behind a gate: nothing; a new vertex; the vertex before the gate; the one after it; another
one with an open gate; any other known vertex; a vertex of this wave, whose place is not known yet."""
SYMBOLS = 7
SEED = 7  # what made a face that begins a part
_SCAN = 512  # gates of the queue that are looked at for a wave
_STEPS = 4  # gates to either side among which a vertex of this wave is looked for


class Front:
    """Gates as linked lists; all numbers of gates and vertices count from 0 in the order of their making.

    Attributes
    ----------
    origin, end : vertices of each gate
    apex : third vertex of the face behind each gate
    face : number of that face
    after, before : neighbours in the loop
    state : OPEN, BORDER or CLOSED
    queue : open gates, with some that are closed since
    corners : (i, j, k) of each face
    maker : symbol that made each face, SEED where it began a part
    parent : face from which each face was made; itself for a seed
    second : edges (a, b, face) that have got a second face or a further one since the list was emptied,
        and whether both faces have the same corners
    extra : gates that were opened for a further face of an edge
    """

    def __init__(self) -> None:
        self.origin: list[int] = []
        self.end: list[int] = []
        self.apex: list[int] = []
        self.face: list[int] = []
        self.after: list[int] = []
        self.before: list[int] = []
        self.state: list[int] = []
        self.queue: list[int] = []
        self._open = 0
        self.corners: list[tuple[int, int, int]] = []
        self.maker: list[int] = []
        self.parent: list[int] = []
        self.second: list[tuple[int, int, int, bool]] = []
        self.extra: set[int] = set()
        self._at: dict[tuple[int, int], list[int]] = {}

    def seed(self, i: int, j: int, k: int) -> None:
        """A face that is attached to nothing."""
        number = len(self.corners)
        self._add_face(i, j, k, SEED, number)
        first, second, third = (self._gate(*edge, number) for edge in ((j, i, k), (i, k, j), (k, j, i)))
        for one, other in ((first, second), (second, third), (third, first)):
            self._link(one, other)
        for gate in (first, second, third):
            self._glue(gate)

    def attach(self, gate: int, vertex: int, place: int, maker: int) -> None:
        """The face (a, b, vertex) at the gate a -> b.

        Parameters
        ----------
        gate : open
        vertex : not a and not b
        place : gate that begins at the vertex, where the loops are joined; -1 where there is none
        maker : symbol
        """
        a, b = self.origin[gate], self.end[gate]
        number = len(self.corners)
        self._add_face(a, b, vertex, maker, self.face[gate])
        before, after = self.before[gate], self.after[gate]
        self._close(gate)
        self.second.append((a, b, self.face[gate], vertex == self.apex[gate]))
        left, right = self._gate(a, vertex, b, number), self._gate(vertex, b, a, number)
        self._link(before, left)
        self._link(right, after)
        if place < 0:
            self._link(left, right)
        else:
            # Either link may be to one of the gates just linked, so the old neighbour is read last.
            self._link(self.before[place], right)
            self._link(left, place)
        self._glue(left)
        self._glue(right)

    def reopen(self, a: int, b: int, face: int) -> None:
        """A gate a -> b for one more face of an edge of a face; its opposite is a border beside it."""
        (apex,) = (corner for corner in self.corners[face] if corner not in (a, b))
        gate, opposite = self._gate(a, b, apex, face), self._gate(b, a, apex, face)
        self._link(gate, opposite)
        self._link(opposite, gate)
        self.close_as_border(opposite)
        self.extra.add(gate)

    def open_gates(self, a: int, b: int) -> int:
        """Number of open gates a -> b."""
        return len(self._at.get((a, b), ()))

    def count_open(self) -> int:
        """Number of open gates."""
        return self._open

    def close_as_border(self, gate: int) -> None:
        self.state[gate] = BORDER
        self._forget(gate)

    def wave(self, most: int) -> list[int]:
        """Open gates whose surroundings do not touch; drops closed ones from the queue.

        Those with the oldest ends come first, so that the faces around a vertex are soon complete.
        """
        state, origin, end, before, after = self.state, self.origin, self.end, self.before, self.after
        self.queue = [gate for gate in self.queue if state[gate] == OPEN]
        self.queue.sort(key=lambda gate: origin[gate] + end[gate])
        taken: list[int] = []
        ends: set[int] = set()
        around: set[int] = set()
        for gate in self.queue[:_SCAN]:
            a, b = origin[gate], end[gate]
            if a in around or b in around:
                continue
            left, right = before[gate], after[gate]
            near = [origin[left], end[right]]
            if not ends.isdisjoint(near):
                continue
            taken.append(gate)
            if len(taken) == most:
                break
            ends.update((a, b))
            around.update(near)
            around.update((a, b))
        return taken

    def places(self) -> dict[int, int]:
        """A gate that begins there for each vertex that an open gate touches."""
        found: dict[int, int] = {}
        state, origin, end, after = self.state, self.origin, self.end, self.after
        for gate in self.queue:
            if state[gate] == OPEN:
                found.setdefault(origin[gate], gate)
                if state[after[gate]] == BORDER:
                    found.setdefault(end[gate], after[gate])
        return found

    def fresh_near(self, gate: int, first_fresh: int) -> Iterator[int]:
        """Vertices from number `first_fresh` on at most some gates away along the loop, the nearest first."""
        left, right, seen = self.before[gate], self.after[gate], set[int]()
        for _ in range(_STEPS):
            for vertex in (self.origin[left], self.end[right]):
                if vertex >= first_fresh and vertex not in seen:
                    seen.add(vertex)
                    yield vertex
            left, right = self.before[left], self.after[right]

    def _add_face(self, i: int, j: int, k: int, maker: int, parent: int) -> None:
        self.corners.append((i, j, k))
        self.maker.append(maker)
        self.parent.append(parent)

    def _gate(self, a: int, b: int, apex: int, face: int) -> int:
        gate = len(self.origin)
        self.origin.append(a)
        self.end.append(b)
        self.apex.append(apex)
        self.face.append(face)
        self.after.append(gate)
        self.before.append(gate)
        self.state.append(OPEN)
        self.queue.append(gate)
        self._open += 1
        self._at.setdefault((a, b), []).append(gate)
        return gate

    def _link(self, one: int, other: int) -> None:
        self.after[one] = other
        self.before[other] = one

    def _close(self, gate: int) -> None:
        self.state[gate] = CLOSED
        self._forget(gate)

    def _forget(self, gate: int) -> None:
        self._open -= 1
        key = (self.origin[gate], self.end[gate])
        there = self._at[key]
        there.remove(gate)
        if not there:
            del self._at[key]

    def _glue(self, gate: int) -> None:
        """Let a gate and its opposite, where there is one that is open, vanish together."""
        there = self._at.get((self.end[gate], self.origin[gate]))
        if not there or self.state[gate] != OPEN:
            return
        other = there[0]
        before, after = self.before[gate], self.after[gate]
        other_before, other_after = self.before[other], self.after[other]
        if before != other:
            self._link(before, other_after)
        if other_before != gate:
            self._link(other_before, after)
        self._close(gate)
        self._close(other)
        same = self.apex[gate] == self.apex[other]
        self.second.append((self.origin[other], self.end[other], self.face[other], same))
