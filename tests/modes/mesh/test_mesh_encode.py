"""The search for the mesh that says most in a number of bytes."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.fitting import few

from meshcodec.errors import DoesNotFitError
from meshcodec.format.grid_mesh import FLAT, SMOOTH, GridMesh, Integers
from meshcodec.geometry.triangles import Floats, Ints
from meshcodec.metrics import is_closed, score
from meshcodec.modes.mesh.decode import decoded_surface
from meshcodec.modes.mesh.encode import Candidate, MeshSearch, encode_grid_mesh
from meshcodec.modes.mesh.make import Recipe, Work
from meshcodec.modes.mesh.original import original_of
from meshcodec.modes.mesh.settings import MeshEffort, MeshSettings

QUICK = MeshSettings(samples=2000, fit=few(1500))


class Deflate:
    """A coder without a model: coordinates and indices, deflated."""

    def encode(self, mesh: GridMesh, sides: Integers) -> bytes:
        assert (mesh.positions <= sides).all()
        copies = np.array([(copy.vertex, copy.turn, *copy.low) for copy in mesh.copies], dtype=np.uint16)
        arrays = mesh.positions.astype(np.uint16), mesh.faces.astype(np.uint16), copies
        return zlib.compress(b"".join(array.tobytes() for array in arrays), 9)


def encode(mesh: tuple[Floats, Ints], size: int, effort: int = 0, **changes: object) -> Candidate:
    settings = replace(QUICK, **changes)  # type: ignore[arg-type]
    return encode_grid_mesh(mesh, size, Deflate(), effort, settings)


def rotation() -> Floats:
    matrix = trimesh.transformations.random_rotation_matrix(np.array([0.1, 0.5, 0.3]))
    return np.asarray(matrix[:3, :3])


def egg() -> tuple[Floats, Ints]:
    """Symmetric to no middle plane."""
    ball = trimesh.creation.icosphere(4)
    v = np.asarray(ball.vertices)
    bumps = 1 + 0.2 * v[:, 0] * v[:, 1] + 0.15 * v[:, 2] ** 3 + 0.1 * v[:, 0]
    return v * bumps[:, None] @ rotation() + 7, np.asarray(ball.faces, dtype=np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("size", [200, 700])
def test_the_payload_fits_and_the_mesh_is_near(size: int) -> None:
    found = encode(egg(), size)
    assert found.payload is not None
    assert size / 2 < len(found.payload) <= size
    assert found.payload == Deflate().encode(found.mesh, found.grid.sides)
    decoded = decoded_surface(found.mesh, found.grid)
    assert is_closed(decoded)
    assert score(egg(), decoded, samples=2000).f[0] > (0.3 if size == 200 else 0.8)


@pytest.mark.slow
def test_more_bytes_and_more_effort_give_more() -> None:
    qualities = [encode(egg(), size, effort).quality for size, effort in ((300, 0), (900, 0), (900, 4))]
    assert qualities == sorted(qualities)


@pytest.mark.slow
def test_smooth_shapes_become_loop_surfaces() -> None:
    assert encode(egg(), 800, 2).mesh.crease > 0


@pytest.mark.slow
def test_the_same_twice() -> None:
    one, other = (encode(egg(), 400, 2) for _ in range(2))
    assert one.payload == other.payload


@pytest.mark.slow
def test_one_half_of_a_symmetric_mesh_is_coded() -> None:
    ring = trimesh.creation.torus(1.0, 0.4, 48, 24)
    mesh = np.asarray(ring.vertices), np.asarray(ring.faces, dtype=np.int64)
    found = encode(mesh, 500)
    assert found.grid.mirrored == (True, True, True)
    decoded = decoded_surface(found.mesh, found.grid)
    assert is_closed(decoded)
    assert score(mesh, decoded, samples=2000).f[0] > 0.9


def test_open_meshes_stay_open() -> None:
    vertices, faces = egg()
    bowl = vertices, faces[(vertices[faces] @ [1.0, 0.2, 0.1]).mean(axis=1) > 9.0]
    assert len(bowl[1]) > 1000
    found = encode(bowl, 500)
    assert not is_closed(decoded_surface(found.mesh, found.grid))


def test_what_no_face_can_fill_is_filled_with_bits() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0.3, 0.9, 0], [0.4, 0.2, 0.8]]) @ rotation()
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], dtype=np.int64)
    found = encode((corners, faces), 200)
    assert (len(found.mesh.faces), len(found.mesh.positions)) == (4, 4)
    assert found.mesh.bits > QUICK.depth(200)
    assert found.payload == Deflate().encode(found.mesh, found.grid.sides)


@pytest.mark.slow
def test_what_does_not_fit_says_how_much_would() -> None:
    parts = [trimesh.creation.box((0.5,) * 3) for _ in range(60)]
    for k, part in enumerate(parts):
        part.apply_translation([k % 4, k // 4 % 4, k // 16])
    vertices = np.concatenate([np.asarray(part.vertices) for part in parts])
    faces = np.concatenate([np.asarray(part.faces, dtype=np.int64) + 8 * k for k, part in enumerate(parts)])
    mesh = vertices, faces
    with pytest.raises(DoesNotFitError) as caught:
        encode(mesh, 40)
    assert caught.value.exit_code == 4
    assert encode(mesh, caught.value.least).payload is not None
    renamed = caught.value.about("mesh.obj")
    assert isinstance(renamed, DoesNotFitError)
    assert renamed.least == caught.value.least


@pytest.mark.slow
def test_a_mesh_with_very_many_faces_is_decimated_first() -> None:
    found = encode(egg(), 400, most_faces=1000)
    assert score(egg(), decoded_surface(found.mesh, found.grid), samples=2000).f[0] > 0.5


class Listed(MeshSearch):
    """A search that lists the recipes of which it makes candidates."""

    def recipes(self) -> list[Recipe]:
        self.best()
        return [one.recipe for one in self.tried]


def searched(
    mesh: tuple[Floats, Ints], size: int, effort: MeshEffort, settings: MeshSettings = QUICK
) -> list[Recipe]:
    settings = replace(settings, efforts=(effort,))
    return Listed(original_of(mesh, settings.most_faces), size, Deflate(), 0, settings).recipes()


CREASES = (SMOOTH, 3, 5)


@pytest.mark.slow
def test_sharp_meshes_become_no_smooth_surfaces() -> None:
    box = trimesh.creation.box((1.0, 0.8, 0.6)).subdivide_to_size(0.3)
    mesh = np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int64)
    made = [one.crease for one in searched(mesh, 300, MeshEffort(creases=CREASES))]
    assert SMOOTH not in made
    assert {FLAT, 3} <= set(made)


@pytest.mark.slow
@pytest.mark.parametrize(("even", "tried"), [(0.0, {FLAT}), (4.1, {FLAT, *CREASES})])
def test_what_leaves_nothing_to_win_becomes_no_loop_surface(even: float, tried: set[int]) -> None:
    settings = replace(QUICK, even=even, fair_crease=5.0)
    made = searched(egg(), 400, MeshEffort(creases=CREASES), settings)
    assert {one.crease for one in made} <= tried
    assert (SMOOTH in {one.crease for one in made}) == (SMOOTH in tried)


@pytest.mark.slow
def test_a_thorough_effort_tries_all() -> None:
    for thorough in (False, True):
        made = searched(egg(), 700, MeshEffort(creases=CREASES, depths=(-1, 1), thorough=thorough))
        assert SMOOTH in {one.crease for one in made}
        tried = {one.crease for one in made} >= set(CREASES) and len({one.bits for one in made}) == 3
        assert tried == thorough


def test_the_same_mesh_of_two_decimators_is_measured_once() -> None:
    """Of a mesh that has as few faces as fit every decimator makes the mesh itself."""
    ball = trimesh.creation.icosphere(1)
    mesh = np.asarray(ball.vertices) * [1, 0.9, 0.8] @ rotation(), np.asarray(ball.faces, dtype=np.int64)
    first = [one for one in searched(mesh, 900, MeshEffort()) if one.work == Work.QUICK and not one.stepped]
    assert len(first) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("many", "thorough", "fitted"), [(0, False, 1), (10_000, False, 2), (10_000, True, 3)]
)
def test_meshes_are_compared_before_they_are_fitted(many: int, thorough: bool, fitted: int) -> None:
    made = searched(egg(), 400, MeshEffort(thorough=thorough), replace(QUICK, many_faces=many))
    works = [one.work for one in made if not one.stepped]
    plain = works.index(Work.QUICK)
    assert plain >= 3
    assert set(works[:plain]) == {Work.NONE}
    assert works.count(Work.QUICK) == fitted if not thorough else works.count(Work.QUICK) >= fitted
    assert any(one.stepped for one in made)


@pytest.mark.slow
def test_what_leaves_nothing_to_win_is_made_in_no_other_way() -> None:
    effort = MeshEffort(creases=CREASES, depths=(-1, 1))
    made = searched(egg(), 400, effort, replace(QUICK, even=0.0))
    assert not any(one.stepped for one in made)
    assert len({one.bits for one in made}) == 1
    other = searched(egg(), 400, effort, replace(QUICK, even=4.1))
    assert any(one.stepped for one in other)
    assert len({one.bits for one in other}) > 1


@pytest.mark.slow
def test_finalists_fill_the_payload() -> None:
    for size in (300, 500, 800):
        payload = encode(egg(), size, 0).payload
        assert payload is not None
        assert len(payload) > 0.9 * size


class Jumping(Deflate):
    """Messages of a tenth of 500 bytes up to 299 faces, and more than 500 from then on."""

    def encode(self, mesh: GridMesh, sides: Integers) -> bytes:
        return bytes(50 if len(mesh.faces) < 300 else 600)


@pytest.mark.slow
def test_what_leaves_most_of_the_payload_is_coded_again() -> None:
    found = encode_grid_mesh(egg(), 500, Jumping(), 0, QUICK)
    assert 280 < len(found.mesh.faces) < 300
