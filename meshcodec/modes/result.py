"""What encoding and decoding give beside the bytes and the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trimesh

from meshcodec.format.payload import Packing

Progress = Callable[[int, int, float, float], None]
"""Called with steps done, steps in all, loss, and the best F-score at 0.02 so far, by proxy."""


@dataclass(frozen=True)
class Encoded:
    """A file and how it came about.

    Attributes
    ----------
    data : the ``.vat`` file
    tokens : tokens in it
    packing : code of the payload's packing: 0, one byte each, or 1, range-coded
    scales : scales of which there is a token
    effort : as asked for
    refined : whether the refined tokens were kept, rather than the encoder's own
    interrupted : whether `stop` ended the refinement early
    seconds : seconds of each stage
    """

    data: bytes
    tokens: int
    packing: Packing
    scales: int
    effort: int
    refined: bool
    interrupted: bool
    seconds: dict[str, float]


@dataclass(frozen=True)
class Simplification:
    """What fewer faces cost.

    Attributes
    ----------
    faces : faces of the mesh before
    error : by how much the surface was moved, about, in longest sides of the box
    """

    faces: int
    error: float


@dataclass(frozen=True)
class Decoded:
    """A mesh and what its decoding cost.

    Attributes
    ----------
    mesh : closed, in the original frame
    evaluated, total : points at which the field was evaluated, and points of the whole grid
    seconds : seconds of each stage
    simplified : what fewer faces cost; None where none were asked for, or there are no more
    """

    mesh: trimesh.Trimesh
    evaluated: int
    total: int
    seconds: dict[str, float] = field(default_factory=dict)
    simplified: Simplification | None = None
