"""``python -m meshcodec.demo``: names, the table, the files and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh

from meshcodec import demo
from meshcodec.geometry.io import load_mesh


def ball(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.icosphere(2).export(path)


def test_names_are_as_short_as_tells_them_apart(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("ball.obj", "deep/ball.obj", "deep/ball.ply", "deep/other.ply")]
    assert demo.names_of(tmp_path, paths) == ["ball.obj", "deep_ball.obj", "ball.ply", "other"]


@pytest.mark.slow
def test_meshes_at_any_depth_go_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    for name in ("deep/ball.ply", ".hidden.obj"):
        ball(tmp_path / "in" / name)
    out = tmp_path / "out"
    words = [str(tmp_path / "in"), "-o", str(out), "--sizes", "64", "--effort", "0", "--device", "cpu"]
    assert demo.main(words) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["mesh", "size", "bytes", "F@0.02", "F@0.01"]
    assert [line.split()[0] for line in lines[:-1]] == ["ball", "mean"]
    assert int(lines[0].split()[2]) == (out / "ball.64.vat").stat().st_size <= 64
    assert load_mesh(out / "ball.64.obj").is_watertight
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_meshes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "holds no mesh" in capsys.readouterr().err
