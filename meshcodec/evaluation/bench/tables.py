"""Tables of the benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from meshcodec.config import TAUS
from meshcodec.evaluation.bench.rows import BASELINES, DRACO, OURS, BenchRow, mean, sizes_of
from meshcodec.metrics import PerTau

NAMES = {"draco": "decimate + Draco", "draco-fitted": "decimate + fit + Draco"}
"""What the baselines of `DRACO` are called in sentences and plots."""
_TIE = 0.001  # difference of two F-scores that counts as none
_HEADLINE_SIZE = 1024  # bytes at which the lowest scores are listed
_WORST = 10  # lowest scores in the list
_AT_TAUS = [f"F@{tau:g}" for tau in TAUS]


@dataclass(frozen=True)
class Equivalent:
    """Bytes that a baseline needs for our mean F-score.

    Attributes
    ----------
    against : str
        The baseline.
    size : int
        Bytes that ours was allowed.
    tau : float
        One of `meshcodec.config.TAUS`.
    f : float
        Our mean F-score there.
    bytes : float
        That the baseline needs, by linear interpolation of F over log2(bytes) on its mean curve.
    bound : str
        ``<`` or ``>`` where our score is off the baseline's curve and ``bytes`` is its end; else empty.
    """

    against: str
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
        Id of our model, 8 hex digits; empty if our codec did not take part.
    effort, mode, packing, resolution : int, str, str, int or None
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
    mode: str
    packing: str
    resolution: int | None
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
        return [(size, mean(row.scores.at(tau) for row in self.of(codec, size))) for size in self.sizes]

    def wins(self, against: str, size: int, tau: float) -> tuple[int, int, int]:
        """Files on which ours has the higher F, the same to 0.001, and the lower one."""
        theirs = {row.file: row.scores.at(tau) for row in self.of(against, size)}
        gaps = [row.scores.at(tau) - theirs[row.file] for row in self.of(OURS, size) if row.file in theirs]
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
                found.append(Equivalent(against, size, tau, f, *bytes_for(theirs, f)))
        return found

    def modes(self, size: int) -> dict[str, int]:
        """How many of our files hold what: ``mesh`` or ``tokens``; failures not counted."""
        kept = [row.settings["mode_kept"] for row in self.of(OURS, size) if not row.error]
        return {mode: kept.count(mode) for mode in ("mesh", "tokens")}

    def closed(self, codec: str, size: int | None) -> tuple[int, int]:
        """Closed decodes of closed meshes, and all decodes of such; failures not counted."""
        found = [row.closed for row in self.of(codec, size) if row.of_closed]
        return sum(found), len(found)

    def multi_part_or_open(self) -> set[str]:
        """Files whose mesh has several parts or a border, as far as any codec's row could tell."""
        measured = [row for row in self.rows if not row.error]
        return {r.file for r in measured if r.scores.components_reference > 1 or r.scores.volume_iou is None}

    def worst(self, count: int = _WORST) -> list[BenchRow]:
        """Our rows with the lowest F@0.02 + F@0.01 at 1 KB, or at the size nearest to it."""
        codec = OURS if OURS in self.codecs() else next(iter(self.codecs()), OURS)
        size = min(self.sizes, key=lambda s: abs(math.log2(s / _HEADLINE_SIZE)))
        rows = self.of(codec, size)
        return sorted(rows, key=lambda row: (row.scores.at(0.02) + row.scores.at(0.01), row.file))[:count]

    def table(self) -> str:
        """The report as Markdown."""
        count = len({row.file for row in self.rows})
        resolution = f"resolution {self.resolution or 'by the surface'}"
        settings = f"mode {self.mode}, effort {self.effort}, {self.packing}, {resolution}"
        ours = f", model {self.model_id}, {settings}"
        lines = [f"{date.today().isoformat()}, {count} meshes{ours if self.model_id else ''}", ""]
        lines += [*self._means(), *self._means_of_multi_part_or_open(), *self._modes(), *self._closed()]
        lines += self._wins()
        lines += [line for against in DRACO for line in self._ratios(against)]
        return "\n".join([*lines, *self._lowest()]) + "\n"

    def each(self) -> Iterator[tuple[str, int | None]]:
        """Codecs at their sizes, in the order of the tables."""
        for codec in self.codecs():
            yield from ((codec, size) for size in sizes_of(codec, self.sizes))

    def _means(self) -> list[str]:
        head = ["codec", "size", "bytes", *_AT_TAUS, *(f"median {at_tau}" for at_tau in _AT_TAUS)]
        head += ["exterior F@0.01", "point F@0.01", "median Chamfer", "normals", "IoU (closed)"]
        head += ["encode s", "decode s", "failed"]
        sets = [(codec, size, self.of(codec, size)) for codec, size in self.each()]
        lines = _markdown(head, [_summary(codec, size, rows) for codec, size, rows in sets if rows])
        explained = (
            "Bytes, F, normals and IoU are means over all files (medians where so named), failures as 0;"
        )
        return [*lines, "", explained, "seconds are medians."]

    def _means_of_multi_part_or_open(self) -> list[str]:
        files = self.multi_part_or_open()
        if not files:
            return []
        cells = []
        for codec, size in self.each():
            of_these = [row for row in self.of(codec, size) if row.file in files]
            means = [f"{mean(row.scores.at(tau) for row in of_these):.3f}" for tau in TAUS]
            cells.append([codec, "-" if size is None else str(size), *means])
        title = f"Means over the {len(files)} meshes with several parts or a border:"
        return ["", title, "", *_markdown(["codec", "size", *_AT_TAUS], cells)]

    def _modes(self) -> list[str]:
        """How many of our files were won by each mode."""
        if OURS not in self.codecs():
            return []
        won = [(size, self.modes(size)) for size in self.sizes]
        cells = [[str(size), str(kept["mesh"]), str(kept["tokens"])] for size, kept in won]
        return ["", "Our files by what they hold:", "", *_markdown(["size", "mesh", "tokens"], cells)]

    def _closed(self) -> list[str]:
        """How many decodes of closed meshes are closed."""
        cells = []
        for codec, size in self.each():
            closed, of = self.closed(codec, size)
            share = f"{closed / of:.3f}" if of else "-"
            cells.append([codec, "-" if size is None else str(size), f"{closed} of {of}", share])
        title = "Closed decodes of closed meshes:"
        return ["", title, "", *_markdown(["codec", "size", "closed", "share"], cells)]

    def _wins(self) -> list[str]:
        others = [codec for codec in self.codecs() if codec != OURS]
        if OURS not in self.codecs() or not others:
            return []
        cells = [
            [other, str(size), *(" / ".join(map(str, self.wins(other, size, tau))) for tau in TAUS)]
            for other in others
            for size in self.sizes
        ]
        title = "Meshes on which ours is better / the same to 0.001 / worse:"
        return ["", title, "", *_markdown(["against", "size", *_AT_TAUS], cells)]

    def _ratios(self, against: str) -> list[str]:
        found = self.equivalents(against)
        if not found:
            return []
        cells = [
            [str(size), *(f"{e.bound}{e.ratio:.2f}" for e in found if e.size == size)] for size in self.sizes
        ]
        title = f"Bytes that {NAMES[against]} needs for our mean F-score, divided by ours:"
        return ["", title, "", *_markdown(["size", *_AT_TAUS], cells)]

    def _lowest(self) -> list[str]:
        rows = self.worst()
        if not rows:
            return []
        theirs = {row.file: row for row in self.of("draco", rows[0].size)}
        cells = []
        for row in rows:
            beside = _two_scores(theirs[row.file]) if row.file in theirs else "-"
            cells.append([row.file, _two_scores(row), beside, row.error])
        title = f"The lowest scores of {rows[0].codec} at {rows[0].size} bytes:"
        return ["", title, "", *_markdown(["file", "F@0.02 / F@0.01", "draco", "error"], cells)]


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


