"""Files with the short header stay readable: what was written once says the same for ever.

``python tests/test_golden_short.py`` writes files of the examples that have none and records what all hold.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.paths import EXAMPLES

from meshcodec.api import Codec
from meshcodec.format.container import VatFile
from meshcodec.format.short_header import SHORT_VERSION
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore

GOLDEN = Path(__file__).parent / "golden" / "v2"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
ENCODED = (("spot", 128, "coded"), ("church", 512, "coded"), ("car", 512, "bytes"))
"""An example, the bytes of its file, and how the tokens are packed."""


def described(data: bytes, codec: Codec) -> dict[str, Any]:
    """What a file says."""
    file = VatFile.from_bytes(data)
    return {
        "version": file.version,
        "model": file.model_id.hex(),
        "packing": int(file.packing),
        "tokens_sha256": hashlib.sha256(codec.tokens(data).tobytes()).hexdigest(),
        "center": file.center,
        "half_extents": file.half_extents,
        "iso_offset": file.iso_offset,
        "mirrored": file.mirrored,
    }


def test_there_is_a_file_for_each_record() -> None:
    assert {path.name for path in GOLDEN.glob("*.vat")} == set(EXPECTED)
    assert any(record["iso_offset"] for record in EXPECTED.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_says_what_is_recorded_and_is_written_so_again(shipped: Codec, name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    found = described(data, shipped)
    assert found["version"] == SHORT_VERSION
    assert json.loads(json.dumps(found)) == {k: v for k, v in EXPECTED[name].items() if k != "f_002"}
    assert VatFile.from_bytes(data).to_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, record in EXPECTED.items() if "f_002" in record])
def test_a_file_decodes_to_the_original(shipped: Codec, name: str) -> None:
    original = load_mesh(EXAMPLES / f"{name.split('-')[0]}.obj")
    decoded = shipped.decode((GOLDEN / name).read_bytes(), 96)
    assert decoded.is_watertight
    score = fscore(original, decoded, (0.02,), samples=20_000)[0]
    assert score == pytest.approx(EXPECTED[name]["f_002"], abs=0.01)


def regenerate() -> None:
    """Write what is missing, and record all: for a change that is meant."""
    codec, record = Codec("cpu"), dict[str, Any]()
    for name, size, packing in ENCODED:
        path = GOLDEN / f"{name}-{codec.model_id}-{size}.vat"
        if not path.exists():
            mesh = EXAMPLES / f"{name}.obj"
            path.write_bytes(codec.encode(mesh, size, 1, packing=packing, mode="tokens"))
    placed = GOLDEN / f"placed-{codec.model_id}-512.vat"
    if not placed.exists():
        tokens = codec.tokens((GOLDEN / f"spot-{codec.model_id}-128.vat").read_bytes())
        data = codec.from_tokens(tokens, (1.0, -2.0, 0.5), (4.0, 0.5, 1.71875), -3, (False, True, True))
        placed.write_bytes(data)
    for path in sorted(GOLDEN.glob("*.vat")):
        record[path.name] = described(path.read_bytes(), codec)
        if path == placed:  # of no example
            continue
        original = load_mesh(EXAMPLES / f"{path.name.split('-')[0]}.obj")
        decoded = codec.decode(path.read_bytes(), 96)
        f_002 = fscore(original, decoded, (0.02,), samples=20_000)[0]
        record[path.name]["f_002"] = f_002
    (GOLDEN / "expected.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    regenerate()
