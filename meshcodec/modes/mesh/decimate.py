"""Coarse meshes of one mesh by several decimators, each made once.

========  ============================================================================================
quadric   fast_simplification: best on closed scans, stalls on many parts, on long thin triangles (the side
          of a cylinder) and where edges have three faces
halved    meshoptimizer with pruning, in steps to half the faces: each step measures its errors anew and
          prunes anew, which keeps more of many small parts than to go there at once
welded    the same after clustering to eight times the faces: what nearly touches is joined
clustered the same after clustering to twice the faces
sloppy    clustering alone, whatever the topology
========  ============================================================================================
"""

from __future__ import annotations

import numpy as np

from meshcodec.format.box import Axes
from meshcodec.geometry.simplify import decimator
from meshcodec.geometry.triangles import Floats, Ints, compact, merge_identical
from meshcodec.surface.loop import edges_of

FROM_FITTED = "halved"  # decimator that takes fitted meshes further: it leaves vertices in their places
DECIMATORS = ("halved", "quadric", "welded", "clustered", "sloppy")
CLOSE = ("halved", "quadric")  # those that keep parts apart
_CLUSTERED = {"welded": 8, "clustered": 2}  # faces that are left by clustering, over those wanted
_IN_PLANE = (
    0.5  # height of a border vertex above a middle plane, over the mean of its edges, that is an error
)
_FAILED = 0.3  # share of the faces wanted below which a decimator has failed
_STALLED = 0.97  # share of its faces that a step leaves where no step will do more
_COARSE = (4, 8, 16, 32)  # faces of the coarsest meshes that are looked for
_Mesh = tuple[Floats, Ints]


class Decimations:
    """The decimations of a mesh, by decimator and number of faces.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3), no vertex twice
    mirrored : axes across which the mesh is to be mirrored: its border in their planes stays there
    """

    def __init__(self, vertices: Floats, faces: Ints, mirrored: Axes) -> None:
        self.vertices, self.faces = vertices, faces
        self._mirrored = mirrored
        self._made: dict[tuple[str, int], _Mesh] = {}
        self._halves = [(vertices, faces)]

    def mesh(self, name: str, count: int) -> _Mesh:
        """A mesh of about ``count`` faces or fewer, by one of `DECIMATORS`; it may have many more where the
        decimator cannot go on, and none where it fails."""
        if count >= len(self.faces):
            return self.vertices, self.faces
        if (name, count) not in self._made:
            vertices, faces = self._decimated(name, count)
            vertices, faces = merge_identical(self._snapped(vertices, faces), faces)
            if len(faces) < _FAILED * count:
                vertices, faces = vertices[:0], faces[:0]
            self._made[name, count] = vertices, faces
        return self._made[name, count]

    def _decimated(self, name: str, count: int) -> _Mesh:
        if name in ("quadric", "sloppy"):
            return decimator(name)(self.vertices, self.faces, count)
        if name == "halved":
            while len(self._halves[-1][1]) > 2 * count:
                finer = self._halves[-1]
                coarser = _pruned(finer, len(finer[1]) // 2)
                if len(coarser[1]) > _STALLED * len(finer[1]):
                    break
                self._halves.append(coarser)
            return _pruned(next(one for one in reversed(self._halves) if len(one[1]) >= count), count)
        joined = self.vertices, self.faces
        if _CLUSTERED[name] * count < len(self.faces):
            vertices, clustered = decimator("sloppy")(*joined, _CLUSTERED[name] * count)
            joined = merge_identical(self._snapped(vertices, clustered), clustered)
        while len(joined[1]) > 2 * count:
            finer, joined = joined, _pruned(joined, len(joined[1]) // 2)
            if len(joined[1]) > _STALLED * len(finer[1]):
                break
        return _pruned(joined, count)

    def _snapped(self, vertices: Floats, faces: Ints) -> Floats:
        """Border vertices that a decimator has moved out of a middle plane are moved back."""
        if not any(self._mirrored) or not len(faces):
            return vertices
        edges = edges_of(faces, len(vertices))
        lengths = np.linalg.norm(vertices[edges.ends[:, 1]] - vertices[edges.ends[:, 0]], axis=1)
        sums = np.bincount(edges.ends.reshape(-1), np.repeat(lengths, 2), len(vertices))
        uses = np.bincount(edges.ends.reshape(-1), minlength=len(vertices))
        border = np.zeros(len(vertices), dtype=bool)
        border[edges.ends[edges.border]] = True
        near = _IN_PLANE * sums / np.maximum(uses, 1)
        result = np.maximum(vertices, np.where(self._mirrored, 0.0, -np.inf))
        for axis in np.flatnonzero(self._mirrored):
            result[border & (result[:, axis] < near), axis] = 0.0
        return result


def _pruned(mesh: _Mesh, count: int) -> _Mesh:
    """About ``count`` faces by meshoptimizer, which also drops parts that have become too small."""
    return merge_identical(*decimator("prune")(*mesh, count)) if count < len(mesh[1]) else mesh


def least_mesh(decimations: Decimations) -> _Mesh:
    """The coarsest mesh that any decimator makes."""
    found = [decimations.mesh(name, count) for name in DECIMATORS for count in _COARSE]
    found.append((decimations.vertices, decimations.faces))  # where all decimators fail
    vertices, faces = min((mesh for mesh in found if len(mesh[1])), key=lambda mesh: len(mesh[1]))
    return compact(vertices, faces)
