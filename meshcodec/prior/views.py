"""Pictures as conditions: shaded views of training meshes, and the user's own, brought into one form.

A view is (side, side) brightness from 0 to 1: 0 is where the object is not; the object is centred and fills
nine tenths of the longer side. What the object is in a picture, its transparency says or, where it has none,
its difference to the colour of the picture's border.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import ArrayLike, NDArray

from meshcodec.errors import BadMeshError
from meshcodec.pictures.render import render_mesh
from meshcodec.pictures.sheets import pillow

_FILL = 0.9
"""Share of the longer side of a view that the object fills."""
_DARKEST = 0.2
"""Brightness of the darkest parts of an object, so that they differ from what is around it."""
_RENDERED = 96
"""Pixels along a side at which a mesh is rendered before it is brought into the form of a view."""
_BORDER_DIFFERENCE = 0.12
"""Root mean square difference to the border, over three colours from 0 to 1, from which on a pixel counts."""
_LEAST_SHARE, _MOST_SHARE = 0.005, 0.95
"""Shares of a picture between which the object's must lie."""
_MOST_PIXELS = 1024
"""Pixels along the longer side of a picture that are looked at; larger pictures are reduced."""
View = NDArray[np.float32]
"""(side, side) brightness from 0 to 1."""


def shaded_view(
    vertices: ArrayLike, faces: ArrayLike, azimuth: float, elevation: float, up: str, side: int
) -> View:
    """The view (side, side) of a mesh from a direction, see `meshcodec.pictures.render.render_mesh`."""
    options: dict[str, Any] = {"size": _RENDERED, "azimuth": azimuth, "elevation": elevation, "up": up}
    picture = render_mesh(
        vertices, faces, background=(0, 0, 0), color=(255, 255, 255), lines=False, **options
    )
    brightness: View = picture[..., 0].astype(np.float32) / np.float32(255)
    return _framed(brightness, brightness > _DARKEST, side)


def picture_view(path: Path, side: int) -> View:
    """The view of a picture file.

    Raises
    ------
    UsageError
        Pillow is not installed.
    BadMeshError
        Not a picture, or none in which one thing stands out.
    """
    PILImage, _, _ = pillow()
    try:
        with PILImage.open(path) as picture:
            picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
            pixels = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
    except (PILImage.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise BadMeshError(f"{path}: not a picture that can be read", "give a PNG or JPEG file") from error
    colors, alpha = pixels[..., :3], pixels[..., 3]
    if alpha.min() < 0.5:
        inside = alpha >= 0.5
    else:
        border = np.concatenate([colors[0], colors[-1], colors[:, 0], colors[:, -1]])
        difference = np.sqrt(((colors - np.median(border, axis=0)) ** 2).mean(axis=-1))
        inside = difference > _BORDER_DIFFERENCE
    if not _LEAST_SHARE <= inside.mean() <= _MOST_SHARE:
        fault = f"{path}: no single thing stands out from its background"
        raise BadMeshError(fault, "give a picture with a plain or transparent background")
    return _framed(colors.mean(axis=-1), inside, side)


def silhouette(view: View) -> View:
    """A view without its shading."""
    flat: View = np.where(view > _DARKEST / 2, np.float32(0.8), np.float32(0))
    return flat


def _framed(brightness: View, inside: NDArray[np.bool_], side: int) -> View:
    """What is inside, centred on black, its longer side nine tenths of the view's."""
    view = np.zeros((side, side), dtype=np.float32)
    if not inside.any():
        return view
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    part = np.where(inside, brightness.clip(_DARKEST, 1), 0)[box]
    scale = _FILL * side / max(part.shape)
    height, width = (max(round(length * scale), 1) for length in part.shape)
    resized = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))[None, None],
        (height, width),
        mode="bilinear",
        antialias=True,
    )[0, 0].numpy()
    top, left = (side - height) // 2, (side - width) // 2
    view[top : top + height, left : left + width] = resized
    return view
