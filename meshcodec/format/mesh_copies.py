"""How a message tells of parts that are there more than once, after the walk that tells each of them once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshcodec.format.grid_copies import TURNS, Copy, image_of, members, parts_of
from meshcodec.format.grid_mesh import MOST_FACES, Integers
from meshcodec.format.mesh_teller import COPIES, DAMAGED, Channel

_MOST_DIGITS = 16  # binary digits of a number of copies


class Copies:
    """The copies of a mesh that both ends know.

    Parameters
    ----------
    channel : the message
    positions, faces : (V, 3) and (F, 3), in the order of the walk
    sides : (3,) largest coordinates
    """

    def __init__(self, channel: Channel, positions: Integers, faces: Integers, sides: Integers) -> None:
        self._channel, self._positions, self._sides = channel, positions, sides
        self._part = parts_of(faces, len(positions))
        self._members = members(self._part)
        self._firsts = np.array(list(self._members))
        self._faces = np.bincount(self._part[faces[:, 0]], minlength=len(positions))
        self._count = len(faces)

    def tell(self, copies: Sequence[Copy] | None) -> list[Copy]:
        """Tell of copies, at least one, or hear of them where there are None; in the order of their parts.

        Raises
        ------
        CorruptFileError
            A copy lies outside of the grid, or there are more faces than a file can announce.
        """
        wanted = self._by_part(copies) if copies is not None else {}
        total = self._uniform(len(self._firsts), len(wanted) - 1) + 1
        ranks = sorted(wanted)
        told: list[Copy] = []
        next_rank = 0
        for number in range(total):
            left = len(self._firsts) - next_rank - (total - 1 - number)
            next_rank += self._uniform(left, ranks[number] - next_rank if wanted else 0)
            told += self._of_part(int(self._firsts[next_rank]), wanted.get(next_rank))
            next_rank += 1
        return told

    def _by_part(self, copies: Sequence[Copy]) -> dict[int, list[Copy]]:
        """The copies of each part, by its place among the parts."""
        wanted: dict[int, list[Copy]] = {}
        for copy in copies:
            rank = int(np.searchsorted(self._firsts, self._part[copy.vertex]))
            wanted.setdefault(rank, []).append(copy)
        return wanted

    def _of_part(self, first: int, copies: list[Copy] | None) -> list[Copy]:
        positions = self._positions[self._members[first]]
        last = Copy(first, 0, _place(positions.min(axis=0)))
        count = self._number(len(copies) if copies else 1)
        self._count += count * int(self._faces[first])
        if self._count > MOST_FACES:
            raise DAMAGED
        told: list[Copy] = []
        for number in range(count):
            last = self._one(positions, last, copies[number] if copies else last)
            told.append(last)
        return told

    def _number(self, count: int) -> int:
        """A number from 1 up: how many binary digits follow its first, as so many ones, then these."""
        digits, found = count.bit_length() - 1, 0
        while found < _MOST_DIGITS and self._uniform(2, int(found < digits)):
            found += 1
        return 1 << found | self._uniform(1 << found, count - (1 << digits))

    def _one(self, positions: Integers, last: Copy, copy: Copy) -> Copy:
        """A copy, told by what of it is not as with the one before."""
        turn = copy.turn
        turn = last.turn if self._uniform(2, int(turn == last.turn)) else self._uniform(len(TURNS), turn)
        room = self._sides - image_of(positions, turn).max(axis=0)
        if (room < 0).any():
            raise DAMAGED
        low = []
        for before, value, most in zip(last.low, copy.low, room.tolist(), strict=True):
            same = self._uniform(2, int(value == before))
            low.append(before if same else self._uniform(most + 1, value))
            if low[-1] > most:
                raise DAMAGED
        return Copy(last.vertex, turn, (low[0], low[1], low[2]))

    def _uniform(self, count: int, known: int) -> int:
        return self._channel.uniform(count, known, COPIES)


def _place(values: Integers) -> tuple[int, int, int]:
    x, y, z = values.tolist()
    return x, y, z
