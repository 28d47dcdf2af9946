"""Surfaces of analytic fields: where they lie, that they are closed, and that none is missed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import mcubes
import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from meshcodec.format.box import Axes
from meshcodec.surface.extract import extract, extract_dense
from meshcodec.surface.field import Field
from meshcodec.surface.grid import Array, grid_to_world
from meshcodec.surface.marching_cubes import Extraction
from meshcodec.surface.small_components import without_small_components

LO, HI, TRUNCATION = -1.05, 1.05, 0.1


def truncated(distance: Callable[[torch.Tensor], torch.Tensor], truncation: float = TRUNCATION) -> Field:
    return lambda p: distance(p).clamp(-truncation, truncation)


def sphere(radius: float, at: Sequence[float] = (0.0, 0.0, 0.0)) -> Field:
    return truncated(lambda p: (p.double() - torch.tensor(at, dtype=torch.float64)).norm(dim=1) - radius)


def torus(major: float, minor: float) -> Field:
    def distance(p: torch.Tensor) -> torch.Tensor:
        return torch.hypot(p[:, :2].norm(dim=1) - major, p[:, 2]) - minor

    return truncated(distance)


def boxes(*parts: tuple[Sequence[float], Sequence[float]], truncation: float = TRUNCATION) -> Field:
    """Union of boxes, each (centre, half sizes)."""

    def distance(p: torch.Tensor) -> torch.Tensor:
        d = []
        for centre, half in parts:
            q = (p - torch.tensor(centre)).abs() - torch.tensor(half)
            d.append(q.clamp(min=0).norm(dim=1) + q.amax(dim=1).clamp(max=0))
        return torch.stack(d).amin(dim=0)

    return truncated(distance, truncation)


def noise(seed: int, resolution: int, levels: int) -> Field:
    """Independent values at the grid points of [0, 1]**3, some of them exactly zero."""
    n = resolution + 1
    values = torch.from_numpy(
        np.random.default_rng(seed).integers(-levels, levels + 1, n**3) / levels
    ).float()

    def field(p: torch.Tensor) -> torch.Tensor:
        i = (p * resolution).round().long()
        return values[(i[:, 0] * n + i[:, 1]) * n + i[:, 2]]

    return field


def assembly() -> Field:
    rng = np.random.default_rng(3)
    return boxes(
        *[(rng.uniform(-0.7, 0.7, 3).tolist(), rng.uniform(0.02, 0.25, 3).tolist()) for _ in range(12)]
    )


def run(field: Field, resolution: int) -> Extraction:
    return extract(field, resolution, lo=LO, hi=HI, truncation=TRUNCATION)


def dense(field: Field, resolution: int) -> Extraction:
    return extract_dense(field, resolution, lo=LO, hi=HI, truncation=TRUNCATION)


def mesh_of(got: Extraction) -> trimesh.Trimesh:
    return trimesh.Trimesh(got.vertices, got.faces, process=False)


def assert_closed(got: Extraction) -> None:
    mesh = mesh_of(got)
    assert len(got.faces) > 0
    _, uses = np.unique(np.sort(mesh.edges, axis=1), axis=0, return_counts=True)
    assert (uses == 2).all()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert mesh.area_faces.min() > 0
    assert len(np.unique(got.faces)) == len(got.vertices)


def assert_same(one: Extraction, other: Extraction) -> None:
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


def test_the_grid_ends_at_both_ends_of_the_range() -> None:
    np.testing.assert_allclose(grid_to_world(np.arange(5), 4, -1.0, 3.0), [-1, 0, 1, 2, 3])
    np.testing.assert_allclose(grid_to_world(np.array(0.5), 4, -1.0, 3.0), -0.5)


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [192, 256])
def test_a_sphere_has_its_radius_and_centre(resolution: int) -> None:
    radius, at = 0.8, (0.013, -0.021, 0.034)
    got = run(sphere(radius, at), resolution)
    v = got.vertices
    # |v|^2 = 2 c.v + (r^2 - |c|^2) is linear in the centre c and the bracket.
    solution = np.linalg.lstsq(np.c_[2 * v, np.ones(len(v))], (v**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    fitted = np.sqrt(solution[3] + centre @ centre)
    cell = (HI - LO) / resolution
    np.testing.assert_allclose(centre, at, atol=1e-3 * cell)
    assert fitted == pytest.approx(radius, abs=1e-3 * cell)
    # A linear interpolation cuts the corner by at most cell^2 / 8r along an edge.
    assert np.abs(np.linalg.norm(v - at, axis=1) - radius).max() < cell**2 / (8 * radius) + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", list(itertools.product((False, True), repeat=3)))
def test_a_part_of_a_sphere_and_its_images_are_the_sphere(mirrored: Axes) -> None:
    """A sphere about the corner where the mirrors meet; across the other axes it lies in the middle."""
    at = [LO if mirror else 0.05 for mirror in mirrored]
    field = sphere(0.7, at)
    cube: dict[str, Any] = {"lo": LO, "hi": HI, "truncation": TRUNCATION, "mirrored": mirrored}
    got = extract(field, 64, **cube)
    assert_closed(got)
    assert mesh_of(got).body_count == 1
    assert_same(got, extract_dense(field, 64, **cube))
    np.testing.assert_allclose(np.linalg.norm(got.vertices - at, axis=1), 0.7, atol=1e-3)
    assert mesh_of(got).volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=5e-3)
    np.testing.assert_allclose(mesh_of(got).bounds.mean(axis=0), at, atol=1e-6)


def test_away_from_its_mirror_a_shape_becomes_two() -> None:
    got = extract(
        sphere(0.4, (0.1, 0.0, 0.2)), 48, lo=LO, hi=HI, truncation=TRUNCATION, mirrored=(True, False, False)
    )
    assert_closed(got)
    one, two = sorted(mesh_of(got).split(), key=lambda part: part.bounds[0, 0])
    assert one.volume == pytest.approx(two.volume, rel=1e-9)
    np.testing.assert_allclose(one.bounds[:, 0], 2 * LO - two.bounds[::-1, 0])


@pytest.mark.slow
def test_noise_at_a_mirror_is_closed() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 20, 20))).float()

    def field(points: torch.Tensor) -> torch.Tensor:
        index = (points * 18 + 1).round().long()  # the mirrored axes begin one cell below 0
        index = torch.where(torch.tensor((True, False, True)), index, (points * 19).round().long())
        return values[tuple(index.T)].clamp(-0.1, 0.1)

    got = extract_dense(field, 19, lo=0.0, hi=1.0, truncation=0.1, mirrored=(True, False, True))
    assert_closed(got)
    assert got.evaluated == 20**3


@pytest.mark.slow
def test_a_torus_has_one_hole() -> None:
    got = run(torus(0.6, 0.25), 96)
    assert_closed(got)
    assert mesh_of(got).euler_number == 0
    assert mesh_of(got).volume == pytest.approx(2 * np.pi**2 * 0.6 * 0.25**2, rel=0.01)


def test_two_boxes_are_two_parts() -> None:
    got = run(boxes(((-0.5, 0, 0), (0.2, 0.3, 0.4)), ((0.5, 0.1, 0), (0.3, 0.3, 0.1))), 96)
    assert_closed(got)
    parts = mesh_of(got).split()
    assert sorted(p.volume for p in parts) == pytest.approx([8 * 0.009, 8 * 0.024], rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_a_plate_of_one_and_a_half_cells_is_whole(shift: float) -> None:
    cell = (HI - LO) / 128
    got = run(boxes(((0.0, 0.0, shift * cell), (0.7, 0.7, 0.75 * cell))), 128)
    assert_closed(got)
    mesh = mesh_of(got)
    assert mesh.euler_number == 2
    assert mesh.body_count == 1
    assert mesh.volume == pytest.approx(1.4 * 1.4 * 1.5 * cell, rel=0.05)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 20), st.sampled_from([1, 3, 1000]))
def test_noise_is_closed(seed: int, resolution: int, levels: int) -> None:
    assert_closed(extract(noise(seed, resolution, levels), resolution, lo=0.0, hi=1.0, truncation=1.0))


def edges_of(triangles: Array) -> tuple[Array, Array]:
    return triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]


def test_the_triangles_are_those_of_pymcubes() -> None:
    resolution, n = 16, 17
    field = noise(5, resolution, 1000)
    got = extract_dense(field, resolution, lo=0.0, hi=1.0, truncation=1.0)
    index = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    block = field(torch.from_numpy(index / resolution).float()).numpy().reshape(n, n, n).astype(np.float64)
    block[block == 0] = 1e-38
    border = (index.reshape(n, n, n, 3) % resolution == 0).any(axis=-1)
    block[border] = np.abs(block[border])
    vertices, faces = mcubes.marching_cubes(-block, 0.0)
    theirs, ours = (vertices / resolution)[faces], got.vertices[got.faces]
    assert len(ours) == len(theirs)
    distance, match = cKDTree(theirs.mean(axis=1)).query(ours.mean(axis=1))
    assert distance.max() < 1e-3 / resolution
    assert len(np.unique(match)) == len(match)
    flips = (np.cross(*edges_of(ours)) * np.cross(*edges_of(theirs[match]))).sum(axis=1) < 0
    assert not flips.any()


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [16, 61, 96, 100])
@pytest.mark.parametrize(
    "field",
    [sphere(0.9), torus(0.6, 0.07), assembly(), boxes(((0.1, 0, 0), (0.02, 0.9, 0.5))), sphere(0.05)],
    ids=["sphere", "torus", "assembly", "plate", "dot"],
)
def test_coarse_to_fine_equals_dense(field: Field, resolution: int) -> None:
    assert_same(run(field, resolution), dense(field, resolution))


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.4, 2.0, 6.0])
def test_a_field_that_is_not_a_distance_is_followed_around(gain: float) -> None:
    """Six times too steep, the coarse lattice alone does not see where the surface goes."""

    def field(p: torch.Tensor) -> torch.Tensor:
        return (gain * torus(0.6, 0.2)(p)).clamp(-TRUNCATION, TRUNCATION)

    got = run(field, 128)
    assert_closed(got)
    assert_same(got, dense(field, 128))


def test_a_short_truncation_makes_the_lattice_finer() -> None:
    field = sphere(0.06, (0.3, 0.31, 0.29))
    short = extract(lambda p: field(p).clamp(-0.01, 0.01), 64, lo=LO, hi=HI, truncation=0.01)
    assert_closed(short)


@pytest.mark.slow
def test_a_shape_that_touches_the_border_is_closed() -> None:
    got = run(boxes(((0.9, 0.0, 0.0), (0.5, 0.5, 2.0))), 64)
    assert_closed(got)
    assert mesh_of(got).bounds[1] == pytest.approx([HI, 0.5, HI], abs=(HI - LO) / 64)
    everything = run(lambda p: torch.full((len(p),), -TRUNCATION), 32)
    assert_closed(everything)
    assert mesh_of(everything).euler_number == 2


def test_small_components_are_left_out_unless_there_is_nothing_else() -> None:
    small, large = sphere(0.04, (-0.5, -0.5, -0.5)), sphere(0.4, (0.3, 0.3, 0.3))
    both, alone = dense(lambda p: torch.minimum(small(p), large(p)), 64), dense(large, 64)
    assert len(both.faces) > len(alone.faces)
    kept = without_small_components(both, 0.1)
    assert_closed(kept)
    np.testing.assert_array_equal(kept.vertices[kept.faces], alone.vertices[alone.faces])
    assert (kept.evaluated, kept.total) == (both.evaluated, both.total)
    assert without_small_components(both, 0.01) is both
    assert without_small_components(both, 2.0) is both
    nothing = dense(truncated(lambda p: p.norm(dim=1) + 1), 16)
    assert without_small_components(nothing, 0.1) is nothing


@pytest.mark.slow
def test_a_part_that_is_thin_both_ways_is_a_small_component() -> None:
    """A row of grid points in the field's interior, longer than what counts as small."""
    needle, large = boxes(((-0.5, -0.5, -0.5), (0.2, 0.02, 0.02))), sphere(0.4, (0.3, 0.3, 0.3))
    plate = boxes(((-0.5, -0.5, -0.5), (0.2, 0.2, 0.02)))
    alone = dense(large, 96)
    with_needle = dense(lambda p: torch.minimum(needle(p), large(p)), 96)
    assert len(with_needle.faces) > len(alone.faces)
    assert len(without_small_components(with_needle, 0.2).faces) == len(alone.faces)
    assert without_small_components(with_needle, 0.1) is with_needle
    with_plate = dense(lambda p: torch.minimum(plate(p), large(p)), 96)
    assert without_small_components(with_plate, 0.2) is with_plate


