from __future__ import annotations

import numpy as np
import pytest
import trimesh
from support.surfaces import house, with_reversed

from meshcodec import metrics
from meshcodec.config import TAUS
from meshcodec.errors import BadMeshError
from meshcodec.geometry.triangles import MeshLike

N = 10_000


def sphere(radius: float = 1.0, at: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    mesh.apply_translation(at)
    return mesh


def joined(parts: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = [np.asarray(part.faces) + start for part, start in zip(parts, starts, strict=True)]
    return trimesh.Trimesh(np.vstack([part.vertices for part in parts]), np.vstack(faces), process=False)


def bowl_of(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    below = np.asarray(mesh.triangles_center)[:, 2] < 0
    return trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[below], process=False)


@pytest.mark.slow
def test_a_mesh_against_itself_is_perfect() -> None:
    got = metrics.score(sphere(), sphere(), samples=N)
    assert got.f == got.f_exterior == (1.0, 1.0, 1.0)
    assert got.max < 1e-6
    assert got.normal_consistency == pytest.approx(1.0, abs=1e-3)
    assert got.volume_iou == 1.0
    assert got.components == got.components_reference == 1


@pytest.mark.slow
def test_few_samples_still_measure_to_the_surface() -> None:
    # 500 nearest samples on a unit sphere are about 0.08 apart: point to point would be near 0.
    got = metrics.score(sphere(), sphere(), samples=500)
    assert got.at(0.005) == 1.0
    assert got.f_points is not None
    assert got.f_points[2] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("grown", [0.007, -0.007])
def test_a_concentric_sphere_is_everywhere_the_same_distance_away(grown: float) -> None:
    got = metrics.score(sphere(), sphere(1 + grown), samples=N)
    assert got.f == (1.0, 1.0, 0.0)
    assert got.chamfer == pytest.approx(0.007, abs=2e-4)
    assert got.p95 == pytest.approx(0.007, abs=3e-4)
    assert got.max == pytest.approx(0.007, abs=5e-4)
    small, large = sorted([1.0, 1 + grown])
    assert got.volume_iou == pytest.approx((small / large) ** 3, abs=0.005)


@pytest.mark.slow
def test_a_shifted_sphere_has_the_known_share_near_the_other() -> None:
    # At angle t to the shift s a point is |s cos t| from the other sphere (first order); cos t is uniform.
    shift = 0.04
    got = metrics.score(sphere(), sphere(at=(shift, 0, 0)), samples=100_000, exterior=False, points=False)
    for tau, f in zip(TAUS, got.f, strict=True):
        assert f == pytest.approx(tau / shift, abs=0.015)
    assert got.chamfer == pytest.approx(shift / 2, abs=4e-4)
    assert got.max == pytest.approx(shift, abs=1e-3)
    assert got.p95 == pytest.approx(0.95 * shift, abs=1e-3)


@pytest.mark.slow
def test_the_frame_is_the_references() -> None:
    # At scale 10 a distance of 0.07 is 0.007 of the half-extent; in the decoded mesh's own frame it were 0.
    place = (300.0, -20.0, 5.0)
    got = metrics.score(sphere(10, place), sphere(10.07, place), samples=N)
    assert got.f == (1.0, 1.0, 0.0)
    assert got.chamfer == pytest.approx(0.007, abs=2e-4)


def test_the_frame_is_the_half_extent_of_the_longest_side_not_the_diagonal() -> None:
    box = trimesh.creation.box(extents=(8, 2, 2))
    # The half-extent is 4: the two 8 x 2 faces in z are 0.036 / 4 = 0.009 away, the others stay in plane.
    slab = trimesh.creation.box(extents=(8, 2, 2 + 2 * 0.036))
    got = metrics.score(box, slab, samples=N, exterior=False, points=False)
    assert got.max == pytest.approx(0.009, abs=1e-6)
    # Of the area 4 * 16 + 2 * 4 all is within 0.005 but those two faces, save their rims.
    assert got.recall[1] == 1.0
    assert got.recall[2] == pytest.approx(1 - 2 * 16 / 72, abs=0.025)


def test_unused_vertices_move_nothing() -> None:
    mesh = sphere()
    vertices = np.vstack([mesh.vertices, [[100.0, 0, 0]]])
    assert metrics.fscore((vertices, mesh.faces), sphere(1.007), samples=N) == (1.0, 1.0, 0.0)


@pytest.mark.slow
def test_precision_is_of_the_decoded_and_recall_of_the_reference() -> None:
    both = joined([sphere(0.5, (-0.5, 0, 0)), sphere(0.5, (0.6, 0, 0))])
    half = sphere(0.5, (-0.5, 0, 0))
    missing = metrics.score(both, half, samples=N)
    assert missing.precision[1] == 1.0
    assert missing.recall[1] == pytest.approx(0.5, abs=0.02)
    assert missing.at(0.01) == pytest.approx(2 / 3, abs=0.02)
    assert (missing.components, missing.components_reference) == (1, 2)
    extra = metrics.score(half, both, samples=N)
    assert extra.precision[1] == pytest.approx(0.5, abs=0.02)
    assert extra.recall[1] == 1.0


@pytest.mark.slow
def test_symmetry() -> None:
    a = trimesh.creation.box(extents=(2, 2, 2))
    b = sphere(1.0)  # the same box, so the same frame
    forth = metrics.score(a, b, samples=100_000, exterior=False)
    back = metrics.score(b, a, samples=100_000, exterior=False)
    assert forth.chamfer == pytest.approx(back.chamfer, rel=0.01)
    assert forth.precision[0] == pytest.approx(back.recall[0], abs=0.005)
    assert forth.recall[0] == pytest.approx(back.precision[0], abs=0.005)
    assert forth.precision[0] != pytest.approx(forth.recall[0], abs=0.02)
    assert forth.volume_iou == pytest.approx(np.pi / 6, abs=0.01)
    assert back.volume_iou == pytest.approx(np.pi / 6, abs=0.01)


def test_monotone_in_tau() -> None:
    taus = np.linspace(0.001, 0.2, 12).tolist()
    got = metrics.fscore(trimesh.creation.box(extents=(2, 2, 2)), sphere(1.05), taus, samples=2_000)
    assert list(got) == sorted(got)
    assert got[0] < got[-1]


@pytest.mark.slow
def test_fscore_is_the_f_of_score() -> None:
    got = metrics.score(
        sphere(), sphere(at=(0.03, 0, 0)), samples=2_000, seed=3, exterior=False, points=False
    )
    quick = metrics.fscore(sphere(), sphere(at=(0.03, 0, 0)), samples=2_000, seed=3)
    assert quick == got.f
    assert quick != metrics.fscore(sphere(), sphere(at=(0.03, 0, 0)), samples=2_000, seed=4)


@pytest.mark.parametrize(
    "decoded",
    [
        None,
        trimesh.Trimesh(),
        (np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)),
        (np.eye(3)[[0, 0, 1]], np.array([[0, 1, 2]])),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]])),
    ],
    ids=["none", "no-trimesh", "no-arrays", "no-area", "nan"],
)
def test_nothing_scores_zero(decoded: MeshLike | None) -> None:
    got = metrics.score(sphere(), decoded, samples=100)
    values = got.to_dict()
    assert [values[k] for k in values if k.startswith(("f_", "precision", "recall"))] == [0.0] * 15
    assert got.chamfer == got.p95 == got.max == float("inf")
    assert (got.volume_iou, got.components, got.normal_consistency) == (0.0, 0, 0.0)
    assert metrics.fscore(sphere(), decoded, samples=100) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "reference",
    [
        trimesh.Trimesh(),
        (np.eye(3)[[0, 0, 1]], np.array([[0, 1, 2]])),
        (np.full((3, 3), np.inf), [[0, 1, 2]]),
    ],
    ids=["empty", "no-area", "inf"],
)
def test_a_reference_without_a_surface_is_refused(reference: MeshLike) -> None:
    with pytest.raises(BadMeshError):
        metrics.score(reference, sphere(), samples=100)


