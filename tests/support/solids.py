"""Solids of polygons whose areas and volumes are known, and what is true of triangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Outline = Sequence[tuple[float, float]]

U: Outline = ((0, 0), (10, 0), (10, 8), (8, 8), (8, 2), (2, 2), (2, 8), (0, 8))
"""A channel. The prism of height 2 has an area of 184 and a volume of 88."""
E: Outline = (
    *((0, 0), (10, 0), (10, 2), (3, 2), (3, 5), (8, 5)),
    *((8, 7), (3, 7), (3, 10), (10, 10), (10, 12), (0, 12)),
)
"""The letter. The prism of height 2 has an area of 284 and a volume of 148."""
L: Outline = ((0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3))
"""A bracket. The prism of height 2 has an area of 40 and a volume of 12."""
BOX: Outline = ((0, 0), (2, 0), (2, 1), (0, 1))
"""A rectangle. The prism of height 3 has an area of 22 and a volume of 6."""


@dataclass(frozen=True)
class Solid:
    """Vertices, (V, 3), and the corners of each polygon, counter-clockwise from outside."""

    vertices: NDArray[np.float64]
    polygons: list[list[int]]

    def obj(self) -> str:
        """As an OBJ file."""
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in self.vertices.tolist()]
        lines += ["f " + " ".join(str(corner + 1) for corner in polygon) for polygon in self.polygons]
        return "\n".join(lines) + "\n"

    def triangles(self) -> list[list[int]]:
        """The polygons as fans; right where they are convex."""
        return [[p[0], p[k], p[k + 1]] for p in self.polygons for k in range(1, len(p) - 1)]

    def facets(self) -> NDArray[np.float64]:
        """(F, 3, 3) corners of `triangles`."""
        return self.vertices[self.triangles()]


def prism(outline: Outline, height: float) -> Solid:
    """The solid between an outline, counter-clockwise, and the same above it."""
    count = len(outline)
    flat = np.array(outline, dtype=float)
    vertices = np.concatenate([np.column_stack([flat, np.full(count, z)]) for z in (0.0, height)])
    sides = [[k, (k + 1) % count, (k + 1) % count + count, k + count] for k in range(count)]
    return Solid(vertices, [[0, *range(count - 1, 0, -1)], list(range(count, 2 * count)), *sides])


def area_and_volume(vertices: NDArray[np.float64], faces: NDArray[np.integer]) -> tuple[float, float]:
    """The area of triangles, and the volume that they enclose, above 0 where they face outwards."""
    a, b, c = np.asarray(vertices, dtype=float)[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    return float(area), float((a * np.cross(b, c)).sum() / 6)


def outline_area(outline: NDArray[np.float64]) -> float:
    """The area of an outline (n, 2) by the shoelace formula, above 0 counter-clockwise."""
    x, y = outline.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
