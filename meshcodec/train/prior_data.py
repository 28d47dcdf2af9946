"""What a prior learns from: tokens, captions and views of a corpus, in blocks on a disk, and batches of them.

``SPLIT-B.npz`` holds up to 128 meshes: ``tokens`` (M, D, T) uint8, of D draws of the surface points;
``flipped`` the same of their images across x = 0; ``box_tokens`` (M, 4) uint8; ``views`` (M, 4, side, side)
uint8; ``captions`` (M,).

Tokens are refined by the steps that every effort begins with: they say more of the shape than the encoder's
own, in fewer bits. Nothing is known of which way is up, so two of the views of a mesh have y up and two have
z up.
"""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from meshcodec.errors import BadMeshError, UsageError
from meshcodec.format.token_coder import TokenModel
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import FaceClasses, classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.fill import nearest_tokens
from meshcodec.modes.tokens.prepare import PreparedMesh
from meshcodec.modes.tokens.rates import TokenRates
from meshcodec.modes.tokens.refine import QueryPool, RateControl, RefinementJob, refine_batch
from meshcodec.modes.tokens.settings import RefineSettings
from meshcodec.modes.tokens.targets import draw_queries
from meshcodec.prior.box import box_tokens
from meshcodec.prior.model import Conditions
from meshcodec.prior.views import shaded_view, silhouette
from meshcodec.prior.words import word_ids, words_of
from meshcodec.runtime.files import write_atomic
from meshcodec.runtime.threads import one_thread
from meshcodec.runtime.workers import in_forks
from meshcodec.train.corpus import CorpusItem, is_validation
from meshcodec.train.recipe import PriorRecipe

VIEWS = 4
"""Pictures of a mesh."""
_BLOCK = 128
"""Meshes of a block."""
_ELEVATIONS = (0.0, 45.0)
"""Degrees from which to which a view looks down."""
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


