"""Pictures as conditions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from meshcodec.errors import BadMeshError
from meshcodec.prior.views import picture_view, shaded_view, silhouette


def test_a_ball_seen_from_anywhere_is_a_centred_disc() -> None:
    ball = trimesh.creation.icosphere(4)
    for azimuth, elevation, up in ((0, 0, "y"), (130, 40, "z")):
        view = shaded_view(ball.vertices + 7, ball.faces, azimuth, elevation, up, 64)
        assert view.dtype == np.float32
        disc = silhouette(view) > 0
        ys, xs = np.nonzero(disc)
        assert abs(ys.mean() - 31.5) < 0.5
        assert abs(xs.mean() - 31.5) < 0.5
        assert disc.mean() == pytest.approx(np.pi / 4 * 0.9**2, abs=0.03)
        assert set(np.unique(silhouette(view))) == {np.float32(0), np.float32(0.8)}


def test_a_mesh_that_cannot_be_seen_is_an_empty_view() -> None:
    assert not shaded_view(np.zeros((3, 3)), np.array([[0, 1, 2]]), 0, 0, "y", 32).any()


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
def test_a_picture_is_cut_out_of_its_background(tmp_path: Path, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((90, 120, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = 250, 0 if mode == "RGBA" else 255
    pixels[20:80, 70:100] = (60, 60, 60, 255)  # twice as high as wide
    image.fromarray(pixels, "RGBA").convert(mode).save(tmp_path / "p.png")
    view = picture_view(tmp_path / "p.png", 64)
    rows, columns = (np.flatnonzero((view > 0.1).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (58, 29)
    assert abs(rows.mean() - 31.5) <= 0.5
    assert abs(columns.mean() - 31.5) <= 0.5
    assert view[32, 32] == pytest.approx(60 / 255, abs=0.01)


def test_pictures_of_nothing_are_refused(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (50, 50), (10, 20, 30)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(BadMeshError, match="stands out"):
        picture_view(tmp_path / "plain.png", 64)
    for name in ("text.png", "missing.png"):
        with pytest.raises(BadMeshError, match="not a picture"):
            picture_view(tmp_path / name, 64)
