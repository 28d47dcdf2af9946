"""Targets in torch against the definition in the geometry libraries, and training without those libraries."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray

import meshcodec
from meshcodec.config import EXTENT
from meshcodec.errors import UsageError
from meshcodec.geometry.signed_distance import FaceKind, TargetField, classify
from meshcodec.registry import Registry
from meshcodec.train import gpu
from meshcodec.train.autoencoder import Trainer, learning_rate
from meshcodec.train.batches import Batch, cube_symmetries, random_rotation
from meshcodec.train.batches import turn as one_turned
from meshcodec.train.cache import MIDDLE, NEAR, POINTS, QUERIES, make_sample, prepare
from meshcodec.train.corpus import Mesh, procedural_items, to_unit
from meshcodec.train.pack import pack
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.torch_targets import Geometry, unsigned_distance, winding_number
from meshcodec.weights import load_model

CPU = torch.device("cpu")
WEIGHTS = Path(meshcodec.__file__).parents[1] / "weights"
RECIPES = Path(meshcodec.__file__).parent / "train" / "recipes"


def unit(mesh: trimesh.Trimesh) -> Mesh:
    return to_unit(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def sphere() -> Mesh:
    return unit(trimesh.creation.icosphere(subdivisions=2))


def cup() -> Mesh:
    """A box without its lid: sheets, whose inside is where the winding number is above a half."""
    box = trimesh.creation.box().subdivide().subdivide()
    return unit(trimesh.Trimesh(box.vertices, box.faces[box.triangles_center[:, 2] < 0.49]))


def boxes() -> Mesh:
    """Two boxes that overlap: some faces lie inside the other one, and bound a cavity."""
    first = trimesh.creation.box().subdivide().subdivide()
    second = first.copy()
    second.apply_translation([0.5, 0.4, 0.3])
    return unit(
        trimesh.Trimesh(
            *trimesh.util.append_faces([first.vertices, second.vertices], [first.faces, second.faces]),
            process=False,
        )
    )


def flipped() -> Mesh:
    """The sphere with all its faces turned inside out."""
    vertices, faces = sphere()
    return vertices, np.ascontiguousarray(faces[:, ::-1])


SHAPES = pytest.mark.parametrize("shape", [sphere, cup, boxes, flipped])


@SHAPES
def test_kinds_and_distances_are_those_of_the_definition(shape: Callable[[], Mesh]) -> None:
    vertices, faces = shape()
    geometry = Geometry(CPU)
    wanted, found = classify(vertices, faces), geometry.classify(vertices, faces)
    assert np.array_equal(found.kinds, wanted.kinds)
    assert np.array_equal(found.normals, wanted.normals)
    expected = {
        sphere: {FaceKind.SOLID},
        flipped: {FaceKind.SOLID},
        boxes: {FaceKind.SOLID},
    }
    if shape in expected:
        assert set(found.kinds.tolist()) == expected[shape]

    queries = np.random.default_rng(0).uniform(-EXTENT, EXTENT, (1500, 3)).astype(np.float32)
    there, here = TargetField(wanted)(queries), geometry.target(found)(queries)
    # The tree's winding number is an approximation, which an opening lets come close to a half.
    winding = winding_number(torch.from_numpy(queries), torch.from_numpy(vertices[faces])).numpy()
    clear = np.abs(winding - np.floor(winding) - 0.5) > 0.02
    assert clear.mean() > 0.9
    assert np.allclose(here[clear], there[clear], rtol=0, atol=1e-5)


def test_distances_to_single_triangles_in_all_regions() -> None:
    rng = np.random.default_rng(1)
    corners = rng.normal(size=(40, 3, 3)).astype(np.float32)
    points = rng.normal(scale=2, size=(300, 3)).astype(np.float32)
    for triangle in corners:
        soup = np.repeat(triangle[None], len(points), axis=0)
        nearest = trimesh.triangles.closest_point(soup, points)  # type: ignore[no-untyped-call]
        wanted = np.linalg.norm(nearest - points, axis=1)
        found = unsigned_distance(torch.from_numpy(points), torch.from_numpy(triangle[None]))
        assert np.allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_triangle_without_area_is_a_segment() -> None:
    line = torch.tensor([[[-1.0, 0, 0], [1, 0, 0], [0.25, 0, 0]]])
    points = torch.tensor([[0.0, 3, 4], [4, 0, 0], [-1, 0, 0.5]])
    assert unsigned_distance(points, line).tolist() == pytest.approx([5, 3, 0.5])


@pytest.mark.parametrize("pairs", [1, 500, 10**9])
def test_the_size_of_the_chunks_changes_nothing(pairs: int) -> None:
    vertices, faces = sphere()
    corners = torch.from_numpy(vertices[faces])
    points = torch.from_numpy(np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32))
    assert torch.allclose(winding_number(points, corners, pairs), winding_number(points, corners), atol=1e-5)
    assert torch.equal(unsigned_distance(points, corners, pairs), unsigned_distance(points, corners))
    assert winding_number(points[:0], corners, pairs).shape == (0,)


def test_samples_are_those_of_the_cache() -> None:
    vertices, faces = to_unit(*(trimesh_arrays(trimesh.creation.box(extents=[1, 2, 3]))))
    wanted, found = make_sample(vertices, faces, 7), Geometry(CPU).make_sample(vertices, faces, 7)
    for field in ("points", "normals", "queries"):
        assert np.array_equal(getattr(found, field), getattr(wanted, field))
        assert getattr(found, field).dtype == getattr(wanted, field).dtype
    assert found.distances.dtype == np.int16
    difference = np.abs(found.distances.astype(int) - wanted.distances)
    assert (
        difference <= 2
    ).mean() > 0.999  # a step is 8e-6; the sign of points on the surface is anyone's guess
    assert (found.points.shape, found.queries.shape) == ((POINTS, 3), (QUERIES, 3))


def trimesh_arrays(mesh: trimesh.Trimesh) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


# ---- batches on the device


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    items = [dataclasses.replace(i, source=f"source-{k % 2}") for k, i in enumerate(procedural_items(4))]
    assert prepare(items, folder, ("source-0",)) == 0
    return folder


def config_of(**changes: Any) -> TrainConfig:
    tiny = TrainConfig.from_dict(json.loads((RECIPES / "tiny.json").read_text()))
    return dataclasses.replace(tiny, **changes)


def test_turning_a_batch_is_turning_each_mesh(cache: Path) -> None:
    config = config_of(batch=6, points=300, queries=240)
    batches = gpu.DeviceBatches(cache, config, CPU)
    stream = torch.Generator().manual_seed(0)
    batch = batches.thin(torch.tensor([0, 1, 0, 1, 0, 1]), stream)
    rng = np.random.default_rng(0)
    matrices = np.stack([random_rotation(rng) if k % 2 else cube_symmetries()[7 * k] for k in range(6)])
    refit = np.arange(6) % 2 == 1
    turned = gpu.turn(batch, torch.from_numpy(matrices), torch.from_numpy(refit))
    for k in range(6):
        one = tuple(getattr(batch, f.name)[k].numpy() for f in dataclasses.fields(Batch))
        wanted = one_turned((one[0], one[1], one[2].copy(), one[3].copy()), matrices[k], bool(refit[k]))
        for field, array in zip(dataclasses.fields(Batch), wanted, strict=True):
            assert np.allclose(getattr(turned, field.name)[k], array, rtol=0, atol=1e-5)


def test_thinning_takes_runs_of_each_kind_of_query(cache: Path) -> None:
    config = config_of(points=100, queries=60, query_shares=(1 / 2, 1 / 3, 1 / 6))
    batches = gpu.DeviceBatches(cache, config, CPU)
    # Where each query comes from can be read off its distance.
    batches.distances = torch.arange(QUERIES, dtype=torch.int16).expand(len(batches), -1)
    starts = set()
    for seed in range(8):
        batch = batches.thin(torch.tensor([1]), torch.Generator().manual_seed(seed))
        rows = (batch.distances[0] * (32767 / 0.25)).round().long()
        near, middle, uniform = rows[:30], rows[30:50], rows[50:]
        for part, low, high in (
            (near, 0, NEAR),
            (middle, NEAR, NEAR + MIDDLE),
            (uniform, NEAR + MIDDLE, QUERIES),
        ):
            assert torch.equal(part.diff(), torch.ones(len(part) - 1, dtype=torch.long))
            assert low <= part[0]
            assert part[-1] < high
        starts.add(int(near[0]))
        assert torch.equal(batch.queries[0], batches.queries[1, rows].float() * (EXTENT / 32767))
    assert len(starts) > 4


def test_batches_on_the_device_repeat_by_seed_and_use_all_symmetries(cache: Path) -> None:
    batches = gpu.DeviceBatches(cache, config_of(batch=64, points=16, queries=12, rotate_share=0.4), CPU)
    first, again, other = (next(batches.training(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.queries, again.queries)
    assert not torch.equal(first.queries, other.queries)
    rotations = gpu.random_rotations(500, torch.Generator().manual_seed(0))
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(500), atol=1e-5)
    assert rotations.mean(0).abs().max() < 0.12
    assert len(batches) == 2
    assert [len(b.points) for b in batches.validation()] == [2]


# ---- training by the clock


def test_a_budget_takes_the_schedule_from_the_clock(cache: Path, tmp_path: Path) -> None:
    config = config_of(
        batch=1, points=64, queries=24, steps=1000, quantize_from=400, warmup=10, budget_seconds=100
    )
    trainer = Trainer(config, gpu.DeviceBatches(cache, config, CPU), tmp_path, CPU)
    trainer.elapsed = 50.0
    assert trainer.position == 500
    assert not trainer.finished
    trainer.run(until=time.monotonic() - 1)
    assert trainer.step == 0
    trainer.elapsed = 99.9
    losses = trainer.run()
    assert trainer.finished
    assert 0 < trainer.step < 100
    assert trainer.calibrated
    assert str(config.model.max_tokens) in losses
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(learning_rate(1000, config), rel=0.01)
    resumed = Trainer(config, gpu.DeviceBatches(cache, config, CPU), tmp_path, CPU)
    assert resumed.finished
    assert resumed.calibrated


def test_the_gpu_recipe_fits_the_model() -> None:
    config = TrainConfig.from_dict(json.loads((RECIPES / "gpu.json").read_text()))
    assert config.model == Registry(WEIGHTS).default().config
    assert 0 < config.warmup < config.steps * (1 - config.decay_share) < config.steps
    assert 0 < config.budget_seconds <= 30 * 60
    base = json.loads((RECIPES / "base.json").read_text())
    assert list(config.validation_sources) == base["validation_sources"]


def test_a_checkpoint_survives_being_cut(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    source, joined = tmp_path / "checkpoint.pt", tmp_path / "again.pt"
    source.write_bytes(content)
    assert not gpu.join_file(tmp_path, joined)
    assert len(gpu.split_file(source, tmp_path, limit=100)) == 26
    pieces = gpu.split_file(source, tmp_path, limit=1000)
    assert sorted(tmp_path.glob("*.part")) == pieces
    assert [piece.stat().st_size for piece in pieces] == [1000, 1000, 560]
    assert gpu.join_file(tmp_path, joined)
    assert joined.read_bytes() == content
    pieces[1].unlink()
    with pytest.raises(UsageError, match="not all pieces"):
        gpu.join_file(tmp_path, joined)


def test_processes_sample_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "corpus.mcpk"
    pack(procedural_items(3), packed, max_bytes=7000)
    assert not gpu.fill_cache(packed, tmp_path / "late", CPU, until=0)
    folders = [tmp_path / "alone", tmp_path / "together"]
    for folder, workers in zip(folders, (1, 2), strict=True):
        assert gpu.fill_cache(packed, folder, CPU, workers)
    alone, together = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert alone == together
    assert len(alone) >= 5


BLOCKED = (
    "trimesh",
    "igl",
    "point_cloud_utils",
    "mcubes",
    "click",
    "tqdm",
    "fast_simplification",
    "meshoptimizer",
)

PROGRAM = f"""
import sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))  # an import of what is None there fails
import torch

