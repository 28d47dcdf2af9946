"""``meshcodec bench``: rate and distortion of our codec and of what a user would take instead, over a folder.

Every mesh is coded at every size by every codec in worker processes. A row is kept in the cache under the
SHA-256 of its file, the codec, its settings and the model, so that a second run computes only what changed.
A mesh that fails is a row with its error and zeros, and counts in every mean.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import trimesh
from tqdm import tqdm

from meshcodec import __version__
from meshcodec.baselines import (
    convex_hull,
    decimate_draco_many,
    decode_draco,
    require,
    target_surface,
)
from meshcodec.errors import BadMeshError, MeshcodecError, UsageError
from meshcodec.geometry.io import READ_FORMATS, load_mesh, write_atomic
from meshcodec.metrics import TAUS, Reference, Scores
from meshcodec.packing import PACKINGS
from meshcodec.workers import DIED, one_line, run_jobs

OURS = "meshcodec"
"""Name of our own codec in rows and tables."""

BASELINES = ("draco", "hull", "target")
"""``draco``: the best of decimation and Draco at the size. ``hull``: the convex hull. ``target``: the surface
that our codec is asked for, which is as good as its decodes can become. The last two have no size."""

_SIZELESS = {"hull": convex_hull, "target": target_surface}

_REVISION = {
    OURS: 9,
    "draco": 1,
    "hull": 1,
    "target": 2,
    "metric": 1,
}  # raise one to forget its rows in every cache
_TAGS = dict(zip(TAUS, ("002", "001", "0005"), strict=True))
_TIE = 0.001
_HEADLINE_SIZE = 1024
_WORST = 10


class CodecLike(Protocol):
    """What the bench needs of a codec: `meshcodec.api.Codec`, or a stand-in for tests."""

    @property
    def model_id(self) -> str:
        """8 hex digits."""
        ...

    def encode(self, source: trimesh.Trimesh, size: int, effort: int, seed: int, packing: str) -> bytes:
        """A mesh to at most ``size`` bytes."""
        ...

    def decode(self, data: bytes, resolution: int) -> trimesh.Trimesh:
        """The mesh again, in the original frame."""
        ...


@dataclass(frozen=True)
class BenchRow:
    """One mesh through one codec at one size; the same for every codec.

    Attributes
    ----------
    file : str
        Path below the folder, with forward slashes.
    sha256 : str
        Of the file; empty where it could not be read.
    codec : str
        `OURS` or one of `BASELINES`.
    size : int or None
        Bytes allowed; None for a codec without a size.
    bytes : int or None
        Bytes taken; None for a codec without a file, 0 where there is none because of an error.
    model_id : str
        Of our codec, 8 hex digits; empty for the others.
    settings : dict
        What the codec was told, or has chosen.
    encode_seconds, decode_seconds : float
    scores : Scores
    error : str
        Why there is no decoded mesh; empty where there is one.
    """

    file: str
    sha256: str
    codec: str
    size: int | None
    bytes: int | None
    model_id: str
    settings: dict[str, Any]
    encode_seconds: float
    decode_seconds: float
    scores: Scores
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Flat: the scores beside the rest, infinite distances as None, which JSON and CSV can hold."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scores", "error")}
        for name, value in self.scores.to_dict().items():
            row[name] = None if isinstance(value, float) and math.isinf(value) else value
        return {**row, "error": self.error}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> BenchRow:
        """The row that `to_dict` was made of. Raises KeyError where a field is missing."""
        own = {f.name: row[f.name] for f in fields(cls) if f.name != "scores"}
        scores = {f.name: row[f.name] for f in fields(Scores)}
        for name in ("chamfer", "p95", "max"):
            scores[name] = float("inf") if scores[name] is None else scores[name]
        return cls(**own, scores=Scores(**scores))


@dataclass(frozen=True)
class Equivalent:
    """Bytes that a baseline needs for our mean F-score.

    Attributes
    ----------
    size : int
        Bytes that ours was allowed.
    tau : float
        One of `meshcodec.metrics.TAUS`.
    f : float
        Our mean F-score there.
    bytes : float
        That the baseline needs, by linear interpolation of F over log2(bytes) on its mean curve.
    bound : str
        ``<`` or ``>`` where our score is off the baseline's curve and ``bytes`` is its end; else empty.
    """

    size: int
    tau: float
    f: float
    bytes: float
    bound: str

    @property
    def ratio(self) -> float:
        """Baseline's bytes over ours: above 1 is a win."""
        return self.bytes / self.size


