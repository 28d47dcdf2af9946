"""The bound on a process's memory: it holds, it is taken back, and what breaks it gets one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner, Result

from meshcodec.api import Codec
from meshcodec.cli.group import cli
from meshcodec.errors import MemoryLimitError
from meshcodec.runtime.memory import LEAST_MEMORY, bounded_memory, memory_share

if not sys.platform.startswith("linux"):
    pytest.skip("only Linux keeps the bound", allow_module_level=True)

import resource

WORDS = (
    "it takes more than 512 MB of memory; simplify the mesh or lower the resolution, "
    "or allow more with --max-memory"
)


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("ball")
    mesh = trimesh.creation.icosphere(3)
    mesh.export(folder / "ball.obj")
    (folder / "ball.vat").write_bytes(Codec("cpu").encode(mesh, 512, 0, mode="tokens"))
    return folder / "ball.obj", folder / "ball.vat"


@pytest.mark.parametrize(
    "take",
    [lambda: np.ones(3 << 30, dtype=np.uint8), lambda: torch.ones(3 << 30, dtype=torch.uint8)],
    ids=["numpy", "torch"],
)
def test_an_allocation_beyond_the_limit_fails_inside_only(take: object) -> None:
    assert callable(take)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(MemoryLimitError, match="more than 3072 MB of memory"), bounded_memory(3 << 30):
        take()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with bounded_memory(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="of another kind"), bounded_memory(8 << 30):
        raise RuntimeError("of another kind")


def test_a_limit_never_lifts_one_that_is_there() -> None:
    with bounded_memory(2 << 30), bounded_memory(4 << 30):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 2 << 30


def test_processes_share_the_memory() -> None:
    whole = memory_share()
    assert whole is not None
    assert whole >= LEAST_MEMORY
    assert memory_share(2) == max(whole // 2, LEAST_MEMORY)
    assert memory_share(1 << 40) == LEAST_MEMORY


@pytest.mark.slow
def test_the_command_obeys_it(ball: tuple[Path, Path], tmp_path: Path) -> None:
    """In a process of its own, whose memory holds nothing else."""
    _, vat = ball
    out = tmp_path / "out.obj"
    command = [sys.executable, "-m", "meshcodec", "decode", str(vat), "-o", str(out), "--device", "cpu"]
    bound = [*command, "--resolution", "400", "--max-memory", "512m"]
    refused = subprocess.run(bound, capture_output=True, text=True, check=False)
    assert refused.returncode == 4
    assert refused.stderr == f"meshcodec: error: {vat}: {WORDS}\n"
    assert list(tmp_path.iterdir()) == []
    allowed = [*command, "--resolution", "200", "--max-memory", "4g"]
    subprocess.run(allowed, check=True, capture_output=True)
    assert out.stat().st_size > 0


@pytest.mark.slow
def test_a_folder_lists_the_files_that_take_too_much(ball: tuple[Path, Path], tmp_path: Path) -> None:
    """In a process of its own: in one that is full already, the limit breaks torch's kernels for good."""
    command = [
        sys.executable,
        "-m",
        "meshcodec",
        "decompress",
        str(ball[1].parent),
        "-o",
        str(tmp_path / "out"),
    ]
    options = ["-j", "1", "--json", "-q", "--device", "cpu", "--resolution", "512", "--max-memory", "512m"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert result.returncode == 3
    (record,) = json.loads(result.stdout)
    assert record["error"] == WORDS
    assert [left.name for left in (tmp_path / "out").iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize("verb", ["encode", "compress", "decode", "decompress"])
@pytest.mark.parametrize("text", ["0", "511m", "many"])
def test_a_limit_below_what_the_program_takes_is_a_usage_error(verb: str, text: str, tmp_path: Path) -> None:
    result = call(verb, tmp_path, "-o", tmp_path / "out", f"--max-memory={text}")
    assert result.exit_code == 2
    assert "--max-memory" in result.stderr
