from __future__ import annotations

import csv
import functools
import importlib.metadata
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import trimesh

from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.evaluation.bench.cache import code_of
from meshcodec.evaluation.bench.options import BenchOptions
from meshcodec.evaluation.bench.rows import BASELINES, OURS, BenchRow
from meshcodec.evaluation.bench.run import run_bench
from meshcodec.evaluation.bench.tables import BenchReport, bytes_for
from meshcodec.format.container import HEADER_BYTES, PLACEMENT_BYTES, VatFile
from meshcodec.metrics import Scores
from meshcodec.runtime.sources import PACKAGE, code_hash


class FakeCodec:
    """Makes any mesh a sphere in its place: the fewer bytes, the larger."""

    calls = 0
    model = "0badcafe"
    lies = False

    @property
    def model_id(self) -> str:
        return FakeCodec.model

    def encode(
        self, source: trimesh.Trimesh, size: int, effort: int, seed: int, packing: str, mode: str
    ) -> bytes:
        FakeCodec.calls += 1
        if len(source.faces) == 12:
            raise CorruptFileError("boxes do not decode", "use spheres")
        if len(source.faces) == 20:
            raise ZeroDivisionError("a bug")
        if len(source.faces) == 80 and "BENCH_TEST_PARENT" in os.environ:
            assert os.getpid() != int(os.environ["BENCH_TEST_PARENT"])
            os._exit(9)  # as the out-of-memory killer does
        scale, (x, y, z) = float(np.ptp(source.vertices[:, 0]) / 2), source.bounds.mean(axis=0).tolist()
        tokens = bytes(size + self.lies - HEADER_BYTES - PLACEMENT_BYTES)
        return VatFile.of_tokens(tokens, bytes.fromhex(self.model), (x, y, z), (scale,) * 3).to_bytes()

    def decode(self, data: bytes, resolution: int | None) -> trimesh.Trimesh:
        file = VatFile.from_bytes(data)
        assert file.scale is not None
        assert file.center is not None
        mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, file.scale * (1 + 4 / len(data)))
        mesh.apply_translation(file.center)
        return mesh


def make_fake(device: str, weights: Path | None) -> FakeCodec:
    assert (device, weights) == ("cpu", None)
    return FakeCodec()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "meshes"
    (root / "deep").mkdir(parents=True)
    trimesh.creation.icosphere(3, 2.0).export(root / "ball.ply")
    trimesh.creation.icosphere(3, 1.0).apply_translation([9, 0, 0]).export(root / "deep" / "ball.obj")
    return root


def run(folder: Path, out: Path, **options: Any) -> BenchReport:
    settings: dict[str, Any] = {
        "sizes": (1024, 512),
        "effort": 0,
        "baselines": ("hull",),
        "samples": 2_000,
        "make_codec": make_fake,
        "pictures": False,
    }
    return run_bench(folder, out, BenchOptions(**{**settings, **options}))


@pytest.fixture(autouse=True)
def _count_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCodec, "calls", 0)


@pytest.mark.slow
def test_every_mesh_size_and_codec_has_its_row(folder: Path, tmp_path: Path) -> None:
    report = run(folder, tmp_path / "out")
    seen = [(r.file, r.codec, r.size, r.bytes) for r in report.rows]
    assert seen == [
        (file, *rest)
        for file in ("ball.ply", "deep/ball.obj")
        for rest in ((OURS, 512, 512), (OURS, 1024, 1024), ("hull", None, None))
    ]
    assert report.failed == []
    assert report.computed == 6
    # 4 / 512 = 0.0078 and 4 / 1024 = 0.0039 away, so that the taus tell the sizes apart.
    assert report.curve(OURS, 0.01) == [(512, 1.0), (1024, 1.0)]
    assert report.curve(OURS, 0.005) == [(512, 0.0), (1024, 1.0)]
    assert report.curve("hull", 0.005) == [(512, 1.0), (1024, 1.0)]
    assert report.wins("hull", 512, 0.005) == (0, 0, 2)
    assert report.wins("hull", 1024, 0.005) == (0, 2, 0)
    assert all(row.encode_seconds > 0 for row in report.rows)
    assert {row.model_id for row in report.rows if row.codec == OURS} == {"0badcafe"}


@pytest.mark.slow
def test_a_second_run_computes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(folder, tmp_path / "out")
    assert FakeCodec.calls == 4
    monkeypatch.setattr("meshcodec.evaluation.bench.run.load_mesh", None)  # not even to score it
    second = run(folder, tmp_path / "out")
    assert second.computed == 0
    assert FakeCodec.calls == 4
    assert second.rows == first.rows
    assert second.table() == first.table()