@dataclass
class BenchReport:
    """What a run of the bench found.

    Attributes
    ----------
    rows : list of BenchRow
        By file, codec and size.
    sizes : list of int
        Bytes, ascending.
    model_id : str
        Of our codec; empty if it did not take part.
    effort, packing, resolution : int, str, int
        What our codec ran at.
    computed : int
        Rows that this run computed; all others came from the cache.
    out : Path
        Folder with ``rows.json``, ``rows.csv``, ``table.md``, ``f_*.png`` and ``worst.png``.
    notes : list of str
        What could not be made, and why.
    """

    rows: list[BenchRow]
    sizes: list[int]
    model_id: str
    effort: int
    packing: str
    resolution: int
    computed: int
    out: Path
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[BenchRow]:
        """The rows that hold an error."""
        return [row for row in self.rows if row.error]

    def of(self, codec: str, size: int | None) -> list[BenchRow]:
        """The rows of one codec at one size; a codec without a size answers for every size."""
        return [r for r in self.rows if r.codec == codec and (r.size == size or r.size is None)]

    def codecs(self) -> list[str]:
        """Codecs with a row, ours first."""
        present = {row.codec for row in self.rows}
        return [codec for codec in (OURS, *BASELINES) if codec in present]

    def curve(self, codec: str, tau: float) -> list[tuple[int, float]]:
        """(size, mean F at ``tau``) by size."""
        return [(size, _mean(f_of(row, tau) for row in self.of(codec, size))) for size in self.sizes]

    def wins(self, against: str, size: int, tau: float) -> tuple[int, int, int]:
        """Files on which ours has the higher F, the same to 0.001, and the lower one."""
        theirs = {row.file: f_of(row, tau) for row in self.of(against, size)}
        gaps = [f_of(row, tau) - theirs[row.file] for row in self.of(OURS, size) if row.file in theirs]
        won, lost = sum(gap > _TIE for gap in gaps), sum(gap < -_TIE for gap in gaps)
        return won, len(gaps) - won - lost, lost

    def equivalents(self, against: str = "draco") -> list[Equivalent]:
        """Bytes that the baseline needs for our F-score, at each size and tau; a Bjontegaard-style rate."""
        if not {OURS, against} <= set(self.codecs()):
            return []
        found = []
        for tau in TAUS:
            theirs = self.curve(against, tau)
            for size, f in self.curve(OURS, tau):
                found.append(Equivalent(size, tau, f, *bytes_for(theirs, f)))
        return found

    def ragged(self) -> set[str]:
        """Files whose mesh has several parts or a border, as far as any codec's row could tell."""
        told = [row for row in self.rows if not row.error]
        return {r.file for r in told if r.scores.components_reference > 1 or r.scores.volume_iou is None}

    def worst(self, count: int = _WORST) -> list[BenchRow]:
        """Our rows with the lowest F@0.02 + F@0.01 at 1 KB, or at the size nearest to it."""
        codec = OURS if OURS in self.codecs() else next(iter(self.codecs()), OURS)
        size = min(self.sizes, key=lambda s: abs(math.log2(s / _HEADLINE_SIZE)))
        return sorted(self.of(codec, size), key=lambda r: (f_of(r, 0.02) + f_of(r, 0.01), r.file))[:count]

    def table(self) -> str:
        """The report as Markdown."""
        count = len({row.file for row in self.rows})
        ours = f", model {self.model_id}, effort {self.effort}, {self.packing}, resolution {self.resolution}"
        lines = [f"{date.today().isoformat()}, {count} meshes{ours if self.model_id else ''}", ""]
        head = [
            "codec",
            "size",
            "bytes",
            *(f"F@{tau:g}" for tau in TAUS),
            *(f"median F@{tau:g}" for tau in TAUS),
        ]
        head += [
            "exterior F@0.01",
            "point F@0.01",
            "median Chamfer",
            "normals",
            "IoU (closed)",
            "encode s",
            "decode s",
        ]
        body = []
        for codec in self.codecs():
            for size in _sizes_of(codec, self.sizes):
                if rows := self.of(codec, size):
                    body.append(_summary(codec, size, rows))
        lines += _markdown([*head, "failed"], body)
        lines += [
            "",
            "Bytes, F, normals and IoU are means over all files (medians where so named), failures as 0;",
        ]
        lines += ["seconds are medians."]
        if files := self.ragged():
            lines += ["", f"Means over the {len(files)} meshes with several parts or a border:", ""]
            cells = []
            for codec in self.codecs():
                for size in _sizes_of(codec, self.sizes):
                    of_these = [row for row in self.of(codec, size) if row.file in files]
                    means = [f"{_mean(f_of(row, tau) for row in of_these):.3f}" for tau in TAUS]
                    cells.append([codec, "-" if size is None else str(size), *means])
            lines += _markdown(["codec", "size", *(f"F@{tau:g}" for tau in TAUS)], cells)
        others = [codec for codec in self.codecs() if codec != OURS]
        if OURS in self.codecs() and others:
            lines += ["", "Meshes on which ours is better / the same to 0.001 / worse:", ""]
            cells = [
                [other, str(size), *(" / ".join(map(str, self.wins(other, size, tau))) for tau in TAUS)]
                for other in others
                for size in self.sizes
            ]
            lines += _markdown(["against", "size", *(f"F@{tau:g}" for tau in TAUS)], cells)
        if found := self.equivalents():
            lines += ["", "Bytes that decimate + Draco needs for our mean F-score, divided by ours:", ""]
            cells = [
                [str(size), *(f"{e.bound}{e.ratio:.2f}" for e in found if e.size == size)]
                for size in self.sizes
            ]
            lines += _markdown(["size", *(f"F@{tau:g}" for tau in TAUS)], cells)
        if rows := self.worst():
            lines += ["", f"The lowest scores of {rows[0].codec} at {rows[0].size} bytes:", ""]
            theirs = {row.file: row for row in self.of("draco", rows[0].size)}
            cells = []
            for row in rows:
                other = theirs.get(row.file)
                beside = f"{f_of(other, 0.02):.3f} / {f_of(other, 0.01):.3f}" if other else "-"
                cells.append([row.file, f"{f_of(row, 0.02):.3f} / {f_of(row, 0.01):.3f}", beside, row.error])
            lines += _markdown(["file", "F@0.02 / F@0.01", "draco", "error"], cells)
        return "\n".join(lines) + "\n"


