"""Parts that are there more than once are found, coded once, and stand where they stood."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import trimesh
from support.fitting import few
from support.meshes import random_mesh_coder

from meshcodec.format.grid_copies import MIRRORED, TURNS
from meshcodec.format.mesh_coder import depths, payload_head
from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import is_closed, score
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.encode import MeshSearch, encode_grid_mesh
from meshcodec.modes.mesh.original import original_of
from meshcodec.modes.mesh.repeats import find_repeats
from meshcodec.modes.mesh.settings import MeshSettings

WEDGE = np.array([[0.0, 0, 0], [0.3, 0, 0], [0, 0.2, 0], [0, 0, 0.1]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def joined(parts: list[tuple[Floats, Ints]]) -> tuple[Floats, Ints]:
    starts = np.cumsum([0, *[len(points) for points, _ in parts]])
    faces = [part + start for (_, part), start in zip(parts, starts, strict=False)]
    return np.concatenate([points for points, _ in parts]), np.concatenate(faces)


def placed(turn: int, shift: tuple[float, float, float]) -> tuple[Floats, Ints]:
    return WEDGE @ TURNS[turn].T + np.array(shift), FACES[:, ::-1] if MIRRORED[turn] else FACES


@pytest.mark.parametrize("turn", [0, 1, 13, 33, 47])
def test_a_turned_part_is_found_where_it_stands(turn: int) -> None:
    found = find_repeats(*joined([placed(0, (0, 0, 0)), placed(turn, (0.5, -0.6, 0.2))]))
    assert len(found.faces) == 4
    assert found.share == pytest.approx(0.5)
    ((placement,),) = found.placements.values()
    assert placement.turn == turn
    assert placement.shift == pytest.approx((0.5, -0.6, 0.2))


def test_parts_of_other_sizes_or_shapes_stay() -> None:
    longer = WEDGE * [1.1, 1, 1], FACES
    opened = placed(0, (0.9, 0, 0))[0], FACES[:3]
    found = find_repeats(*joined([placed(0, (0, 0, 0)), (longer[0] - 0.5, FACES), opened]))
    assert len(found.faces) == 11
    assert not found.placements
    assert found.share == 0


def test_boxes_that_are_open_at_different_sides_differ() -> None:
    """Their vertices are in the same places, and as many: the faces tell that one has to be turned."""
    box = trimesh.creation.box((0.2, 0.2, 0.2))
    points, faces = np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int64)
    heights = np.asarray(box.face_normals)
    top, side = faces[heights[:, 2] < 0.5], faces[heights[:, 0] < 0.5]
    found = find_repeats(*joined([(points, top), (points + 0.5, side)]))
    for placements in found.placements.values():
        for placement in placements:
            turned = TURNS[placement.turn] @ np.array([0, 0, 1])
            assert turned.tolist() == [1, 0, 0]
    again = find_repeats(*joined([(points, top), (points + 0.5, top)]))
    assert [placement.turn for (placement,) in again.placements.values()] == [0]


def test_very_many_parts_are_looked_at_in_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    cloud = joined([(rng.uniform(0, 0.3, (4, 3)) + rng.uniform(-1, 0.7, 3), FACES) for _ in range(60)])
    pair = joined([cloud, placed(0, (0, 0, 0)), placed(0, (0.5, 0, 0))])
    assert len(find_repeats(*pair).placements) == 1
    monkeypatch.setattr("meshcodec.modes.mesh.repeats.MOST_PARTS", 61)
    assert not find_repeats(*pair).placements
    monkeypatch.setattr("meshcodec.modes.mesh.repeats.MOST_PARTS", 62)
    monkeypatch.setattr("meshcodec.modes.mesh.repeats.MOST_WORK", 5000)
    assert not find_repeats(*pair).placements


@pytest.mark.slow
@pytest.mark.parametrize(("effort", "size"), [(9, 100), (9, 14_000)])
def test_bits_that_no_payload_has_with_copies_are_not_tried(effort: int, size: int) -> None:
    """A search that begins at 6 or 10 bits looks at two fewer, or more, at the highest effort."""
    parts = [placed(0, (0.35 * x, 0.25 * y, 0.15 * z)) for x in range(3) for y in range(3) for z in range(3)]
    settings = MeshSettings(samples=500, fit=few(300))
    original = original_of(joined(parts), 1000)
    search = MeshSearch(original, size, random_mesh_coder(1), effort, settings)
    assert payload_head(search.best().mesh)
    tried = {(one.recipe.repeated, one.recipe.bits) for one in search.tried}
    assert {repeated for repeated, _ in tried} == {False, True}
    assert all(bits in depths(repeated) for repeated, bits in tried)


def keyboard() -> tuple[Floats, Ints]:
    """A plate and 40 keys, of which two are of another shape."""
    key = trimesh.creation.icosphere(2, 0.42)
    points, faces = np.asarray(key.vertices), np.asarray(key.faces, dtype=np.int64)
    keys = [(points + np.array([x, y, 0.7]), faces) for x in range(10) for y in range(4)]
    keys[7] = (points * [1, 1, 1.3] + [1, 3, 0.7], faces)
    keys[20] = (points * [1, 0.7, 1] + [5, 0, 0.7], faces)
    plate = trimesh.creation.box((10.5, 4.5, 0.2))
    plate.apply_translation([4.5, 1.5, 0])
    return joined([*keys, (np.asarray(plate.vertices), np.asarray(plate.faces, dtype=np.int64))])


@pytest.mark.slow
def test_a_keyboard_is_coded_with_one_key() -> None:
    mesh = keyboard()
    found = encode_grid_mesh(mesh, 500, random_mesh_coder(1), 1)
    assert found.recipe.repeated
    # Of symmetric halves or quarters fewer keys are left to be copied.
    assert len(found.mesh.copies) >= 6
    decoded = decoded_surface(found.mesh, found.grid)
    assert is_closed(decoded)
    assert score(mesh, decoded, samples=4000).f[1] > 0.85


@pytest.mark.slow
def test_copies_that_are_too_many_are_left_out() -> None:
    """Each takes a byte or two: those of a cloud of splinters alone are more than there is room for."""
    rng = np.random.default_rng(2)
    splinter = 0.2 * WEDGE
    cloud = [(splinter + rng.uniform(-1, 1, 3), FACES) for _ in range(400)]
    ball = trimesh.creation.icosphere(3, 0.6)
    mesh = joined(
        [*cloud, (np.asarray(ball.vertices) * [1, 0.8, 1.2], np.asarray(ball.faces, dtype=np.int64))]
    )
    assert find_repeats(*mesh).share > 0.1
    few_of_them = encode_grid_mesh(mesh, 300, random_mesh_coder(1), 0, MeshSettings(copied=0.06))
    assert len(few_of_them.mesh.copies) == 18
    found = encode_grid_mesh(mesh, 300, random_mesh_coder(1), 0, MeshSettings(copied=9.0))
    assert not found.recipe.repeated
    assert found.payload is not None
    assert 200 < len(found.payload) <= 300
    assert len(found.mesh.faces) > 20


@pytest.mark.slow
def test_parts_that_stand_in_each_other_are_copied() -> None:
    """Which part of the original a coarse part was made of is known, not told by what lies near."""
    rod = trimesh.creation.box((0.1, 0.1, 1.6)).subdivide()
    rod.apply_translation([0.37, 0.11, 0.0])
    points, faces = np.asarray(rod.vertices), np.asarray(rod.faces, dtype=np.int64)
    rods = [(points @ TURNS[turn].T, faces[:, ::-1] if MIRRORED[turn] else faces) for turn in range(0, 48, 4)]
    ball = trimesh.creation.icosphere(3, 0.5)
    whole = np.asarray(ball.vertices) * [1, 0.9, 0.8] + 0.05, np.asarray(ball.faces, dtype=np.int64)
    mesh = joined([*rods, whole])
    settings = MeshSettings(samples=500, fit=few(300))
    original = original_of(mesh, 5000, (False, False, False))
    search = MeshSearch(original, 400, random_mesh_coder(1), 0, settings)
    search.best()
    placements = find_repeats(original.vertices, original.faces).placements.values()
    repeated = [one for one in search.tried if one.recipe.repeated]
    assert repeated
    assert all(len(one.mesh.copies) == sum(map(len, placements)) for one in repeated)


@pytest.mark.slow
def test_of_many_copies_those_of_the_largest_parts_are_kept() -> None:
    rng = np.random.default_rng(3)
    many = [(0.7 * WEDGE + rng.uniform(-1, 1, 3), FACES) for _ in range(20)]
    large = [(WEDGE + np.array([0.7 * x - 0.9, 0.9, 0.9]), FACES) for x in range(3)]
    ball = trimesh.creation.icosphere(2, 0.6)
    middle = np.asarray(ball.vertices) * [1, 0.8, 1.2], np.asarray(ball.faces, dtype=np.int64)
    settings = MeshSettings(samples=500, fit=few(300), copied=0.02)
    original = original_of(joined([*many, *large, middle]), 5000)
    search = MeshSearch(original, 400, random_mesh_coder(1), 0, settings)
    search.best()
    copies = max((one.mesh.copies for one in search.tried), key=len)
    assert len(copies) == 8
    assert 2 in Counter(copy.vertex for copy in copies).values()
