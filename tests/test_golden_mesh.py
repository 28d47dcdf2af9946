"""Files in mesh mode stay readable: what was written once decodes to the same integers for ever.

``python tests/test_golden_mesh.py`` writes files of the examples that have none and records what all hold.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.meshes import oriented_faces
from support.paths import EXAMPLES

from meshcodec.format.container import VatFile
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore, is_closed
from meshcodec.modes.mesh.file import mesh_facts, read_mesh, surface_of
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder

GOLDEN = Path(__file__).parent / "golden" / "mesh"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
SIZES = {"spot": 512, "car": 512, "church": 1024, "cygnus": 512, "burger": 256}


def described(path: Path) -> dict[str, Any]:
    """All integers of a file, as a hash, and what its surface is like."""
    file = VatFile.from_bytes(path.read_bytes())
    coder = load_mesh_coder(Registry().find_mesh_coder(file.model_id))
    mesh, grid = read_mesh(file, coder)
    places = json.dumps([grid.sides.tolist(), oriented_faces(mesh.positions, mesh.faces)])
    facts = mesh_facts(mesh, grid)
    surface = surface_of(file, coder)
    return {
        "integers": hashlib.sha256(places.encode()).hexdigest(),
        "faces": facts.faces,
        "vertices": facts.vertices,
        "bits": facts.bits,
        "crease": facts.crease,
        "mirrored": list(file.mirrored),
        "closed": facts.closed,
        "surface_faces": len(surface[1]),
        "bounds": [*surface[0].min(axis=0).tolist(), *surface[0].max(axis=0).tolist()],
    }


def test_there_is_a_file_for_each_record() -> None:
    assert {path.name for path in GOLDEN.glob("*.vat")} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_a_mesh_decodes_to_the_recorded_integers(name: str) -> None:
    found, expected = described(GOLDEN / name), EXPECTED[name]
    assert found.pop("bounds") == pytest.approx(expected["bounds"], abs=1e-9)
    assert found == {key: value for key, value in expected.items() if key not in ("bounds", "f_002")}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_a_mesh_decodes_to_the_original(name: str) -> None:
    file = VatFile.from_bytes((GOLDEN / name).read_bytes())
    surface = surface_of(file, load_mesh_coder(Registry().find_mesh_coder(file.model_id)))
    assert is_closed(surface) == EXPECTED[name]["closed"]
    original = load_mesh(EXAMPLES / f"{name.split('-')[0]}.obj")
    score = fscore(original, surface, (0.02,), samples=20_000)[0]
    assert score == pytest.approx(EXPECTED[name]["f_002"], abs=0.01)


def regenerate() -> None:
    """Write what is missing, and record all: for a change that is meant."""
    from meshcodec.api import Codec

    codec, record = Codec("cpu"), dict[str, Any]()
    for name, size in SIZES.items():
        if not list(GOLDEN.glob(f"{name}-*.vat")):
            data = codec.encode(EXAMPLES / f"{name}.obj", size, 0, mode="mesh")
            (GOLDEN / f"{name}-{VatFile.from_bytes(data).model_id.hex()}-{size}.vat").write_bytes(data)
    for path in sorted(GOLDEN.glob("*.vat")):
        original = load_mesh(EXAMPLES / f"{path.name.split('-')[0]}.obj")
        decoded = codec.decode(path.read_bytes())
        f_002 = fscore(original, decoded, (0.02,), samples=20_000)[0]
        record[path.name] = {**described(path), "f_002": f_002}
    (GOLDEN / "expected.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    regenerate()
