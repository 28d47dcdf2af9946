"""What ``info``, ``verify`` and ``doctor`` find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcodec.errors import CorruptFileError, error_context, quote_name
from meshcodec.format.container import VatFile
from meshcodec.registry import Registry

if TYPE_CHECKING:
    import trimesh

    from meshcodec.api import Codec


_VERIFY_RESOLUTION = 64


def describe_file(name: str, data: bytes, file: VatFile, registry: Registry | None) -> dict[str, Any]:
    """What the header of a file says, and what the registry knows of its model."""
    entry = registry.entries.get(file.model_id.hex()) if registry else None
    count = file.count
    scales = None
    if entry is not None:
        ends = entry.config.scale_ends()
        scales = {
            "sides": [s for s, end in zip(entry.config.scale_sides, (0, *ends), strict=False) if end < count],
            "whole": sum(end <= count for end in ends),
            "of": len(ends),
        }
    return {
        "file": quote_name(name),
        "bytes": len(data),
        "version": data[3],
        "packing": int(file.packing),
        "tokens": count,
        "model": file.model_id.hex(),
        "model_name": entry.name if entry else None,
        "scales": scales,
        "center": file.center,
        "scale": file.scale,
        "half_extents": file.half_extents,
        "mirrored": file.mirrored,
        "level": file.level,
    }


def verify_file(
    name: str, data: bytes, file: VatFile, codec: Codec, reference: trimesh.Trimesh | None
) -> dict[str, Any]:
    """Decode a file and check that its mesh is closed; measure it where there is a reference.

    Raises
    ------
    CorruptFileError
        It does not decode, or to an open mesh.
    WeightsError
        The model that it names is not here.
    """
    from meshcodec.config import DEFAULT_RESOLUTION
    from meshcodec.metrics import by_tau, fscore, is_closed

    with error_context(name, weights_too=True):
        codec.registry.find(file.model_id)
    with error_context(name):
        resolution = DEFAULT_RESOLUTION if reference is not None else _VERIFY_RESOLUTION
        try:
            mesh = codec.decode(data, resolution)
        except CorruptFileError:
            if resolution == DEFAULT_RESOLUTION:
                raise
            resolution = DEFAULT_RESOLUTION  # a thin sheet can slip between the points of the small grid
            mesh = codec.decode(data, resolution)
        if not is_closed(mesh):
            raise CorruptFileError("its tokens decode to an open mesh", "encode the mesh again")
        return {
            "file": quote_name(name),
            "tokens": file.count,
            "model": file.model_id.hex(),
            "resolution": resolution,
            "faces": len(mesh.faces),
            "closed": True,
            "fscore": by_tau(fscore(reference, mesh)) if reference is not None else None,
        }
