"""The table of marching cubes against PyMCubes, which it was read off."""

from __future__ import annotations

import mcubes
import numpy as np

from meshcodec.surface.mc_table import CORNERS, EDGES, triangle_table


def test_the_table_is_that_of_pymcubes() -> None:
    numbers = {}
    for number, (corner, axis) in enumerate(EDGES):
        middle = [2 * d for d in CORNERS[corner]]
        middle[axis] = 1
        numbers[tuple(middle)] = number
    table = np.full((256, 5, 3), -1, dtype=np.int8)
    for case in range(1, 255):
        block = np.empty((2, 2, 2))
        for c, corner_at in enumerate(CORNERS):
            block[corner_at] = 1.0 if case >> c & 1 else -1.0
        vertices, faces = mcubes.marching_cubes(block, 0.0)
        edges = [numbers[tuple(v)] for v in np.rint(2 * vertices).astype(int).tolist()]
        for row, face in enumerate(faces):
            table[case, row] = [edges[v] for v in face]
    np.testing.assert_array_equal(triangle_table(), table)
    assert triangle_table().dtype == np.int8


def test_triangles_lie_on_crossed_edges_only() -> None:
    for case, triangles in enumerate(triangle_table()):
        used = {int(edge) for edge in triangles.ravel() if edge >= 0}
        crossed = {
            number
            for number, (corner, axis) in enumerate(EDGES)
            if (case >> corner & 1) != (case >> (corner | 1 << axis) & 1)
        }
        assert used == crossed
