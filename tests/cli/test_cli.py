from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner, Result
from support.paths import ROOT
from tqdm import tqdm

import meshcodec
from meshcodec.cli.group import cli
from meshcodec.cli.options import parse_size
from meshcodec.cli.streams import progress_bar
from meshcodec.format.box import NO_AXES
from meshcodec.format.container import VatFile

REPOSITORY = ROOT
CENTER, RADIUS = (5.0, -3.0, 2.0), 4.0


@pytest.fixture(scope="session")
def ball(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The OBJ of a ball away from the origin, which the tiny model can decode."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=RADIUS)
    mesh.apply_translation(CENTER)
    text = mesh.export(file_type="obj")
    assert isinstance(text, str)
    return text.encode()


@pytest.fixture
def obj(tmp_path: Path, ball: bytes) -> Path:
    path = tmp_path / "ball.obj"
    path.write_bytes(ball)
    return path


@pytest.fixture
def vat(tmp_path: Path, tiny_weights: Path) -> Path:
    path = tmp_path / "ball.vat"
    path.write_bytes(vat_bytes(tiny_weights))
    return path


def vat_bytes(weights: Path, model: bytes | None = None, tokens: bytes = bytes(range(0, 252, 4))) -> bytes:
    default = json.loads((weights / "registry.json").read_text())["default"]
    return VatFile.of_tokens(
        tokens, model or bytes.fromhex(default), CENTER, (RADIUS, RADIUS, RADIUS)
    ).to_bytes()


def call(*words: object, data: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], input=data)


def talk(result: Result) -> list[str]:
    return result.stderr.splitlines()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_refused(result: Result, code: int, start: object, *words: str) -> None:
    """Exit code, and one line that starts with the file's name and says what is wrong and what to do."""
    assert result.exit_code == code, result.output
    (line,) = talk(result)
    assert line.startswith(f"meshcodec: error: {start}")
    assert all(word in line for word in words), line
    assert "; " in line
    assert result.stdout_bytes == b""


def python(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
        **options,
    )


# ---- encode


def test_encode_writes_beside_the_input_and_says_so_in_one_line(obj: Path, tiny_weights: Path) -> None:
    result = call("encode", obj, "--size", 64, "--effort", 0, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    data = obj.with_suffix(".vat").read_bytes()
    file = VatFile.from_bytes(data)
    assert len(data) == 64
    assert file.center == pytest.approx(CENTER)
    assert result.stdout == ""
    (line,) = talk(result)
    assert line.startswith(f"{obj} -> {obj.with_suffix('.vat')}: 64 bytes, 33 tokens, 3 scales, effort 0, ")


def test_encode_verify_prints_the_scores_of_what_was_written(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("meshcodec.modes.config.DEFAULT_RESOLUTION", 64)
    # The model was made for whole balls; of an eighth of one it knows nothing.
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *mesh: NO_AXES)
    result = call("encode", obj, "--effort", 0, "--weights", tiny_weights, "--verify", "--json", "-v")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["bytes"] == obj.with_suffix(".vat").stat().st_size
    assert list(record["fscore"]) == ["0.02", "0.01", "0.005"]
    assert record["fscore"]["0.02"] > 0.3  # the model makes a ball of what is a ball
    said = "\n".join(talk(result))
    assert f"F@0.02 {record['fscore']['0.02']:.4f}" in said
    assert "seconds: load " in said


def test_refinement_runs_without_a_bar_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("meshcodec.modes.tokens.judge.CHECK_RESOLUTION", 32)
    result = call("encode", obj, "--effort", 1, "--weights", tiny_weights, "--json")
    assert result.exit_code == 0, result.output
    assert "refine" in json.loads(result.stdout)["seconds"]
    assert len(talk(result)) == 1
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


def test_an_interruption_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path, tiny_weights: Path
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("meshcodec.modes.tokens.refine.refine", interrupted)
    result = call("encode", obj, "--weights", tiny_weights)
    assert result.exit_code == 130
    assert talk(result) == ["meshcodec: interrupted"]
    assert names(tmp_path) == [obj.name]


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
    result = call("encode", obj, "--weights", tiny_weights, "--effort", 9)
    assert signal.getsignal(signal.SIGINT) is previous
    assert result.exit_code == 130
    assert seen == [1, 2, 3]
    assert "finishing with the best found so far" in talk(result)[0]
    assert talk(result)[-1] == "meshcodec: interrupted: wrote the best found so far"
    written = obj.with_suffix(".vat")
    back = ("-o", obj.with_name("back.obj"), "--resolution", 32, "--weights", tiny_weights)
    assert call("decode", written, *back).exit_code == 0


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


# ---- decode


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "glb", "off"])
def test_decode_writes_a_closed_mesh_in_place(
    vat: Path, tiny_weights: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"out.{kind}"
    result = call("decode", vat, "-o", out, "--resolution", 32, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    mesh = trimesh.load_mesh(out, file_type=kind)
    assert mesh.is_watertight
    assert mesh.volume > 0
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), CENTER, atol=0.1 * RADIUS)
    np.testing.assert_allclose(np.ptp(mesh.bounds, axis=0), 2 * RADIUS, rtol=0.1)
    (line,) = talk(result)
    said = f"{vat} -> {out}: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces, resolution 32, "
    assert line.startswith(said) or kind == "stl"  # trimesh merges the vertices of an STL


