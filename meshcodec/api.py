"""The codec as Python sees it: a mesh to bytes, bytes to a mesh."""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshcodec.config import EXTENT, SIZES, TRUNCATION, ModelConfig
from meshcodec.container import LEVEL_UNIT, MIN_SIZE, NO_AXES, Axes, VatFile, payload_room, round_box
from meshcodec.device import choose_device
from meshcodec.entropy import TokenModel
from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.geometry.extract import (
    Extraction,
    Field,
    GridField,
    by_keys,
    extract,
    extract_dense,
    without_specks,
)
from meshcodec.geometry.inside import Surfaces, TargetField, classify
from meshcodec.geometry.io import MAX_BYTES, MAX_FACES, load_mesh
from meshcodec.geometry.normalize import Placement
from meshcodec.geometry.sample import face_areas, query_points, sample_surface
from meshcodec.geometry.symmetry import coding_placement_of
from meshcodec.kernels import BATCHES, choose_kernel, field_of
from meshcodec.metrics import TAUS, Reference, Scores
from meshcodec.model import VariationalTokenizer
from meshcodec.model.quantizer import MultiScaleQuantizer, token_masks
from meshcodec.packing import BYTES, CODED, PACKINGS, pack
from meshcodec.rates import TokenRates, quantize_within
from meshcodec.refine import (
    EFFORTS,
    FIRST_RATE,
    LATER_RATE,
    RateControl,
    Refined,
    Round,
    Stop,
    easy,
    refine_together,
)
from meshcodec.refine import Progress as RoundProgress
from meshcodec.weights import Registry, WeightsEntry, load_coder, load_model

T = TypeVar("T")
MeshSource = str | Path | BinaryIO | trimesh.Trimesh
Progress = Callable[[int, int, float, float], None]
"""Called with steps done, steps in all, loss, and the best F-score at 0.02 so far, coarsely measured."""

DEFAULT_EFFORT = 4
DEFAULT_RESOLUTION = 256
ENCODER_BATCH = 16
"""Meshes that `Codec.encode_many` gives to the encoder at once, and on a GPU refines at once."""
_CODED_GAIN = 1.7
"""So many tokens for each byte are refined at first where they are entropy-coded. More of them fit only at a
price that the coarser ones pay. Of the encoder's tokens `_SQUEEZE` times as many as fit by themselves."""
_SQUEEZE = 1.15
_CODER_BYTES = 4
"""What a range coder takes beyond the bits of its symbols, and what rounding its networks costs, at most."""
_CHECK_SAMPLES = 30_000
_CHECK_RESOLUTION = 160
_EXACT_RESOLUTION = DEFAULT_RESOLUTION
"""Of coarse measurements, and of those that are to be what a user finds in the decoded file."""
_JUDGED = TAUS[:2]
"""Distances of the F-scores by which candidates are compared."""
_CLEAR = 0.02
"""F-scores that differ by this much in the coarse measurement differ in the exact one too."""
_PERFECT = 0.9995
"""Of F-scores from which on no better tokens are looked for."""
_LEVEL_STEPS = (2, 1)
_NEAR_LEVELS = (1, -1, 2, -2)
_MAX_LEVEL = 20
"""Steps in which the level is searched by coarse scores and by exact ones, and how far, in `LEVEL_UNIT`s."""
_SPECK = 0.066
"""Four texels of the planes, in the unit frame: parts of the decode that are nowhere longer, or longer than
one texel along one axis only, or within sixteen and of less volume than a cube of two, are errors of the
field."""
_SLACK = 0.75
"""Learned distances are a little short of true ones, and no part that the planes can hold hides between
corners this near (`extract` follows every surface that it meets, so only a part of its own could be lost)."""


@dataclass(frozen=True)
class Encoded:
    """A file and how it came about.

    Attributes
    ----------
    data : the ``.vat`` file
    tokens : tokens in it
    packing : 0, a byte each, or 1, range coded
    scales : scales begun
    effort : level asked for
    refined : whether the refined tokens were kept, rather than the encoder's own
    interrupted : whether `stop` ended the refinement early
    seconds : of each stage
    """

    data: bytes
    tokens: int
    packing: int
    scales: int
    effort: int
    refined: bool
    interrupted: bool
    seconds: dict[str, float]


