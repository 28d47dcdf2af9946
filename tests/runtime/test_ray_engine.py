"""Folders on a Ray cluster of two workers: the same files as without, also where a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trimesh
from click.testing import CliRunner

from meshcodec.batch.manifest import MANIFEST
from meshcodec.batch.mirror import Summary, compress, decompress
from meshcodec.batch.options import CompressOptions, DecompressOptions
from meshcodec.cli.group import cli
from meshcodec.errors import UsageError
from meshcodec.runtime.ray_engine import ATTEMPTS, run_on_ray

ray = pytest.importorskip("ray")

MESHES = 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    meshes = tmp_path / "meshes"
    (meshes / "below").mkdir(parents=True)
    for number in range(MESHES):
        place = meshes / "below" if number % 2 else meshes
        trimesh.creation.torus(1.0, 0.1 + 0.03 * number).export(place / f"{number}.obj")
    (meshes / "bad.obj").write_text("v 0 0\n")
    return meshes


@pytest.fixture
def options(tiny_weights: Path) -> CompressOptions:
    return CompressOptions(size=512, effort=0, measure=False, device="cpu", weights=tiny_weights)


def outputs(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.vat")}


def workers() -> set[int]:
    """Processes of Ray that hold one of our actors."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if name.startswith(b"ray::_Worker"):
            found.add(int(process.name))
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_loses_nothing(folder: Path, tmp_path: Path, options: CompressOptions) -> None:
    expected = compress(folder, tmp_path / "here", options, quiet=True)
    out, found = tmp_path / "there", list[Summary]()
    run = threading.Thread(
        target=lambda: found.append(compress(folder, out, options, 2, quiet=True, engine="ray"))
    )
    run.start()
    manifest = out / MANIFEST
    while run.is_alive() and not (manifest.exists() and manifest.read_text().count("\n") >= 2):
        time.sleep(0.01)
    victims = workers()
    assert 1 <= len(victims) <= 2
    os.kill(min(victims), signal.SIGKILL)
    run.join()
    assert outputs(out) == outputs(tmp_path / "here")
    assert len(outputs(out)) == MESHES
    (summary,) = found
    assert [record["input"] for record in summary.failed] == ["bad.obj"]
    lines = [json.loads(line)["input"] for line in manifest.read_text().splitlines()]
    assert sorted(lines) == sorted(record["input"] for record in expected.records)
    again = compress(folder, out, options, 2, resume=True, quiet=True, engine="ray")
    assert again.kept == MESHES


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_job_that_kills_its_worker_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def run(job: int) -> str:
        with log.open("a") as lines:
            lines.write(f"{job}\n")
        if job == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"done {job}"

    results = set(run_on_ray(run, range(6), 2, lambda job: f"died {job}"))
    assert results == {"died 3", *(f"done {job}" for job in range(6) if job != 3)}
    started = log.read_text().split()
    assert {job: started.count(job) for job in started} == {str(job): 1 for job in range(6)} | {"3": ATTEMPTS}


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_the_way_back_and_the_command(folder: Path, tmp_path: Path, options: CompressOptions) -> None:
    (folder / "bad.obj").unlink()
    words = ["compress", folder, "-o", tmp_path / "vats", "--size", 512, "--effort", 0, "--no-verify", "-q"]
    words += ["--engine", "ray", "--device", "cpu", "--weights", options.weights]
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    back = DecompressOptions("ply", 32, "cpu", options.weights)
    summary = decompress(tmp_path / "vats", tmp_path / "back", back, None, quiet=True, engine="ray")
    assert (len(summary.records), summary.failed) == (MESHES, [])
    assert len(list((tmp_path / "back").rglob("*.ply"))) == MESHES


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_line(
    folder: Path, tmp_path: Path, options: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127.0.0.1:1 \(.*\); check RAY_ADDRESS"):
        compress(folder, tmp_path / "out", options, quiet=True, engine="ray")
