"""A mesh to the small mesh that says most about it in a number of bytes.

    decimators ─> coarse meshes ─> fitted, flat or as a Loop surface ─> on the grid ─> measured ─> coded

A rate model says how many faces fit. The search goes one question after the other, each with the best answers
of those before: which decimator, flat or a Loop surface with creases at which angle, how many bits a
coordinate. What measures best is coded, and made anew with as many faces as then turn out to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from meshcodec.errors import DoesNotFitError
from meshcodec.format.box import NO_AXES, Axes
from meshcodec.format.grid_mesh import FLAT, MOST_FACES, SMOOTH, GridMesh, Integers, MeshGrid
from meshcodec.format.mesh_coder import depths
from meshcodec.geometry.triangles import MeshLike
from meshcodec.metrics import Scores, is_closed
from meshcodec.modes.mesh.decimate import CLOSE, DECIMATORS
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.fit import ControlMesh
from meshcodec.modes.mesh.make import Maker, Recipe, Work
from meshcodec.modes.mesh.original import Original, original_of
from meshcodec.modes.mesh.rates import RateEstimator, next_counts
from meshcodec.modes.mesh.settings import MeshSettings

_TOO_MANY = 1.3  # faces of a candidate over those that fit from which on it is not looked at
_MEASURED_FACES = 10_000  # faces of a Loop surface that is measured: more do not measure better
_MOST_CODINGS = 12  # of a finalist of which nothing fits yet, or little
_MOST_CODINGS_COPIED = 6  # the same where it has copies, which take what they take
_LOST = 0.1  # quality: the whole fit may make two parts one, and then all copies of one of them are lost
_SPOILED = 0.1  # quality that a finalist loses where it no longer says the same
_SPARE = 3  # finalists beyond those of the effort, in place of spoiled ones


class MeshCoder(Protocol):
    """Messages of meshes, and meshes of messages."""

    def encode(self, mesh: GridMesh, sides: Integers) -> bytes:
        """The message of a mesh on a grid of (3,) sides."""


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
        self._reference = original.reference(self._settings.samples, seed)
        # What a mesh costs is another thing where parts of it have copies.
        self._rates = {repeated: RateEstimator(self._settings.rate) for repeated in (False, True)}
        copies = self._settings.most_copies(size)
        self._maker = Maker(original, self._settings.fit, self._settings.steps, seed, copies)
        self.tried: list[Candidate] = []

    def best(self) -> Candidate:
        """The candidate to be written; its payload is at most as long as asked for.

        Raises
        ------
        DoesNotFitError
            Even the coarsest mesh takes more bytes.
        """
        effort, depth = self._effort, self._settings.depth(self._size)
        begin = [
            Recipe(name, axes, depth, repeated=repeated)
            for axes, repeated in self._ways()
            for name in (CLOSE if repeated else DECIMATORS)
        ]
        self._calibrate(begin)
        plain = self._made_of([replace(recipe, work=Work.NONE) for recipe in begin])
        most = self._settings.compared(self._faces_for(begin[0]), effort)
        fitted = [replace(one.recipe, work=Work.QUICK) for one in _best_of_each(plain, most)]
        found = _best_of_each(self._made_of(fitted), effort.fitted)
        kept = [replace(one.recipe, work=Work.NONE) for one in found]
        plain = [one for one in plain if one.recipe in kept]
        if not any(self._settings.suffices(one.quality, effort) for one in found):
            found += self._made_of([replace(one.recipe, stepped=True) for one in found])
        for top in _ranked(found)[:1]:
            found += self._creased(top)
        for top in _ranked(found + plain)[:1]:
            found += self._at_depths(top)
        fitting = _ranked(self._finalists(_ranked(found + plain)))
        if fitting:
            return fitting[0]
        return _coarsest(self._original, self._maker, self._ways(), self._coder, self._size, self._quality)

    def _creased(self, flat: Candidate) -> list[Candidate]:
        """Loop surfaces made as a flat candidate was.

        None without creases of a mesh that has sharp edges; and none with others once one lacks much to the
        flat mesh, or anything to the one before.
        """
        codes = list(self._effort.creases)
        if self._effort.thorough:
            return self._made_of([replace(flat.recipe, crease=code) for code in codes])
        if self._settings.suffices(flat.quality, self._effort):
            return []
        if self._original.sharpness > self._settings.smooth and len(codes) > 1:
            codes = [code for code in codes if code != SMOOTH]
        found: list[Candidate] = []
        least = flat.quality - self._settings.fair_crease
        for code in codes:
            made = self._made_of([replace(flat.recipe, crease=code)])
            found += made
            if not made or made[0].quality < least:
                break
            least = max(least, made[0].quality)
        return found

    def _at_depths(self, top: Candidate) -> list[Candidate]:
        """A candidate with more bits and with fewer: of what says little the coordinates are too fine."""
        if self._settings.suffices(top.quality, self._effort):
            return []
        allowed, recipe = depths(top.recipe.repeated), top.recipe
        steps = [more for more in self._effort.depths if recipe.bits + more in allowed]
        found: list[Candidate] = []
        for more in sorted(steps, reverse=top.quality > self._settings.rough):
            found += self._made_of([replace(recipe, bits=recipe.bits + more)])
            if found and found[-1].quality > top.quality and not self._effort.thorough:
                break
        return found

    def _finalists(self, ranked: list[Candidate]) -> list[Candidate]:
        """The best candidates, as many as the effort looks at, each filled."""
        most = 1 if self._stop() else self._effort.finalists
        filled: list[Candidate] = []
        tried = dict.fromkeys((False, True), 0)  # without and with copies, which alone may be too many
        for candidate in ranked:
            repeated = candidate.recipe.repeated
            if len(filled) < most and tried[repeated] < most:
                tried[repeated] += 1
                one = self._filled(candidate)
                filled += [one] if one else []
                # One that has lost much on the way to its size makes room for the next.
                if one and one.quality < candidate.quality - _SPOILED:
                    most = min(most + 1, self._effort.finalists + _SPARE)
        return filled

    def _ways(self) -> list[tuple[Axes, bool]]:
        """The axes across which candidates are mirrored, and whether repeated parts are coded once."""
        mirrored = self._original.mirrored
        halves = [mirrored, NO_AXES] if self._effort.whole and mirrored != NO_AXES else [mirrored]
        least = self._settings.repeated
        return [(axes, True) for axes in halves if self._maker.repeats(axes).share >= least] + [
            (axes, False) for axes in halves
        ]

    def _made_of(self, recipes: list[Recipe]) -> list[Candidate]:
        """The candidates of those recipes that give one."""
        made: list[Candidate] = []
        known: set[tuple[bytes, bytes, Recipe]] = set()
        for recipe in recipes:
            if self.tried and self._stop():
                break
            coarse = self._maker.coarse(recipe, self._faces_for(recipe))
            # Decimators often find the same mesh, above all of a coarse one.
            key = coarse.vertices.tobytes(), coarse.faces.tobytes(), replace(recipe, decimator="")
            candidate = None if key in known else self._candidate(recipe)
            known.add(key)
            if candidate is not None:
                made.append(candidate)
        return made

    def _calibrate(self, recipes: list[Recipe]) -> None:
        """Code one mesh of each kind that is about as large as fits, so that the rate models know what this
        mesh costs."""
        known: set[bool] = set()
        for recipe in recipes:
            count = self._faces_for(recipe)
            if recipe.repeated in known or not _comes_down(self._maker, recipe, count):
                continue
            mesh, grid = self._maker.made(recipe, count)
            if len(mesh.faces):
                self._rates[recipe.repeated].learn(mesh, len(self._coder.encode(mesh, grid.sides)))
                known.add(recipe.repeated)

    def _faces_for(self, recipe: Recipe) -> int:
        return self._rates[recipe.repeated].faces_within(self._settings.aim * self._size, recipe.bits)

    def _candidate(self, recipe: Recipe, count: int | None = None) -> Candidate | None:
        """The candidate of a recipe, measured; None where the decimator does not come down to the count."""
        asked = count or self._faces_for(recipe)
        if not _comes_down(self._maker, recipe, asked):
            return None
        mesh, grid = self._maker.made(recipe, asked)
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

    def _filled(self, candidate: Candidate) -> Candidate | None:
        """A candidate coded, with as many faces as then fit; None where it has none that are few enough."""
        whole = self._candidate(replace(candidate.recipe, work=Work.WHOLE), candidate.asked)
        least = candidate.quality - _LOST * (candidate.recipe.work == Work.QUICK)
        if whole is not None and whole.quality > least:
            candidate = whole
        best: Candidate | None = None
        sizes: dict[int, int] = {}  # bytes of the message by faces asked for
        for number in range(_MOST_CODINGS_COPIED if candidate.mesh.copies else _MOST_CODINGS):
            message = self._message(candidate)
            sizes[candidate.asked] = len(message)
            if len(message) <= self._size:
                if best is None or candidate.quality > best.quality:
                    best = replace(candidate, payload=message)
                elif not self._effort.thorough:  # more faces say no more
                    break
            if self._settings.fills(len(message) / self._size):
                break
            if best is not None and best.payload is not None:
                more = self._settings.more_codings(len(best.payload) / self._size)
                if self._stop() or number + 1 >= self._effort.codings + more:
                    break
            again = self._next(candidate, sizes)
            if again is None or (best is not None and len(again.mesh.faces) == len(candidate.mesh.faces)):
                break
            candidate = again
        return best and self._finer(best)

    def _finer(self, best: Candidate) -> Candidate:
        """A finalist with more bits as long as it fits and says more.

        What is left of its payload is used where a decimator has no more faces to give, or where more of them
        say less. As many bits are tried as may fit at once, then fewer.
        """
        short = self._settings.short * self._size
        while best.payload is not None and len(best.payload) < short and not self._stop():
            left = 8 * (self._size - len(best.payload))
            most = max(1, int(left / (self._settings.rate.bit * len(best.mesh.positions))))
            most = min(most, depths(best.recipe.repeated)[-1] - best.recipe.bits)
            tried = (self._with_bits(best, more) for more in dict.fromkeys((most, (most + 1) // 2, 1)))
            finer = next((one for one in tried if one is not None), None)
            if finer is None:
                break
            best = finer
        return best

    def _with_bits(self, coded: Candidate, more: int) -> Candidate | None:
        """A candidate with more bits, coded; None where it does not fit or says no more."""
        bits = coded.recipe.bits + more
        if not more or bits not in depths(coded.recipe.repeated):
            return None
        finer = self._candidate(replace(coded.recipe, bits=bits), coded.asked)
        if finer is None or finer.quality <= coded.quality:
            return None
        message = self._message(finer)
        return replace(finer, payload=message) if len(message) <= self._size else None

    def _message(self, candidate: Candidate) -> bytes:
        """The message of a candidate; the rate model learns from it."""
        message = self._coder.encode(candidate.mesh, candidate.grid.sides)
        self._rates[candidate.recipe.repeated].learn(candidate.mesh, len(message))
        return message

    def _next(self, last: Candidate, sizes: dict[int, int]) -> Candidate | None:
        """A candidate of about as many faces as fit; `sizes` as in `next_counts`, `last` was coded last."""
        count = round(last.asked * self._faces_for(last.recipe) / len(last.mesh.faces))
        for asked in next_counts(sizes, self._size, self._settings.aim, count):
            found = self._candidate(last.recipe, asked)
            if found is not None:
                return found
        return None


def _coarsest(
    original: Original,
    maker: Maker,
    ways: list[tuple[Axes, bool]],
    coder: MeshCoder,
    size: int,
    quality: Callable[[GridMesh, MeshGrid], float],
) -> Candidate:
    """The coarsest mesh there is of the first of some ways that fits; see `MeshSearch._ways`.

    Raises DoesNotFitError where that is too much.
    """
    sizes = []
    for axes, repeated in ways:
        piece = maker.piece(axes, repeated)
        coarse = piece.least()
        grid = original.grid(depths(repeated).start, axes)
        control = ControlMesh(coarse.vertices, coarse.faces, FLAT, axes)
        mesh = maker.on_grid(piece, control, coarse.place, grid, None, False)
        payload = coder.encode(mesh, grid.sides)
        if len(payload) <= size:
            recipe = Recipe("least", axes, grid.bits, work=Work.NONE, repeated=repeated)
            return Candidate(recipe, len(control.faces), mesh, grid, quality(mesh, grid), payload)
        sizes.append(len(payload))
    least = min(sizes)
    raise DoesNotFitError(
        f"as a mesh it takes {least} bytes of payload at least, and there are {size}",
        "ask for a larger size",
        least,
    )


def _comes_down(maker: Maker, recipe: Recipe, count: int) -> bool:
    """Whether the decimator gives about as few faces as it is asked for, and a file can hold them."""
    return 0 < len(maker.coarse(recipe, count).faces) <= min(_TOO_MANY * count, MOST_FACES)


def _best_of_each(candidates: list[Candidate], most: int) -> list[Candidate]:
    """The best candidates with copies, and as many without: parts that are coded once are seldom better at
    first sight, but often in the end."""
    ranked = _ranked(candidates)
    each = ([one for one in ranked if one.recipe.repeated == repeated] for repeated in (True, False))
    return [one for kind in each for one in kind[:most]]


def _ranked(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates, the best first."""
    return sorted(candidates, key=lambda one: -one.quality)


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