def f_of(row: BenchRow, tau: float) -> float:
    """The row's F-score at one of `TAUS`."""
    return float(getattr(row.scores, f"f_{_TAGS[tau]}"))


def bytes_for(curve: Sequence[tuple[int, float]], f: float) -> tuple[float, str]:
    """Bytes at which a curve of (bytes, F) reaches ``f``; ``<`` if it starts above, ``>`` if it ends below.

    Linear in F over log2(bytes); a curve that falls is taken at its running maximum.
    """
    sizes = [math.log2(size) for size, _ in curve]
    values = np.maximum.accumulate([value for _, value in curve]).tolist()
    if f < values[0]:
        return float(curve[0][0]), "<"
    if f > values[-1]:
        return float(curve[-1][0]), ">"
    k = next(i for i, value in enumerate(values) if value >= f)
    if k == 0:
        return float(curve[0][0]), ""
    share = (f - values[k - 1]) / (values[k] - values[k - 1])
    return float(2 ** (sizes[k - 1] + share * (sizes[k] - sizes[k - 1]))), ""


def run_bench(
    folder: Path,
    sizes: list[int],
    effort: int,
    baselines: list[str],
    out: Path,
    jobs: int,
    resolution: int = 256,
    *,
    packing: str = PACKINGS[0],
    device: str = "cpu",
    samples: int = 100_000,
    make_codec: Callable[[str], CodecLike] | None = None,
    ours: bool = True,
    quiet: bool = False,
) -> BenchReport:
    """Run the bench over a folder and write its report.

    Parameters
    ----------
    folder : Path
        Searched for meshes at every depth.
    sizes : list of int
        Bytes.
    effort : int
        Of our encoder, 0..9.
    packing : str
        Of our files, one of `meshcodec.packing.PACKINGS`.
    baselines : list of str
        Some of `BASELINES`.
    out : Path
        Folder of the report, made if need be; its ``cache`` folder makes the next run quick.
    jobs : int
        Worker processes, each with one thread; 1 works in this process.
    resolution : int
        Of our decoder.
    device : str
        Of our codec.
    samples : int
        Points on each surface.
    make_codec : callable, optional
        From the device to a codec, in place of `meshcodec.api.Codec`; a function of a module.
    ours : bool
        Whether our codec takes part.
    quiet : bool
        No progress bar, which otherwise is drawn on stderr where that is a terminal.

    Raises
    ------
    UsageError
        No mesh in the folder, no size, an unknown baseline, a package that it needs is missing, or ``out``
        cannot be written.
    WeightsError
        Our codec has no weights.
    """
    if not sizes or min(sizes) < 1 or jobs < 1:
        raise UsageError("the bench needs a size and a job", "give --sizes and --jobs of at least 1")
    for name in baselines:
        if name not in BASELINES:
            raise UsageError(f"unknown baseline {name!r}", f"use some of {', '.join(BASELINES)}")
    if "draco" in baselines:
        require()
    paths = _meshes(folder)
    try:
        (out / "cache").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {out}: {error.strerror}", "choose another output folder") from error
    sizes = sorted(set(sizes))
    # Made here too: missing weights end the run before it starts, and rows are looked up by the model.
    codec = (make_codec or _our_codec)(device) if ours else None
    plan = _Plan(
        sizes=tuple(sizes),
        codecs=((OURS,) if ours else ()) + tuple(name for name in BASELINES if name in baselines),
        effort=effort,
        packing=packing,
        resolution=resolution,
        device=device,
        samples=samples,
        model_id=codec.model_id if codec else "",
        make_codec=make_codec,
        cache=out / "cache",
    )
    rows: list[BenchRow] = []
    missing: list[_Job] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            rows += [
                _failed(plan, name, "", want, f"cannot be read: {error.strerror}") for want in plan.wants()
            ]
            continue
        lost: list[_Want] = []
        for want in plan.wants():
            row = _recall(plan, sha256, want)
            if row is None:
                lost.append(want)
            else:
                rows.append(replace(row, file=name))
        if lost:
            missing.append(_Job(plan, path, name, sha256, tuple(lost)))
    missing.sort(
        key=lambda job: job.path.stat().st_size, reverse=True
    )  # the long ones first, so that none is last
    wanted = sum(len(job.wants) for job in missing)
    with tqdm(total=wanted, unit="row", file=sys.stderr, disable=True if quiet else None) as bar:
        for done in run_jobs(_run, missing, jobs, _after_crash):
            rows += done
            bar.update(len(done))
    order = {name: k for k, name in enumerate((OURS, *BASELINES))}
    rows.sort(key=lambda row: (row.file, order[row.codec], row.size or 0))
    report = BenchReport(rows, sizes, plan.model_id, effort, packing, resolution, wanted, out)
    _write(report, folder, plan, codec)
    return report


