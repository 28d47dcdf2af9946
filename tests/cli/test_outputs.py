"""Where ``encode`` and ``decode`` write, and what they do not overwrite."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cli import assert_refused, names
from support.commands import call
from support.paths import ROOT


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_outputs_are_guarded_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path, vat: Path, verb: str
) -> None:
    def too_late(*_: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("meshcodec.api.Codec" if verb == "encode" else "meshcodec.engine.Engine", too_late)
    source, there = (obj, vat) if verb == "encode" else (vat, obj)
    before = there.read_bytes()
    decoded = tmp_path / "ball.decoded.obj"
    decoded.touch()
    assert_refused(call(verb, source), 2, f"{decoded if verb == 'decode' else there}: exists", "-f")
    decoded.unlink()
    assert_refused(call(verb, source, "-o", there), 2, f"{there}: exists", "-f")
    assert there.read_bytes() == before
    suffix = there.suffix
    nowhere, inside = tmp_path / "nowhere" / f"a{suffix}", obj / f"a{suffix}"
    assert_refused(call(verb, source, "-o", nowhere), 2, f"{nowhere}: ", "is not a folder")
    assert_refused(call(verb, source, "-o", inside), 2, f"{inside}: ", "is not a folder")
    assert_refused(call(verb, source, "-o", tmp_path, *_format(verb)), 2, f"{tmp_path}: is a folder")
    long = tmp_path / ("x" * 300 + suffix)
    assert_refused(call(verb, source, "-o", long), 2, f"{long}: cannot be written")
    assert_refused(call(verb, source, "-o", "-", "--json"), 2, "--json and -o -")
    assert names(tmp_path) == ["ball.obj", "ball.vat"]


def _format(verb: str) -> tuple[str, ...]:
    return ("--format", "obj") if verb == "decode" else ()


def test_a_read_only_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # who may write everywhere
        monkeypatch.setattr("os.access", lambda path, mode: path != folder)
    assert_refused(call("encode", obj, "-o", folder / "a.vat"), 2, f"{folder / 'a.vat'}: ", "read-only")


def test_force_overwrites(obj: Path, vat: Path, tiny_weights: Path) -> None:
    vat.write_bytes(b"old")
    assert call("encode", obj, "--effort", 0, "--weights", tiny_weights, "-f").exit_code == 0
    assert vat.read_bytes()[:3] == b"VAT"
    obj.write_bytes(b"old")
    decode = ("decode", vat, "-o", obj, "--resolution", 16, "--weights", tiny_weights)
    assert call(*decode, "--force").exit_code == 0
    assert obj.read_bytes()[:2] == b"v "


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_a_decode_never_takes_the_name_of_what_may_be_the_original(
    vat: Path, tiny_weights: Path, tmp_path: Path, kind: str
) -> None:
    words = ("decode", vat, "--format", kind, "--resolution", 16, "--weights", tiny_weights)
    original, decoded = vat.with_suffix(f".{kind}"), tmp_path / f"ball.decoded.{kind}"
    original.unlink(missing_ok=True)
    assert call(*words).exit_code == 0  # nothing is there: the plain name
    assert names(tmp_path) == sorted({"ball.vat", original.name})
    original.write_bytes(b"precious")
    first = call(*words)
    assert first.exit_code == 0
    assert f"{vat} -> {decoded}: " in first.stderr
    assert_refused(call(*words), 2, f"{decoded}: exists", "-f")
    decoded.write_bytes(b"old")
    for _ in range(2):
        assert call(*words, "-f").exit_code == 0
        assert original.read_bytes() == b"precious"
        assert len(decoded.read_bytes()) > 1000
    decoded.unlink()
    original.unlink()
    original.symlink_to(tmp_path / "nowhere")  # where the original may be once more
    assert call(*words, "-f").exit_code == 0
    assert decoded.exists()
    assert original.is_symlink()


def test_unknown_output_formats_are_usage_errors(vat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.fbx"
    assert_refused(call("decode", vat, "-o", out), 2, f"{out}: cannot write 'fbx'", "obj, ply")
    assert call("decode", vat, "--format", "fbx").exit_code == 2
    assert_refused(call("encode", "-"), 2, "a mesh from a pipe", "--file-type")
    assert not out.exists()


@pytest.mark.parametrize("words", [["encode", "ball.obj"], ["decode", "ball.vat", "--format", "stl"]])
def test_binary_is_not_written_to_a_terminal(tmp_path: Path, obj: Path, vat: Path, words: list[str]) -> None:
    terminal, stdout = pty.openpty()
    try:
        command = [sys.executable, "-m", "meshcodec", *words, "-o", "-"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
    finally:
        os.close(stdout)
        os.close(terminal)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "terminal" in done.stderr