def test_decode_says_how_much_of_the_grid_it_looked_at(vat: Path, tiny_weights: Path) -> None:
    options = ("--weights", tiny_weights, "--resolution", 64)
    result = call("decode", vat, *options, "-v", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["total"] == 65**3
    assert record["evaluated"] < record["total"]
    share = 100 * record["evaluated"] / 65**3
    assert (
        f"field evaluated at {record['evaluated']} of the 274625 points of a 64^3 grid ({share:.1f} %)"
        in talk(result)
    )
    dense = call("decode", vat, *options, "--dense", "--json", "-o", vat.with_suffix(".off"), "-q")
    assert dense.stderr == ""
    assert json.loads(dense.stdout)["evaluated"] == 65**3
    assert json.loads(dense.stdout)["faces"] == record["faces"]


def test_decode_of_a_prefix(vat: Path, tiny_weights: Path) -> None:
    options = ("--weights", tiny_weights, "--resolution", 32, "-o", "-")
    whole, part = call("decode", vat, *options), call("decode", vat, *options, "--tokens", 3)
    assert whole.exit_code == part.exit_code == 0
    assert whole.stdout_bytes != part.stdout_bytes
    cut = vat.with_name("cut.vat")
    cut.write_bytes(vat_bytes(tiny_weights, tokens=VatFile.from_bytes(vat.read_bytes()).tokens()[:3]))
    assert call("decode", cut, *options).stdout_bytes == part.stdout_bytes
    assert_refused(call("decode", vat, *options, "--tokens", 64), 2, f"{vat}: --tokens 64", "63 tokens")


def _newer(data: bytes) -> bytes:
    return data[:3] + b"\x02" + data[4:]


def _flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 4]) + data[41:]


BAD_FILES = [
    ("empty", lambda data: b"", "empty"),
    ("truncated", lambda data: data[:-1], "wrong length"),
    ("header", lambda data: data[:9], "too short"),
    ("flipped", _flipped, "checksum"),
    ("newer", _newer, "newer"),
    ("other", lambda data: b"PK\x03\x04" + data, "not a .vat file"),
]


@pytest.mark.parametrize("verb", ["decode", "info", "verify"])
@pytest.mark.parametrize(("name", "damage", "words"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES])
def test_a_corrupt_file_is_refused(
    tmp_path: Path, tiny_weights: Path, verb: str, name: str, damage: Any, words: str
) -> None:
    path = tmp_path / f"{name}.vat"
    path.write_bytes(damage(vat_bytes(tiny_weights)))
    assert_refused(call(verb, path, "--weights", tiny_weights), 4, f"{path}: ", words)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("verb", ["decode", "info", "verify"])
def test_a_missing_file_is_refused(tmp_path: Path, tiny_weights: Path, verb: str) -> None:
    path = tmp_path / "none.vat"
    assert_refused(call(verb, path, "--weights", tiny_weights), 4, f"{path}: there is no such file")
    assert_refused(call(verb, tmp_path, "--weights", tiny_weights), 4, f"{tmp_path}: cannot be read")


@pytest.mark.parametrize("verb", ["decode", "verify"])
def test_an_unknown_model_is_about_weights(tmp_path: Path, tiny_weights: Path, verb: str) -> None:
    path = tmp_path / "stranger.vat"
    path.write_bytes(vat_bytes(tiny_weights, model=b"\xde\xad\xbe\xef"))
    assert_refused(
        call(verb, path, "--weights", tiny_weights), 5, f"{path}: made with model deadbeef", "--weights"
    )
    assert names(tmp_path) == [path.name]


