"""Sheets of rendered meshes with captions, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshcodec.errors import UsageError
from meshcodec.geometry.triangles import MeshLike, mesh_arrays
from meshcodec.pictures.render import WHITE, Color, Image, frame_of, render_mesh


def pillow() -> tuple[Any, Any, Any]:
    """Pillow's Image, ImageDraw and ImageFont. Raises UsageError where it is not installed."""
    try:
        from PIL import Image as PILImage
        from PIL import ImageDraw, ImageFont
    except ImportError as error:
        raise UsageError("pictures need Pillow", 'pip install "meshcodec[report]"') from error
    return PILImage, ImageDraw, ImageFont


def contact_sheet(
    images: Sequence[Sequence[Image | None]],
    *,
    headers: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    notes: Sequence[Sequence[str]] | None = None,
    font_size: int = 15,
    gap: int = 6,
    background: Color = WHITE,
) -> Image:
    """Lay pictures out in a table.

    Parameters
    ----------
    images : rows of (h, w, 3) uint8
        None leaves a place empty; rows may differ in length, pictures in size.
    headers : str per column
    captions : str per row
        Written above each row; they may hold line breaks.
    notes : rows of str
        Written below each picture.

    Returns
    -------
    (H, W, 3) uint8

    Raises
    ------
    ValueError
        Where there is no picture at all, or more headers, captions or notes than places.
    UsageError
        Without Pillow.
    """
    columns = max((len(row) for row in images), default=0)
    if not any(image is not None for row in images for image in row):
        raise ValueError("a contact sheet needs at least one picture")
    for name, given, places in (
        ("headers", headers, columns),
        ("captions", captions, len(images)),
        ("notes", notes, len(images)),
    ):
        if given is not None and len(given) > places:
            raise ValueError(f"{len(given)} {name} for {places} places")
    sheet = _Sheet(
        images=images,
        headers=_filled(headers, columns),
        captions=_filled(captions, len(images)),
        notes=[_filled(row, columns) for row in _filled_rows(notes, len(images))],
        font_size=font_size,
        gap=gap,
    )
    return sheet.drawn(background)


def _filled(texts: Sequence[str] | None, count: int) -> list[str]:
    """``count`` texts: those that are given, then empty ones."""
    return [*(texts or ()), *[""] * count][:count]


def _filled_rows(rows: Sequence[Sequence[str]] | None, count: int) -> list[Sequence[str]]:
    return [*(rows or ()), *[()] * count][:count]


