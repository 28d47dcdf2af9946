"""How many faces fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcodec.format.grid_mesh import GridMesh
from meshcodec.modes.mesh.rates import RateEstimator, RateModel, next_counts


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


def test_an_estimator_says_what_was_coded_last() -> None:
    """A mesh of as many bytes, with as many vertices for each face, is the largest that fits into them."""
    rate = RateEstimator(RateModel())
    for vertices, faces, size in ((60, 100, 321), (150, 100, 400)):
        mesh = GridMesh(np.zeros((vertices, 3), np.int64), np.zeros((faces, 3), np.int64), 8)
        rate.learn(mesh, size)
        assert rate.faces_within(size + 1e-6, 8) == faces


def test_a_cheap_mesh_is_learned_from_too() -> None:
    """Also one whose vertices take less than the least that the model has for one."""
    mesh = GridMesh(np.zeros((60, 3), dtype=np.int64), np.zeros((100, 3), dtype=np.int64), 8)
    assert RateModel().corrected(mesh, 9).size(60, 100, 8) == pytest.approx(9)


def test_what_a_bit_costs_does_not_depend_on_the_mesh() -> None:
    mesh = GridMesh(np.zeros((60, 3), dtype=np.int64), np.zeros((100, 3), dtype=np.int64), 8)
    dear, cheap = (RateModel().corrected(mesh, size) for size in (200, 120))
    more = [model.size(60, 100, 9) - model.size(60, 100, 8) for model in (dear, cheap)]
    assert more[0] == pytest.approx(more[1])


def test_the_next_number_of_faces() -> None:
    """The guess, or by the line between what fits and what does not; always between these two."""
    assert next_counts({100: 700}, 500, 1.0, 70)[0] == 70
    assert next_counts({100: 300}, 500, 1.0, 160)[0] == 160
    assert next_counts({100: 400, 200: 600}, 500, 1.0, 170)[0] == 150
    assert next_counts({100: 400, 200: 600}, 500, 0.9, 170)[0] == 125
    assert next_counts({100: 700}, 500, 1.0, 120)[0] == 4
    assert next_counts({100: 400, 101: 600}, 500, 1.0, 100) == []
    assert next_counts({4: 700}, 500, 1.0, 3) == []


@given(
    asked=st.dictionaries(st.integers(4, 5000), st.integers(10, 5000), min_size=1),
    size=st.integers(10, 5000),
    guess=st.integers(1, 10_000),
)
def test_next_numbers_lie_between_what_is_known(asked: dict[int, int], size: int, guess: int) -> None:
    low = max((count for count, found in asked.items() if found <= size), default=0)
    high = min((count for count, found in asked.items() if found > size), default=1 << 20)
    assert all(low < count < high for count in next_counts(asked, size, 0.99, guess))
