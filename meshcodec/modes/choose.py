"""Which way of coding a mesh gets: tokens, a fitted mesh, or the better of both by measurement.

A fitted mesh takes seconds, tokens a multiple of that. So the mesh comes first, and where its scores leave
nothing to win no tokens are made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from meshcodec.config import MODES
from meshcodec.engine import Engine
from meshcodec.errors import DoesNotFitError, UsageError
from meshcodec.format.container import VatFile, head_bytes, version_for
from meshcodec.format.grid_mesh import GridMesh
from meshcodec.format.payload import DEFAULT_PACKING, Packing
from meshcodec.geometry.triangles import MeshLike
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.decode import decode_file
from meshcodec.modes.load import LoadedMesh
from meshcodec.modes.mesh.encode import Candidate, MeshSearch
from meshcodec.modes.mesh.file import mesh_facts, mesh_file, placed_surface
from meshcodec.modes.mesh.make import Work
from meshcodec.modes.mesh.original import original_of
from meshcodec.modes.mesh.settings import MeshSettings
from meshcodec.modes.result import Encoded, ModeScores
from meshcodec.modes.tokens.settings import TokenRequest, TokenSettings
from meshcodec.runtime.imports import load

_HEAD = 1  # bytes of a mesh's payload before its message


@dataclass(frozen=True)
class ChoiceSettings:
    """When tokens are not tried; sections are those of docs/experiments/mesh-mode.md.

    Attributes
    ----------
    enough : total of a mesh, see `ModeScores`, from which on tokens have nothing to win ("When tokens are not
        tried")
    rough_enough : the same of one whose normal consistency is below `smooth`, in files of fewer than
        `small_size` bytes
    smooth : normal consistency
    small_size : bytes
    clear : by how much the total that the search for a mesh has found may be off (by hand)
    """

    enough: float = 3.7
    rough_enough: float = 3.95
    smooth: float = 0.95
    small_size: int = 768
    clear: float = 0.05

    def suffices(self, scores: ModeScores, size: int) -> bool:
        """Whether tokens are not tried where a mesh in a file of ``size`` bytes measures so much."""
        rough = size < self.small_size and scores.normal_consistency < self.smooth
        return scores.total >= (self.rough_enough if rough else self.enough)

    def clearly_suffices(self, total: float, size: int) -> bool:
        """The same of a total that the search has found, whatever the normals: it need not be measured."""
        most = max(self.enough, self.rough_enough) if size < self.small_size else self.enough
        return total >= most + self.clear


@dataclass(frozen=True)
class CodecSettings:
    """Every tuned number of an encoder; the defaults are what ships."""

    tokens: TokenSettings = field(default_factory=TokenSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    choice: ChoiceSettings = field(default_factory=ChoiceSettings)


def check_mode(mode: str, packing: str) -> None:
    """Raise UsageError for an unknown mode, and for a mesh that is to hold tokens of some packing."""
    if mode not in MODES:
        raise UsageError(f"there is no mode {mode!r}", f"choose {', '.join(MODES)}")
    if mode == "mesh" and packing != DEFAULT_PACKING:
        raise UsageError(f"--packing {packing} is about tokens", "leave it out, or encode with --mode tokens")


def encode_meshes(
    engine: Engine, meshes: Sequence[LoadedMesh], mode: str, request: TokenRequest, settings: CodecSettings
) -> list[Encoded]:
    """Encode meshes in a mode; tokens of several are refined together.

    In mode "auto" the way with the higher `ModeScores.total` is kept. Tokens alone are made where a packing
    of them is asked for, and where the weights folder has no coder of meshes.

    Raises
    ------
    DoesNotFitError
        Mode "mesh", and the coarsest mesh does not fit.
    UsageError
        Size, effort, packing or mode out of range.
    WeightsError
        Mode "mesh", and there is no coder of meshes.
    """
    check_mode(mode, request.packing)
    if mode == "mesh":
        files = [_as_mesh(engine, mesh, request, settings.mesh) for mesh in meshes]
        return [file.encoded(request.measure) for file in files]
    only_tokens = mode == "tokens" or request.packing != DEFAULT_PACKING or not engine.codes_meshes
    if only_tokens:
        return _as_tokens(engine, meshes, request, settings.tokens)
    found = [_mesh_if_it_fits(engine, mesh, request, settings.mesh) for mesh in meshes]
    stopped = request.stop is not None and request.stop()
    left = [k for k, one in enumerate(found) if one is None or not (stopped or one.suffices(settings.choice))]
    encoded = [
        None if one is None or k in left else one.encoded(request.measure) for k, one in enumerate(found)
    ]
    if left:
        began = time.perf_counter()
        rivals = [0.0 if one is None else one.scores.total for one in (found[k] for k in left)]
        tokens = _as_tokens(engine, [meshes[k] for k in left], request, settings.tokens, rivals)
        share = (time.perf_counter() - began) / len(left)
        for k, one in zip(left, tokens, strict=True):
            encoded[k] = _better(engine, meshes[k], found[k], one, share, settings.tokens.judge.resolution)
    return [one for one in encoded if one is not None]


def _as_tokens(
    engine: Engine,
    meshes: Sequence[LoadedMesh],
    request: TokenRequest,
    settings: TokenSettings,
    rivals: Sequence[float] | None = None,
) -> list[Encoded]:
    """The best files of tokens of meshes, together or, on a CPU, one by one: there a batch takes as long as
    its meshes, and their memory at the same time."""
    load("meshcodec.modes.tokens.encode", "meshcodec.modes.tokens.prepare")  # and torch with them
    from meshcodec.modes.tokens.encode import encode_batch
    from meshcodec.modes.tokens.prepare import prepare

    together = 1 if engine.device.type == "cpu" else max(len(meshes), 1)
    return [
        encoded
        for start in range(0, len(meshes), together)
        for encoded in encode_batch(
            engine,
            prepare(engine, meshes[start : start + together]),
            request,
            settings,
            rivals and rivals[start : start + together],
        )
    ]


class _MeshFile:
    """The best file of a mesh.

    Parameters
    ----------
    mesh : what it was made of
    request : what was asked for
    best : what the search has found
    file, read : the file, and the mesh of the grid as it was read back
    began : time when the search began
    """

    def __init__(
        self,
        mesh: LoadedMesh,
        request: TokenRequest,
        best: Candidate,
        file: VatFile,
        read: GridMesh,
        began: float,
    ) -> None:
        self._mesh, self._request, self._best, self._read = mesh, request, best, read
        self._data = file.to_bytes()
        self._seconds = time.perf_counter() - began
        self._interrupted = request.stop is not None and request.stop()
        self._scores: ModeScores | None = None

    def suffices(self, choice: ChoiceSettings) -> bool:
        """Whether tokens are not tried; it is only measured where the search leaves that open."""
        clearly = choice.clearly_suffices(self._best.quality, self._request.size)
        return clearly or choice.suffices(self.scores, self._request.size)

    @property
    def scores(self) -> ModeScores:
        """How it measures; measured once."""
        if self._scores is None:
            decoded = placed_surface(self._read, self._best.grid)
            began = time.perf_counter() - self._seconds
            self._scores = _scores("mesh", self._mesh, self._data, decoded, began)
        return self._scores

    def encoded(self, measure: bool) -> Encoded:
        """The file and how it came about, with what was measured, which is at least what is to be."""
        return Encoded(
            data=self._data,
            tokens=0,
            packing=Packing.MESH,
            scales=0,
            effort=self._request.effort,
            refined=self._best.recipe.work != Work.NONE,
            interrupted=self._interrupted,
            seconds=self._mesh.seconds | {"mesh": self._seconds},
            mesh=mesh_facts(self._best.mesh, self._best.grid),
            compared=(self.scores,) if measure or self._scores else (),
        )


def _mesh_if_it_fits(
    engine: Engine, mesh: LoadedMesh, request: TokenRequest, settings: MeshSettings
) -> _MeshFile | None:
    try:
        return _as_mesh(engine, mesh, request, settings)
    except DoesNotFitError:
        return None


def _as_mesh(engine: Engine, mesh: LoadedMesh, request: TokenRequest, settings: MeshSettings) -> _MeshFile:
    """The best file of a mesh."""
    began = time.perf_counter()
    coder, coder_id = engine.mesh_coder()
    original = original_of(mesh.mesh, settings.most_faces, mesh.transform.mirrored, mesh.seed)
    version = version_for(coder_id, original.center, original.half_extents)
    room = payload_bytes(request.size, version) - _HEAD
    try:
        best = MeshSearch(original, room, coder, request.effort, settings, mesh.seed, request.stop).best()
    except DoesNotFitError as error:
        least = error.least + _HEAD + head_bytes(version)
        fault = f"its coarsest mesh takes a file of {least} bytes"
        remedy = f"ask for --size {least} or more, or use --mode tokens"
        raise DoesNotFitError(fault, remedy, least) from error
    assert best.payload is not None  # what the search ends with is coded
    file, read = mesh_file(best.mesh, best.grid, best.payload, coder, coder_id)
    return _MeshFile(mesh, request, best, file, read, began)


def _scores(mode: str, mesh: LoadedMesh, data: bytes, decoded: MeshLike, began: float) -> ModeScores:
    found = mesh.reference().score(decoded, exterior=False, points=False, iou=False)
    seconds = time.perf_counter() - began
    return ModeScores(mode, len(data), found.f, found.normal_consistency, seconds)


def _better(
    engine: Engine,
    mesh: LoadedMesh,
    by_mesh: _MeshFile | None,
    by_tokens: Encoded,
    seconds: float,
    resolution: int | None,
) -> Encoded:
    """The one of two files that measures higher; tokens took `seconds`, and are decoded at `resolution`."""
    if by_mesh is None:
        return by_tokens
    began = time.perf_counter() - seconds
    decoded = decode_file(engine, VatFile.from_bytes(by_tokens.data), resolution).mesh
    of_tokens, of_mesh = _scores("tokens", mesh, by_tokens.data, decoded, began), by_mesh.scores
    kept, scores = by_mesh.encoded(True), (of_mesh, of_tokens)
    seconds_of_both = by_tokens.seconds | kept.seconds
    if of_tokens.total > of_mesh.total:
        kept, scores = by_tokens, (of_tokens, of_mesh)
    return replace(kept, compared=scores, seconds=seconds_of_both, interrupted=by_tokens.interrupted)
