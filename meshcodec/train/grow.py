"""A larger model that starts with what a smaller one can do (Net2Net, Chen et al. 2016).

New transformer blocks begin as the identity. New channels begin as any new model's, but nothing of the old
one listens to them: the weights from them to it are zeros, from which gradients take them.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from meshcodec.config import PLANES, ModelConfig
from meshcodec.errors import UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.rates import TokenRates
from meshcodec.registry import Registry
from meshcodec.weights import load_coder, load_model


def start_weights(folder: Path, config: ModelConfig, recipe: Path) -> dict[str, Tensor]:
    """State of a folder's default model. Raises UsageError where the recipe's model cannot grow from it."""
    entry = Registry(folder).default()
    if not config.grows_from(entry.config):
        fault = f"{recipe}: its model is not that of {entry.path}"
        raise UsageError(fault, "use that model's shape; it may have more blocks and channels")
    return load_model(entry).state_dict()


def start_rates(folder: Path | None, recipe: Path, device: torch.device) -> TokenRates:
    """Bits of tokens by the entropy model of a folder's default model. UsageError: it has none."""
    coder = load_coder(Registry(folder).default()) if folder is not None else None
    if coder is None:
        fault = f"{recipe}: weighs bits, and there is no entropy model"
        raise UsageError(fault, "give --from-weights a folder whose default model has one")
    return TokenRates(coder, device)


@torch.no_grad()
def grow(model: VariationalTokenizer, state: dict[str, Tensor]) -> None:
    """Load the state of a model of the same shape or a smaller one (`ModelConfig.grows_from`) into a new one.

    Raises
    ------
    UsageError
        The state is of a model that the other one cannot grow from; the model is then of no use.
    """
    own = model.state_dict()
    added = re.compile(r".*\.blocks\.|encoder\.local\.")
    missing = [name for name in own if name not in state and not added.match(name)]
    wrong = missing + [name for name in state if name not in own]
    for name in own.keys() & state.keys():
        old, new = (_parts(name, tensor, model.config) for tensor in (state[name], own[name]))
        for (before, _), (after, outputs) in zip(old, new, strict=True):
            if any(a < b for a, b in zip(after.shape, before.shape, strict=True)):
                wrong.append(name)
                continue
            after.narrow(outputs, 0, before.shape[outputs]).zero_()
            after[tuple(slice(0, length) for length in before.shape)] = before
    if wrong:
        raise UsageError(
            f"weights of another shape ({wrong[0]})", "start from a model of the recipe's shape or smaller"
        )


def _parts(name: str, tensor: Tensor, config: ModelConfig) -> list[tuple[Tensor, int]]:
    """Views of a tensor of which each axis grows at its end, and the axis of each that counts outputs."""
    if name.startswith("decoder.out."):  # the channels of one cell after those of another
        return [(tensor.unflatten(0, (config.patch**2, -1)), 1)]
    if name == "field.mlp.0.weight":  # the channels of one plane after those of another, then the position
        position = 3 * (1 + 2 * config.field_frequencies)
        planes = tensor.shape[1] - position
        return [(tensor[:, :planes].unflatten(1, (PLANES, -1)), 0), (tensor[:, planes:], 0)]
    return [(tensor, 0)]
