"""Decodes with fewer faces, from Python and by the command: closed in every format, near the whole decode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import call
from support.paths import GOLDEN
from support.tiny import write_vat

import meshcodec
from meshcodec.api import Codec
from meshcodec.batch.mirror import decompress
from meshcodec.batch.options import DecompressOptions
from meshcodec.errors import UsageError
from meshcodec.geometry.formats import WRITE_FORMATS
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.metrics import fscore, is_closed


@pytest.fixture
def vat(tmp_path: Path, tiny_weights: Path) -> Path:
    return write_vat(tmp_path / "ball.vat", tiny_weights)


@pytest.mark.slow
def test_python_asks_for_faces(vat: Path, tiny_weights: Path) -> None:
    codec = Codec("cpu", tiny_weights)
    whole, few = codec.decode_detailed(vat, 64), codec.decode_detailed(vat, 64, faces=500)
    assert len(few.mesh.faces) <= 500 < len(whole.mesh.faces)
    assert few.mesh.is_watertight
    assert few.simplified is not None
    assert few.simplified.faces == len(whole.mesh.faces)
    assert 0 < few.simplified.error < 0.02
    assert set(few.seconds) == {*whole.seconds, "simplify"}
    assert fscore(whole.mesh, few.mesh, samples=20_000)[0] > 0.9
    for mesh in (codec.decode(vat, 64, faces=500), *codec.decode_many([vat], 64, faces=500)):
        np.testing.assert_array_equal(mesh.vertices, few.mesh.vertices)
    enough = codec.decode_detailed(vat, 64, faces=len(whole.mesh.faces))
    assert enough.simplified is None
    np.testing.assert_array_equal(enough.mesh.faces, whole.mesh.faces)
    with pytest.raises(UsageError, match="3 faces are too few; ask for 4 or more"):
        codec.decode(vat, 64, faces=3)


def test_the_command_asks_for_faces(vat: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "few.ply"
    options = ("--weights", tiny_weights, "--resolution", 64)
    result = call("decode", vat, "-o", out, *options, "--faces", 500, "-v", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    mesh = load_mesh(out)
    assert len(mesh.faces) == record["faces"] <= 500
    assert is_closed(mesh)
    before = record["simplified"]["faces"]
    assert f"simplified from {before} faces, the surface moved by about " in result.stderr
    assert "simplify " in next(line for line in result.stderr.splitlines() if line.startswith("seconds: "))
    assert call("decode", vat, "-o", out, *options, "--faces", 3).exit_code == 2
    many = call("decode", vat, "-o", out, *options, "--faces", 10**7, "--json", "-f")
    assert json.loads(many.stdout)["simplified"] is None
    assert json.loads(many.stdout)["faces"] == before


def test_a_decode_of_many_faces_names_the_option(
    vat: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--weights", tiny_weights, "--resolution", 32, "-o", vat.with_suffix(".ply"), "-f")
    assert "--faces" not in call("decode", vat, *options).stderr
    monkeypatch.setattr("meshcodec.cli.codec.MANY_FACES", 100)
    said = call("decode", vat, *options).stderr
    assert " faces (--faces N for fewer), resolution 32, " in said
    assert "--faces" not in call("decode", vat, *options, "--faces", 200).stderr


@pytest.mark.slow
def test_folders_ask_for_faces(vat: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    decompress(vat.parent, out, DecompressOptions("ply", 48, "cpu", tiny_weights, faces=300), quiet=True)
    mesh = load_mesh(out / "ball.ply")
    assert len(mesh.faces) <= 300
    assert is_closed(mesh)
    command = ("decompress", vat.parent, "-o", tmp_path / "again", "--format", "ply", "--resolution", 48)
    result = call(*command, "--faces", 300, "--weights", tiny_weights, "--device", "cpu", "-j", 1)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again" / "ball.ply").read_bytes() == (out / "ball.ply").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["burger-12a8363d-512-coded", "sail_ship-12a8363d-4k"])
def test_released_files_have_fewer_faces_and_look_the_same(shipped: Codec, name: str) -> None:
    """Thin and many parts, which decimation folds together."""
    data = (GOLDEN / f"{name}.vat").read_bytes()
    whole, few = shipped.decode(data, 96), shipped.decode(data, 96, faces=10_000)
    assert len(few.faces) <= 10_000
    for kind in WRITE_FORMATS:
        assert is_closed(load_mesh(export_mesh(few, kind), kind))
    close = fscore(whole, few, samples=30_000)
    assert close[0] > 0.995
    assert close[1] > 0.98


def test_the_function_of_the_package_takes_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Codec, "decode", lambda self, *given, **more: asked.append(more))
    meshcodec.decode(b"VAT", device="cpu", faces=77)
    assert asked == [{"faces": 77}]