class _Sheet:
    """A table of pictures and texts, all rows and columns filled up, and where each of them lies."""

    def __init__(
        self,
        images: Sequence[Sequence[Image | None]],
        headers: list[str],
        captions: list[str],
        notes: list[list[str]],
        font_size: int,
        gap: int,
    ) -> None:
        self._pillow, self._draw, pil_font = pillow()
        self._font, self._font_size, self._gap = pil_font.load_default(font_size), font_size, gap
        self._pen = self._draw.Draw(self._pillow.new("RGB", (1, 1)))
        self._pictures: list[tuple[int, int, Image]] = []
        self._texts: list[tuple[int, int, str]] = []
        self._widths = [
            self._column_width(
                [row[c] for row in images if c < len(row)], [header, *(row[c] for row in notes)]
            )
            for c, header in enumerate(headers)
        ]
        self._lefts = np.cumsum([gap, *(width + gap for width in self._widths)]).tolist()
        wide = max(self._extent(caption)[0] for caption in captions)
        self._width = max(sum(self._widths) + gap * (len(headers) + 1), wide + 2 * gap)
        y = self._centered(headers, gap)
        for row, caption, below in zip(images, captions, notes, strict=True):
            y = self._row(row, caption, below, y)
        self._height = y

    def drawn(self, background: Color) -> Image:
        """(H, W, 3) uint8"""
        sheet = self._pillow.new("RGB", (self._width, self._height), background)
        for x, top, image in self._pictures:
            sheet.paste(self._pillow.fromarray(np.ascontiguousarray(image)), (x, top))
        pen = self._draw.Draw(sheet)
        for x, top, text in self._texts:
            pen.multiline_text((x, top), text, fill=(32, 32, 32), font=self._font)
        return np.asarray(sheet, dtype=np.uint8).copy()

    def _extent(self, text: str) -> tuple[int, int]:
        """Width and height of a text in pixels."""
        box = self._pen.multiline_textbbox((0, 0), text, font=self._font)
        return int(box[2]) + 1, max(int(box[3]), self._font_size) + self._font_size // 3

    def _column_width(self, pictures: list[Image | None], texts: list[str]) -> int:
        of_texts = [self._extent(text)[0] for text in texts if text]
        return int(max([*of_texts, *(picture.shape[1] for picture in pictures if picture is not None), 1]))

    def _row(self, row: Sequence[Image | None], caption: str, notes: list[str], y: int) -> int:
        """Place a row of pictures below `y`, its caption above and its notes below; return where it ends."""
        if caption:
            self._texts.append((self._gap, y, caption))
            y += self._extent(caption)[1]
        tall = max((image.shape[0] for image in row if image is not None), default=0)
        for c, image in enumerate(row):
            if image is not None:
                self._pictures.append((self._lefts[c] + (self._widths[c] - image.shape[1]) // 2, y, image))
        return self._centered(notes, y + tall + 2) - 2 + self._gap

    def _centered(self, texts: list[str], y: int) -> int:
        """Place a text in the middle of each column; return where the tallest ends."""
        for left, width, text in zip(self._lefts, self._widths, texts, strict=False):
            if text:
                self._texts.append((left + (width - self._extent(text)[0]) // 2, y, text))
        return y + max((self._extent(text)[1] for text in texts if text), default=0)


def comparison_sheet(
    rows: Sequence[tuple[str, Sequence[MeshLike | None]]],
    headers: Sequence[str] | None = None,
    *,
    notes: Sequence[Sequence[str]] | None = None,
    colors: Sequence[Sequence[ArrayLike | None]] | None = None,
    size: int = 320,
    azimuth: float = 35.0,
    elevation: float = 25.0,
    up: str = "y",
) -> Image:
    """Render meshes side by side, each row in the frame of its first mesh.

    Parameters
    ----------
    rows : (caption, meshes)
        The original first; None, or a mesh without faces, gives an empty place.
    headers, notes
        As for `contact_sheet`.
    colors : rows of (F, 3) or (V, 3) or None
        Colours of each mesh, as for `render_mesh`.
    size, azimuth, elevation, up
        As for `render_mesh`.

    Returns
    -------
    (H, W, 3) uint8
    """
    table: list[list[Image | None]] = []
    nothing = np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    for r, (_, meshes) in enumerate(rows):
        arrays = [nothing if mesh is None else mesh_arrays(mesh) for mesh in meshes]
        first = next((mesh for mesh in arrays if len(mesh[1])), None)
        center, radius = (np.zeros(3), 1.0) if first is None else frame_of(*first)
        line: list[Image | None] = []
        for c, (vertices, faces) in enumerate(arrays):
            paint = colors[r][c] if colors is not None and r < len(colors) and c < len(colors[r]) else None
            line.append(
                render_mesh(
                    vertices if len(faces) else nothing[0],
                    faces,
                    size=size,
                    azimuth=azimuth,
                    elevation=elevation,
                    up=up,
                    center=center,
                    radius=radius,
                    face_or_vertex_colors=paint if len(faces) else None,
                )
            )
        table.append(line)
    return contact_sheet(table, headers=headers, captions=[caption for caption, _ in rows], notes=notes)


def save_png(path: str | Path, image: Image) -> None:
    """Write a (H, W, 3) uint8 picture. Raises UsageError without Pillow or where it cannot be written."""
    PILImage, _, _ = pillow()
    try:
        PILImage.fromarray(np.ascontiguousarray(image)).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror or error})", "choose another place"
        ) from error
