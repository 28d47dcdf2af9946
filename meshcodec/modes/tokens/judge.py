"""Which of two candidates is better: F-scores of their decodes, by proxy and, where that is close, in full.

The surface is always that of a default decode. The proxy evaluation takes fewer points than a user who
measures it. Where that leaves the answer open, both candidates are measured as that user would do it
(docs/experiments/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import EXTENT
from meshcodec.engine import Engine
from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import Reference
from meshcodec.modes.tokens.decode import extract_surface, token_field
from meshcodec.modes.tokens.prepare import PreparedMesh
from meshcodec.modes.tokens.settings import JudgeSettings
from meshcodec.surface.field import CachedField, Field
from meshcodec.surface.marching_cubes import Extraction


@dataclass(frozen=True)
class Candidate:
    """Tokens with an iso offset, and what their decode scores by proxy.

    Attributes
    ----------
    tokens : one byte each
    iso_offset : distance at which the surface lies, in `ISO_OFFSET_UNIT`s
    fscores : F-scores at the distances of `JudgeSettings.taus`
    surface : (V, 3) points of the decoded surface, in the cube
    decoded : its vertices (V, 3) and faces (F, 3), in the mesh's own frame; None where it was not decoded
    """

    tokens: bytes
    iso_offset: int
    fscores: tuple[float, ...]
    surface: NDArray[np.float64]
    decoded: tuple[Floats, Ints] | None = None

    @property
    def quality(self) -> float:
        """The sum of the F-scores."""
        return sum(self.fscores)


class Judge:
    """Measures candidates for one mesh and says which is better; owns the references that it measures
    against.

    Parameters
    ----------
    engine : on which candidates are decoded, with its encoding model
    prepared : the mesh
    settings : numbers of the evaluation
    """

    def __init__(self, engine: Engine, prepared: PreparedMesh, settings: JudgeSettings | None = None) -> None:
        self._engine, self._prepared = engine, prepared
        self.settings = settings or JudgeSettings()
        self._full_fscores: dict[tuple[bytes, int], tuple[float, ...]] = {}

    @cached_property
    def _proxy_reference(self) -> Reference:
        return Reference(self._prepared.mesh, samples=self.settings.proxy_samples, seed=self._prepared.seed)

    def total(self, candidate: Candidate) -> float:
        """What ways of coding are ranked by, see `meshcodec.modes.result.ModeScores.total`, by proxy."""
        found = self._proxy_reference.score(self._decoded(candidate), exterior=False, points=False, iou=False)
        return sum(found.f) + found.normal_consistency

    def field(self, tokens: bytes) -> Field:
        """The field of tokens, which the methods below take along: evaluating it is what costs."""
        return token_field(self._engine, self._engine.encoding, tokens)

    def cached_field(self, tokens: bytes) -> Field:
        """`field`, for more than one measurement on the same grid."""
        return CachedField(self.field(tokens))

    def measure(self, field: Field, tokens: bytes, iso_offset: int) -> Candidate:
        """Evaluate tokens by proxy at an iso offset; `field` is theirs."""
        surface = self._extract(field, iso_offset, self.settings.resolution)
        decoded = self._placed(surface)
        fscores = self._proxy_reference.fscore(decoded, self.settings.taus)
        return Candidate(tokens, iso_offset, fscores, _within_cube(surface), decoded)

    def tuned(self, field: Field, candidate: Candidate) -> Candidate:
        """The candidate at the best iso offset in its surroundings, if it is better there."""
        found = self._climbed(field, candidate.iso_offset)
        if found == candidate.iso_offset:
            return candidate
        moved = self.measure(field, candidate.tokens, found)
        return moved if moved.quality > candidate.quality else candidate

    def _climbed(self, field: Field, best: int) -> int:
        """The iso offset at the end of a climb in steps that become smaller, on a coarse grid."""
        quality = self.coarse_quality(field, best)
        for step in self.settings.offset_steps:
            for direction in (step, -step):
                while self._is_allowed(best + direction):
                    moved = self.coarse_quality(field, best + direction)
                    if moved <= quality:
                        break
                    best, quality = best + direction, moved
        return best

    def coarse_quality(self, field: Field, iso_offset: int) -> float:
        """The sum of the F-scores on the grid of the search for the iso offset."""
        cells, most = self.settings.offset_cells, self.settings.resolution
        surface = self._extract(field, iso_offset, cells if most is None else min(cells, most))
        return sum(self._proxy_reference.fscore(self._placed(surface), self.settings.taus))

    def improvement(self, field: Field, new: Candidate, old: Candidate) -> Candidate | None:
        """`new` if it improves on `old`; if only its sum does, it at an iso offset nearby that improves."""
        gains = self.gains(new, old)
        if sum(gains) <= 0:
            return None
        if min(gains) >= 0:
            return new
        for shift in self.settings.nearby_offsets:
            if self._is_allowed(new.iso_offset + shift):
                moved = self.measure(field, new.tokens, new.iso_offset + shift)
                if self.improves(moved, old):
                    return moved
        return None

    def improves(self, new: Candidate, old: Candidate) -> bool:
        """Whether `new` has a higher sum of F-scores than `old` and none that is lower (Pareto check)."""
        gains = self.gains(new, old)
        return sum(gains) > 0 and min(gains) >= 0

    def gains(self, new: Candidate, old: Candidate) -> tuple[float, ...]:
        """What `new` has of each F-score beyond `old`: in full where the proxy leaves it open."""
        by_proxy = _differences(new.fscores, old.fscores)
        if min(by_proxy) >= self.settings.margin or self.is_clearly_lower(new, old):
            return by_proxy
        return _differences(self.full_fscores(new), self.full_fscores(old))

    def is_clearly_lower(self, new: Candidate, old: Candidate) -> bool:
        """Whether every F-score of `new` is below that of `old` by the margin."""
        return max(_differences(new.fscores, old.fscores)) <= -self.settings.margin

    def full_fscores(self, candidate: Candidate) -> tuple[float, ...]:
        """The F-scores that a user would measure of the decoded file."""
        key = candidate.tokens, candidate.iso_offset
        if key not in self._full_fscores:
            reference = self._prepared.reference(self.settings.full_samples)
            self._full_fscores[key] = reference.fscore(self._decoded(candidate), self.settings.taus)
        return self._full_fscores[key]

    def _decoded(self, candidate: Candidate) -> tuple[Floats, Ints]:
        if candidate.decoded is not None:
            return candidate.decoded
        field = self.field(candidate.tokens)
        return self._placed(self._extract(field, candidate.iso_offset, self.settings.resolution))

    def _extract(self, field: Field, iso_offset: int, resolution: int | None) -> Extraction:
        mirrored = self._prepared.transform.mirrored
        return extract_surface(self._engine, field, iso_offset, resolution, mirrored)

    def _placed(self, surface: Extraction) -> tuple[Floats, Ints]:
        return self._prepared.transform.to_world(surface.vertices), surface.faces

    def _is_allowed(self, iso_offset: int) -> bool:
        return abs(iso_offset) <= self.settings.largest_offset


def _within_cube(extraction: Extraction) -> NDArray[np.float64]:
    """(V, 3) vertices of an extraction that are not in mirrors."""
    return extraction.vertices[(extraction.vertices > -EXTENT).all(axis=1)]


def _differences(after: Sequence[float], before: Sequence[float]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(after, before, strict=True))
