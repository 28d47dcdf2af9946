"""How many faces fit into a payload: a guess from faces and bits, set right by what was coded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meshcodec.format.grid_mesh import GridMesh


@dataclass(frozen=True)
class RateModel:
    """Bytes of coded meshes as a function of their size.

    A vertex costs ``vertex + 3 bits - spacing log2(faces)`` bits, but at least ``least``: the closer its
    neighbours are the better it is predicted. A face costs ``face`` bits. ``factor`` is what the mesh at hand
    costs over that.
    """

    vertex: float = 1.5
    spacing: float = 1.6
    least: float = 3.0
    face: float = 1.5
    head: float = 8.0
    factor: float = 1.0

    def size(self, vertices: float, faces: float, bits: int) -> float:
        """Bytes of a mesh."""
        each = max(self.vertex + 3 * bits - self.spacing * np.log2(max(faces, 2)), self.least)
        return float(self.factor * (vertices * each + faces * self.face + self.head) / 8)

    def faces_within(self, size: float, bits: int, vertices_each: float) -> int:
        """The largest number of faces, with so many vertices each, of at most ``size`` bytes; at least 4."""
        low, high = 4, 1 << 20
        while high - low > 1:
            middle = (low + high) // 2
            if self.size(middle * vertices_each, middle, bits) <= size:
                low = middle
            else:
                high = middle
        return low

    def corrected(self, mesh: GridMesh, size: int) -> RateModel:
        """The model with the factor that gives a coded mesh its size in bytes."""
        guess = self.size(len(mesh.positions), len(mesh.faces), mesh.bits)
        return replace(self, factor=self.factor * size / guess)
