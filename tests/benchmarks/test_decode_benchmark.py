"""The comparison of grids takes files that are there and says what each grid gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripts import load_benchmark


class NoCodec:
    """Encodes nothing."""

    def encode(self, *_: object, **__: object) -> bytes:
        pytest.fail("encoded again")


def test_a_file_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "spot-512.vat").write_bytes(b"as it is")
    assert load_benchmark("decode").encoded(NoCodec(), "spot", 512, tmp_path) == b"as it is"


def test_a_line_names_the_grid_and_its_figures() -> None:
    row = (0.95, 0.875, 0.5, 0.9, 250000.0, 1.0, 1.25)
    line = load_benchmark("decode").line
    assert line(512, 0, "spot", row) == (
        "| 512 | default | spot | 0.9500 / 0.8750 / 0.5000 | 0.9000 | 250000 | 100% | 1.25 |"
    )
    assert line(512, 160, "spot", row).startswith("| 512 | 160 | spot |")
