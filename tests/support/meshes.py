"""Meshes of integers, and a coder of meshes with networks that know nothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from meshcodec.format.grid_mesh import GridMesh, Integers
from meshcodec.format.mesh_coder import FLAGS, NETWORKS, RANKS, SIZES, MeshCoder, standard_curves
from meshcodec.format.mesh_network import TOTAL, Network, Whole
from meshcodec.format.mesh_seeds import EXPERTS
from meshcodec.format.mesh_teller import RANK_CLASSES


def grid_mesh(positions: Sequence[Sequence[int]], faces: Sequence[Sequence[int]], bits: int = 6) -> GridMesh:
    return GridMesh(np.array(positions, dtype=np.int64), np.array(faces, dtype=np.int64), bits)


def soup(positions: Integers, faces: Integers, bits: int = 6) -> GridMesh | None:
    """What is left of any faces on any points: equal points merged, no face with a corner twice, none
    twice."""
    places, numbers = np.unique(positions, axis=0, return_inverse=True)
    corners = numbers.reshape(-1)[faces]
    seen = {
        tuple(np.roll(face, -int(face.argmin())).tolist()): None
        for face in corners
        if len(set(face.tolist())) == 3
    }
    if not seen:
        return None
    used, numbers = np.unique(np.array(list(seen)), return_inverse=True)
    return GridMesh(places[used], numbers.reshape(-1, 3).astype(np.int64), bits)


@st.composite
def soups(draw: st.DrawFn, most: int = 25) -> GridMesh:
    """Faces between random points: few points make edges of many faces, many make many parts."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    points, count = draw(st.integers(3, 40)), draw(st.integers(1, most))
    mesh = soup(
        rng.integers(0, draw(st.sampled_from((3, 16, 64))), (points, 3)), rng.integers(0, points, (count, 3))
    )
    return mesh or grid_mesh([[0, 0, 0], [5, 0, 0], [0, 3, 1]], [[0, 1, 2]])


def sheet(width: int, height: int, seed: int = 0) -> GridMesh:
    """An open height field of 2 * width * height faces."""
    x, y = (axis.ravel() for axis in np.indices((width + 1, height + 1)))
    z = np.random.default_rng(seed).integers(0, 4, len(x))
    corner = (np.arange(width)[:, None] * (height + 1) + np.arange(height)).ravel()
    right, up = corner + height + 1, corner + 1
    faces = np.concatenate([np.stack([corner, right, up], 1), np.stack([right, right + 1, up], 1)])
    return GridMesh(np.stack([4 * x, 4 * y, z], axis=1), faces.astype(np.int64), 6)


def sides_of(mesh: GridMesh) -> Integers:
    sides: Integers = np.maximum(mesh.positions.max(axis=0), 1)
    return sides


def oriented_faces(positions: Integers, faces: Integers) -> list[tuple[tuple[int, ...], ...]]:
    """Places of the corners of each face, whatever the order of faces and the corner that is first."""
    found = []
    for face in positions[faces].tolist():
        corners = [tuple(corner) for corner in face]
        first = corners.index(min(corners))
        found.append((corners[first], corners[(first + 1) % 3], corners[(first + 2) % 3]))
    return sorted(found)


@functools.cache
def random_mesh_coder(seed: int, loudness: int = 40, hidden: int = 6) -> MeshCoder:
    """Networks that depend on everything, in no sensible way."""
    rng = np.random.default_rng(seed)

    def numbers(*size: int) -> Whole:
        return rng.integers(-loudness, loudness + 1, size).astype(np.float64)

    def shares(kinds: int, values: int) -> Whole:
        counts = np.full((kinds, values), float(TOTAL // values))
        counts[:, 0] += TOTAL - counts.sum(axis=1)
        return counts

    networks = {
        name: Network(
            (numbers(SIZES[name][0], hidden), 8 * numbers(hidden, SIZES[name][1])),
            (100 * numbers(hidden), 500 * numbers(SIZES[name][1])),
        )
        for name in NETWORKS
    }
    return MeshCoder(
        networks,
        standard_curves(),
        shares(RANKS, RANK_CLASSES),
        shares(FLAGS, 2),
        np.full((3, EXPERTS), 400.0),
    )
