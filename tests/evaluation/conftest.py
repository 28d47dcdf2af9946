"""What tests of the report share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.report import ball, box, save


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three references and their decodes, one of them in a folder below."""
    ours, theirs = tmp_path / "references", tmp_path / "decoded"
    for folder, ending in ((ours, "obj"), (theirs, "ply")):
        save(folder / f"box.{ending}", box())
        save(folder / f"deep/ball.{ending}", ball())
        save(folder / f"plate.{ending}", box((2, 2, 0.1 if folder is ours else 0.3)))
    return ours, theirs
