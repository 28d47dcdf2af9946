"""A mesh and a file for the command line, and quick settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh
from support.cli import CENTER, RADIUS, vat_bytes
from support.refinement import COARSE

from meshcodec.modes.choose import CodecSettings


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of every codec that the command line makes in this process."""
    monkeypatch.setattr("meshcodec.api.DEFAULT_SETTINGS", CodecSettings(tokens=COARSE))


@pytest.fixture(scope="session")
def ball() -> bytes:
    """The OBJ of a ball away from the origin, which the tiny model can decode."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=RADIUS)
    mesh.apply_translation(CENTER)
    text = mesh.export(file_type="obj")
    assert isinstance(text, str)
    return text.encode()


@pytest.fixture
def obj(tmp_path: Path, ball: bytes) -> Path:
    """`ball` in a file."""
    path = tmp_path / "ball.obj"
    path.write_bytes(ball)
    return path


@pytest.fixture
def vat(tmp_path: Path, tiny_weights: Path) -> Path:
    """A file of the tiny model, with the box of `ball`."""
    path = tmp_path / "ball.vat"
    path.write_bytes(vat_bytes(tiny_weights))
    return path
