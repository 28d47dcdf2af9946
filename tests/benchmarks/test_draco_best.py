"""The table of Draco's best files has the columns that `benchmarks/mesh_coder.py` reads, and true figures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import trimesh
from click.testing import CliRunner
from support.scripts import load_benchmark

pytest.importorskip("DracoPy")

from meshcodec.evaluation.baselines import decimate_draco_many

BEST = Path(__file__).parents[2] / "benchmarks" / "draco_best.csv"


@pytest.mark.slow
def test_rows_of_a_small_mesh(tmp_path: Path) -> None:
    script = load_benchmark("draco_best")
    folder, out = tmp_path / "meshes", tmp_path / "best.csv"
    (folder / "deep").mkdir(parents=True)
    ball = trimesh.creation.icosphere(2)
    ball.export(folder / "deep" / "ball.ply")
    arguments = [str(folder), "-o", str(out), "--sizes", "512,10,256"]
    assert CliRunner().invoke(script.main, arguments).exit_code == 0
    with out.open(newline="") as file, BEST.open(newline="") as shipped:
        table = csv.DictReader(file)
        rows = list(table)
        assert table.fieldnames == csv.DictReader(shipped).fieldnames
    # Nothing fits into 10 bytes.
    assert [(row["mesh"], row["size"]) for row in rows] == [
        ("deep/ball.ply", "256"),
        ("deep/ball.ply", "512"),
    ]
    for row, result in zip(rows, decimate_draco_many(ball, [256, 512]), strict=True):
        assert (row["decimator"], row["bits"]) == (
            result.settings["decimator"],
            str(result.settings["bits"]),
        )
        assert result.mesh is not None
        assert (row["faces"], row["bytes"]) == (str(len(result.mesh.faces)), str(len(result.data)))


def test_what_fails_is_named_and_a_table_is_not_overwritten(tmp_path: Path) -> None:
    script = load_benchmark("draco_best")
    folder, out = tmp_path / "meshes", tmp_path / "best.csv"
    folder.mkdir()
    (folder / "broken.ply").write_bytes(b"not a mesh")
    result = CliRunner().invoke(script.main, [str(folder), "-o", str(out)])
    assert result.exit_code == 3
    assert "broken.ply" in result.output
    assert out.read_text() == "mesh,size,decimator,bits,faces,bytes\n"
    again = CliRunner().invoke(script.main, [str(folder), "-o", str(out)])
    assert again.exit_code == 2
    assert "--force" in again.output
