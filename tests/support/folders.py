"""Folders of meshes and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trimesh

from meshcodec.batch.manifest import MANIFEST


def ball(radius: float) -> trimesh.Trimesh:
    """A ball of 320 faces."""
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def lines(out: Path) -> list[dict[str, Any]]:
    """The manifest of a folder."""
    return [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]


def outputs(out: Path) -> dict[str, bytes]:
    """The ``.vat`` files below a folder."""
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.vat")}
