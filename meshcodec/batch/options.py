"""What folders are converted with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meshcodec.config import (
    DEFAULT_EFFORT,
    DEFAULT_MODE,
    DEFAULT_RESOLUTION,
    DEFAULT_SIZE,
    MAX_BYTES,
    MAX_FACES,
    TAUS,
)
from meshcodec.format.payload import DEFAULT_PACKING


@dataclass(frozen=True)
class CompressOptions:
    """How each mesh is encoded; see `meshcodec.api`.

    Attributes
    ----------
    size : bytes, or None where a quality is asked for
    min_fscore, tau, max_error : quality to reach, see `meshcodec.target.Target`
    best_effort : write the best also where no size reaches the quality
    measure : decode what was written and record its F-scores
    mode : way of coding, one of `meshcodec.config.MODES`
    packing : how tokens become bytes, one of `meshcodec.format.payload.PACKING_WORDS`
    time_limit : seconds after which the best found for a mesh is taken
    max_faces, max_bytes : refuse larger meshes; see `meshcodec.geometry.io.load_mesh`
    max_memory : bytes of each process; by default what the machine has is shared among them
    """

    size: int | None = DEFAULT_SIZE
    min_fscore: float | None = None
    tau: float = TAUS[0]
    max_error: float | None = None
    best_effort: bool = False
    effort: int = DEFAULT_EFFORT
    seed: int = 0
    measure: bool = True
    mode: str = DEFAULT_MODE
    packing: str = DEFAULT_PACKING
    time_limit: float | None = None
    max_faces: int = MAX_FACES
    max_bytes: int = MAX_BYTES
    max_memory: int | None = None
    device: str = "auto"
    weights: Path | None = None


@dataclass(frozen=True)
class DecompressOptions:
    """How each file is decoded: extension of the meshes, cells a side, bytes of memory of each process.

    `faces` is the largest number of triangles, None for all that there are.
    """

    format: str = "obj"
    resolution: int | None = DEFAULT_RESOLUTION
    device: str = "auto"
    weights: Path | None = None
    max_memory: int | None = None
    faces: int | None = None


Options = CompressOptions | DecompressOptions
"""What a folder is converted with, either way."""
Engine = Literal["processes", "ray"]
"""Where files are converted: by processes of this machine, or on a Ray cluster."""
