"""``python -m meshcodec.demo``: names, the table, the files and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trimesh
from click.testing import CliRunner, Result

from meshcodec import demo
from meshcodec.format.container import VatFile
from meshcodec.geometry.io import load_mesh
from meshcodec.pictures.sheets import contact_sheet


def ball(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.icosphere(2).export(path)


def test_names_are_as_short_as_tells_them_apart(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("ball.obj", "deep/ball.obj", "deep/ball.ply", "deep/other.ply")]
    assert demo.names_of(tmp_path, paths) == ["ball.obj", "deep_ball.obj", "ball.ply", "other"]


def call(*words: object) -> Result:
    return CliRunner().invoke(demo.main, [str(word) for word in words])


@pytest.mark.slow
def test_meshes_at_any_depth_go_there_and_back(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    for name in ("deep/ball.ply", ".hidden.obj"):
        ball(tmp_path / "in" / name)
    bad = tmp_path / "in" / "bad.obj"
    bad.write_text("nothing")
    out = tmp_path / "out"
    options = ("--sizes", "64,1K", "--effort", 0, "--device", "cpu")
    result = call(tmp_path / "in", "-o", out, *options)
    assert result.exit_code == 3, result.output
    fault, summary = result.stderr.splitlines()
    assert fault.startswith(f"meshcodec: error: {bad}: not a readable obj file")
    assert summary == "meshcodec: error: 1 of 2 meshes failed"
    head, *lines = result.stdout.splitlines()
    assert head.split()[:5] == ["mesh", "size", "bytes", "F@0.02", "F@0.01"]
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["ball", "64"], ["ball", "1k"], ["mean", "64"], ["mean", "1k"],
    ]  # fmt: skip
    kept = [VatFile.from_bytes((out / f"ball.{size}.vat").read_bytes()).mode for size in ("64", "1k")]
    assert [line.split()[-1] for line in lines[:-1]] == kept * 2
    assert int(lines[0].split()[2]) == (out / "ball.64.vat").stat().st_size <= 64
    assert load_mesh(out / "ball.1k.obj").is_watertight
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_picture_says_mode_and_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under each picture of a decode stand the mode that was kept, the bytes and two F-scores."""
    pytest.importorskip("PIL")
    ball(tmp_path / "in" / "ball.ply")
    seen: dict[str, Any] = {}

    def sheet(images: Any, **texts: Any) -> Any:
        seen.update(texts, images=images)
        return contact_sheet(images, **texts)

    monkeypatch.setattr(demo, "contact_sheet", sheet)
    out = tmp_path / "out"
    options = ("--sizes", "64,512", "--effort", 0, "--mode", "mesh", "--device", "cpu")
    result = call(tmp_path / "in", "-o", out, *options)
    assert result.exit_code == 0, result.output
    assert seen["captions"] == ["original", "64 bytes", "512 bytes"]
    table = [line.split() for line in result.stdout.splitlines()]
    rows = {row[1]: row for row in table if row[0] == "ball"}
    assert seen["notes"] == [
        ["ball, 320 faces"],
        *([f"mesh, {rows[s][2]} bytes\nF@0.02 {rows[s][3]}, F@0.01 {rows[s][4]}"] for s in ("64", "512")),
    ]


def test_a_folder_without_meshes_is_refused(tmp_path: Path) -> None:
    refused = call(tmp_path, "-o", tmp_path / "out")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"meshcodec: error: {tmp_path}: holds no mesh")


@pytest.mark.parametrize("sizes", ["63", "512,many", ",", "-1"])
def test_what_are_no_sizes_is_a_usage_error(sizes: str, tmp_path: Path) -> None:
    refused = call(tmp_path, "-o", tmp_path / "out", "--sizes", sizes)
    assert refused.exit_code == 2
    assert "--sizes" in refused.stderr