@pytest.mark.slow
def test_only_what_changed_is_computed_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(folder, out)
    assert run(folder, out, sizes=(512, 1024, 2048)).computed == 2
    assert run(folder, out, effort=1).computed == 4
    assert run(folder, out, resolution=128).computed == 4
    monkeypatch.setattr(FakeCodec, "model", "11111111")
    assert run(folder, out).computed == 4  # the hull knows no model
    (folder / "ball.ply").rename(folder / "renamed.ply")
    renamed = run(folder, out)
    assert renamed.computed == 0
    assert [r.file for r in renamed.rows if r.codec == "hull"] == ["deep/ball.obj", "renamed.ply"]
    trimesh.creation.icosphere(3, 3.0).export(folder / "renamed.ply")
    assert run(folder, out).computed == 3


@pytest.mark.slow
def test_other_code_measures_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of the codec is changed, in a copy; the hull, which has none of it, is not computed again."""
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("meshcodec.evaluation.bench.run.code_of", functools.partial(code_of, package=copy))
    run(folder, tmp_path / "out")
    code_hash.cache_clear()
    assert run(folder, tmp_path / "out").computed == 0
    with (copy / "modes" / "tokens" / "refine.py").open("a") as source:
        source.write("# changed\n")
    code_hash.cache_clear()
    assert run(folder, tmp_path / "out").computed == 4


@pytest.mark.slow
def test_every_codec_knows_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of = {codec: code_of(codec) for codec in (OURS, *BASELINES)}
    assert len({made["sources"] for made in made_of.values()}) == 4  # hull and target are one module
    assert made_of[OURS]["torch"] == importlib.metadata.version("torch")
    assert {"DracoPy", "meshoptimizer", "fast-simplification"} <= set(made_of["draco"])
    assert "torch" not in made_of["hull"]

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert code_of("hull")["numpy"] == ""


@pytest.mark.slow
def test_a_damaged_cache_is_computed_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(folder, out)
    kept = sorted((out / "cache").iterdir())
    assert len(kept) == 6
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    kept[1].write_text("{}")
    again = run(folder, out)
    assert again.computed == 2
    assert [r.scores for r in again.rows] == [r.scores for r in first.rows]


@pytest.mark.slow
def test_failures_are_rows_with_their_error_and_zeros(folder: Path, tmp_path: Path) -> None:
    trimesh.creation.box().export(folder / "box.ply")
    trimesh.creation.icosphere(0).export(folder / "bug.ply")
    (folder / "broken.ply").write_bytes(b"not a mesh")
    report = run(folder, tmp_path / "out")
    errors = {(r.file, r.codec): r.error for r in report.failed}
    assert errors[("box.ply", OURS)] == "boxes do not decode; use spheres"
    assert errors[("bug.ply", OURS)] == "ZeroDivisionError: a bug"
    assert "broken.ply" in errors[("broken.ply", OURS)]
    assert "broken.ply" in errors[("broken.ply", "hull")]
    assert set(errors) == {("box.ply", OURS), ("bug.ply", OURS), ("broken.ply", OURS), ("broken.ply", "hull")}
    for row in report.failed:
        assert row.scores.at(0.02) == 0.0
        assert row.bytes == (None if row.codec == "hull" else 0)
    # Two of five meshes decode: means are over all of them.
    assert [f for _, f in report.curve(OURS, 0.02)] == pytest.approx([0.4, 0.4])
    assert [row.file for row in report.worst(3)] == ["box.ply", "broken.ply", "bug.ply"]
    assert "boxes do not decode" in report.table()


@pytest.mark.slow
def test_a_file_above_its_size_is_a_failure(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCodec, "lies", True)
    report = run(folder, tmp_path / "out", sizes=(512,))
    assert [r.error for r in report.failed] == ["513 bytes are more than 512"] * 2
    assert report.curve(OURS, 0.02) == [(512, 0.0)]


@pytest.mark.slow
def test_workers_give_the_same_rows_and_survive_a_death(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimesh.creation.icosphere(1).export(folder / "killer.ply")
    monkeypatch.setenv("BENCH_TEST_PARENT", str(os.getpid()))
    monkeypatch.delenv("IGL_NUM_THREADS", raising=False)
    parallel = run(folder, tmp_path / "parallel", jobs=2, sizes=(512,))
    assert "IGL_NUM_THREADS" not in os.environ
    assert {(r.file, r.error) for r in parallel.failed} == {
        ("killer.ply", "the worker process died (out of memory?)")
    }
    (folder / "killer.ply").unlink()
    alone = run(folder, tmp_path / "alone", sizes=(512,))
    healthy = [r for r in parallel.rows if r.file != "killer.ply"]
    assert [r.scores for r in healthy] == [r.scores for r in alone.rows]


@pytest.mark.slow
def test_files_of_the_report_and_pictures(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    trimesh.creation.box().export(folder / "box.ply")
    out = tmp_path / "out"
    report = run(folder, out, pictures=True)
    assert report.notes == []
    kept = json.loads((out / "rows.json").read_text())
    assert [BenchRow.from_dict(row) for row in kept["rows"]] == report.rows
    assert kept["model_id"] == "0badcafe"
    # The box fails to encode; both balls are closed, and of tokens.
    assert kept["modes"] == {"512": {"mesh": 0, "tokens": 2}, "1024": {"mesh": 0, "tokens": 2}}
    assert kept["closed"] == [
        {"codec": OURS, "size": 512, "closed": 2, "of": 2},
        {"codec": OURS, "size": 1024, "closed": 2, "of": 2},
        {"codec": "hull", "size": None, "closed": 3, "of": 3},
    ]
    with (out / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["file"] for row in table] == [row.file for row in report.rows]
    box = next(row for row in table if row["file"] == "box.ply" and row["codec"] == OURS)
    assert (box["f_002"], box["chamfer"], box["size"], box["closed"]) == ("0.0", "", "512", "False")
    assert [row["closed"] for row in table if row["file"] == "ball.ply"] == ["True"] * 3
    for name in ("f_002.png", "f_001.png", "f_0005.png", "worst.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert (out / "table.md").read_text() == report.table()


@pytest.mark.slow
def test_table(folder: Path, tmp_path: Path) -> None:
    lines = run(folder, tmp_path / "out").table().splitlines()
    assert "2 meshes, model 0badcafe, mode auto, effort 0, coded, resolution by the surface" in lines[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, rows = cells[0], {(row[0], row[1]): row for row in reversed(cells[2:])}  # of the first table
    at = {name: k for k, name in enumerate(head)}
    assert rows[OURS, "512"][at["F@0.01"]] == "1.000"
    assert rows[OURS, "512"][at["F@0.005"]] == "0.000"
    assert rows[OURS, "512"][at["median Chamfer"]] == "0.0078"
    iou, count = rows[OURS, "512"][at["IoU (closed)"]].split()
    assert float(iou) == pytest.approx((1 + 4 / 512) ** -3, abs=0.015)
    assert count == "(2)"
    assert rows[OURS, "1024"][at["F@0.005"]] == "1.000"
    assert rows["hull", "-"][at["bytes"]] == "-"
    assert ["hull", "512", "0 / 2 / 0", "0 / 2 / 0", "0 / 0 / 2"] in cells
    assert ["512", "0", "2"] in cells  # files that hold a mesh, and tokens
    assert [OURS, "512", "2 of 2", "1.000"] in cells


def test_closed_decodes_are_counted_of_closed_originals_alone(tmp_path: Path) -> None:
    closed_one, open_one = replace(Scores.nothing(), volume_iou=0.5), Scores.nothing()

    def row(file: str, closed: bool, scores: Scores, kept: str, **more: Any) -> BenchRow:
        common: dict[str, Any] = {"sha256": "", "codec": OURS, "size": 512, "bytes": 500, "model_id": ""}
        return BenchRow(
            file=file, settings={"mode_kept": kept}, closed=closed, scores=scores, **common, **more
        )

    assert open_one.volume_iou is None
    rows = [
        row("a", True, closed_one, "mesh"),
        row("b", False, closed_one, "mesh"),
        row("c", True, closed_one, "tokens"),
        row("d", True, open_one, "mesh"),
        row("e", False, open_one, "mesh"),
        row("f", False, closed_one, "mesh", error="failed"),
    ]
    report = BenchReport(rows, [512], "0badcafe", 0, "auto", "coded", 256, 0, tmp_path)
    assert report.closed(OURS, 512) == (2, 3)
    assert report.modes(512) == {"mesh": 4, "tokens": 1}
    table = report.table()
    assert "| meshcodec | 512 | 2 of 3 | 0.667 |" in table
    assert "| 512 | 4 | 1 |" in table


@pytest.mark.slow
def test_what_the_codec_is_asked_for_is_a_codec_without_a_size(tmp_path: Path) -> None:
    """Two balls that overlap and a sheet: nothing is hidden from the target, and the sheet is thickened."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    ball = trimesh.creation.icosphere(3)
    pair = trimesh.util.concatenate([ball, ball.copy().apply_translation([0.7, 0, 0])])
    cast(trimesh.Trimesh, pair).export(folder / "pair.ply")
    # Oblique, so that its box is not flat, and the thickness not divided by the stretch.
    trimesh.Trimesh([[0, 0, 0], [1, 0, 1], [0, 1, 1]], [[0, 1, 2]]).export(folder / "sheet.off")
    report = run(folder, tmp_path / "out", baselines=("target",), ours=False, samples=20_000)
    assert [(r.file, r.codec, r.size, r.bytes, r.error) for r in report.rows] == [
        ("pair.ply", "target", None, None, ""),
        ("sheet.off", "target", None, None, ""),
    ]
    pair_scores, sheet_scores = (row.scores for row in report.rows)
    assert pair_scores.at(0.005) > 0.99
    assert sheet_scores.at(0.01) > 0.99
    assert sheet_scores.at(0.005) < 0.5


