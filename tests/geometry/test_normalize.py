"""Boxes of meshes, and the way to the cube and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.normalize import LARGEST_STRETCH, BoxTransform, fit_box, fit_cube

CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])


def test_known_values() -> None:
    placement = fit_cube([[1, 2, 3], [5, 4, 3]])
    assert placement == BoxTransform((3.0, 3.0, 3.0), (2.0, 2.0, 2.0))
    np.testing.assert_array_equal(placement.to_unit([[5, 4, 3]]), [[1.0, 0.5, 0.0]])
    np.testing.assert_array_equal(placement.to_world([[1.0, 0.5, 0.0]]), [[5, 4, 3]])


def test_known_values_of_a_snug_box() -> None:
    placement = fit_box([[1, 2, 3], [5, 4, 3]])
    assert placement == BoxTransform((3.0, 3.0, 3.0), (2.0, 1.0, 2.0 / LARGEST_STRETCH))
    assert placement.scale == 2.0
    np.testing.assert_array_equal(placement.to_unit([[5, 4, 3]]), [[1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(placement.to_world([[1.0, 0.5, 0.5]]), [[5, 3.5, 3.125]])


@st.composite
def clouds(draw: st.DrawFn) -> NDArray[np.float64]:
    """Boxes of random sides, magnitude and offset, with points inside."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    magnitude = 10.0 ** draw(st.integers(-30, 30))
    offset = draw(st.sampled_from([0.0, 1.0, -30.0]))
    sides = rng.uniform(0.01, 1, 3)
    sides[rng.integers(3)] *= draw(st.sampled_from([0.0, 1.0]))  # sometimes flat
    return np.asarray((rng.uniform(-1, 1, (20, 3)) * sides + offset) * magnitude)


@pytest.mark.slow
@given(clouds())
def test_points_fill_the_cube_and_come_back(points: NDArray[np.float64]) -> None:
    placement = fit_cube(points)
    unit = placement.to_unit(points)
    assert unit.dtype == np.float64
    assert np.abs(unit).max() <= 1
    half_extents = (unit.max(axis=0) - unit.min(axis=0)) / 2
    # The centre's float32 rounding, 30 half-extents from the origin at most, costs a little of the reach.
    assert half_extents.max() == pytest.approx(1, abs=2e-4)
    back = placement.to_world(unit)
    np.testing.assert_allclose(back, points, rtol=0, atol=np.abs(points).max() * 2**-24)


@pytest.mark.slow
@given(clouds())
def test_a_snug_box_is_filled_on_every_axis_that_is_not_too_narrow(points: NDArray[np.float64]) -> None:
    placement = fit_box(points)
    unit = placement.to_unit(points)
    assert np.abs(unit).max() <= 1
    extents = np.array(placement.half_extents)
    assert extents.max() <= np.abs(points - placement.center).max() * (1 + 1 / 127)
    assert extents.min() >= extents.max() / (LARGEST_STRETCH + 0.1)
    free = extents > extents.max() / LARGEST_STRETCH * 1.1
    assert (np.abs(unit).max(axis=0)[free] > 1 - LARGEST_STRETCH / 128 - 2e-4).all()
    np.testing.assert_allclose(placement.to_world(unit), points, rtol=0, atol=np.abs(points).max() * 2**-24)


@pytest.mark.slow
@given(clouds())
def test_the_numbers_are_float32_values(points: NDArray[np.float64]) -> None:
    placement = fit_cube(points)
    for value in (*placement.center, placement.scale):
        assert type(value) is float
        assert value == float(np.float32(value))


def test_near_the_origin_the_longest_half_extent_is_1_to_float32_precision() -> None:
    rng = np.random.default_rng(0)
    for magnitude in (1e-30, 1e-3, 1.0, 1e30):
        points = rng.normal(size=(100, 3)) * magnitude
        unit = fit_cube(points).to_unit(points)
        assert ((unit.max(axis=0) - unit.min(axis=0)) / 2).max() == pytest.approx(1, abs=2e-7)


def test_the_sum_of_large_coordinates_does_not_overflow() -> None:
    placement = fit_cube(CUBE * 1e38 + 2e38)
    assert placement.center == pytest.approx((2e38, 2e38, 2e38))
    assert placement.scale == pytest.approx(1e38)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "no vertices"),
        (np.zeros((4, 2)), "no vertices"),
        (np.full((3, 3), 5.0), "zero extent"),
        (CUBE * np.nan, "NaN or infinite"),
        (CUBE * np.inf, "NaN or infinite"),
        (CUBE * 1e39, "too large"),
        (CUBE * 1.7e308, "too large"),
        (CUBE * 1e-39, "too small"),
        (CUBE * 1e-300, "too small"),
        (CUBE * 1e-3 + 12345678.9, "too far from the origin"),
    ],
)
def test_what_float32_cannot_hold_is_refused(points: NDArray[np.float64], message: str) -> None:
    for place in (fit_cube, fit_box):
        with pytest.raises(BadMeshError, match=message) as caught:
            place(points)
        assert caught.value.remedy


def test_one_nan_among_good_vertices_is_refused() -> None:
    points = CUBE.copy()
    points[3, 1] = np.nan
    with pytest.raises(BadMeshError, match="NaN"):
        fit_cube(points)
