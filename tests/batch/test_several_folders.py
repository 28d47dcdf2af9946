"""Several folders into one: no line is lost, no output taken, and what is left is named."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.commands import call
from support.folders import ball, lines, outputs

import meshcodec
from meshcodec.batch.manifest import MANIFEST
from meshcodec.batch.mirror import compress, decompress
from meshcodec.batch.options import CompressOptions, DecompressOptions
from meshcodec.errors import UsageError
from meshcodec.geometry.io import export_mesh
from meshcodec.runtime.lock import locked


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Another folder, with names of its own."""
    folder = tmp_path / "second"
    folder.mkdir()
    for number in range(2):
        (folder / f"second{number}.obj").write_bytes(export_mesh(ball(1 + number), "obj"))
    return folder


@pytest.mark.slow
def test_two_folders_go_into_one(tree: Path, second: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    compress(tree, out, options, quiet=True)
    compress(second, out, options, quiet=True)
    inputs = {record["input"] for record in lines(out)}
    assert inputs == {"a.obj", "deep/er/b.PLY", "deep/er/c.stl", "деталь 1.off", "second0.obj", "second1.obj"}
    assert {record["folder"] for record in lines(out)} == {str(tree.resolve()), str(second.resolve())}
    for folder, count in ((tree, 4), (second, 2)):
        with pytest.raises(UsageError, match=r"manifest\.jsonl exists; pass --resume"):
            compress(folder, out, options, quiet=True)
        summary = compress(folder, out, options, resume=True, quiet=True)
        assert (summary.kept, len(summary.records), summary.left) == (count, count, ())
        assert len(lines(out)) == 6
    summary = compress(second, out, options, force=True, quiet=True)
    assert (summary.kept, len(lines(out))) == (0, 6)
    assert compress(tree, out, options, resume=True, quiet=True).kept == 4


@pytest.mark.slow
def test_the_output_of_another_folder_is_not_overwritten(
    tree: Path, second: Path, tmp_path: Path, options: CompressOptions
) -> None:
    out = tmp_path / "out"
    compress(tree, out, options, quiet=True)
    (second / "a.obj").write_bytes(export_mesh(ball(7), "obj"))
    before = outputs(out)
    with pytest.raises(UsageError, match=r"a\.vat exists; pass -f to overwrite, or choose another folder"):
        compress(second, out, options, quiet=True)
    with pytest.raises(UsageError, match=r"a\.vat was made of .*meshes/a\.obj, not of .*second/a\.obj"):
        compress(second, out, options, resume=True, quiet=True)
    assert outputs(out) == before
    assert len(lines(out)) == 4
    compress(second, out, options, force=True, quiet=True)
    assert outputs(out)["a.vat"] != before["a.vat"]
    assert len(lines(out)) == 6  # one line for each output


@pytest.mark.slow
def test_a_decode_never_replaces_what_was_encoded(tree: Path, options: CompressOptions) -> None:
    """The folder of the meshes is that of the files, too: `a.obj` is the name of an original."""
    compress(tree, tree, options, quiet=True)
    before = (tree / "a.obj").read_bytes()
    back = DecompressOptions("obj", 32, "cpu", options.weights)
    with pytest.raises(UsageError, match=r"a\.obj is a file that a run before has read; choose another"):
        decompress(tree, tree, back, resume=True, quiet=True)
    assert (tree / "a.obj").read_bytes() == before


@pytest.mark.slow
def test_a_folder_that_was_moved_goes_on(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    compress(tree, out, options, quiet=True)
    moved = tree.rename(tmp_path / "moved")
    (moved / "a.obj").write_bytes(export_mesh(ball(9), "obj"))
    assert compress(moved, out, options, resume=True, quiet=True).kept == 3
    assert {record["folder"] for record in lines(out)} == {str(moved.resolve())}


@pytest.mark.slow
def test_two_runs_at_a_time_lose_no_line(
    tree: Path, second: Path, tmp_path: Path, options: CompressOptions
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "meshcodec", "compress", "--size", "512", "--effort", "0", "--no-verify"]
    command += ["-j", "1", "-q", "--device", "cpu", "--weights", str(options.weights), "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(meshcodec.__file__).parents[1])}
    runs = [
        subprocess.Popen([*command, str(folder)], env=environment, stderr=subprocess.PIPE, text=True)
        for folder in (tree, second)
    ]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert len(lines(out)) == len(outputs(out)) == 6
    assert {"a.vat", "second0.vat"} <= set(outputs(out))
    assert not (out / ".manifest.lock").exists()
    for folder, count in ((tree, 4), (second, 2)):
        assert compress(folder, out, options, resume=True, quiet=True).kept == count


@pytest.mark.slow
def test_a_run_says_what_it_waits_for(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def release() -> bool:
        time.sleep(0.5)
        begun = (out / MANIFEST).exists()
        held.close()
        return begun

    held = ExitStack()
    held.enter_context(locked(out / ".manifest.lock", lambda: None))
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(release)
        with pytest.warns(RuntimeWarning, match="out: another run is writing there"):
            summary = compress(tree, out, options, quiet=True)
    assert summary.failed == []
    assert not early.result()


@pytest.mark.slow
def test_what_is_left_is_named(tree: Path, tmp_path: Path, options: CompressOptions) -> None:
    out = tmp_path / "out"
    half = out / "deep" / f".{'a' * 16}.tmp"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half a fi")
    (tree / "linked").symlink_to(tmp_path)
    command = ["compress", tree, "-o", out, "--size", 512, "--effort", 0, "--no-verify", "-j", 1]
    command += ["--weights", options.weights]
    first = call(*command)
    assert first.exit_code == 0, first.output
    assert "4 files done (0 by a run before), 0 failed, 3 others skipped" in first.stderr
    assert "links to folders, not followed: 1, linked\n" in first.stderr
    assert (
        f"half-written files of a run that was killed (--resume removes them): 1, deep/{half.name}"
        in first.stderr
    )
    assert half.exists()
    (tree / "a.obj").rename(tree / "renamed.obj")
    (tree / "деталь 1.off").unlink()
    again = call(*command, "--resume")
    assert again.exit_code == 0, again.output
    assert "3 files done (2 by a run before), 0 failed" in again.stderr
    assert f"half-written files of a run that was killed (removed): 1, deep/{half.name}" in again.stderr
    left = "outputs of runs before whose sources are gone or renamed: 2, a.vat, деталь 1.vat"
    assert left in again.stderr
    assert not half.exists()
    assert left in call(*command, "--resume").stderr  # as long as they are there
    (out / "a.vat").unlink()
    assert "gone or renamed: 1, деталь 1.vat" in call(*command, "--resume").stderr
    assert len(lines(out)) == 4
