"""The command itself: what it loads, how it starts and ends, and its defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.cli import python
from support.paths import ROOT

import meshcodec
from meshcodec.cli import cli
from meshcodec.modes.tokens.efforts import EFFORTS

HEAVY = ("torch", "numpy", "trimesh", "scipy", "igl", "safetensors", "tqdm")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["--help"], ["encode", "--help"], ["info", "VAT"], ["info", "VAT", "--json"]]
)
def test_nothing_heavy_is_imported(vat: Path, tiny_weights: Path, words: list[str]) -> None:
    words = [str(vat) if word == "VAT" else word for word in words]
    weights = ["--weights", str(tiny_weights)] if words[0] == "info" else []
    script = (
        "import sys, meshcodec\nfrom meshcodec.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = python("-c", script, *words, *weights)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == "[]\n"


def test_the_package_runs_as_a_module() -> None:
    done = python("-m", "meshcodec", "--version")
    assert (done.returncode, done.stdout) == (0, f"meshcodec {meshcodec.__version__}\n")
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{meshcodec.__version__}"\n' in project


def test_nothing_is_searched_for_garbage_at_the_end() -> None:
    script = (
        "import atexit, gc, sys\nfrom meshcodec.cli import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000, file=sys.stderr))\n"
        "sys.argv[1:] = ['--version']\nmain()"
    )
    done = python("-c", script)
    assert (done.returncode, done.stderr) == (0, "True\n")


@pytest.mark.slow
def test_tokens_are_decoded_without_trimesh(vat: Path, tiny_weights: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom meshcodec.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules, 'trimesh' in sys.modules, file=sys.stderr)"
    )
    options = ["--weights", str(tiny_weights), "--device", "cpu", "--resolution", "16", "-q"]
    done = python("-c", script, "decode", str(vat), "-o", str(tmp_path / "out.obj"), *options)
    assert (done.returncode, done.stderr) == (0, "True False\n")


def test_a_reader_that_leaves_is_no_crash(vat: Path, tiny_weights: Path) -> None:
    command = [sys.executable, "-m", "meshcodec", "info", "--weights", str(tiny_weights), *[str(vat)] * 5]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_package_loads_the_codec_when_it_is_asked_for() -> None:
    from meshcodec import api

    assert meshcodec.encode is api.encode
    assert meshcodec.Codec is api.Codec
    assert set(meshcodec.__all__) <= set(dir(meshcodec))
    with pytest.raises(AttributeError, match="nothing"):
        meshcodec.nothing  # noqa: B018


def test_the_options_name_every_effort() -> None:
    (effort,) = (option for option in cli.commands["encode"].params if option.name == "effort")
    assert isinstance(effort.type, click.IntRange)
    assert (effort.type.min, effort.type.max) == (0, len(EFFORTS) - 1)
