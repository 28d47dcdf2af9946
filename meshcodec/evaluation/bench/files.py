"""Files that the benchmark writes: tables, plots, pictures."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import trimesh

from meshcodec.config import TAUS
from meshcodec.errors import BadMeshError, MeshcodecError, one_line
from meshcodec.evaluation.baselines import decode_draco
from meshcodec.evaluation.bench.cache import Plan, recall_data
from meshcodec.evaluation.bench.options import CodecLike
from meshcodec.evaluation.bench.rows import DRACO, OURS, SIZELESS, BenchRow
from meshcodec.evaluation.bench.tables import NAMES, BenchReport
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import column
from meshcodec.runtime.files import write_atomic


def write_files(report: BenchReport, folder: Path, plan: Plan, codec: CodecLike | None) -> None:
    """Write ``rows.json``, ``rows.csv``, ``table.md`` and, where asked for, the plots and ``worst.png``."""
    if plan.options.pictures:
        _draw(report, folder, plan, codec)
    rows = [row.to_dict() for row in report.rows]
    summary = {
        "date": date.today().isoformat(),
        "model_id": report.model_id,
        "effort": report.effort,
        "mode": report.mode,
        "packing": report.packing,
        "resolution": report.resolution,
        "sizes": report.sizes,
        "curves": {
            codec: {f"{tau:g}": report.curve(codec, tau) for tau in TAUS} for codec in report.codecs()
        },
        "equivalents": [
            {**asdict(e), "ratio": e.ratio} for against in DRACO for e in report.equivalents(against)
        ],
        "modes": {str(size): report.modes(size) for size in report.sizes if report.of(OURS, size)},
        "closed": [
            {"codec": codec, "size": size, "closed": closed, "of": of}
            for codec, size in report.each()
            for closed, of in [report.closed(codec, size)]
        ],
        "rows": rows,
    }
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_atomic(report.out / "rows.json", text.encode(), overwrite=True)
    with (report.out / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "settings": json.dumps(row["settings"])} for row in rows)
    write_atomic(report.out / "table.md", report.table().encode(), overwrite=True)


def _draw(report: BenchReport, folder: Path, plan: Plan, codec: CodecLike | None) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        report.notes.append('no plots: matplotlib is not installed; pip install "meshcodec[report]"')
    else:
        for tau in TAUS:
            _plot(report, tau, report.out / f"{column('f', tau)}.png")
    try:
        _render_worst(report, folder, plan, codec)
    except (MeshcodecError, ImportError) as error:
        report.notes.append(f"no pictures: {one_line(error)}")


def _plot(report: BenchReport, tau: float, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, not pyplot's: that would choose the backend of the caller's process.
    figure = Figure(figsize=(6.4, 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, codec in enumerate(report.codecs()):
        color = f"C{number}"
        means = [value for _, value in report.curve(codec, tau)]
        if codec in SIZELESS:
            axes.axhline(means[0], color=color, linestyle=":", label=codec)
            continue
        medians = [
            float(np.median([row.scores.at(tau) for row in report.of(codec, size)])) for size in report.sizes
        ]
        label = f"meshcodec {report.model_id}" if codec == OURS else NAMES[codec]
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


def _render_worst(report: BenchReport, folder: Path, plan: Plan, codec: CodecLike | None) -> None:
    from meshcodec.pictures.sheets import comparison_sheet, save_png

    sheet: list[tuple[str, Sequence[trimesh.Trimesh | None]]] = []
    notes: list[list[str]] = []
    worst = report.worst()
    sized = [name for name in report.codecs() if name not in SIZELESS]
    for row in worst:
        meshes: list[trimesh.Trimesh | None] = []
        below = [""]
        for name in sized:
            other = next((r for r in report.of(name, row.size) if r.file == row.file), None)
            meshes.append(_decoded(plan, other, codec) if other else None)
            below.append(
                f"F@0.02 {other.scores.at(0.02):.3f}, F@0.01 {other.scores.at(0.01):.3f}" if other else ""
            )
        try:
            original: trimesh.Trimesh | None = load_mesh(folder / row.file)
        except BadMeshError:
            original = None
        sheet.append((row.file, [original, *meshes]))
        notes.append(below)
    if sheet and worst[0].size is not None:
        headers = ["original", *(f"{name}, {worst[0].size} B" for name in sized)]
        save_png(report.out / "worst.png", comparison_sheet(sheet, headers, notes=notes, size=240))


def _decoded(plan: Plan, row: BenchRow, codec: CodecLike | None) -> trimesh.Trimesh | None:
    data = b"" if row.error else recall_data(plan, row)
    if not data:
        return None
    if row.codec == OURS:
        return codec.decode(data, resolution=plan.options.resolution) if codec else None
    return decode_draco(data)
