"""What encoding and decoding give beside the bytes and the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from meshcodec.format.payload import Packing
from meshcodec.geometry.triangles import Floats, Ints

if TYPE_CHECKING:
    import trimesh

Progress = Callable[[int, int, float, float], None]
"""Called with steps done, steps in all, loss, and the best F-score at 0.02 so far, by proxy."""

MOST = 4.0
"""The highest total of a `ModeScores`."""


@dataclass(frozen=True)
class MeshFacts:
    """What is coded in a file in mesh mode.

    Attributes
    ----------
    faces, vertices : as coded, before they are subdivided and mirrored
    bits : of a coordinate along the longest side
    crease : crease code of the surface, see `meshcodec.format.grid_mesh`
    closed : whether the decode is closed
    """

    faces: int
    vertices: int
    bits: int
    crease: int
    closed: bool


@dataclass(frozen=True)
class ModeScores:
    """What one way of coding reaches with a mesh, by the default decode.

    Attributes
    ----------
    mode : "mesh" or "tokens"
    bytes : bytes of its file
    fscores : F-scores at the distances of `meshcodec.config.TAUS`
    normal_consistency : 0 to 1
    seconds : seconds that encoding and measuring took
    """

    mode: str
    bytes: int
    fscores: tuple[float, ...]
    normal_consistency: float
    seconds: float

    @property
    def total(self) -> float:
        """What ways of coding are ranked by: the sum of the F-scores and the normal consistency."""
        return sum(self.fscores) + self.normal_consistency


@dataclass(frozen=True)
class Encoded:
    """A file and how it came about.

    Attributes
    ----------
    data : the ``.vat`` file
    tokens : tokens in it; 0 in a mesh
    packing : kind of the payload: 0, tokens of one byte each, 1, tokens range-coded, or 2, a mesh
    scales : scales of which there is a token
    effort : as asked for
    refined : whether the tokens of a round of refinement were kept, rather than those of the quick steps that
        every effort begins with
    interrupted : whether `stop` ended the refinement early
    seconds : seconds of each stage
    mesh : what a mesh of the file's own has; None where it holds tokens
    compared : the ways of coding that were measured, the one that was kept first; none where there was
        nothing to compare and nobody asked for the measurement
    """

    data: bytes
    tokens: int
    packing: Packing
    scales: int
    effort: int
    refined: bool
    interrupted: bool
    seconds: dict[str, float]
    mesh: MeshFacts | None = None
    compared: tuple[ModeScores, ...] = ()

    @property
    def mode(self) -> str:
        """The way of coding: "mesh" or "tokens"."""
        return "tokens" if self.mesh is None else "mesh"


@dataclass(frozen=True)
class Simplification:
    """What fewer faces cost.

    Attributes
    ----------
    faces : faces of the mesh before
    error : by how much the surface was moved, about, in longest sides of the box
    """

    faces: int
    error: float


@dataclass(frozen=True)
class Decoded:
    """A mesh and what its decoding cost.

    Attributes
    ----------
    surface : vertices (V, 3) and faces (F, 3), in the original frame; closed, unless the file holds an open
        mesh
    evaluated, total : points at which the field was evaluated, and points of the whole grid
    seconds : seconds of each stage
    simplified : what fewer faces cost; None where none were asked for, or there are no more
    """

    surface: tuple[Floats, Ints]
    evaluated: int
    total: int
    seconds: dict[str, float] = field(default_factory=dict)
    simplified: Simplification | None = None

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """The surface as others take it. trimesh is loaded here: who writes a file can do without."""
        import trimesh

        return trimesh.Trimesh(*self.surface, process=False)

    @property
    def resolution(self) -> int:
        """Cells a side of the grid; 0 where there was none."""
        side: float = self.total ** (1 / 3)
        return max(round(side) - 1, 0)
