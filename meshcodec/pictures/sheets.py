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
    PILImage, pil_draw, pil_font = pillow()
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
    font = pil_font.load_default(font_size)
    measure = pil_draw.Draw(PILImage.new("RGB", (1, 1)))

    def extent(text: str) -> tuple[int, int]:
        box = measure.multiline_textbbox((0, 0), text, font=font)
        return int(box[2]) + 1, max(int(box[3]), font_size) + font_size // 3

    def text_at(texts: Sequence[str] | None, i: int) -> str:
        return texts[i] if texts is not None and i < len(texts) else ""

    def note_at(row: int, column: int) -> str:
        return text_at(notes[row], column) if notes is not None and row < len(notes) else ""

    def height(texts: Sequence[str]) -> int:
        return max((extent(t)[1] for t in texts if t), default=0)

    widths = []
    for c in range(columns):
        texts = [text_at(headers, c), *(note_at(r, c) for r in range(len(images)))]
        pictures = [row[c] for row in images if c < len(row)]
        widths.append(
            max([extent(t)[0] for t in texts if t] + [p.shape[1] for p in pictures if p is not None] + [1])
        )
    wide = max([extent(text_at(captions, r))[0] for r in range(len(images))])
    total_width = max(sum(widths) + gap * (columns + 1), wide + 2 * gap)

    placed: list[tuple[int, int, Image]] = []
    written: list[tuple[int, int, str]] = []
    lefts = np.cumsum([gap, *(w + gap for w in widths)]).tolist()

    def write(x: int, y: int, text: str) -> None:
        if text:
            written.append((x, y, text))

    y = gap
    for c in range(columns):
        text = text_at(headers, c)
        write(lefts[c] + (widths[c] - extent(text)[0]) // 2, y, text)
    y += height([text_at(headers, c) for c in range(columns)])
    for r, row in enumerate(images):
        write(gap, y, text_at(captions, r))
        y += height([text_at(captions, r)])
        tall = max((image.shape[0] for image in row if image is not None), default=0)
        for c, image in enumerate(row):
            if image is not None:
                placed.append((lefts[c] + (widths[c] - image.shape[1]) // 2, y, image))
            text = note_at(r, c)
            write(lefts[c] + (widths[c] - extent(text)[0]) // 2, y + tall + 2, text)
        y += tall + height([note_at(r, c) for c in range(columns)]) + gap
    sheet = PILImage.new("RGB", (total_width, y), background)
    for x, top, image in placed:
        sheet.paste(PILImage.fromarray(np.ascontiguousarray(image)), (x, top))
    pen = pil_draw.Draw(sheet)
    for x, top, text in written:
        pen.multiline_text((x, top), text, fill=(32, 32, 32), font=font)
    return np.asarray(sheet, dtype=np.uint8).copy()


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
