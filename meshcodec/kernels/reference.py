"""The distance field at points, by the model as it was trained: the truth that other kernels are held to."""

from __future__ import annotations

from torch import Tensor

from meshcodec.config import TRUNCATION
from meshcodec.model.decoder import FieldHead


def distances(head: FieldHead, planes: Tensor, points: Tensor) -> Tensor:
    """Evaluate the field.

    Parameters
    ----------
    head : weights, on the device of the planes and in their precision
    planes : (3, P, P, C), channels last
    points : (n, 3) in the precision of the planes; outside of [-EXTENT, EXTENT] the border texels count

    Returns
    -------
    (n,) signed distances in the unit frame, negative inside, not truncated. Near the surface they are
    logits in units of the truncation; the tail is linear again here.
    """
    logits: Tensor = head(planes.permute(0, 3, 1, 2)[None], points[None])[0]
    return TRUNCATION * logits
