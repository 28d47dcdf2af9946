"""A mesh to the small mesh that says most about it in a number of bytes.

    decimators ─> coarse meshes ─> fitted, flat or as a Loop surface ─> on the grid ─> measured ─> coded

A rate model says how many faces fit. The search goes one question after the other, each with the best answers
of those before: which decimator, flat or a Loop surface with creases at which angle, how many bits a
coordinate. What measures best is coded, and made anew with as many faces as then turn out to fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from meshcodec.errors import DoesNotFitError
from meshcodec.format.box import NO_AXES, Axes
from meshcodec.format.grid_mesh import FLAT, LEAST_BITS, MOST_BITS, GridMesh, Integers, MeshGrid
from meshcodec.format.mesh_coder import MOST_FACES
from meshcodec.geometry.triangles import Floats, Ints, MeshLike, compact
from meshcodec.metrics import Scores, is_closed
from meshcodec.modes.mesh.decimate import DECIMATORS, FROM_FITTED, Decimations, least_mesh
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.fit import ControlMesh, Target, fit
from meshcodec.modes.mesh.original import Original, original_of
from meshcodec.modes.mesh.pinches import split_pinches
from meshcodec.modes.mesh.rounding import rounded, without_repeated
from meshcodec.modes.mesh.settings import MeshSettings

_TOO_MANY = 1.3  # faces of a candidate over those that fit from which on it is not looked at
_ANCHORS = 1.25  # ratio of the face counts for which meshes are fitted on the way
_MEASURED_FACES = 10_000  # faces of a Loop surface that is measured: more do not measure better
_MOST_CODINGS = 12  # of a finalist of which nothing fits yet
_LEAST_FACES = 4  # that are asked of a decimator
_EDGES = 0.5  # vertices for each face of a closed mesh, to begin with


class MeshCoder(Protocol):
    """Messages of meshes, and meshes of messages."""

    def encode(self, mesh: GridMesh, sides: Integers) -> bytes:
        """The message of a mesh on a grid of (3,) sides."""


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
    """

    decimator: str
    mirrored: Axes
    bits: int
    crease: int = FLAT
    work: Work = Work.QUICK
    stepped: bool = False


@dataclass(frozen=True)
class Candidate:
    """A mesh that may be written.

    Attributes
    ----------
    recipe : how it was made
    asked : faces that the decimator was asked for
    mesh, grid : what a file would hold
    quality : sum of the F-scores at all distances and the normal consistency, less the penalty
    payload : its message; None where it was not coded
    """

    recipe: Recipe
    asked: int
    mesh: GridMesh
    grid: MeshGrid
    quality: float
    payload: bytes | None = None


