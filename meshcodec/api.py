"""The codec as Python sees it: a mesh to bytes, bytes to a mesh."""

from __future__ import annotations

# Before all others, which import what it loads.
import meshcodec.runtime.libraries  # noqa: F401

# isort: split
import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trimesh
from numpy.typing import NDArray

from meshcodec.config import (
    DEFAULT_EFFORT,
    DEFAULT_MODE,
    DEFAULT_RESOLUTION,
    DEFAULT_SIZE,
    MAX_BYTES,
    MAX_FACES,
    MIN_SIZE,
    ModelConfig,
)
from meshcodec.engine import Engine
from meshcodec.errors import UsageError
from meshcodec.format.box import NO_AXES, Axes, round_box
from meshcodec.format.container import VatFile, version_for
from meshcodec.format.payload import DEFAULT_PACKING, Packing
from meshcodec.geometry.sources import MeshSource, several
from meshcodec.modes.budget import check_request
from meshcodec.modes.choose import CodecSettings, check_mode, encode_meshes
from meshcodec.modes.decode import decode_file
from meshcodec.modes.load import LoadedMesh, MeshLimits, load
from meshcodec.modes.result import Decoded, Encoded, Progress
from meshcodec.modes.tokens.settings import Stop, TokenRequest
from meshcodec.registry import Registry, WeightsEntry
from meshcodec.runtime.vat_source import VatSource, named, vat_bytes
from meshcodec.target import Measured, Target, check_target, smallest_sufficient

if TYPE_CHECKING:
    import torch

    from meshcodec.model import VariationalTokenizer
    from meshcodec.modes.tokens.prepare import PreparedMesh

DEFAULT_SETTINGS = CodecSettings()
"""Tuned numbers of a codec that is given no others."""

ENCODER_BATCH = 16
"""Meshes that `Codec.encode_many` gives to the encoder at once, and on a GPU refines at once."""


