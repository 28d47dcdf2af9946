"""``meshcodec report``: decoded meshes or ``.vat`` files against their references.

Two steps that know nothing of each other: `run_report` pairs the files of two folders, measures each pair in
worker processes and takes its pictures; `write_html`, `to_csv`, `to_json` and `Report.table` only show what
is in a `Report`, whoever made it.

A pair that cannot be measured is a row with its error and zeros, and counts in every mean.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
import multiprocessing
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trimesh
from tqdm import tqdm

from meshcodec import __version__
from meshcodec.container import LARGEST_FILE
from meshcodec.errors import BadMeshError, CorruptFileError, UsageError
from meshcodec.geometry.io import READ_FORMATS, load_mesh
from meshcodec.geometry.render import distance_colors
from meshcodec.metrics import TAUS, Reference, Scores
from meshcodec.report_page.pictures import AZIMUTH, ELEVATION, FAR, LIMIT, Detail, Pictures, take_pictures
from meshcodec.weights import Registry
from meshcodec.workers import DIED, one_line, run_jobs

if TYPE_CHECKING:
    from meshcodec.api import Codec

PAGE_LIMIT = 20_000_000
"""Bytes that a page with pictures is never larger than, whatever the number of meshes."""

NO_DECODE = "no decoded file"
"""What a row says of a reference without a partner."""

_PICTURES_TOTAL = 15_000_000  # what the pictures of all meshes are meant to take; the rest is slack
_PICTURE_RESOLUTION = 128  # of decodes that are only looked at, with a quarter of the faces
_VAT = "vat"
_F = ("f_002", "f_001", "f_0005")


@dataclass(frozen=True)
class Row:
    """One reference and what was decoded of it.

    Attributes
    ----------
    file : str
        The reference: its path below the folder, with forward slashes.
    decoded : str or None
        The same of the decoded mesh or ``.vat`` file; None where there is none.
    bytes_reference, bytes : int or None
        Sizes of the two files on disk.
    faces_reference, faces : int or None
        Triangles of the two meshes.
    scores : Scores
        All zeros where there is an error.
    error : str
        Why it could not be measured; else empty.
    pictures : Pictures or None
        For the page; None where none were asked for, or there is nothing to see.
    """

    file: str
    decoded: str | None
    bytes_reference: int | None
    bytes: int | None
    faces_reference: int | None
    faces: int | None
    scores: Scores
    error: str = ""
    pictures: Pictures | None = None

    def to_dict(self) -> dict[str, Any]:
        """Flat and without pictures; infinite distances are None, which JSON and CSV can hold."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_FLAT}
        for name, value in self.scores.to_dict().items():
            row[name] = None if isinstance(value, float) and math.isinf(value) else value
        return {**row, "error": self.error}


_NOT_FLAT = ("scores", "error", "pictures")


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes
    ----------
    references, decoded : str
        The two files or folders, as they were named.
    rows : tuple of Row
        One for each reference, by name.
    unmatched : tuple of str
        Decoded files without a reference; they are in no row and no mean.
    samples : int
        Points on each surface.
    """

    references: str
    decoded: str
    rows: tuple[Row, ...]
    unmatched: tuple[str, ...] = ()
    samples: int = 100_000

    @cached_property
    def failed(self) -> tuple[Row, ...]:
        """The rows with an error."""
        return tuple(row for row in self.rows if row.error)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """References without a decoded file; their rows say so, too."""
        return tuple(row.file for row in self.rows if row.decoded is None and row.error == NO_DECODE)

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for each file that failed or has no partner, on either side."""
        rows = [f"{_shown(row.file)}: {_without(row.error, row.file)}" for row in self.failed]
        return (*rows, *(f"{_shown(name)}: no reference" for name in self.unmatched))

    def summary(self) -> dict[str, Any]:
        """Numbers of meshes, means and medians of the F-scores over all rows, and the mean size."""
        sizes = [row.bytes for row in self.rows if row.bytes is not None]
        values = {name: [float(getattr(row.scores, name)) for row in self.rows] for name in _F}
        return {
            "meshes": len(self.rows),
            "failed": len(self.failed),
            "mean_bytes": statistics.fmean(sizes) if sizes else None,
            **{f"mean_{name}": statistics.fmean(v) if v else None for name, v in values.items()},
            **{f"median_{name}": statistics.median(v) if v else None for name, v in values.items()},
        }

    def table(self) -> str:
        """The rows in columns, for a terminal; the mean over all of them at the end."""
        head = ["file", "bytes", *(f"F@{tau:g}" for tau in TAUS), "Chamfer", "normals"]
        body = []
        for row in self.rows:
            s = row.scores
            size = "-" if row.bytes is None else str(row.bytes)
            if row.error:
                blank = ["-"] * (len(head) - 2)
                body.append([_shown(row.file), size, *blank, _without(row.error, row.file)])
            else:
                cells = [f"{f:.4f}" for f in (s.f_002, s.f_001, s.f_0005)]
                body.append(
                    [_shown(row.file), size, *cells, f"{s.chamfer:.5f}", f"{s.normal_consistency:.3f}", ""]
                )
        means = self.summary()
        mean_bytes = "-" if means["mean_bytes"] is None else f"{means['mean_bytes']:.0f}"
        mean_f = ["-" if means[f"mean_{name}"] is None else f"{means[f'mean_{name}']:.4f}" for name in _F]
        failures = f", {len(self.failed)} of them failed" if self.failed else ""
        body.append([f"mean of {len(self.rows)}{failures}", mean_bytes, *mean_f, "", "", ""])
        columns = len(head)
        widths = [max(len(line[k]) for line in [head, *body]) for k in range(columns)]
        lines = []
        for line in [[*head, ""], *body]:
            cells = [line[0].ljust(widths[0])]
            cells += [line[k].rjust(widths[k]) for k in range(1, columns)]
            lines.append("  ".join([*cells, line[columns]]).rstrip())
        return "\n".join(lines) + "\n"


