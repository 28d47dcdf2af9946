"""The averaged weights of a training run, as a model of a weights folder."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from meshcodec.errors import UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.registry import Registry
from meshcodec.train.recipe import TrainConfig
from meshcodec.weights import save_encoder, save_model


@dataclass(frozen=True)
class Exported:
    """What `export_run` wrote.

    Attributes
    ----------
    model_id : eight hexadecimal digits, the name of the model in the registry and in files
    step : optimizer steps that the run had taken
    """

    model_id: str
    step: int


def export_run(run: Path, folder: Path, name: str) -> Exported:
    """Write the averaged weights of a run as safetensors and enter them in the registry of a folder.

    Of a run that froze the decoder only the encoder is written, as that of the folder's default model: its
    id, and every file, stays.

    Parameters
    ----------
    run : folder of the run, with its ``checkpoint.pt``
    folder : weights folder; made if need be
    name : name of the model: letters, digits, dots and dashes

    Raises
    ------
    UsageError
        The name does not suit a file or is not that of the model whose encoder it is, the checkpoint is
        missing or damaged, or the folder cannot be written.
    WeightsError
        The folder's default model is not the one that a run with a frozen decoder started from.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise UsageError(f"--name {name!r} does not suit a file", "use letters, digits, dots and dashes")
    model, step, frozen = averaged_model(run / "checkpoint.pt")
    if frozen and name != (own := Registry(folder).default().name):
        raise UsageError(f"--name {name}: the model whose encoder this is has another", f"pass {own}")
    try:
        saved = save_encoder(model, folder) if frozen else save_model(model, folder, name)
        return Exported(saved, step)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror})", "choose another") from error


def averaged_model(checkpoint: Path) -> tuple[VariationalTokenizer, int, bool]:
    """The averaged weights of a checkpoint as a model on the CPU, the step that it was written at, and
    whether its decoder was frozen.

    Raises
    ------
    UsageError
        The file is missing, or is not a checkpoint of this version.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        recipe = TrainConfig.from_dict(json.loads(state["config"]))
        model = VariationalTokenizer(recipe.model)
        model.load_state_dict(state["averaged"])
        return model, int(state["step"]), recipe.freeze_decoder
    except FileNotFoundError as error:
        raise UsageError(f"{checkpoint}: there is no such file", "name the folder of 'train run'") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.PickleError) as error:
        raise UsageError(f"{checkpoint}: not a checkpoint of this version", "train again") from error
