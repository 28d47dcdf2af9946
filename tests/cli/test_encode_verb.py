"""The verb ``encode``."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trimesh
from support.cli import CENTER, assert_refused, messages, names
from support.commands import call
from tqdm import tqdm

from meshcodec.cli.options import parse_size
from meshcodec.cli.streams import progress_bar
from meshcodec.format.box import NO_AXES
from meshcodec.format.container import VatFile


def test_encode_writes_beside_the_input_and_says_so_in_one_line(obj: Path, tiny_weights: Path) -> None:
    result = call("encode", obj, "--size", 64, "--effort", 0, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    data = obj.with_suffix(".vat").read_bytes()
    file = VatFile.from_bytes(data)
    assert len(data) == 64
    assert file.center == pytest.approx(CENTER)
    assert result.stdout == ""
    (line,) = messages(result)
    assert line.startswith(f"{obj} -> {obj.with_suffix('.vat')}: 64 bytes, 33 tokens, 3 scales, effort 0, ")


def test_a_compressed_mesh_is_named_like_another(obj: Path, tiny_weights: Path) -> None:
    """``ball.obj.gz`` becomes ``ball.vat``, the file that ``ball.obj`` becomes."""
    packed = obj.with_name("ball.OBJ.gz")
    packed.write_bytes(gzip.compress(obj.read_bytes()))
    options = ("--size", 64, "--effort", 0, "--weights", tiny_weights, "-f")
    assert call("encode", obj, *options).exit_code == 0
    expected = obj.with_suffix(".vat").read_bytes()
    obj.with_suffix(".vat").unlink()
    assert call("encode", packed, *options).exit_code == 0
    assert obj.with_suffix(".vat").read_bytes() == expected
    piped = call("encode", "-", "-o", "-", "--file-type", "obj.gz", *options, data=packed.read_bytes())
    assert piped.stdout_bytes == expected


def test_encode_warns_of_faces_that_own_the_box(obj: Path, tiny_weights: Path) -> None:
    x, y, z = CENTER
    corners = "".join(f"v {x + 900} {y + dy} {z + dz}\n" for dy, dz in ((0, 0), (0.1, 0), (0, 0.1)))
    obj.write_text(f"{obj.read_text()}\n{corners}f 643 644 645\n")
    result = call("encode", obj, "--size", 64, "--effort", 0, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    warning, _ = messages(result)
    assert warning.startswith(
        f"meshcodec: warning: {obj}: 1 of its 1281 faces lie far away, out to (905, -3, "
    )


@pytest.mark.slow
def test_encode_verify_prints_the_scores_of_what_was_written(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("meshcodec.cli.codec.DEFAULT_RESOLUTION", 64)
    # The model was made for whole balls; of an eighth of one it knows nothing.
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *mesh: NO_AXES)
    result = call("encode", obj, "--effort", 0, "--weights", tiny_weights, "--verify", "--json", "-v")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["bytes"] == obj.with_suffix(".vat").stat().st_size
    assert list(record["fscore"]) == ["0.02", "0.01", "0.005"]
    assert record["fscore"]["0.02"] > 0.3  # the model makes a ball of what is a ball
    said = "\n".join(messages(result))
    assert f"F@0.02 {record['fscore']['0.02']:.4f}" in said
    assert "seconds: load " in said


JSON_FIELDS = [
    "input", "output", "bytes", "mode", "mesh", "compared", "tokens", "packing", "scales", "effort",
    "refined", "interrupted", "model", "device", "seconds", "fscore",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("device", ["/dev/null", "pipe"])
def test_what_went_into_a_device_or_a_pipe_is_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path, tiny_weights: Path, device: str
) -> None:
    """Neither gives back what it was given: /dev/null is empty, and a pipe waits for a writer for ever."""
    monkeypatch.setattr("meshcodec.cli.codec.DEFAULT_RESOLUTION", 64)
    out, received = Path(device), []
    if device == "pipe":
        out = tmp_path / "pipe.vat"
        os.mkfifo(out)
    reader = threading.Thread(target=lambda: received.append(out.read_bytes()))
    reader.start()
    options = ("--effort", 0, "--weights", tiny_weights, "--verify", "--json")
    result = call("encode", obj, "-o", out, *options)
    reader.join()
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert list(record) == JSON_FIELDS
    assert 0 < record["fscore"]["0.02"] <= 1
    plain = call("encode", obj, "-o", "-", *options[:4]).stdout_bytes
    assert record["bytes"] == len(plain)
    assert received == [plain if device == "pipe" else b""]


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_refinement_runs_without_a_bar_where_there_is_no_terminal(obj: Path, tiny_weights: Path) -> None:
    result = call("encode", obj, "--effort", 1, "--weights", tiny_weights, "--json")
    assert result.exit_code == 0, result.output
    assert "refine" in json.loads(result.stdout)["seconds"]
    assert len(messages(result)) == 1
    again = call("encode", obj, "--effort", 1, "--weights", tiny_weights, "-o", "-", "-q")
    assert again.stdout_bytes == obj.with_suffix(".vat").read_bytes()
    assert again.stderr == ""


@pytest.mark.parametrize(
    ("terminal", "quiet", "drawn"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_bar_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, quiet: bool, drawn: bool
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr("tqdm.tqdm", functools.partial(tqdm, mininterval=0))  # draws every step
    with progress_bar(quiet) as progress:
        if progress is not None:
            progress(1, 2, 0.5, 0.8)
            progress(2, 2, 0.25, 0.875)
    for words in ("refining", "loss=0.2500", "F@0.02=0.875"):
        assert (words in stderr.getvalue()) == drawn


@pytest.mark.slow
def test_a_mesh_goes_through_pipes(ball: bytes, tiny_weights: Path) -> None:
    options = ("--weights", tiny_weights)
    encoded = call("encode", "-", "--file-type", "obj", "--effort", 0, *options, data=ball)
    assert encoded.exit_code == 0, encoded.output
    assert "<stdin> -> <stdout>" in encoded.stderr
    decoded = call("decode", "-", "--format", "ply", "--resolution", 32, *options, data=encoded.stdout_bytes)
    assert decoded.exit_code == 0, decoded.output
    mesh = trimesh.load_mesh(io.BytesIO(decoded.stdout_bytes), file_type="ply")
    assert mesh.is_watertight


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.obj", b"", "it is empty"),
        ("cloud.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "point cloud"),
        ("nan.obj", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("point.obj", b"v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "zero extent"),
        (
            "far.obj",
            b"v 1000000030 0 0\nv 1000000031 0 0\nv 1000000030 1 0\nf 1 2 3\n",
            "too far from the origin",
        ),
        ("noise.ply", b"\x00\xff\x01", "not a readable ply file"),
        ("text.txt", b"hello", "unknown mesh format"),
    ],
)
def test_a_bad_mesh_is_refused(
    tmp_path: Path, tiny_weights: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(call("encode", path, "--weights", tiny_weights), 4, f"{path}: ", words)
    assert names(tmp_path) == [name]
    if path.suffix != ".txt":
        piped = call("encode", "-", "--file-type", path.suffix, "--weights", tiny_weights, data=content)
        assert_refused(piped, 4, "<stdin>: ", words)


def test_a_missing_mesh_is_bad_input_wherever_it_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "none.obj", tmp_path / "nowhere" / "none.obj"):
        assert_refused(call("encode", path), 4, f"{path}: there is no such file")


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_an_interruption_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path, tiny_weights: Path
) -> None:
    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("meshcodec.cli.codec.progress_bar", lambda quiet: contextlib.nullcontext(press))
    result = call("encode", obj, "--weights", tiny_weights, "--effort", 1)
    assert result.exit_code == 130
    assert messages(result) == ["meshcodec: interrupted"]
    assert names(tmp_path) == [obj.name]


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_an_interrupted_refinement_writes_the_best_found_so_far(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    seen = []

    def press(step: int, steps: int, loss: float, fscore: float) -> None:
        seen.append(step)
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("meshcodec.cli.codec.progress_bar", lambda quiet: contextlib.nullcontext(press))
    previous = signal.getsignal(signal.SIGINT)
    result = call("encode", obj, "--weights", tiny_weights, "--effort", 1)
    assert signal.getsignal(signal.SIGINT) is previous
    assert result.exit_code == 130
    assert seen == [1, 2, 3]
    assert "finishing with the best found so far" in messages(result)[0]
    assert messages(result)[-1] == "meshcodec: interrupted: wrote the best found so far"
    written = obj.with_suffix(".vat")
    back = ("-o", obj.with_name("back.obj"), "--resolution", 32, "--weights", tiny_weights)
    assert call("decode", written, *back).exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_a_time_limit_ends_the_refinement(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    """The clock jumps at the second step, so this does not hang on how fast the machine is."""
    seen, now = [], [100.0]

    def tick(step: int, steps: int, loss: float, fscore: float) -> None:
        seen.append(step)
        now[0] += 60.0 if step == 2 else 0.0

    monkeypatch.setattr("meshcodec.cli.codec.progress_bar", lambda quiet: contextlib.nullcontext(tick))
    monkeypatch.setattr("meshcodec.runtime.clock.time.monotonic", lambda: now[0])
    options = ("--weights", tiny_weights, "--effort", 1, "--time-limit", 30, "-v")
    result = call("encode", obj, *options)
    assert result.exit_code == 0
    assert seen == [1, 2]
    assert messages(result)[-1] == "time limit: wrote the best found so far"
    assert obj.with_suffix(".vat").exists()


def test_a_time_limit_is_a_number_of_seconds(obj: Path) -> None:
    result = call("encode", obj, "--time-limit", 0)
    assert result.exit_code == 2
    assert "--time-limit" in result.output
    assert not obj.with_suffix(".vat").exists()


@pytest.mark.slow
def test_a_quality_that_no_size_reaches(tmp_path: Path, obj: Path, tiny_weights: Path) -> None:
    command = ["encode", obj, "--weights", tiny_weights, "--effort", 0, "--min-fscore", "1@0.005", "--json"]
    refused = call(*command)
    assert_refused(refused, 3, f"{obj}: no size reaches F@0.005 1: the best, of ", "--best-effort")
    assert names(tmp_path) == [obj.name]
    written = call(*command, "--best-effort")
    record = json.loads(written.stdout)
    assert written.exit_code == 0
    assert record["met"] is False
    assert record["fscore"]["0.005"] < 1
    assert record["bytes"] == obj.with_suffix(".vat").stat().st_size


@pytest.mark.slow
def test_an_error_that_is_reached(obj: Path, tiny_weights: Path) -> None:
    result = call("encode", obj, "--weights", tiny_weights, "--effort", 0, "--max-error", 2, "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 0
    assert record["met"] is True
    assert 0 < record["p95"] <= 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--min-fscore", "0.9", "--size", "512"], "exclude each other"),
        (["--best-effort"], "give --min-fscore or --max-error"),
        (["--min-fscore", "high"], "'high' is not an F-score"),
        (["--min-fscore", "0.9@0.03"], "its distance is one of"),
        (["--min-fscore", "1.5"], "lies in 0 to 1"),
        (["--max-error", "0"], "0"),
    ],
)
def test_a_wrong_quality_is_refused(options: list[str], words: str, tmp_path: Path, obj: Path) -> None:
    result = call("encode", obj, *options)
    assert result.exit_code == 2
    assert words in result.output
    assert names(tmp_path) == [obj.name]


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("1k", 1024), ("4K", 4096), ("3k", 3072), ("777", 777)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["63", "0k", "-1k", "1.5k", "k", "1m", "", "٥١٢"])
def test_what_is_no_size_is_a_usage_error(text: str, obj: Path) -> None:
    result = call("encode", obj, f"--size={text}")
    assert result.exit_code == 2
    assert "--size" in result.stderr
