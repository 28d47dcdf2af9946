"""What ``info``, ``verify`` and ``doctor`` find out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcodec import __version__
from meshcodec.config import DEFAULT_RESOLUTION
from meshcodec.errors import CorruptFileError, WeightsError, error_context, quote_name
from meshcodec.format.container import VatFile
from meshcodec.registry import Registry, WeightsEntry
from meshcodec.runtime.threads import available_cores

if TYPE_CHECKING:
    import trimesh

    from meshcodec.api import Codec

_VERIFY_RESOLUTION = 64
"""Cells a side of the grid on which `verify_file` decodes what it has nothing to compare with."""


def describe_file(name: str, data: bytes, file: VatFile, registry: Registry | None) -> dict[str, Any]:
    """What the header of a file says, and what the registry knows of its model.

    Without a registry, or where it lacks the model, ``model_name`` and ``scales`` are None. Needs no torch.

    Raises CorruptFileError: the payload of a mesh is damaged.
    """
    entry = registry.entries.get(file.model_id.hex()) if registry and not file.is_mesh else None
    record = {
        "file": quote_name(name),
        "bytes": len(data),
        "version": file.version,
        "mode": file.mode,
        "packing": int(file.packing),
        "tokens": None if file.is_mesh else file.count,
        "model": file.model_id.hex(),
        "model_name": entry.name if entry else None,
        "scales": _scales(entry, file.count) if entry else None,
        "center": file.center,
        "scale": file.scale,
        "half_extents": file.half_extents,
        "mirrored": file.mirrored,
        "level": file.iso_offset,
    }
    return record | _describe_mesh(file, registry) if file.is_mesh else record


def _describe_mesh(file: VatFile, registry: Registry | None) -> dict[str, Any]:
    """What a file in mesh mode holds: its faces alone, where the networks that code it are not here.

    Raises CorruptFileError: its payload is damaged.
    """
    unread = {"faces": file.count, "vertices": None, "bits": None, "crease": None, "closed": None}
    if registry is None or file.model_id.hex() not in registry.mesh_coders:
        return unread
    from meshcodec.modes.mesh.file import mesh_facts, read_mesh
    from meshcodec.weights import load_mesh_coder

    coder = load_mesh_coder(registry.find_mesh_coder(file.model_id))
    return {"model_name": "mesh coder", **asdict(mesh_facts(*read_mesh(file, coder)))}


def _scales(entry: WeightsEntry, count: int) -> dict[str, Any]:
    """Sides of the scales that so many tokens begin, how many of these they end, and how many there are."""
    ends = entry.config.scale_ends()
    begins = (0, *ends[:-1])
    return {
        "sides": [s for s, begin in zip(entry.config.scale_sides, begins, strict=True) if begin < count],
        "whole": sum(end <= count for end in ends),
        "of": len(ends),
    }


def verify_file(name: str, file: VatFile, codec: Codec, reference: trimesh.Trimesh | None) -> dict[str, Any]:
    """Decode a file; check that its mesh, as it is written, is closed where the file holds tokens; measure it
    against a reference.

    Raises
    ------
    CorruptFileError
        It does not decode, or to an open mesh.
    UnknownModelError
        The model that it names is not here.
    WeightsError
        The model is damaged.
    """
    from meshcodec.geometry.io import as_written
    from meshcodec.metrics import by_tau, fscore, is_closed

    with error_context(name):
        resolution = DEFAULT_RESOLUTION if reference is not None else _VERIFY_RESOLUTION
        try:
            mesh = as_written(codec.decode_detailed(file, resolution).mesh)
        except CorruptFileError:
            if resolution == DEFAULT_RESOLUTION:
                raise
            resolution = DEFAULT_RESOLUTION  # a thin sheet can slip between the points of the small grid
            mesh = as_written(codec.decode_detailed(file, resolution).mesh)
        closed = is_closed(mesh)
        if not (closed or file.is_mesh):
            raise CorruptFileError("its tokens decode to an open mesh", "encode the mesh again")
        return {
            "file": quote_name(name),
            "mode": file.mode,
            "tokens": None if file.is_mesh else file.count,
            "model": file.model_id.hex(),
            "resolution": resolution,
            "faces": len(mesh.faces),
            "closed": closed,
            "fscore": by_tau(fscore(reference, mesh)) if reference is not None else None,
        }


def describe_installation(weights: Path | None) -> tuple[dict[str, Any], WeightsError | None]:
    """Versions, the device that computes, and the state of all weights in a folder.

    Loads every model, and checks every byte of it.

    Parameters
    ----------
    weights : folder with a ``registry.json``; the shipped one by default

    Returns
    -------
    report : what ``doctor --json`` prints
    fault : the last thing that is wrong with the weights; None where they are whole

    Raises
    ------
    UsageError
        MESHCODEC_KERNEL asks for a kernel that does not work here.
    """
    import platform

    import numpy
    import torch
    import trimesh

    from meshcodec.runtime.device import bfloat16_is_fast, choose_device, choose_kernel

    device, reason = choose_device()
    kernel, kernel_reason = choose_kernel(device)
    folder, models, fault = _describe_weights(weights)
    report = {
        "versions": {
            "meshcodec": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "trimesh": trimesh.__version__,
        },
        "device": str(device),
        "reason": reason,
        "kernel": kernel,
        "kernel_reason": kernel_reason,
        "cores": available_cores(),
        "bfloat16": "fast" if bfloat16_is_fast(device) else "slow",
        "weights": folder,
        "models": models,
    }
    return report, fault


def _describe_weights(weights: Path | None) -> tuple[str | None, list[dict[str, Any]], WeightsError | None]:
    """The folder, None where there is none, a record for each of its models, and the last fault."""
    from meshcodec.weights import load_mesh_coder

    try:
        registry = Registry(weights)
    except WeightsError as error:
        return None, [], error
    models, fault = [], None
    for model_id, entry in registry.entries.items():
        record, damage = _describe_model(entry)
        models.append(
            {"id": model_id, "name": entry.name, "default": model_id == registry.default_id, **record}
        )
        fault = damage or fault
    for coder_id, coder in registry.mesh_coders.items():
        state = "ok"
        try:
            load_mesh_coder(coder)
        except WeightsError as error:
            state, fault = error.fault, error
        default = coder_id == registry.default_mesh_coder_id
        models.append({"id": coder_id, "name": "mesh coder", "default": default, "state": state, "parts": []})
    try:
        registry.default()
    except WeightsError as error:
        fault = error
    return str(registry.folder), models, fault


def _describe_model(entry: WeightsEntry) -> tuple[dict[str, Any], WeightsError | None]:
    """Whether a model is whole, and which parts it has beside itself."""
    from meshcodec.prior.weights import load_prior
    from meshcodec.weights import load_coder, load_model

    try:
        load_model(entry)
        loaded = {"encoder": entry.encoder, "coder": load_coder(entry), "prior": load_prior(entry)}
    except WeightsError as error:
        return {"state": error.fault, "parts": []}, error
    return {"state": "ok", "parts": [name for name, part in loaded.items() if part is not None]}, None