@pytest.mark.slow
def test_a_part_that_encloses_next_to_nothing_is_a_small_component() -> None:
    """Sheets of one grid point, a part and a cavity, as wide as what counts as one."""
    sheet, hollow = (boxes(((at, at, at), (0.12, 0.09, 0.008))) for at in (-0.5, 0.3))
    large = sphere(0.4, (0.3, 0.3, 0.3))
    alone = dense(large, 128)
    both = dense(lambda p: torch.maximum(torch.minimum(sheet(p), large(p)), -hollow(p)), 128)
    thin, whole, cavity = mesh_of(both).split(only_watertight=False)
    assert 0 < thin.volume < -cavity.volume < (0.2 / 2) ** 3
    assert min(thin.extents.max(), cavity.extents.max()) > 0.2
    assert len(without_small_components(both, 0.2).faces) == len(alone.faces) == len(whole.faces)
    assert without_small_components(both, 0.05) is both
    # Encloses as little, but is too long to be an error.
    long = boxes(((0.0, 0.0, -0.5), (0.6, 0.05, 0.008)))
    with_long = dense(lambda p: torch.minimum(long(p), large(p)), 128)
    assert min(abs(part.volume) for part in mesh_of(with_long).split(only_watertight=False)) < (0.29 / 2) ** 3
    assert without_small_components(with_long, 0.29) is with_long


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("gain", [1.0, 1.4])
@pytest.mark.parametrize("shift", range(8))
def test_sheets_of_one_grid_point_are_met(axis: int, gain: float, shift: int) -> None:
    """Sheets that one layer of grid points sees, wherever they lie in the lattices, and where the field is
    steeper than a distance, too."""
    cell = (HI - LO) / 96
    half = [0.4, 0.4, 0.4]
    half[axis] = 0.5 * cell
    centers = [[0.01, 0.02, 0.03], [0.01, 0.02, 0.03]]
    for center, offset in zip(centers, (0, 6), strict=True):
        center[axis] = LO + (48 + shift + offset) * cell
    sheets = boxes(*[(center, half) for center in centers], truncation=0.2)

    def field(p: torch.Tensor) -> torch.Tensor:
        return (gain * sheets(p)).clamp(-0.2, 0.2)

    got = extract(field, 96, lo=LO, hi=HI, truncation=0.2)  # enough for the coarsest lattice of all
    assert_same(got, extract_dense(field, 96, lo=LO, hi=HI, truncation=0.2))


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("place", list(itertools.product(range(4), repeat=2)))
def test_rods_of_one_grid_point_are_met(axis: int, place: tuple[int, int]) -> None:
    cell = (HI - LO) / 96
    center, half = [0.0, 0.0, 0.0], [0.3 * cell] * 3
    half[axis] = 3.6 * cell
    for other, shift in zip({0, 1, 2} - {axis}, place, strict=True):
        center[other] = LO + (48 + shift) * cell
    field = boxes((center, half), truncation=0.2)
    got = extract(field, 96, lo=LO, hi=HI, truncation=0.2)
    assert len(got.faces)
    assert_same(got, extract_dense(field, 96, lo=LO, hi=HI, truncation=0.2))


