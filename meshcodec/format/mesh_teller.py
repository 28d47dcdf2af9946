"""What both ends of a message share: where probabilities come from, and how numbers are told with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from meshcodec.errors import CorruptFileError
from meshcodec.format.grid_mesh import Integers
from meshcodec.format.mesh_context import Floats, Known
from meshcodec.format.mesh_front import Front
from meshcodec.format.mesh_network import BINS, TOTAL, CoordinateTables, Whole
from meshcodec.format.mesh_script import Script

RANK_CLASSES = 18  # classes of ranks: rank + 1 has so many bits
SEED_RANK = 3  # table of the ranks of known vertices at which a part begins
DAMAGED = CorruptFileError("its coded mesh is damaged", "fetch the file again")
Starts = list[int]
PARTS = HEAD, SEEDS, GATES, RANKS, PLACES, COPIES = ("head", "seeds", "gates", "ranks", "places", "copies")
"""What symbols tell of: the mesh as a whole; the first faces of parts; what lies behind gates; which of
the known vertices; the places of new vertices; parts that are there more than once."""


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
class Teller:
    """What is told of a mesh, number by number, by an encoder or to a decoder.

    Attributes
    ----------
    tables : probabilities; None in a walk that only counts what there is
    channel : the message
    head : of the message
    known : the mesh so far
    script : the mesh, at the encoder's
    watch : called with all that networks are given and what came
    """

    tables: Tables | None
    channel: Channel
    head: Head
    known: Known
    script: Script | None = None
    watch: Watch | None = None
    _places: set[tuple[int, ...]] = field(default_factory=set)

    @property
    def blind(self) -> bool:
        """Whether nobody asks for features."""
        return self.tables is None and self.watch is None

    def meet(self, source: int) -> int:
        """The number of a vertex that is new; its place comes later."""
        number = self.known.vertices
        self.known.vertices += 1
        self.known.reserve(self.known.vertices, 0)
        if self.script:
            self.script.meet(source)
        return number

    def put(self, vertices: Integers, places: Floats) -> None:
        """The places (3, N) of vertices. CorruptFileError: there is a vertex already."""
        for place in places.T.astype(np.int64).tolist():
            if tuple(place) in self._places:
                raise DAMAGED
            self._places.add(tuple(place))
        self.known.positions[:, vertices] = places

    def coordinates(self, k: int, features: Whole, tables: CoordinateTables, values: list[int]) -> list[int]:
        """Coordinate k of some vertices; an encoder's are `values`."""
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

    def flag(self, kind: int, known: bool) -> bool:
        """Whether something is so; an encoder knows."""
        if self.watch is not None:
            self.watch("flag", kind, known)
        if self.tables is None:
            return known
        return bool(self.channel.symbol(self.tables.flag(kind), int(known), SEEDS))

    def rank(self, kind: int, count: int, known: int) -> int:
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

    def adaptive(self, counts: list[int], known: int) -> int:
        """An alternative that came so often before; counts it."""
        if self.tables is not None:
            total, spare = sum(counts), TOTAL - len(counts)
            starts, end = [0], 0
            for number, count in enumerate(counts, 1):
                end += count
                starts.append(end * spare // total + number)
            known = self.channel.symbol(starts, known, GATES)
        counts[known] += 1
        return known

    def by_distance(self, vertices: Integers, place: Floats) -> Integers:
        """Known vertices by their distance to a place, then by number; they are given by number."""
        offset = self.known.positions[:, vertices] - place[:, None]
        order: Integers = vertices[np.argsort((offset * offset).sum(axis=0), kind="stable")]
        return order
