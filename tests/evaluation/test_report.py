"""The report: pairs, known answers, and the command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import call
from support.report import SAMPLES, ball, box, data_of, measured, save

from meshcodec.errors import BadMeshError, UsageError
from meshcodec.evaluation.report.measure import run_report
from meshcodec.evaluation.report.rows import NO_DECODE, Report
from meshcodec.format.box import NO_AXES
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Scores, score


def test_a_mesh_against_itself_is_perfect(tmp_path: Path) -> None:
    mesh = save(tmp_path / "box.obj", box())
    report = measured(mesh, mesh)
    (row,) = report.rows
    assert row.scores.f == (1, 1, 1)
    assert (row.file, row.decoded, row.bytes, row.faces) == ("box.obj", "box.obj", mesh.stat().st_size, 12)
    assert not report.faults
    assert report.summary()["mean_f_002"] == 1


def test_mirrored_folders_are_scored_as_the_metric_does(folders: tuple[Path, Path]) -> None:
    report = measured(*folders)
    assert [(row.file, row.decoded) for row in report.rows] == [
        ("box.obj", "box.ply"),
        ("deep/ball.obj", "deep/ball.ply"),
        ("plate.obj", "plate.ply"),
    ]
    files = [load_mesh(folders[0] / "plate.obj"), load_mesh(folders[1] / "plate.ply")]
    assert report.rows[2].scores == score(*files, samples=SAMPLES)
    assert report.rows[2].scores.at(0.02) < 0.2


def test_a_compressed_reference_finds_its_decode(folders: tuple[Path, Path]) -> None:
    plain = folders[0] / "box.obj"
    plain.with_name("box.obj.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    (row,) = (row for row in measured(*folders).rows if row.file == "box.obj.gz")
    assert row.decoded == "box.ply"
    assert row.scores.f == (1, 1, 1)


@pytest.mark.slow
def test_workers_measure_the_same(folders: tuple[Path, Path]) -> None:
    assert measured(*folders, jobs=2).rows == measured(*folders).rows


def test_what_is_missing_is_named_on_both_sides(folders: tuple[Path, Path]) -> None:
    ours, theirs = folders
    (theirs / "deep/ball.ply").unlink()
    save(theirs / "deep/stranger.ply", box())
    report = measured(ours, theirs)
    assert report.missing == ("deep/ball.obj",)
    assert report.unmatched == ("deep/stranger.ply",)
    assert [row.error for row in report.rows] == ["", NO_DECODE, ""]
    assert report.faults == (f"deep/ball.obj: {NO_DECODE}", "deep/stranger.ply: no reference")
    mean = (report.rows[0].scores.at(0.02) + report.rows[2].scores.at(0.02)) / 3
    assert report.summary()["mean_f_002"] == pytest.approx(mean)  # what is missing counts as 0


@pytest.mark.parametrize("bad", ["references/box.obj", "decoded/box.ply"])
def test_an_unreadable_mesh_is_a_row_with_its_error(
    tmp_path: Path, folders: tuple[Path, Path], bad: str
) -> None:
    (tmp_path / bad).write_bytes(b"v 1 2 nonsense\n")
    report = measured(*folders)
    assert [bool(row.error) for row in report.rows] == [True, False, False]
    assert report.rows[0].error.startswith(f"{Path(bad).name}: not a readable")
    assert report.rows[0].scores == Scores.nothing()
    assert report.rows[0].bytes == (folders[1] / "box.ply").stat().st_size
    assert not report.missing


def test_one_decode_does_not_serve_two_references(tmp_path: Path) -> None:
    for name in ("a.obj", "a.stl", "b.obj", "c.obj", "c.ply"):
        save(tmp_path / "r" / name, box())
    for name in ("a.ply", "b.ply", "b.stl", "c.obj", "c.ply"):
        save(tmp_path / "d" / name, box())
    report = measured(tmp_path / "r", tmp_path / "d")
    errors = {row.file: row.error for row in report.rows}
    assert errors["a.obj"] == errors["a.stl"] != ""
    assert errors["b.obj"].startswith("b.ply and b.stl would both be its decode")
    assert errors["c.obj"] == errors["c.ply"] == ""  # the same names go together, whatever else would fit
    assert report.unmatched == ()


def test_a_decode_may_be_named_after_the_whole_name(tmp_path: Path) -> None:
    """As `compress` names what is made of a.obj and of a.stl."""
    for name in ("a.obj", "a.stl", "b.obj", "b.obj.ply"):
        save(tmp_path / "r" / name, box())
    for name in ("a.obj.ply", "a.stl.ply", "a.ply", "b.ply", "b.obj.ply.ply"):
        save(tmp_path / "d" / name, box())
    report = measured(tmp_path / "r", tmp_path / "d")
    assert {row.file: row.decoded for row in report.rows} == {
        "a.obj": "a.obj.ply",
        "a.stl": "a.stl.ply",
        "b.obj": "b.ply",
        "b.obj.ply": "b.obj.ply.ply",
    }
    assert report.unmatched == ("a.ply",)


@pytest.mark.slow
def test_vat_files_beside_their_meshes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path
) -> None:
    # The model was made for whole balls; of an eighth of one it knows nothing.
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *mesh: NO_AXES)
    save(tmp_path / "ball.obj", ball())
    encode = ("encode", tmp_path / "ball.obj", "--size", 64, "--effort", 0, "--weights", tiny_weights)
    assert call(*encode).exit_code == 0
    (tmp_path / ".hidden.obj").write_bytes(b"")
    report = measured(tmp_path, tmp_path, weights=tiny_weights, resolution=32, device="cpu")
    (row,) = report.rows
    assert (row.file, row.decoded, row.bytes) == (
        "ball.obj",
        "ball.vat",
        (tmp_path / "ball.vat").stat().st_size,
    )
    assert row.scores.chamfer < 0.1  # the tiny model decodes to a ball of about that size
    assert not report.faults


def test_a_broken_vat_file_is_a_row(tmp_path: Path, tiny_weights: Path) -> None:
    save(tmp_path / "ball.obj", ball())
    (tmp_path / "ball.vat").write_bytes(b"VAT?")
    report = measured(tmp_path / "ball.obj", tmp_path / "ball.vat", weights=tiny_weights, device="cpu")
    assert report.rows[0].error.startswith("ball.vat: ")
    assert report.faults[0].startswith("ball.obj: ball.vat: ")


def test_a_folder_of_decodes_inside_the_other_is_not_read_as_references(tmp_path: Path) -> None:
    save(tmp_path / "box.obj", box())
    save(tmp_path / "out/box.obj", box())
    report = measured(tmp_path, tmp_path / "out")
    assert [row.file for row in report.rows] == ["box.obj"]
    assert not report.faults


def test_what_cannot_be_paired_at_all_is_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(BadMeshError, match="none: there is no such file or folder"):
        measured(tmp_path / "none", folders[1])
    with pytest.raises(UsageError, match="are a file and a folder"):
        measured(folders[0] / "box.obj", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no mesh"):
        measured(tmp_path / "empty", folders[1])


# ---- the command


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(*paths: Path, **options: Any) -> Report:
        return run_report(*paths, samples=SAMPLES, **options)

    monkeypatch.setattr("meshcodec.evaluation.report.measure.run_report", quick)


@pytest.mark.slow
@pytest.mark.usefixtures("few_samples")
def test_the_command_writes_everything(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    page, table = tmp_path / "r.html", tmp_path / "r.csv"
    result = call("report", *folders, "-o", page, "--csv", table, "-j", 1)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["file", "bytes", "F@0.02", "F@0.01", "F@0.005", "Chamfer", "normals"]
    assert lines[1].split()[:3] == ["box.obj", str((folders[1] / "box.ply").stat().st_size), "1.0000"]
    assert lines[-1].startswith("mean of 3")
    assert len(data_of(page.read_bytes())["rows"]) == 3
    assert len(table.read_text().splitlines()) == 4
    refused = call("report", *folders, "-o", page, "-j", 1)
    assert refused.exit_code == 2
    assert "exists; pass -f" in refused.stderr
    assert call("report", *folders, "-o", page, "-f", "-j", 1).exit_code == 0


@pytest.mark.usefixtures("few_samples")
def test_the_command_names_what_is_missing_and_does_the_rest(folders: tuple[Path, Path]) -> None:
    (folders[1] / "box.ply").unlink()
    save(folders[1] / "stranger.stl", box())
    result = call("report", *folders, "--json", "-j", 1)
    assert result.exit_code == 3
    assert [row["error"] for row in json.loads(result.stdout)["rows"]] == [NO_DECODE, "", ""]
    assert json.loads(result.stdout)["missing_reference"] == ["stranger.stl"]
    assert [line for line in result.stderr.splitlines() if line.startswith("meshcodec: error:")] == [
        f"meshcodec: error: box.obj: {NO_DECODE}",
        "meshcodec: error: stranger.stl: no reference",
        "meshcodec: error: 1 of 3 meshes failed, 1 decoded files have no reference",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("few_samples")
def test_outputs_go_through_pipes(folders: tuple[Path, Path]) -> None:
    assert call("report", *folders, "--csv", "-", "-j", 1).stdout.startswith("file,decoded,bytes_reference,")
    assert call("report", *folders, "-o", "-", "-j", 1).stdout.startswith("<!DOCTYPE html>")
    assert call("report", *folders, "-o", "-", "--csv", "-").exit_code == 2