class Decoder:
    """Decodes files, and holds the weights, so that many are decoded at the price of one load.

    Parameters
    ----------
    device : "auto", "cpu" or "cuda"
    weights : folder with a ``registry.json``; the shipped one by default

    Attributes
    ----------
    engine : device, kernel, registry and networks

    Raises
    ------
    WeightsError
        No weights, or damaged ones.
    UsageError
        A device that does not work here, or such a kernel in MESHCODEC_KERNEL.
    """

    def __init__(self, device: str = "auto", weights: Path | None = None) -> None:
        self.engine = Engine(device, weights)

    @property
    def device(self) -> torch.device:
        """Where tensors are computed."""
        return self.engine.device

    @property
    def kernel(self) -> str:
        """By what the field is evaluated, one of `meshcodec.kernels`."""
        return self.engine.kernel

    @property
    def registry(self) -> Registry:
        """The models of the weights folder."""
        return self.engine.registry

    @property
    def entry(self) -> WeightsEntry:
        """What the registry says of the encoding model."""
        return self.engine.encoding.entry

    @property
    def model_id(self) -> str:
        """The encoding model, 8 hex digits."""
        return self.entry.model_id.hex()

    @property
    def model(self) -> VariationalTokenizer:
        """The encoding model, frozen, on the device."""
        return self.engine.encoding.model

    @property
    def config(self) -> ModelConfig:
        """Shape of the encoding model."""
        return self.entry.config

    def decode(
        self,
        data: VatSource,
        resolution: int | None = DEFAULT_RESOLUTION,
        tokens: int | None = None,
        faces: int | None = None,
    ) -> trimesh.Trimesh:
        """A ``.vat`` file (its bytes, its path, or open) to a closed mesh in the original frame."""
        return self.decode_detailed(data, resolution, tokens, faces=faces).mesh

    def decode_many(
        self,
        files: Iterable[VatSource],
        resolution: int | None = DEFAULT_RESOLUTION,
        faces: int | None = None,
    ) -> list[trimesh.Trimesh]:
        """`decode` of many ``.vat`` files, in order; the first one that is corrupt ends it."""
        return [self.decode(data, resolution, faces=faces) for data in several(files, "decode_many")]

    def decode_detailed(
        self,
        data: VatSource | VatFile,
        resolution: int | None = DEFAULT_RESOLUTION,
        tokens: int | None = None,
        dense: bool = False,
        faces: int | None = None,
    ) -> Decoded:
        """`decode`, with everything that is known about the result.

        Parameters
        ----------
        data : a whole ``.vat`` file, its bytes, its path or open in binary mode, or one that is parsed
        resolution : cells a side of the grid, 16 to 512; it fills the mesh's box, across a mirror its half.
            None: as many as give about 250 000 faces, see `meshcodec.modes.tokens.decode.cells_of`
        tokens : use only this many of the file's tokens; all by default
        dense : evaluate the field at every grid point, not coarse to fine: slow, finds the tiniest parts too
        faces : triangles at most, 4 or more: a subdivision surface has as many levels as that allows, what is
            decoded with more is simplified, and closed as before

        Raises
        ------
        CorruptFileError
            Not a whole ``.vat`` file, one that cannot be read, or tokens without any surface.
        WeightsError
            The model that it names is not here.
        UsageError
            `resolution`, `tokens` or `faces` out of range.
        """
        with named(data):
            file = data if isinstance(data, VatFile) else VatFile.from_bytes(vat_bytes(data))
            return decode_file(self.engine, file, resolution, tokens, dense, faces)

    def tokens(self, data: VatSource) -> NDArray[np.uint8]:
        """The tokens of a ``.vat`` file, (T,) values 0 to 255, coarse to fine.

        Raises
        ------
        CorruptFileError
            Not a whole ``.vat`` file.
        WeightsError
            They are entropy-coded, and the model that it names is not here.
        UsageError
            The file holds a mesh.
        """
        with named(data):
            file = VatFile.from_bytes(vat_bytes(data))
            coded = file.packing == Packing.CODED
            entropy_model = self.engine.open(file).entropy_model if coded else None
            return np.frombuffer(file.tokens(entropy_model), dtype=np.uint8)


