"""Small meshes of known volume for tests of what is inside, as arrays of vertices and triangles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.float64], NDArray[np.int64]]


def house() -> Arrays:
    """A closed house with a gabled roof, volume 30: 4 x 3 x 2 below a ridge at height 3. 16 triangles.

    The first two are the floor, then come eight of walls, four of the slopes and two gables.
    """
    corners = [[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0], [0, 0, 2], [4, 0, 2], [4, 3, 2], [0, 3, 2]]
    ridge = [[0, 1.5, 3], [4, 1.5, 3]]
    quads = [[3, 2, 1, 0], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 9, 8], [6, 7, 8, 9]]
    faces = [[q[0], q[k], q[k + 1]] for q in quads for k in (1, 2)] + [[5, 6, 9], [7, 4, 8]]
    return np.array(corners + ridge, dtype=np.float64), np.array(faces)


def with_reversed(faces: NDArray[np.int64], chosen: NDArray[np.bool_] | list[int]) -> NDArray[np.int64]:
    """A copy of triangles of which the chosen ones are drawn the other way round."""
    faces = faces.copy()
    faces[chosen] = faces[chosen][:, ::-1]
    return faces


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Arrays:
    """A box of 12 triangles, facing outwards."""
    mesh = trimesh.creation.box(bounds=[low, high])
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def joined(*parts: Arrays) -> Arrays:
    """Several meshes in one, their faces one after the other."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    faces = [faces + start for (_, faces), start in zip(parts, starts, strict=True)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def as_soup(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Arrays:
    """The same with three vertices for each triangle, as STL files have them."""
    return vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)


def grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles of a grid of rows x columns vertices."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel(), at[:-1, 1:].ravel()
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def torus(rows: int = 24, columns: int = 12, radius: float = 0.65, tube: float = 0.3) -> Arrays:
    """A torus around z, facing outwards."""
    u, v = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    u, v = 2 * np.pi * u.ravel(), 2 * np.pi * v.ravel()
    out = radius + tube * np.cos(v)
    faces = grid_faces(rows + 1, columns + 1)
    row, column = np.divmod(faces, columns + 1)
    return (
        np.stack([out * np.cos(u), out * np.sin(u), tube * np.sin(v)], axis=1),
        (row % rows) * columns + column % columns,
    )


def moebius_strip(steps: int = 40, half_width: float = 0.3) -> Arrays:
    """A strip of `steps` quads whose ends meet after half a turn: it has one side and one border."""
    angle = 2 * np.pi * np.arange(steps) / steps
    sides = []
    for side in (-half_width, half_width):
        out = 0.7 + side * np.cos(angle / 2)
        sides.append(np.stack([out * np.cos(angle), out * np.sin(angle), side * np.sin(angle / 2)], axis=1))
    faces = []
    for k in range(steps):
        a, b = 2 * k, 2 * k + 1
        c, d = (a + 2, b + 2) if k < steps - 1 else (1, 0)
        faces += [[a, c, b], [b, c, d]]
    return np.stack(sides, axis=1).reshape(-1, 3), np.array(faces)


def klein_bottle(rows: int = 40, columns: int = 16) -> Arrays:
    """The figure-8 immersion of the Klein bottle: without a border, and it has one side only."""
    u, v = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    u, v = 2 * np.pi * u.ravel(), 2 * np.pi * v.ravel()
    across = np.cos(u / 2) * np.sin(v) - np.sin(u / 2) * np.sin(2 * v)
    up = np.sin(u / 2) * np.sin(v) + np.cos(u / 2) * np.sin(2 * v)
    out = 2 + across
    row, column = np.divmod(grid_faces(rows + 1, columns + 1), columns + 1)
    # After one turn the figure 8 is upside down: v has become -v.
    column = np.where(row == rows, -column, column) % columns
    return (
        np.stack([out * np.cos(u), out * np.sin(u), up], axis=1) / 3.5,
        (row % rows) * columns + column,
    )


def quad(corners: Sequence[tuple[float, float, float]]) -> Arrays:
    """Two triangles between four corners."""
    return np.array(corners, dtype=np.float64), np.array([[0, 1, 2], [0, 2, 3]])


def rooms(across: int, deep: int) -> Arrays:
    """A block of rooms of 2 x 2 x 2, divided by walls of one face that share edges with the shell.

    The shell comes first, 4 triangles for each room and 4 for each room at the outline, facing outwards.
    """
    floor, roof, shell, walls = list[Arrays](), list[Arrays](), list[Arrays](), list[Arrays]()
    for x in range(0, 2 * across, 2):
        for y in range(0, 2 * deep, 2):
            floor.append(quad([(x, y, 0), (x, y + 2, 0), (x + 2, y + 2, 0), (x + 2, y, 0)]))
            roof.append(quad([(x, y, 2), (x + 2, y, 2), (x + 2, y + 2, 2), (x, y + 2, 2)]))
    for x in range(0, 2 * across + 1, 2):
        for y in range(0, 2 * deep, 2):
            upright = [(x, y, 0), (x, y + 2, 0), (x, y + 2, 2), (x, y, 2)]
            (shell if x in (0, 2 * across) else walls).append(quad(upright[:: 1 if x else -1]))
    for y in range(0, 2 * deep + 1, 2):
        for x in range(0, 2 * across, 2):
            upright = [(x, y, 0), (x + 2, y, 0), (x + 2, y, 2), (x, y, 2)]
            (shell if y in (0, 2 * deep) else walls).append(quad(upright[:: -1 if y else 1]))
    return joined(*floor, *roof, *shell, *walls)


def ring(sides: int, height: float) -> NDArray[np.float64]:
    """(sides, 3) points of a circle of radius 1 around z."""
    turn = 2 * np.pi * np.arange(sides) / sides
    return np.stack([np.cos(turn), np.sin(turn), np.full(sides, height)], axis=1)


def pot(wall: int, lid: int, gap: float = 0.0) -> list[Arrays]:
    """A cylinder of height 2 as three pieces that share no edge: the wall and two lids of other corners, all
    facing outwards."""
    here, following = np.arange(wall), (np.arange(wall) + 1) % wall
    lower = np.stack([here, following, following + wall], axis=1)
    upper = np.stack([here, following + wall, here + wall], axis=1)
    side = np.concatenate([ring(wall, -1), ring(wall, 1)]), np.concatenate([lower, upper])
    fan = np.stack([np.arange(lid), (np.arange(lid) + 1) % lid, np.full(lid, lid)], axis=1)
    lids = [
        (np.concatenate([ring(lid, height), [[0, 0, height]]]), fan[:, ::turn])
        for height, turn in ((-1 - gap, -1), (1 + gap, 1))
    ]
    return [side, *lids]
