"""Hostile and broken meshes: each is refused in one line that says why, or encoded to something near it.

Every row of `support.bad_meshes` goes through the command line.
"""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support.bad_meshes import (
    BINARY,
    CORNERS,
    OBJ,
    SHEETS,
    TABLE,
    ball,
    mesh,
    ply,
    scene,
    sparse,
)
from support.commands import call

from meshcodec.api import Codec
from meshcodec.cli.group import cli
from meshcodec.config import DEFAULT_RESOLUTION, MAX_BYTES, MAX_FACES
from meshcodec.errors import BadMeshError
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore

RESOLUTION = 64
"""Cells along an axis, of all rows but sheets."""


@pytest.mark.slow
@pytest.mark.filterwarnings("error")  # a warning of a library would be a second line
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=() if isinstance(outcome, str) else pytest.mark.slow)
        for row, (_, outcome) in TABLE.items()
    ],
)
def test_hostile_and_broken_meshes(row: str, tmp_path: Path, shipped: Codec) -> None:
    make, outcome = TABLE[row]
    path = make(tmp_path)
    out = tmp_path / "out.vat"
    before = sorted(tmp_path.rglob("*"))
    result = call("encode", path, "-o", out, "--effort", 0, "--device", "cpu")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    (line,) = result.stderr.splitlines()
    assert result.stdout_bytes == b""
    if isinstance(outcome, str):
        assert result.exit_code == 4, line
        assert line.startswith(f"meshcodec: error: {repr(str(path))[1:-1]}: "), line
        assert outcome in line
        assert "; " in line
        assert sorted(tmp_path.rglob("*")) == before
    else:
        assert result.exit_code == 0, line
        decoded = shipped.decode(out.read_bytes(), DEFAULT_RESOLUTION if row in SHEETS else RESOLUTION)
        (score,) = fscore(load_mesh(path), decoded, taus=(0.02,), samples=10_000)
        print(f"{row}: F@0.02 {score:.3f}")
        assert score >= outcome


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 40
    assert sum(isinstance(outcome, float) for _, outcome in TABLE.values()) >= 15


# ---- the limits


def test_the_limits_of_the_command_line_are_those_of_the_loader(shipped: Codec) -> None:
    defaults = {
        option.name: option.get_default(context)
        for verb in ("encode", "compress")
        for context in [cli.commands[verb].make_context(verb, ["x", "-o", "y"])]
        for option in cli.commands[verb].params
    }
    assert (defaults["max_faces"], defaults["max_bytes"]) == (MAX_FACES, "512m")
    assert MAX_BYTES == 512 << 20
    assert (shipped.max_faces, shipped.max_bytes) == (MAX_FACES, MAX_BYTES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--max-faces", 1279],
            "more than 1279 faces; simplify the mesh first, or allow more with --max-faces",
        ),
        (
            ["--max-bytes", "4k"],
            "larger than 4096 bytes; simplify the mesh first, or allow more with --max-bytes",
        ),
    ],
)
def test_the_limits_can_be_set(options: list[object], words: str, tmp_path: Path) -> None:
    path = mesh(ball(), "ply")(tmp_path)
    refused = call("encode", path, *options)
    assert refused.exit_code == 4
    assert refused.stderr == f"meshcodec: error: {path}: it has {words}\n".replace("has larger", "is larger")
    data = path.read_bytes()
    piped = call("encode", "-", "--file-type", "ply", "-o", "-", *options, data=data)
    assert piped.exit_code == 4
    assert piped.stderr == refused.stderr.replace(str(path), "<stdin>")
    out = tmp_path / "out"
    folder = call("compress", tmp_path, "-o", out, *options, "-j", 1, "--effort", 0, "--json", "-q")
    assert folder.exit_code == 3
    assert words.partition(";")[0] in json.loads(folder.stdout)[0]["error"]
    assert [left.name for left in out.iterdir()] == ["manifest.jsonl"]
    assert call("encode", path, "--max-faces", 1280, "--max-bytes", "1m", "--effort", 0).exit_code == 0


@pytest.mark.parametrize("text", ["0", "-1", "1.5g", "many", "", "9" * 16])
def test_what_is_no_number_of_bytes_is_a_usage_error(text: str, tmp_path: Path) -> None:
    result = call("encode", mesh(ball())(tmp_path), f"--max-bytes={text}")
    assert result.exit_code == 2
    assert "--max-bytes" in result.stderr


