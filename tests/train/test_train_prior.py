"""Training the prior, and its command."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from support.prior import (
    RECIPE,
    SMALL,
    boxes_in_folders,
    run,
    two_shapes,
)
from support.tiny import TINY

from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.modes.tokens.refine import RefinementJob, RefinementResult, refine_batch
from meshcodec.prior.sampling import ConditioningTokens, Sampling, sample
from meshcodec.prior.weights import load_prior
from meshcodec.registry import Registry
from meshcodec.train.corpus import read_corpus
from meshcodec.train.prior import PriorTrainer
from meshcodec.train.prior_data import ShapeMaker, Shapes, conditions_of
from meshcodec.train.recipe import PriorRecipe
from meshcodec.weights import load_model

Tokens = NDArray[np.uint8]

pytestmark = [pytest.mark.train, pytest.mark.slow]


def test_training_learns_two_shapes_by_their_words_and_pictures(prior_weights: Path) -> None:
    prior = load_prior(Registry(prior_weights).default())
    quantizer = load_model(Registry(prior_weights).default()).quantizer
    assert prior is not None
    shapes = two_shapes()
    likeliest = Sampling(top_k=1, guidance=0)
    views = shapes.views[:, 0].astype(np.float32) / np.float32(255)
    cases: list[tuple[list[list[str]], bool]] = [([["table"], ["lamp"]], False), ([[], []], True)]
    for texts, shown in cases:
        given = conditions_of(texts, views, np.full(2, shown), RECIPE)
        symbols, tokens = sample(prior, quantizer, given, likeliest, ConditioningTokens(), torch.Generator())
        assert symbols.tolist() == shapes.box_tokens.tolist()
        assert (tokens.numpy() == shapes.tokens[:, 0]).mean() > 0.98


def test_a_run_goes_on_from_its_checkpoint(prior_weights: Path, tmp_path: Path) -> None:
    shapes = {field.name: getattr(two_shapes(), field.name) for field in dataclasses.fields(Shapes)}
    for split in ("train", "validation"):
        np.savez(tmp_path / f"{split}-000.npz", **shapes)
    tokenizer = load_model(Registry(prior_weights).default())
    first = PriorTrainer(dataclasses.replace(RECIPE, steps=3), tokenizer, tmp_path)
    first.run()
    second = PriorTrainer(dataclasses.replace(RECIPE, steps=5), tokenizer, tmp_path)
    assert second.step == 3
    for name, value in first.averaged.state_dict().items():
        torch.testing.assert_close(second.averaged.state_dict()[name], value)
    second.run()
    assert second.step == 5
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 5]


def test_the_command_prepares_trains_and_registers(tiny_weights: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    recipe = tmp_path / "recipe.json"
    model = {**SMALL.to_dict(), "scales": 2}
    sources = ["kinde", "kindf"]
    recipe.write_text(json.dumps({"model": model, "steps": 2, "batch": 2, "validation_sources": sources}))
    words = (
        "train",
        "prior",
        weights,
        "--corpus",
        boxes_in_folders(tmp_path / "corpus"),
        "--recipe",
        recipe,
        "-o",
        tmp_path / "run",
        "-j",
        1,
    )
    result = run(*words)
    assert result.exit_code == 0, result.output
    entry = Registry(weights).default()
    assert entry.prior is not None
    assert entry.prior.config.scales == 2
    with np.load(tmp_path / "run" / "train-000.npz") as made:
        assert made["tokens"].shape == (4, 1, TINY.scale_ends()[1])
        assert sorted(made["captions"]) == [f"kind{letter} wooden box" for letter in "abcd"]
        assert (made["box_tokens"][:, 0] == 7).all()  # a box is symmetric to all three planes
    assert len(json.loads((tmp_path / "run" / "report.json").read_text())) == 2
    before = (tmp_path / "run" / "train-000.npz").stat().st_mtime_ns
    assert run(*words).exit_code == 0  # nothing left to do, and the prior is replaced by itself
    assert (tmp_path / "run" / "train-000.npz").stat().st_mtime_ns == before
    generated = run("generate", "-o", tmp_path / "out", "-n", 2, "--weights", weights, "--no-sheet")
    assert generated.exit_code == 0, generated.output


def test_the_image_of_a_mesh_is_refined_towards_the_image_of_its_field(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]  # no plane mirrors it
    trimesh.Trimesh(corners, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]).export(tmp_path / "corner.obj")
    given = list[RefinementJob]()

    def recorded(*arguments: Any) -> list[RefinementResult]:
        given.extend(arguments[1])
        return refine_batch(*arguments)

    monkeypatch.setattr("meshcodec.train.prior_data.refine_batch", recorded)
    model = load_model(Registry(tiny_weights).default())
    recipe = PriorRecipe(model=dataclasses.replace(SMALL, scales=2))
    tokens, flipped, *_ = ShapeMaker(model, None, recipe).shape(read_corpus(tmp_path)[0])
    assert not np.array_equal(tokens, flipped)
    one, other = given
    np.testing.assert_array_equal(other.pool.points, one.pool.points * np.array([-1, 1, 1], np.float32))
    np.testing.assert_array_equal(other.pool.distances, one.pool.distances)
    assert not torch.equal(one.latents[0], other.latents[0])


def test_tokens_that_a_prior_learns_from_are_refined(tiny_weights: Path, tmp_path: Path) -> None:
    item = read_corpus(boxes_in_folders(tmp_path))[0]
    model = load_model(Registry(tiny_weights).default())
    recipe = PriorRecipe(model=dataclasses.replace(SMALL, scales=2))

    def tokens(steps: int) -> Tokens:
        made: Tokens = ShapeMaker(model, None, dataclasses.replace(recipe, refine_steps=steps)).shape(item)[0]
        return made

    vertices, faces = item.mesh()
    placement = fit_coding_box(vertices, faces)
    classes = classify(placement.to_unit(vertices), faces)
    sample = sample_surface(classes, model.config.input_points, np.random.default_rng(0))
    own = model.tokenize(*(torch.from_numpy(part[None]) for part in sample))
    assert np.array_equal(tokens(0), own[:, : model.config.scale_ends()[1]])
    assert not np.array_equal(tokens(2), tokens(0))
    assert np.array_equal(tokens(2), tokens(2))