@dataclass(frozen=True)
class Target:
    """A quality to reach; what is not asked for is None.

    Attributes
    ----------
    min_fscore : F-score to reach, 0..1
    tau : distance at which it is taken, one of `meshcodec.metrics.TAUS`
    max_error : 95th percentile of the distances not to exceed, in units of the longest half-extent
    """

    min_fscore: float | None = None
    tau: float = TAUS[0]
    max_error: float | None = None

    def fscore(self, scores: Scores) -> float:
        """The F-score that `min_fscore` is about."""
        return (scores.f_002, scores.f_001, scores.f_0005)[TAUS.index(self.tau)]

    def met_by(self, scores: Scores) -> bool:
        """Whether measured scores reach the target."""
        enough = self.min_fscore is None or self.fscore(scores) >= self.min_fscore
        return enough and (self.max_error is None or scores.p95 <= self.max_error)

    def missed_by(self, measured: Measured) -> str:
        """What was asked for, and what the best file has."""
        wanted, got = [], []
        if self.min_fscore is not None:
            wanted.append(f"F@{self.tau} {self.min_fscore:g}")
            got.append(f"F@{self.tau} {self.fscore(measured.scores):.4f}")
        if self.max_error is not None:
            wanted.append(f"an error of {self.max_error:g}")
            got.append(f"an error of {measured.scores.p95:.4f}")
        size = len(measured.encoded.data)
        return f"no size reaches {' and '.join(wanted)}: the best, of {size} bytes, has {' and '.join(got)}"


@dataclass(frozen=True)
class Measured:
    """The outcome of encoding to a target.

    Attributes
    ----------
    encoded : the smallest file that meets the target or, where none does, the best
    scores : of its decode
    met : whether it meets the target
    """

    encoded: Encoded
    scores: Scores
    met: bool


@dataclass(frozen=True)
class Subject:
    """A mesh that is ready to be encoded at any size and effort.

    Attributes
    ----------
    mesh : in its own frame
    placement : from the unit frame to it
    surfaces : in the unit frame
    digits : unbounded, of each scale, as the encoder gives them, (1, 3, n, n, D)
    seed : of all sampling
    seconds : of each stage so far
    """

    mesh: trimesh.Trimesh
    placement: Placement
    surfaces: Surfaces
    digits: list[torch.Tensor]
    seed: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class Decoded:
    """A mesh and what its decoding cost.

    Attributes
    ----------
    mesh : closed, in the original frame
    evaluated, total : points at which the field was evaluated, and points of the whole grid
    seconds : of each stage
    """

    mesh: trimesh.Trimesh
    evaluated: int
    total: int
    seconds: dict[str, float] = field(default_factory=dict)


def token_budget(size: int, config: ModelConfig, level: bool = True) -> int:
    """Tokens of one byte each that a file of at most `size` bytes gets, with room for a level or without.

    A size of the ladder ends at a scale, so that its file is the start of every larger one; any other is
    filled.

    Raises
    ------
    UsageError
        Less than 64 bytes.
    """
    capacity = min(payload_room(size, level=level), config.max_tokens)
    if size in SIZES.values():
        return max((end for end in config.scale_ends() if end <= capacity), default=capacity)
    return capacity


@torch.no_grad()
def _rounded(quantizer: MultiScaleQuantizer, digits: list[torch.Tensor]) -> bytes:
    """The tokens nearest to digits: unbounded, of each scale, (1, 3, n, n, D)."""
    levels = [quantizer.quantize(d) for d in digits]
    return bytes(quantizer.to_tokens(levels)[0].cpu().numpy().tobytes())


def _shortest(tokens: bytes, coder: TokenModel | None) -> tuple[bytes, int]:
    """The shorter of the payloads of tokens, and its packing; without a coder there is one."""
    if coder is None:
        return tokens, BYTES
    payloads = [(pack(tokens, packing, coder), packing) for packing in (BYTES, CODED)]
    return min(payloads, key=lambda payload: len(payload[0]))


def _no_packing(packing: str) -> UsageError:
    return UsageError(f"there is no packing {packing!r}", f"choose {' or '.join(PACKINGS)}")


