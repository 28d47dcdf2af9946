"""Meshes, folders and reports for tests of the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from meshcodec.evaluation.report.measure import run_report
from meshcodec.evaluation.report.pictures import Pictures
from meshcodec.evaluation.report.rows import Report, Row
from meshcodec.geometry.io import export_mesh
from meshcodec.metrics import Scores

SAMPLES = 2000


def box(extents: tuple[float, float, float] = (2.0, 1.0, 0.5)) -> trimesh.Trimesh:
    made: trimesh.Trimesh = trimesh.creation.box(extents)
    return made


def ball(subdivisions: int = 3) -> trimesh.Trimesh:
    made: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions)
    return made


def save(path: Path, mesh: trimesh.Trimesh) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_mesh(mesh, path.suffix[1:]))
    return path


def measured(references: Path, decoded: Path, **options: Any) -> Report:
    return run_report(
        references, decoded, **{"samples": SAMPLES, "pictures": False, "quiet": True, **options}
    )


HOSTILE = '<img src=x onerror="document.title=1">&</script><b>"\'\n\udcff.obj'


def hostile() -> Report:
    nothing = Scores.nothing()
    rows = (
        Row(
            file=HOSTILE,
            decoded=HOSTILE,
            bytes_reference=10,
            bytes=20,
            faces_reference=12,
            faces=12,
            scores=replace(nothing, f=(0.5, 0.0, 0.0)),
        ),
        Row(file="b.obj", bytes_reference=10, bytes=None, scores=nothing, error=f"{HOSTILE}: bad"),
    )
    return Report(f"/{HOSTILE}", HOSTILE, rows, (HOSTILE,))


def data_of(page: bytes) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    loaded = json.loads(found[1])
    assert isinstance(loaded, dict)
    return loaded


def noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def synthetic(count: int, thumbnail: int, view: int) -> Report:
    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        f = float(rng.random())
        scores = replace(Scores.nothing(), f=(f, f * 0.8, f * 0.5), chamfer=0.1, p95=0.2, max=0.3)
        original, decoded, distance = (noise(thumbnail, 3 * k + j) for j in range(3))
        shots = Pictures(original, decoded, distance, noise(view, k))
        name = f"folder/mesh_{k:05d}.obj"
        rows.append(
            Row(
                file=name,
                decoded=name,
                bytes_reference=10**6,
                bytes=500 + 7 * k,
                faces_reference=10**5,
                faces=10**5,
                scores=scores,
                pictures=shots,
            )
        )
    return Report("references", "decoded", tuple(rows))