# ---- measuring


def run_report(
    references: Path,
    decoded: Path,
    *,
    jobs: int = 1,
    samples: int = 100_000,
    resolution: int = 256,
    device: str = "auto",
    weights: Path | None = None,
    pictures: bool = True,
    quiet: bool = False,
) -> Report:
    """Measure two files, or every pair of two mirrored folders.

    Files of folders belong together by their path below the folder: the same path, else the same path
    without its extension (``a/b.obj`` and ``a/b.vat``). Hidden files and other kinds are passed over.

    Parameters
    ----------
    references : a mesh file, or a folder of them
    decoded : a mesh or ``.vat`` file, or a folder of them; of `references` itself its ``.vat`` files
    jobs : worker processes, each with one thread; 1 works in this process
    samples : points on each surface
    resolution : cells a side, where ``.vat`` files are decoded
    device, weights : of the codec that decodes them
    pictures : whether to take pictures for a page
    quiet : no progress bar, which otherwise is drawn on stderr where that is a terminal

    Returns
    -------
    Report
        A file that cannot be read, decoded or matched is a row with its error.

    Raises
    ------
    BadMeshError
        One of the two is not there.
    UsageError
        A file and a folder, a folder without meshes, numbers out of range, pictures without Pillow.
    WeightsError
        There are ``.vat`` files and no weights.
    """
    if jobs < 1 or samples < 1:
        raise UsageError("a report needs a job and a sample", "give at least 1 of each")
    pairs, unmatched = _pairs(references, decoded)
    if any(pair.is_vat for pair in pairs):
        Registry(weights).default()  # of wrong weights, one message is enough
    if pictures:
        _require_pillow()
    detail = Detail.of(len(pairs), _PICTURES_TOTAL) if pictures else None
    plan = _Plan(samples, resolution, device, weights, detail)
    # The long ones first, so that none is last and alone.
    work = sorted((_Job(pair, plan) for pair in pairs), key=lambda job: -(_size(job.pair.reference) or 0))
    rows = []
    with tqdm(total=len(work), unit="mesh", file=sys.stderr, disable=True if quiet else None) as bar:
        for row in run_jobs(_measure, work, min(jobs, len(work)), _died):
            rows.append(row)
            bar.update()
    rows.sort(key=lambda row: row.file)
    return Report(str(references), str(decoded), tuple(rows), unmatched, samples)


@dataclass(frozen=True)
class _Pair:
    """A reference and the file that belongs to it, or why there is none; names are below the folders."""

    file: str
    reference: Path
    decoded: str | None
    target: Path | None
    error: str = ""

    @property
    def is_vat(self) -> bool:
        return self.target is not None and _ending(self.target) == _VAT


@dataclass(frozen=True)
class _Plan:
    """What every worker must know."""

    samples: int
    resolution: int
    device: str
    weights: Path | None
    detail: Detail | None


@dataclass(frozen=True)
class _Job:
    pair: _Pair
    plan: _Plan


