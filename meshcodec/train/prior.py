"""Training the prior: the next-scale transformer on the tokens, captions and views of a corpus.

A run's folder holds all of it, so that a run goes on where it was stopped:

===================  =====================================================================================
``SPLIT-B.npz``      meshes, see `meshcodec.train.prior_data`
``checkpoint.pt``    weights, averaged weights, optimizer, step
``log.jsonl``        losses; of the validation set, nats a token of each scale
``report.json``      of the validation set, bits a token of each scale: uniform, by one table for each
                     symbol, by the networks of `meshcodec.format.token_coder`, and by the prior, alone, with
                     words, with a picture
===================  =====================================================================================
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from meshcodec.config import ModelConfig
from meshcodec.format.token_coder import TokenModel
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.rates import RateNetwork
from meshcodec.prior.model import UNKNOWN, NextScaleTransformer, scale_contexts
from meshcodec.train.corpus import CorpusItem
from meshcodec.train.log import write_log
from meshcodec.train.optimize import adamw, cosine, save_checkpoint, set_rate, update_average
from meshcodec.train.prior_data import (
    PriorBatch,
    Shapes,
    conditions_of,
    prepare_shapes,
    prior_batches,
    read_shapes,
)
from meshcodec.train.recipe import PriorRecipe
from meshcodec.train.token_coder import validation_bits

_KNOWN_SHARE = 0.7
"""Share of the scales of which some tokens are known."""


def train_prior(
    items: list[CorpusItem],
    model: VariationalTokenizer,
    coder: TokenModel | None,
    folder: Path,
    recipe: PriorRecipe,
    jobs: int,
) -> NextScaleTransformer:
    """Prepare what is missing, train what is left, report; returns the averaged weights.

    Parameters
    ----------
    items : the corpus
    model : frozen, on the CPU
    coder : entropy model that the report compares with, if any
    folder : folder of the run, see above
    jobs : processes that prepare
    """
    prepare_shapes(items, model, coder, folder, recipe, jobs)
    trainer = PriorTrainer(recipe, model, folder)
    cases = {"prior": {}, "with words": {"words": True}, "with a picture": {"picture": True}}
    trainer.run()
    report = token_bits(trainer.train, trainer.validation, coder, model.config, recipe.model.scales)
    for name, shown in cases.items():
        nats = validation_nats(trainer.averaged, model, trainer.validation, recipe, **shown)
        for row, value in zip(report, nats, strict=True):
            row[name] = value / math.log(2)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return trainer.averaged


def token_bits(
    train: Shapes, validation: Shapes, coder: TokenModel | None, shape: ModelConfig, scales: int
) -> list[dict[str, float]]:
    """`meshcodec.train.token_coder.validation_bits` of each scale; without a coder only their sides."""
    if coder is None:
        return [{"side": side} for side in shape.scale_sides[:scales]]
    networks = [RateNetwork.of(network) for network in coder.networks[:scales]]
    return validation_bits(networks, list(train.tokens[:, 0]), list(validation.tokens[:, 0]), shape)


@torch.no_grad()
def validation_nats(
    prior: NextScaleTransformer,
    tokenizer: VariationalTokenizer,
    shapes: Shapes,
    recipe: PriorRecipe,
    words: bool = False,
    picture: bool = False,
) -> list[float]:
    """Mean cross-entropy of a token of each scale, in nats, over the first draws.

    Without any token of the scale itself, as if all of it were drawn at once, and without conditions, or with
    all words of the caption, or with the first view.
    """
    prior.eval()
    totals = np.zeros(recipe.model.scales)
    for start in range(0, len(shapes), recipe.batch):
        tokens = torch.from_numpy(shapes.tokens[start : start + recipe.batch, 0])
        box = torch.from_numpy(shapes.box_tokens[start : start + recipe.batch]).long()
        captions = shapes.captions[start : start + recipe.batch]
        texts = [str(caption).split() if words else [] for caption in captions]
        views = shapes.views[start : start + recipe.batch, 0].astype(np.float32) / np.float32(255)
        shown = conditions_of(texts, views, np.full(len(tokens), picture), recipe)
        for scale, part in enumerate(_losses(prior, tokenizer, PriorBatch(shown, box, tokens))[1]):
            totals[scale] += float(part.mean()) * len(tokens) / len(shapes)
    prior.train()
    return totals.tolist()


def _losses(
    prior: NextScaleTransformer,
    tokenizer: VariationalTokenizer,
    batch: PriorBatch,
    known: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Nats of the box tokens, (B, 4), and of each scale's tokens, (B, 3 n²), of which some may be known."""
    contexts = scale_contexts(tokenizer.quantizer, batch.tokens, prior.config.scales)
    if known is None:
        known = torch.zeros_like(batch.tokens, dtype=torch.bool)
    counts = list(prior.counts)
    given = torch.where(known, batch.tokens.long(), UNKNOWN).split(counts, dim=1)
    with torch.autocast(batch.tokens.device.type, torch.bfloat16):
        box, scales = prior(batch.conditions, batch.box, contexts, list(given))
    wanted = batch.tokens.long().split(counts, dim=1)
    nats = [
        F.cross_entropy(logits.float().transpose(1, 2), tokens, reduction="none")
        for logits, tokens in zip([box, *scales], [batch.box, *wanted], strict=True)
    ]
    return nats[0], nats[1:]


