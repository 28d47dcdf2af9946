"""The codecs that the benchmark compares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import trimesh

from meshcodec.errors import MeshcodecError, one_line
from meshcodec.evaluation.baselines import decimate_draco_many, decode_draco
from meshcodec.evaluation.bench.cache import Plan, Want
from meshcodec.evaluation.bench.rows import DRACO, SIZELESS
from meshcodec.evaluation.fitted import decimate_fit_draco_many
from meshcodec.format.container import VatFile
from meshcodec.metrics import Reference


@dataclass(frozen=True)
class Coded:
    """What a codec made of a mesh.

    Attributes
    ----------
    data : its file; None for a codec without one, empty where it failed
    mesh : the mesh that comes out of it; None where there is none
    settings : what the codec has chosen
    encode_seconds, decode_seconds : what both took
    error : why there is no mesh, or it does not count; empty where it does
    final : whether an error would come again, so that the row may be kept
    """

    data: bytes | None
    mesh: trimesh.Trimesh | None
    settings: dict[str, Any]
    encode_seconds: float
    decode_seconds: float
    error: str = ""
    final: bool = True


def encode_with(
    plan: Plan, codec: str, sizes: list[int | None], mesh: trimesh.Trimesh, reference: Reference
) -> Iterator[tuple[Want, Coded]]:
    """What a codec makes of a mesh at each size, or its error; `reference` is of that mesh."""
    if codec in DRACO:
        yield from _draco(codec, [size for size in sizes if size is not None], mesh, reference)
        return
    for size in sizes:
        try:
            coded = _sizeless(codec, mesh) if size is None else _through_ours(plan, mesh, size)
        except Exception as error:  # the codec's own bug is a failure of this row, not of the run
            coded = _broken(error)
        yield Want(codec, size), coded


def _draco(
    codec: str, sizes: list[int], mesh: trimesh.Trimesh, reference: Reference
) -> Iterator[tuple[Want, Coded]]:
    search = decimate_draco_many if codec == "draco" else decimate_fit_draco_many
    try:
        results = search(mesh, sizes, reference=reference)
    except Exception as error:
        yield from ((Want(codec, size), _broken(error)) for size in sizes)
        return
    for size, result in zip(sizes, results, strict=True):
        start = time.perf_counter()
        decoded = decode_draco(result.data) if result.data else None
        seconds = time.perf_counter() - start
        fault = "" if result.data else f"no file of {size} bytes holds it"
        coded = Coded(result.data, decoded, result.settings, result.seconds, seconds, fault)
        yield Want(codec, size), coded


def _sizeless(codec: str, mesh: trimesh.Trimesh) -> Coded:
    start = time.perf_counter()
    made = SIZELESS[codec](mesh)
    return Coded(None, made, {}, time.perf_counter() - start, 0.0)


def _through_ours(plan: Plan, mesh: trimesh.Trimesh, size: int) -> Coded:
    codec, options = plan.options.codec(), plan.options
    start = time.perf_counter()
    data = codec.encode(
        mesh, size=size, effort=options.effort, seed=0, packing=options.packing, mode=options.mode
    )
    encoded = time.perf_counter()
    decoded = codec.decode(data, resolution=options.resolution)
    seconds = time.perf_counter() - encoded
    error = f"{len(data)} bytes are more than {size}" if len(data) > size else ""
    kept = {"mode_kept": VatFile.from_bytes(data).mode}
    return Coded(data, decoded, kept, encoded - start, seconds, error)


def _broken(error: Exception) -> Coded:
    return Coded(b"", None, {}, 0.0, 0.0, one_line(error), isinstance(error, MeshcodecError))
