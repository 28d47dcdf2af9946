"""The codec as Python sees it: a mesh to bytes, bytes to a mesh."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshcodec.config import EXTENT, SIZES, TAUS, TRUNCATION, ModelConfig
from meshcodec.engine import T
from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format.box import NO_AXES, Axes, round_box
from meshcodec.format.container import MIN_SIZE, VatFile
from meshcodec.format.payload import DEFAULT_PACKING, Packing
from meshcodec.format.token_coder import TokenModel
from meshcodec.geometry.io import MAX_BYTES, MAX_FACES, MeshSource, load_mesh
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.sample import query_points, sample_surface
from meshcodec.geometry.signed_distance import TargetField, classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.geometry.triangles import face_areas
from meshcodec.kernels import BATCHES, choose_kernel, field_of
from meshcodec.metrics import Reference
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.prepare import PreparedMesh
from meshcodec.modes.result import DEFAULT_RESOLUTION, Decoded, Encoded, Progress
from meshcodec.modes.tokens.decode import LIPSCHITZ_FACTOR, SMALL_COMPONENT
from meshcodec.modes.tokens.efforts import EFFORTS, FIRST_RATE, LATER_RATE, early_stop_fscore
from meshcodec.modes.tokens.encode import PERFECT, after, in_step
from meshcodec.modes.tokens.fill import TokenBudget, nearest_tokens, shortest_payload, token_budget
from meshcodec.modes.tokens.judge import (
    CHECK_RESOLUTION,
    CHECK_SAMPLES,
    EXACT_RESOLUTION,
    JUDGED,
    LEVEL_STEPS,
    MAX_LEVEL,
    NEAR_LEVELS,
    Candidate,
    Exact,
    clearly_lower,
)
from meshcodec.modes.tokens.refine import RefinementJob, RefinementResult, Stop, refine_batch
from meshcodec.registry import Registry, WeightsEntry
from meshcodec.runtime.clock import Clock
from meshcodec.runtime.device import choose_device
from meshcodec.surface.extract import extract, extract_dense
from meshcodec.surface.field import CachedField, Field, OffsetField
from meshcodec.surface.marching_cubes import Extraction
from meshcodec.surface.small_components import without_small_components
from meshcodec.target import Measured, Target
from meshcodec.weights import load_coder, load_model

DEFAULT_EFFORT = 4
ENCODER_BATCH = 16
"""Meshes that `Codec.encode_many` gives to the encoder at once, and on a GPU refines at once."""


class Codec:
    """Holds the weights, so that many meshes can be coded at the price of one load.

    Parameters
    ----------
    device : "auto", "cpu" or "cuda"
    weights : folder with a ``registry.json``; the shipped one by default
    max_faces, max_bytes : of meshes to encode; see `meshcodec.geometry.io.load_mesh`

    Raises
    ------
    WeightsError
        No weights, or damaged ones.
    UsageError
        A device that does not work here, or such a kernel in MESHCODEC_KERNEL.
    """

    def __init__(
        self,
        device: str = "auto",
        weights: Path | None = None,
        max_faces: int = MAX_FACES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.max_faces, self.max_bytes = max_faces, max_bytes
        self.device, self.device_reason = choose_device(device)
        self.kernel, self.kernel_reason = choose_kernel(self.device)
        self.registry = Registry(weights)
        self._models: dict[bytes, VariationalTokenizer] = {}
        self._coders: dict[bytes, TokenModel | None] = {}
        self._entry = self.registry.default()

    @property
    def model_id(self) -> str:
        """The encoding model, 8 hex digits."""
        return self._entry.model_id.hex()

    @property
    def entry(self) -> WeightsEntry:
        """What the registry says of the encoding model."""
        return self._entry

    @property
    def model(self) -> VariationalTokenizer:
        """The encoding model, frozen, on the device."""
        return self._model(self._entry)

    @property
    def config(self) -> ModelConfig:
        """Shape of the encoding model."""
        return self._entry.config

    def encode(
        self,
        source: MeshSource,
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        packing: str = DEFAULT_PACKING,
    ) -> bytes:
        """A mesh (path, open file or Trimesh) to the bytes of a ``.vat`` file of at most `size` bytes."""
        return self.encode_detailed(source, size, effort, seed, packing=packing).data

    def encode_many(
        self,
        sources: Iterable[MeshSource],
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        packing: str = DEFAULT_PACKING,
    ) -> list[bytes]:
        """`encode` of many meshes, `ENCODER_BATCH` of them at a time.

        Sums are taken in another order than for one mesh alone: now and then a token is its neighbour.
        The first mesh that is bad ends it; `meshcodec.batch.mirror.compress` goes on, and uses all cores.

        Raises
        ------
        BadMeshError
            A mesh cannot be read or holds no surface.
        UsageError
            `size`, `effort` or `packing` is out of range.
        """
        self._check(size, effort, packing)
        rest, files = iter(sources), list[bytes]()
        while batch := self.prepare_many(itertools.islice(rest, ENCODER_BATCH), seed):
            # On a CPU a batch takes as long as its meshes one by one, and their memory at the same time.
            together = 1 if self.device.type == "cpu" else len(batch)
            for start in range(0, len(batch), together):
                part = self.encode_subjects(batch[start : start + together], size, effort, packing=packing)
                files += [encoded.data for encoded in part]
        return files

    def decode_many(
        self, files: Iterable[bytes], resolution: int = DEFAULT_RESOLUTION
    ) -> list[trimesh.Trimesh]:
        """`decode` of many ``.vat`` files, in order; the first one that is corrupt ends it."""
        return [self.decode(data, resolution) for data in files]

    def encode_detailed(
        self,
        source: MeshSource,
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        file_type: str | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
    ) -> Encoded:
        """`encode`, with everything that is known about the result.

        Parameters
        ----------
        source : path, open binary file (with `file_type`) or Trimesh
        size : largest number of bytes of the file, from 64 up
        effort : 0 to 9; 0 takes the encoder's tokens as they are, more refines them for this mesh
        seed : of all sampling; the same one gives the same bytes on the same machine
        progress : told about the steps of the refinement
        stop : when it says True, the best tokens found so far are taken
        packing : "coded", tokens range-coded, as many as fit, or "bytes", one byte each, as many in every
            file of a size

        Raises
        ------
        BadMeshError
            The mesh cannot be read or holds no surface.
        UsageError
            `size`, `effort` or `packing` is out of range.
        """
        self._check(size, effort, packing)
        subject = self.prepare(source, seed, file_type)
        return self.encode_subject(subject, size, effort, progress, stop, packing)

    def prepare(self, source: MeshSource, seed: int = 0, file_type: str | None = None) -> PreparedMesh:
        """Load, sample and encode a mesh: what does not depend on the size of the file.

        Raises
        ------
        BadMeshError
            The mesh cannot be read or holds no surface.
        """
        (subject,) = self.prepare_many([source], seed, file_type)
        return subject

    def prepare_many(
        self, sources: Iterable[MeshSource], seed: int = 0, file_type: str | None = None
    ) -> list[PreparedMesh]:
        """`prepare` of several meshes, which go through the encoder together."""
        sampled = [self._sampled(source, seed, file_type) for source in sources]
        if not sampled:
            return []
        clock = Clock()
        points, normals = (np.stack([part[k] for _, part in sampled]) for k in (0, 1))
        digits = self._or_on_cpu(lambda: self._first_digits(points, normals, clock))
        share = {stage: seconds / len(sampled) for stage, seconds in clock.seconds.items()}
        return [
            replace(subject, digits=[d[k : k + 1] for d in digits], seconds=subject.seconds | share)
            for k, (subject, _) in enumerate(sampled)
        ]

    def encode_subject(
        self,
        subject: PreparedMesh,
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
    ) -> Encoded:
        """`encode_detailed` of a mesh that `prepare` has made ready."""
        (encoded,) = self.encode_subjects([subject], size, effort, progress, stop, packing)
        return encoded

    def encode_subjects(
        self,
        subjects: Sequence[PreparedMesh],
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = DEFAULT_PACKING,
    ) -> list[Encoded]:
        """`encode_subject` of many meshes, of which each round of refinement is one batch."""
        self._check(size, effort, packing)
        coder = self._coder(self._entry) if Packing.parse(packing) == Packing.CODED else None
        filling = TokenBudget(size, effort > 0, self.config, coder)

        def work() -> list[Encoded]:
            model = self._model(self._entry)
            encodings = [self._encoding(subject, filling, effort, progress, stop) for subject in subjects]
            return in_step(encodings, lambda rounds: refine_batch(model, rounds, stop))

        if self.device.type == "cpu" or len(subjects) < 2:
            return self._or_on_cpu(work)
        try:
            return work()
        except torch.OutOfMemoryError:
            middle = len(subjects) // 2
        # Not in the handler: while it runs, the traceback holds on to what could not be completed.
        halves = subjects[:middle], subjects[middle:]
        return [e for half in halves for e in self.encode_subjects(half, size, effort, None, stop, packing)]

    def _encoding(
        self,
        subject: PreparedMesh,
        filling: TokenBudget,
        effort: int,
        progress: Progress | None,
        stop: Stop | None,
    ) -> Generator[RefinementJob, RefinementResult, Encoded]:
        """The encoding of a mesh, which asks for its rounds of refinement."""
        clock = Clock(subject.seconds)
        model = self._model(self._entry)
        first = [d.to(self.device) for d in subject.digits]
        with clock("code"):
            rate = filling.rate_control(self.device)
            last = filling.first_tokens(model.quantizer, first, rate)
        best = Candidate(last, 0, (), np.empty((0, 3)))
        refined = refused = interrupted = False
        spent = EFFORTS[effort]
        if spent.rounds:
            rng = np.random.default_rng([subject.seed, 1])
            with clock("measure"):
                reference = Reference(subject.mesh, samples=CHECK_SAMPLES, seed=subject.seed)
                best = self._measure(self._field(model, last), last, 0, reference, subject.placement)
                exact = Exact(self, model, subject)
            surface, digits = best.surface, first
            for number, steps in enumerate(spent.rounds + spent.hard_rounds):
                hard = number - len(spent.rounds)
                if refined and min(best.fscores) >= PERFECT:
                    break
                if (
                    hard >= 0
                    and best.fscores[0] >= early_stop_fscore(filling.size, number)
                    and not (refused and hard == 0)
                ):
                    break
                rounds = spent.schedule(number)
                leading = number == 0 and len(rounds) > 1
                tokens = filling.goal
                if rate is not None:
                    # At first more tokens than fit, to see how many do; then these, at the bits there are.
                    rate.held = leading
                    tokens = filling.goal if rate.held else len(last)
                with clock("targets"):
                    queries, distances, units = self._targets(subject, surface, spent.pool_size(steps), rng)
                answer = yield RefinementJob(
                    digits,
                    queries,
                    distances,
                    units,
                    tokens,
                    self._lower_rungs(filling.size),
                    steps,
                    subject.seed + number,
                    rate,
                    LATER_RATE if number else FIRST_RATE,
                    after(progress, sum(rounds[:number]), sum(rounds), best.fscores[0]),
                )
                digits = answer.digits
                clock.add("refine", answer.seconds)
                interrupted = stop is not None and stop()
                with clock("measure"):
                    last = filling.fill(nearest_tokens(model.quantizer, digits)[:tokens])
                    field = CachedField(self._field(model, last))
                    if leading and not interrupted:  # of what the next round begins with no score is needed
                        _, surface = self._coarse(field, best.level, subject.placement)
                        continue
                    new = self._measure(field, last, best.level, reference, subject.placement)
                    surface = new.surface
                    # The level comes after the steps, but must have been looked for once.
                    if not refined or not clearly_lower(new, best):
                        new = self._leveled(field, new, reference, subject.placement)
                    higher = new.quality > best.quality
                    better = self._better(exact, field, new, best, reference, subject.placement)
                    if better is not None:
                        best, refined = better, True
                    # Better than the encoder's in the whole, but for one F-score: more may lift that, too.
                    refused = higher and not refined
                if interrupted:
                    break
        placement = subject.placement
        center, half_extents, mirrored = placement.center, placement.half_extents, placement.mirrored
        with clock("code"):
            payload, packing = shortest_payload(best.tokens, filling.coder)
            model_id, count = self._entry.model_id, len(best.tokens)
            file = VatFile(
                payload=payload,
                model_id=model_id,
                count=count,
                packing=packing,
                center=center,
                half_extents=half_extents,
                level=best.level,
                mirrored=mirrored,
            )
            if file.tokens(filling.coder) != best.tokens:
                raise AssertionError("the coded tokens do not decode to themselves")
        scales = self.config.scales_begun(count)
        return Encoded(file.to_bytes(), count, packing, scales, effort, refined, interrupted, clock.seconds)

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
    ) -> Measured:
        """The smallest size of the ladder whose decode meets a target, or the best there is.

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
        self._check(MIN_SIZE, effort, packing)
        if target.tau not in TAUS:
            known = ", ".join(map(str, TAUS))
            raise UsageError(f"an F-score at {target.tau} is not measured", f"choose one of {known}")
        subject = self.prepare(source, seed, file_type)
        reference = Reference(subject.mesh)
        found: list[Measured] = []
        for size in sorted(SIZES.values()):
            encoded = self.encode_subject(subject, size, effort, progress, stop, packing)
            scores = reference.score(
                self.decode(encoded.data, EXACT_RESOLUTION), exterior=False, points=False, iou=False
            )
            found.append(Measured(encoded, scores, target.met_by(scores)))
            if found[-1].met or (stop is not None and stop()):
                break
        if found[-1].met:
            return found[-1]
        if target.min_fscore is None:
            return min(found, key=lambda m: m.scores.p95)
        return max(found, key=lambda m: target.fscore(m.scores))

    def decode(
        self, data: bytes, resolution: int = DEFAULT_RESOLUTION, tokens: int | None = None
    ) -> trimesh.Trimesh:
        """The bytes of a ``.vat`` file to a closed mesh in the original frame."""
        return self.decode_detailed(data, resolution, tokens).mesh

    def decode_detailed(
        self,
        data: bytes,
        resolution: int = DEFAULT_RESOLUTION,
        tokens: int | None = None,
        dense: bool = False,
    ) -> Decoded:
        """`decode`, with everything that is known about the result.

        Parameters
        ----------
        data : a whole ``.vat`` file
        resolution : cells a side of the grid, 16 to 512; it fills the mesh's box, across a mirror its half
        tokens : use only this many of the file's tokens; all by default
        dense : evaluate the field at every grid point, not coarse to fine: slow, finds the tiniest parts too

        Raises
        ------
        CorruptFileError
            Not a whole ``.vat`` file, or tokens without any surface.
        WeightsError
            The model that it names is not here.
        UsageError
            `resolution` or `tokens` out of range.
        """
        if not 16 <= resolution <= 512:
            raise UsageError(f"resolution {resolution} is out of range", "choose 16 to 512")
        file = VatFile.from_bytes(data)
        entry = self.registry.find(file.model_id)
        count = file.count
        if not 1 <= count <= entry.config.max_tokens:
            fault = f"{count} tokens, the model has 1 to {entry.config.max_tokens}"
            raise CorruptFileError(fault, "get the file again")
        if tokens is not None:
            if not 1 <= tokens <= count:
                raise UsageError(f"--tokens {tokens} is out of range", f"the file holds {count} tokens")
            count = tokens
        placement = BoxTransform(*file.box)
        clock = Clock()
        with clock("code"):
            decoded_tokens = file.tokens(self._coder_of(file))[:count]

        def surface() -> Extraction:
            with clock("weights"):
                model = self._model(entry)
            with clock("planes"):
                field = self._field(model, decoded_tokens)
            with clock("extract"):
                return self._surface(field, file.level, resolution, file.mirrored, dense)

        extraction = self._or_on_cpu(surface)
        if len(extraction.faces) == 0:
            remedy = "encode the mesh again at a larger --size"
            raise CorruptFileError("its tokens decode to no surface", remedy)
        vertices = placement.to_world(extraction.vertices)
        if float(np.abs(vertices).max()) > float(np.finfo(np.float32).max):  # most mesh files hold float32
            raise CorruptFileError("its placement is beyond the range of float32", "encode the mesh again")
        mesh = trimesh.Trimesh(vertices, extraction.faces, process=False)
        return Decoded(mesh, extraction.evaluated, extraction.total, clock.seconds)

    def tokens(self, data: bytes) -> NDArray[np.uint8]:
        """The tokens of a ``.vat`` file, (T,) values 0 to 255, coarse to fine.

        Raises
        ------
        CorruptFileError
            Not a whole ``.vat`` file.
        WeightsError
            They are entropy-coded, and the model that it names is not here.
        """
        file = VatFile.from_bytes(data)
        return np.frombuffer(file.tokens(self._coder_of(file)), dtype=np.uint8)

    def from_tokens(
        self,
        tokens: NDArray[np.integer],
        center: tuple[float, float, float] = (0.0, 0.0, 0.0),
        scale: float | tuple[float, float, float] = 1.0,
        level: int = 0,
        mirrored: Axes = NO_AXES,
        packing: str = "bytes",
    ) -> bytes:
        """A ``.vat`` file of tokens, such as a sequence model makes: the reverse of `tokens`.

        Parameters
        ----------
        tokens : (T,) integers 0 to 255, T from 1 to the model's `max_tokens`
        center, scale : where the unit frame lies: its origin, and the length of its unit, or one for each
            axis; these are rounded up to what a file can hold
        level, mirrored : of the surface, see `meshcodec.format.container`; those of another file are attributes of
            `VatFile.from_bytes(data)`
        packing : "bytes", one byte for each, or "coded", range-coded where that is shorter

        Raises
        ------
        UsageError
            Tokens of another shape, number or range, or no such packing.
        """
        asked = Packing.parse(packing)
        row = np.asarray(tokens)
        most = self.config.max_tokens
        if row.ndim != 1 or not 1 <= len(row) <= most or not np.issubdtype(row.dtype, np.integer):
            raise UsageError("tokens are one row of integers", f"give 1 to {most} of them")
        if row.min() < 0 or row.max() > 255:
            raise UsageError(f"a token of {row.min()} or {row.max()}", "tokens are 0 to 255")
        box = round_box(scale) if isinstance(scale, tuple) else (scale, scale, scale)
        coder = self._coder(self._entry) if asked == Packing.CODED else None
        payload, number = shortest_payload(row.astype(np.uint8).tobytes(), coder)
        file = VatFile(
            payload=payload,
            model_id=self._entry.model_id,
            count=len(row),
            packing=number,
            center=center,
            half_extents=box,
            level=level,
            mirrored=mirrored,
        )
        return file.to_bytes()

    def _check(self, size: int, effort: int, packing: str) -> None:
        Packing.parse(packing)
        if not 0 <= effort < len(EFFORTS):
            raise UsageError(f"effort {effort} is out of range", f"choose 0 to {len(EFFORTS) - 1}")
        token_budget(size, self.config)

    def _model(self, entry: WeightsEntry) -> VariationalTokenizer:
        if entry.model_id not in self._models:
            self._models[entry.model_id] = load_model(entry).to(self.device)
        return self._models[entry.model_id]

    def _coder(self, entry: WeightsEntry) -> TokenModel | None:
        if entry.model_id not in self._coders:
            self._coders[entry.model_id] = load_coder(entry)
        return self._coders[entry.model_id]

    def _coder_of(self, file: VatFile) -> TokenModel | None:
        """What decodes the tokens of a file; None where they are bytes."""
        if file.packing == Packing.BYTES:
            return None
        entry = self.registry.find(file.model_id)
        if file.count > entry.config.max_tokens:
            raise CorruptFileError(f"{file.count} tokens are too many for its model", "get the file again")
        coder = self._coder(entry)
        if coder is None:
            fault = f"its tokens are coded, and model {file.model_id.hex()} has no coder here"
            raise CorruptFileError(fault, "install the meshcodec version that wrote it")
        return coder

    def _or_on_cpu(self, work: Callable[[], T]) -> T:
        """The result of `work`, done again on the CPU, from then on, where the GPU's memory is too small."""
        try:
            return work()
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
        self._models.clear()
        torch.cuda.empty_cache()
        self.device, self.device_reason = torch.device("cpu"), "the GPU ran out of memory"
        self.kernel, self.kernel_reason = "tables", self.device_reason
        warnings.warn("the GPU ran out of memory: going on with the CPU", RuntimeWarning, stacklevel=2)
        return work()

    def _sampled(
        self, source: MeshSource, seed: int, file_type: str | None
    ) -> tuple[PreparedMesh, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """A mesh without its digits, and the (N, 3) points and normals that these are made of."""
        clock = Clock()
        with clock("load"):
            mesh = load_mesh(source, file_type, self.max_faces, self.max_bytes)
            placement = fit_coding_box(mesh.vertices, mesh.faces, seed)
        with clock("sample"):
            surfaces = classify(placement.to_unit(mesh.vertices), mesh.faces)
            rng = np.random.default_rng([seed, 0])
            sample = sample_surface(surfaces, self.config.input_points, rng)
        return PreparedMesh(mesh, placement, surfaces, [], seed, clock.seconds), sample

    @torch.no_grad()
    def _first_digits(
        self, points: NDArray[np.float32], normals: NDArray[np.float32], clock: Clock
    ) -> list[torch.Tensor]:
        """The encoder's own digits of each scale, unbounded, (B, 3, n, n, D), of (B, N, 3) samples."""
        with clock("weights"):
            model = self._model(self._entry)
        with clock("encoder"):
            mu, _ = model.encoder(*(torch.from_numpy(a).to(self.device) for a in (points, normals)))
            return model.quantizer.project(mu)

    def _targets(
        self,
        subject: PreparedMesh,
        decoded: NDArray[np.float64],
        count: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """A pool of (1, count, 3) queries, their (1, count) distances and the units of these.

        A third near the surface, a quarter around it, a fifth near the surface that was decoded last, the
        rest anywhere: what is there and should not be shows up in the last two only. The unit of a distance
        is its length in the mesh, in half-extents: 1 along the longest side, less across a narrow one.
        """
        near, around, wrong = count // 3, count // 4, count // 5 if len(decoded) else 0
        # By the area that a face has in the mesh, not in the stretched cube: that is what an F-score counts.
        surfaces = subject.surfaces
        sides = subject.placement.unit_lengths / subject.placement.scale
        counted = replace(surfaces, areas=face_areas(surfaces.vertices * sides, surfaces.faces))
        points, normals = sample_surface(counted, max(near, 1), rng, sharp_share=0.3)
        queries = query_points(points, near, around, count - near - around - wrong, rng)
        if wrong:
            queries = np.concatenate([queries, query_points(decoded, wrong, 0, 0, rng)])
        # A plane in the cube with the unit normal n, moved by d, moves by d / |n / sides| in the mesh.
        _, nearest = cKDTree(points).query(queries)
        units = (1 / np.linalg.norm(normals[nearest] / sides, axis=1)).astype(np.float32)
        return queries[None], TargetField(surfaces)(queries)[None], units[None]

    def _lower_rungs(self, size: int) -> list[int]:
        """What smaller sizes of the ladder hold as bytes, as numbers of scales."""
        budgets = (token_budget(smaller, self.config) for smaller in SIZES.values() if smaller < size)
        return [self.config.scales_begun(budget) for budget in budgets]

    def _measure(
        self, field: Field, tokens: bytes, level: int, reference: Reference, placement: BoxTransform
    ) -> Candidate:
        """Measure what tokens decode to, coarsely; `field` is theirs."""
        extraction, surface = self._coarse(field, level, placement)
        decoded = placement.to_world(extraction.vertices), extraction.faces
        return Candidate(tokens, level, reference.fscore(decoded, JUDGED), surface)

    def _coarse(
        self, field: Field, level: int, placement: BoxTransform
    ) -> tuple[Extraction, NDArray[np.float64]]:
        """The surface of a field on a coarse grid, and its (V, 3) points in the cube, not in mirrors."""
        extraction = self._surface(field, level, CHECK_RESOLUTION, placement.mirrored)
        return extraction, extraction.vertices[(extraction.vertices > -EXTENT).all(axis=1)]

    def _leveled(
        self, field: Field, candidate: Candidate, reference: Reference, placement: BoxTransform
    ) -> Candidate:
        """The candidate with the best level in its surroundings: a climb in steps that become smaller."""
        best = candidate
        for step in LEVEL_STEPS:
            for direction in (step, -step):
                climbing = True
                while climbing and abs(best.level + direction) <= MAX_LEVEL:
                    moved = self._measure(field, best.tokens, best.level + direction, reference, placement)
                    climbing = moved.quality > best.quality
                    best = moved if climbing else best
        return best

    def _better(
        self,
        exact: Exact,
        field: Field,
        new: Candidate,
        old: Candidate,
        reference: Reference,
        placement: BoxTransform,
    ) -> Candidate | None:
        """`new` if it improves on `old`; if only its sum of F-scores does, it at a level nearby that does."""
        gains = exact.gains(new, old)
        if sum(gains) <= 0:
            return None
        if min(gains) >= 0:
            return new
        for shift in NEAR_LEVELS:
            if abs(new.level + shift) <= MAX_LEVEL:
                moved = self._measure(field, new.tokens, new.level + shift, reference, placement)
                if exact.improves(moved, old):
                    return moved
        return None

    @torch.no_grad()
    def _field(self, model: VariationalTokenizer, tokens: bytes) -> Field:
        """(n, 3) points to (n,) signed distances as tokens say, not truncated."""
        array = torch.frombuffer(bytearray(tokens), dtype=torch.uint8)[None].to(self.device)
        return field_of(model.field, model.planes(array)[0], self.kernel)

    def _surface(
        self, field: Field, level: int, resolution: int, mirrored: Axes, dense: bool = False
    ) -> Extraction:
        """The surface of a field at a level, without small components."""
        distance = OffsetField(field, level)
        cube: dict[str, Any] = {"lo": -EXTENT, "hi": EXTENT, "truncation": TRUNCATION, "device": self.device}
        cube.update(mirrored=mirrored, batch=BATCHES[self.kernel])
        if dense:
            found = extract_dense(distance, resolution, **cube)
        else:
            found = extract(distance, resolution, **cube, lipschitz_factor=LIPSCHITZ_FACTOR)
        return without_small_components(found, SMALL_COMPONENT)


@functools.lru_cache(maxsize=2)
def _default_codec(device: str) -> Codec:
    return Codec(device)


def encode(
    source: MeshSource, size: int = 1024, effort: int = DEFAULT_EFFORT, seed: int = 0, device: str = "auto"
) -> bytes:
    """A mesh (path, open file or Trimesh) to the bytes of a ``.vat`` file of at most `size`. See `Codec`."""
    return _default_codec(device).encode(source, size, effort, seed)


def decode(data: bytes, resolution: int = DEFAULT_RESOLUTION, device: str = "auto") -> trimesh.Trimesh:
    """The bytes of a ``.vat`` file to a closed mesh in the original frame. See `Codec`."""
    return _default_codec(device).decode(data, resolution)
