"""How candidates of a mesh are made: a recipe becomes a mesh of the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from meshcodec.format.box import Axes
from meshcodec.format.grid_mesh import FLAT, GridMesh, MeshGrid
from meshcodec.geometry.triangles import Floats, Ints, compact
from meshcodec.modes.mesh.decimate import FROM_FITTED, Decimations, least_mesh
from meshcodec.modes.mesh.fit import ControlMesh, FitSettings, Sparse, Target, fit
from meshcodec.modes.mesh.holes import without_holes
from meshcodec.modes.mesh.original import Original
from meshcodec.modes.mesh.pinches import split_pinches
from meshcodec.modes.mesh.repeats import Repeats, copies_of, find_repeats
from meshcodec.modes.mesh.rounding import rounded, without_repeated

_ANCHORS = 1.25  # ratio of the face counts for which meshes are fitted on the way


class Work(IntEnum):
    """How the vertices of a coarse mesh are moved to the surface."""

    NONE = 0
    """They stay where the decimator has them."""
    QUICK = 1
    """By the first rounds of the fit: enough to tell candidates apart."""
    WHOLE = 2
    """By all rounds."""


@dataclass(frozen=True)
class Recipe:
    """How a candidate is made.

    Attributes
    ----------
    decimator : one of `meshcodec.modes.mesh.decimate.DECIMATORS`
    mirrored : axes across which a part of the mesh is mirrored
    bits : of a coordinate
    crease : FLAT or a Loop surface, as in `GridMesh`
    work : how its vertices are moved to the surface
    stepped : whether it is decimated from meshes that were fitted themselves: vertices that are placed well
        show better which of them can go (Hoppe et al. 1993 alternate like this)
    repeated : whether parts that are there more than once are coded once
    """

    decimator: str
    mirrored: Axes
    bits: int
    crease: int = FLAT
    work: Work = Work.QUICK
    stepped: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Coarse:
    """What a decimator made.

    Attributes
    ----------
    vertices, faces : (V, 3) and (F, 3), in the unit frame
    place : (V,) where each vertex was in `meshcodec.modes.mesh.repeats.Layout`; all 0 without repeated parts
    """

    vertices: Floats
    faces: Ints
    place: Ints


@dataclass(frozen=True)
class Piece:
    """What of the original is decimated, fitted and coded.

    Attributes
    ----------
    decimations : of it, parts that are repeated apart from each other
    target : it
    repeats : the parts of it that are there more than once; None where they all stay in it
    """

    decimations: Decimations
    target: Target
    repeats: Repeats | None = None

    def least(self) -> Coarse:
        """The coarsest mesh that any decimator makes."""
        return self.in_place(*least_mesh(self.decimations))

    def in_place(self, vertices: Floats, faces: Ints) -> Coarse:
        """A mesh that a decimator made, with the repeated parts where they belong."""
        if self.repeats is None:
            return Coarse(vertices, faces, np.zeros(len(vertices), dtype=np.int64))
        moved, place = self.repeats.layout.back(vertices)
        return Coarse(moved, faces, place)

    def apart(self, vertices: Floats, place: Ints) -> Floats:
        """(n, 3) vertices that belong to the mesh, where a decimator finds them."""
        return vertices if self.repeats is None else self.repeats.layout.apart(vertices, place)


class Maker:
    """Meshes by recipes; what several of them need is made once.

    Parameters
    ----------
    original : the mesh
    fits : numbers of the fit
    steps : as `meshcodec.modes.mesh.settings.MeshSettings.steps`
    seed : of all samples
    most_copies : of parts in one mesh
    """

    def __init__(
        self,
        original: Original,
        fits: FitSettings,
        steps: tuple[float, ...],
        seed: int,
        most_copies: int = 1 << 16,
    ) -> None:
        self._original, self._fits, self._ratios, self._seed = original, fits, steps, seed
        self._most_copies = most_copies
        self._stepped: dict[tuple[str, Axes, bool, int], Decimations] = {}
        self._pieces: dict[tuple[Axes, bool], Piece] = {}
        self._repeats: dict[Axes, Repeats] = {}
        self._last_coarse: tuple[tuple[Recipe, int], Coarse] | None = None
        self._last: tuple[tuple[Recipe, int], tuple[ControlMesh, Ints, Sparse | None]] | None = None

    def repeats(self, mirrored: Axes) -> Repeats:
        """The parts that are there more than once of what is left at the middle planes."""
        if mirrored not in self._repeats:
            self._repeats[mirrored] = find_repeats(*self._original.part(mirrored))
        return self._repeats[mirrored]

    def piece(self, mirrored: Axes, repeated: bool) -> Piece:
        """What recipes of these axes start from, with repeated parts once or as often as they are there."""
        if (mirrored, repeated) not in self._pieces:
            repeats = self.repeats(mirrored) if repeated else None
            vertices, faces = (repeats.vertices, repeats.faces) if repeats else self._original.part(mirrored)
            target = Target(vertices, faces, self._fits.samples, self._seed)
            vertices = repeats.layout.apart(vertices, repeats.layout.place) if repeats else vertices
            self._pieces[mirrored, repeated] = Piece(Decimations(vertices, faces, mirrored), target, repeats)
        return self._pieces[mirrored, repeated]

    def made(self, recipe: Recipe, count: int) -> tuple[GridMesh, MeshGrid]:
        """The mesh of a recipe, of about so many faces; it may have none."""
        control, place, hessian = self._fitted(recipe, count)
        piece = self.piece(recipe.mirrored, recipe.repeated)
        grid = self._original.grid(recipe.bits, recipe.mirrored)
        return self.on_grid(piece, control, place, grid, hessian, self._original.closed), grid

    def _fitted(self, recipe: Recipe, count: int) -> tuple[ControlMesh, Ints, Sparse | None]:
        """The mesh of a recipe before it is put on a grid, with the places of `Coarse`; the last one is made
        once for all grids."""
        key = replace(recipe, bits=0), count
        if self._last is None or self._last[0] != key:
            coarse = self.coarse(recipe, count)
            control = ControlMesh(coarse.vertices, coarse.faces, recipe.crease, recipe.mirrored)
            hessian = None
            if recipe.work != Work.NONE and len(control.faces):
                target = self.piece(recipe.mirrored, recipe.repeated).target
                result = fit(control, target, self._fits.quick if recipe.work == Work.QUICK else self._fits)
                control, hessian = result.mesh, result.hessian
            self._last = key, (control, coarse.place, hessian)
        return self._last[1]

    def on_grid(
        self,
        piece: Piece,
        control: ControlMesh,
        place: Ints,
        grid: MeshGrid,
        hessian: Sparse | None,
        apart: bool,
    ) -> GridMesh:
        """A piece's mesh on the grid, with the copies of its parts."""
        exact = grid.to_grid(self._original.to_world(control.vertices))
        mesh, at = rounded(control, exact, grid, hessian, apart, place if piece.repeats else None)
        if self._original.closed and len(mesh.faces):
            faces = without_holes(mesh.positions, mesh.faces, grid.mirrored)
            mesh = replace(mesh, faces=faces)
        if piece.repeats and len(mesh.faces):
            copies = copies_of(mesh, grid, piece.repeats, self._original, at, place, self._most_copies)
            mesh = replace(mesh, copies=copies)
        return mesh

    def coarse(self, recipe: Recipe, count: int) -> Coarse:
        """The mesh of a recipe before it is fitted; the last one is made once."""
        key = replace(recipe, bits=0, crease=FLAT, work=Work.NONE), count
        if self._last_coarse is None or self._last_coarse[0] != key:
            self._last_coarse = key, self._decimated(recipe, count)
        return self._last_coarse[1]

    def _decimated(self, recipe: Recipe, count: int) -> Coarse:
        piece = self.piece(recipe.mirrored, recipe.repeated)
        if recipe.stepped:
            vertices, faces = self._steps(recipe, count).mesh(FROM_FITTED, count)
        else:
            vertices, faces = piece.decimations.mesh(recipe.decimator, count)
        if self._original.closed:
            vertices, faces = split_pinches(*compact(vertices, without_repeated(faces, folds=True)))
        return piece.in_place(vertices, faces)

    def _steps(self, recipe: Recipe, count: int) -> Decimations:
        """Fitted meshes on the way to ``count`` faces, the decimations of the last; shared by near counts."""
        anchor = math.ceil(_ANCHORS ** math.ceil(math.log(max(count, 2), _ANCHORS)))
        key = recipe.decimator, recipe.mirrored, recipe.repeated, anchor
        if key not in self._stepped:
            piece = self.piece(recipe.mirrored, recipe.repeated)
            decimations, name = piece.decimations, recipe.decimator
            for ratio in self._ratios:
                coarse = piece.in_place(*decimations.mesh(name, round(ratio * anchor)))
                mesh = ControlMesh(coarse.vertices, coarse.faces, FLAT, recipe.mirrored)
                if len(mesh.faces):
                    mesh = fit(mesh, piece.target, self._fits.quick).mesh
                fitted = piece.apart(mesh.vertices, coarse.place)
                decimations, name = Decimations(fitted, mesh.faces, recipe.mirrored), FROM_FITTED
            self._stepped[key] = decimations
        return self._stepped[key]
