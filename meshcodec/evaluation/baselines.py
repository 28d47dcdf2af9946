"""What a user would take instead: decimate the mesh and compress it with Draco, at a given number of bytes.

At each size the best, by F@0.02 + F@0.01, of three decimators x five bit depths x the face count that fills
the size:

=======  ===========================================================================================
quadric  fast_simplification (Garland and Heckbert 1997): best on closed scans, stalls on many parts
prune    meshoptimizer ``simplify`` with ``SIMPLIFY_PRUNE``: drops parts that have become too small
sloppy   meshoptimizer ``simplifySloppy``: clusters vertices whatever the topology, never stalls
=======  ===========================================================================================

Each runs both in one go and by way of a mesh with at least eight times the faces wanted. Neither way is
better: on single meshes F@0.02 at 512 B differs by as much as 0.18, to either side.

Files are Draco's own (DracoPy, level 10, positions only), with the bounding box in them: they decode in
place. DracoPy comes with the extra ``baselines``.

`meshcodec.evaluation.fitted` searches the same way for decimated meshes whose vertices are moved as well.
"""

from __future__ import annotations

import importlib
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import trimesh

from meshcodec.config import TAUS
from meshcodec.errors import BadMeshError, UsageError
from meshcodec.geometry.simplify import DECIMATORS, decimator
from meshcodec.geometry.triangles import Floats, Ints, MeshLike, merge_identical
from meshcodec.metrics import Reference

Mover: TypeAlias = Callable[[Floats, Ints], Floats]
"""From vertices (V, 3) and faces (F, 3) to vertices that are moved."""
BITS = (6, 7, 8, 9, 10)
"""Bits per coordinate that are tried."""
_TAUS = TAUS[:2]  # distances whose F-scores are added up to compare candidates
_SAMPLES = 20_000  # points on each surface
_FIRST_LOOK = 4_000  # samples that pick which candidates are scored with all
_FINALISTS = 4  # of 15 candidates a size
_GRID_STEP = 1.015  # ratio of neighbouring face counts: so counts are shared between bit depths and sizes
_MIN_FACES = 4  # of a tetrahedron
_FACES_PER_BYTE = 4  # more faces than Draco ever fits into a byte at these sizes, save on flat grids
_STAGE = 8  # decimate from a stage with at least this many times the faces wanted


@dataclass(frozen=True)
class BaselineResult:
    """One decimated and compressed mesh.

    Attributes
    ----------
    data : bytes
        The Draco file; ``b""`` where nothing fits the size.
    mesh : trimesh.Trimesh or None
        What the file decodes to; None where nothing fits.
    settings : dict
        ``decimator``, ``staged`` (not in one go), ``bits``, ``faces`` (asked for) and ``fitted`` (its
        vertices were moved); empty for no file.
    seconds : float
        Seconds of the winning decimation and compression alone.
    search_seconds : float
        Seconds of finding it, for all sizes asked for together.
    """

    data: bytes
    mesh: trimesh.Trimesh | None
    settings: dict[str, Any]
    seconds: float
    search_seconds: float = 0.0


def decimate_draco(mesh: MeshLike, size: int) -> BaselineResult:
    """The best decimate + Draco file of at most ``size`` bytes; see `decimate_draco_many`."""
    return decimate_draco_many(mesh, [size])[0]


def decimate_draco_many(
    mesh: MeshLike,
    sizes: Sequence[int],
    *,
    bits: Sequence[int] = BITS,
    decimators: Sequence[str] = DECIMATORS,
    reference: Reference | None = None,
    make_mover: Callable[[Floats, Ints], Mover] | None = None,
) -> list[BaselineResult]:
    """The best decimate + Draco files for several sizes, sharing the work between them.

    Parameters
    ----------
    mesh : trimesh.Trimesh or (vertices (V, 3), faces (F, 3))
    sizes : sequence of int
        Bytes, in any order; each file is at most that long.
    bits : sequence of int
        Bits per coordinate to try, 1..30.
    decimators : sequence of str
        Which of `DECIMATORS` to try.
    reference : Reference, optional
        The reference of the same mesh, if one is at hand; its samples pick the winners. By default one
        with 20 000 samples.
    make_mover : callable, optional
        From the vertices and faces of the mesh, merged and in the unit frame, to a function that moves the
        vertices of its decimations there. Then every decimation is tried with its vertices moved, too, with
        as many faces as then fit; one whose vertices stay is kept unless that is better.

    Returns
    -------
    list of BaselineResult, in the order of ``sizes``

    Raises
    ------
    UsageError
        DracoPy is not installed; a decimator is unknown.
    BadMeshError
        The mesh has no surface.
    """
    start = time.perf_counter()
    reference = reference or Reference(mesh, samples=_SAMPLES)
    draco = import_draco()
    unit = merge_identical(reference.surface.vertices, reference.surface.faces)
    if not len(unit[1]):
        raise BadMeshError("the mesh has no faces once identical vertices are merged", "give a triangle mesh")
    mover = make_mover(*unit) if make_mover else None
    ways = [_way(name, unit, reference, draco, mover) for name in decimators]
    results: dict[int, BaselineResult] = {}
    best: tuple[float, _Candidate] | None = None
    for size in sorted(set(sizes)):
        # A smaller size's winner stays the winner where more bytes bring nothing.
        for candidates in _candidates(ways, bits, size):
            found = _best_of(candidates, reference)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
        results[size] = BaselineResult(b"", None, {}, 0.0) if best is None else best[1].result()
    search = time.perf_counter() - start
    return [replace(results[size], search_seconds=search) for size in sizes]