from meshcodec.train import cache

torch.set_num_threads(1)
# Fewer points and queries than a real cache has: the processor asks every one of every triangle.
cache.POINTS, cache.NEAR, cache.MIDDLE, cache.UNIFORM = 512, 256, 160, 96
from meshcodec.train.gpu import main

raise SystemExit(main(sys.argv[1:]))
"""


def test_training_needs_none_of_the_libraries_that_the_machine_lacks(tmp_path: Path) -> None:
    items = [dataclasses.replace(i, source=f"source-{k // 5}") for k, i in enumerate(procedural_items(6))]
    packed, recipe = tmp_path / "corpus.mcpk", tmp_path / "recipe.json"
    report = pack(items, packed, max_bytes=14_000, validation_sources=("source-1",))
    assert report.meshes == 6
    config = config_of(batch=2, points=64, queries=24, steps=12, quantize_from=6, validate_every=5)
    recipe.write_text(json.dumps(dataclasses.asdict(config)))
    out, scratch = tmp_path / "out", tmp_path / "scratch"

    def call() -> str:
        command: list[str | Path] = [
            sys.executable,
            "-c",
            PROGRAM,
            packed,
            "--recipe",
            recipe,
            "--out",
            out,
            "--scratch",
            scratch,
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(meshcodec.__file__).parents[1])}
        done = subprocess.run(
            [*command, "--minutes", "60", "--device", "cpu"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return str(done.stderr)

    assert "finished at step 12" in call()
    entry = Registry(out / "weights").default()
    assert entry.config == config.model
    load_model(entry)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "validation" in r] == [5, 10, 12]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) <= 8
    assert all(path.stat().st_size < 16 * 2**20 for path in files)

    # As on another machine that has the samples, where only the pieces of the checkpoint went along.
    (scratch / "run" / "checkpoint.pt").unlink()
    recipe.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(config, steps=14))))
    written = {path: path.stat().st_mtime_ns for path in (scratch / "cache").iterdir()}
    assert "finished at step 14" in call()
    assert {path: path.stat().st_mtime_ns for path in (scratch / "cache").iterdir()} == written
    assert torch.load(scratch / "run" / "checkpoint.pt", weights_only=True)["step"] == 14


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Trainers install handlers; Ctrl-C has to end the tests all the same."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