def _summary(codec: str, size: int | None, rows: list[BenchRow]) -> list[str]:
    scores = [row.scores for row in rows]
    cells = [codec, "-" if size is None else str(size)]
    cells.append("-" if size is None else f"{mean(row.bytes or 0 for row in rows):.0f}")
    cells += [f"{mean(row.scores.at(tau) for row in rows):.3f}" for tau in TAUS]
    cells += [f"{np.median([row.scores.at(tau) for row in rows]):.3f}" for tau in TAUS]
    cells.append(f"{mean(_at_001(s.f_exterior) for s in scores):.3f}")
    cells.append(f"{mean(_at_001(s.f_points) for s in scores):.3f}")
    cells.append(f"{np.median([s.chamfer for s in scores]):.4f}")
    cells.append(f"{mean(s.normal_consistency for s in scores):.3f}")
    volumes = [s.volume_iou for s in scores if s.volume_iou is not None]
    cells.append(f"{mean(volumes):.3f} ({len(volumes)})" if volumes else "-")
    done = [row for row in rows if not row.error]
    for seconds in ([r.encode_seconds for r in done], [r.decode_seconds for r in done]):
        cells.append(f"{np.median(seconds):.2f}" if seconds else "-")
    return [*cells, str(len(rows) - len(done))]


def _two_scores(row: BenchRow) -> str:
    return f"{row.scores.at(0.02):.3f} / {row.scores.at(0.01):.3f}"


def _at_001(shares: PerTau | None) -> float:
    return 0.0 if shares is None else shares[TAUS.index(0.01)]


def _markdown(head: list[str], body: list[list[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in body]
    rows = [head, ["---"] * len(head), *cells]
    return ["| " + " | ".join(row) + " |" for row in rows]
