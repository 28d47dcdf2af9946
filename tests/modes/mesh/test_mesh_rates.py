"""How many faces fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcodec.format.grid_mesh import GridMesh
from meshcodec.modes.mesh.rates import RateModel


@given(
    size=st.integers(50, 8000),
    bits=st.integers(4, 12),
    each=st.floats(0.4, 3.0),
    factor=st.floats(0.3, 3.0),
)
def test_the_largest_number_that_fits(size: int, bits: int, each: float, factor: float) -> None:
    model = RateModel(factor=factor)
    faces = model.faces_within(size, bits, each)
    assert faces == 4 or model.size(each * faces, faces, bits) <= size
    assert model.size(each * (faces + 1), faces + 1, bits) > size


def test_it_learns_from_what_was_coded() -> None:
    mesh = GridMesh(np.zeros((60, 3), dtype=np.int64), np.zeros((100, 3), dtype=np.int64), 8)
    model = RateModel().corrected(mesh, 321).corrected(mesh, 123)
    assert model.size(60, 100, 8) == pytest.approx(123)
