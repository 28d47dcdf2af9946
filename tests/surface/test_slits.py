"""Slits become narrow, everything else stays where it is, and the surface stays closed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from meshcodec.format.box import NO_AXES, Axes
from meshcodec.surface import slits
from meshcodec.surface.extract import extract
from meshcodec.surface.field import Field
from meshcodec.surface.marching_cubes import Extraction
from meshcodec.surface.slits import REST, Slits, vertex_normals

LO, HI, TRUNCATION = -1.05, 1.05, 0.1
SLIT = 0.015
CELLS = 144


def mesh_of(found: Extraction) -> trimesh.Trimesh:
    return trimesh.Trimesh(found.vertices, found.faces, process=False)


def assert_closed(found: Extraction) -> None:
    assert mesh_of(found).is_watertight
    assert mesh_of(found).is_winding_consistent
    assert mesh_of(found).volume > 0


def boxes(*parts: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Field:
    """Union of boxes, each (centre, half sizes)."""

    def distance(points: torch.Tensor) -> torch.Tensor:
        found = []
        for centre, half in parts:
            beyond = (points - torch.tensor(centre)).abs() - torch.tensor(half)
            found.append(beyond.clamp(min=0).norm(dim=1) + beyond.amax(dim=1).clamp(max=0))
        return torch.stack(found).amin(dim=0).clamp(-TRUNCATION, TRUNCATION)

    return distance


def sphere(radius: float, at: tuple[float, float, float]) -> Field:
    def distance(points: torch.Tensor) -> torch.Tensor:
        apart = points.double() - torch.tensor(at, dtype=torch.float64)
        found: torch.Tensor = (torch.linalg.norm(apart, dim=1) - radius).clamp(-TRUNCATION, TRUNCATION)
        return found

    return distance


def surface_of(field: Field, mirrored: Axes = NO_AXES, slit: float = SLIT) -> Extraction:
    move = Slits(slit, LO, mirrored)
    return extract(field, CELLS, lo=LO, hi=HI, truncation=TRUNCATION, mirrored=mirrored, move=move)


def two_boxes(gap: float) -> Field:
    """Boxes of 0.6 x 0.6 x 0.3 above each other, with a gap at z = 0.003, which is on no grid point."""
    half = (0.3, 0.3, 0.15)
    return boxes(((0, 0, 0.003 + gap / 2 + 0.15), half), ((0, 0, 0.003 - gap / 2 - 0.15), half))


def gap_of(found: Extraction) -> float:
    """Width of the gap in its middle, away from the edges of the boxes."""
    v = found.vertices
    middle = v[(np.abs(v[:, :2]).max(axis=1) < 0.2) & (np.abs(v[:, 2] - 0.003) < 0.1), 2]
    above, below = middle[middle > 0.003], middle[middle < 0.003]
    assert len(above) > 100
    assert len(below) > 100
    return float(np.median(above) - np.median(below))


def test_a_slit_becomes_narrow_and_nothing_else_moves() -> None:
    found, before = surface_of(two_boxes(SLIT)), surface_of(two_boxes(SLIT), slit=0.0)
    assert_closed(found)
    # Straight lines between grid points cut off some of a gap that is no wider than a cell.
    assert gap_of(before) == pytest.approx(SLIT, abs=0.2 * SLIT)
    assert gap_of(found) == pytest.approx(2 * REST, abs=2e-4)
    away = np.abs(before.vertices[:, 2] - 0.003) > SLIT
    np.testing.assert_allclose(found.vertices[away], before.vertices[away], atol=1e-9)
    assert mesh_of(found).body_count == 2


def test_a_wider_gap_stays() -> None:
    assert gap_of(surface_of(two_boxes(2 * SLIT))) == pytest.approx(2 * SLIT, abs=1e-4)


def test_a_sheet_as_thick_as_a_slit_stays() -> None:
    sheet = boxes(((0, 0, 0.003), (0.4, 0.4, SLIT / 2)))
    found, before = surface_of(sheet), surface_of(sheet, slit=0.0)
    assert_closed(found)
    assert np.ptp(found.vertices[:, 2]) == pytest.approx(SLIT, abs=0.2 * SLIT)
    np.testing.assert_array_equal(found.vertices, before.vertices)


def test_a_slit_in_a_mirror_becomes_narrow_on_both_sides() -> None:
    half = 0.2
    field = boxes(((LO + SLIT / 2 + half, 0, 0), (half, half, half)))
    found = surface_of(field, (True, False, False))
    assert_closed(found)
    one, two = sorted(mesh_of(found).split(), key=lambda part: part.bounds[0, 0])
    assert one.volume == pytest.approx(two.volume, rel=1e-9)
    assert two.bounds[0, 0] - LO == pytest.approx(REST, abs=2e-4)
    assert two.bounds[1, 0] == pytest.approx(LO + SLIT / 2 + 2 * half, abs=2e-3)


def test_what_lies_across_mirrors_is_closed() -> None:
    mirrored = (True, False, True)
    at = (LO, 0.1, LO)
    assert_closed(found := surface_of(sphere(0.6, at), mirrored))
    np.testing.assert_allclose(np.linalg.norm(found.vertices - at, axis=1), 0.6, atol=1e-3)


def test_normals_are_of_unit_length_or_zero() -> None:
    vertices = np.array([[0.0, 0, 0], [2, 0, 0], [0, 3, 0], [9, 9, 9]])
    expected = [[0, 0, 1]] * 3 + [[0, 0, 0]]
    np.testing.assert_allclose(vertex_normals(vertices, np.array([[0, 1, 2]])), expected)


@pytest.mark.parametrize("mirrored", [NO_AXES, (False, False, True)])
def test_what_is_passed_over_quickly_would_not_move(mirrored: Axes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random small faces, of which many lie opposite to others."""
    rng = np.random.default_rng(5)
    centres = rng.uniform(LO, LO + 0.15, (400, 1, 3))
    vertices = (centres + rng.normal(0, 0.004, (400, 3, 3))).reshape(-1, 3)
    vertices[:, 2] = np.maximum(vertices[:, 2], LO)
    faces = np.arange(1200).reshape(-1, 3)
    move = Slits(SLIT, LO, mirrored)
    found = move(vertices, faces)
    asked: list[int] = []

    def everywhere(self: object, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return np.ones(len(points), dtype=bool)

    monkeypatch.setattr(slits.Sides, "may_oppose", everywhere)
    assert (move(vertices, faces) == found).all()
    assert asked == [1200]
    assert 50 < (found != vertices).any(axis=1).sum() < 1000


def test_a_smooth_surface_is_passed_over() -> None:
    ball = trimesh.creation.icosphere(5, 0.8)
    normals = np.asarray(ball.vertex_normals)
    sides = slits.Sides(np.asarray(ball.vertices), normals, 0.03)
    assert not sides.may_oppose(np.asarray(ball.vertices), normals).any()
    assert sides.may_oppose(np.asarray(ball.vertices), -normals).all()
