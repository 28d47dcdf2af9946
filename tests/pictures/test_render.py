from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from meshcodec.errors import UsageError
from meshcodec.pictures import render
from meshcodec.pictures.render import distance_colors, render_mesh
from meshcodec.pictures.sheets import comparison_sheet, contact_sheet, save_png

BALL = trimesh.creation.icosphere(subdivisions=4)
GREEN = (0, 255, 0)


def ink(image: render.Image, background: tuple[int, int, int] = (255, 255, 255)) -> Any:
    return (image != np.array(background, dtype=np.uint8)).any(axis=-1)


def middle_of(mask: Any) -> Any:
    return np.argwhere(mask).mean(axis=0)


def test_a_sphere_covers_its_disc() -> None:
    size = 200
    image = render_mesh(BALL.vertices, BALL.faces, size=size, center=(0, 0, 0), radius=1.0, background=GREEN)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    radius = size / 2 / 1.04
    covered = 1 - (image == np.array(GREEN)).all(axis=-1).mean()
    # Pixels that are touched at all: the disc and half a pixel around it.
    assert covered * size**2 == pytest.approx(np.pi * (radius + 0.5) ** 2, rel=0.02)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    assert not ink(image, GREEN)[np.hypot(x, y) > radius + 2].any()
    assert ink(image, GREEN)[np.hypot(x, y) < radius - 2].all()


def test_the_same_picture_comes_twice() -> None:
    one, other = (render_mesh(BALL.vertices, BALL.faces, size=64) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("lines", [True, False])
def test_winding_does_not_matter(lines: bool) -> None:
    one = render_mesh(BALL.vertices, BALL.faces, size=64, lines=lines)
    other = render_mesh(BALL.vertices, BALL.faces[:, ::-1], size=64, lines=lines)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("at", "azimuth", "elevation", "up", "row", "column"),
    [
        ((0.5, 0, 0), 0, 0, "y", 0, 1),
        ((0, 0.5, 0), 0, 0, "y", -1, 0),
        ((0, 0, 0.5), 0, 0, "y", 0, 0),
        ((0, 0, 0.5), 90, 0, "y", 0, -1),
        ((0, 0, 0.5), 0, 90, "y", 1, 0),
        ((0, 0, 0.5), 0, 0, "z", -1, 0),
        ((0.5, 0, 0), 0, 0, "z", 0, 1),
        ((0, 0.5, 0), 90, 0, "z", 0, 1),
        ((0, 0.5, 0), 0, 90, "z", -1, 0),
    ],
)
def test_the_camera_stands_where_it_is_told(
    at: tuple[float, float, float], azimuth: float, elevation: float, up: str, row: int, column: int
) -> None:
    size = 100
    image = render_mesh(
        BALL.vertices * 0.1 + at,
        BALL.faces,
        size=size,
        azimuth=azimuth,
        elevation=elevation,
        up=up,
        center=(0, 0, 0),
        radius=1.0,
    )
    step = 0.5 * size / 2 / 1.04
    expected = [(size - 1) / 2 + row * step, (size - 1) / 2 + column * step]
    np.testing.assert_allclose(middle_of(ink(image)), expected, atol=0.6)


def test_the_frame_is_that_of_the_caller() -> None:
    small = render_mesh(BALL.vertices * 0.5, BALL.faces, size=100, center=(0, 0, 0), radius=1.0)
    large = render_mesh(BALL.vertices, BALL.faces, size=100, center=(0, 0, 0), radius=1.0)
    assert ink(small).sum() == pytest.approx(ink(large).sum() / 4, rel=0.1)
    own = render_mesh(BALL.vertices * 0.5 + 7, BALL.faces, size=100)
    np.testing.assert_array_equal(ink(own), ink(large))


def test_what_is_in_front_hides_what_is_behind() -> None:
    vertices = np.concatenate([BALL.vertices, BALL.vertices + np.array([0, 0, 5])])
    faces = np.concatenate([BALL.faces, BALL.faces + len(BALL.vertices)])
    paint = np.repeat(np.array([[255, 0, 0], [0, 0, 255]], dtype=np.uint8), len(BALL.faces), axis=0)
    for azimuth, channel in [(0.0, 2), (180.0, 0)]:
        image = render_mesh(
            vertices,
            faces,
            size=40,
            azimuth=azimuth,
            elevation=0,
            face_or_vertex_colors=paint,
            center=(0, 0, 0),
            radius=1.2,
        )
        assert image[20, 20].argmax() == channel
        assert image[20, 20].min() == 0