class _Filling:
    """Which tokens a file of some size gets.

    Parameters
    ----------
    size : of the file
    level : whether it keeps a byte for a level
    config : of the model
    coder : of its tokens; None for one byte each

    Attributes
    ----------
    size : as given
    room : bytes of the payload
    goal : tokens worth refining
    """

    def __init__(self, size: int, level: bool, config: ModelConfig, coder: TokenModel | None) -> None:
        self.size, self.room = size, payload_room(size, level=level)
        self.coder = coder
        self.goal = token_budget(size, config, level)
        if coder is not None:
            self.goal = min(int(_CODED_GAIN * self.room), config.max_tokens)

    def fill(self, tokens: bytes) -> bytes:
        """The longest prefix of tokens that fits, or nearly: what a prefix takes is not monotone."""
        if self.coder is None:
            return tokens[: self.goal]
        fits, too_long = min(self.room, len(tokens)), len(tokens) + 1
        count = len(tokens)
        while fits < count:
            taken = len(self.coder.encode(tokens[:count]))
            if taken <= self.room:
                fits = count
            else:
                too_long = count
            # By proportion, but always nearer: tokens of one scale take about as much each.
            guess = count * self.room // max(taken, 1)
            count = min(max(guess, fits + 1), too_long - 1)
        return tokens[:fits]

    def rate_control(self, device: torch.device) -> RateControl | None:
        """What keeps refined tokens within the room; None where `goal` tokens fit as they are."""
        if self.coder is None or self.goal <= self.room:
            return None
        return RateControl(TokenRates(self.coder, device), 8 * (self.room - _CODER_BYTES))

    def first_tokens(
        self, quantizer: MultiScaleQuantizer, digits: list[torch.Tensor], rate: RateControl | None
    ) -> bytes:
        """The tokens of the encoder's digits: unbounded, of each scale, (1, 3, n, n, D)."""
        tokens = self.fill(_rounded(quantizer, digits))
        if rate is None:
            return tokens
        # Some more of them are worth it, where for their bits the dearest digits of all give way.
        count = min(int(_SQUEEZE * len(tokens)), self.goal)
        masks = token_masks(torch.tensor([count]), quantizer.config, digits[0].device)
        levels = quantize_within(quantizer, rate.rates, digits[: len(masks)], masks, rate.bits)
        return self.fill(bytes(quantizer.to_tokens(levels)[0].cpu().numpy().tobytes())[:count])


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
        packing: str = PACKINGS[0],
    ) -> bytes:
        """A mesh (path, open file or Trimesh) to the bytes of a ``.vat`` file of at most `size` bytes."""
        return self.encode_detailed(source, size, effort, seed, packing=packing).data

    def encode_many(
        self,
        sources: Iterable[MeshSource],
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        seed: int = 0,
        packing: str = PACKINGS[0],
    ) -> list[bytes]:
        """`encode` of many meshes, `ENCODER_BATCH` of them at a time.

        Sums are taken in another order than for one mesh alone: now and then a token is its neighbour.
        The first mesh that is bad ends it; `meshcodec.batch.compress` goes on, and uses all cores.

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
        packing: str = PACKINGS[0],
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

    def prepare(self, source: MeshSource, seed: int = 0, file_type: str | None = None) -> Subject:
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
    ) -> list[Subject]:
        """`prepare` of several meshes, which go through the encoder together."""
        sampled = [self._sampled(source, seed, file_type) for source in sources]
        if not sampled:
            return []
        clock = _Clock()
        points, normals = (np.stack([part[k] for _, part in sampled]) for k in (0, 1))
        digits = self._or_on_cpu(lambda: self._first_digits(points, normals, clock))
        share = {stage: seconds / len(sampled) for stage, seconds in clock.seconds.items()}
        return [
            replace(subject, digits=[d[k : k + 1] for d in digits], seconds=subject.seconds | share)
            for k, (subject, _) in enumerate(sampled)
        ]

    def encode_subject(
        self,
        subject: Subject,
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = PACKINGS[0],
    ) -> Encoded:
        """`encode_detailed` of a mesh that `prepare` has made ready."""
        (encoded,) = self.encode_subjects([subject], size, effort, progress, stop, packing)
        return encoded

    def encode_subjects(
        self,
        subjects: Sequence[Subject],
        size: int = 1024,
        effort: int = DEFAULT_EFFORT,
        progress: Progress | None = None,
        stop: Stop | None = None,
        packing: str = PACKINGS[0],
    ) -> list[Encoded]:
        """`encode_subject` of many meshes, of which each round of refinement is one batch."""
        self._check(size, effort, packing)
        coder = self._coder(self._entry) if packing == "coded" else None
        filling = _Filling(size, effort > 0, self.config, coder)

        def work() -> list[Encoded]:
            model = self._model(self._entry)
            encodings = [self._encoding(subject, filling, effort, progress, stop) for subject in subjects]
            return _in_step(encodings, lambda rounds: refine_together(model, rounds, stop))

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
        subject: Subject,
        filling: _Filling,
        effort: int,
        progress: Progress | None,
        stop: Stop | None,
    ) -> Generator[Round, Refined, Encoded]:
        """The encoding of a mesh, which asks for its rounds of refinement."""
        clock = _Clock(subject.seconds)
        model = self._model(self._entry)
        first = [d.to(self.device) for d in subject.digits]
        with clock("code"):
            rate = filling.rate_control(self.device)
            last = filling.first_tokens(model.quantizer, first, rate)
        best = _Candidate(last, 0, (), np.empty((0, 3)))
        refined = refused = interrupted = False
        spent = EFFORTS[effort]
        if spent.rounds:
            rng = np.random.default_rng([subject.seed, 1])
            with clock("measure"):
                reference = Reference(subject.mesh, samples=_CHECK_SAMPLES, seed=subject.seed)
                best = self._measure(self._field(model, last), last, 0, reference, subject.placement)
                exact = _Exact(self, model, subject)
            surface, digits = best.surface, first
            for number, steps in enumerate(spent.rounds + spent.hard_rounds):
                hard = number - len(spent.rounds)
                if refined and min(best.fscores) >= _PERFECT:
                    break
                if (
                    hard >= 0
                    and best.fscores[0] >= easy(filling.size, number)
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
                answer = yield Round(
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
                    _after(progress, sum(rounds[:number]), sum(rounds), best.fscores[0]),
                )
                digits = answer.digits
                clock.add("refine", answer.seconds)
                interrupted = stop is not None and stop()
                with clock("measure"):
                    last = filling.fill(_rounded(model.quantizer, digits)[:tokens])
                    field = _Remembered(self._field(model, last))
                    if leading and not interrupted:  # of what the next round begins with no score is needed
                        _, surface = self._coarse(field, best.level, subject.placement)
                        continue
                    new = self._measure(field, last, best.level, reference, subject.placement)
                    surface = new.surface
                    # The level comes after the steps, but must have been looked for once.
                    if not refined or not _clearly_lower(new, best):
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
            payload, packing = _shortest(best.tokens, filling.coder)
            model_id, count = self._entry.model_id, len(best.tokens)
            file = VatFile(payload, model_id, center, half_extents, best.level, packing, mirrored, count)
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
        packing: str = PACKINGS[0],
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
                self.decode(encoded.data, _EXACT_RESOLUTION), exterior=False, points=False, iou=False
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
        placement = Placement(
            file.center or (0.0, 0.0, 0.0), file.half_extents or (1.0, 1.0, 1.0), file.mirrored
        )
        clock = _Clock()
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
        level, mirrored : of the surface, see `meshcodec.container`; those of another file are attributes of
            `VatFile.from_bytes(data)`
        packing : "bytes", one byte for each, or "coded", range-coded where that is shorter

        Raises
        ------
        UsageError
            Tokens of another shape, number or range, or no such packing.
        """
        if packing not in PACKINGS:
            raise _no_packing(packing)
        row = np.asarray(tokens)
        most = self.config.max_tokens
        if row.ndim != 1 or not 1 <= len(row) <= most or not np.issubdtype(row.dtype, np.integer):
            raise UsageError("tokens are one row of integers", f"give 1 to {most} of them")
        if row.min() < 0 or row.max() > 255:
            raise UsageError(f"a token of {row.min()} or {row.max()}", "tokens are 0 to 255")
        box = round_box(scale) if isinstance(scale, tuple) else (scale, scale, scale)
        coder = self._coder(self._entry) if packing == "coded" else None
        payload, number = _shortest(row.astype(np.uint8).tobytes(), coder)
        model_id = self._entry.model_id
        return VatFile(payload, model_id, center, box, level, number, mirrored, len(row)).to_bytes()

    def _check(self, size: int, effort: int, packing: str) -> None:
        if packing not in PACKINGS:
            raise _no_packing(packing)
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
        if file.packing == BYTES:
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
    ) -> tuple[Subject, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """A mesh without its digits, and the (N, 3) points and normals that these are made of."""
        clock = _Clock()
        with clock("load"):
            mesh = load_mesh(source, file_type, self.max_faces, self.max_bytes)
            placement = coding_placement_of(mesh.vertices, mesh.faces, seed)
        with clock("sample"):
            surfaces = classify(placement.to_unit(mesh.vertices), mesh.faces)
            rng = np.random.default_rng([seed, 0])
            sample = sample_surface(surfaces, self.config.input_points, rng)
        return Subject(mesh, placement, surfaces, [], seed, clock.seconds), sample

    @torch.no_grad()
    def _first_digits(
        self, points: NDArray[np.float32], normals: NDArray[np.float32], clock: _Clock
    ) -> list[torch.Tensor]:
        """The encoder's own digits of each scale, unbounded, (B, 3, n, n, D), of (B, N, 3) samples."""
        with clock("weights"):
            model = self._model(self._entry)
        with clock("encoder"):
            mu, _ = model.encoder(*(torch.from_numpy(a).to(self.device) for a in (points, normals)))
            return model.quantizer.project(mu)

    def _targets(
        self,
        subject: Subject,
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
        self, field: Field, tokens: bytes, level: int, reference: Reference, placement: Placement
    ) -> _Candidate:
        """Measure what tokens decode to, coarsely; `field` is theirs."""
        extraction, surface = self._coarse(field, level, placement)
        decoded = placement.to_world(extraction.vertices), extraction.faces
        return _Candidate(tokens, level, reference.fscore(decoded, _JUDGED), surface)

    def _coarse(
        self, field: Field, level: int, placement: Placement
    ) -> tuple[Extraction, NDArray[np.float64]]:
        """The surface of a field on a coarse grid, and its (V, 3) points in the cube, not in mirrors."""
        extraction = self._surface(field, level, _CHECK_RESOLUTION, placement.mirrored)
        return extraction, extraction.vertices[(extraction.vertices > -EXTENT).all(axis=1)]

    def _leveled(
        self, field: Field, candidate: _Candidate, reference: Reference, placement: Placement
    ) -> _Candidate:
        """The candidate with the best level in its surroundings: a climb in steps that become smaller."""
        best = candidate
        for step in _LEVEL_STEPS:
            for direction in (step, -step):
                climbing = True
                while climbing and abs(best.level + direction) <= _MAX_LEVEL:
                    moved = self._measure(field, best.tokens, best.level + direction, reference, placement)
                    climbing = moved.quality > best.quality
                    best = moved if climbing else best
        return best

    def _better(
        self,
        exact: _Exact,
        field: Field,
        new: _Candidate,
        old: _Candidate,
        reference: Reference,
        placement: Placement,
    ) -> _Candidate | None:
        """`new` if it improves on `old`; if only its sum of F-scores does, it at a level nearby that does."""
        gains = exact.gains(new, old)
        if sum(gains) <= 0:
            return None
        if min(gains) >= 0:
            return new
        for shift in _NEAR_LEVELS:
            if abs(new.level + shift) <= _MAX_LEVEL:
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
        """The surface of a field at a level, without specks."""
        distance = _Leveled(field, level)
        cube: dict[str, Any] = {"lo": -EXTENT, "hi": EXTENT, "truncation": TRUNCATION, "device": self.device}
        cube.update(mirrored=mirrored, batch=BATCHES[self.kernel])
        if dense:
            found = extract_dense(distance, resolution, **cube)
        else:
            found = extract(distance, resolution, **cube, slack=_SLACK)
        return without_specks(found, _SPECK)


class _Leveled:
    """A field whose surface is that of another at a level, truncated."""

    def __init__(self, field: Field, level: int) -> None:
        self._field, self._level = field, level * LEVEL_UNIT
        self.error = field.error if isinstance(field, GridField) else 0.0

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return self._truncated(self._field(points))

    def on_grid(self, ticks: torch.Tensor) -> tuple[Field, Field]:
        ask, ask_again = by_keys(self._field, ticks)
        return lambda keys: self._truncated(ask(keys)), lambda keys: self._truncated(ask_again(keys))

    def _truncated(self, distances: torch.Tensor) -> torch.Tensor:
        return (distances - self._level).clamp(-TRUNCATION, TRUNCATION)


class _Remembered:
    """A field that is asked again and again at the points of one grid, and evaluated once at each."""

    def __init__(self, field: Field) -> None:
        self._field, self._ask, self._ask_again = field, field, field
        self.error = field.error if isinstance(field, GridField) else 0.0
        self._values = torch.empty(0)

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return self._field(points)

    def on_grid(self, ticks: torch.Tensor) -> tuple[Field, Field]:
        """The grid must be the same each time."""
        if len(self._values) != len(ticks) ** 3:
            self._values = torch.full((len(ticks) ** 3,), torch.nan, device=ticks.device)
            self._ask, self._ask_again = by_keys(self._field, ticks)
        return self._at, self._ask_again

    def _at(self, keys: torch.Tensor) -> torch.Tensor:
        new = keys[self._values[keys].isnan()]
        if len(new):
            self._values[new] = self._ask(new)
        return self._values[keys]


@dataclass(frozen=True)
class _Candidate:
    """Tokens and a level, F-scores of theirs at `_JUDGED`, and (V, 3) points of their surface in the cube."""

    tokens: bytes
    level: int
    fscores: tuple[float, ...]
    surface: NDArray[np.float64]

    @property
    def quality(self) -> float:
        """The sum of the F-scores."""
        return sum(self.fscores)


def _differences(after: Sequence[float], before: Sequence[float]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(after, before, strict=True))


def _clearly_lower(new: _Candidate, old: _Candidate) -> bool:
    return max(_differences(new.fscores, old.fscores)) <= -_CLEAR


class _Exact:
    """Tells whether a candidate is better, as a user would measure it where the coarse scores are close."""

    def __init__(self, codec: Codec, model: VariationalTokenizer, subject: Subject) -> None:
        self._codec, self._model, self._subject = codec, model, subject
        self._known: dict[tuple[bytes, int], tuple[float, ...]] = {}

    def improves(self, new: _Candidate, old: _Candidate) -> bool:
        """Whether `new` has a higher sum of F-scores than `old` and none that is lower."""
        gains = self.gains(new, old)
        return sum(gains) > 0 and min(gains) >= 0

    def gains(self, new: _Candidate, old: _Candidate) -> tuple[float, ...]:
        """What `new` has of each F-score beyond `old`; exact where it is close."""
        coarse = _differences(new.fscores, old.fscores)
        if min(coarse) >= _CLEAR or _clearly_lower(new, old):
            return coarse
        return _differences(self._fscores(new), self._fscores(old))

    def _fscores(self, candidate: _Candidate) -> tuple[float, ...]:
        key = candidate.tokens, candidate.level
        if key not in self._known:
            placement = self._subject.placement
            field = self._codec._field(self._model, candidate.tokens)
            found = self._codec._surface(field, candidate.level, _EXACT_RESOLUTION, placement.mirrored)
            decoded = placement.to_world(found.vertices), found.faces
            self._known[key] = self._reference.fscore(decoded, _JUDGED)
        return self._known[key]

    @functools.cached_property
    def _reference(self) -> Reference:
        return Reference(self._subject.mesh)


def _in_step(
    encodings: Sequence[Generator[Round, Refined, Encoded]],
    refine_all: Callable[[Sequence[Round]], list[Refined]],
) -> list[Encoded]:
    """What encodings come to when those that ask for a round are all answered at once."""
    asked: dict[int, Round] = {}
    done: dict[int, Encoded] = {}

    def go_on(place: int, answer: Refined | None) -> None:
        try:
            asked[place] = next(encodings[place]) if answer is None else encodings[place].send(answer)
        except StopIteration as end:
            done[place] = end.value

    for place in range(len(encodings)):
        go_on(place, None)
    while asked:
        answers = dict(zip(asked, refine_all(list(asked.values())), strict=True))
        asked.clear()
        for place, answer in answers.items():
            go_on(place, answer)
    return [done[place] for place in range(len(encodings))]


def _after(progress: Progress | None, done: int, total: int, fscore: float) -> RoundProgress | None:
    """The progress of a round as that of all rounds."""
    if progress is None:
        return None
    return lambda step, steps, loss: progress(done + step, total, loss, fscore)


class _Clock:
    """Adds up seconds by stage."""

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Seconds that were spent elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


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