@pytest.mark.slow
def test_hidden_parts_count_in_the_headline_and_not_in_the_exterior() -> None:
    shell, core = sphere(1.0), sphere(0.5)
    nested = joined([shell, core])
    got = metrics.score(nested, shell, samples=N)
    assert got.recall[0] == pytest.approx(0.8, abs=0.02)  # areas 1 and 1/4
    assert got.f_exterior is not None
    assert got.f_exterior[0] == 1.0


def test_both_sides_of_an_open_sheet_are_exterior() -> None:
    # The bowl opens towards +z only: half of the directions are free on its inside, and its outside is free.
    bowl = bowl_of(sphere())
    assert metrics.Reference(bowl, samples=2_000).exterior.all()
    flipped = bowl.copy()
    flipped.invert()
    assert metrics.Reference(flipped, samples=2_000).exterior.all()
    inside_out = sphere()
    inside_out.invert()
    assert metrics.Reference(inside_out, samples=2_000).exterior.all()


@pytest.mark.slow
def test_volume_needs_a_closed_reference_and_ignores_orientation() -> None:
    open_ball = bowl_of(sphere())
    assert metrics.score(open_ball, sphere(), samples=500).volume_iou is None
    flipped = sphere()
    flipped.invert()
    got = metrics.score(flipped, sphere(), samples=2_000)
    assert got.volume_iou == 1.0
    assert got.normal_consistency == pytest.approx(1.0, abs=1e-2)