# ------------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True)
class _Want:
    codec: str
    size: int | None


@dataclass(frozen=True)
class _Plan:
    """What every worker must know."""

    sizes: tuple[int, ...]
    codecs: tuple[str, ...]
    effort: int
    packing: str
    resolution: int
    device: str
    samples: int
    model_id: str
    make_codec: Callable[[str], CodecLike] | None
    cache: Path

    def wants(self) -> list[_Want]:
        """Every codec at every size."""
        return [_Want(codec, size) for codec in self.codecs for size in _sizes_of(codec, self.sizes)]

    def settings(self, codec: str) -> dict[str, Any]:
        """What the codec is told beside the size."""
        if codec != OURS:
            return {}
        return {
            "effort": self.effort,
            "packing": self.packing,
            "resolution": self.resolution,
            "seed": 0,
            "device": self.device,
        }

    def cached(self, sha256: str, want: _Want) -> Path:
        """Where a row is kept."""
        key = {
            "file": sha256,
            **asdict(want),
            "settings": self.settings(want.codec),
            "model": self.model_id if want.codec == OURS else "",
            "samples": self.samples,
            "version": __version__ if want.codec == OURS else "",
            "revision": [_REVISION[want.codec], _REVISION["metric"]],
        }
        return (
            self.cache / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}.json"
        )


