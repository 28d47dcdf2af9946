"""Files of released weights: they decode for ever, and any damage to them is refused.

``python tests/test_golden.py`` writes the golden files anew from ``examples/``; it never runs by itself.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from meshcodec import Codec, CorruptFileError
from meshcodec.config import SIZES
from meshcodec.container import VatFile
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden" / "v1"
RESOLUTION = 96
SOURCE = "spot"


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, float | int | str | list[float]]]:
    content: dict[str, dict[str, float | int | str | list[float]]] = json.loads(
        (GOLDEN / "expected.json").read_text()
    )
    return content


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("cpu")


@pytest.mark.parametrize("size", SIZES)
def test_golden_file_decodes_to_the_recorded_geometry(
    codec: Codec, expected: dict[str, dict[str, float | int | str | list[float]]], size: str
) -> None:
    name = f"{SOURCE}-{size}.vat"
    data = (GOLDEN / name).read_bytes()
    assert len(data) <= SIZES[size]
    assert hashlib.sha256(VatFile.from_bytes(data).tokens).hexdigest() == expected[name]["tokens_sha256"]
    mesh = codec.decode(data, RESOLUTION)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(expected[name]["volume"], rel=1e-3)
    assert mesh.bounds.ravel().tolist() == pytest.approx(expected[name]["bounds"], abs=2e-3)
    original = load_mesh(ROOT / "examples" / f"{SOURCE}.obj")
    f_score = fscore(original, mesh, taus=(0.02,), samples=20_000)[0]
    assert f_score == pytest.approx(expected[name]["f_002"], abs=0.01)


def test_every_truncation_of_a_golden_file_is_refused() -> None:
    data = (GOLDEN / f"{SOURCE}-512.vat").read_bytes()
    for length in range(len(data)):
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(data[:length])


def test_every_single_bit_flip_of_a_golden_file_is_refused() -> None:
    data = (GOLDEN / f"{SOURCE}-512.vat").read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(bytes(flipped))


def test_a_smaller_golden_file_is_a_coarser_mesh_of_the_same_object(codec: Codec) -> None:
    """Any prefix decodes: the tokens of the 4 KB file up to a scale are a mesh near the original, too."""
    data = (GOLDEN / f"{SOURCE}-4k.vat").read_bytes()
    original = load_mesh(ROOT / "examples" / f"{SOURCE}.obj")
    scores = [
        fscore(original, codec.decode(data, 64, tokens=end), taus=(0.05,), samples=10_000)[0]
        for end in (codec.config.scale_ends()[4], codec.config.max_tokens)
    ]
    assert 0.5 < scores[0] < scores[1]


def regenerate() -> None:
    """Encode the example at every size with the default effort and record what comes back."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    codec = Codec("cpu")
    original = load_mesh(ROOT / "examples" / f"{SOURCE}.obj")
    record: dict[str, dict[str, float | int | str | list[float]]] = {}
    for size, count in SIZES.items():
        data = codec.encode(original, count)
        mesh = codec.decode(data, RESOLUTION)
        name = f"{SOURCE}-{size}.vat"
        (GOLDEN / name).write_bytes(data)
        record[name] = {
            "tokens_sha256": hashlib.sha256(VatFile.from_bytes(data).tokens).hexdigest(),
            "volume": float(mesh.volume),
            "bounds": [float(x) for x in mesh.bounds.ravel()],
            "f_002": fscore(original, mesh, taus=(0.02,), samples=20_000)[0],
        }
    (GOLDEN / "expected.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    regenerate()