def _some_known(tokens: Tensor, counts: tuple[int, ...]) -> Tensor:
    """(B, T) bool: a random share of each scale of each shape, of some scales none."""
    parts = []
    for count in counts:
        share = torch.rand(len(tokens), 1) * (torch.rand(len(tokens), 1) < _KNOWN_SHARE)
        parts.append(torch.rand(len(tokens), count) < share)
    return torch.cat(parts, dim=1).to(tokens.device)


class PriorTrainer:
    """State of one run, which goes on from the checkpoint in its folder.

    Parameters
    ----------
    recipe : what is trained, and how
    tokenizer : frozen model whose tokens these are
    folder : folder of the run, with the blocks of `prepare_shapes`
    """

    def __init__(self, recipe: PriorRecipe, tokenizer: VariationalTokenizer, folder: Path) -> None:
        self.recipe, self.tokenizer, self.folder = recipe, tokenizer, folder
        self.train, self.validation = (read_shapes(folder, split) for split in ("train", "validation"))
        torch.manual_seed(recipe.seed)
        self.model = NextScaleTransformer(recipe.model, tokenizer.config)
        self.averaged = NextScaleTransformer(recipe.model, tokenizer.config).requires_grad_(False)
        self.averaged.load_state_dict(self.model.state_dict())
        self.optimizer = adamw(self.model.parameters(), recipe.learning_rate, recipe.weight_decay)
        self.step = 0
        self._checkpoint = folder / "checkpoint.pt"
        if self._checkpoint.exists():
            state = torch.load(self._checkpoint, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def run(self) -> list[float]:
        """Train to the end of the recipe; returns `validation_nats`."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed + self.step)
        batches = prior_batches(self.train, recipe, np.random.default_rng([recipe.seed, self.step]))
        saved = began = time.monotonic()
        first, mean = self.step, 0.0
        nats: list[float] = []
        while self.step < recipe.steps:
            loss = self._train_step(next(batches))
            mean = loss if not mean else 0.98 * mean + 0.02 * loss
            self.step += 1
            done = self.step == recipe.steps
            if self.step % recipe.validate_every == 0 or done:
                nats = validation_nats(self.averaged, self.tokenizer, self.validation, recipe)
                rate = (self.step - first) * recipe.batch / (time.monotonic() - began)
                write_log(
                    self.folder,
                    {"step": self.step, "loss": mean, "validation": nats, "samples_per_second": rate},
                )
            if time.monotonic() - saved > recipe.checkpoint_seconds or done:
                self._save()
                saved = time.monotonic()
        return nats or validation_nats(self.averaged, self.tokenizer, self.validation, recipe)

    def _train_step(self, batch: PriorBatch) -> float:
        recipe = self.recipe
        progress = self.step / recipe.steps
        rate = recipe.learning_rate * min(1.0, (self.step + 1) / recipe.warmup)
        set_rate(self.optimizer, rate * cosine(progress))
        known = _some_known(batch.tokens, self.model.counts)
        box, scales = _losses(self.model, self.tokenizer, batch, known)
        # The scales weigh as the roots of their tokens: few coarse ones decide what many fine ones can be.
        weights = [math.sqrt(part.shape[1]) for part in scales]
        hidden = (~known).float().split(list(self.model.counts), dim=1)
        means = [
            (part * some).sum() / some.sum().clamp(min=1) for part, some in zip(scales, hidden, strict=True)
        ]
        tokens = sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)
        loss = tokens + recipe.frame_weight * box.sum(1).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        averaged, current = (list(model.parameters()) for model in (self.averaged, self.model))
        update_average(averaged, current, self.step, recipe.ema)
        return float(loss.detach())

    def _save(self) -> None:
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_checkpoint(self._checkpoint, state)