@dataclass(frozen=True)
class _Job:
    """The missing rows of one file, which share its loading and its samples."""

    plan: _Plan
    path: Path
    file: str
    sha256: str
    wants: tuple[_Want, ...]


@dataclass(frozen=True)
class _Coded:
    """What a codec made of a mesh: its file, and the mesh that comes out of it."""

    data: bytes | None
    mesh: trimesh.Trimesh | None
    settings: dict[str, Any]
    encode_seconds: float
    decode_seconds: float
    error: str = ""
    final: bool = True  # whether the error would come again, so that the row may be kept


_CODECS: dict[Any, CodecLike] = {}  # one per process


def _our_codec(device: str) -> CodecLike:
    from meshcodec.api import Codec

    return Codec(device=device)


def _codec_of(plan: _Plan) -> CodecLike:
    make = plan.make_codec or _our_codec
    key = (make, plan.device, plan.model_id)
    if key not in _CODECS:
        _CODECS[key] = make(plan.device)
        if multiprocessing.parent_process() is not None and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
    return _CODECS[key]


def _run(job: _Job) -> list[BenchRow]:
    """The rows of one file; never raises on account of the file."""
    try:
        mesh = load_mesh(job.path)
        reference = Reference(mesh, samples=job.plan.samples)
    except Exception as error:  # a row with its error, whatever it is
        return [_failed(job.plan, job.file, job.sha256, want, one_line(error)) for want in job.wants]
    rows = []
    for codec, group in groupby(job.wants, key=lambda want: want.codec):
        for want, coded in _coded(job.plan, codec, [want.size for want in group], mesh, reference):
            row, final = _failed(job.plan, job.file, job.sha256, want, coded.error), coded.final
            if not coded.error:
                try:
                    row = replace(
                        row,
                        bytes=None if coded.data is None else len(coded.data),
                        settings={**row.settings, **coded.settings},
                        encode_seconds=coded.encode_seconds,
                        decode_seconds=coded.decode_seconds,
                        scores=reference.score(coded.mesh),
                    )
                except Exception as error:
                    row, final = replace(row, error=one_line(error)), False
            if final:
                _keep(job.plan, row, want, coded.data)
            rows.append(row)
    return rows


def _coded(
    plan: _Plan, codec: str, sizes: list[int | None], mesh: trimesh.Trimesh, reference: Reference
) -> Iterator[tuple[_Want, _Coded]]:
    if codec == "draco":
        yield from _draco([size for size in sizes if size is not None], mesh, reference)
        return
    for size in sizes:
        try:
            coded = _sizeless(codec, mesh) if size is None else _through_ours(plan, mesh, size)
        except Exception as error:  # the codec's own bug is a failure of this row, not of the run
            coded = _broken(error)
        yield _Want(codec, size), coded


def _draco(sizes: list[int], mesh: trimesh.Trimesh, reference: Reference) -> Iterator[tuple[_Want, _Coded]]:
    try:
        results = decimate_draco_many(mesh, sizes, reference=reference)
    except Exception as error:
        yield from ((_Want("draco", size), _broken(error)) for size in sizes)
        return
    for size, result in zip(sizes, results, strict=True):
        start = time.perf_counter()
        decoded = decode_draco(result.data) if result.data else None
        seconds = time.perf_counter() - start
        fault = "" if result.data else f"no file of {size} bytes holds it"
        coded = _Coded(result.data, decoded, result.settings, result.seconds, seconds, fault)
        yield _Want("draco", size), coded


def _sizeless(codec: str, mesh: trimesh.Trimesh) -> _Coded:
    start = time.perf_counter()
    made = _SIZELESS[codec](mesh)
    return _Coded(None, made, {}, time.perf_counter() - start, 0.0)


