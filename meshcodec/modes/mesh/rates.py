"""How many faces fit into a payload: a guess from faces and bits, set right by what was coded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meshcodec.format.grid_mesh import GridMesh

_LEAST_FACES = 4  # that are asked of a decimator
_VERTICES_EACH = 0.5  # vertices for each face of a closed mesh


@dataclass(frozen=True)
class RateModel:
    """Bytes of coded meshes as a function of their size.

    A vertex costs ``vertex + bit bits - spacing log2(faces)`` bits, but at least ``least``: the closer its
    neighbours are the better it is predicted. A face costs ``face`` bits. What a vertex of the mesh at hand
    costs over that is in ``vertex``; ``factor`` makes good what is left where a vertex costs the least.
    """

    vertex: float = 7.5
    bit: float = 2.5
    spacing: float = 1.6
    least: float = 3.0
    face: float = 1.5
    head: float = 8.0
    factor: float = 1.0

    def size(self, vertices: float, faces: float, bits: int) -> float:
        """Bytes of a mesh."""
        each = max(self._each(faces, bits), self.least)
        return float(self.factor * (vertices * each + faces * self.face + self.head) / 8)

    def _each(self, faces: float, bits: int) -> float:
        return float(self.vertex + self.bit * bits - self.spacing * np.log2(max(faces, 2)))

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
        """The model with the numbers that give a coded mesh its size in bytes."""
        vertices, faces = len(mesh.positions), len(mesh.faces)
        each = (8 * size - faces * self.face - self.head) / vertices
        model = replace(
            self, vertex=self.vertex + max(each, self.least) - self._each(faces, mesh.bits), factor=1.0
        )
        return replace(model, factor=size / model.size(vertices, faces, mesh.bits))


class RateEstimator:
    """A rate model that is set right by every mesh that is coded.

    Parameters
    ----------
    model : to begin with
    """

    def __init__(self, model: RateModel) -> None:
        self._model, self._vertices_each = model, _VERTICES_EACH

    def learn(self, mesh: GridMesh, size: int) -> None:
        """Take note of the bytes that a mesh took."""
        self._model = self._model.corrected(mesh, size)
        self._vertices_each = len(mesh.positions) / len(mesh.faces)

    def faces_within(self, size: float, bits: int) -> int:
        """As of `RateModel.faces_within`, with as many vertices each as the last mesh had."""
        return self._model.faces_within(size, bits, self._vertices_each)


def next_counts(sizes: dict[int, int], size: int, aim: float, guess: int) -> list[int]:
    """Numbers of faces to ask for next, the best first: more than fit, and fewer than do not.

    Parameters
    ----------
    sizes : bytes of the message by faces asked for, of all meshes that were coded
    size : bytes of the message, at most
    aim : share of them to be used
    guess : what a rate model says; not needed where both a mesh that fits and one that does not are known
    """
    low = max((asked for asked, found in sizes.items() if found <= size), default=0)
    high = min((asked for asked, found in sizes.items() if found > size), default=1 << 20)
    count = guess
    if low in sizes and high in sizes:
        share = (aim * size - sizes[low]) / (sizes[high] - sizes[low])
        count = round(low + share * (high - low))
    if not low < count < high:
        count = (low + min(high, 2 * max(low, _LEAST_FACES))) // 2
    tried = count, (count + low) // 2, (count + 3 * low) // 4
    return [asked for asked in tried if max(low, _LEAST_FACES - 1) < asked < high]
