"""Targets in torch against the definition in the geometry libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray

from meshcodec.config import EXTENT
from meshcodec.geometry.signed_distance import FaceKind, TargetField, classify
from meshcodec.train.cache import POINTS, QUERIES, make_sample
from meshcodec.train.corpus import Mesh, to_unit
from meshcodec.train.torch_targets import Geometry, unsigned_distance, winding_number

CPU = torch.device("cpu")


def unit(mesh: trimesh.Trimesh) -> Mesh:
    return to_unit(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def sphere() -> Mesh:
    return unit(trimesh.creation.icosphere(subdivisions=2))


def cup() -> Mesh:
    """A box without its lid: sheets, whose inside is where the winding number is above a half."""
    box = trimesh.creation.box().subdivide().subdivide()
    return unit(trimesh.Trimesh(box.vertices, box.faces[box.triangles_center[:, 2] < 0.49]))


def boxes() -> Mesh:
    """Two boxes that overlap: some faces lie inside the other one, and bound a cavity."""
    first = trimesh.creation.box().subdivide().subdivide()
    second = first.copy()
    second.apply_translation([0.5, 0.4, 0.3])
    return unit(
        trimesh.Trimesh(
            *trimesh.util.append_faces([first.vertices, second.vertices], [first.faces, second.faces]),
            process=False,
        )
    )


def flipped() -> Mesh:
    """The sphere with all its faces turned inside out."""
    vertices, faces = sphere()
    return vertices, np.ascontiguousarray(faces[:, ::-1])


SHAPES = pytest.mark.parametrize("shape", [sphere, cup, boxes, flipped])


@pytest.mark.slow
@SHAPES
def test_kinds_and_distances_are_those_of_the_definition(shape: Callable[[], Mesh]) -> None:
    vertices, faces = shape()
    geometry = Geometry(CPU)
    wanted, found = classify(vertices, faces), geometry.classify(vertices, faces)
    assert np.array_equal(found.kinds, wanted.kinds)
    assert np.array_equal(found.normals, wanted.normals)
    expected = {
        sphere: {FaceKind.SOLID},
        flipped: {FaceKind.SOLID},
        boxes: {FaceKind.SOLID},
    }
    if shape in expected:
        assert set(found.kinds.tolist()) == expected[shape]

    queries = np.random.default_rng(0).uniform(-EXTENT, EXTENT, (1500, 3)).astype(np.float32)
    there, here = TargetField(wanted)(queries), geometry.target(found)(queries)
    # The tree's winding number is an approximation, which an opening lets come close to a half.
    winding = winding_number(torch.from_numpy(queries), torch.from_numpy(vertices[faces])).numpy()
    clear = np.abs(winding - np.floor(winding) - 0.5) > 0.02
    assert clear.mean() > 0.9
    assert np.allclose(here[clear], there[clear], rtol=0, atol=1e-5)


def test_distances_to_single_triangles_in_all_regions() -> None:
    rng = np.random.default_rng(1)
    corners = rng.normal(size=(40, 3, 3)).astype(np.float32)
    points = rng.normal(scale=2, size=(300, 3)).astype(np.float32)
    for triangle in corners:
        soup = np.repeat(triangle[None], len(points), axis=0)
        nearest = trimesh.triangles.closest_point(soup, points)  # type: ignore[no-untyped-call]
        wanted = np.linalg.norm(nearest - points, axis=1)
        found = unsigned_distance(torch.from_numpy(points), torch.from_numpy(triangle[None]))
        assert np.allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_triangle_without_area_is_a_segment() -> None:
    line = torch.tensor([[[-1.0, 0, 0], [1, 0, 0], [0.25, 0, 0]]])
    points = torch.tensor([[0.0, 3, 4], [4, 0, 0], [-1, 0, 0.5]])
    assert unsigned_distance(points, line).tolist() == pytest.approx([5, 3, 0.5])


@pytest.mark.parametrize("pairs", [1, 500, 10**9])
def test_the_size_of_the_chunks_changes_nothing(pairs: int) -> None:
    vertices, faces = sphere()
    corners = torch.from_numpy(vertices[faces])
    points = torch.from_numpy(np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32))
    assert torch.allclose(winding_number(points, corners, pairs), winding_number(points, corners), atol=1e-5)
    assert torch.equal(unsigned_distance(points, corners, pairs), unsigned_distance(points, corners))
    assert winding_number(points[:0], corners, pairs).shape == (0,)


@pytest.mark.slow
def test_samples_are_those_of_the_cache() -> None:
    vertices, faces = to_unit(*(trimesh_arrays(trimesh.creation.box(extents=[1, 2, 3]))))
    wanted, found = make_sample(vertices, faces, 7), Geometry(CPU).make_sample(vertices, faces, 7)
    for field in ("points", "normals", "queries"):
        assert np.array_equal(getattr(found, field), getattr(wanted, field))
        assert getattr(found, field).dtype == getattr(wanted, field).dtype
    assert found.distances.dtype == np.int16
    difference = np.abs(found.distances.astype(int) - wanted.distances)
    assert (
        difference <= 2
    ).mean() > 0.999  # a step is 8e-6; the sign of points on the surface is anyone's guess
    assert (found.points.shape, found.queries.shape) == ((POINTS, 3), (QUERIES, 3))


def trimesh_arrays(mesh: trimesh.Trimesh) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)
