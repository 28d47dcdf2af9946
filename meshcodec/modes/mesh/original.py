"""The mesh that is to be encoded in the mesh mode: merged, placed, and cut in half where it is symmetric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshcodec.errors import BadMeshError
from meshcodec.format.box import NO_AXES, Axes, Triple
from meshcodec.format.grid_mesh import MeshGrid
from meshcodec.geometry.normalize import round_placement
from meshcodec.geometry.signed_distance import turned_faces
from meshcodec.geometry.simplify import decimator
from meshcodec.geometry.symmetry import mirror_axes
from meshcodec.geometry.triangles import Floats, Ints, MeshLike, merge_identical, mesh_arrays
from meshcodec.metrics import Reference, is_closed
from meshcodec.modes.mesh.halves import upper_half
from meshcodec.surface.loop import crease_edges, edges_of

_NEAR_PLANE = 1e-3  # distance from a middle plane, in the unit frame, within which a vertex is in it
_SHARP = 5  # code of creases from 60 degrees on
_THINNEST = 1 / 255  # least side of a box over its longest: a flat mesh keeps a grid of a step or two


@dataclass(frozen=True)
class Original:
    """A mesh to encode.

    Attributes
    ----------
    vertices, faces : (V, 3) and (F, 3), in the unit frame: the middle of the box at 0, its longest
        half-extent 1; no vertex twice, at most as many faces as were asked for
    center, half_extents : the box, as a file stores it
    mirrored : axes across whose middle planes the mesh is its own image
    closed : whether the mesh is closed (`meshcodec.metrics.is_closed`)
    """

    vertices: Floats
    faces: Ints
    center: Triple
    half_extents: Triple
    mirrored: Axes
    closed: bool

    def grid(self, bits: int, mirrored: Axes) -> MeshGrid:
        """The grid of the box at a depth, for the whole mesh or for a part that is mirrored."""
        return MeshGrid(self.center, self.half_extents, mirrored, bits)

    def to_world(self, points: Floats) -> Floats:
        """Points (n, 3) of the unit frame in that of the mesh."""
        world: Floats = points * max(self.half_extents) + np.array(self.center)
        return world

    def to_unit(self, points: Floats) -> Floats:
        """Points (n, 3) of the mesh's frame in the unit frame."""
        unit: Floats = (points - np.array(self.center)) / max(self.half_extents)
        return unit

    @cached_property
    def sharpness(self) -> float:
        """Share of the length of its edges where two faces meet at 60 degrees or more."""
        edges = edges_of(self.faces, len(self.vertices))
        lengths = np.linalg.norm(self.vertices[edges.ends[:, 1]] - self.vertices[edges.ends[:, 0]], axis=1)
        sharp = crease_edges(self.vertices, self.faces, edges, _SHARP) & ~edges.border
        return float(lengths[sharp].sum() / lengths.sum())

    def part(self, mirrored: Axes) -> tuple[Floats, Ints]:
        """Vertices and faces of what is left of the mesh once it is cut at the planes of the axes."""
        if mirrored == NO_AXES:
            return self.vertices, self.faces
        return self._half if mirrored == self.mirrored else self._cut(mirrored)

    @cached_property
    def _half(self) -> tuple[Floats, Ints]:
        return self._cut(self.mirrored)

    def _cut(self, mirrored: Axes) -> tuple[Floats, Ints]:
        return upper_half(self.vertices, self.faces, mirrored, _NEAR_PLANE)

    def reference(self, samples: int, seed: int) -> Reference:
        """What decodes, in the frame of the mesh, are ranked by."""
        return Reference((self.to_world(self.vertices), self.faces), samples=samples, seed=seed, quick=True)


def original_of(mesh: MeshLike, most_faces: int, mirrored: Axes | None = None, seed: int = 0) -> Original:
    """A mesh made ready for the mesh mode.

    Parameters
    ----------
    mesh : in its own frame
    most_faces : a mesh of more faces is decimated to about as many first
    mirrored : its mirrored axes, where they are known; None looks for them
    seed : of the samples that the search for them takes

    Raises
    ------
    BadMeshError
        The mesh holds no surface, or no coordinates that a file can hold.
    """
    vertices, faces = merge_identical(*mesh_arrays(mesh))
    if not len(faces):
        raise BadMeshError("all its faces are degenerate", "give a mesh with a surface")
    center, half_extents = round_placement(vertices, lambda reach: np.maximum(reach, reach.max() * _THINNEST))
    unit = (vertices - np.array(center)) / max(half_extents)
    faces = turned_faces(unit, faces)
    closed = is_closed((vertices, faces))
    axes = mirror_axes(vertices, faces, seed) if mirrored is None else mirrored
    if len(faces) > most_faces:
        unit, faces = merge_identical(*decimator("prune")(unit, faces, most_faces))
    return Original(unit, faces, center, half_extents, axes, closed)
