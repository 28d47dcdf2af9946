"""What the benchmark measures, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trimesh

from meshcodec.config import DEFAULT_EFFORT, DEFAULT_MODE, DEFAULT_RESOLUTION, SAMPLES
from meshcodec.errors import UsageError
from meshcodec.evaluation.baselines import require
from meshcodec.evaluation.bench.rows import BASELINES, DRACO, OURS
from meshcodec.format.payload import DEFAULT_PACKING
from meshcodec.session import codec_of_process


class CodecLike(Protocol):
    """What the bench needs of a codec: `meshcodec.api.Codec`, or a stand-in for tests."""

    @property
    def model_id(self) -> str:
        """8 hex digits."""
        ...

    def encode(
        self, source: trimesh.Trimesh, size: int, effort: int, seed: int, packing: str, mode: str
    ) -> bytes:
        """A mesh to at most ``size`` bytes."""
        ...

    def decode(self, data: bytes, resolution: int | None) -> trimesh.Trimesh:
        """The mesh again, in the original frame."""
        ...


@dataclass(frozen=True)
class BenchOptions:
    """Options of `meshcodec.evaluation.bench.run.run_bench`.

    Attributes
    ----------
    sizes : tuple of int
        Bytes, each 1 or more; in any order, repetitions count once.
    effort : int
        Effort of our encoder, 0..9.
    baselines : tuple of str
        Some of `meshcodec.evaluation.bench.rows.BASELINES`.
    ours : bool
        Whether our codec takes part.
    mode : str
        Our way of coding, one of `meshcodec.config.MODES`.
    packing : str
        Packing of our files, one of `meshcodec.format.payload.PACKING_WORDS`.
    resolution : int or None
        Cells a side at which our decoder works; None: as many as a surface needs.
    device : str
        Device of our codec: auto, cpu or cuda.
    weights : Path or None
        Folder of our weights; None for the shipped ones.
    samples : int
        Points on each surface.
    make_codec : callable
        From device and weights to a codec; a function of a module, which worker processes can find.
    jobs : int
        Worker processes, each with one thread; 1 works in this process.
    pictures : bool
        Whether to draw plots and pictures, where what they need is installed.
    quiet : bool
        No progress bar, which otherwise is drawn on stderr where that is a terminal.
    """

    sizes: tuple[int, ...]
    effort: int = DEFAULT_EFFORT
    baselines: tuple[str, ...] = ()
    ours: bool = True
    mode: str = DEFAULT_MODE
    packing: str = DEFAULT_PACKING
    resolution: int | None = DEFAULT_RESOLUTION
    device: str = "cpu"
    weights: Path | None = None
    samples: int = SAMPLES
    make_codec: Callable[[str, Path | None], CodecLike] = codec_of_process
    jobs: int = 1
    pictures: bool = True
    quiet: bool = False

    def check(self) -> None:
        """Raise UsageError for no size or job, an unknown baseline, or one whose packages are missing."""
        if not self.sizes or min(self.sizes) < 1 or self.jobs < 1:
            raise UsageError("the bench needs a size and a job", "give --sizes and --jobs of at least 1")
        for name in self.baselines:
            if name not in BASELINES:
                raise UsageError(f"unknown baseline {name!r}", f"use some of {', '.join(BASELINES)}")
        if set(DRACO) & set(self.baselines):
            require()

    def ascending(self) -> tuple[int, ...]:
        """The sizes from the smallest on, each once."""
        return tuple(sorted(set(self.sizes)))

    def codecs(self) -> tuple[str, ...]:
        """Names of the codecs that take part, ours first."""
        chosen = tuple(name for name in BASELINES if name in self.baselines)
        return (OURS, *chosen) if self.ours else chosen

    def codec(self) -> CodecLike:
        """Our codec in this process."""
        return self.make_codec(self.device, self.weights)
