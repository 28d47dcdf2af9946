"""A mesh made ready to be encoded at any size and effort."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import trimesh

from meshcodec.geometry.normalize import BoxTransform
from meshcodec.geometry.signed_distance import FaceClasses


@dataclass(frozen=True)
class PreparedMesh:
    """A mesh that is ready to be encoded at any size and effort.

    Attributes
    ----------
    mesh : in its own frame
    placement : from the unit frame to it
    surfaces : in the unit frame
    digits : unbounded, of each scale, as the encoder gives them, (1, 3, n, n, D)
    seed : of all sampling
    seconds : of each stage so far
    """

    mesh: trimesh.Trimesh
    placement: BoxTransform
    surfaces: FaceClasses
    digits: list[torch.Tensor]
    seed: int
    seconds: dict[str, float]
