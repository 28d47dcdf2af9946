"""The benchmark of speed prints nothing where a kernel is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from support.scripts import load_benchmark

from meshcodec.api import Codec
from meshcodec.geometry.triangles import compact
from meshcodec.kernels.tables import GridTables
from meshcodec.surface.marching_cubes import Extraction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    return load_benchmark("speed")


def test_kernels_that_are_right_pass(speed: ModuleType, shipped: Codec) -> None:
    speed.check(shipped, [speed.GOLDEN / f"spot-{shipped.model_id}-512.vat"])


@pytest.mark.parametrize("off", [0.002, float("nan")])
def test_a_kernel_that_is_wrong_is_not_timed(
    speed: ModuleType,
    off: float,
    shipped: Codec,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("DracoPy", reason="needs the extra baselines")
    right = GridTables.__call__

    def wrong(tables: GridTables, keys: torch.Tensor) -> torch.Tensor:
        return right(tables, keys) + off

    monkeypatch.setattr(GridTables, "__call__", wrong)
    monkeypatch.setattr(sys, "argv", ["speed.py"])
    assert speed.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    first = f"burger-{shipped.model_id}-1k-coded"
    assert line.startswith(f"speed: wrong, not timed: {first}: tables in torch.float32 are ")


def test_a_search_that_misses_a_part_is_not_timed(
    speed: ModuleType, shipped: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = speed.GOLDEN / f"spot-{shipped.model_id}-512.vat"
    whole = speed.extract_surface

    def half(*arguments: Any, **options: Any) -> Extraction:
        """Where the grid is searched; all of it is evaluated as it should be."""
        found: Extraction = whole(*arguments, **options)
        if options["dense"]:
            return found
        above = found.vertices[found.faces].mean(axis=1)[:, 1] > 0
        vertices, faces = compact(found.vertices, found.faces[above])
        return replace(found, vertices=vertices, faces=faces)

    monkeypatch.setattr(speed, "extract_surface", half)
    with pytest.raises(speed.WrongError, match="of its box from that of the whole grid"):
        speed.check(shipped, [path])
