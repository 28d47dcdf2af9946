"""The packed corpus: exact arrays back, within its size, and damage told from a whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshoptimizer
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from meshcodec.errors import UsageError
from meshcodec.train import pack as module
from meshcodec.train.corpus import CorpusItem, Mesh, to_unit
from meshcodec.train.mesh_streams import decode_streams, encode_streams, order_mesh
from meshcodec.train.pack import pack, unpack


def item(name: str, mesh: trimesh.Trimesh, source: str = "some") -> CorpusItem:
    def load() -> Mesh:
        return to_unit(np.asarray(mesh.vertices), np.asarray(mesh.faces))

    return CorpusItem(name, source, load)


def soup(faces: int, seed: int) -> trimesh.Trimesh:
    """Triangles that share nothing, in no order."""
    corners = np.random.default_rng(seed).normal(size=(3 * faces, 3))
    return trimesh.Trimesh(corners, np.arange(3 * faces).reshape(-1, 3), process=False)


def corpus() -> list[CorpusItem]:
    return [
        item("ball", trimesh.creation.icosphere(subdivisions=3), "held"),
        item("soup", soup(50, 0)),
        item("ring", trimesh.creation.torus(1, 0.3)),
        item("one", soup(1, 1)),
        item("box", trimesh.creation.box((1, 1, 0.02))),  # flatter than it is stretched
    ]


def triangles(vertices: NDArray[Any], faces: NDArray[Any]) -> NDArray[Any]:
    """(F, 9) corners, each face turned to begin with its lowest one, sorted: the mesh whatever its order."""
    rows: list[list[int]] = []
    for face in vertices[faces].astype(np.int64).tolist():
        first = face.index(min(face))
        rows.append([x for k in range(3) for x in face[(first + k) % 3]])
    return np.array(sorted(rows))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 13, 16])
def test_every_triangle_comes_back_exactly(tmp_path: Path, bits: int) -> None:
    items = corpus()
    report = pack(items, tmp_path / "packed", validation_sources=("held",), bits=bits)
    assert (report.meshes, report.simplified, report.left_out) == (5, 0, 0)
    assert report.size == (tmp_path / "packed").stat().st_size
    packed = unpack(tmp_path / "packed")
    assert packed.ids == tuple(i.id for i in items)
    assert packed.sources == ("held", "some", "some", "some", "some")
    assert packed.validation.tolist() == [True, False, False, False, False]
    assert packed.vertices.dtype == np.uint16
    assert packed.faces.dtype == np.int32
    half = (2**bits - 1) / 2
    for row, one in enumerate(items):
        vertices, faces = one.load()
        grid = np.rint((vertices.astype(float) + 1) * half).astype(np.int64)
        corners = grid[faces]
        same = (corners == np.roll(corners, 1, axis=1)).all(axis=2).any(axis=1)  # became a line
        v0, v1 = packed.vertex_starts[row : row + 2]
        f0, f1 = packed.face_starts[row : row + 2]
        found = triangles(packed.vertices[v0:v1], packed.faces[f0:f1])
        assert np.array_equal(found, triangles(grid, faces[~same]))
        placed, _ = packed.items()[row].load()
        assert np.array_equal(np.rint((placed.astype(float) + 1) * half), packed.vertices[v0:v1])
        np.testing.assert_allclose(np.ptp(placed, axis=0), np.ptp(vertices, axis=0), atol=1.01 / half)


@pytest.mark.slow
def test_streams_decode_to_the_arrays_that_were_encoded() -> None:
    shapes = [(grid_of(mesh[0]), mesh[1]) for mesh in (item.load() for item in corpus())]
    meshes = [order_mesh(mesh, meshoptimizer) for mesh in shapes]
    starts = [np.cumsum([0, *(len(mesh[part]) for mesh in meshes)]) for part in range(2)]
    decoded = decode_streams(encode_streams(meshes), starts[0], starts[1])
    for part in range(2):
        assert np.array_equal(decoded[part], np.concatenate([mesh[part] for mesh in meshes]))
    for mesh, ordered in zip(shapes, meshes, strict=True):
        assert np.array_equal(triangles(*mesh), triangles(*ordered))
    with pytest.raises(ValueError, match="do not fit"):
        decode_streams(encode_streams(meshes[1:]), starts[0], starts[1])


def grid_of(vertices: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Coordinates from -1 to 1 in 13 bits."""
    return np.rint((vertices.astype(float) + 1) * 4095.5).astype(np.uint16)


@pytest.mark.slow
def test_long_meshes_are_simplified_until_all_fit(tmp_path: Path) -> None:
    items = [*corpus(), *(item(f"bust-{k}", bumpy(k)) for k in range(3))]
    whole = pack(items, tmp_path / "whole")
    small = pack(items, tmp_path / "small", max_bytes=whole.size // 3)
    assert whole.simplified == 0
    assert whole.size // 5 < small.size == (tmp_path / "small").stat().st_size <= whole.size // 3
    assert small.simplified >= 3
    counts = np.diff(unpack(tmp_path / "small").face_starts)
    before = np.diff(unpack(tmp_path / "whole").face_starts)
    short = before <= small.limit
    assert np.array_equal(counts[short], before[short])
    assert counts[-3:].max() <= small.limit


def bumpy(seed: int) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=4)
    waves = np.random.default_rng(seed).normal(scale=4, size=(3, 6))
    return trimesh.Trimesh(
        ball.vertices * (1 + 0.05 * np.sin(ball.vertices @ waves).sum(1, keepdims=True)), ball.faces
    )


@pytest.mark.slow
def test_what_cannot_fit_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        pack(corpus(), tmp_path / "packed", max_bytes=100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_meshes_without_a_surface_are_left_out(tmp_path: Path) -> None:
    # At this resolution two of its corners are one.
    sliver = trimesh.Trimesh(
        np.array([[-1, -1, -1], [1, 1, 1], [1, 1, 1 - 1e-5]]), [[0, 1, 2]], process=False
    )
    report = pack([*corpus(), item("sliver", sliver)], tmp_path / "packed", procedural=1)
    assert report.left_out == 1
    assert unpack(tmp_path / "packed").ids == ("ball", "soup", "ring", "one", "box", "procedural-0")
    with pytest.raises(UsageError, match="no mesh"):
        pack([item("sliver", sliver)], tmp_path / "none")


@pytest.mark.slow
def test_damaged_files_are_told(tmp_path: Path) -> None:
    pack(corpus(), path := tmp_path / "packed")
    data = path.read_bytes()
    middle = len(data) // 2
    for broken in (b"", b"other" + data[5:], data[:-1], data + b"0", data[:7],
                   data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]):  # fmt: skip
        path.write_bytes(broken)
        with pytest.raises(UsageError, match="packed"):
            unpack(path)
    with pytest.raises(UsageError, match="cannot be read"):
        unpack(tmp_path / "missing")


@pytest.mark.slow
def test_the_command_packs_a_folder(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.ply")
    (tmp_path / "recipe.json").write_text('{"procedural_meshes": 1}')
    packed = tmp_path / "packed"
    assert module.main([str(tmp_path), str(packed), "--recipe", str(tmp_path / "recipe.json")]) == 0
    assert unpack(packed).ids == ("box.ply", "procedural-0")
    assert module.main([str(tmp_path / "missing"), str(packed)]) == 2
