"""A folder of meshes, and how its meshes are encoded."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.folders import ball

from meshcodec.batch.options import CompressOptions
from meshcodec.geometry.io import export_mesh


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Four meshes, a name in another script among them, and three files of other kinds."""
    folder = tmp_path / "meshes"
    for name, radius in (
        ("a.obj", 1.0),
        ("deep/er/b.PLY", 2.0),
        ("deep/er/c.stl", 3.0),
        ("деталь 1.off", 4.0),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(export_mesh(ball(radius), path.suffix[1:].lower()))
    (folder / "readme.txt").write_text("no mesh")
    (folder / ".hidden.obj").write_text("hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "d.obj").write_text("hidden")
    return folder


@pytest.fixture
def options(tiny_weights: Path) -> CompressOptions:
    return CompressOptions(size=512, effort=0, measure=False, device="cpu", weights=tiny_weights)