@pytest.mark.slow
def test_meshes_with_several_parts_or_a_border_have_means_of_their_own(folder: Path, tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(3)
    pair = trimesh.util.concatenate([ball, ball.copy().apply_translation([3, 0, 0])])
    two = cast(trimesh.Trimesh, pair)
    two.export(folder / "two.ply")
    ball.update_faces(ball.triangles_center[:, 2] < 0.5)
    ball.export(folder / "open.ply")
    report = run(folder, tmp_path / "out")
    assert report.multi_part_or_open() == {"two.ply", "open.ply"}
    assert "Means over the 2 meshes with several parts or a border:" in report.table()
    rows = [row for row in report.of(OURS, 512) if row.file in report.multi_part_or_open()]
    mean = sum(row.scores.at(0.02) for row in rows) / 2
    assert f"| meshcodec | 512 | {mean:.3f} |" in report.table()


@pytest.mark.slow
def test_draco_and_the_bytes_it_needs(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("DracoPy")
    report = run(folder, tmp_path / "out", baselines=("draco", "draco-fitted"))
    fitted = {(r.file, r.size): r for r in report.rows if r.codec == "draco-fitted"}
    assert sorted(fitted) == [(file, size) for file in ("ball.ply", "deep/ball.obj") for size in (512, 1024)]
    assert all(r.bytes is not None and r.size is not None and 0 < r.bytes <= r.size for r in fitted.values())
    assert any(row.settings["fitted"] for row in fitted.values())
    assert [e.against for e in report.equivalents("draco-fitted")] == ["draco-fitted"] * 6
    assert "Bytes that decimate + fit + Draco needs" in report.table()
    draco = [r for r in report.rows if r.codec == "draco"]
    assert [r.size for r in draco] == [512, 1024] * 2
    assert all(r.bytes is not None and r.size is not None and 0 < r.bytes <= r.size for r in draco)
    assert {"decimator", "bits", "faces"} <= set(draco[0].settings)
    assert [(e.size, e.tau) for e in report.equivalents()] == [
        (size, tau) for tau in (0.02, 0.01, 0.005) for size in (512, 1024)
    ]
    assert "divided by ours" in report.table()
    assert run(folder, tmp_path / "out", baselines=("draco",)).computed == 0
    without = run(folder, tmp_path / "out", baselines=("draco",), ours=False)
    assert without.computed == 0
    assert without.codecs() == ["draco"]


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (0.4, (512.0, "")),
        (0.6, (1024.0, "")),
        (0.5, (512 * math.sqrt(2), "")),
        (0.8, (4096.0, "")),  # the dip at 2048 does not count
        (0.7, (2048 * math.sqrt(2), "")),
        (0.39, (512.0, "<")),
        (0.81, (4096.0, ">")),
    ],
)
def test_bytes_that_a_curve_needs(f: float, expected: tuple[float, str]) -> None:
    needed, bound = bytes_for([(512, 0.4), (1024, 0.6), (2048, 0.55), (4096, 0.8)], f)
    assert needed == pytest.approx(expected[0])
    assert bound == expected[1]


def test_the_ratio_is_above_one_where_ours_is_better(tmp_path: Path) -> None:
    def row(codec: str, size: int, f: float) -> BenchRow:
        return BenchRow(
            file="a",
            sha256="",
            codec=codec,
            size=size,
            bytes=size,
            model_id="",
            settings={},
            scores=replace(Scores.nothing(), f=(f, 0.0, 0.0)),
        )

    rows = [row(OURS, 512, 0.6), row(OURS, 1024, 0.5), row("draco", 512, 0.4), row("draco", 1024, 0.6)]
    report = BenchReport(rows, [512, 1024], "0badcafe", 0, "tokens", "coded", 256, 0, tmp_path)
    better, worse = [e for e in report.equivalents() if e.tau == 0.02]
    assert better.ratio == pytest.approx(2.0)
    assert worse.ratio == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    "options",
    [{"baselines": ("magic",)}, {"sizes": ()}, {"sizes": (0,)}, {"jobs": 0}],
    ids=["baseline", "no-size", "size", "jobs"],
)
def test_refusals(folder: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run(folder, tmp_path / "out", **options)


def test_folders_without_meshes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no mesh"):
        run(tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="not a folder"):
        run(tmp_path / "nothing", tmp_path / "out")
