"""Rows that were measured before and still hold.

A row is kept under all that it depends on: the SHA-256 of the mesh file, the codec, its settings and model,
the number of samples, the sources of codec and metric, and the versions of the packages that they use.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meshcodec.evaluation.bench.options import BenchOptions
from meshcodec.evaluation.bench.rows import OURS, BenchRow, sizes_of
from meshcodec.registry import Registry
from meshcodec.runtime.files import write_atomic
from meshcodec.runtime.sources import PACKAGE, code_hash

_MODULES = {
    OURS: "meshcodec.api",
    "draco": "meshcodec.evaluation.baselines",
    "draco-fitted": "meshcodec.evaluation.fitted",
    "hull": "meshcodec.evaluation.bounds",
    "target": "meshcodec.evaluation.bounds",
}
_PACKAGES = {
    OURS: ("torch", "fast-simplification", "meshoptimizer"),
    "draco": ("DracoPy", "fast-simplification", "meshoptimizer"),
    "draco-fitted": ("DracoPy", "fast-simplification", "meshoptimizer"),
    "target": ("torch",),
}
_ALWAYS = ("meshcodec.metrics", "meshcodec.geometry.io")
_ALWAYS_PACKAGES = ("libigl", "numpy", "point-cloud-utils", "scipy", "trimesh")


def code_of(codec: str, package: Path = PACKAGE) -> dict[str, str]:
    """What a codec's rows are made with: the `code_hash` of its sources and the metric's, packages' versions.

    ``package`` is the folder of meshcodec's sources. A package that is not installed has an empty version.
    """
    versions = {name: _version(name) for name in (*_ALWAYS_PACKAGES, *_PACKAGES.get(codec, ()))}
    return {"sources": code_hash(_MODULES[codec], *_ALWAYS, package=package), **versions}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Want:
    """A codec of `Plan.options` and the bytes that it gets; None for a codec without a size."""

    codec: str
    size: int | None


@dataclass(frozen=True)
class Plan:
    """What every worker must know.

    Attributes
    ----------
    options : BenchOptions
    model_id : str
        Id of our model, 8 hex digits; empty where our codec does not take part.
    cache : Path
        Folder of the rows that are kept.
    code : mapping
        `code_of` each codec, as the run began with it.
    """

    options: BenchOptions
    model_id: str
    cache: Path
    code: Mapping[str, Mapping[str, str]]

    def wants(self) -> list[Want]:
        """Every codec at every size."""
        sizes = self.options.ascending()
        return [Want(codec, size) for codec in self.options.codecs() for size in sizes_of(codec, sizes)]

    def settings(self, codec: str) -> dict[str, Any]:
        """What the codec is told beside the size."""
        if codec != OURS:
            return {}
        return {
            "effort": self.options.effort,
            "mode": self.options.mode,
            "mesh_coder": Registry(self.options.weights).default_mesh_coder_id,
            "packing": self.options.packing,
            "resolution": self.options.resolution,
            "seed": 0,
            "device": self.options.device,
        }

    def cached(self, sha256: str, want: Want) -> Path:
        """Where a row is kept."""
        key = {
            "file": sha256,
            **asdict(want),
            "settings": self.settings(want.codec),
            "model": self.model_id if want.codec == OURS else "",
            "samples": self.options.samples,
            "code": dict(self.code[want.codec]),
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        return self.cache / f"{name}.json"


def store(plan: Plan, row: BenchRow, want: Want, data: bytes | None) -> None:
    """Keep a row and the file that it is about, whole or not at all."""
    kept = {"row": row.to_dict(), "data": None if data is None else base64.b64encode(data).decode()}
    path = plan.cached(row.sha256, want)
    write_atomic(path, json.dumps(kept, allow_nan=False).encode(), overwrite=True)


def recall(plan: Plan, sha256: str, want: Want) -> BenchRow | None:
    """The row that was kept for a mesh file; None where there is none that still holds."""
    try:
        return BenchRow.from_dict(json.loads(plan.cached(sha256, want).read_bytes())["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut short, or of another version: computed again


def recall_data(plan: Plan, row: BenchRow) -> bytes:
    """The file that a row is about; empty where it was not kept."""
    try:
        kept = json.loads(plan.cached(row.sha256, Want(row.codec, row.size)).read_bytes())
        return base64.b64decode(kept["data"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return b""
