"""Recipes, and what of them is packaged."""

from __future__ import annotations

import json

import pytest
from support.paths import ROOT
from support.training import RECIPES, recipe

from meshcodec.registry import Registry
from meshcodec.train.cache import POINTS
from meshcodec.train.recipe import TrainConfig


@pytest.mark.parametrize("name", ["base", "tiny"])
def test_recipes_fit_the_model(name: str) -> None:
    config = recipe(name)
    assert 0 < config.quantize_from < config.steps
    assert config.model.plane_side == 4 * config.model.latent_side
    assert config.model.latent_side % config.model.patch == 0
    assert config.points <= POINTS


def test_the_decoder_is_trained_on_from_what_the_base_recipe_gives() -> None:
    base, decoder = recipe("base"), recipe("decoder")
    assert decoder.model == base.model
    assert decoder.validation_sources == base.validation_sources
    assert decoder.freeze_tokens
    assert decoder.quantize_from < 0


def test_the_wheel_holds_every_package_and_the_recipes() -> None:
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "meshcodec").rglob("*.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert packages | {"meshcodec.train.recipes", "meshcodec.weights_data"} == set(settings["packages"])
    assert settings["package-data"]["meshcodec.train.recipes"] == ["*.json"]


def test_the_gpu_recipe_fits_the_model() -> None:
    config = TrainConfig.from_dict(json.loads((RECIPES / "gpu.json").read_text()))
    assert config.model == Registry(ROOT / "weights").default().config
    assert 0 < config.warmup < config.steps * (1 - config.decay_share) < config.steps
    assert 0 < config.budget_seconds <= 30 * 60
    base = json.loads((RECIPES / "base.json").read_text())
    assert list(config.validation_sources) == base["validation_sources"]


def test_the_encoder_recipe_fits_the_model_and_leaves_the_decoder() -> None:
    config = TrainConfig.from_dict(json.loads((RECIPES / "encoder.json").read_text()))
    assert config.freeze_decoder
    assert config.model == Registry(ROOT / "weights").default().config
    assert config.quantize_from < 0
    assert config.visits == 1
