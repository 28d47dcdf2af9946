"""What every decoder must find in the same bytes: vectors that tests in Python and in JavaScript both read.

``MESHCODEC_CONFORMANCE=write python tests/test_conformance.py`` writes ``conformance/`` anew. It never runs
by itself, and is for a change of the weights or of what the vectors hold.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.meshes import grid_mesh, oriented_faces, sheet, soup
from support.paths import BAD, GOLDEN, ROOT

from meshcodec.api import Codec
from meshcodec.config import EXTENT, PLANES
from meshcodec.errors import CorruptFileError
from meshcodec.format.container import VatFile
from meshcodec.format.grid_copies import Copy
from meshcodec.format.grid_mesh import GridMesh, MeshGrid
from meshcodec.format.mesh_coder import MeshCoder
from meshcodec.format.range_coder import TOTAL, RangeDecoder, RangeEncoder
from meshcodec.format.token_coder import Integers, TokenModel
from meshcodec.geometry.triangles import has_no_border
from meshcodec.modes.mesh.file import mesh_file, read_mesh, surface_of
from meshcodec.modes.tokens.decode import extract_surface, token_field
from meshcodec.registry import Registry
from meshcodec.surface.field import OffsetField
from meshcodec.weights import load_mesh_coder

FOLDER = ROOT / "conformance"
FREQUENCIES = 96
"""Digits of each file whose frequencies are recorded: those of two scales, and some of the third."""
POINTS = 64
CELLS = 64
TOKEN_FILES = ("spot-12a8363d-512-coded.vat", "church-12a8363d-1k-coded.vat", "burger-12a8363d-2k-coded.vat")
Vectors = list[dict[str, Any]]


# ---- kinds of refusal


def kind_of(error: CorruptFileError) -> str:
    """What JavaScript calls the refusal of a file whose bytes are wrong."""
    words = str(error)
    if words.startswith("wrong length: "):
        size, whole = map(int, re.findall(r"\d+", words)[:2])
        return "truncated" if size < whole else "corrupt"
    for start, kind in (
        ("the file is empty", "truncated"),
        ("too short", "truncated"),
        ("not a .vat file", "not-vat"),
        ("format version", "newer-version"),
        ("unknown packing", "newer-version"),
        ("unknown flags", "newer-version"),
        ("unknown model number", "newer-version"),
    ):
        if words.startswith(start):
            return kind
    return "corrupt"


def refusals() -> dict[str, str]:
    """The kind of refusal of each bad file."""
    kinds = {}
    known = Registry().entries
    for path in sorted(BAD.glob("*.vat")):
        try:
            file = VatFile.from_bytes(path.read_bytes())
        except CorruptFileError as error:
            kinds[path.name] = kind_of(error)
        else:
            assert file.model_id.hex() not in known
            kinds[path.name] = "unknown-model"
    return kinds


def test_refusals() -> None:
    assert json.loads((FOLDER / "refusals.json").read_text()) == refusals()


# ---- the range coder


def range_vectors() -> Vectors:
    """Messages, and what a decoder is asked and finds."""
    rng = np.random.default_rng(3)
    vectors = []
    for count in (0, 1, 7, 200):
        coder, calls = RangeEncoder(), list[dict[str, Any]]()
        for _ in range(count):
            if rng.random() < 0.5:
                widths = rng.multinomial(TOTAL - 5, rng.dirichlet(np.full(5, 0.3))) + 1
                starts = [0, *np.cumsum(widths).tolist()]
                symbol = int(rng.integers(5))
                coder.encode(starts[symbol], starts[symbol + 1] - starts[symbol])
                calls.append({"starts": starts, "symbol": symbol})
            else:
                among = int(rng.choice([1, 2, 3, 1000, TOTAL, TOTAL + 1, 1 << 20]))
                value = int(rng.integers(among))
                coder.encode_uniform(value, among)
                calls.append({"count": among, "value": value})
        vectors.append({"message": coder.finish().hex(), "calls": calls})
    return vectors


def test_the_range_coder() -> None:
    for vector in json.loads((FOLDER / "range_coder.json").read_text()):
        coder = RangeDecoder(bytes.fromhex(vector["message"]))
        for call in vector["calls"]:
            if "starts" in call:
                assert coder.decode(call["starts"]) == call["symbol"]
            else:
                assert coder.decode_uniform(call["count"]) == call["value"]
        assert coder.is_whole()


# ---- meshes


def tangle() -> GridMesh:
    """Edges of many faces, corners of many parts."""
    rng = np.random.default_rng(7)
    mesh = soup(rng.integers(0, 40, (20, 3)), rng.integers(0, 20, (60, 3)))
    assert mesh is not None
    return mesh


def dust(count: int) -> GridMesh:
    """Parts of one face each."""
    places = np.random.default_rng(1).permutation(64**3)[: 3 * count]
    return GridMesh(
        np.stack(np.unravel_index(places, (64, 64, 64)), axis=1), np.arange(3 * count).reshape(-1, 3), 6
    )


def block(crease: int) -> GridMesh:
    """A box that is a Loop surface, beside a middle plane: its face there is open."""
    mesh = grid_mesh(
        [[x, y, z] for x in (0, 20) for y in (0, 8) for z in (0, 30)],
        [
            [4, 6, 7],
            [4, 7, 5],
            [0, 4, 5],
            [0, 5, 1],
            [2, 3, 7],
            [2, 7, 6],
            [0, 2, 6],
            [0, 6, 4],
            [1, 5, 7],
            [1, 7, 3],
        ],
    )
    return GridMesh(mesh.positions, mesh.faces, 6, crease)


def copied() -> GridMesh:
    """Two parts, of which both are there more than once, turned and mirrored."""
    one, other = block(5), grid_mesh([[40, 3, 3], [44, 3, 3], [40, 5, 3], [40, 3, 9]], [[0, 2, 1], [0, 1, 3]])
    copies = [
        Copy(0, 0, (30, 1, 3)),
        Copy(0, 0, (30, 8, 3)),
        Copy(9, 33, (41, 9, 20)),
        Copy(9, 33, (50, 9, 20)),
    ]
    return GridMesh(
        np.concatenate([one.positions, other.positions]),
        np.concatenate([one.faces, other.faces + 8]),
        6,
        5,
        (*copies, Copy(8, 6, (50, 0, 40))),
    )


MESHES: dict[str, tuple[GridMesh, tuple[float, float, float], tuple[bool, bool, bool]]] = {
    "triangle": (grid_mesh([[1, 2, 3], [40, 2, 3], [1, 60, 7]], [[2, 0, 1]]), (1.0, 1.0, 1.0), (False,) * 3),
    "four faces at an edge": (
        grid_mesh(
            [[0, 0, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [0, 20, 0], [30, 1, 1]],
            [[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 1, 5]],
        ),
        (2.0, 2.0, 2.0),
        (False,) * 3,
    ),
    "a turned neighbour": (
        grid_mesh([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 1]], [[0, 1, 2], [0, 3, 2]]),
        (1.0, 1.0, 1.0),
        (False,) * 3,
    ),
    "two sides": (
        grid_mesh([[0, 0, 0], [9, 0, 0], [0, 9, 0]], [[0, 1, 2], [0, 2, 1]]),
        (1.0,) * 3,
        (False,) * 3,
    ),
    "sheet": (sheet(9, 8), (1.0, 1.0, 1.0), (False,) * 3),
    "tangle": (tangle(), (1.0, 1.0, 1.0), (False,) * 3),
    "dust": (dust(40), (1.0, 1.0, 1.0), (False,) * 3),
    "smooth half": (block(1), (6.25, 3.125, 6.0), (True, False, False)),
    "creased quarter": (block(7), (6.25, 3.125, 6.0), (True, True, False)),
    "copies": (copied(), (6.25, 3.125, 6.0), (False, True, False)),
}
"""Meshes, half-extents of their boxes, mirrored axes."""


@functools.cache
def coder_and_id() -> tuple[MeshCoder, bytes]:
    entry = Registry().default_mesh_coder()
    return load_mesh_coder(entry), entry.coder_id


def mesh_vectors() -> Vectors:
    """Files that hold meshes, with all integers and some vertices of the surface."""
    vectors = []
    for name, (mesh, half_extents, mirrored) in MESHES.items():
        grid = MeshGrid((1.0, -2.0, 0.5), half_extents, mirrored, mesh.bits)
        coder, coder_id = coder_and_id()
        file, found = mesh_file(mesh, grid, coder.encode(mesh, grid.sides), coder, coder_id)
        vertices, faces = surface_of(file, coder, 2000)
        vectors.append(
            {
                "name": name,
                "file": base64.b64encode(file.to_bytes()).decode(),
                "positions": found.whole[0].tolist(),
                "faces": found.whole[1].tolist(),
                "surface": {
                    "most_faces": 2000,
                    "faces": len(faces),
                    "closed": has_no_border(faces),
                    "vertices": vertices[:24].tolist(),
                },
            }
        )
    return vectors


def test_meshes() -> None:
    for vector in json.loads((FOLDER / "meshes.json").read_text()):
        file = VatFile.from_bytes(base64.b64decode(vector["file"]))
        coder = load_mesh_coder(Registry().find_mesh_coder(file.model_id))
        mesh, _ = read_mesh(file, coder)
        positions, corners = mesh.whole
        assert positions.tolist() == vector["positions"]
        assert corners.tolist() == vector["faces"]
        vertices, faces = surface_of(file, coder, vector["surface"]["most_faces"])
        assert len(faces) == vector["surface"]["faces"]
        assert vertices[:24] == pytest.approx(np.array(vector["surface"]["vertices"]), abs=1e-9)
        if vector["name"] in MESHES:
            written = MESHES[vector["name"]][0]
            assert oriented_faces(positions, corners) == oriented_faces(*written.whole)


# ---- tokens


def first_frequencies(model: TokenModel, file: VatFile) -> list[list[int]]:
    """Frequencies of the first digits of a coded file."""
    rows: list[list[int]] = []
    coder = RangeDecoder(file.payload)

    def code(starts: Integers, _: Integers) -> Integers:
        rows.extend(np.diff(starts, axis=1).tolist())
        return np.array([coder.decode(row) for row in starts.tolist()], dtype=np.int64)

    model.walk(np.zeros(file.count, np.uint8), code)
    return rows[:FREQUENCIES]


@torch.no_grad()
def token_vectors(codec: Codec) -> Vectors:
    """Of golden files: frequencies, latent, distances, and the surface at `CELLS` cells."""
    vectors = []
    rng = np.random.default_rng(5)
    for name in TOKEN_FILES:
        file = VatFile.from_bytes((GOLDEN / name).read_bytes())
        networks = codec.engine.open(file)
        model, entropy_model = networks.model, networks.entropy_model
        assert entropy_model is not None
        tokens = file.tokens(entropy_model)
        row = torch.frombuffer(bytearray(tokens), dtype=torch.uint8)[None]
        latent = model.quantizer.dequantize(model.quantizer.to_codes(row)).reshape(-1)
        chosen = rng.choice(len(latent), POINTS, replace=False)
        field = token_field(codec.engine, networks, tokens)
        surface = extract_surface(codec.engine, field, file.iso_offset, CELLS, file.mirrored, narrow=False)
        near = surface.vertices[rng.choice(len(surface.vertices), POINTS // 2, replace=False)]
        points = np.concatenate([near, rng.uniform(-EXTENT, EXTENT, (POINTS // 2, PLANES))]).astype(
            np.float32
        )
        exact = OffsetField(field, file.iso_offset)
        vertices, sides = surface.vertices, surface.vertices[surface.faces]
        volume = float((sides[:, 0] * np.cross(sides[:, 1], sides[:, 2])).sum() / 6)
        vectors.append(
            {
                "name": name,
                "frequencies": first_frequencies(entropy_model, file),
                "latent": {"at": chosen.tolist(), "values": latent[torch.from_numpy(chosen)].tolist()},
                "field": {
                    "points": points.tolist(),
                    "distances": exact(torch.from_numpy(points)).reshape(-1).tolist(),
                },
                "surface": {
                    "cells": CELLS,
                    "vertices": len(surface.vertices),
                    "faces": len(surface.faces),
                    "volume": volume,
                    "bounds": [*vertices.min(axis=0).tolist(), *vertices.max(axis=0).tolist()],
                },
            }
        )
    return vectors


@pytest.mark.slow
def test_tokens(shipped: Codec) -> None:
    recorded = json.loads((FOLDER / "tokens.json").read_text())
    for found, expected in zip(token_vectors(shipped), recorded, strict=True):
        assert (found["name"], found["frequencies"]) == (expected["name"], expected["frequencies"])
        assert found["latent"]["at"] == expected["latent"]["at"]
        assert found["latent"]["values"] == pytest.approx(expected["latent"]["values"], abs=1e-4)
        for count in ("vertices", "faces"):
            assert found["surface"][count] == pytest.approx(expected["surface"][count], rel=0.005)
        assert found["surface"]["volume"] == pytest.approx(expected["surface"]["volume"], rel=1e-3)
        assert found["surface"]["bounds"] == pytest.approx(expected["surface"]["bounds"], abs=2e-3)


def test_a_point_has_the_recorded_distance(shipped: Codec) -> None:
    for vector in json.loads((FOLDER / "tokens.json").read_text()):
        file = VatFile.from_bytes((GOLDEN / vector["name"]).read_bytes())
        networks = shipped.engine.open(file)
        field = OffsetField(
            token_field(shipped.engine, networks, file.tokens(networks.entropy_model)), file.iso_offset
        )
        points = torch.tensor(vector["field"]["points"], dtype=torch.float32)
        with torch.no_grad():
            found = field(points).reshape(-1).tolist()
        assert found == pytest.approx(vector["field"]["distances"], abs=1e-4)


def write() -> None:
    """Write all vectors."""
    FOLDER.mkdir(exist_ok=True)
    made: dict[str, Callable[[], Any]] = {
        "refusals.json": refusals,
        "range_coder.json": range_vectors,
        "meshes.json": mesh_vectors,
        "tokens.json": lambda: token_vectors(Codec("cpu")),
    }
    for name, make in made.items():
        (FOLDER / name).write_text(json.dumps(make(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    if os.environ.get("MESHCODEC_CONFORMANCE") == "write":
        write()
    else:
        raise SystemExit("MESHCODEC_CONFORMANCE=write writes the vectors of conformance/ anew")