def test_volume_is_that_of_a_solid_however_its_faces_are_drawn() -> None:
    vertices, faces = house()
    drawn = with_reversed(faces, [0, 3, 4, 10, 11, 15])
    for reference, decoded in (
        ((vertices, drawn), (vertices, faces)),
        ((vertices, faces), (vertices, drawn)),
    ):
        got = metrics.score(reference, decoded, samples=N, exterior=False, points=False)
        assert got.volume_iou == 1.0


FAR_LINE = np.array([[0.1, 0.2, 0.3], [33.35, 66.7, 100.15], [66.6, 133.2, 200.0]], dtype=np.float32)


def test_a_far_face_without_area_changes_no_score() -> None:
    mesh, other = trimesh.creation.box((2, 3, 4)), trimesh.creation.icosphere(subdivisions=3, radius=1.5)
    expected = metrics.score(mesh, other, samples=N)
    assert expected.volume_iou is not None
    for far in (FAR_LINE, np.full((3, 3), 50.0)):
        facet = trimesh.Trimesh(far, [[0, 1, 2]], process=False)
        assert metrics.score(joined([mesh, facet]), other, samples=N) == expected
        assert metrics.score(mesh, joined([other, facet]), samples=N) == expected


def test_closed_is_judged_after_merging_identical_vertices() -> None:
    box = trimesh.creation.box()
    soup = (box.triangles.reshape(-1, 3), np.arange(3 * len(box.faces)).reshape(-1, 3))
    assert metrics.is_closed(soup)
    assert not metrics.is_closed((soup[0], soup[1][1:]))
    assert not metrics.is_closed(trimesh.Trimesh())
    assert metrics.score(soup, soup, samples=500).components == 1


def test_normals_of_perpendicular_planes() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    upright = square[:, [0, 2, 1]]
    assert metrics.score((square, faces), (upright, faces), samples=500).normal_consistency == pytest.approx(
        0.0
    )


def test_sampling_is_even_by_area_and_within_triangles() -> None:
    # Two triangles with areas 1 : 3; the centroid of even samples in a triangle is the triangle's own.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 1, 0]], dtype=float)
    surface = metrics.Surface(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    points, normals = surface.sample(40_000, np.random.default_rng(0))
    large = points[:, 0] > 2
    assert large.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(points[large].mean(axis=0), vertices[3:].mean(axis=0), atol=0.02)
    np.testing.assert_allclose(points[~large].mean(axis=0), vertices[:3].mean(axis=0), atol=0.02)
    assert (points[~large][:, :2].sum(axis=1) <= 1).all()
    np.testing.assert_array_equal(normals, np.tile([0.0, 0.0, 1.0], (len(points), 1)))


@pytest.mark.slow
def test_the_flat_names_of_scores_and_back() -> None:
    got = metrics.score(sphere(), sphere(1.007), samples=500)
    flat = got.to_dict()
    shares = [f"{kind}_{tau}" for kind in ("f", "precision", "recall") for tau in ("002", "001", "0005")]
    others = [
        "chamfer",
        "p95",
        "max",
        "normal_consistency",
        "volume_iou",
        "components",
        "components_reference",
    ]
    beside = [f"{kind}_{tau}" for kind in ("f_exterior", "f_points") for tau in ("002", "001", "0005")]
    assert list(flat) == [*shares, *others, *beside]
    assert (flat["f_001"], flat["recall_0005"], flat["max"]) == (got.at(0.01), got.recall[2], got.max)
    assert metrics.Scores.from_dict(flat) == got
    short = metrics.score(sphere(), sphere(1.007), samples=500, exterior=False, points=False)
    assert (short.to_dict()["f_exterior_002"], short.f_exterior, short.f_points) == (None, None, None)
    assert metrics.Scores.from_dict(short.to_dict()) == short
    assert metrics.by_tau(got.f) == {"0.02": 1.0, "0.01": 1.0, "0.005": 0.0}
    with pytest.raises(ValueError, match="not in tuple"):
        got.at(0.03)


@pytest.mark.slow
def test_a_quick_reference_says_nearly_the_same() -> None:
    """And the same where there are few faces."""
    fine, few = sphere(), trimesh.creation.icosphere(subdivisions=3)
    assert len(fine.faces) > metrics.QUICK_FACES > len(few.faces)
    moved = sphere(at=(0.006, 0, 0))
    for mesh, off in ((fine, 0.01), (few, 0.0)):
        exact, quick = (
            metrics.Reference(mesh, samples=N, quick=quick).score(moved, exterior=False, points=False)
            for quick in (False, True)
        )
        assert quick.precision == pytest.approx(exact.precision, abs=off)
        assert quick.recall == exact.recall
        assert quick.normal_consistency == pytest.approx(exact.normal_consistency, abs=off)