def _through_ours(plan: _Plan, mesh: trimesh.Trimesh, size: int) -> _Coded:
    codec = _codec_of(plan)
    start = time.perf_counter()
    data = codec.encode(mesh, size=size, effort=plan.effort, seed=0, packing=plan.packing)
    encoded = time.perf_counter()
    decoded = codec.decode(data, resolution=plan.resolution)
    seconds = time.perf_counter() - encoded
    error = f"{len(data)} bytes are more than {size}" if len(data) > size else ""
    return _Coded(data, decoded, {}, encoded - start, seconds, error)


def _broken(error: Exception) -> _Coded:
    return _Coded(b"", None, {}, 0.0, 0.0, one_line(error), isinstance(error, MeshcodecError))


def _failed(plan: _Plan, file: str, sha256: str, want: _Want, error: str) -> BenchRow:
    model_id = plan.model_id if want.codec == OURS else ""
    settings = plan.settings(want.codec)
    taken = None if want.size is None else 0
    return BenchRow(
        file, sha256, want.codec, want.size, taken, model_id, settings, 0.0, 0.0, Scores.nothing(), error
    )


def _after_crash(job: _Job) -> list[BenchRow]:
    return [_row_after_crash(job, want) for want in job.wants]


def _row_after_crash(job: _Job, want: _Want) -> BenchRow:
    row = _recall(job.plan, job.sha256, want)  # what was finished before the crash is kept
    if row is not None:
        return replace(row, file=job.file)
    return _failed(job.plan, job.file, job.sha256, want, DIED)


# ------------------------------------------------------------------------------------------------------ cache


def _keep(plan: _Plan, row: BenchRow, want: _Want, data: bytes | None) -> None:
    kept = {"row": row.to_dict(), "data": None if data is None else base64.b64encode(data).decode()}
    path = plan.cached(row.sha256, want)
    write_atomic(path, json.dumps(kept, allow_nan=False).encode(), overwrite=True)


