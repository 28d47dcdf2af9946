"""Files of released weights: they decode for ever, and any damage to them is refused.

``python tests/test_golden.py`` writes golden files of the default weights from ``examples/`` where there are
none; those that are there stay, whatever weights they are of. With MESHCODEC_GOLDEN=geometry in the
environment it only records anew what the files give; with MESHCODEC_GOLDEN=bad it writes the refused files of
``golden/bad`` and what is said of them. None of this ever runs by itself.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
import struct
import zlib
from pathlib import Path

import pytest
import trimesh
from click.testing import CliRunner, Result
from support.paths import BAD, EXAMPLES, GOLDEN

from meshcodec.api import Codec
from meshcodec.cli.group import cli
from meshcodec.config import SIZES
from meshcodec.format.container import VatFile
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore

RESOLUTION = 96
EFFORT = 2
CODED_SIZES = ("512", "1k", "2k")
"""4 KB have room for a byte for each token there is."""
DECODED = ("-512-coded.vat", "-4k.vat")
"""Files whose geometry is tested: the smallest and the largest of each example."""
SOURCES = ("burger", "car", "church", "cygnus", "sail_ship", "spot")
Record = dict[str, dict[str, float | int | str | list[float]]]
EXPECTED: Record = json.loads((GOLDEN / "expected.json").read_text())
"""Of each golden file, ``EXAMPLE-MODEL-SIZE.vat`` or, with coded tokens, ``EXAMPLE-MODEL-SIZE-coded.vat``."""


def test_all_golden_files_are_recorded_and_some_are_of_the_default_weights(shipped: Codec) -> None:
    assert {path.name for path in GOLDEN.glob("*.vat")} == set(EXPECTED)
    names = {f"{source}-{shipped.model_id}-{size}.vat" for source in SOURCES for size in SIZES}
    names |= {f"{source}-{shipped.model_id}-{size}-coded.vat" for source in SOURCES for size in CODED_SIZES}
    assert names <= set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_golden_file_holds_the_recorded_tokens(shipped: Codec, name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    _, model_id, size, *coded = name.removesuffix(".vat").split("-")
    assert len(data) <= SIZES[size]
    file = VatFile.from_bytes(data)
    assert file.packing == (1 if coded else 0)
    assert file.model_id.hex() == model_id
    assert hashlib.sha256(shipped.tokens(data).tobytes()).hexdigest() == EXPECTED[name]["tokens_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(DECODED)])
def test_golden_file_decodes_to_the_recorded_geometry(shipped: Codec, name: str) -> None:
    mesh = shipped.decode((GOLDEN / name).read_bytes(), RESOLUTION)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(EXPECTED[name]["volume"], rel=1e-3)
    assert mesh.bounds.ravel().tolist() == pytest.approx(EXPECTED[name]["bounds"], abs=2e-3)
    original = load_mesh(EXAMPLES / f"{name.split('-')[0]}.obj")
    f_score = fscore(original, mesh, taus=(0.02,), samples=20_000)[0]
    assert f_score == pytest.approx(EXPECTED[name]["f_002"], abs=0.01)


@pytest.mark.slow
def test_a_smaller_golden_file_is_a_coarser_mesh_of_the_same_object(shipped: Codec) -> None:
    """Any prefix decodes: the tokens of the 4 KB file up to a scale are a mesh near the original, too."""
    data = (GOLDEN / f"spot-{shipped.model_id}-4k.vat").read_bytes()
    original = load_mesh(EXAMPLES / "spot.obj")
    scores = [
        fscore(original, shipped.decode(data, 64, tokens=end), taus=(0.05,), samples=10_000)[0]
        for end in (shipped.config.scale_ends()[4], shipped.config.max_tokens)
    ]
    assert 0.5 < scores[0] < scores[1]


# ---- files that are refused: these bytes, that exit code, that line


def bad_files() -> dict[str, bytes]:
    """A file for each refusal, right in everything but one thing. None holds the id of any model."""
    whole = _vat()
    placed = _vat(placement=(0.5, -0.5, 2.0, 1.5))
    short = _short()
    boxed = _sealed(placed[:4] + b"\x50" + placed[5:27] + bytes([200, 100, 50, 128]) + placed[31:])
    return {
        "empty.vat": b"",
        "one-byte.vat": whole[:1],
        "cut-in-header.vat": whole[:14],
        "cut-in-placement.vat": placed[:30],
        "cut-in-tokens.vat": _sealed(placed[:-1]),
        "more-after-the-end.vat": _sealed(placed + b"\n"),
        "count-too-large.vat": _sealed(whole[:9] + b"\xff\xff" + whole[11:]),
        "zip.vat": b"PK\x03\x04" + whole[4:],
        "text.vat": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "magic-in-lower-case.vat": _sealed(b"vat" + whole[3:]),
        "version-0.vat": _sealed(whole[:3] + b"\0" + whole[4:]),
        "version-3.vat": _sealed(whole[:3] + b"\3" + whole[4:]),
        "version-255.vat": whole[:3] + b"\xff",
        "level-zero.vat": _sealed(whole[:4] + b"\x20" + whole[5:15] + b"\0" + whole[15:]),
        "flag-6-without-placement.vat": _sealed(whole[:4] + b"\x40" + whole[5:]),
        "flag-2-without-placement.vat": _sealed(whole[:4] + b"\x04" + whole[5:]),
        "flag-7-without-placement.vat": _sealed(whole[:4] + b"\x80" + whole[5:]),
        "packing-2.vat": _sealed(whole[:4] + b"\x02" + whole[5:]),
        "mesh-without-faces.vat": _sealed(placed[:4] + b"\x12" + placed[5:9] + bytes(2) + placed[11:]),
        "mesh-with-iso-offset.vat": _sealed(placed[:4] + b"\x32" + placed[5:]),
        "packing-3.vat": _sealed(whole[:4] + b"\x03" + whole[5:]),
        "damaged-model-id.vat": whole[:5] + b"\xff" + whole[6:],
        "damaged-checksum.vat": whole[:11] + bytes(4) + whole[15:],
        "damaged-placement.vat": placed[:15] + b"\1" + placed[16:],
        "damaged-tokens.vat": placed[:-1] + b"\xff",
        "centre-nan.vat": _vat(placement=(0.0, float("nan"), 0.0, 1.0)),
        "centre-infinite.vat": _vat(placement=(float("-inf"), 0.0, 0.0, 1.0)),
        "scale-nan.vat": _vat(placement=(0.0, 0.0, 0.0, float("nan"))),
        "scale-infinite.vat": _vat(placement=(0.0, 0.0, 0.0, float("inf"))),
        "scale-zero.vat": _vat(placement=(0.0, 0.0, 0.0, 0.0)),
        "scale-negative.vat": _vat(placement=(0.0, 0.0, 0.0, -1.0)),
        "box-zero.vat": _sealed(boxed[:28] + b"\0" + boxed[29:]),
        "box-equal-sides.vat": _sealed(boxed[:27] + bytes([200] * 3) + boxed[30:]),
        "box-too-large.vat": _sealed(boxed[:30] + b"\xff" + boxed[31:]),
        "box-equal-sides-too-large.vat": _sealed(boxed[:27] + bytes([200] * 3) + b"\xff" + boxed[31:]),
        "short-cut-in-header.vat": short[:19],
        "short-cut-in-tokens.vat": short[:-1],
        "short-more-after-the-end.vat": short + b"\n",
        "short-damaged-tokens.vat": short[:-1] + b"\xff",
        "short-damaged-model.vat": short[:5] + b"\1" + short[6:],
        "short-unknown-model.vat": _short(model=255),
        "short-unknown-flags.vat": _short(flags=0x10),
        "short-packing-3.vat": _short(flags=3),
        "short-mesh-with-iso-offset.vat": _short(flags=0x22),
        "short-level-zero.vat": _short(b"\0", flags=0x20, count=0),
        "short-box-zero.vat": _short(box=bytes([200, 0, 50, 128])),
        "short-box-not-normal.vat": _short(box=bytes([100, 100, 50, 128])),
        "short-box-too-large.vat": _short(box=bytes([200, 100, 50, 255])),
        "short-centre-too-large.vat": _short(box=bytes([200, 200, 200, 253]), steps=(0, -32768, 0)),
        "unknown-model.vat": placed,
    }


def _vat(
    tokens: bytes = bytes(range(8)),
    placement: tuple[float, float, float, float] | None = None,
    model_id: bytes = b"\0\0\0\0",
) -> bytes:
    """A file as the docstring of `meshcodec.format.container` has it, by hand: it may have faults."""
    flags, body = (0, tokens) if placement is None else (16, struct.pack("<4f", *placement) + tokens)
    return _sealed(b"VAT\1" + bytes([flags]) + model_id + struct.pack("<HI", len(tokens), 0) + body)


def _short(
    tokens: bytes = bytes(range(8)),
    flags: int = 0,
    model: int = 0,
    count: int | None = None,
    box: bytes = bytes([200, 200, 200, 128]),
    steps: tuple[int, int, int] = (5, -7, 0),
) -> bytes:
    """A file as the docstring of `meshcodec.format.short_header` has it, by hand: it may have faults."""
    number = len(tokens) if count is None else count
    head = b"VAT\2" + struct.pack("<BBHH3h4s", flags, model, number, 0, *steps, box)
    return head[:8] + struct.pack("<H", binascii.crc_hqx(head + tokens, 0xFFFF)) + head[10:] + tokens


def _sealed(data: bytes) -> bytes:
    """With a right checksum, so that it is not the checksum that is wrong."""
    return data[:11] + struct.pack("<I", zlib.crc32(data[:11] + bytes(4) + data[15:])) + data[15:]


def _refusal(result: Result, path: Path) -> dict[str, int | str]:
    """Exit code and message of a failed command, which must be one line that begins with the file's name."""
    (line,) = result.stderr.splitlines()
    start = f"meshcodec: error: {path}: "
    assert line.startswith(start), line
    assert result.stdout_bytes == b""
    # What is installed changes from release to release; that the file's own model is named does not.
    return {"exit": result.exit_code, "message": line.removeprefix(start).partition(" (here: ")[0]}


