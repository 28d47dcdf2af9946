"""What an encoder knows of the mesh that it codes: which face lies behind a gate, and where parts begin."""

from __future__ import annotations

import numpy as np

from meshcodec.format.grid_mesh import GridMesh, Integers


class Script:
    """The faces of a mesh as they are asked for, each once.

    Parameters
    ----------
    mesh : positions (V, 3), faces (F, 3)
    axes : order of axes in which parts are sorted

    Attributes
    ----------
    positions : (V, 3) lists
    numbers : number of each vertex as the decoder knows it, -1 where it does not
    sources : the reverse
    """

    def __init__(self, mesh: GridMesh, axes: tuple[int, int, int]) -> None:
        self.positions: list[list[int]] = mesh.positions.tolist()
        self.numbers = [-1] * len(self.positions)
        self.sources: list[int] = []
        self._faces: list[list[int]] = mesh.faces.tolist()
        self._done = [False] * len(self._faces)
        self._behind: dict[tuple[int, int], list[int]] = {}
        for number, (i, j, k) in enumerate(self._faces):
            for edge in ((i, j), (j, k), (k, i)):
                self._behind.setdefault(edge, []).append(number)
        order = np.lexsort(tuple(mesh.positions[:, axis] for axis in reversed(axes)))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        self._rank: list[int] = rank.tolist()
        self._parts = self._sorted_parts(mesh, axes)
        self._next_part = 0

    def third(self, a: int, b: int) -> int:
        """The vertex v of a face (a, b, v) of the mesh that was not asked for before, -1 where there is
        none."""
        there = self._behind.get((self.sources[a], self.sources[b]), [])
        for number in there:
            if not self._done[number]:
                self._done[number] = True
                i, j, k = self._faces[number]
                ends = (self.sources[a], self.sources[b])
                return k if (i, j) == ends else i if (j, k) == ends else j
        return -1

    def left_at(self, a: int, b: int) -> int:
        """Number of faces with the edge a -> b that were not asked for."""
        there = self._behind.get((self.sources[a], self.sources[b]), ())
        return sum(not self._done[number] for number in there)

    def more_parts(self) -> bool:
        """Whether there is a part of which no face was asked for."""
        return self._next_part < len(self._parts)

    def seed(self) -> tuple[int, int, int]:
        """The corners of the first face of the next part, begun at a vertex that is known where there is
        one."""
        faces = self._parts[self._next_part]
        self._next_part += 1
        for number in faces:
            for turn, corner in enumerate(self._faces[number]):
                if self.numbers[corner] >= 0:
                    return self._begin(number, turn)
        face = self._faces[faces[0]]
        return self._begin(faces[0], min(range(3), key=lambda turn: self._rank[face[turn]]))

    def _begin(self, number: int, turn: int) -> tuple[int, int, int]:
        self._done[number] = True
        face = self._faces[number]
        return face[turn], face[(turn + 1) % 3], face[(turn + 2) % 3]

    def meet(self, source: int) -> int:
        """Number a vertex that the decoder learns of now."""
        self.numbers[source] = len(self.sources)
        self.sources.append(source)
        return self.numbers[source]

    def _sorted_parts(self, mesh: GridMesh, axes: tuple[int, int, int]) -> list[list[int]]:
        """The faces of each part by their lowest corners, and the parts by those of their first faces."""
        lowest: Integers = np.array(self._rank)[mesh.faces].min(axis=1)
        part = self._part_of_faces()
        found: dict[int, list[int]] = {}
        for number in np.argsort(lowest, kind="stable").tolist():
            found.setdefault(part[number], []).append(number)
        return list(found.values())

    def _part_of_faces(self) -> list[int]:
        """A number for each face, the same for those that are connected by edges."""
        part = [-1] * len(self._faces)
        for first in range(len(self._faces)):
            if part[first] >= 0:
                continue
            part[first] = first
            waiting = [first]
            while waiting:
                i, j, k = self._faces[waiting.pop()]
                for edge in ((j, i), (k, j), (i, k), (i, j), (j, k), (k, i)):
                    for other in self._behind.get(edge, ()):
                        if part[other] < 0:
                            part[other] = first
                            waiting.append(other)
        return part
