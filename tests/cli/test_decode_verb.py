"""The verb ``decode``, and what every verb that reads a ``.vat`` file refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from support.cli import CENTER, RADIUS, assert_refused, messages, names, vat_bytes
from support.commands import call

from meshcodec.format.container import VatFile
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import is_closed


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
    (line,) = messages(result)
    said = f"{vat} -> {out}: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces, resolution 32, "
    assert line.startswith(said) or kind == "stl"  # trimesh merges the vertices of an STL


@pytest.mark.slow
def test_decode_says_how_much_of_the_grid_it_looked_at(vat: Path, tiny_weights: Path) -> None:
    options = ("--weights", tiny_weights, "--resolution", 64)
    result = call("decode", vat, *options, "-v", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert list(record) == [
        "input", "output", "mode", "model", "vertices", "faces", "resolution", "tokens", "evaluated", "total",
        "device", "seconds",
    ]  # fmt: skip
    assert record["total"] == 65**3
    assert record["evaluated"] < record["total"]
    share = 100 * record["evaluated"] / 65**3
    assert (
        f"field evaluated at {record['evaluated']} of the 274625 points of a 64^3 grid ({share:.1f} %)"
        in messages(result)
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


FAR = (500123.0, 5412345.0, 320.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "glb", "off"])
def test_a_decode_far_from_the_origin_is_in_place_and_closed(
    tmp_path: Path, tiny_weights: Path, kind: str
) -> None:
    file = VatFile.from_bytes(vat_bytes(tiny_weights))
    size = 100.0 if kind == "stl" else 1.0  # a smaller one is not written as STL there
    for name, center in (("near", (0.0, 0.0, 0.0)), ("far", FAR)):
        moved = dataclasses.replace(file, center=center, half_extents=(size, size, size))
        (tmp_path / f"{name}.vat").write_bytes(moved.to_bytes())
        result = call("decode", tmp_path / f"{name}.vat", "--format", kind, "--weights", tiny_weights)
        assert result.exit_code == 0, result.output
        warned = [line for line in messages(result) if line.startswith("meshcodec: warning: STL has float32")]
        assert len(warned) == (kind == "stl" and name == "far")
    near, far = (load_mesh(tmp_path / f"{name}.{kind}") for name in ("near", "far"))
    assert is_closed(near)
    if kind != "stl":  # which cannot, and says so
        assert is_closed(far)
        np.testing.assert_allclose(far.bounds - FAR, near.bounds, rtol=0, atol=2e-6)


@pytest.mark.slow
def test_a_small_mesh_far_from_the_origin_is_no_stl(tmp_path: Path, tiny_weights: Path) -> None:
    file = VatFile.from_bytes(vat_bytes(tiny_weights))
    moved = dataclasses.replace(file, center=FAR, half_extents=(1.0, 1.0, 1.0))
    (tmp_path / "far.vat").write_bytes(moved.to_bytes())
    result = call("decode", tmp_path / "far.vat", "--format", "stl", "--weights", tiny_weights)
    said = f"{tmp_path / 'far.vat'}: STL has float32 only, which moves vertices by up to"
    assert_refused(result, 2, said, "write PLY, OBJ, OFF or GLB")
    assert not (tmp_path / "far.stl").exists()


def test_verify_looks_at_what_is_written(
    vat: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        return trimesh.Trimesh(mesh.vertices, mesh.faces[1:], process=False)

    monkeypatch.setattr("meshcodec.geometry.io.as_written", torn)
    assert_refused(call("verify", vat, "--weights", tiny_weights), 4, f"{vat}: its tokens decode to an open")


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
