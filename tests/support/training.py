"""Recipes and caches for tests that train."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

import meshcodec
from meshcodec.train.corpus import CorpusItem, Mesh, to_unit
from meshcodec.train.recipe import TrainConfig
from support.tiny import TINY

RECIPES = Path(meshcodec.__file__).parent / "train" / "recipes"


CPU = torch.device("cpu")


def recipe(name: str, **changes: Any) -> TrainConfig:
    """A recipe of the package, with some numbers changed."""
    whole = TrainConfig.from_dict(json.loads((RECIPES / f"{name}.json").read_text()))
    return dataclasses.replace(whole, **changes)


def quick_recipe(**changes: Any) -> TrainConfig:
    """The recipe ``tiny`` for a model that is smaller still: a step takes some hundredths of a second."""
    return recipe("tiny", model=TINY, points=512, step_queries=512, **changes)


def records(run: Path) -> list[dict[str, Any]]:
    """Lines of the log of a run."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def ball(name: str, source: str, loads: Path | None = None) -> CorpusItem:
    """A sphere; every load leaves a line in a file, as it may happen in another process."""

    def load() -> Mesh:
        if loads is not None:
            with loads.open("a") as file:
                file.write(f"{name}\n")
        mesh = trimesh.creation.icosphere(subdivisions=1)
        return to_unit(np.asarray(mesh.vertices), np.asarray(mesh.faces))

    return CorpusItem(name, source, load)