def test_vertex_colors_lie_at_their_vertices() -> None:
    vertices = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    image = render_mesh(
        vertices, [[0, 1, 2]], size=100, azimuth=0, elevation=0, face_or_vertex_colors=np.eye(3), lines=False
    )
    mask = ink(image)
    rows, columns = np.nonzero(mask)
    assert image[rows.min() + 6, (columns.min() + columns.max()) // 2].argmax() == 2
    assert image[rows.max() - 2, columns.min() + 6].argmax() == 0
    assert image[rows.max() - 2, columns.max() - 6].argmax() == 1


def test_lines_show_edges_inside_the_outline() -> None:
    box = trimesh.creation.box()
    plain, drawn = (render_mesh(box.vertices, box.faces, size=100, lines=x) for x in (False, True))
    np.testing.assert_array_equal(ink(plain), ink(drawn))
    darker = drawn.sum(axis=-1).astype(int) < plain.sum(axis=-1)
    assert 0.02 < darker.sum() / ink(plain).sum() < 0.2
    assert not (drawn > plain).any()


def test_nothing_is_background() -> None:
    image = render_mesh(np.empty((0, 3)), np.empty((0, 3), dtype=int), size=8, background=GREEN)
    assert (image == np.array(GREEN)).all()


def test_vertices_that_are_not_finite_or_not_used_do_no_harm() -> None:
    bad = np.concatenate([BALL.vertices, [[np.nan, 0, 0], [1e30, 1e30, 1e30]]])
    faces = np.concatenate([[[0, 1, len(BALL.vertices)]], BALL.faces])
    np.testing.assert_array_equal(
        render_mesh(bad, faces, size=50), render_mesh(BALL.vertices, BALL.faces, size=50)
    )


def test_bad_arguments_are_refused() -> None:
    v, f = np.asarray(BALL.vertices), np.asarray(BALL.faces)
    with pytest.raises(ValueError, match="shape"):
        render_mesh(v[:, :2], f)
    for wrong in (f + 1, f - 1, f.astype(float)):
        with pytest.raises(ValueError, match="faces must be"):
            render_mesh(v, wrong)
    with pytest.raises(ValueError, match="colors for"):
        render_mesh(v, f, face_or_vertex_colors=np.zeros((7, 3)))
    with pytest.raises(ValueError, match="colors must"):
        render_mesh(v, f, face_or_vertex_colors=np.zeros(len(v)))
    with pytest.raises(ValueError, match="radius"):
        render_mesh(v, f, radius=0.0)
    with pytest.raises(ValueError, match="size"):
        render_mesh(v, f, size=0)
    with pytest.raises(ValueError, match="up"):
        render_mesh(v, f, up="x")


def test_distances_go_from_violet_to_yellow() -> None:
    colors = distance_colors([0.0, 0.5, 1.0, 9.0, np.nan, -1.0], 1.0)
    assert colors.dtype == np.uint8
    expected = [[68, 1, 84], [33, 144, 141], [253, 231, 37], [253, 231, 37], [128] * 3, [68, 1, 84]]
    np.testing.assert_array_equal(colors, expected)
    brightness = distance_colors(np.linspace(0, 1, 50), 1.0) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > 0).all()
    with pytest.raises(ValueError, match="maximum"):
        distance_colors([1.0], 0.0)


def test_a_contact_sheet_holds_every_picture_unchanged() -> None:
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    pictures = [[rng.integers(0, 200, (40, 50, 3), dtype=np.uint8) for _ in range(2)] for _ in range(2)]
    rows: list[list[render.Image | None]] = [list(pictures[0]), [pictures[1][0], None]]
    bare = contact_sheet(rows, gap=5)
    assert bare.shape[1] == 2 * 50 + 3 * 5
    np.testing.assert_array_equal(bare[5:45, 5:55], pictures[0][0])
    np.testing.assert_array_equal(bare[5:45, 60:110], pictures[0][1])
    np.testing.assert_array_equal(bare[50:90, 5:55], pictures[1][0])
    assert not ink(bare[50:90, 60:110]).any()
    texts = contact_sheet(rows, gap=5, headers=["a", "b"], captions=["one", "two"], notes=[["x", "y"], ["z"]])
    assert texts.shape[0] > bare.shape[0] + 5 * 15
    assert ink(texts).sum() > ink(bare).sum()
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([[None]])
    with pytest.raises(ValueError, match="3 headers for 2"):
        contact_sheet(rows, headers=["a", "b", "c"])


def test_a_comparison_uses_the_frame_of_the_original() -> None:
    pytest.importorskip("PIL")
    half = BALL.copy()
    half.apply_scale(0.5)
    sheet = comparison_sheet([("", [BALL, half, None])], size=60)
    counts = [ink(sheet[:, 6 + i * 66 : 66 + i * 66]).sum() for i in range(3)]
    assert counts[1] == pytest.approx(counts[0] / 4, rel=0.1)
    assert counts[2] == 0


def test_a_picture_is_written_and_read_back(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    image = render_mesh(BALL.vertices, BALL.faces, size=30)
    save_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(np.asarray(pil.open(tmp_path / "a.png")), image)
    with pytest.raises(UsageError, match="cannot be written"):
        save_png(tmp_path / "none" / "a.png", image)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"meshcodec\[report\]"):
        save_png("a.png", np.zeros((1, 1, 3), dtype=np.uint8))
