"""Parts of a mesh of the grid that are there more than once: the same part turned, mirrored and moved.

A part is what hangs together by vertices. Its copy is exact: coordinates change places and signs and are
moved by whole steps, so that it is the same mesh in another place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def _turn(axes: tuple[int, ...], signs: int) -> Integers:
    matrix = np.zeros((3, 3), dtype=np.int64)
    for k, axis in enumerate(axes):
        matrix[k, axis] = -1 if signs >> k & 1 else 1
    return matrix


TURNS: Integers = np.stack([_turn(axes, signs) for axes in permutations(range(3)) for signs in range(8)])
"""(48, 3, 3) the turns of a cube and their mirror images. Number 8 p + s gives coordinate k the old
coordinate that the permutation p (in lexicographic order) has at k, with a minus where bit k of s is set."""
MIRRORED: NDArray[np.bool_] = np.linalg.det(TURNS) < 0
"""(48,) which of them turn faces inside out."""


@dataclass(frozen=True, order=True)
class Copy:
    """One copy of a part.

    Attributes
    ----------
    vertex : number of a vertex of the part
    turn : number of one of TURNS
    low : the least corner of the copy's box
    """

    vertex: int
    turn: int
    low: tuple[int, int, int]


def parts_of(faces: Integers, count: int) -> Integers:
    """(count,) for each vertex the least number of a vertex that it hangs together with by (F, 3) faces."""
    part = np.arange(count)
    while True:
        least = part[faces].min(axis=1)
        lower = part.copy()
        np.minimum.at(lower, part[faces].reshape(-1), np.repeat(least, 3))
        np.minimum.at(lower, faces.reshape(-1), np.repeat(least, 3))
        lower = lower[lower]
        if (lower == part).all():
            return part
        part = lower


def members(part: Integers) -> dict[int, Integers]:
    """The indices of those with the same number, by that number."""
    order = np.argsort(part, kind="stable")
    numbers, starts = np.unique(part[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))


def image_of(positions: Integers, turn: int) -> Integers:
    """A part's positions (n, 3) turned, with the least corner of their box at 0."""
    turned = positions @ TURNS[turn].T
    image: Integers = turned - turned.min(axis=0)
    return image


def with_copies(positions: Integers, faces: Integers, copies: Sequence[Copy]) -> tuple[Integers, Integers]:
    """A mesh (V, 3), (F, 3) and after it the copies of its parts, in their order."""
    if not copies:
        return positions, faces
    part = parts_of(faces, len(positions))
    vertices_of, faces_of = members(part), members(part[faces[:, 0]])
    all_positions, all_faces, count = [positions], [faces], len(positions)
    for copy in copies:
        first = int(part[copy.vertex])
        ours = vertices_of[first]
        copied = count + np.searchsorted(ours, faces[faces_of[first]])
        all_positions.append(image_of(positions[ours], copy.turn) + np.array(copy.low))
        all_faces.append(copied[:, ::-1] if MIRRORED[copy.turn] else copied)
        count += len(ours)
    return np.concatenate(all_positions), np.concatenate(all_faces)
