"""The pictures of a pair of meshes, and the packed meshes of the 3D view."""

from __future__ import annotations

import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from support.report import ball, box, measured

from meshcodec.errors import UsageError
from meshcodec.evaluation.report.pictures import Detail, bisected, in_base64, take_pictures
from meshcodec.evaluation.report.view3d import LIMIT, divided


@pytest.mark.slow
def test_pictures_of_a_pair_stay_in_their_share() -> None:
    for size in (12_000, 40_000):
        shots = take_pictures(ball(5), ball(4), Detail(64, size))
        assert size * 0.5 < sum(in_base64(blob) for blob in vars(shots).values()) <= size


def test_a_share_is_smaller_the_more_meshes_there_are() -> None:
    shares = [Detail.of(count, 15_000_000) for count in (1, 10, 500, 5000)]
    assert [share.size for share in shares] == [400_000, 400_000, 30_000, 3000]
    assert sorted((share.side for share in shares), reverse=True) == [share.side for share in shares]


@pytest.mark.slow
def test_a_view_holds_both_meshes() -> None:
    """Unpacked as the page does it."""
    view = take_pictures(box(), ball(3), Detail(64, 300_000)).view
    data = np.frombuffer(zlib.decompress(view), dtype=np.uint8)
    at, found = 0, []

    def planes(count: int) -> Any:
        nonlocal at
        low, high = data[at : at + count], data[at + count : at + 2 * count]
        at += 2 * count
        return low.astype(np.int64) | high.astype(np.int64) << 8

    while at < len(data):
        vertices, faces = data[at : at + 8].copy().view("<u4").tolist()
        at += 8
        steps = np.stack([planes(vertices) for _ in range(3)], axis=1)
        places = np.cumsum(np.where(steps & 1, -(steps + 1) // 2, steps // 2), axis=0)
        colors = data[at : at + vertices]
        at += vertices
        a = np.cumsum(planes(faces))
        corners = np.stack([a, a + planes(faces), a + planes(faces)], axis=1)
        found.append(((places / 16383 * 2 - 1) * LIMIT, colors, corners))
    (v, _, f), (w, colors, g) = found
    assert trimesh.Trimesh(v, f).volume == pytest.approx(box().volume, rel=0.01)
    assert trimesh.Trimesh(w, g).volume == pytest.approx(ball(3).volume, rel=0.01)
    assert len(colors) == 10242  # the 642 of the ball, and those between them
    assert colors.max() == 255  # the poles of the ball are far from the box
    assert colors.min() < 64


def test_the_middle_of_a_large_face_has_its_own_colour() -> None:
    whole = np.asarray(box().vertices), np.asarray(box().faces)
    for v, f in (bisected(*whole), divided(*whole, 200_000)):
        fine = trimesh.Trimesh(v, f, process=False)
        assert fine.area == pytest.approx(box().area)
        assert fine.edges_unique_length.max() <= 0.04
    assert len(divided(*whole, 200)[1]) == 192


def test_pictures_without_pillow_name_the_remedy(
    monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UsageError, match=re.escape('pip install "meshcodec[report]"')):
        measured(*folders, pictures=True)