def _candidates(
    ways: Sequence[_Way], bits: Sequence[int], size: int
) -> tuple[list[_Candidate], list[_Candidate]]:
    """The largest file of each decimator, way and bit depth that fits, each file once: of vertices that stay
    where the decimator has them, and of moved ones."""
    still: dict[bytes, _Candidate] = {}
    moved: dict[bytes, _Candidate] = {}
    for way in ways:
        for depth in bits:
            hint: _Candidate | None = None
            for number, files in enumerate(way.still):
                hint = found = files.largest(depth, size, hint)
                if found is None or found.data in still:  # a small mesh has no stages: both are the same
                    continue
                still[found.data] = found
                if way.moved and (other := way.moved[number].largest(depth, size, found)) is not None:
                    moved.setdefault(other.data, other)
    return list(still.values()), [one for data, one in moved.items() if data not in still]


def _best_of(candidates: list[_Candidate], reference: Reference) -> tuple[float, _Candidate] | None:
    """The candidate with the highest sum of F-scores at `_TAUS`, and that sum; None without candidates."""
    first = [sum(reference.fscore(c.mesh, _TAUS, samples=_FIRST_LOOK)) for c in candidates]
    best: tuple[float, _Candidate] | None = None
    for k in np.argsort(first)[::-1][:_FINALISTS]:
        value = sum(reference.fscore(candidates[k].mesh, _TAUS, samples=_SAMPLES))
        if best is None or value > best[0]:
            best = value, candidates[k]
    return best


def require() -> None:
    """Raise UsageError unless everything that the baseline needs is installed."""
    import_draco()


def import_draco() -> Any:
    """The module DracoPy, of the extra ``baselines``. Raises UsageError where it is not installed."""
    try:
        return importlib.import_module("DracoPy")
    except ImportError as error:
        raise UsageError(
            "the baselines need DracoPy, which is not installed", 'pip install "meshcodec[baselines]"'
        ) from error


def decode_draco(data: bytes) -> trimesh.Trimesh:
    """The mesh in a Draco file; vertices and faces are left as they are.

    Raises UsageError where DracoPy is not installed.
    """
    decoded = import_draco().decode(data)
    return trimesh.Trimesh(
        np.asarray(decoded.points, dtype=np.float64), np.asarray(decoded.faces, dtype=np.int64), process=False
    )


@dataclass(frozen=True)
class _Candidate:
    data: bytes
    mesh: trimesh.Trimesh
    settings: dict[str, Any]
    seconds: float

    def result(self) -> BaselineResult:
        return BaselineResult(self.data, self.mesh, self.settings, self.seconds)


@dataclass(frozen=True)
class _Decimated:
    vertices: Floats
    faces: Ints
    seconds: float