def _pairs(references: Path, decoded: Path) -> tuple[list[_Pair], tuple[str, ...]]:
    """The pairs by the name of the reference, and the names of decoded files that belong to none."""
    for path in (references, decoded):
        if not path.exists():
            raise BadMeshError("there is no such file or folder", "check the path").about(_shown(str(path)))
    if references.is_dir() != decoded.is_dir():
        raise UsageError(
            f"{_shown(str(references))} and {_shown(str(decoded))} are a file and a folder",
            "give two files or two folders",
        )
    if not references.is_dir():
        return [_Pair(references.name, references, decoded.name, decoded)], ()

    same = references.resolve() == decoded.resolve()
    ours = _below(references, READ_FORMATS, decoded)
    theirs = _below(decoded, (_VAT,) if same else (*READ_FORMATS, _VAT), references)
    if not ours:
        raise UsageError(
            f"{_shown(str(references))}: holds no mesh", f"give a folder with {', '.join(READ_FORMATS)} files"
        )
    exact = ours.keys() & theirs.keys()
    by_stem: dict[str, list[str]] = {}
    for name in theirs:
        if name not in exact:
            by_stem.setdefault(_stem(name), []).append(name)
    claims = Counter(_stem(name) for name in ours if name not in exact)
    pairs, taken = [], set[str]()
    for name, path in ours.items():
        found = [name] if name in exact else []
        found += by_stem.get(_stem(name), [])
        taken.update(found)
        if not found:
            pairs.append(_Pair(name, path, None, None, NO_DECODE))
        elif len(found) > 1:
            fault = f"{' and '.join(map(_shown, found))} would both be its decode; remove one of them"
            pairs.append(_Pair(name, path, None, None, fault))
        elif found[0] != name and claims[_stem(name)] > 1:
            fault = f"{_shown(found[0])} would be the decode of other references, too; rename one of them"
            pairs.append(_Pair(name, path, None, None, fault))
        else:
            pairs.append(_Pair(name, path, found[0], theirs[found[0]]))
    return pairs, tuple(name for name in theirs if name not in taken)


def _below(folder: Path, endings: Sequence[str], other: Path) -> dict[str, Path]:
    """Files of a folder by name, in order; without those of the other folder, which may lie inside."""
    found = {}
    stop = other.resolve() if other.resolve() != folder.resolve() else None
    for path in sorted(_walk(folder, stop)):
        name = path.relative_to(folder)
        if _ending(path) in endings and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = path
    return found


def _walk(folder: Path, stop: Path | None) -> Iterator[Path]:
    """All files below a folder. Links to folders are left alone: they may go in circles."""
    for top, folders, names in os.walk(folder):
        if stop is not None:
            folders[:] = [name for name in folders if (Path(top) / name).resolve() != stop]
        yield from (Path(top) / name for name in names)


def _measure(job: _Job) -> Row:
    """The row of one pair; never raises on account of its files."""
    pair, plan = job.pair, job.plan
    row = _unmeasured(pair, pair.error)
    if pair.error or pair.target is None:
        return row
    try:
        mesh = load_mesh(pair.reference)
        row = replace(row, faces_reference=len(mesh.faces))
        decoded = _decoded(plan, pair.target, plan.resolution)
        row = replace(row, faces=len(decoded.faces))
        reference = Reference(mesh, samples=plan.samples)
        row = replace(row, scores=reference.score(decoded))
        if plan.detail is not None:
            shown = decoded
            if pair.is_vat and plan.resolution > _PICTURE_RESOLUTION:
                shown = _decoded(plan, pair.target, _PICTURE_RESOLUTION)
            unit = [
                trimesh.Trimesh(reference.placement.to_unit(m.vertices), m.faces, process=False)
                for m in (mesh, shown)
            ]
            row = replace(row, pictures=take_pictures(unit[0], unit[1], plan.detail))
    except Exception as error:  # a row with its error, whatever it is
        return replace(row, scores=Scores.nothing(), error=_below_the_folders(one_line(error), pair))
    return row


_CODECS: dict[tuple[str, Path | None], Codec] = {}  # one per process


def _decoded(plan: _Plan, path: Path, resolution: int) -> trimesh.Trimesh:
    if _ending(path) != _VAT:
        return load_mesh(path)
    key = (plan.device, plan.weights)
    if key not in _CODECS:
        from meshcodec.api import Codec

        _CODECS[key] = Codec(*key)
        if multiprocessing.parent_process() is not None:
            sys.modules["torch"].set_num_threads(1)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE)
        return _CODECS[key].decode(data, resolution)
    except OSError as error:
        raise CorruptFileError(f"cannot be read ({error.strerror})", "check the file's permissions").about(
            _shown(str(path))
        ) from error
    except CorruptFileError as error:
        raise error.about(_shown(str(path))) from error


def _below_the_folders(error: str, pair: _Pair) -> str:
    """An error that names its file as the row does, not by the whole path."""
    for name, path in ((pair.file, pair.reference), (pair.decoded, pair.target)):
        if name is not None and error.startswith(f"{_shown(str(path))}: "):
            return f"{_shown(name)}{error.removeprefix(_shown(str(path)))}"
    return error


def _unmeasured(pair: _Pair, error: str) -> Row:
    sizes = _size(pair.reference), _size(pair.target)
    return Row(pair.file, pair.decoded, *sizes, None, None, Scores.nothing(), error)


def _died(job: _Job) -> Row:
    return _unmeasured(job.pair, DIED)