class MeshSearch:
    """The search for the best mesh of one original in a payload of one size.

    Parameters
    ----------
    original : the mesh
    size : bytes of the message, at most
    coder : of the messages
    effort : 0 to 9
    settings : tuned numbers
    seed : of all samples
    stop : when it says True, the best candidate so far is filled and taken
    """

    def __init__(
        self,
        original: Original,
        size: int,
        coder: MeshCoder,
        effort: int = 4,
        settings: MeshSettings | None = None,
        seed: int = 0,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._original, self._size, self._coder = original, size, coder
        self._stop = stop or (lambda: False)
        self._settings = settings or MeshSettings()
        self._effort = self._settings.efforts[effort]
        self._seed = seed
        self._reference = original.reference(self._settings.samples, seed)
        self._rate = self._settings.rate
        self._vertices_each = _EDGES
        self._stepped: dict[tuple[str, Axes, int], Decimations] = {}
        self._parts: dict[Axes, tuple[Decimations, Target]] = {}
        self.tried: list[Candidate] = []

    def best(self) -> Candidate:
        """The candidate to be written; its payload is at most as long as asked for.

        Raises
        ------
        DoesNotFitError
            Even the coarsest mesh takes more bytes.
        """
        effort, depth = self._effort, self._settings.depth(self._size)
        begin = [Recipe(name, axes, depth) for axes in self._ways() for name in DECIMATORS]
        self._calibrate(begin)
        found = self._ranked(self._made_of(begin))[: effort.fitted]
        chosen = self._recipes(found)
        plain = self._made_of([replace(recipe, work=Work.NONE) for recipe in chosen])
        found += self._made_of([replace(recipe, stepped=True) for recipe in chosen])
        top = self._recipes(self._ranked(found)[:1])
        found += self._made_of([replace(recipe, crease=code) for recipe in top for code in effort.creases])
        for recipe in self._recipes(self._ranked(found + plain)[:1]):
            depths = [recipe.bits + d for d in effort.depths if LEAST_BITS <= recipe.bits + d <= MOST_BITS]
            found += self._made_of([replace(recipe, bits=bits) for bits in depths])
        finalists = self._ranked(found + plain)[: 1 if self._stop() else effort.finalists]
        fitting = self._ranked([one for one in map(self._filled, finalists) if one is not None])
        return fitting[0] if fitting else self._least()

    def _recipes(self, candidates: list[Candidate]) -> list[Recipe]:
        return [one.recipe for one in candidates]

    def _ways(self) -> list[Axes]:
        """The axes across which candidates are mirrored."""
        mirrored = self._original.mirrored
        return [mirrored, NO_AXES] if self._effort.whole and mirrored != NO_AXES else [mirrored]

    def _made_of(self, recipes: list[Recipe]) -> list[Candidate]:
        """The candidates of those recipes that give one."""
        made = []
        for recipe in recipes:
            if self.tried and self._stop():
                break
            candidate = self._candidate(recipe)
            if candidate is not None:
                made.append(candidate)
        return made

    def _calibrate(self, recipes: list[Recipe]) -> None:
        """Code one mesh that is about as large as fits, so that the rate model knows what this mesh costs."""
        for recipe in recipes:
            count = self._faces_for(recipe)
            if not self._comes_down(recipe, count):
                continue
            mesh, grid = self._made(recipe, count)
            if len(mesh.faces):
                self._learn(mesh, len(self._coder.encode(mesh, grid.sides)))
                return

    def _learn(self, mesh: GridMesh, size: int) -> None:
        self._rate = self._rate.corrected(mesh, size)
        self._vertices_each = len(mesh.positions) / len(mesh.faces)

    def _faces_for(self, recipe: Recipe) -> int:
        return self._rate.faces_within(self._size, recipe.bits, self._vertices_each)

    def _part(self, mirrored: Axes) -> tuple[Decimations, Target]:
        if mirrored not in self._parts:
            vertices, faces = self._original.part(mirrored)
            target = Target(vertices, faces, self._settings.fit.samples, self._seed)
            self._parts[mirrored] = Decimations(vertices, faces, mirrored), target
        return self._parts[mirrored]

    def _made(self, recipe: Recipe, count: int) -> tuple[GridMesh, MeshGrid]:
        """The mesh of a recipe, of about so many faces; it may have none."""
        mirrored, fits = recipe.mirrored, self._settings.fit
        target = self._part(mirrored)[1]
        control = ControlMesh(*self._coarse(recipe, count), recipe.crease, mirrored)
        hessian = None
        if recipe.work != Work.NONE and len(control.faces):
            result = fit(control, target, fits.quick if recipe.work == Work.QUICK else fits)
            control, hessian = result.mesh, result.hessian
        grid = self._original.grid(recipe.bits, mirrored)
        places = grid.to_grid(self._original.to_world(control.vertices))
        return rounded(control, places, grid, hessian, self._original.closed), grid

    def _coarse(self, recipe: Recipe, count: int) -> tuple[Floats, Ints]:
        """The mesh of a recipe before it is fitted."""
        if recipe.stepped:
            vertices, faces = self._steps(recipe, count).mesh(FROM_FITTED, count)
        else:
            vertices, faces = self._part(recipe.mirrored)[0].mesh(recipe.decimator, count)
        if self._original.closed:
            return split_pinches(*compact(vertices, without_repeated(faces, folds=True)))
        return vertices, faces

    def _steps(self, recipe: Recipe, count: int) -> Decimations:
        """Fitted meshes on the way to ``count`` faces, the decimations of the last; shared by near counts."""
        anchor = math.ceil(_ANCHORS ** math.ceil(math.log(max(count, 2), _ANCHORS)))
        key = recipe.decimator, recipe.mirrored, anchor
        if key not in self._stepped:
            decimations, target = self._part(recipe.mirrored)
            name = recipe.decimator
            for ratio in self._settings.steps:
                mesh = ControlMesh(*decimations.mesh(name, round(ratio * anchor)), FLAT, recipe.mirrored)
                if len(mesh.faces):
                    mesh = fit(mesh, target, self._settings.fit.quick).mesh
                decimations, name = Decimations(mesh.vertices, mesh.faces, recipe.mirrored), FROM_FITTED
            self._stepped[key] = decimations
        return self._stepped[key]

    def _comes_down(self, recipe: Recipe, count: int) -> bool:
        """Whether the decimator gives about as few faces as it is asked for, and a file can hold them."""
        return 0 < len(self._coarse(recipe, count)[1]) <= min(_TOO_MANY * count, MOST_FACES)

    def _candidate(self, recipe: Recipe, count: int | None = None) -> Candidate | None:
        """The candidate of a recipe, measured; None where the decimator does not come down to the count."""
        asked = count or self._faces_for(recipe)
        if not self._comes_down(recipe, asked):
            return None
        mesh, grid = self._made(recipe, asked)
        if not len(mesh.faces):
            return None
        candidate = Candidate(recipe, asked, mesh, grid, self._quality(mesh, grid))
        self.tried.append(candidate)
        return candidate

    def _quality(self, mesh: GridMesh, grid: MeshGrid) -> float:
        decoded = decoded_surface(mesh, grid, _MEASURED_FACES)
        scores: Scores = self._reference.score(decoded, exterior=False, points=False, iou=False)
        opened = self._original.closed and not is_closed(decoded)
        return sum(scores.f) + scores.normal_consistency - opened * self._settings.open_penalty

    def _ranked(self, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates, the best first."""
        return sorted(candidates, key=lambda one: -one.quality)

    def _filled(self, candidate: Candidate) -> Candidate | None:
        """A candidate coded, with as many faces as then fit; None where it has none that are few enough."""
        if candidate.recipe.work == Work.QUICK:
            whole = self._candidate(replace(candidate.recipe, work=Work.WHOLE), candidate.asked)
            candidate = candidate if whole is None else whole
        best: Candidate | None = None
        low, high = 0, 1 << 20  # faces asked for that fit, and that do not
        for number in range(_MOST_CODINGS):
            message = self._message(candidate)
            if len(message) <= self._size:
                low = max(low, candidate.asked)
                if best is None or candidate.quality > best.quality:
                    best = replace(candidate, payload=message)
            else:
                high = min(high, candidate.asked)
            enough = best is not None and (number + 1 >= self._effort.codings or self._stop())
            if enough or self._settings.full * self._size <= len(message) <= self._size:
                break
            count = round(candidate.asked * self._faces_for(candidate.recipe) / len(candidate.mesh.faces))
            again = self._next(candidate.recipe, count, low, high)
            if again is None:
                break
            candidate = again
        return best

    def _message(self, candidate: Candidate) -> bytes:
        """The message of a candidate; the rate model learns from it."""
        message = self._coder.encode(candidate.mesh, candidate.grid.sides)
        self._learn(candidate.mesh, len(message))
        return message

    def _next(self, recipe: Recipe, count: int, low: int, high: int) -> Candidate | None:
        """A candidate of about so many faces, or between what is known to fit and what is known not to."""
        if not low < count < high:
            count = (low + min(high, 2 * max(low, _LEAST_FACES))) // 2
        for asked in (count, (count + low) // 2, (count + 3 * low) // 4):
            if max(low, _LEAST_FACES - 1) < asked < high:
                found = self._candidate(recipe, asked)
                if found is not None:
                    return found
        return None

    def _least(self) -> Candidate:
        """The coarsest mesh there is. Raises DoesNotFitError where that is too much."""
        sizes = []
        for axes in self._ways():
            decimations, _ = self._part(axes)
            vertices, faces = least_mesh(decimations)
            grid = self._original.grid(LEAST_BITS, axes)
            control = ControlMesh(vertices, faces, FLAT, axes)
            places = grid.to_grid(self._original.to_world(vertices))
            mesh = rounded(control, places, grid, None, False)
            payload = self._coder.encode(mesh, grid.sides)
            if len(payload) <= self._size:
                recipe = Recipe("least", axes, grid.bits, work=Work.NONE)
                return Candidate(recipe, len(faces), mesh, grid, self._quality(mesh, grid), payload)
            sizes.append(len(payload))
        least = min(sizes)
        raise DoesNotFitError(
            f"as a mesh it takes {least} bytes of payload at least, and there are {self._size}",
            "ask for a larger size",
            least,
        )


def encode_grid_mesh(
    mesh: MeshLike,
    size: int,
    coder: MeshCoder,
    effort: int = 4,
    settings: MeshSettings | None = None,
    mirrored: Axes | None = None,
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Candidate:
    """The mesh of the grid, and its message, that says most about a mesh in ``size`` bytes of message.

    Parameters
    ----------
    mesh : in its own frame
    size : bytes of the message, at most
    coder : of the messages
    effort : 0 to 9
    settings : tuned numbers
    mirrored : the mesh's mirrored axes, where they are known; None looks for them
    seed : of all samples; the same gives the same bytes
    stop : when it says True, the best candidate so far is filled and taken

    Raises
    ------
    BadMeshError
        The mesh holds no surface.
    DoesNotFitError
        Even the coarsest mesh takes more bytes.
    """
    settings = settings or MeshSettings()
    original = original_of(mesh, settings.most_faces, mirrored, seed)
    return MeshSearch(original, size, coder, effort, settings, seed, stop).best()