class _Decimations:
    """One decimator's meshes by face count, each computed once."""

    def __init__(self, name: str, unit: tuple[Floats, Ints], staged: bool) -> None:
        self.name = name
        self.staged = staged
        self.full = _Decimated(*unit, 0.0)
        self._decimate = decimator(name)
        self._meshes: dict[int, _Decimated] = {}
        self._stages = [self.full]

    def stalled(self, count: int) -> bool:
        """Whether the decimator is known to stop above ``count``: fewer faces would be the same mesh."""
        return self.name == "quadric" and len(self.mesh(count).faces) > 2 * count

    def mesh(self, count: int) -> _Decimated:
        """The mesh of about ``count`` faces."""
        if count >= len(self.full.faces):
            return self.full
        if count not in self._meshes:
            self._meshes[count] = self._of(self._stage(count), count)
        return self._meshes[count]

    def _of(self, source: _Decimated, count: int) -> _Decimated:
        start = time.perf_counter()
        vertices, faces = self._decimate(source.vertices, source.faces, count)
        return _Decimated(vertices, faces, source.seconds + time.perf_counter() - start)

    def _stage(self, count: int) -> _Decimated:
        """A mesh that is decimated some of the way already, but far from ``count``."""
        if not self.staged:
            return self.full
        while len(self._stages[-1].faces) > 2 * _STAGE * count and len(self._stages) < 32:
            source = self._stages[-1]
            coarser = self._of(source, len(source.faces) // 2)
            if len(coarser.faces) > 0.9 * len(source.faces):
                break
            self._stages.append(coarser)
        return next(s for s in reversed(self._stages) if len(s.faces) >= _STAGE * count or s is self.full)


class _Files:
    """Draco's files of the meshes of a decimator, by face count and bit depth, each computed once.

    ``mover`` moves the vertices of every mesh that is not the whole one.
    """

    def __init__(
        self, decimations: _Decimations, reference: Reference, draco: Any, mover: Mover | None = None
    ) -> None:
        self._decimations = decimations
        self._reference = reference
        self._draco = draco
        self._mover = mover
        self._moved: dict[int, _Decimated] = {}
        self._files: dict[tuple[int, int], tuple[bytes, float]] = {}

    def largest(self, bits: int, size: int, hint: _Candidate | None = None) -> _Candidate | None:
        """The file with the most faces on the grid that is at most ``size`` bytes; None where none is.

        ``hint`` is what another way found for the same bits and size.
        """
        grid = _grid(min(len(self._decimations.full.faces), _FACES_PER_BYTE * size + _MIN_FACES))
        low, high = -1, len(grid)  # low fits, high does not
        guess = int(hint.settings["faces"]) if hint else round(0.7 * size)
        tries = 0
        while high - low > 1:
            # By rule of three; by halves where that creeps.
            index = bisect_right(grid, guess) - 1 if tries < 5 else (low + high) // 2
            index = min(max(index, low + 1), high - 1)
            tries += 1
            length = len(self._file(grid[index], bits)[0])
            if length > size:
                high = index
                if self._decimations.stalled(grid[index]):
                    break
            else:
                low = index
            guess = round(grid[index] * size / max(length, 1))
        return self._candidate(grid[low], bits) if low >= 0 else None

    def _candidate(self, count: int, bits: int) -> _Candidate | None:
        data, seconds = self._file(count, bits)
        if not data:
            return None
        settings = {
            "decimator": self._decimations.name,
            "staged": self._decimations.staged,
            "bits": bits,
            "faces": count,
            "fitted": self._mover is not None,
        }
        return _Candidate(data, decode_draco(data), settings, seconds + self._mesh(count).seconds)

    def _mesh(self, count: int) -> _Decimated:
        mesh = self._decimations.mesh(count)
        if self._mover is None or mesh is self._decimations.full or not len(mesh.faces):
            return mesh
        if count not in self._moved:
            start = time.perf_counter()
            vertices = self._mover(mesh.vertices, mesh.faces)
            seconds = mesh.seconds + time.perf_counter() - start
            self._moved[count] = _Decimated(vertices, mesh.faces, seconds)
        return self._moved[count]

    def _file(self, count: int, bits: int) -> tuple[bytes, float]:
        if (count, bits) not in self._files:
            mesh = self._mesh(count)
            start = time.perf_counter()
            data = b""
            if len(mesh.faces):
                data = self._draco.encode(
                    self._reference.placement.to_world(mesh.vertices).astype(np.float32),
                    mesh.faces.astype(np.uint32),
                    quantization_bits=bits,
                    compression_level=10,
                )
            self._files[count, bits] = data, time.perf_counter() - start
        return self._files[count, bits]


@dataclass(frozen=True)
class _Way:
    """The files of one decimator, staged and direct: with vertices that stay, and that are moved, if any."""

    still: list[_Files]
    moved: list[_Files]


def _way(name: str, unit: tuple[Floats, Ints], reference: Reference, draco: Any, mover: Mover | None) -> _Way:
    # Staged first: what it finds to fit tells the costlier way where to look.
    made = [_Decimations(name, unit, staged) for staged in (True, False)]
    still = [_Files(one, reference, draco) for one in made]
    return _Way(still, [_Files(one, reference, draco, mover) for one in made] if mover else [])


def _grid(most: int) -> list[int]:
    """Face counts from the least to ``most``, each at least one and about 1.5 % above the one before."""
    counts = [_MIN_FACES]
    while counts[-1] < most:
        counts.append(max(counts[-1] + 1, round(counts[-1] * _GRID_STEP)))
    return counts
