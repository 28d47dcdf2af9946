"""The report as JSON, CSV and one HTML page."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from datetime import date
from importlib import resources
from typing import Any

import numpy as np

from meshcodec import __version__
from meshcodec.config import TAUS
from meshcodec.evaluation.report.pictures import Pictures
from meshcodec.evaluation.report.rows import Report
from meshcodec.evaluation.report.view3d import AZIMUTH, ELEVATION, FAR, LIMIT
from meshcodec.metrics import column
from meshcodec.pictures.render import distance_colors

PAGE_LIMIT = 20_000_000
"""Bytes that a page with pictures is never larger than, whatever the number of meshes."""


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
    template = resources.files("meshcodec.evaluation.report")
    style, script, page = (
        template.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    left = limit - len(style) - len(script) - len(page) - len(_page_data(report, {}, {})) - 2000
    views: dict[int, str] = {}
    thumbnails: dict[int, str] = {}
    worst = sorted(range(len(report.rows)), key=lambda k: (report.rows[k].scores.at(0.01), k))
    for made, kind in ((thumbnails, "thumbnails"), (views, "view")):
        for k in worst:
            block = _block(report.rows[k].pictures, k, kind)
            # The flags of a row take a few bytes in the data, too.
            if not block or len(block) + 16 > left:
                continue
            left -= len(block) + 16
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
        *(column(kind, tau) for kind in ("f", "precision", "recall") for tau in TAUS),
        *(column("f_exterior", 0.01), "chamfer", "p95", "max", "normal_consistency", "volume_iou"),
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
