from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import trimesh

pytest.importorskip("DracoPy")

from meshcodec import metrics
from meshcodec.errors import BadMeshError, UsageError
from meshcodec.evaluation import baselines, bounds
from meshcodec.evaluation.fitted import decimate_fit_draco_many
from meshcodec.geometry.simplify import DECIMATORS
from meshcodec.geometry.triangles import Floats, Ints

PLACE = np.array([100.0, -30.0, 7.0])


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=4, radius=3.0)
    mesh.apply_translation(PLACE)
    return mesh


@pytest.fixture(scope="module")
def results(ball: trimesh.Trimesh) -> dict[int, baselines.BaselineResult]:
    sizes = [1024, 10, 256]
    return dict(zip(sizes, baselines.decimate_draco_many(ball, sizes), strict=True))


@pytest.mark.slow
def test_files_fit_and_nearly_fill_the_size(results: dict[int, baselines.BaselineResult]) -> None:
    for size in (256, 1024):
        assert 0.9 * size < len(results[size].data) <= size


@pytest.mark.slow
def test_files_decode_in_place_to_the_mesh_that_was_scored(
    ball: trimesh.Trimesh, results: dict[int, baselines.BaselineResult]
) -> None:
    decoded = baselines.decode_draco(results[1024].data)
    mesh = results[1024].mesh
    assert mesh is not None
    np.testing.assert_array_equal(decoded.vertices, mesh.vertices)
    np.testing.assert_allclose(decoded.bounds, ball.bounds, atol=0.1)


def test_a_sphere_scores_above_the_known_floor(
    ball: trimesh.Trimesh, results: dict[int, baselines.BaselineResult]
) -> None:
    small = metrics.fscore(ball, results[256].mesh, samples=5_000)
    large = metrics.fscore(ball, results[1024].mesh, samples=5_000)
    assert large[0] == pytest.approx(1.0, abs=0.001)
    assert large[1] > 0.97
    assert large[2] > 0.8
    assert 0.6 < small[0] < large[0]
    assert small[1] < large[1]


def test_nothing_fits_a_size_below_dracos_header(results: dict[int, baselines.BaselineResult]) -> None:
    nothing = results[10]
    assert (nothing.data, nothing.mesh, nothing.settings) == (b"", None, {})


def test_settings_make_the_file_again(
    ball: trimesh.Trimesh, results: dict[int, baselines.BaselineResult]
) -> None:
    settings = results[256].settings
    again = baselines.decimate_draco_many(
        ball, [256], bits=[settings["bits"]], decimators=[settings["decimator"]]
    )
    assert again[0].settings == settings
    assert again[0].data == results[256].data


@pytest.mark.slow
def test_the_best_is_at_least_every_single_decimator(ball: trimesh.Trimesh) -> None:
    # Many small parts, so that the three differ.
    parts = [trimesh.creation.icosphere(1, 0.1).apply_translation(p) for p in np.ndindex(5, 5, 4)]
    vertices = np.vstack([part.vertices for part in parts])
    faces = np.vstack([part.faces + len(part.vertices) * i for i, part in enumerate(parts)])
    reference = metrics.Reference((vertices, faces), samples=5_000)

    def value(*decimators: str) -> float:
        [result] = baselines.decimate_draco_many(
            (vertices, faces), [512], decimators=decimators, bits=[6, 7], reference=reference
        )
        assert len(result.data) <= 512
        return sum(reference.fscore(result.mesh, (0.02, 0.01)))

    alone = [value(name) for name in DECIMATORS]
    assert min(alone) < 0.7 * max(alone)
    assert value(*DECIMATORS) == pytest.approx(max(alone))
    assert value(*reversed(DECIMATORS)) == pytest.approx(max(alone))


def value_of(reference: metrics.Reference, result: baselines.BaselineResult) -> float:
    return sum(reference.fscore(result.mesh, (0.02, 0.01), samples=20_000))