def _size(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_size
    except OSError:
        return None  # the row says what is wrong with it


def _stem(name: str) -> str:
    return name[: len(name) - len(Path(name).suffix)]


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _require_pillow() -> None:
    """Before anything is measured. Raises UsageError."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise UsageError("the page's pictures need Pillow", 'pip install "meshcodec[report]"') from error


# ---- showing


def to_json(report: Report) -> dict[str, Any]:
    """The report as a JSON document: summary, files without a partner, rows."""
    return {
        "references": report.references,
        "decoded": report.decoded,
        "version": __version__,
        "samples": report.samples,
        "summary": report.summary(),
        "missing_decoded": list(report.missing),
        "missing_reference": list(report.unmatched),
        "rows": [row.to_dict() for row in report.rows],
    }


def to_csv(report: Report) -> bytes:
    """A line for each row, in UTF-8; what is not known is empty."""
    rows = [row.to_dict() for row in report.rows]
    names = list(rows[0]) if rows else ["file"]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")  # names need not be valid Unicode


def to_html(report: Report, limit: int = PAGE_LIMIT) -> bytes:
    """The report as one page that needs no other file and no network.

    What is larger than ``limit`` bytes loses pictures, first the 3D views and then the thumbnails, from the
    meshes with the highest scores on; the page says of how many. Without pictures it may still be larger.
    """
    template = resources.files("meshcodec.report_page")
    style, script, page = (
        template.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    room = limit - len(style) - len(script) - len(page) - len(_page_data(report, {}, {})) - 2000
    views: dict[int, str] = {}
    thumbnails: dict[int, str] = {}
    worst = sorted(range(len(report.rows)), key=lambda k: (report.rows[k].scores.f_001, k))
    for made, kind in ((thumbnails, "thumbnails"), (views, "view")):
        for k in worst:
            block = _block(report.rows[k].pictures, k, kind)
            # The flags of a row take a few bytes in the data, too.
            if not block or len(block) + 16 > room:
                continue
            room -= len(block) + 16
            made[k] = block
    parts = {
        "style": style,
        "script": script,
        "style-hash": _csp_hash(style),
        "script-hash": _csp_hash(script),
        "data": _page_data(report, thumbnails, views),
        "pictures": "\n".join([*thumbnails.values(), *views.values()]),
    }
    # One pass over the template: nothing that is filled in is searched for places again.
    whole = re.sub(r"\{\{([a-z-]+)\}\}", lambda place: parts[place[1]], page)
    return whole.encode("utf-8")


def _block(pictures: Pictures | None, k: int, kind: str) -> str:
    """The pictures of row ``k`` as an element of the page that is only read when they are shown."""
    if pictures is None:
        return ""
    shots = (pictures.original, pictures.decoded, pictures.distance)
    blobs = (pictures.view,) if kind == "view" else shots
    text = " ".join(base64.b64encode(blob).decode("ascii") for blob in blobs)
    return f'<script type="text/plain" id="{kind}-{k}">{text}</script>'


def _page_data(report: Report, thumbnails: dict[int, str], views: dict[int, str]) -> str:
    """The data of the page as JSON that is plain ASCII and cannot end the element that it stands in."""
    columns = ("file", "decoded", "bytes", "bytes_reference", "faces", "faces_reference", "error")
    scores = (
        *(f"{kind}_{tag}" for kind in ("f", "precision", "recall") for tag in ("002", "001", "0005")),
        *("f_exterior_001", "chamfer", "p95", "max", "normal_consistency", "volume_iou"),
        *("components", "components_reference"),
    )
    rows = []
    for k, row in enumerate(report.rows):
        flat = row.to_dict()
        rows.append(
            {name: flat[name] for name in columns}
            | {name: _rounded(flat[name]) for name in scores}
            | {"thumbnails": k in thumbnails, "view": k in views}
        )
    pictured = sum(row.pictures is not None for row in report.rows)
    data = {
        "references": report.references,
        "decoded": report.decoded,
        "version": __version__,
        "date": date.today().isoformat(),
        "samples": report.samples,
        "taus": TAUS,
        "summary": report.summary(),
        "missing": report.missing,
        "unmatched": report.unmatched,
        "left_out": {"thumbnails": pictured - len(thumbnails), "views": pictured - len(views)},
        "far": FAR,
        "limit": LIMIT,
        "azimuth": AZIMUTH,
        "elevation": ELEVATION,
        "colors": distance_colors(np.linspace(0, FAR, 256), FAR).tolist(),
        "rows": rows,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _rounded(value: float | int | None) -> float | int | None:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _csp_hash(text: str) -> str:
    """How a content security policy names an inline script or style: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _shown(name: str) -> str:
    """A file's name on one line."""
    return repr(name)[1:-1]


def _without(error: str, name: str) -> str:
    """An error whose file is named beside it."""
    return error.removeprefix(f"{_shown(name)}: ")