def test_compress_lists_what_is_no_regular_file(tmp_path: Path) -> None:
    """A pipe in a folder would be waited for, and a device read, for ever."""
    source = tmp_path / "in"
    source.mkdir()
    os.mkfifo(source / "pipe.obj")
    (source / "zero.obj").symlink_to("/dev/zero")
    (source / "gone.obj").symlink_to("nowhere")
    sparse(source)
    result = call("compress", source, "-o", tmp_path / "out", "-j", 1, "--json", "-q")
    assert result.exit_code == 3
    errors = {record["input"]: record["error"].partition(";")[0] for record in json.loads(result.stdout)}
    assert errors == {
        "gone.obj": "cannot be read (No such file or directory)",
        "pipe.obj": "it is not a regular file",
        "sparse.obj": f"it is larger than {MAX_BYTES} bytes",
        "zero.obj": "it is not a regular file",
    }


def test_decompress_lists_what_is_no_regular_file(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    os.mkfifo(source / "pipe.vat")
    sparse(source).rename(source / "sparse.vat")
    result = call("decompress", source, "-o", tmp_path / "out", "-j", 1, "--json", "-q")
    assert result.exit_code == 3
    errors = {record["input"]: record["error"].partition(";")[0] for record in json.loads(result.stdout)}
    assert errors == {
        "pipe.vat": "it is not a regular file",
        "sparse.vat": "it is larger than 131072 bytes",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("ply", ply(CORNERS + b"3 0 1 2\n" + b"\n" * 1_000_000)),
        ("ply", ply(b"0 0 0\n" * 170_000, vertices=170_000, faces=0)),
        ("off", b"OFF\n3 1 0\n" + b"\n" * 1_000_000 + CORNERS + b"3 0 1 2\n"),
        ("off", b"OFF\n170000 0 0\n" + b"0 0 0\n" * 170_000),
        ("off", b"OFF 170000 0 0 " + b"0 0 0 " * 170_000),
        ("obj", OBJ + b"f 1 2 3\n" + b"\n" * 1_000_000),
        ("obj", OBJ * 50_000 + b"f 1 2 3\n"),
        ("stl", b"solid\n" + b"vertex 0 0 0\n" * 75_000 + b"endsolid"),
        ("gltf", b'{"nodes": [' + b"{}," * 300_000 + b"{}]}"),
    ],
)
def test_reading_takes_a_bounded_multiple_of_the_file(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        load_mesh(path)
    except BadMeshError:
        pass  # some of these have no surface; what they cost is the question
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Python's objects for the JSON of a glTF are what they are; its number of values is limited instead.
    assert peak < (100 if kind == "gltf" else 32) * len(data)


@pytest.mark.slow
@pytest.mark.parametrize("polygon", [[0, 1, 2], [0, 1, 2, 3], [0, 1, 4, 2, 3]])
def test_a_triangle_takes_a_bounded_number_of_bytes(polygon: list[int], tmp_path: Path) -> None:
    """Where a file has few bytes for each: numbers of one byte, and polygons, here also concave ones."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0]], dtype="<f4")
    rows = bytes([len(polygon), *polygon]) * 50_000
    count = 50_000 * (len(polygon) - 2)
    path = tmp_path / "a.ply"
    path.write_bytes(ply(corners.tobytes() + rows, BINARY, 5, 50_000, lists="uchar uchar vertex_indices"))
    tracemalloc.start()
    try:
        assert len(load_mesh(path).faces) == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 350 * count + (20 << 20)  # and what some polygons take at a time


def test_a_buffer_beside_a_gltf_counts_each_time_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(1 << 20))
    path = scene(
        buffers=[{"uri": "a.bin", "byteLength": 1 << 20}] * 9,
        bufferViews=[{"buffer": number, "byteLength": 36} for number in range(9)],
        accessors=[
            {"bufferView": number, "componentType": 5126, "count": 3, "type": "VEC3"} for number in range(9)
        ],
        meshes=[{"primitives": [{"attributes": {"POSITION": number}} for number in range(9)]}],
    )(tmp_path)
    with pytest.raises(BadMeshError, match="larger than 8388608 bytes"):
        load_mesh(path, max_bytes=8 << 20)


def test_a_draco_mesh_asks_for_its_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    draco = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "extensions": draco}
    with pytest.raises(BadMeshError, match="compressed with Draco; install DracoPy"):
        load_mesh(scene(meshes=[{"primitives": [primitive]}], extensionsRequired=list(draco))(tmp_path))
