"""The training pipeline: cache, augmentation, splits, and the tiny recipe from beginning to end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner
from numpy.typing import NDArray

import meshcodec
from meshcodec.cli.group import cli
from meshcodec.config import EXTENT
from meshcodec.errors import UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.registry import Registry
from meshcodec.train import cache as cache_module
from meshcodec.train.autoencoder import Trainer
from meshcodec.train.batches import Arrays, cube_symmetries, random_rotation, turn
from meshcodec.train.cache import QUERIES, SampleCache, prepare
from meshcodec.train.corpus import CorpusItem, Mesh, is_validation, procedural_items, to_unit
from meshcodec.train.grow import grow
from meshcodec.train.objective import field_loss
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.token_coder import CoderConfig, train_coder
from meshcodec.weights import load_model, save_model

RECIPES = Path(meshcodec.__file__).parent / "train" / "recipes"
CPU = torch.device("cpu")


def recipe(name: str) -> TrainConfig:
    return TrainConfig.from_dict(json.loads((RECIPES / f"{name}.json").read_text()))


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Trainers install handlers; Ctrl-C has to end the tests all the same."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the tiny recipe, of fewer shapes and in blocks of 5."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "BLOCK", 5)
        assert prepare(procedural_items(16), folder, recipe("tiny").validation_sources) == 0
    return folder


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


# ---- recipes


@pytest.mark.parametrize("name", ["base", "tiny"])
def test_recipes_fit_the_model(name: str) -> None:
    config = recipe(name)
    assert 0 < config.quantize_from < config.steps
    assert config.model.plane_side == 4 * config.model.latent_side
    assert config.model.latent_side % config.model.patch == 0
    assert config.points <= cache_module.POINTS


def test_the_decoder_is_trained_on_from_what_the_base_recipe_gives() -> None:
    base, decoder = recipe("base"), recipe("decoder")
    assert decoder.model == base.model
    assert decoder.validation_sources == base.validation_sources
    assert decoder.freeze_tokens
    assert decoder.quantize_from < 0


def test_the_wheel_holds_every_package_and_the_recipes() -> None:
    tomllib = pytest.importorskip("tomllib")
    root = Path(meshcodec.__file__).parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(root) for path in (root / "meshcodec").rglob("*.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert packages | {"meshcodec.train.recipes", "meshcodec.weights_data"} == set(settings["packages"])
    assert settings["package-data"]["meshcodec.train.recipes"] == ["*.json"]


# ---- cache


def test_every_block_of_a_cache_is_whole(cache: Path) -> None:
    blocks = sorted(cache.glob("*.json"))
    assert [block.stem.rpartition("-")[0] for block in blocks] == ["block-train"] * 3 + ["block-validation"]
    assert len(list(cache.iterdir())) == 5 * len(blocks)  # and nothing half-written beside them
    ids = []
    for block in blocks:
        record = json.loads(block.read_text())
        count = len(record["ids"])
        assert count == len(record["sources"])
        shapes = {
            "points": (np.int16, (count, cache_module.POINTS, 3)),
            "normals": (np.int8, (count, cache_module.POINTS, 3)),
            "queries": (np.int16, (count, QUERIES, 3)),
            "distances": (np.int16, (count, QUERIES)),
        }
        for field, (dtype, shape) in shapes.items():
            array = np.load(block.with_suffix(f".{field}.npy"))
            assert (array.dtype, array.shape) == (dtype, shape)
            if field == "normals":
                lengths = np.linalg.norm(array.astype(float) / 127, axis=-1)
                assert np.abs(lengths - 1).max() < 0.02
            if field == "distances":
                assert ((array < 0).any(axis=1) & (array > 0).any(axis=1)).all()
        ids += record["ids"]
    assert sorted(ids) == sorted(item.id for item in procedural_items(16))
    assert len(SampleCache(cache, "train")) + len(SampleCache(cache, "validation")) == 16


def ball(name: str, source: str, loads: Path | None = None) -> CorpusItem:
    """A sphere; every load leaves a line in a file, as it may happen in another process."""

    def load() -> Mesh:
        if loads is not None:
            with loads.open("a") as file:
                file.write(f"{name}\n")
        mesh = trimesh.creation.icosphere(subdivisions=1)
        return to_unit(np.asarray(mesh.vertices), np.asarray(mesh.faces))

    return CorpusItem(name, source, load)


def test_prepare_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "BLOCK", 2)
    loads, folder = tmp_path / "loads", tmp_path / "cache"
    items = [ball(f"ball-{i}", "held" if i < 2 else "kept", loads) for i in range(6)]

    def fill() -> list[str]:
        """The items that were loaded by one more call."""
        loads.write_text("")
        assert prepare(items, folder, ("held",)) == 0
        return sorted(loads.read_text().split())

    assert fill() == sorted(item.id for item in items)
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert fill() == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == written

    lost = folder / "block-train-0001.json"  # as if it had been killed before this block was whole
    lost_ids = json.loads(lost.read_text())["ids"]
    lost.unlink()
    assert fill() == sorted(lost_ids)
    assert {path: path.read_bytes() for path in folder.iterdir()} == {
        p: data for p, (_, data) in written.items()
    }


def test_validation_is_held_out_by_source(tmp_path: Path) -> None:
    items = [ball(f"ball-{i}", f"source-{i % 3}") for i in range(6)]
    prepare(items, tmp_path, ("source-1",))
    split: dict[str, set[str]] = {"train": set(), "validation": set()}
    for block in tmp_path.glob("*.json"):
        record = json.loads(block.read_text())
        split[record["split"]] |= set(record["sources"])
    assert split == {"train": {"source-0", "source-2"}, "validation": {"source-1"}}


def test_without_sources_one_mesh_in_twenty_is_held_out() -> None:
    held = [is_validation(item, ()) for item in procedural_items(4000)]
    assert 120 < sum(held) < 280
    assert held == [is_validation(item, ()) for item in procedural_items(4000)]


# ---- augmentation


CENTERS = np.array([[-0.5, 0.1, 0.0], [0.4, -0.2, 0.3]])
RADII = np.array([0.5, 0.6])


def sphere_distance(queries: NDArray[Any], centers: NDArray[Any], radii: NDArray[Any]) -> NDArray[Any]:
    """(n,) signed distance to a union of spheres."""
    away: NDArray[Any] = (np.linalg.norm(queries[:, None] - centers, axis=-1) - radii).min(axis=1)
    return away


def two_spheres(rng: np.random.Generator) -> Arrays:
    """Points on two spheres, away from where they meet, and queries with their exact distances."""
    normals = rng.normal(size=(20_000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    which = rng.integers(0, 2, len(normals))
    points = CENTERS[which] + RADII[which, None] * normals
    outer = np.linalg.norm(points - CENTERS[1 - which], axis=1) > RADII[1 - which] + 0.05
    queries = rng.uniform(-EXTENT, EXTENT, (4000, 3))
    arrays = (points[outer], normals[outer], queries, sphere_distance(queries, CENTERS, RADII))
    points32, normals32, queries32, distances32 = (array.astype(np.float32) for array in arrays)
    return points32, normals32, queries32, distances32


@pytest.mark.parametrize("seed", range(4))
def test_turning_keeps_distances_true(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays, matrix = two_spheres(rng), random_rotation(rng)
    points, normals, queries, distances = turn(arrays, matrix, refit=True)

    assert np.allclose(points.max(axis=0) + points.min(axis=0), 0, atol=1e-5)
    assert np.abs(points).max() == pytest.approx(1, abs=1e-5)
    # What was done to the points says where the spheres are now, whatever was done to the distances.
    before, after = arrays[0].astype(float) @ matrix.T, points.astype(float)
    scale = np.linalg.norm(before[1] - before[0]) / np.linalg.norm(after[1] - after[0])
    shift = (before - scale * after).mean(axis=0)
    assert scale != pytest.approx(1, abs=1e-3)
    centers, radii = (CENTERS @ matrix.T - shift) / scale, RADII / scale
    assert np.abs(queries).max() <= EXTENT
    assert np.allclose(distances, sphere_distance(queries, centers, radii), atol=1e-4)
    assert np.allclose(sphere_distance(points + 0.01 * normals, centers, radii), 0.01, atol=1e-4)


def test_symmetries_keep_distances_as_they_are() -> None:
    arrays = two_spheres(np.random.default_rng(0))
    for matrix in cube_symmetries()[::7]:
        points, normals, queries, distances = turn(arrays, matrix, refit=False)
        centers = CENTERS @ matrix.T
        assert np.array_equal(distances, arrays[3])
        assert np.allclose(distances, sphere_distance(queries, centers, RADII), atol=1e-5)
        assert np.allclose(sphere_distance(points + 0.01 * normals, centers, RADII), 0.01, atol=1e-5)


def test_the_cube_has_48_symmetries() -> None:
    matrices = cube_symmetries()
    assert len({matrix.tobytes() for matrix in matrices + 0.0}) == 48  # + 0.0: no negative zeros
    assert np.array_equal(matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (48, 3, 3)))
    assert sorted(np.rint(np.linalg.det(matrices))) == [-1] * 24 + [1] * 24


# ---- the loop


def test_tiny_recipe_lowers_the_validation_loss_in_both_phases(cache: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(recipe("tiny"), steps=130, quantize_from=49, validate_every=10)
    losses = Trainer(config, cache, tmp_path, CPU).run()
    found = {record["step"]: record["validation"] for record in records(tmp_path) if "validation" in record}
    tokens = str(config.model.max_tokens)
    assert sorted(found) == list(range(10, 131, 10))
    assert all(set(found[step]) == ({"free"} if step <= 49 else {"free", tokens}) for step in found)
    assert losses == pytest.approx(found[130], abs=1e-4)
    assert found[50]["free"] < 0.95 * found[10]["free"]
    assert found[130][tokens] < 0.98 * found[50][tokens]


@pytest.mark.parametrize("compiled", [False, True])
def test_tokens_may_be_frozen(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """What was trained on them, a coder or a prior, serves the new weights too."""
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(  # traced as for the real backend, which takes most of a minute
        torch.nn.Module,
        "compile",
        lambda module, **options: compile_module(module, backend="eager", **options),
    )
    config = dataclasses.replace(
        recipe("tiny"), steps=6, quantize_from=-1, visits=3, replay_batches=1, fresh_share=0.3
    )
    config = dataclasses.replace(config, freeze_tokens=True)
    trainer = Trainer(config, cache, tmp_path, CPU, compiled=compiled)
    before = {name: value.clone() for name, value in trainer.objective.model.state_dict().items()}
    trainer.run()
    for state in (trainer.objective.model.state_dict(), trainer.averaged):
        changed = {
            name.split(".")[0] for name, value in state.items() if not torch.equal(value, before[name])
        }
        assert changed == {"decoder", "field"}


def test_the_loss_counts_what_it_says() -> None:
    # Distances of 0.02 and 0.08 where 0.01 and -0.03 are wanted; 0.1 is the largest, 0.05 is near.
    logits, wanted = torch.atanh(torch.tensor([[0.2, 0.8]])), torch.tensor([[0.01, -0.03]])
    loss, distance = field_loss(logits, wanted, 0.0)
    assert float(loss) == pytest.approx((0.01 + 0.11) / 2 / 0.1, rel=1e-5)
    near, reported = field_loss(logits, wanted, 0.0, near_surface=True)
    assert float(near) == pytest.approx(((0.01 + 0.08) / 2 + 0.2 * (0.01 + 0.11) / 2) / 0.05, rel=1e-5)
    assert reported == distance == loss


def test_a_model_grows_by_channels_that_change_next_to_nothing() -> None:
    small = recipe("tiny").model
    a, b, c = small.plane_channels
    wide = 2 * a + 1, 2 * b, c + 3
    large = dataclasses.replace(small, plane_channels=wide, field_width=small.field_width + 8)
    assert large.grows_from(small)
    assert not small.grows_from(large)
    torch.manual_seed(0)
    before, after = VariationalTokenizer(small), VariationalTokenizer(large)
    for parameter in before.parameters():  # as training would leave it: nothing is zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    grow(after, before.state_dict())
    tokens = torch.randint(0, 256, (1, small.max_tokens), dtype=torch.uint8)
    points = 2 * torch.rand(1, 200, 3) - 1
    planes, wider = before.planes(tokens), after.planes(tokens)
    torch.testing.assert_close(wider[:, :, : planes.shape[2]], planes, rtol=1e-4, atol=1e-4)
    assert wider[:, :, planes.shape[2] :].std() > 0
    torch.testing.assert_close(after.field(wider, points), before.field(planes, points), rtol=1e-4, atol=1e-4)
    # And what is new does learn.
    after.field(after.planes(tokens), points).square().mean().backward()
    first = after.field.mlp[0].weight
    assert isinstance(first, torch.Tensor)
    assert first.grad is not None
    assert first.grad[:, c : wide[-1]].abs().max() > 0
    with pytest.raises(UsageError, match="another shape"):
        grow(VariationalTokenizer(small), after.state_dict())


def test_a_model_grows_by_blocks_that_change_nothing(cache: Path, tmp_path: Path) -> None:
    small = recipe("tiny")
    model = dataclasses.replace(small.model, encoder_blocks=2, decoder_blocks=3)
    large = dataclasses.replace(small, model=model)
    assert model.grows_from(small.model)
    assert not small.model.grows_from(model)
    assert not model.grows_from(dataclasses.replace(small.model, plane_side=2 * model.plane_side))
    before = Trainer(small, cache, tmp_path / "small", CPU).objective.model
    for parameter in before.parameters():  # as training would leave it: nothing is zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    after = Trainer(large, cache, tmp_path / "large", CPU, before.state_dict()).objective.model
    tokens = torch.randint(0, 256, (1, small.model.max_tokens), dtype=torch.uint8)
    points = torch.nn.functional.normalize(torch.randn(1, 64, 3), dim=-1)
    with torch.no_grad():
        assert torch.equal(before.planes(tokens), after.planes(tokens))
        assert torch.equal(before.encoder(points, points)[0], after.encoder(points, points)[0])
    with pytest.raises(UsageError, match="another shape"):
        Trainer(small, cache, tmp_path / "shrunk", CPU, after.state_dict())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_stopped_run_goes_on(cache: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    config = dataclasses.replace(
        recipe("tiny"), steps=40, quantize_from=35, points=256, queries=128, checkpoint_seconds=0
    )
    path, run = tmp_path / "recipe.json", tmp_path / "run"
    path.write_text(json.dumps(dataclasses.asdict(config)))
    train = [sys.executable, "-m", "meshcodec", "train", "run", str(path), "--threads", "1"]
    command = [*train, "--cache", str(cache), "-o", str(run)]
    environment = {**os.environ, "PYTHONPATH": str(Path(meshcodec.__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (run / "checkpoint.pt").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(number)
        assert process.wait() == code
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    assert 0 < saved["step"] < config.steps

    trainer = Trainer(dataclasses.replace(config, checkpoint_seconds=60), cache, run, CPU)
    assert trainer.step == saved["step"]
    for name, value in trainer.objective.model.state_dict().items():
        assert torch.equal(value, saved["model"][name])
    for name, value in trainer.averaged.items():
        assert torch.equal(value, saved["averaged"][name])
    for optimizer, state in zip(trainer.optimizers, saved["optimizers"], strict=True):
        assert optimizer.state_dict()["state"].keys() == state["state"].keys() != set()
    assert trainer.run()
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] == config.steps
    events = [(record["step"], record["event"]) for record in records(run) if "event" in record]
    assert events == [(saved["step"], "resumed"), (35, "quantizer calibrated")]


# ---- coders


def test_a_coder_is_fitted_and_goes_on_where_it_stopped(
    cache: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    """Networks learn what the tokens of a model have in common; a run that was stopped ends with the same."""
    model = load_model(Registry(tiny_weights).default())
    config = CoderConfig(rounds=1, meshes=14, steps=2, fit_steps=60)
    run = tmp_path / "run"
    coder = train_coder(model, cache, run, config, 2)
    report = json.loads((run / "report.json").read_text())
    for judged in (report["encoder"], report["refined"]):
        assert [row["side"] for row in judged] == list(model.config.scale_sides)
        assert all(row["uniform"] == 8 for row in judged)
        assert all(row["network"] > 0 and row["table"] > 0 for row in judged)
    # What the encoder's tokens have in common shows in those of meshes that nothing was fitted to.
    assert sum(row["network"] for row in report["encoder"]) < 3 * 8
    tokens = np.load(run / "encoder.npy")[0].tobytes()
    message = coder.encode(tokens)
    assert len(message) < len(tokens)
    assert coder.decode(message, len(tokens)) == tokens

    changed = {path: path.stat().st_mtime_ns for path in (run / "round-1").iterdir()}
    assert len(changed) == 14
    lost = sorted(changed)[3]
    kept = lost.read_bytes()
    lost.unlink()
    (run / "round-1.pt").unlink()
    again = train_coder(model, cache, run, config, 1)
    assert lost.read_bytes() == kept
    assert {path: path.stat().st_mtime_ns for path in changed if path != lost} == {
        path: time_ns for path, time_ns in changed.items() if path != lost
    }
    assert again.decode(again.encode(tokens), len(tokens)) == tokens


def test_a_model_gets_one_coder(cache: Path, tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    words = ["train", "coder", str(folder), "--cache", str(cache), "-o", str(tmp_path / "run")]
    words += ["--rounds", "0"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    entry = Registry(folder).default()
    assert entry.coder_path == folder / f"{entry.path.stem}-coder.safetensors"
    refused = CliRunner().invoke(cli, words)
    assert refused.exit_code == 2
    assert "files hang on it" in refused.stderr
    model = load_model(entry)
    model.decoder.out.weight += 0.1
    assert save_model(model, folder, "other-decoder") != entry.model_id.hex()
    assert Registry(folder).default().coder_path == entry.coder_path  # it makes the same tokens
    next(model.encoder.parameters()).add_(0.1)
    save_model(model, folder, "other-encoder")
    assert Registry(folder).default().coder_path is None
