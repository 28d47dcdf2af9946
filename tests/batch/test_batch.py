"""Folders there and back: mirrored trees, bad files, runs that are killed and go on."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trimesh
from click.testing import CliRunner, Result
from support.folders import ball, lines, outputs
from support.paths import GOLDEN
from support.tiny import write_vat

import meshcodec
from meshcodec.api import Codec
from meshcodec.batch.manifest import MANIFEST
from meshcodec.batch.mirror import compress, decompress, refined_on_gpu
from meshcodec.batch.options import CompressOptions, DecompressOptions
from meshcodec.cli.group import cli
from meshcodec.errors import UsageError
from meshcodec.format.container import VatFile
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.modes.result import Encoded
from meshcodec.modes.tokens.prepare import PreparedMesh
from meshcodec.runtime.sources import code_hash
from meshcodec.runtime.threads import available_cores


def rod(thickness: float) -> trimesh.Trimesh:
    """A mesh that is decoded, measured and drawn in a fraction of what a ball takes."""
    mesh = trimesh.creation.box((1.0, thickness, thickness))
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.slow
def test_a_folder_is_mirrored(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    summary = compress(tree, out, options, quiet=True)
    codec = Codec("cpu", options.weights)
    made = outputs(out)
    assert set(made) == {"a.vat", "deep/er/b.vat", "deep/er/c.vat", "деталь 1.vat"}
    assert made["deep/er/b.vat"] == codec.encode(tree / "deep/er/b.PLY", 512, effort=0)
    assert (summary.kept, summary.skipped, summary.failed) == (0, 3, [])
    assert [record["input"] for record in summary.records] == [
        "a.obj",
        "деталь 1.off",
        "deep/er/b.PLY",
        "deep/er/c.stl",
    ]
    assert sorted(lines(out), key=lambda r: str(r["input"])) == sorted(
        summary.records, key=lambda r: str(r["input"])
    )
    for record in summary.records:
        assert record["bytes_in"] == (tree / record["input"]).stat().st_size
        assert record["bytes_out"] == len(made[record["output"]])
        assert record["tokens"] == VatFile.from_bytes(made[record["output"]]).count
        assert record["fscore"] is None


@pytest.mark.slow
def test_compressed_meshes_of_a_folder(tmp_path: Path, options: CompressOptions) -> None:
    """They are meshes like others, beside a mesh of the same name as well."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    (folder / "a.OBJ.gz").write_bytes(gzip.compress(export_mesh(ball(1), "obj")))
    (folder / "notes.txt.gz").write_bytes(gzip.compress(b"no mesh"))
    summary = compress(folder, tmp_path / "out", options, quiet=True)
    assert [(record["input"], record["output"]) for record in summary.records] == [("a.OBJ.gz", "a.vat")]
    assert (summary.skipped, summary.failed) == (1, [])
    (folder / "a.stl").write_bytes(export_mesh(ball(1), "stl"))
    compress(folder, tmp_path / "other", options, quiet=True)
    made = outputs(tmp_path / "other")
    assert set(made) == {"a.OBJ.gz.vat", "a.stl.vat"}
    assert made["a.OBJ.gz.vat"] == outputs(tmp_path / "out")["a.vat"]


