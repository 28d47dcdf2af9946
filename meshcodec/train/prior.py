"""Training the prior: the tokens, captions and views of a corpus, then the next-scale transformer on them.

A run's folder holds all of it, so that a run goes on where it was stopped:

===================  =====================================================================================
``SPLIT-B.npz``      up to 256 meshes: ``tokens`` (M, 2, T) uint8, of two draws of the surface points;
                     ``flipped`` the same of their images across x = 0; ``box_tokens`` (M, 4) uint8;
                     ``views`` (M, 4, side, side) uint8; ``captions`` (M,)
``checkpoint.pt``    weights, averaged weights, optimizer, step
``log.jsonl``        losses; of the validation set, nats a token of each scale
``report.json``      of the validation set, bits a token of each scale: uniform, by one table for each
                     symbol, by the networks of `meshcodec.format.token_coder`, and by the prior, alone, with
                     words, with a picture
===================  =====================================================================================

Nothing is known of which way is up, so two of the views of a mesh have y up and two have z up.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from meshcodec.config import ModelConfig
from meshcodec.errors import BadMeshError, UsageError
from meshcodec.format.token_coder import TokenModel
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.rates import RateNetwork
from meshcodec.prior.box import box_tokens
from meshcodec.prior.model import UNKNOWN, Conditions, NextScaleTransformer, scale_contexts
from meshcodec.prior.views import shaded_view, silhouette
from meshcodec.prior.words import word_ids, words_of
from meshcodec.runtime.files import write_atomic
from meshcodec.runtime.threads import one_thread
from meshcodec.runtime.workers import in_forks
from meshcodec.train.corpus import CorpusItem, is_validation
from meshcodec.train.log import write_log
from meshcodec.train.optimize import adamw, cosine, save_checkpoint, set_rate, update_average
from meshcodec.train.recipe import PriorRecipe
from meshcodec.train.token_coder import validation_bits

DRAWS = 2
"""Draws of the surface points of a mesh, each of which has tokens of its own."""
VIEWS = 4
"""Pictures of a mesh."""
_BLOCK = 256
"""Meshes of a block."""
_ELEVATIONS = (0.0, 45.0)
"""Degrees from which to which a view looks down."""
_KNOWN_SHARE = 0.7
"""Share of the scales of which some tokens are known."""
_WORD_SHARE = 0.6
"""Share of the words of a caption that are shown at a time; a name is seldom given whole."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shapes:
    """Meshes as a prior sees them; see the module for the arrays."""

    tokens: NDArray[np.uint8]
    flipped: NDArray[np.uint8]
    box_tokens: NDArray[np.uint8]
    views: NDArray[np.uint8]
    captions: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class PriorBatch:
    """B shapes with what they are drawn by.

    Attributes
    ----------
    conditions : words and pictures
    box : (B, 4) box tokens
    tokens : (B, T) uint8
    """

    conditions: Conditions
    box: Tensor
    tokens: Tensor


