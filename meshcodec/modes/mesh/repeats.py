"""Parts of a mesh that are there more than once: keys of a keyboard, studs, wheels.

Two parts are the same where they have as many vertices and faces and one, turned by one of the 48 turns and
mirror images of a cube and moved, has its vertices at those of the other and the middles of its faces on its
surface. Of such parts one stays in the mesh; of the others the way there is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from meshcodec.format.grid_copies import TURNS, Copy, image_of, members, parts_of
from meshcodec.format.grid_mesh import GridMesh, Integers, MeshGrid
from meshcodec.geometry.triangles import Floats, Ints, area_normals, compact
from meshcodec.modes.mesh.fit import ClosestPoints
from meshcodec.modes.mesh.original import Original

_SAME = 2e-3  # distance, in the unit frame, within which vertices are in one place: half a step of 9 bits
_MOST_POINTS = 4000  # of a part, sampled at random, that are compared
MOST_PARTS = 5000  # of a mesh: more are not looked at, and could not be told in a few kilobytes
MOST_WORK = 3_000_000  # of comparisons in all, in points that are compared: a second or two
_GAP = 0.5  # between parts that are laid out, and to what stays, which ends at 1
_OFF_PLANES = 0.1  # where parts that are laid out begin along the other axes: in no middle plane
_WEIGHT = 0.25  # power of how often a part is there by which it is larger: area times distance squared counts


@dataclass(frozen=True)
class Placement:
    """Where a part is there once more: at ``TURNS[turn] @ x + shift`` for its points x."""

    turn: int
    shift: Floats


@dataclass(frozen=True)
class Repeats:
    """A mesh with each of its parts once.

    Attributes
    ----------
    vertices, faces : (V, 3) and (F, 3)
    part : (F,) number of the part of a face
    placements : where else parts are, by these numbers
    share : of the area of the whole mesh that is left out
    """

    vertices: Floats
    faces: Ints
    part: Ints
    placements: dict[int, tuple[Placement, ...]]
    share: float

    @cached_property
    def layout(self) -> Layout:
        """The parts that have copies apart from each other and larger, for a decimator."""
        places = np.full(len(self.vertices), -1)
        scales, shifts, ends = [1.0], [np.zeros(3)], [1.0]
        for number, placements in self.placements.items():
            ours = np.unique(self.faces[self.part == number])
            points = self.vertices[ours]
            scale = (1 + len(placements)) ** _WEIGHT
            low, high = scale * points.min(axis=0), scale * points.max(axis=0)
            places[ours] = len(scales) - 1
            scales.append(scale)
            shifts.append(np.array([ends[-1] + _GAP, _OFF_PLANES, _OFF_PLANES]) - low)
            ends.append(float(ends[-1] + _GAP + (high - low)[0]))
        numbers = np.array([-1, *self.placements])
        return Layout(places + 1, numbers, np.array(scales), np.array(shifts), np.array(ends) + _GAP / 2)


@dataclass(frozen=True)
class Layout:
    """Parts side by side along the first axis, behind what has no copies and stays in place.

    So a decimator joins no two of them, and gives more faces to those that are there often: their errors
    count as often.

    Attributes
    ----------
    place : (V,) number of each vertex's place, 0 for what stays
    part : (places,) the part that is there, as in `Repeats.placements`; -1 for what stays
    scale, shift : (places,) and (places, 3); a point x of a part goes to ``scale x + shift``
    end : (places,) where a place ends along the first axis
    """

    place: Ints
    part: Ints
    scale: Floats
    shift: Floats
    end: Floats

    def apart(self, vertices: Floats, place: Ints) -> Floats:
        """(n, 3) vertices of the mesh, moved to their (n,) places."""
        moved: Floats = vertices * self.scale[place][:, None] + self.shift[place]
        return moved

    def back(self, vertices: Floats) -> tuple[Floats, Ints]:
        """(n, 3) vertices of what a decimator made, where they belong in the mesh, and the (n,) places where
        they were."""
        place = np.minimum(np.searchsorted(self.end, vertices[:, 0]), len(self.end) - 1)
        return (vertices - self.shift[place]) / self.scale[place][:, None], place


def find_repeats(vertices: Floats, faces: Ints) -> Repeats:
    """The parts of a mesh (V, 3), (F, 3) that are there more than once.

    Parameters
    ----------
    vertices, faces : in the unit frame (longest half-extent 1), no vertex twice
    """
    part = parts_of(faces, len(vertices))
    of_faces = part[faces[:, 0]]
    placements: dict[int, list[Placement]] = {}
    dropped = np.zeros(len(vertices), dtype=bool)
    faces_of = members(of_faces)
    known: dict[tuple[int, int], list[tuple[int, _Part]]] = {}
    work = 0
    for number, ours in faces_of.items() if len(faces_of) <= MOST_PARTS else ():
        used = np.unique(faces[ours])
        one = _Part(vertices[used], np.searchsorted(used, faces[ours]))
        same = known.setdefault((len(used), len(ours)), [])
        for first, other in same:
            if work > MOST_WORK:
                break
            placement, compared = other.placement_at(one)
            work += compared
            if placement is not None:
                placements.setdefault(first, []).append(placement)
                dropped[number] = True
                break
        else:
            same.append((number, one))
    left = ~dropped[of_faces]
    areas = np.linalg.norm(area_normals(vertices[faces]), axis=1)
    total = float(areas.sum())
    return Repeats(
        *compact(vertices, faces[left]),
        of_faces[left],
        {number: tuple(found) for number, found in placements.items()},
        float(areas[~left].sum()) / total if total else 0.0,
    )


class _Part:
    """Vertices (n, 3) and faces (m, 3) of a part, ready to be compared."""

    def __init__(self, vertices: Floats, faces: Ints) -> None:
        self.low = vertices.min(axis=0)
        self.points, self.faces = vertices - self.low, faces
        self.size, self.mean = self.points.max(axis=0), self.points.mean(axis=0)

    @cached_property
    def radii(self) -> Floats:
        """(n,) distances of the vertices to their mean, in ascending order: no turn changes them."""
        radii: Floats = np.sort(np.linalg.norm(self.points - self.mean, axis=1))
        return radii

    @cached_property
    def middles(self) -> Floats:
        """(m, 3) of the faces."""
        middles: Floats = self.points[self.faces].mean(axis=1)
        return middles

    @cached_property
    def _places(self) -> tuple[cKDTree, ClosestPoints]:
        return cKDTree(self.points), ClosestPoints(self.points, self.faces)

    def has(self, vertices: Floats, middles: Floats) -> bool:
        """Whether (n, 3) vertices, relative to the low corner, lie at those of this part, and the middles of
        faces on it."""
        tree, surface = self._places
        apart = tree.query(_some(vertices), distance_upper_bound=2 * _SAME)[0]
        if apart.max() > _SAME:
            return False
        if surface.empty:
            return True
        points = _some(middles)
        off = np.linalg.norm(surface(points)[0] - points, axis=1)
        return bool(off.max() <= _SAME)

    def placement_at(self, other: _Part) -> tuple[Placement | None, int]:
        """How this part comes to be where another one is, by the first turn that does, and how much work
        that was, in points that were compared; no placement: it is not the same."""
        if np.abs(self.radii - other.radii).max() > 2 * _SAME:
            return None, len(self.points) + len(TURNS) // 2
        corner = np.minimum(TURNS * self.size, 0.0).sum(axis=2)  # (48, 3) low corner of the turned box
        means = TURNS @ self.mean - corner
        sizes = np.abs(TURNS) @ self.size
        off = np.maximum(np.abs(sizes - other.size), np.abs(means - other.mean)).max(axis=1)
        work = len(TURNS)
        for turn in np.flatnonzero(off <= _SAME).tolist():
            matrix = TURNS[turn].astype(np.float64)
            work += len(self.points) + len(self.faces)
            # The other one is turned back, so that one tree serves all.
            if self.has((other.points + corner[turn]) @ matrix, (other.middles + corner[turn]) @ matrix):
                return Placement(turn, other.low - corner[turn] - matrix @ self.low), work
        return None, work


def _some(points: Floats) -> Floats:
    """(n, 3) points, or some of very many, drawn at random."""
    if len(points) <= _MOST_POINTS:
        return points
    return points[np.random.default_rng(0).permutation(len(points))[:_MOST_POINTS]]


def copies_of(
    mesh: GridMesh, grid: MeshGrid, repeats: Repeats, original: Original, at: Ints, place: Ints, most: int
) -> tuple[Copy, ...]:
    """The copies of a mesh of the grid that was made of `Repeats.vertices` and `faces`.

    Where vertices of several places have become a part together, there are no copies of it. A copy lies at
    the place of the grid that is nearest to where it belongs.

    Parameters
    ----------
    at : (n,) position of each of the vertices that the mesh was made of; -1 where it is gone
    place : (n,) where each was in `Repeats.layout`
    most : copies, at most: those of the parts with the largest areas
    """
    part = parts_of(mesh.faces, len(mesh.positions))
    there = at >= 0
    pairs = np.unique(np.stack([part[at[there]], place[there]], axis=1), axis=0)
    _, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    areas = np.linalg.norm(area_normals(mesh.positions[mesh.faces].astype(np.float64)), axis=1)
    area = np.bincount(part[mesh.faces[:, 0]], areas, len(part))
    alone = np.flatnonzero(count == 1)
    copies: list[Copy] = []
    for number, its_place in sorted(pairs[first[alone]].tolist(), key=lambda pair: -area[pair[0]]):
        placements = repeats.placements.get(int(repeats.layout.part[its_place]), ())
        copies += _placed(grid, original, number, mesh.positions[part == number], placements)
    return tuple(sorted(copies[:most], key=lambda copy: (copy.vertex, copy.turn, copy.low)))


def _placed(
    grid: MeshGrid,
    original: Original,
    number: int,
    positions: Integers,
    placements: tuple[Placement, ...],
) -> list[Copy]:
    """The copies of the part with a number and (n, 3) positions that stay in the grid."""
    origin = grid.to_grid(original.to_world(np.zeros((1, 3))))[0]
    scale = max(original.half_extents) / grid.step
    copies = []
    for placement in placements:
        matrix = TURNS[placement.turn]
        shift = scale * placement.shift + origin - matrix @ origin
        room = grid.sides - image_of(positions, placement.turn).max(axis=0)
        low = np.rint((positions @ matrix.T).min(axis=0) + shift).astype(np.int64)
        if (room >= 0).all():
            x, y, z = np.clip(low, 0, room).tolist()
            copies.append(Copy(number, placement.turn, (x, y, z)))
    return copies
