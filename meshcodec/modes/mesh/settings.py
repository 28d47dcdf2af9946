"""Every tuned number of the mesh mode's encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshcodec.modes.mesh.decimate import DECIMATORS
from meshcodec.modes.mesh.fit import FitSettings
from meshcodec.modes.mesh.rates import RateModel


@dataclass(frozen=True)
class MeshEffort:
    """What one effort looks at.

    Attributes
    ----------
    fitted : how many decimators go on to the next question
    creases : codes with which Loop surfaces are fitted, beside the flat mesh
    depths : bits of a coordinate that are tried beside those that the size suggests, as differences
    finalists : candidates whose number of faces is set right by coding them
    codings : times that each of these is coded
    whole : whether of a symmetric mesh the whole is a candidate beside its half
    thorough : whether all creases and depths are tried; else none after one that shows the others to be worse
    """

    fitted: int = 1
    creases: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    finalists: int = 1
    codings: int = 2
    whole: bool = False
    thorough: bool = False


_MORE = (1, 2, 3, 4, 5)  # crease codes
EFFORTS = (
    MeshEffort(),
    MeshEffort(creases=(5,)),
    MeshEffort(creases=(3, 5)),
    MeshEffort(creases=(1, 3, 5)),
    MeshEffort(creases=(1, 3, 5), depths=(-1, 1)),
    MeshEffort(2, (1, 3, 5), (-1, 1), 2, 4, thorough=True),
    MeshEffort(2, _MORE, (-1, 1), 3, 4, thorough=True),
    MeshEffort(3, _MORE, (-1, 1), 4, 5, True, True),
    MeshEffort(4, (*_MORE, 6), (-1, 1, 2), 6, 6, True, True),
    MeshEffort(5, (*_MORE, 6), (-2, -1, 1, 2), 10, 8, True, True),
)
"""Efforts 0 to 9."""


@dataclass(frozen=True)
class MeshSettings:
    """Numbers of the mesh mode's encoder.

    Attributes
    ----------
    efforts : what each effort looks at, from 0 up
    depth_sizes : payload bytes from which on a coordinate has 7, 8, 9 and 10 bits, to begin with; 6 below
    most_faces : faces to which a mesh is decimated before anything else
    samples : points on each surface that candidates are measured with
    repeated : share of the area in parts that are there once more from which on they are coded once
    copied : copies for each byte of the payload, at most: of a copy of one to three bytes more is left than
        of another face only while they are few
    open_penalty : what a candidate that is not closed loses where the original is
    full : share of the payload that counts as full
    short : share of the payload below which a finalist is coded once more than the effort says
    poor : share of the payload below which it is coded for as long as there are codings
    aim : share of the payload that meshes are made for
    smooth : share of the length of edges with an angle of 60 degrees or more up to which a mesh is smooth
    fair_crease : what a Loop surface may lack to the flat mesh where one with other creases may be better
    even : quality from which on no other way to make a mesh is tried
    rough : quality up to which fewer bits are tried first, and above it more
    few_compared : decimators, the best before a fit, whose meshes are fitted to be compared; all of them in a
        thorough effort
    many_faces : faces above which these are no more than go on: many are measured as quickly as few, but take
        long to fit
    steps : faces of the meshes that are fitted on the way to a coarser one, over those of that
    fit : numbers of the fit
    rate : the rate model to begin with
    """

    efforts: tuple[MeshEffort, ...] = EFFORTS
    depth_sizes: tuple[int, ...] = (200, 500, 2500, 12000)
    most_faces: int = 60_000
    samples: int = 8000
    repeated: float = 0.1
    copied: float = 0.1
    open_penalty: float = 0.15
    full: float = 0.98
    short: float = 0.93
    poor: float = 0.9
    aim: float = 0.99
    smooth: float = 0.05
    fair_crease: float = 0.05
    even: float = 3.975
    rough: float = 3.6
    many_faces: int = 1500
    few_compared: int = 2
    steps: tuple[float, ...] = (1.5,)
    fit: FitSettings = field(default_factory=FitSettings)
    rate: RateModel = field(default_factory=RateModel)

    def fills(self, share: float) -> bool:
        """Whether a message that takes such a share of the payload counts as full."""
        return self.full <= share <= 1

    def more_codings(self, share: float) -> int:
        """Codings beyond those of the effort for a finalist that takes such a share of the payload.

        Where the share is poor, more than a search ever makes.
        """
        return 1000 if share < self.poor else int(share < self.short)

    def most_copies(self, size: int) -> int:
        """Copies of parts in a payload of ``size`` bytes, at most."""
        return int(self.copied * size)

    def suffices(self, quality: float, effort: MeshEffort) -> bool:
        """Whether such a quality leaves next to nothing to other ways to make a mesh."""
        return not effort.thorough and quality >= self.even

    def compared(self, faces: int, effort: MeshEffort) -> int:
        """Decimators whose meshes of so many faces are fitted to be compared, the best before that."""
        if faces > self.many_faces:
            return effort.fitted
        return len(DECIMATORS) if effort.thorough else max(effort.fitted, self.few_compared)

    def depth(self, size: int) -> int:
        """Bits of a coordinate with which the search for a payload of ``size`` bytes begins."""
        return 6 + sum(size >= least for least in self.depth_sizes)