def _recall(plan: _Plan, sha256: str, want: _Want) -> BenchRow | None:
    try:
        return BenchRow.from_dict(json.loads(plan.cached(sha256, want).read_bytes())["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut short, or of another version: computed again


def _recall_data(plan: _Plan, row: BenchRow) -> bytes:
    try:
        kept = json.loads(plan.cached(row.sha256, _Want(row.codec, row.size)).read_bytes())
        return base64.b64decode(kept["data"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return b""


# ----------------------------------------------------------------------------------------------------- report


def _write(report: BenchReport, folder: Path, plan: _Plan, codec: CodecLike | None) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        report.notes.append('no plots: matplotlib is not installed; pip install "meshcodec[report]"')
    else:
        for tau in TAUS:
            _plot(report, tau, report.out / f"f_{_TAGS[tau]}.png")
    try:
        _render_worst(report, folder, plan, codec)
    except (MeshcodecError, ImportError) as error:
        report.notes.append(f"no pictures: {one_line(error)}")
    rows = [row.to_dict() for row in report.rows]
    summary = {
        "date": date.today().isoformat(),
        "model_id": report.model_id,
        "effort": report.effort,
        "packing": report.packing,
        "resolution": report.resolution,
        "sizes": report.sizes,
        "curves": {
            codec: {f"{tau:g}": report.curve(codec, tau) for tau in TAUS} for codec in report.codecs()
        },
        "equivalents": [{**asdict(e), "ratio": e.ratio} for e in report.equivalents()],
        "rows": rows,
    }
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_atomic(report.out / "rows.json", text.encode(), overwrite=True)
    with (report.out / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "settings": json.dumps(row["settings"])} for row in rows)
    write_atomic(report.out / "table.md", report.table().encode(), overwrite=True)


def _plot(report: BenchReport, tau: float, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, not pyplot's: that would choose the backend of the caller's process.
    figure = Figure(figsize=(6.4, 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for codec, color in zip(report.codecs(), ("C0", "C1", "C2", "C3"), strict=False):
        means = [value for _, value in report.curve(codec, tau)]
        if codec in _SIZELESS:
            axes.axhline(means[0], color=color, linestyle=":", label=codec)
            continue
        medians = [
            float(np.median([f_of(row, tau) for row in report.of(codec, size)])) for size in report.sizes
        ]
        label = {OURS: f"meshcodec {report.model_id}", "draco": "decimate + Draco"}[codec]
        axes.plot(report.sizes, means, "o-", color=color, label=f"{label}, mean")
        axes.plot(report.sizes, medians, "--", color=color, linewidth=1, label=f"{label}, median")
    axes.set_xscale("log", base=2)
    axes.set_xticks(report.sizes, [str(size) for size in report.sizes])
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("bytes")
    axes.set_ylabel(f"F@{tau:g}")
    axes.set_title(f"{len({row.file for row in report.rows})} meshes")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path)


def _render_worst(report: BenchReport, folder: Path, plan: _Plan, codec: CodecLike | None) -> None:
    from meshcodec.geometry.render import comparison_sheet, save_png

    sheet: list[tuple[str, Sequence[trimesh.Trimesh | None]]] = []
    notes: list[list[str]] = []
    worst = report.worst()
    sized = [name for name in report.codecs() if name not in _SIZELESS]
    for row in worst:
        meshes: list[trimesh.Trimesh | None] = []
        below = [""]
        for name in sized:
            other = next((r for r in report.of(name, row.size) if r.file == row.file), None)
            meshes.append(_decoded(plan, other, codec) if other else None)
            below.append(f"F@0.02 {f_of(other, 0.02):.3f}, F@0.01 {f_of(other, 0.01):.3f}" if other else "")
        try:
            original: trimesh.Trimesh | None = load_mesh(folder / row.file)
        except BadMeshError:
            original = None
        sheet.append((row.file, [original, *meshes]))
        notes.append(below)
    if sheet and worst[0].size is not None:
        headers = ["original", *(f"{name}, {worst[0].size} B" for name in sized)]
        save_png(report.out / "worst.png", comparison_sheet(sheet, headers, notes=notes, size=240))


def _decoded(plan: _Plan, row: BenchRow, codec: CodecLike | None) -> trimesh.Trimesh | None:
    data = b"" if row.error else _recall_data(plan, row)
    if not data:
        return None
    if row.codec == OURS:
        return codec.decode(data, resolution=plan.resolution) if codec else None
    return decode_draco(data)


def _sizes_of(codec: str, sizes: Sequence[int]) -> list[int | None]:
    return [None] if codec in _SIZELESS else list(sizes)


def _summary(codec: str, size: int | None, rows: list[BenchRow]) -> list[str]:
    scores = [row.scores for row in rows]
    cells = [codec, "-" if size is None else str(size)]
    cells.append("-" if size is None else f"{_mean(row.bytes or 0 for row in rows):.0f}")
    cells += [f"{_mean(f_of(row, tau) for row in rows):.3f}" for tau in TAUS]
    cells += [f"{np.median([f_of(row, tau) for row in rows]):.3f}" for tau in TAUS]
    cells.append(f"{_mean(s.f_exterior_001 or 0.0 for s in scores):.3f}")
    cells.append(f"{_mean(s.f_points_001 or 0.0 for s in scores):.3f}")
    cells.append(f"{np.median([s.chamfer for s in scores]):.4f}")
    cells.append(f"{_mean(s.normal_consistency for s in scores):.3f}")
    volumes = [s.volume_iou for s in scores if s.volume_iou is not None]
    cells.append(f"{_mean(volumes):.3f} ({len(volumes)})" if volumes else "-")
    done = [row for row in rows if not row.error]
    for seconds in ([r.encode_seconds for r in done], [r.decode_seconds for r in done]):
        cells.append(f"{np.median(seconds):.2f}" if seconds else "-")
    return [*cells, str(len(rows) - len(done))]


def _markdown(head: list[str], body: list[list[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in body]
    rows = [head, ["---"] * len(head), *cells]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _mean(values: Any) -> float:
    listed = list(values)
    return float(sum(listed) / len(listed)) if listed else 0.0


def _meshes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "name a folder of meshes")
    endings = {f".{name}" for name in READ_FORMATS}
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and not p.is_dir())
    if not found:
        raise UsageError(f"{folder} holds no mesh", f"give a folder with {', '.join(READ_FORMATS)} files")
    return found
