"""Parts that are there more than once are found, coded once, and stand where they stood."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from support.meshes import random_mesh_coder

from meshcodec.format.grid_copies import MIRRORED, TURNS
from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import is_closed, score
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.encode import encode_grid_mesh
from meshcodec.modes.mesh.repeats import find_repeats

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
    found = encode_grid_mesh(mesh, 300, random_mesh_coder(1), 0)
    assert not found.recipe.repeated
    assert found.payload is not None
    assert 200 < len(found.payload) <= 300
    assert len(found.mesh.faces) > 20
