"""Fitting the networks that code meshes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from support.meshes import oriented_faces, random_mesh_coder, sheet, sides_of

from meshcodec.format.mesh_coder import NETWORKS, SIZES, head_of
from meshcodec.registry import Registry
from meshcodec.train.corpus import CorpusItem
from meshcodec.train.mesh_coder import (
    FloatNetwork,
    MeshCoderConfig,
    cleaned,
    on_grid,
    recorded,
    rounding_bits,
    train_mesh_coder,
    training_mesh,
)
from meshcodec.weights import load_mesh_coder, save_mesh_coder


def ball(radius: float) -> CorpusItem:
    def mesh() -> tuple[np.ndarray, np.ndarray]:
        made = trimesh.creation.icosphere(2, radius) + trimesh.creation.box((1, 1, 4))
        return made.vertices.astype(np.float32), made.faces.astype(np.int32)

    return CorpusItem(f"ball-{radius}", "balls", mesh)


def test_a_mesh_on_the_grid_of_its_box() -> None:
    points = np.array([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [2, 0.001, 0]])
    made = on_grid(points, np.array([[0, 1, 2], [1, 3, 2]]), 5, 100)
    assert made is None  # vertices 1 and 3 fall together, and one face is too few
    positions = np.array([[0, 0, 0], [3, 0, 0], [3, 0, 0], [0, 3, 0], [9, 9, 9]])
    mesh = cleaned(positions, np.array([[0, 1, 3], [3, 0, 2], [0, 1, 2], [0, 3, 1]]), 5)
    assert mesh.positions.tolist() == [[0, 0, 0], [0, 3, 0], [3, 0, 0]]
    assert mesh.faces.tolist() == [[0, 2, 1], [0, 1, 2]]


@pytest.mark.slow
def test_fitting_moves_the_vertices_of_decimated_meshes_and_leaves_their_faces() -> None:
    plain, fitted = (
        [
            training_mesh(ball(1.0), number, MeshCoderConfig(faces=(100, 101), fitted=share))
            for number in range(6)
        ]
        for share in (0.0, 1.0)
    )
    moved = 0
    for one, other in zip(plain, fitted, strict=True):
        assert one is not None
        assert other is not None
        assert abs(len(one[0].faces) - len(other[0].faces)) <= 6  # some fall together on the grid
        moved += not np.array_equal(one[0].positions, other[0].positions)
    assert moved == 6


def test_what_is_written_down_is_what_is_coded() -> None:
    """One row for each gate, three for each vertex that a gate makes, six for a seed's other corners."""
    mesh = sheet(6, 5)
    rows = recorded(mesh, sides_of(mesh))
    vertices = len(mesh.positions) - 3
    assert [len(rows[f"{name}.value"]) for name in NETWORKS[:4]] == [vertices] * 3 + [6]
    assert (rows["gate.value"] == 1).sum() == vertices
    for name in NETWORKS:
        assert rows[f"{name}.features"].shape == (len(rows[f"{name}.value"]), SIZES[name][0])
    assert (rows["gate.value"] == 0).sum() > 0
    assert head_of(mesh, sides_of(mesh)).open


def test_whole_numbers_cost_as_much_as_real_ones() -> None:
    mesh = sheet(12, 12)
    rows = recorded(mesh, sides_of(mesh))
    torch.manual_seed(0)
    for name in NETWORKS:
        part = {
            key.removeprefix(f"{name}."): torch.from_numpy(values)
            for key, values in rows.items()
            if key.startswith(f"{name}.")
        }
        network = FloatNetwork(part["features"], (12, 8), SIZES[name][1])
        torch.nn.init.normal_(network.linear()[-1].weight, std=0.3)
        assert abs(rounding_bits(name, network, network.rounded(), part)) < 0.03


@pytest.mark.train
@pytest.mark.slow
def test_networks_are_fitted_and_a_run_goes_on(tmp_path: Path) -> None:
    items = [ball(0.5 + 0.1 * number) for number in range(24)]
    config = MeshCoderConfig(meshes=40, steps=40, faces=(20, 120))
    run, weights = tmp_path / "run", tmp_path / "weights"
    coder = train_mesh_coder(items, run, config, 1)
    report = json.loads((run / "report.json").read_text())
    assert set(report) == set(NETWORKS)
    mesh = sheet(6, 6)
    message = coder.encode(mesh, sides_of(mesh))
    assert len(message) < len(random_mesh_coder(1).encode(mesh, sides_of(mesh)))
    *found, _ = coder.decode(message, len(mesh.faces), sides_of(mesh))
    assert oriented_faces(*found) == oriented_faces(mesh.positions, mesh.faces)
    (run / "first.pt").unlink()
    assert train_mesh_coder(items, run, config, 1).encode(mesh, sides_of(mesh)) == message

    weights.mkdir()
    (weights / "registry.json").write_text('{"default": "", "models": {}}')
    path = save_mesh_coder(coder, weights)
    entry = Registry(weights).default_mesh_coder()
    assert (entry.path, path.stem) == (path, f"mesh-coder-{entry.coder_id.hex()}")
    assert load_mesh_coder(entry).encode(mesh, sides_of(mesh)) == message