@pytest.mark.slow
def test_fitting_makes_small_files_better_and_none_worse(ball: trimesh.Trimesh) -> None:
    """A ball's decimations lie inside of it, as their vertices lie on it; fitted ones are on both sides."""
    reference = metrics.Reference(ball, samples=20_000)
    sizes = [1024, 10, 200]
    few: dict[str, Any] = {"bits": [7], "decimators": ["quadric"], "reference": reference}
    plain = baselines.decimate_draco_many(ball, sizes, **few)
    fitted = decimate_fit_draco_many(ball, sizes, **few)
    for size, one, other in zip(sizes, plain, fitted, strict=True):
        assert len(other.data) <= size
        if size == 10:
            assert (other.data, other.mesh, other.settings) == (b"", None, {})
            continue
        assert not one.settings["fitted"]
        assert value_of(reference, other) >= value_of(reference, one)
        assert other.mesh is not None
        np.testing.assert_array_equal(baselines.decode_draco(other.data).vertices, other.mesh.vertices)
    small = fitted[2]
    assert small.settings["fitted"]
    assert small.mesh is not None
    assert value_of(reference, small) > value_of(reference, plain[2]) + 0.1
    radii = np.linalg.norm(small.mesh.vertices - PLACE, axis=1) / 3
    assert radii.mean() > 1.01  # the vertices of the ball itself are at 1


@pytest.mark.parametrize("shift", [0.5, 0.0])
def test_moved_vertices_are_kept_only_where_they_are_better(ball: trimesh.Trimesh, shift: float) -> None:
    """Vertices that a mover spoils, or leaves, lose to those that stay: the same file as without a mover."""
    few: dict[str, Any] = {"bits": [7], "decimators": ["quadric"]}
    [plain] = baselines.decimate_draco_many(ball, [256], **few)
    calls = []

    def mover(vertices: Floats, faces: Ints) -> Floats:
        calls.append(len(faces))
        return vertices + shift * np.sin(9 * vertices)

    [found] = baselines.decimate_draco_many(ball, [256], **few, make_mover=lambda v, f: mover)
    assert calls
    assert not found.settings["fitted"]
    assert found.data == plain.data


def test_what_fits_whole_is_not_fitted() -> None:
    [result] = decimate_fit_draco_many(trimesh.creation.box(), [1024], bits=[8])
    assert not result.settings["fitted"]
    assert result.settings["faces"] >= 12


def test_identical_vertices_are_merged_first(ball: trimesh.Trimesh) -> None:
    soup = (np.asarray(ball.triangles).reshape(-1, 3), np.arange(3 * len(ball.faces)).reshape(-1, 3))
    [result] = baselines.decimate_draco_many(soup, [512], bits=[7], decimators=["quadric"])
    assert metrics.fscore(ball, result.mesh, samples=2_000)[0] > 0.95


@pytest.mark.slow
def test_a_mesh_that_fits_whole_is_kept_whole() -> None:
    box = trimesh.creation.box()
    result = baselines.decimate_draco(box, 1024)
    assert metrics.fscore(box, result.mesh, samples=2_000)[2] == 1.0


def test_refusals(ball: trimesh.Trimesh, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown decimator"):
        baselines.decimate_draco_many(ball, [512], decimators=["magic"])
    with pytest.raises(BadMeshError):
        baselines.decimate_draco(trimesh.Trimesh(), 512)
    found = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == "DracoPy":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UsageError, match=r"DracoPy.*meshcodec\[baselines\]"):
        baselines.decimate_draco(ball, 512)


def test_convex_hull(ball: trimesh.Trimesh) -> None:
    bowl = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 2] < PLACE[2]], process=False)
    hull = bounds.convex_hull(bowl)
    assert metrics.is_closed(hull)
    assert hull.volume == pytest.approx(ball.volume / 2, rel=0.05)
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=float)
    flat = (square, np.array([[0, 1, 2], [1, 3, 2]]))
    assert metrics.fscore(flat, bounds.convex_hull(flat), samples=500) == (1.0, 1.0, 1.0)