BAD_EXPECTED: dict[str, dict[str, int | str]] = json.loads((BAD / "expected.json").read_text())


def test_every_bad_file_is_on_the_list_and_as_it_is_made() -> None:
    assert {path.name for path in BAD.glob("*.vat")} == set(BAD_EXPECTED)
    assert {name: (BAD / name).read_bytes() for name in BAD_EXPECTED} == bad_files()


@pytest.mark.parametrize("name", BAD_EXPECTED)
def test_a_bad_file_is_refused_as_recorded(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.obj"
    result = CliRunner().invoke(cli, ["decode", str(BAD / name), "-o", str(out)])
    assert result.exit_code == (5 if name == "unknown-model.vat" else 4)
    assert _refusal(result, BAD / name) == BAD_EXPECTED[name]
    assert list(tmp_path.iterdir()) == []
    verified = CliRunner().invoke(cli, ["verify", str(BAD / name)])
    assert _refusal(verified, BAD / name) == BAD_EXPECTED[name]
    if name != "unknown-model.vat":  # which `info` explains
        assert _refusal(CliRunner().invoke(cli, ["info", str(BAD / name)]), BAD / name) == BAD_EXPECTED[name]


def test_a_folder_of_bad_files_is_a_list_of_failures_and_no_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(cli, ["decompress", str(BAD), "-o", str(out), "-j", "1", "--json", "-q"])
    assert result.exit_code == 3
    assert {record["input"] for record in json.loads(result.stdout)} == set(BAD_EXPECTED)
    for record in json.loads(result.stdout):
        message = str(BAD_EXPECTED[record["input"]]["message"])
        assert record["error"].startswith(message), record
    assert [path.name for path in out.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(("count", "fault"), [(0, "0 tokens"), (65535, "65535 tokens")])
def test_a_number_of_tokens_that_the_model_does_not_have(
    shipped: Codec, count: int, fault: str, tmp_path: Path
) -> None:
    """Not among the files of ``bad``, because these must name a model that is installed."""
    path = tmp_path / "tokens.vat"
    path.write_bytes(_vat(bytes(count), (0.0, 0.0, 0.0, 1.0), bytes.fromhex(shipped.model_id)))
    result = CliRunner().invoke(cli, ["decode", str(path), "-o", str(tmp_path / "out.obj")])
    assert result.exit_code == 4
    message = f"{fault}, the model has 1 to {shipped.config.max_tokens}; get the file again"
    assert _refusal(result, path)["message"] == message
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_placement_that_throws_the_mesh_out_of_float32(shipped: Codec, tmp_path: Path) -> None:
    """Each number of the placement is finite, the cube's corners are not: a PLY would hold infinities."""
    path = tmp_path / "far.vat"
    tokens = shipped.tokens(
        shipped.encode(trimesh.creation.icosphere(subdivisions=2), 512, 0, mode="tokens")
    ).tobytes()
    path.write_bytes(_vat(tokens, (3e38, 3e38, 3e38, 3e38), bytes.fromhex(shipped.model_id)))
    command = ["decode", str(path), "--resolution", "32", "-o", str(tmp_path / "out.ply")]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 4
    message = "its placement is beyond the range of float32; encode the mesh again"
    assert _refusal(result, path)["message"] == message
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_far_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.vat"
    with path.open("wb") as file:
        file.write(_vat())
        file.truncate(1 << 40)  # sparse: a read of all of it would run out of memory
    result = CliRunner().invoke(cli, ["decode", str(path), "-o", str(tmp_path / "out.obj")])
    assert result.exit_code == 4
    assert str(_refusal(result, path)["message"]).startswith("wrong length: ")
    assert list(tmp_path.iterdir()) == [path]


def regenerate_bad() -> None:
    """Write the refused files and record what the command line says of each."""
    BAD.mkdir(parents=True, exist_ok=True)
    for old in BAD.glob("*.vat"):
        old.unlink()
    record: dict[str, dict[str, int | str]] = {}
    for name, data in bad_files().items():
        (BAD / name).write_bytes(data)
        result = CliRunner().invoke(cli, ["decode", str(BAD / name), "-o", str(BAD / "never.obj")])
        record[name] = _refusal(result, BAD / name)
    (BAD / "expected.json").write_text(json.dumps(record, indent=1) + "\n")


def regenerate() -> None:
    """Encode the examples at every size and record what all golden files give."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    codec = Codec("cpu")
    for source in SOURCES:
        for packing, sizes, ending in (("bytes", tuple(SIZES), ""), ("coded", CODED_SIZES, "-coded")):
            for size in sizes:
                path = GOLDEN / f"{source}-{codec.model_id}-{size}{ending}.vat"
                if not path.exists():  # what has been written stays
                    mesh = EXAMPLES / f"{source}.obj"
                    path.write_bytes(codec.encode(mesh, SIZES[size], EFFORT, packing=packing, mode="tokens"))
    record_geometry()


def record_geometry() -> None:
    """Record what all golden files give now: for a change of the decoded grid, not of the files."""
    codec = Codec("cpu")
    record: Record = {}
    for path in sorted(GOLDEN.glob("*.vat")):
        data = path.read_bytes()
        original = load_mesh(EXAMPLES / f"{path.name.split('-')[0]}.obj")
        mesh = codec.decode(data, RESOLUTION)
        record[path.name] = {
            "tokens_sha256": hashlib.sha256(codec.tokens(data).tobytes()).hexdigest(),
            "volume": float(mesh.volume),
            "bounds": [float(x) for x in mesh.bounds.ravel()],
            "f_002": fscore(original, mesh, taus=(0.02,), samples=20_000)[0],
        }
    (GOLDEN / "expected.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    {"bad": regenerate_bad, "geometry": record_geometry}.get(
        os.environ.get("MESHCODEC_GOLDEN", ""), regenerate
    )()