class Codec(Decoder):
    """Encodes meshes and decodes files, with the weights loaded once for many of them.

    Parameters
    ----------
    device, weights : as for `Decoder`
    max_faces, max_bytes : limits of meshes to encode; see `meshcodec.geometry.io.load_mesh`
    settings : tuned numbers of the encoder; those that ship by default

    Attributes
    ----------
    engine : device, kernel, registry and networks
    settings : as given

    Raises what `Decoder` does.
    """

    def __init__(
        self,
        device: str = "auto",
        weights: Path | None = None,
        max_faces: int = MAX_FACES,
        max_bytes: int = MAX_BYTES,
        settings: CodecSettings | None = None,
    ) -> None:
        super().__init__(device, weights)
        self.settings = settings or DEFAULT_SETTINGS
        self._limits = MeshLimits(max_faces, max_bytes)

    @property
    def max_faces(self) -> int:
        """Triangles above which a mesh is refused."""
        return self._limits.max_faces

    @property
    def max_bytes(self) -> int:
        """Bytes above which a mesh file is refused."""
        return self._limits.max_bytes

    def encode(
        self,
        source: MeshSource,
        size: int = DEFAULT_SIZE,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
        file_type: str | None = None,
    ) -> bytes:
        """A mesh (path, open file, bytes, mesh, scene, arrays) to a ``.vat`` file of at most `size` bytes."""
        return self.encode_many([source], size, effort, seed, packing, mode, file_type)[0]

    def encode_many(
        self,
        sources: Iterable[MeshSource],
        size: int = DEFAULT_SIZE,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
        file_type: str | None = None,
    ) -> list[bytes]:
        """`encode` of many meshes, `ENCODER_BATCH` of them at a time.

        Sums are taken in another order than for one mesh alone: now and then a token is its neighbour.
        The first mesh that is bad ends it; `meshcodec.batch.compress` goes on, and uses all cores.

        Raises what `encode_detailed` does.
        """
        _check(self.settings, size, effort, packing, mode)
        rest, files = several(sources, "encode_many"), list[bytes]()
        while batch := [self.load(each, seed, file_type) for each in itertools.islice(rest, ENCODER_BATCH)]:
            found = self.encode_subjects(batch, size, effort, packing=packing, mode=mode, measure=False)
            files += [encoded.data for encoded in found]
        return files

    def encode_detailed(
        self,
        source: MeshSource,
        size: int = DEFAULT_SIZE,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        file_type: str | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
        measure: bool = True,
    ) -> Encoded:
        """`encode`, with everything that is known about the result.

        Parameters
        ----------
        source : a path, a Trimesh, a Scene or (vertices, faces); a binary file or bytes with `file_type`
        size : largest number of bytes of the file, from 64 up
        effort : 0 to 9; 0 takes the encoder's tokens as they are, more refines them for this mesh
        seed : seed of all sampling; the same one gives the same bytes on the same machine
        progress : told about the steps of the refinement
        stop : when it says True, the best tokens found so far are taken
        packing : "coded", tokens range-coded, as many as fit, or "bytes", one byte each, as many in every
            file of a size
        mode : "tokens", "mesh", or "auto", the better of both by measurement
        measure : whether a mesh is measured even where nothing is compared with it, see `Encoded.compared`

        Raises
        ------
        BadMeshError
            The mesh cannot be read or holds no surface.
        DoesNotFitError
            With mode "mesh": its coarsest mesh takes more than `size` bytes.
        UsageError
            `size`, `effort`, `packing` or `mode` is out of range.
        """
        _check(self.settings, size, effort, packing, mode)
        loaded = self.load(source, seed, file_type)
        return self.encode_subject(loaded, size, effort, progress, stop, packing, mode, measure)

    def load(self, source: MeshSource, seed: int = 0, file_type: str | None = None) -> LoadedMesh:
        """Read and place a mesh: what all modes and sizes need. Raises what `encode_detailed` does."""
        return load(source, seed, file_type, self._limits)

    def prepare(self, source: MeshSource, seed: int = 0, file_type: str | None = None) -> PreparedMesh:
        """`load`, sample and encode a mesh: what tokens of any size need."""
        (prepared,) = self.prepare_many([source], seed, file_type)
        return prepared

    def prepare_many(
        self, sources: Iterable[MeshSource], seed: int = 0, file_type: str | None = None
    ) -> list[PreparedMesh]:
        """`prepare` of several meshes, which go through the encoder together."""
        from meshcodec.modes.tokens.prepare import prepare

        return prepare(self.engine, [self.load(source, seed, file_type) for source in sources])

    def encode_subject(
        self,
        subject: LoadedMesh,
        size: int = DEFAULT_SIZE,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
        measure: bool = True,
    ) -> Encoded:
        """`encode_detailed` of a mesh that `load` or `prepare` has made ready."""
        (encoded,) = self.encode_subjects([subject], size, effort, progress, stop, packing, mode, measure)
        return encoded

    def encode_subjects(
        self,
        subjects: Sequence[LoadedMesh],
        size: int = DEFAULT_SIZE,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
        measure: bool = True,
    ) -> list[Encoded]:
        """`encode_subject` of many meshes, of which each round of refinement is one batch."""
        request = TokenRequest(size, effort, packing, progress, stop, measure)
        return encode_meshes(self.engine, subjects, mode, request, self.settings)

    def encode_to_target(
        self,
        source: MeshSource,
        target: Target,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        file_type: str | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
        mode: str = DEFAULT_MODE,
    ) -> Measured:
        """The smallest preset size whose decode meets a target, or the best there is.

        Each size is encoded, decoded and measured as `meshcodec.metrics` does it: nothing is estimated.
        Where no size meets the target, the one with the highest F-score is given; with `max_error` alone, the
        one with the least error.

        Raises
        ------
        BadMeshError
            The mesh cannot be read or holds no surface.
        UsageError
            `effort` or the target is out of range.
        """
        _check(self.settings, MIN_SIZE, effort, packing, mode)
        check_target(target)
        loaded = self.load(source, seed, file_type)
        options = effort, progress, stop, packing, mode, False  # `smallest_sufficient` measures
        return smallest_sufficient(
            target,
            loaded.reference(),
            encode=lambda size: self.encode_subject(loaded, size, *options),
            decode=lambda data: self.decode(data, self.settings.tokens.judge.resolution),
            stop=stop,
        )

    def from_tokens(
        self,
        tokens: NDArray[np.integer],
        center: tuple[float, float, float] = (0.0, 0.0, 0.0),
        scale: float | tuple[float, float, float] = 1.0,
        level: int = 0,
        mirrored: Axes = NO_AXES,
        packing: str = Packing.BYTES.word,
    ) -> bytes:
        """A ``.vat`` file of tokens, such as a sequence model makes: the reverse of `tokens`.

        Parameters
        ----------
        tokens : (T,) integers 0 to 255, T from 1 to the model's `max_tokens`
        center, scale : where the unit frame lies: its origin, and the length of its unit, or one for each
            axis; these are rounded up to what a file can hold
        level, mirrored : iso offset and mirrors of the surface, see `meshcodec.format.container`; those of
            another file are attributes of `VatFile.from_bytes(data)`
        packing : "bytes", one byte for each, or "coded", range-coded where that is shorter

        Raises
        ------
        UsageError
            Tokens of another shape, number or range, or no such packing.
        """
        from meshcodec.modes.tokens.fill import shortest_payload

        asked = Packing.parse(packing)
        row = np.asarray(tokens)
        most = self.config.max_tokens
        if row.ndim != 1 or not 1 <= len(row) <= most or not np.issubdtype(row.dtype, np.integer):
            raise UsageError("tokens are one row of integers", f"give 1 to {most} of them")
        if row.min() < 0 or row.max() > 255:
            raise UsageError(f"a token of {row.min()} or {row.max()}", "tokens are 0 to 255")
        box = round_box(scale) if isinstance(scale, tuple) else (scale, scale, scale)
        entropy_model = self.engine.encoding.entropy_model if asked == Packing.CODED else None
        payload, number = shortest_payload(row.astype(np.uint8).tobytes(), entropy_model)
        file = VatFile(
            payload=payload,
            model_id=self.entry.model_id,
            count=len(row),
            packing=number,
            center=center,
            half_extents=box,
            iso_offset=level,
            mirrored=mirrored,
            version=version_for(self.entry.model_id, center, box),
        )
        return file.to_bytes()


@functools.lru_cache(maxsize=2)
def _default_codec(device: str) -> Codec:
    return Codec(device)


def encode(
    source: MeshSource,
    size: int = DEFAULT_SIZE,
    effort: int = DEFAULT_EFFORT,
    seed: int = 0,
    device: str = "auto",
    file_type: str | None = None,
    mode: str = DEFAULT_MODE,
) -> bytes:
    """A mesh to the bytes of a ``.vat`` file of at most `size`. See `Codec.encode_detailed`."""
    return _default_codec(device).encode(source, size, effort, seed, file_type=file_type, mode=mode)


def decode(
    data: VatSource,
    resolution: int | None = DEFAULT_RESOLUTION,
    device: str = "auto",
    faces: int | None = None,
) -> trimesh.Trimesh:
    """A ``.vat`` file to a closed mesh in the original frame. See `Codec.decode_detailed`."""
    return _default_codec(device).decode(data, resolution, faces=faces)


def _check(settings: CodecSettings, size: int, effort: int, packing: str, mode: str) -> None:
    check_request(size, effort, len(settings.tokens.efforts), packing)
    check_mode(mode, packing)
