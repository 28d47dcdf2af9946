"""Files that hold a mesh, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trimesh
from support.cli import assert_refused, messages, python
from support.commands import call
from support.paths import EXAMPLES

from meshcodec.errors import UsageError
from meshcodec.geometry.io import load_mesh
from meshcodec.tokens import TokenDataset


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box.obj"
    trimesh.creation.box((1.0, 2.0, 3.0)).apply_translation((5.0, -3.0, 2.0)).export(path)
    return path


@pytest.fixture
def encoded(box: Path, both_weights: Path) -> Path:
    words = ("--mode", "mesh", "--size", 128, "--effort", 0, "--device", "cpu", "--weights", both_weights)
    assert call("encode", box, *words, "-q").exit_code == 0
    return box.with_suffix(".vat")


@pytest.mark.slow
def test_encode_says_what_it_compared(box: Path, both_weights: Path) -> None:
    words = ("--size", 128, "--effort", 0, "--device", "cpu", "--weights", both_weights)
    result = call("encode", box, *words, "-v", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["mode"], record["packing"], record["tokens"]) == ("mesh", 2, 0)
    compared = record["compared"][0]
    assert compared["mode"] == "mesh"
    assert compared["bytes"] == record["bytes"] == box.with_suffix(".vat").stat().st_size
    faces, vertices = record["mesh"]["faces"], record["mesh"]["vertices"]
    first, second, *_ = messages(result)
    assert f"{record['bytes']} bytes, a mesh of {faces} faces, {vertices} vertices, closed, effort 0" in first
    assert second.startswith("as mesh: F@0.02 ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "glb", "off"])
def test_decode_writes_the_mesh_in_place(
    encoded: Path, both_weights: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"out.{kind}"
    result = call("decode", encoded, "-o", out, "--weights", both_weights)
    assert result.exit_code == 0, result.output
    mesh = load_mesh(out)
    assert mesh.bounds.mean(axis=0) == pytest.approx((5.0, -3.0, 2.0), abs=0.02)
    assert mesh.volume == pytest.approx(6.0, rel=0.05)
    assert f"{len(mesh.faces)} faces, " in messages(result)[0]


@pytest.mark.slow
def test_info_and_verify_show_the_mesh(encoded: Path, both_weights: Path) -> None:
    record = json.loads(call("info", encoded, "--weights", both_weights, "--json").stdout)[0]
    assert (record["mode"], record["tokens"], record["closed"]) == ("mesh", None, True)
    line = f"{record['faces']} faces, {record['vertices']} vertices, {record['bits']} bits a coordinate"
    text = call("info", encoded, "--weights", both_weights).stdout
    assert line in text
    assert "closed" in text
    verified = call("verify", encoded, "--weights", both_weights, "--device", "cpu")
    assert f"{encoded}: ok, " in verified.stdout
    assert "faces, model" in verified.stdout


@pytest.mark.slow
def test_info_without_the_networks_shows_what_the_header_says(encoded: Path, tiny_weights: Path) -> None:
    record = json.loads(call("info", encoded, "--weights", tiny_weights, "--json").stdout)[0]
    assert record["faces"] > 0
    assert (record["vertices"], record["closed"]) == (None, None)
    assert "its networks are not installed" in call("info", encoded, "--weights", tiny_weights).stdout
    refused = call("decode", encoded, "-o", encoded.with_suffix(".ply"), "--weights", tiny_weights)
    assert_refused(refused, 5, encoded, "is not installed", "--weights")


@pytest.mark.slow
def test_tokens_of_a_mesh_are_refused(encoded: Path, both_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ply"
    refused = call("decode", encoded, "-o", out, "--tokens", 5, "--weights", both_weights)
    assert_refused(refused, 2, encoded, "holds a mesh, and no tokens", "encode with --mode tokens")
    assert not out.exists()


@pytest.mark.slow
def test_a_cold_decode_needs_neither_torch_nor_trimesh(encoded: Path, both_weights: Path) -> None:
    script = (
        "import sys\n"
        "from meshcodec.cli.group import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'torch', 'trimesh', 'scipy', 'igl', 'point_cloud_utils'} & set(sys.modules)))\n"
    )
    out = encoded.with_suffix(".off")
    done = python("-c", script, "decode", encoded, "-o", out, "-q", "--weights", both_weights)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert len(load_mesh(out).faces)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "mesh"])
def test_a_mesh_that_suffices_is_encoded_without_torch(mode: str, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from meshcodec.cli.group import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        "print('torch' in sys.modules)\n"
    )
    options = ("--size", "4k", "--effort", "0", "--mode", mode, "-q", "-o", tmp_path / "spot.vat")
    done = python("-c", script, "encode", EXAMPLES / "spot.obj", *options)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.slow
def test_doctor_checks_the_networks_that_code_meshes(both_weights: Path, tmp_path: Path) -> None:
    for path in both_weights.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert "mesh coder, default: ok" in call("doctor", "--weights", tmp_path).stdout
    (networks,) = tmp_path.glob("mesh-coder-*.safetensors")
    networks.write_bytes(networks.read_bytes()[:-1])
    damaged = call("doctor", "--weights", tmp_path, "--json")
    assert damaged.exit_code == 5
    assert [model["state"] == "ok" for model in json.loads(damaged.stdout)["models"]] == [True, False]


@pytest.mark.slow
def test_a_mesh_is_no_row_of_tokens(encoded: Path) -> None:
    with pytest.raises(UsageError, match=r"box\.vat: .*encode with --mode tokens"):
        TokenDataset(encoded.parent)