@pytest.mark.slow
def test_no_surface_gives_no_faces() -> None:
    got = run(lambda p: torch.full((len(p),), TRUNCATION), 256)
    assert got.vertices.shape == (0, 3)
    assert got.faces.shape == (0, 3)
    assert got.faces.dtype == np.int64
    assert 0 < got.evaluated < got.total / 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "most"), [(sphere(0.8), 0.028), (assembly(), 0.0138)], ids=["sphere", "assembly"]
)
def test_few_points_are_evaluated_and_none_twice(field: Field, most: float) -> None:
    """Without the guesses the sphere takes 0.032 and the assembly 0.0145 of the grid."""
    seen: list[torch.Tensor] = []

    def watched(p: torch.Tensor) -> torch.Tensor:
        assert p.dtype == torch.float32
        assert len(p) <= 50_000
        seen.append(p)
        return field(p)

    got = extract(watched, 256, lo=LO, hi=HI, truncation=TRUNCATION, batch=50_000)
    points = np.concatenate([p.numpy() for p in seen])
    index = np.rint((points - LO) / (HI - LO) * 256).astype(np.int64)
    assert len(np.unique(index @ [257**2, 257, 1])) == len(points) == got.evaluated
    assert got.total == 257**3
    assert got.evaluated < most * got.total


def test_the_batch_size_does_not_matter() -> None:
    one, other = (extract(assembly(), 48, lo=LO, hi=HI, truncation=TRUNCATION, batch=b) for b in (999, 10**9))
    assert_same(one, other)
    assert one.evaluated == other.evaluated


def test_bad_arguments_are_refused() -> None:
    field = sphere(0.5)
    for resolution, lo, truncation, factor in [
        (8, LO, TRUNCATION, 1.0),
        (1024, LO, TRUNCATION, 1.0),
        (32, HI, TRUNCATION, 1.0),
        (32, LO, 0.0, 1.0),
        (32, LO, TRUNCATION, 0.0),
    ]:
        with pytest.raises(ValueError, match="must be"):
            extract(field, resolution, lo=lo, hi=HI, truncation=truncation, lipschitz_factor=factor)
    with pytest.raises(ValueError, match="batch"):
        extract(field, 32, lo=LO, hi=HI, truncation=TRUNCATION, batch=0)
    with pytest.raises(ValueError, match="not finite"):
        run(lambda p: p[:, 0] / 0, 32)
    with pytest.raises(ValueError, match="the field gave"):
        run(lambda p: p, 32)
