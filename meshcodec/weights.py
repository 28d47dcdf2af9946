"""The shipped weights: a registry without torch, and loading that checks every byte.

``weights/registry.json`` names the default model and holds, for each model id (the first four bytes of the
SHA-256 of its file, in hex), the file, its full hash and the model's configuration, so that ``info`` can
explain a file without loading anything. Weights are safetensors: reading them runs no code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcodec.errors import WeightsError
from meshcodec.registry import REMEDY, MeshCoderEntry, Registry, WeightsEntry

if TYPE_CHECKING:
    import torch

    from meshcodec.format.mesh_coder import MeshCoder
    from meshcodec.format.token_coder import TokenModel
    from meshcodec.model.vat import VariationalTokenizer


def load_model(entry: WeightsEntry) -> VariationalTokenizer:
    """Read, check and build one model on the CPU, in evaluation mode and without gradients on its weights.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its tensors do not fit the configuration.
    """
    import torch

    from meshcodec.model.vat import VariationalTokenizer

    with torch.random.fork_rng(devices=[]):  # initial values are drawn, on the CPU, before they are replaced
        model = VariationalTokenizer(entry.config)
    state = _state(entry.path, entry.sha256)
    path = entry.path
    if entry.encoder is not None:
        path = entry.encoder.path
        state = {name: value for name, value in state.items() if not encodes(name)}
        state |= _state(path, entry.encoder.sha256)
    _fill(model, state, path)
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

    from meshcodec.format.token_coder import ScaleNetwork, TokenModel

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


def load_mesh_coder(entry: MeshCoderEntry) -> MeshCoder:
    """The networks that code meshes.

    Raises
    ------
    WeightsError
        The file is missing, its hash is not the registry's, or its arrays are not those of a coder.
    """
    import safetensors
    import safetensors.numpy

    from meshcodec.format.mesh_coder import MeshCoder

    data = _read(entry.path, entry.sha256)
    try:
        return MeshCoder.from_arrays(safetensors.numpy.load(data))
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{entry.path}: holds no networks that code meshes", REMEDY) from error


def load_state(module: torch.nn.Module, path: Path, sha256: str) -> None:
    _fill(module, _state(path, sha256), path)


def encodes(name: str) -> bool:
    """Whether a parameter of a model is of its encoder or of the ways into its quantizer: what a file decodes
    to does not hang on it."""
    return re.match(r"encoder\.|quantizer\.scales\.\d+\.down\.", name) is not None


def _state(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    import safetensors
    import safetensors.torch

    data = _read(path, sha256)
    try:
        return _from_rows(safetensors.torch.load(data))
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: does not fit its configuration", REMEDY) from error


def _fill(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit its configuration", REMEDY) from error


ROW_SCALE = ":row_scale"
"""Ends the names of the tensors by which rows of int8 are multiplied."""


def _from_rows(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """float32 tensors of a file, with or without factors of rows."""
    state = {name: value.float() for name, value in stored.items() if not name.endswith(ROW_SCALE)}
    for name, value in stored.items():
        if name.endswith(ROW_SCALE):
            matrix = state[name.removesuffix(ROW_SCALE)]
            matrix *= value.view(-1, *[1] * (matrix.ndim - 1))
    return state


def as_rows(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels as int8, each row with a factor (its largest |value| / 127); others as float16."""
    import torch

    stored: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2:
            stored[name] = value.to(torch.float16)
            continue
        factors = (value.flatten(1).abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        stored[name] = (value.flatten(1) / factors[:, None]).round().to(torch.int8).view(value.shape)
        stored[name + ROW_SCALE] = factors
    return {name: value.contiguous() for name, value in stored.items()}


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
    return save_part(entry, path, "coder", safetensors.numpy.save(arrays), {})


def save_mesh_coder(coder: MeshCoder, folder: Path) -> Path:
    """Write the networks that code meshes with the hash in the file name, and enter them in the folder's
    registry as those that encode; returns the file."""
    import safetensors.numpy

    path = folder / "registry.json"
    Registry(folder)  # it is readable
    data = safetensors.numpy.save(coder.to_arrays())
    digest = hashlib.sha256(data).hexdigest()
    file = folder / f"mesh-coder-{digest[:8]}.safetensors"
    file.write_bytes(data)
    registry: dict[str, Any] = json.loads(path.read_text())
    registry.setdefault("mesh_coders", {})[digest[:8]] = {"file": file.name, "sha256": digest}
    registry["default_mesh_coder"] = digest[:8]
    path.write_text(json.dumps(registry, indent=1) + "\n")
    return file


def save_encoder(model: VariationalTokenizer, folder: Path) -> str:
    """Write the encoder of a model, matrices as int8, as that of the folder's default model; returns the id
    of that one in hex.

    One that is there already is replaced: no ``.vat`` file hangs on it.

    Raises
    ------
    WeightsError
        The two do not decode alike, or differ in more than the shape of their encoders.
    """
    import safetensors.torch
    import torch

    entry = Registry(folder).default()
    theirs, own = load_model(entry).state_dict(), model.state_dict()
    decoding = [name for name in theirs if not encodes(name)]
    if any(name not in own or not torch.equal(theirs[name], own[name]) for name in decoding):
        fault = f"{entry.path}: does not decode as the model whose encoder is to become its own"
        raise WeightsError(fault, "start the run from this folder, with a recipe that freezes the decoder")
    config = model.config.to_dict()
    shape = {name: config[name] for name in ("encoder_blocks", "encoder_convs")}
    state = as_rows({name: tensor for name, tensor in own.items() if encodes(name)})
    save_part(entry, folder / "registry.json", "encoder", safetensors.torch.save(state), {"config": shape})
    return entry.model_id.hex()


def save_part(entry: WeightsEntry, path: Path, part: str, data: bytes, more: dict[str, Any]) -> Path:
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