def prepare_shapes(
    items: list[CorpusItem], model: VariationalTokenizer, folder: Path, recipe: PriorRecipe, jobs: int
) -> None:
    """Write tokens and views of a corpus, block by block; blocks that are there are left alone.

    Parameters
    ----------
    items : the corpus
    model : frozen, on the CPU
    folder : folder of the run; made if need be
    jobs : processes that work
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(items))
    blocks = []
    for split in ("validation", "train"):
        wanted = split == "validation"
        chosen = [items[i] for i in order if is_validation(items[i], recipe.validation_sources) == wanted]
        for start in range(0, len(chosen), _BLOCK):
            path = folder / f"{split}-{start // _BLOCK:03d}.npz"
            if not path.exists():
                blocks.append((path, chosen[start : start + _BLOCK]))

    def write(block: tuple[Path, list[CorpusItem]]) -> None:
        _write_block(*block, model, recipe)

    for done, _ in enumerate(in_forks(write, blocks, jobs, one_thread), 1):
        log.info("%d of %d blocks of meshes", done, len(blocks))


def _write_block(
    path: Path, items: list[CorpusItem], model: VariationalTokenizer, recipe: PriorRecipe
) -> None:
    rows: list[tuple[Any, ...]] = []
    for item in items:
        try:
            rows.append(_shape(item, model, recipe))
        except BadMeshError as error:
            log.warning("left out %s: %s", item.id, error)
    names = [field.name for field in dataclasses.fields(Shapes)]
    data = io.BytesIO()
    arrays: dict[str, Any] = dict(zip(names, map(np.stack, zip(*rows, strict=True)), strict=True))
    np.savez_compressed(data, **arrays)
    write_atomic(path, data.getvalue(), overwrite=True)


def _shape(item: CorpusItem, model: VariationalTokenizer, recipe: PriorRecipe) -> tuple[Any, ...]:
    """Tokens, flipped tokens, box tokens, views and caption of a mesh."""
    vertices, faces = item.mesh()
    placement = fit_coding_box(vertices, faces)
    surfaces = classify(placement.to_unit(vertices), faces)
    rng = np.random.default_rng(0)
    draws = [sample_surface(surfaces, model.config.input_points, rng) for _ in range(DRAWS)]
    samples = [torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True)]
    # Of a mesh that is its own image across x = 0 the cube holds one half, and that of its image is the same.
    flip = torch.tensor([1.0 if placement.mirrored[0] else -1.0, 1, 1])
    count = model.config.scale_ends()[recipe.model.scales - 1]
    tokens, flipped = (
        model.tokenize(*(part * sign for part in samples))[:, :count].numpy() for sign in (1, flip)
    )
    views = [
        shaded_view(
            vertices, faces, rng.uniform(0, 360), rng.uniform(*_ELEVATIONS), up, recipe.model.image_side
        )
        for up in "yz" * (VIEWS // 2)
    ]
    box = np.array(box_tokens(placement.half_extents, placement.mirrored), dtype=np.uint8)
    pictures = np.rint(np.stack(views) * 255).astype(np.uint8)
    return tokens, flipped, box, pictures, np.str_(" ".join(words_of(item.caption)))


def read_shapes(folder: Path, split: str) -> Shapes:
    """All blocks of a split.

    Raises
    ------
    UsageError
        There are none.
    """
    paths = sorted(folder.glob(f"{split}-*.npz"))
    if not paths:
        raise UsageError(f"{folder}: no {split} meshes", "give 'meshcodec train prior' more of them")
    parts = []
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            parts.append([arrays[field.name] for field in dataclasses.fields(Shapes)])
    return Shapes(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def prior_batches(shapes: Shapes, recipe: PriorRecipe, rng: np.random.Generator) -> Iterator[PriorBatch]:
    """Endless random batches: in each round every mesh once, a draw of its points and a flip at random."""
    while True:
        order = rng.permutation(len(shapes))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            yield _batch(shapes, order[start : start + recipe.batch], recipe, rng)


def _batch(
    shapes: Shapes, rows: NDArray[np.integer], recipe: PriorRecipe, rng: np.random.Generator
) -> PriorBatch:
    tokens, views, texts = [], [], []
    for row in rows:
        flip = rng.random() < 0.5
        tokens.append((shapes.flipped if flip else shapes.tokens)[row, rng.integers(DRAWS)])
        # A picture of the image is the image of a picture.
        view = shapes.views[row, rng.integers(VIEWS)].astype(np.float32)[:, :: -1 if flip else 1] / 255
        views.append(silhouette(view) if rng.random() < recipe.silhouette_share else view)
        words = str(shapes.captions[row]).split() if rng.random() < recipe.text_share else []
        texts.append([word for word in words if rng.random() < _WORD_SHARE])
    conditions = conditions_of(texts, np.stack(views), rng.random(len(rows)) < recipe.image_share, recipe)
    box = torch.from_numpy(shapes.box_tokens[rows]).long()
    return PriorBatch(conditions, box, torch.from_numpy(np.stack(tokens)))


def conditions_of(
    texts: list[list[str]], views: NDArray[np.float32], with_view: NDArray[np.bool_], recipe: PriorRecipe
) -> Conditions:
    """Conditions of B shapes: their words, their (B, side, side) views, and (B,) whether each view counts."""
    ids = [word_ids(words, recipe.model.word_buckets) for words in texts]
    offsets = np.cumsum([0, *(len(row) for row in ids[:-1])])
    flat = torch.tensor([row for part in ids for row in part], dtype=torch.long)
    return Conditions(flat, torch.from_numpy(offsets), torch.from_numpy(views), torch.from_numpy(with_view))


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
    prepare_shapes(items, model, folder, recipe, jobs)
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
