"""Which planes a mesh is symmetric to, and that a half and its image are coded as the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from support.refinement import HURRIED

from meshcodec.api import Codec
from meshcodec.config import EXTENT
from meshcodec.format.container import VatFile
from meshcodec.geometry.normalize import fit_box, halve
from meshcodec.geometry.signed_distance import unsigned_distance
from meshcodec.geometry.symmetry import mirror_axes
from meshcodec.modes.choose import CodecSettings


def axes_of(mesh: trimesh.Trimesh) -> tuple[bool, bool, bool]:
    return mirror_axes(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def letter_l() -> trimesh.Trimesh:
    """Symmetric across z alone."""
    long = trimesh.creation.box((1, 3, 1))
    short = trimesh.creation.box((2, 1, 1))
    short.apply_translation((1.5, -1, 0))
    letter: trimesh.Trimesh = long + short
    return letter


def test_a_box_is_symmetric_to_all_planes_wherever_it_is() -> None:
    box = trimesh.creation.box((1, 2, 3))
    box.apply_translation((10, -20, 5))
    assert axes_of(box) == (True, True, True)


def test_a_letter_is_symmetric_across_its_thickness() -> None:
    assert axes_of(letter_l()) == (False, False, True)


@pytest.mark.parametrize(("knob", "expected"), [(False, (True, True, True)), (True, (False, True, True))])
def test_a_large_mesh_is_judged_by_all_samples_at_once(
    knob: bool, expected: tuple[bool, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = trimesh.creation.box((3, 2, 2))
    if knob:
        other = trimesh.creation.box((0.5, 0.5, 2.4))
        other.apply_translation((0.8, 0, 0))
        mesh += other
    assert axes_of(mesh) == expected
    calls = []

    def counting(*asked: Any) -> Any:
        calls.append(len(asked[0]))
        return unsigned_distance(*asked)

    monkeypatch.setattr("meshcodec.geometry.symmetry.unsigned_distance", counting)
    monkeypatch.setattr("meshcodec.geometry.symmetry.LARGE", 5)
    assert axes_of(mesh) == expected
    assert calls == [30_000]


def test_across_a_flat_mesh_there_is_nothing_to_halve() -> None:
    plate = trimesh.Trimesh([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    assert axes_of(plate) == (True, True, False)


@pytest.mark.parametrize(("size", "symmetric"), [(0.1, True), (0.4, False)])
def test_a_knob_counts_from_the_size_on_that_the_fscore_sees(size: float, symmetric: bool) -> None:
    knob = trimesh.creation.box((size, size, size))
    knob.apply_translation((0.5, 0.2, 1.0))
    mesh = trimesh.creation.box((3, 2, 2)) + knob
    assert axes_of(mesh)[0] is symmetric


def test_the_upper_half_fills_the_cube() -> None:
    vertices = np.array([[-4.0, 0, -1], [4, 2, 1], [0.5, 1, 0]])
    placement = fit_box(vertices, (True, False, False))
    unit = placement.to_unit(vertices)
    assert placement.center == (0, 1, 0)
    assert placement.half_extents == (4, 1, 1)
    assert placement.to_unit([[0.0, 0, 0]])[0, 0] == pytest.approx(-EXTENT, abs=1e-12)
    assert unit[1, 0] == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(placement.to_world(unit), vertices, atol=1e-12)
    np.testing.assert_allclose(np.abs(unit[:2, 1:]), 1, atol=0.02)


def test_halves_for_training() -> None:
    vertices = np.array([[-1.0, -1, -0.5], [1, 1, 0.5], [0, 0, 0]])
    chosen, sides = np.array([True, True, True]), np.array([1, -1, 1])
    found = halve(vertices, chosen, sides)
    np.testing.assert_allclose(found[2], [-EXTENT, EXTENT, 0])
    np.testing.assert_allclose(found[1], [1, 1 + 2 * EXTENT, 0.5])  # z is not filled, so it is not halved
    np.testing.assert_allclose(found[0], [-1 - 2 * EXTENT, -1, -0.5])


@pytest.mark.slow
@pytest.mark.parametrize("effort", [0, 1])
def test_a_symmetric_mesh_is_decoded_whole_and_symmetric(tiny_weights: Path, effort: int) -> None:
    codec = Codec("cpu", tiny_weights, settings=CodecSettings(tokens=HURRIED))
    mesh = letter_l()
    mesh.apply_translation((5, 5, 5))
    data = codec.encode(mesh, size=256, effort=effort)
    assert VatFile.from_bytes(data).mirrored == (False, False, True)
    decoded = codec.decode(data, resolution=48)
    assert decoded.is_watertight
    assert decoded.is_winding_consistent
    reach = np.array(VatFile.from_bytes(data).half_extents) * (1 + EXTENT)  # a half may reach EXTENT, too
    assert (np.abs(decoded.vertices - VatFile.from_bytes(data).center) <= reach).all()
    image = decoded.vertices * [1, 1, -1] + [0, 0, 10]
    assert cKDTree(decoded.vertices).query(image)[0].max() < 2e-5
    dense = codec.decode_detailed(data, resolution=48, dense=True).mesh
    assert dense.is_watertight
