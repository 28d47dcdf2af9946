"""The comparison of efforts mesh by mesh says what falls."""

from __future__ import annotations

import numpy as np
import pytest
from support.scripts import load_benchmark

from meshcodec.geometry.signed_distance import FaceKind, classify


def test_a_score_that_falls_is_named() -> None:
    nested = load_benchmark("nested")
    rising = [(0.5, 0.4, 0.3), (0.5, 0.4, 0.2), (0.75, 0.4, 0.1)]
    assert nested.falls("spot", 2, rising) == []
    assert nested.falls("spot", 2, [*rising, (0.75, 0.25, 0.3), (0.5, 0.5, 0.5)]) == [
        "spot: F@0.01 0.40000 -> 0.25000 from effort 4 to 5",
        "spot: F@0.02 0.75000 -> 0.50000 from effort 5 to 6",
    ]


def test_the_rectangle_is_a_sheet_that_leans_against_every_axis() -> None:
    sheet = load_benchmark("nested").rectangle()
    assert sheet.area == pytest.approx(12)
    assert np.abs(sheet.face_normals).min() > 0.2
    kinds = classify(sheet.vertices / np.abs(sheet.vertices).max(), sheet.faces).kinds
    assert (kinds == FaceKind.SHEET).all()
