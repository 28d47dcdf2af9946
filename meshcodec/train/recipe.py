"""Training recipes: every number of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from meshcodec.config import ModelConfig, PriorConfig, tuples_for_lists
from meshcodec.errors import UsageError


@dataclass(frozen=True)
class PriorRecipe:
    """How a prior is trained."""

    model: PriorConfig = field(default_factory=PriorConfig)
    steps: int = 1800
    """Optimizer steps in all."""
    batch: int = 24
    """Meshes a step."""
    learning_rate: float = 1e-3
    """Peak of the schedule: linear warm-up, then a cosine to a twentieth."""
    warmup: int = 100
    """Steps of the warm-up."""
    weight_decay: float = 0.05
    """AdamW's, on matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.995
    """Decay of the averaged weights, which are the ones evaluated and shipped."""
    text_share: float = 0.6
    """Share of the meshes whose words are shown."""
    image_share: float = 0.4
    """Share of the meshes of which a picture is shown; both are drawn apart from each other."""
    silhouette_share: float = 0.3
    """Share of the pictures that are shown without their shading."""
    frame_weight: float = 0.05
    """Weight of the cross-entropy of the box beside that of the tokens."""
    refine_steps: int = 2
    """Gradient steps by which the tokens of a mesh are refined before the prior learns from them."""
    refine_bits: float = 3.5
    """Bits that a token takes in the mean, at most, for which they are refined."""
    validation_sources: tuple[str, ...] = ()
    """Repositories whose meshes are the validation set; empty: one mesh in twenty."""
    validate_every: int = 250
    """Steps between evaluations of the validation set."""
    checkpoint_seconds: int = 180
    """Seconds between checkpoints."""
    seed: int = 0
    """Start of the random streams."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PriorRecipe:
        """From the parsed recipe; keys left out keep their defaults, unknown keys raise TypeError."""
        values = dict(values)
        model = PriorConfig.from_dict(values.pop("model", {}))
        return cls(model=model, **tuples_for_lists(values))


@dataclass(frozen=True)
class TrainConfig:
    """One training recipe: the model and how it is trained."""

    model: ModelConfig = field(default_factory=ModelConfig)
    steps: int = 20_000
    """Optimizer steps in all."""
    quantize_from: int = 6_000
    """First step of the second phase: before it the bottleneck is noisy but not quantized."""
    batch: int = 8
    """Meshes a step and process."""
    points: int = 4096
    """Surface points a mesh, at most the cache's."""
    queries: int = 8192
    """Query points a mesh."""
    step_queries: int = 3072
    """Queries of these that one step uses, drawn anew at each visit."""
    visits: int = 8
    """Times that a batch is trained on in the second phase: at the first through the encoder, later with its
    latents as free variables that are stepped together with the decoder (`meshcodec.train.replay`)."""
    replay_batches: int = 24
    """Batches that the replay buffer holds for their later visits."""
    digit_rate: float = 0.05
    """Adam's learning rate for the latents at later visits."""
    digit_decay: float = 1.0
    """Share of `digit_rate` that is left at the last visit, along a cosine, as when a mesh is encoded."""
    fresh_share: float = 0.0
    """Share of the steps, while the replay buffer is full, that take a new batch for one visit: what the
    encoder gives is not forgotten over what fits better."""
    freeze_tokens: bool = False
    """Train the decoder and the field alone: the tokens of a mesh stay what they are, and with them what was
    trained on tokens, the coder and the prior."""
    freeze_decoder: bool = False
    """Train the encoder and the projections into the quantizer alone: what a file decodes to stays, and with
    it every file."""
    rate_weight: float = 0.0
    """Weight in the loss of the bits that tokens take in the entropy model of the weights that a run starts
    from, as a share of those of the uncoded tokens; for a recipe that freezes the decoder."""
    query_shares: tuple[float, float, float] = (0.4, 0.3, 0.3)
    """Shares of the queries near the surface, around it and anywhere. The last show surfaces that are not
    there, which cost precision as missing ones cost recall."""
    learning_rate: float = 1.2e-3
    """Peak of the schedule: linear warm-up, constant, a cosine to a twentieth over the last `decay_share`."""
    warmup: int = 200
    """Steps of the warm-up."""
    decay_share: float = 0.3
    """Share of the steps over which the learning rate falls."""
    weight_decay: float = 0.01
    """AdamW's, on matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.998
    """Decay of the averaged weights, which are the ones evaluated and shipped."""
    kl_weight: float = 1e-4
    """Weight of the Kullback-Leibler term of the posterior."""
    sign_weight: float = 0.1
    """Weight of the cross-entropy on inside/outside next to the distance loss."""
    near_surface: bool = False
    """Whether the distance part of the loss is the one of refinement, that of distances near the surface."""
    rotate_share: float = 0.3
    """Share of the meshes that are rotated freely; the others get one of the 48 symmetries of the cube."""
    seed: int = 0
    """Start of the random streams."""
    budget_seconds: int = 0
    """When positive, the run lasts this many seconds of training, however many steps those are, and `steps`,
    `quantize_from` and `warmup` only say in which proportion its time is divided."""
    validate_every: int = 1000
    """Steps between evaluations of the validation set."""
    validate_meshes: int = 128
    """Validation meshes used, always the same."""
    checkpoint_seconds: int = 180
    """Seconds between checkpoints."""
    validation_sources: tuple[str, ...] = ()
    """Repositories whose meshes are the validation set; empty: one mesh in twenty."""
    procedural_meshes: int = 1500
    """Generated shapes in the cache beside the corpus."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """From the parsed recipe; keys left out keep their defaults, unknown keys raise TypeError."""
        values = dict(values)
        model = ModelConfig.from_dict(values.pop("model", {}))
        return cls(model=model, **tuples_for_lists(values))


Recipe = TypeVar("Recipe", TrainConfig, PriorRecipe)


def read_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """The recipe in a JSON file.

    Raises
    ------
    UsageError
        The file cannot be read, is not JSON, or is not a recipe of this kind.
    """
    remedy = "see meshcodec/train/recipe.py for what a recipe holds"
    try:
        return kind.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", "name a recipe") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})", remedy) from error
    except (TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a recipe ({error})", remedy) from error