@pytest.mark.slow
def test_each_mesh_has_its_own_time_limit(tmp_path: Path, options: CompressOptions) -> None:
    """A limit that is over at once is a refinement that is stopped at once."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.obj").write_bytes(export_mesh(rod(0.4), "obj"))
    limited = replace(options, effort=1, time_limit=1e-9)
    summary = compress(folder, tmp_path / "out", limited, quiet=True)
    codec = Codec("cpu", options.weights)
    stopped = codec.encode_detailed(folder / "a.obj", 512, 1, stop=lambda: True)
    assert stopped.interrupted
    assert set(outputs(tmp_path / "out").values()) == {stopped.data}
    assert len(summary.records) == 2
    assert all(record["options"]["time_limit"] == 1e-9 for record in lines(tmp_path / "out"))


@pytest.mark.slow
def test_two_workers_make_the_same_files(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    compress(tree, tmp_path / "one", options, quiet=True)
    summary = compress(tree, tmp_path / "two", options, jobs=2, quiet=True)
    assert summary.failed == []
    assert outputs(tmp_path / "two") == outputs(tmp_path / "one")


@pytest.mark.slow
def test_there_and_back(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    compress(tree, tmp_path / "vats", options, quiet=True)
    back = DecompressOptions("ply", 48, "cpu", options.weights)
    summary = decompress(tmp_path / "vats", tmp_path / "back", back, quiet=True)
    # The manifest of the first run is no file to decode, and no other file to speak of.
    assert (len(summary.records), summary.failed, summary.skipped) == (4, [], 0)
    mesh = load_mesh(tmp_path / "back" / "деталь 1.ply")
    assert mesh.is_watertight
    assert mesh.extents == pytest.approx([8, 8, 8], rel=0.3)
    assert len(mesh.faces) == next(r["faces"] for r in summary.records if r["input"] == "деталь 1.vat")


@pytest.mark.slow
def test_what_is_to_be_known_of_a_mesh_is_said(tmp_path: Path, tiny_weights: Path) -> None:
    """STL cannot hold a mesh in map coordinates; a large one is written all the same."""
    (tmp_path / "in").mkdir()
    near = VatFile.from_bytes(write_vat(tmp_path / "in" / "near.vat", tiny_weights).read_bytes())
    far = replace(near, center=(500123.0, 5412345.0, 320.0), half_extents=(100.0, 100.0, 100.0))
    (tmp_path / "in" / "far.vat").write_bytes(far.to_bytes())
    options = ("--resolution", 32, "--weights", tiny_weights, "-j", 1, "--json")
    result = call("decompress", tmp_path / "in", "-o", tmp_path / "out", "--format", "stl", *options)
    assert result.exit_code == 0, result.output
    said = "STL has float32 only, which moves vertices by up to "
    (line,) = [line for line in result.stderr.splitlines() if "warning" in line]
    assert line.startswith(f"meshcodec: warning: far.vat: {said}")
    warned = {record["input"]: record["warnings"] for record in json.loads(result.stdout)}
    assert warned["near.vat"] == []
    assert warned["far.vat"][0].startswith(said)


@pytest.mark.slow
def test_bad_files_do_not_stop_the_others(tree: Path, tmp_path: Path, tiny_weights: Path) -> None:
    (tree / "corrupt.glb").write_bytes(b"glTF but not really")
    (tree / "empty.obj").touch()
    (tree / "cloud.obj").write_text("v 0 0 0\nv 1 1 1\n")
    (tree / "gone.stl").symlink_to(tree / "nowhere.stl")
    out = tmp_path / "out"
    command = ("compress", tree, "-o", out, "--size", 512, "--effort", 0, "--no-verify", "-j", 1)
    result = call(*command, "--weights", tiny_weights)
    assert result.exit_code == 3
    bad = ["cloud.obj", "corrupt.glb", "empty.obj", "gone.stl"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("meshcodec: error: ")]
    assert [line.split(": ")[2] for line in errors[:-1]] == bad
    assert all("; " in line for line in errors[:-1])
    assert errors[-1].endswith("4 of 8 files failed")
    assert set(outputs(out)) == {"a.vat", "deep/er/b.vat", "deep/er/c.vat", "деталь 1.vat"}
    assert sorted(record["input"] for record in lines(out) if record["error"]) == bad
    assert "4 files done (0 by a run before), 4 failed, 3 others skipped" in result.stderr


@pytest.fixture
def refined(options: CompressOptions, hurried: None) -> CompressOptions:
    return replace(options, size=128, effort=1)


@pytest.mark.slow
def test_meshes_are_refined_together_on_a_gpu(
    tree: Path, tmp_path: Path, refined: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU does it, here on the CPU: a bad one among them touches no other."""
    (tree / "empty.obj").touch()
    alone = compress(tree, tmp_path / "alone", refined, quiet=True)
    monkeypatch.setattr("meshcodec.batch.mirror.refined_on_gpu", lambda _: True)
    summary = compress(tree, tmp_path / "together", refined, quiet=True)
    assert [r["input"] for r in summary.failed] == ["empty.obj"]
    for found, expected in zip(summary.records, alone.records, strict=True):
        for name in ("input", "output", "sha256", "error", "options", "refined"):
            assert found.get(name) == expected.get(name)
    made, expected_files = outputs(tmp_path / "together"), outputs(tmp_path / "alone")
    assert set(made) == set(expected_files)
    for name, data in made.items():
        ours, theirs = (VatFile.from_bytes(d).tokens() for d in (data, expected_files[name]))
        same = sum(a == b for a, b in zip(ours, theirs, strict=True))
        assert same > 0.9 * len(theirs)  # sums in another order


