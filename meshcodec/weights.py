"""The shipped weights: a registry without torch, and loading that checks every byte.

``weights/registry.json`` names the default model and holds, for each model id (the first four bytes of the
SHA-256 of its file, in hex), the file, its full hash and the model's configuration, so that ``info`` can
explain a file without loading anything. Weights are safetensors: reading them runs no code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcodec.config import ModelConfig, PriorConfig
from meshcodec.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from meshcodec.entropy import TokenModel
    from meshcodec.model import VariationalTokenizer
    from meshcodec.prior.model import NextScaleTransformer

REMEDY = "reinstall meshcodec, or pass the folder that holds these weights with --weights"


@dataclass(frozen=True)
class PriorEntry:
    """The prior of a model: file, hash in hex, shape."""

    path: Path
    sha256: str
    config: PriorConfig


@dataclass(frozen=True)
class WeightsEntry:
    """One model of the registry.

    Attributes
    ----------
    model_id : 4 bytes, as ``.vat`` headers hold it
    path : the safetensors file
    sha256 : its hash in hex
    config : shape of the model
    name : what people call it
    coder_path, coder_sha256 : the file of the integer networks that entropy-code its tokens, and its hash;
        None where the model has none
    prior : the transformer over its tokens; None where the model has none
    """

    model_id: bytes
    path: Path
    sha256: str
    config: ModelConfig
    name: str
    coder_path: Path | None = None
    coder_sha256: str | None = None
    prior: PriorEntry | None = None


def weights_folder() -> Path:
    """Where the shipped weights lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "weights_data", package.parent / "weights"):
        if (folder / "registry.json").is_file():
            return folder
    raise WeightsError(f"{package}: no weights found", REMEDY)


class Registry:
    """The models of one weights folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or weights_folder()
        path = self.folder / "registry.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self.default_id: str = content["default"]
            self.entries = {
                name: _entry(self.folder, bytes.fromhex(name), **entry)
                for name, entry in content["models"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path}: not a readable registry ({error})", REMEDY) from error

    def default(self) -> WeightsEntry:
        """The model that encodes when none is named."""
        if self.default_id not in self.entries:
            fault = f"the default model {self.default_id!r} is not among its models"
            raise WeightsError(f"{self.folder}: {fault}", REMEDY)
        return self.entries[self.default_id]

    def find(self, model_id: bytes) -> WeightsEntry:
        """The model of a ``.vat`` header. Raises WeightsError when it is not here."""
        if model_id.hex() not in self.entries:
            known = ", ".join(self.entries) or "none"
            raise WeightsError(
                f"made with model {model_id.hex()}, which is not installed (here: {known})",
                "install the meshcodec version that wrote it, or pass --weights FOLDER",
            )
        return self.entries[model_id.hex()]


def _entry(
    folder: Path,
    model_id: bytes,
    name: str,
    file: str,
    sha256: str,
    config: dict[str, Any],
    coder: dict[str, str] | None = None,
    prior: dict[str, Any] | None = None,
) -> WeightsEntry:
    entry = WeightsEntry(model_id, folder / file, sha256, ModelConfig.from_dict(config), name)
    if coder is not None:
        entry = replace(entry, coder_path=folder / coder["file"], coder_sha256=coder["sha256"])
    if prior is not None:
        shape = PriorConfig.from_dict(prior["config"])
        entry = replace(entry, prior=PriorEntry(folder / prior["file"], prior["sha256"], shape))
    return entry


def load_model(entry: WeightsEntry) -> VariationalTokenizer:
    """Read, check and build one model on the CPU, in evaluation mode and without gradients on its weights.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its tensors do not fit the configuration.
    """
    from meshcodec.model import VariationalTokenizer

    model = VariationalTokenizer(entry.config)
    _load_state(model, entry.path, entry.sha256)
    return model.eval().requires_grad_(False)


def load_coder(entry: WeightsEntry) -> TokenModel | None:
    """The probabilities that entropy-code the tokens of a model; None where it has none.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its arrays do not fit the configuration.
    """
    import numpy as np
    import safetensors
    import safetensors.numpy

    from meshcodec.entropy import ScaleNetwork, TokenModel

    if entry.coder_path is None or entry.coder_sha256 is None:
        return None
    data = _read(entry.coder_path, entry.coder_sha256)
    try:
        arrays = {name: a.astype(np.int64) for name, a in safetensors.numpy.load(data).items()}
        networks = tuple(
            ScaleNetwork(**{name: arrays[f"{scale}.{name}"] for name in _NETWORK_ARRAYS})
            for scale in range(len(entry.config.scale_sides))
        )
        return TokenModel(entry.config, networks, arrays["exponential"])
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{entry.coder_path}: does not fit its configuration", REMEDY) from error


def load_prior(entry: WeightsEntry) -> NextScaleTransformer | None:
    """The transformer over the tokens of a model, on the CPU, for evaluation; None where it has none.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its tensors do not fit the configuration.
    """
    from meshcodec.prior.model import NextScaleTransformer

    if entry.prior is None:
        return None
    prior = NextScaleTransformer(entry.prior.config, entry.config)
    _load_state(prior, entry.prior.path, entry.prior.sha256)
    return prior.eval().requires_grad_(False)


def _load_state(module: torch.nn.Module, path: Path, sha256: str) -> None:
    import safetensors
    import safetensors.torch

    data = _read(path, sha256)
    try:
        module.load_state_dict(_from_rows(safetensors.torch.load(data)))
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{path}: does not fit its configuration", REMEDY) from error


_ROW_SCALE = ":row_scale"
"""Ends the names of the tensors by which rows of int8 are multiplied."""


def _as_rows(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels as int8, each row with a factor (its largest |value| / 127); others as float16."""
    import torch

    stored: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2:
            stored[name] = value.to(torch.float16)
            continue
        factors = (value.flatten(1).abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        stored[name] = (value.flatten(1) / factors[:, None]).round().to(torch.int8).view(value.shape)
        stored[name + _ROW_SCALE] = factors
    return {name: value.contiguous() for name, value in stored.items()}


def _from_rows(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """float32 tensors of a file, with or without factors of rows."""
    state = {name: value.float() for name, value in stored.items() if not name.endswith(_ROW_SCALE)}
    for name, value in stored.items():
        if name.endswith(_ROW_SCALE):
            matrix = state[name.removesuffix(_ROW_SCALE)]
            matrix *= value.view(-1, *[1] * (matrix.ndim - 1))
    return state


_NETWORK_ARRAYS = ("weights", "bias", "own", "out", "out_bias")


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})", REMEDY) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        fault = f"SHA-256 is {digest[:8]}..., the registry says {sha256[:8]}..."
        raise WeightsError(f"{path}: {fault}", REMEDY)
    return data