class ShapeMaker:
    """Makes of a mesh of the corpus what a prior learns from.

    Parameters
    ----------
    model : frozen, on the CPU
    coder : probabilities of its tokens; without one, tokens are refined whatever bits they take
    recipe : how many steps the tokens are refined for, and how many scales and bits they have
    """

    def __init__(self, model: VariationalTokenizer, coder: TokenModel | None, recipe: PriorRecipe) -> None:
        self._model, self._recipe = model, recipe
        self._rates = None if coder is None else TokenRates(coder, torch.device("cpu"))
        self._settings = RefineSettings()
        self._count = model.config.scale_ends()[recipe.model.scales - 1]

    def shape(self, item: CorpusItem) -> tuple[Any, ...]:
        """A row of each of the arrays of `Shapes`.

        Raises
        ------
        BadMeshError
            The mesh has no surface.
        """
        vertices, faces = item.mesh()
        placement = fit_coding_box(vertices, faces)
        classes = classify(placement.to_unit(vertices), faces)
        rng = np.random.default_rng(0)
        # Of a mesh that is its own image across x = 0 the cube holds one half, and that of its image is the
        # same.
        flips = [np.ones(3, np.float32)]
        if not placement.mirrored[0]:
            flips.append(np.array([-1, 1, 1], np.float32))
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        tokens = self._tokens(mesh, placement, classes, flips, rng)
        side = self._recipe.model.image_side
        views = [
            shaded_view(vertices, faces, rng.uniform(0, 360), rng.uniform(*_ELEVATIONS), up, side)
            for up in "yz" * (VIEWS // 2)
        ]
        box = np.array(box_tokens(placement.half_extents, placement.mirrored), dtype=np.uint8)
        pictures = np.rint(np.stack(views) * 255).astype(np.uint8)
        return tokens[0][None], tokens[-1][None], box, pictures, np.str_(" ".join(words_of(item.caption)))

    def _tokens(
        self,
        mesh: trimesh.Trimesh,
        placement: BoxTransform,
        classes: FaceClasses,
        flips: Sequence[NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> list[NDArray[np.uint8]]:
        """(T,) refined tokens of a mesh for each of its images, which are all of the same points."""
        config, chosen = self._model.config, self._settings
        sample = sample_surface(classes, config.input_points, rng)
        points, normals = (torch.from_numpy(np.stack([part * flip for flip in flips])) for part in sample)
        with torch.no_grad():
            latents = self._model.quantizer.project(self._model.encoder(points, normals)[0])
        prepared = PreparedMesh(mesh, placement, 0, {}, classes, [])
        pool = draw_queries(prepared, np.empty((0, 3)), chosen.quick_queries, rng)
        jobs = [
            RefinementJob(
                [part[number : number + 1] for part in latents],
                QueryPool(pool.points * flip, pool.distances, pool.units),
                self._count,
                shorter_prefixes=[],
                steps=self._recipe.refine_steps,
                rate=self._rate(),
                learning_rate=chosen.quick_rate,
                truncation=chosen.quick_truncation,
                softness=chosen.quick_softness,
            )
            for number, flip in enumerate(flips)
        ]
        results = refine_batch(self._model, jobs, chosen)
        found = [nearest_tokens(self._model.quantizer, result.latents) for result in results]
        return [np.frombuffer(tokens[: self._count], np.uint8) for tokens in found]

    def _rate(self) -> RateControl | None:
        if self._rates is None:
            return None
        return RateControl(self._rates, self._recipe.refine_bits * self._count, self._settings)


def prepare_shapes(
    items: list[CorpusItem],
    model: VariationalTokenizer,
    coder: TokenModel | None,
    folder: Path,
    recipe: PriorRecipe,
    jobs: int,
) -> None:
    """Write tokens and views of a corpus, block by block; blocks that are there are left alone.

    Parameters
    ----------
    items : the corpus
    model : frozen, on the CPU
    coder : probabilities of its tokens, if any
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
    maker = ShapeMaker(model, coder, recipe)

    def write(block: tuple[Path, list[CorpusItem]]) -> None:
        _write_block(*block, maker)

    for done, _ in enumerate(in_forks(write, blocks, jobs, one_thread), 1):
        log.info("%d of %d blocks of meshes", done, len(blocks))


def _write_block(path: Path, items: list[CorpusItem], maker: ShapeMaker) -> None:
    rows: list[tuple[Any, ...]] = []
    for item in items:
        try:
            rows.append(maker.shape(item))
        except BadMeshError as error:
            log.warning("left out %s: %s", item.id, error)
    names = [field.name for field in dataclasses.fields(Shapes)]
    data = io.BytesIO()
    arrays: dict[str, Any] = dict(zip(names, map(np.stack, zip(*rows, strict=True)), strict=True))
    np.savez_compressed(data, **arrays)
    write_atomic(path, data.getvalue(), overwrite=True)


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
        tokens.append(_drawn(shapes.flipped if flip else shapes.tokens, row, rng))
        # A picture of the image is the image of a picture.
        view = shapes.views[row, rng.integers(VIEWS)].astype(np.float32)[:, :: -1 if flip else 1] / 255
        views.append(silhouette(view) if rng.random() < recipe.silhouette_share else view)
        words = str(shapes.captions[row]).split() if rng.random() < recipe.text_share else []
        texts.append([word for word in words if rng.random() < _WORD_SHARE])
    conditions = conditions_of(texts, np.stack(views), rng.random(len(rows)) < recipe.image_share, recipe)
    box = torch.from_numpy(shapes.box_tokens[rows]).long()
    return PriorBatch(conditions, box, torch.from_numpy(np.stack(tokens)))


def _drawn(tokens: NDArray[np.uint8], row: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(T,) of one of the draws of (M, D, T) tokens."""
    drawn: NDArray[np.uint8] = tokens[row, rng.integers(tokens.shape[1])]
    return drawn


def conditions_of(
    texts: list[list[str]], views: NDArray[np.float32], with_view: NDArray[np.bool_], recipe: PriorRecipe
) -> Conditions:
    """Conditions of B shapes: their words, their (B, side, side) views, and (B,) whether each view counts."""
    ids = [word_ids(words, recipe.model.word_buckets) for words in texts]
    offsets = np.cumsum([0, *(len(row) for row in ids[:-1])])
    flat = torch.tensor([row for part in ids for row in part], dtype=torch.long)
    return Conditions(flat, torch.from_numpy(offsets), torch.from_numpy(views), torch.from_numpy(with_view))