@pytest.mark.slow
def test_the_batch_is_one_batch(
    tree: Path, tmp_path: Path, refined: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counted(self: Codec, subjects: list[PreparedMesh], *arguments: Any, **more: Any) -> list[Encoded]:
        sizes.append(len(subjects))
        return encode(self, subjects, *arguments, **more)

    encode = Codec.encode_subjects
    monkeypatch.setattr(Codec, "encode_subjects", counted)
    monkeypatch.setattr("meshcodec.batch.mirror.refined_on_gpu", lambda _: True)
    compress(tree, tmp_path / "out", refined, quiet=True)
    assert sizes == [4]


@pytest.mark.slow
def test_what_fails_together_is_done_alone(
    tree: Path, tmp_path: Path, refined: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode_one(self: Codec, subjects: list[PreparedMesh], *arguments: Any, **more: Any) -> list[Encoded]:
        if len(subjects) > 1:
            raise RuntimeError("too many")
        return encode(self, subjects, *arguments, **more)

    encode = Codec.encode_subjects
    monkeypatch.setattr(Codec, "encode_subjects", encode_one)
    monkeypatch.setattr("meshcodec.batch.mirror.refined_on_gpu", lambda _: True)
    with pytest.warns(RuntimeWarning, match=r"4 meshes could not be encoded together \(.*too many.*\)"):
        summary = compress(tree, tmp_path / "out", refined, quiet=True)
    assert (len(summary.records), summary.failed) == (4, [])


@pytest.mark.slow
def test_a_batch_that_lost_its_worker_is_done_one_by_one(
    tree: Path, tmp_path: Path, refined: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(run: Any, jobs: Any, workers: int, died: Any) -> Iterator[Any]:
        return (died(job) if isinstance(job, list) else run(job) for job in jobs)

    monkeypatch.setattr("meshcodec.batch.mirror.run_jobs", lost)
    monkeypatch.setattr("meshcodec.batch.mirror.refined_on_gpu", lambda _: True)
    summary = compress(tree, tmp_path / "out", refined, quiet=True)
    assert (len(summary.records), summary.failed) == (4, [])


@pytest.mark.slow  # the folder that it makes takes seconds
@pytest.mark.parametrize(
    ("change", "together"),
    [
        ({}, True),
        ({"effort": 0}, False),
        ({"size": None, "min_fscore": 0.5}, False),
        ({"device": "cpu"}, False),
    ],
)
def test_only_refinement_to_a_size_on_a_gpu_is_done_together(
    options: CompressOptions, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], together: bool
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    asked = replace(replace(options, effort=4, device="auto"), **change)
    assert refined_on_gpu(asked) == together


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(
    tree: Path, tmp_path: Path, refined: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cuda"):
        compress(tree, tmp_path / "out", replace(refined, device="cuda"), quiet=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_scores_are_measured_and_summed_up(tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    rod(0.02).export(meshes / "thin.obj")
    rod(0.04).export(meshes / "thick.obj")
    command = ("compress", meshes, "-o", tmp_path / "out", "--effort", 0, "-j", 1, "--json")
    result = call(*command, "--device", "cpu")
    assert result.exit_code == 0
    records = json.loads(result.stdout)
    scores = [record["fscore"]["0.02"] for record in records]
    assert all(0 < score <= 1 for score in scores)
    mean, worst = sum(scores) / 2, records[scores.index(min(scores))]
    assert f"F@0.02 mean {mean:.3f}, worst {min(scores):.3f} ({worst['input']})" in result.stderr


@pytest.mark.slow
def test_meshes_of_one_name_keep_their_extensions(
    tree: Path, tmp_path: Path, options: CompressOptions
) -> None:
    (tree / "a.stl").write_bytes(export_mesh(ball(1), "stl"))
    summary = compress(tree, tmp_path / "out", options, quiet=True)
    names = {record["input"]: record["output"] for record in summary.records}
    assert names == {
        "a.obj": "a.obj.vat",
        "a.stl": "a.stl.vat",
        "deep/er/b.PLY": "deep/er/b.vat",
        "deep/er/c.stl": "deep/er/c.vat",
        "деталь 1.off": "деталь 1.vat",
    }
    assert set(outputs(tmp_path / "out")) == set(names.values())
    back = DecompressOptions("ply", 16, "cpu", options.weights)
    decompress(tmp_path / "out", tmp_path / "back", back, quiet=True)
    assert {"a.obj.ply", "a.stl.ply"} <= {path.name for path in (tmp_path / "back").iterdir()}
    assert compress(tree, tmp_path / "out", options, resume=True, quiet=True).kept == 5


@pytest.mark.slow
def test_outputs_are_not_overwritten_unasked(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    (out / "deep" / "er").mkdir(parents=True)
    (out / "deep" / "er" / "b.vat").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"b\.vat exists; pass -f"):
        compress(tree, out, options, quiet=True)
    assert outputs(out) == {"deep/er/b.vat": b"precious"}
    compress(tree, out, options, force=True, quiet=True)
    with pytest.raises(UsageError, match=r"manifest\.jsonl exists; pass --resume"):
        compress(tree, out, options, quiet=True)


@pytest.mark.slow
def test_only_what_changed_is_done_again(
    tree: Path, tmp_path: Path, options: CompressOptions, tiny_weights: Path
) -> None:
    out = tmp_path / "out"
    compress(tree, out, options, quiet=True)
    (out / "a.vat").write_bytes(b"damaged")
    (tree / "deep" / "er" / "c.stl").write_bytes(export_mesh(ball(9), "stl"))
    (out / f".{'0' * 16}.tmp").write_bytes(b"half a fi")
    with (out / MANIFEST).open("a") as file:
        file.write('{"input": "half a li')
    before = {name: (out / name).stat().st_mtime_ns for name in outputs(out)}
    summary = compress(tree, out, options, resume=True, quiet=True)
    after = {name: (out / name).stat().st_mtime_ns for name in outputs(out)}
    assert summary.kept == 2
    assert {name for name in after if after[name] != before[name]} == {"a.vat", "deep/er/c.vat"}
    assert sorted(record["input"] for record in lines(out)) == sorted(r["input"] for r in summary.records)
    assert not list(out.glob(".*.tmp"))
    assert compress(tree, out, options, resume=True, quiet=True).kept == 4
    other = CompressOptions(256, effort=0, measure=False, device="cpu", weights=tiny_weights)
    assert compress(tree, out, other, resume=True, quiet=True).kept == 0


@pytest.mark.slow
def test_what_other_code_made_is_made_again(
    tree: Path, tmp_path: Path, options: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    made = compress(tree, out, options, quiet=True).records
    assert {record["options"]["code"] for record in made} == {
        code_hash("meshcodec.api", "meshcodec.target", "meshcodec.metrics", "meshcodec.geometry.io")
    }
    monkeypatch.setattr("meshcodec.batch.convert.code_hash", lambda *modules: "other")
    assert compress(tree, out, options, resume=True, quiet=True).kept == 0
    assert compress(tree, out, options, resume=True, quiet=True).kept == 4


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(
    tree: Path, tmp_path: Path, options: CompressOptions, tiny_weights: Path
) -> None:
    for number in range(6):
        (tree / f"more{number}.obj").write_bytes(export_mesh(ball(1 + number / 10), "obj"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    compress(tree, whole, options, quiet=True)
    words = ("compress", tree, "-o", out, "--size", 512, "--effort", 0, "--no-verify", "-j", 1, "-q")
    command = [sys.executable, "-m", "meshcodec", *map(str, words), "--device", "cpu"]
    command += ["--weights", str(tiny_weights)]
    environment = {**os.environ, "PYTHONPATH": str(Path(meshcodec.__file__).parents[1])}
    with subprocess.Popen(command, env=environment) as process:
        while len(outputs(out)) < 2:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    done = len([line for line in (out / MANIFEST).read_text().splitlines() if line.endswith("}")])
    assert 0 < done < 10
    summary = compress(tree, out, options, resume=True, quiet=True)
    assert summary.kept == done
    assert summary.failed == []
    assert outputs(out) == outputs(whole)


@pytest.mark.slow
@pytest.mark.skipif(available_cores() == 1, reason="on one core everything has one thread")
def test_one_job_is_one_thread(tmp_path: Path) -> None:
    """As each of several has: the same bytes, and the machine is not taken unasked."""
    (tmp_path / "in").mkdir()
    golden = sorted(GOLDEN.glob("spot-*-512.vat"))[0]
    (tmp_path / "in" / "a.vat").write_bytes(golden.read_bytes())
    words = ["decompress", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--resolution", "16", "-j", "1"]
    program = f"from meshcodec.cli import cli\ncli({words}, standalone_mode=False)\n"
    program += "import torch\nprint(torch.get_num_threads())"
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = str(Path(meshcodec.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


@pytest.mark.parametrize("verb", ["compress", "decompress"])
def test_folders_that_hold_nothing_are_refused(verb: str, tmp_path: Path, tiny_weights: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").touch()
    for folder, words in ((tmp_path / "none", "is not a folder"), (tmp_path / "in", "holds no .")):
        result = call(verb, folder, "-o", tmp_path / "out", "--weights", tiny_weights)
        assert result.exit_code == 2
        assert f"meshcodec: error: {folder}: {words}" in result.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_compress_can_end_with_a_page(tmp_path: Path) -> None:
    """The page may lie in the folder that the same command makes; a mesh that failed is a row of it."""
    meshes, out = tmp_path / "meshes", tmp_path / "out"
    meshes.mkdir()
    rod(0.02).export(meshes / "шар.obj")
    (meshes / "bad.obj").write_text("nothing")
    page = out / "page.html"
    words = ["compress", meshes, "-o", out, "--size", 512, "--effort", 0, "--no-verify", "-j", 1]
    words += ["--device", "cpu", "--report", page]
    result = call(*words)
    assert result.exit_code == 3, result.output
    assert "1 of 2 files failed" in result.stderr
    text = page.read_text(encoding="utf-8")
    assert "шар.obj" in text or json.dumps("шар.obj") in text
    assert "bad.obj" in text
    before = (out / "шар.vat").stat().st_mtime_ns
    (meshes / "bad.obj").unlink()
    again = call(*words, "--resume")
    assert again.exit_code == 0, again.output
    assert "1 files done (1 by a run before)" in again.stderr
    assert (out / "шар.vat").stat().st_mtime_ns == before
    assert "bad.obj" not in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tree: Path, tmp_path: Path) -> None:
    refused = call("compress", tree, "-o", tmp_path / "out", "--report", tmp_path / "gone" / "page.html")
    assert refused.exit_code == 2
    assert "gone is not a folder" in refused.stderr
    assert not (tmp_path / "out").exists()