def save_coder(coder: TokenModel, folder: Path, model_id: str) -> Path:
    """Write the integer networks of a model as int16 and enter them in its registry; returns the file.

    Raises
    ------
    WeightsError
        The model is not in the folder, or has networks already: files hang on them.
    """
    import numpy as np
    import safetensors.numpy

    path = folder / "registry.json"
    entry = Registry(folder).find(bytes.fromhex(model_id))
    if entry.coder_path is not None:
        raise WeightsError(f"{path}: model {model_id} has a coder, and files hang on it", "train a new model")
    arrays = {"exponential": coder.exponential.astype(np.int32)}
    for scale, network in enumerate(coder.networks):
        for name in _NETWORK_ARRAYS:
            kind = np.int32 if name == "out_bias" else np.int16
            arrays[f"{scale}.{name}"] = np.ascontiguousarray(getattr(network, name).astype(kind))
    return _save_part(entry, path, "coder", safetensors.numpy.save(arrays), {})


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
    return _save_part(entry, path, "prior", safetensors.torch.save(_as_rows(prior.state_dict())), shape)


def _save_part(entry: WeightsEntry, path: Path, part: str, data: bytes, more: dict[str, Any]) -> Path:
    """Write what belongs to a model beside it and enter it in the registry at `path`; returns the file."""
    file = entry.path.with_name(f"{entry.path.stem}-{part}.safetensors")
    file.write_bytes(data)
    registry: dict[str, Any] = json.loads(path.read_text())
    hashed = {"file": file.name, "sha256": hashlib.sha256(data).hexdigest()}
    registry["models"][entry.model_id.hex()][part] = hashed | more
    for model in registry["models"].values():
        if model.get(part, {}).get("file") == file.name:
            model[part] = hashed | more
    path.write_text(json.dumps(registry, indent=1) + "\n")
    return file


def _parts_by_tokens(
    folder: Path, models: dict[str, dict[str, Any]], state: dict[str, torch.Tensor]
) -> dict[str, Any]:
    """Coder and prior, as the registry has them, of a model that makes the same tokens; none: of no model."""
    import safetensors.torch
    import torch

    for other in models.values():
        parts: dict[str, Any] = {part: other[part] for part in ("coder", "prior") if part in other}
        theirs = safetensors.torch.load_file(folder / other["file"]) if parts else {}
        if all(
            name in theirs and torch.equal(theirs[name], value)
            for name, value in state.items()
            if name.startswith(("encoder.", "quantizer."))
        ):
            return parts
    return {}


def save_model(model: VariationalTokenizer, folder: Path, name: str, make_default: bool = True) -> str:
    """Write a model's weights as float16 with the hash in the file name and enter it in the registry.

    Returns the model id in hex. Quantizer weights stay float32: tokens hang on them. Where a model of the
    folder gives the same tokens, by the same encoder and quantizer, its coder and prior serve the new one.
    """
    import safetensors.torch
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        key: tensor.contiguous() if key.startswith("quantizer.") else tensor.to(torch.float16).contiguous()
        for key, tensor in model.state_dict().items()
    }
    config = model.config.to_dict()
    data = safetensors.torch.save(state, metadata={"config": json.dumps(config), "name": name})
    digest = hashlib.sha256(data).hexdigest()
    model_id = digest[:8]
    file = f"{name}-{model_id}.safetensors"
    (folder / file).write_bytes(data)
    path = folder / "registry.json"
    registry: dict[str, Any] = {"default": model_id, "models": {}}
    if path.exists():
        registry = json.loads(path.read_text())
    parts = _parts_by_tokens(folder, registry["models"], state)
    registry["models"][model_id] = {"name": name, "file": file, "sha256": digest, "config": config} | parts
    if make_default:
        registry["default"] = model_id
    path.write_text(json.dumps(registry, indent=1) + "\n")
    return model_id
