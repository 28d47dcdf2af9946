"""The verbs ``info``, ``verify`` and ``doctor``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import CENTER, RADIUS, assert_refused, messages, vat_bytes
from support.commands import call

import meshcodec


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


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["info", "verify"])
def test_of_several_files_the_good_ones_are_printed(vat: Path, tiny_weights: Path, verb: str) -> None:
    bad, last = vat.with_name("bad.vat"), vat.with_name("last.vat")
    bad.write_bytes(vat.read_bytes()[:-1])
    last.write_bytes(vat.read_bytes())
    result = call(verb, vat, bad, last, "--weights", tiny_weights)
    assert result.exit_code == 3
    assert f"{vat}: " in result.stdout
    assert f"{last}: " in result.stdout
    first, summary = messages(result)
    assert first.startswith(f"meshcodec: error: {bad}: wrong length")
    assert summary == f"meshcodec: error: 1 of 3 files failed: {bad}"
    records = json.loads(call(verb, vat, bad, last, "--weights", tiny_weights, "--json").stdout)
    assert ["error" in record for record in records] == [False, True, False]
    assert call(verb, vat, last, "--weights", tiny_weights).exit_code == 0


@pytest.mark.slow
def test_verify_against_the_original(
    monkeypatch: pytest.MonkeyPatch, vat: Path, obj: Path, tiny_weights: Path
) -> None:
    monkeypatch.setattr("meshcodec.diagnose.DEFAULT_RESOLUTION", 64)
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
    assert messages(damaged)[0].startswith(f"meshcodec: error: {model}: SHA-256")
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
