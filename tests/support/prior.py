"""A small prior, and two shapes that it can learn by heart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
import trimesh
from click.testing import CliRunner, Result

from meshcodec.cli.group import cli
from meshcodec.config import PriorConfig
from meshcodec.prior.model import UNKNOWN, Conditions, NextScaleTransformer
from meshcodec.prior.weights import save_prior
from meshcodec.registry import Registry
from meshcodec.train.prior import PriorTrainer, validation_nats
from meshcodec.train.prior_data import Shapes, conditions_of
from meshcodec.train.recipe import PriorRecipe
from meshcodec.weights import load_model
from support.tiny import TINY

SMALL = PriorConfig(
    scales=3,
    width=32,
    heads=2,
    blocks=2,
    word_buckets=64,
    word_channels=8,
    image_side=32,
    image_channels=(4, 4, 8),
)


RECIPE = PriorRecipe(
    model=SMALL, steps=250, batch=2, learning_rate=3e-3, warmup=10, ema=0.9, validate_every=1000
)


def small_prior(seed: int = 0) -> NextScaleTransformer:
    """Random weights, residual branches included, so that everything has an effect."""
    torch.manual_seed(seed)
    prior = NextScaleTransformer(SMALL, TINY).eval()
    for parameter in prior.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return prior.requires_grad_(False)


def random_tokens(seed: int = 0, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, TINY.max_tokens), generator=generator).to(torch.uint8)


def unknown(tokens: torch.Tensor) -> list[torch.Tensor]:
    """None of the tokens of any scale."""
    return list(torch.full(tokens.shape, UNKNOWN).split(list(TINY.scale_tokens), dim=1))


def conditions(batch: int = 2) -> Conditions:
    """The first shape has words, the last a picture."""
    views = torch.rand(batch, 32, 32, generator=torch.Generator().manual_seed(1)).numpy()
    texts = [["chair", "office"], *([[]] * (batch - 1))]
    return conditions_of(texts, views, np.arange(batch) == batch - 1, RECIPE)


def two_shapes() -> Shapes:
    """Two that differ in everything; a flip changes nothing."""
    tokens = random_tokens(5)[:, None].repeat(1, 2, 1).numpy()
    views = np.zeros((2, 4, 32, 32), dtype=np.uint8)
    views[0, :, 8:24], views[1, :, :, 14:18] = 200, 200
    symbols = np.array([[0, 0, 5, 2], [7, 9, 0, 0]], dtype=np.uint8)
    return Shapes(tokens, tokens, symbols, views, np.array(["round table", "tall lamp"]))


def write_two_shapes(run: Path) -> None:
    """Blocks of both splits in the folder of a run, as the preparation of a corpus leaves them."""
    shapes = {field.name: getattr(two_shapes(), field.name) for field in dataclasses.fields(Shapes)}
    for split in ("train", "validation"):
        np.savez(run / f"{split}-000.npz", **shapes)


def train_two_shapes(run: Path, weights: Path) -> None:
    """Give the default model of a weights folder a prior that knows the two shapes by heart."""
    write_two_shapes(run)
    entry = Registry(weights).default()
    trainer = PriorTrainer(RECIPE, load_model(entry), run)
    start = validation_nats(trainer.averaged, trainer.tokenizer, trainer.validation, RECIPE)
    assert trainer.run()[0] < start[0] - 3
    save_prior(trainer.averaged, weights, entry.model_id.hex())


def run(*words: object) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(cli, [str(word) for word in words])


def boxes_in_folders(corpus: Path) -> Path:
    """A corpus of six boxes in six folders, ``kinda`` to ``kindf``; returns it."""
    for number in range(6):
        folder = corpus / f"kind{chr(97 + number)}"
        folder.mkdir(parents=True)
        trimesh.creation.box((1, 2, 3 + number)).export(folder / "wooden_box.ply")
    return corpus
