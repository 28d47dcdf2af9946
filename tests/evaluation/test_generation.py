"""Measures of sets of shapes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from meshcodec.evaluation.generation import chamfer_matrix, set_scores, surface_points


def test_chamfer_distances_of_known_clouds() -> None:
    zero, one = np.zeros((5, 3)), np.array([[1.0, 0, 0]])
    both = np.concatenate([zero, one])
    matrix = chamfer_matrix([zero, both], [zero, one])
    assert matrix == pytest.approx(np.array([[0, 2], [1 / 6, 5 / 6]]))


def test_points_lie_on_the_surface_in_the_unit_frame() -> None:
    ball = trimesh.creation.icosphere(4, radius=5)
    points = surface_points(ball.vertices + 3, ball.faces, 4000, 0)
    assert points.shape == (4000, 3)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1, abs=0.01)
    assert np.abs(points.mean(axis=0)).max() < 0.05


def test_scores_of_sets_that_are_the_same_and_that_are_far_apart() -> None:
    line = np.arange(6.0)
    within = np.square(line[:, None] - line)
    same = set_scores(within, within, within)
    assert (same.coverage, same.mmd, same.one_nna) == (1, 0, 0)  # the nearest is one's twin in the other set
    far = set_scores(within, within, within.T + 100)
    assert (far.coverage, far.mmd, far.one_nna) == (1, 100, 1)
    collapsed = set_scores(np.zeros((4, 4)), within, np.tile(within[2], (4, 1)))
    assert collapsed.coverage == 1 / 6
    assert collapsed.mmd == pytest.approx(np.square(line - 2).mean())


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 1000))
def test_scores_lie_in_their_ranges(made: int, real: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clouds = [rng.normal(size=(8, 3)) for _ in range(made + real)]
    matrix = chamfer_matrix(clouds, clouds)
    scores = set_scores(matrix[:made, :made], matrix[made:, made:], matrix[:made, made:])
    assert 1 / real <= scores.coverage <= min(1, made / real)
    assert scores.mmd == pytest.approx(matrix[:made, made:].min(axis=0).mean())
    assert 0 <= scores.one_nna <= 1