def test_too_many_tokens_for_the_model(tmp_path: Path, tiny_weights: Path) -> None:
    path = tmp_path / "long.vat"
    path.write_bytes(vat_bytes(tiny_weights, tokens=bytes(64)))
    assert_refused(call("verify", path, "--weights", tiny_weights), 4, f"{path}: 64 tokens")


# ---- outputs


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_outputs_are_guarded_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obj: Path, vat: Path, verb: str
) -> None:
    def too_late(*_: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("meshcodec.api.Codec", too_late)
    source, there = (obj, vat) if verb == "encode" else (vat, obj)
    before = there.read_bytes()
    assert_refused(call(verb, source), 2, f"{there}: exists", "-f")
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
    assert call("decode", vat, "--resolution", 16, "--weights", tiny_weights, "--force").exit_code == 0
    assert obj.read_bytes()[:2] == b"v "


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
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
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


# ---- info, verify, doctor


def test_info_explains_a_file(vat: Path, tiny_weights: Path) -> None:
    result = call("info", vat, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    assert f"{vat}: 94 bytes, format version 1" in result.stdout
    assert "(ball)" in result.stdout
    assert "3 whole of 3; cells a side: 1 2 4" in result.stdout
    (record,) = json.loads(call("info", vat, "--weights", tiny_weights, "--json").stdout)
    assert record["tokens"] == 63
    assert record["center"] == list(CENTER)
    assert record["scale"] == RADIUS


@pytest.mark.parametrize(
    ("tokens", "sides", "whole"), [(3, [1], 1), (4, [1, 2], 1), (15, [1, 2], 2), (16, [1, 2, 4], 2)]
)
def test_info_counts_scales(vat: Path, tiny_weights: Path, tokens: int, sides: list[int], whole: int) -> None:
    vat.write_bytes(vat_bytes(tiny_weights, tokens=bytes(tokens)))
    (record,) = json.loads(call("info", vat, "--weights", tiny_weights, "--json").stdout)
    assert record["scales"] == {"sides": sides, "whole": whole, "of": 3}


def test_info_of_an_unknown_model_is_no_error(vat: Path, tiny_weights: Path) -> None:
    vat.write_bytes(vat_bytes(tiny_weights, model=b"\xde\xad\xbe\xef"))
    result = call("info", vat, "--weights", tiny_weights)
    assert result.exit_code == 0
    assert "deadbeef (not installed)" in result.stdout
    folder = vat.with_name("weights")
    assert_refused(call("info", vat, "--weights", folder), 5, f"{folder / 'registry.json'}: ")
    folder.mkdir()
    for damaged in ("", "[]", '{"default": "00", "models": []}'):
        (folder / "registry.json").write_text(damaged)
        assert_refused(call("info", vat, "--weights", folder), 5, f"{folder / 'registry.json'}: ")


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_of_several_files_the_good_ones_are_printed(vat: Path, tiny_weights: Path, verb: str) -> None:
    bad, last = vat.with_name("bad.vat"), vat.with_name("last.vat")
    bad.write_bytes(vat.read_bytes()[:-1])
    last.write_bytes(vat.read_bytes())
    result = call(verb, vat, bad, last, "--weights", tiny_weights)
    assert result.exit_code == 3
    assert f"{vat}: " in result.stdout
    assert f"{last}: " in result.stdout
    first, summary = talk(result)
    assert first.startswith(f"meshcodec: error: {bad}: wrong length")
    assert summary == f"meshcodec: error: 1 of 3 files failed: {bad}"
    records = json.loads(call(verb, vat, bad, last, "--weights", tiny_weights, "--json").stdout)
    assert ["error" in record for record in records] == [False, True, False]
    assert call(verb, vat, last, "--weights", tiny_weights).exit_code == 0


def test_verify_against_the_original(
    monkeypatch: pytest.MonkeyPatch, vat: Path, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("meshcodec.modes.config.DEFAULT_RESOLUTION", 64)
    result = call("verify", vat, "--against", obj, "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    match = re.search(r"F@0\.02 (\d\.\d+)  F@0\.01 (\d\.\d+)  F@0\.005 (\d\.\d+)\n", result.stdout)
    assert match is not None
    assert float(match[1]) > 0.3
    assert_refused(call("verify", vat, "--against", "none.obj"), 4, "none.obj: there is no such file")


def test_verify_refuses_an_open_mesh(monkeypatch: pytest.MonkeyPatch, vat: Path, tiny_weights: Path) -> None:
    monkeypatch.setattr("meshcodec.metrics.is_closed", lambda mesh: False)
    assert_refused(
        call("verify", vat, "--weights", tiny_weights), 4, f"{vat}: its tokens decode to an open mesh"
    )


def test_doctor(tiny_weights: Path, tmp_path: Path) -> None:
    result = call("doctor", "--weights", tiny_weights)
    assert result.exit_code == 0, result.output
    assert "ball, default: ok" in result.stdout
    report = json.loads(call("doctor", "--json", "--weights", tiny_weights).stdout)
    assert report["versions"]["meshcodec"] == meshcodec.__version__
    assert report["device"] in ("cpu", "cuda")
    assert f"kernel    {report['kernel']} ({report['kernel_reason']})" in result.stdout

    for path in tiny_weights.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (model,) = tmp_path.glob("*.safetensors")
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    damaged = call("doctor", "--json", "--weights", tmp_path)
    assert damaged.exit_code == 5
    assert "SHA-256" in json.loads(damaged.stdout)["models"][0]["state"]
    assert talk(damaged)[0].startswith(f"meshcodec: error: {model}: SHA-256")
    model.unlink()
    assert call("doctor", "--weights", tmp_path).exit_code == 5
    assert call("doctor", "--weights", tmp_path / "none").exit_code == 5


def test_doctor_says_which_kernel_runs_and_why(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCODEC_KERNEL", "reference")
    result = call("doctor", "--weights", tiny_weights)
    assert "kernel    reference (MESHCODEC_KERNEL=reference)" in result.stdout
    monkeypatch.setenv("MESHCODEC_KERNEL", "none")
    assert_refused(call("doctor", "--weights", tiny_weights), 2, "MESHCODEC_KERNEL=none", "auto, reference")


def test_damaged_weights_are_not_blamed_on_the_input(obj: Path, tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "registry.json").write_bytes((tiny_weights / "registry.json").read_bytes())
    result = call("encode", obj, "--weights", folder)
    assert_refused(result, 5, folder, "cannot be read", "--weights")
    assert not obj.with_suffix(".vat").exists()


def test_a_device_that_is_not_there_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_refused(call("encode", obj, "--device", "cuda", "--weights", tiny_weights), 2, "--device cuda")


def test_bench_prints_its_table_and_lists_what_failed(
    monkeypatch: pytest.MonkeyPatch, obj: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    from meshcodec.evaluation.bench.run import run_bench

    monkeypatch.setattr(
        "meshcodec.evaluation.bench.run.run_bench", functools.partial(run_bench, samples=2000)
    )
    words = ("bench", obj.parent, "-o", tmp_path / "out", "--sizes", "64,1k", "--effort", 0, "-j", 1)
    options = ("--resolution", 32, "--weights", tiny_weights, "--device", "cpu")
    result = call(*words, *options)
    assert result.exit_code == 0, result.output
    assert "| 64 " in result.stdout
    assert (tmp_path / "out" / "rows.json").is_file()
    obj.with_name("empty.obj").write_bytes(b"")
    failed = call(*words, *options, "--json")
    assert failed.exit_code == 3
    assert [row["size"] for row in json.loads(failed.stdout)] == [64, 1024] * 2
    assert talk(failed)[-1].startswith("meshcodec: error: 1 files failed: empty.obj (")


# ---- start


HEAVY = ("torch", "numpy", "trimesh", "scipy", "igl", "safetensors", "tqdm")


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
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert f'\nversion = "{meshcodec.__version__}"\n' in project


@pytest.mark.parametrize(("said", "found"), [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_threads_do_not_wait_long_for_each_other(
    vat: Path, tiny_weights: Path, tmp_path: Path, said: dict[str, str], found: str
) -> None:
    """libgomp says what it has understood when it is loaded; other libraries have no such variable."""
    plain = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    told = plain | {"OMP_DISPLAY_ENV": "VERBOSE"}
    library = python("-c", "import torch", env=told)
    words = ["decode", vat, "-o", tmp_path / "out.ply", "--weights", tiny_weights]
    ours = python("-m", "meshcodec", *words, env=told | said)
    assert ours.returncode == 0, ours.stderr
    assert ("GOMP_SPINCOUNT" in library.stderr) == (f"GOMP_SPINCOUNT = '{found}'" in ours.stderr)


def test_a_reader_that_leaves_is_no_crash(vat: Path, tiny_weights: Path) -> None:
    command = [sys.executable, "-m", "meshcodec", "info", "--weights", str(tiny_weights), *[str(vat)] * 5]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY) as process:
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


def test_defaults_are_those_of_the_python_interface() -> None:
    from meshcodec import config
    from meshcodec.modes.tokens.efforts import EFFORTS

    def option(verb: str, name: str) -> Any:
        (found,) = (parameter for parameter in cli.commands[verb].params if parameter.name == name)
        return found

    assert option("encode", "effort").default == config.DEFAULT_EFFORT
    assert option("encode", "effort").type.max == len(EFFORTS) - 1
    assert option("decode", "resolution").default == config.DEFAULT_RESOLUTION


# ---- training


@pytest.fixture
def handlers() -> Iterator[None]:
    """The trainer takes the signals over and keeps them."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_prepare_run_and_export(tmp_path: Path, ball: bytes, tiny_weights: Path) -> None:
    from support.tiny import TINY

    for folder in ("held", "rest"):
        (tmp_path / "corpus" / folder).mkdir(parents=True)
        (tmp_path / "corpus" / folder / "ball.obj").write_bytes(ball)
    recipe = {
        "model": TINY.to_dict(), "steps": 3, "quantize_from": 1, "batch": 2, "points": 256, "queries": 96,
        "validate_meshes": 1, "validation_sources": ["held"], "procedural_meshes": 0,
    }  # fmt: skip
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    cache, run, weights = tmp_path / "cache", tmp_path / "run", tmp_path / "weights"
    # In a process of its own: its workers are forked, which threads of torch would not survive.
    done = python("-m", "meshcodec", "train", "prepare", tmp_path / "corpus", "-o", cache, "--recipe",
                  tmp_path / "recipe.json", "-j", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 meshes, 0 newly left out" in done.stderr

    words = ("train", "run", tmp_path / "recipe.json", "--cache", cache, "-o", run, "--device", "cpu")
    result = call(*words, "--from-weights", tiny_weights)
    assert result.exit_code == 0, result.output
    exported = call("train", "export", run, "-o", weights, "--name", "tiny-1")
    assert exported.exit_code == 0, exported.output
    report = json.loads(call("doctor", "--json", "--weights", weights).stdout)
    assert [(m["id"], m["name"], m["state"]) for m in report["models"]] == [
        (exported.stdout.strip(), "tiny-1", "ok")
    ]

    (tmp_path / "recipe.json").write_text(json.dumps({**recipe, "model": {**TINY.to_dict(), "width": 64}}))
    assert_refused(call(*words, "--from-weights", tiny_weights), 2, tmp_path / "recipe.json", "its model")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[1]", "not a recipe"),
        ('{"stepps": 3}', "stepps"),
        ('{"model": {"depth": 3}}', "depth"),
        ('{"model": 3}', "not a recipe"),
    ],
)
def test_a_bad_recipe_is_a_usage_error(tmp_path: Path, content: str | None, words: str) -> None:
    recipe = tmp_path / "recipe.json"
    if content is not None:
        recipe.write_text(content)
    prepare = call("train", "prepare", tmp_path, "-o", tmp_path / "cache", "--recipe", recipe)
    assert_refused(prepare, 2, f"{recipe}: ", words)
    run = call("train", "run", recipe, "--cache", tmp_path / "cache", "-o", tmp_path / "run")
    assert_refused(run, 2, f"{recipe}: ", words)
    assert not (tmp_path / "run").exists()


def test_export_refuses_what_is_no_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    words = ("train", "export", tmp_path, "-o", tmp_path / "weights", "--name")
    assert_refused(call(*words, "a"), 2, f"{checkpoint}: there is no such file")
    checkpoint.write_bytes(b"not a checkpoint")
    assert_refused(call(*words, "a"), 2, f"{checkpoint}: not a checkpoint")
    assert_refused(call(*words, "../a"), 2, "--name '../a'")
    assert not (tmp_path / "weights").exists()
