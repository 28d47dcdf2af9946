"""The prior's weights: int8 rows in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshcodec.registry import Registry, WeightsEntry
from meshcodec.weights import as_rows, load_state, save_part

if TYPE_CHECKING:
    from meshcodec.prior.model import NextScaleTransformer


def load_prior(entry: WeightsEntry) -> NextScaleTransformer | None:
    """The transformer over the tokens of a model, on the CPU, for evaluation; None where it has none.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its tensors do not fit the configuration.
    """
    import torch

    from meshcodec.prior.model import NextScaleTransformer

    if entry.prior is None:
        return None
    with torch.random.fork_rng(devices=[]):  # initial values are drawn, on the CPU, before they are replaced
        prior = NextScaleTransformer(entry.prior.config, entry.config)
    load_state(prior, entry.prior.path, entry.prior.sha256)
    return prior.eval().requires_grad_(False)


def save_prior(prior: NextScaleTransformer, folder: Path, model_id: str) -> Path:
    """Write the prior of a model, matrices as int8, and enter it in its registry; returns the file.

    One that is there already is replaced, for all models that share it: no ``.vat`` file hangs on it.

    Raises
    ------
    WeightsError
        The model is not in the folder.
    """
    import safetensors.torch

    path = folder / "registry.json"
    entry = Registry(folder).find(bytes.fromhex(model_id))
    shape = {"config": prior.config.to_dict()}
    return save_part(entry, path, "prior", safetensors.torch.save(as_rows(prior.state_dict())), shape)
