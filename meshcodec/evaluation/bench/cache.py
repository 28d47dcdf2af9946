"""Rows that were measured before and still hold."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import trimesh

from meshcodec import __version__
from meshcodec.evaluation.bench.rows import OURS, BenchRow, sizes_of
from meshcodec.runtime.files import write_atomic

_REVISION = {
    OURS: 9,
    "draco": 1,
    "hull": 1,
    "target": 2,
    "metric": 1,
}  # raise one to forget its rows in every cache


class CodecLike(Protocol):
    """What the bench needs of a codec: `meshcodec.api.Codec`, or a stand-in for tests."""

    @property
    def model_id(self) -> str:
        """8 hex digits."""
        ...

    def encode(self, source: trimesh.Trimesh, size: int, effort: int, seed: int, packing: str) -> bytes:
        """A mesh to at most ``size`` bytes."""
        ...

    def decode(self, data: bytes, resolution: int) -> trimesh.Trimesh:
        """The mesh again, in the original frame."""
        ...


# ------------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True)
class Want:
    codec: str
    size: int | None


@dataclass(frozen=True)
class Plan:
    """What every worker must know."""

    sizes: tuple[int, ...]
    codecs: tuple[str, ...]
    effort: int
    packing: str
    resolution: int
    device: str
    samples: int
    model_id: str
    make_codec: Callable[[str], CodecLike] | None
    cache: Path

    def wants(self) -> list[Want]:
        """Every codec at every size."""
        return [Want(codec, size) for codec in self.codecs for size in sizes_of(codec, self.sizes)]

    def settings(self, codec: str) -> dict[str, Any]:
        """What the codec is told beside the size."""
        if codec != OURS:
            return {}
        return {
            "effort": self.effort,
            "packing": self.packing,
            "resolution": self.resolution,
            "seed": 0,
            "device": self.device,
        }

    def cached(self, sha256: str, want: Want) -> Path:
        """Where a row is kept."""
        key = {
            "file": sha256,
            **asdict(want),
            "settings": self.settings(want.codec),
            "model": self.model_id if want.codec == OURS else "",
            "samples": self.samples,
            "version": __version__ if want.codec == OURS else "",
            "revision": [_REVISION[want.codec], _REVISION["metric"]],
        }
        return (
            self.cache / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}.json"
        )


# ------------------------------------------------------------------------------------------------------ cache


def store(plan: Plan, row: BenchRow, want: Want, data: bytes | None) -> None:
    kept = {"row": row.to_dict(), "data": None if data is None else base64.b64encode(data).decode()}
    path = plan.cached(row.sha256, want)
    write_atomic(path, json.dumps(kept, allow_nan=False).encode(), overwrite=True)


def recall(plan: Plan, sha256: str, want: Want) -> BenchRow | None:
    try:
        return BenchRow.from_dict(json.loads(plan.cached(sha256, want).read_bytes())["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut short, or of another version: computed again


def recall_data(plan: Plan, row: BenchRow) -> bytes:
    try:
        kept = json.loads(plan.cached(row.sha256, Want(row.codec, row.size)).read_bytes())
        return base64.b64decode(kept["data"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return b""
