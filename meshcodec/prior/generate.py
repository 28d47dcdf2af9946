"""New shapes as ``.vat`` files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh

from meshcodec.api import Codec
from meshcodec.errors import CorruptFileError, UsageError, WeightsError
from meshcodec.format.container import VatFile
from meshcodec.format.payload import Packing
from meshcodec.pictures.render import Image, render_mesh
from meshcodec.pictures.sheets import contact_sheet, pillow, save_png
from meshcodec.prior.box import box_of_tokens, box_tokens
from meshcodec.prior.model import Conditions
from meshcodec.prior.sampling import ConditioningTokens, Sampling, sample
from meshcodec.prior.views import View
from meshcodec.prior.weights import load_prior
from meshcodec.prior.words import word_ids, words_of
from meshcodec.runtime.files import write_atomic

BATCH = 16
"""Shapes that are drawn together."""
_TRIES = 4
"""Times that a shape is drawn at most, because its tokens may decode to nothing."""
_SEEN_RESOLUTION = 128
"""Grid cells along an axis of the meshes that are returned and drawn."""
_PICTURE = 220
"""Pixels along a side of a shape's picture on the sheet."""
_COLUMNS = 8
"""Pictures side by side on the sheet."""


@dataclass(frozen=True)
class Generated:
    """A new shape.

    Attributes
    ----------
    data : bytes of its ``.vat`` file
    mesh : what they decode to at a coarse resolution
    """

    data: bytes
    mesh: trimesh.Trimesh


class Generator:
    """Draws shapes from the prior of the encoding model.

    Parameters
    ----------
    codec : codec with the weights

    Raises
    ------
    WeightsError
        Its model has no prior, or a damaged one.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        entry = codec.entry
        prior = load_prior(entry)
        if prior is None:
            fault = f"{entry.path}: model {codec.model_id} has no prior"
            raise WeightsError(fault, "train one with 'meshcodec train prior', or use the shipped weights")
        self.prior = prior.to(codec.device)
        self._quantizer = codec.model.quantizer

    def conditioning_tokens(self, data: bytes, scales: int) -> ConditioningTokens:
        """The box and the first scales of a file, which variations of it keep.

        Raises
        ------
        CorruptFileError
            Not a whole ``.vat`` file.
        UsageError
            It is of another model, or has not so many scales.
        """
        file = VatFile.from_bytes(data)
        if file.model_id.hex() != self._codec.model_id:
            fault = f"made with model {file.model_id.hex()}, the prior is of {self._codec.model_id}"
            raise UsageError(fault, "encode the mesh again")
        ends = self._codec.config.scale_ends()[: self.prior.config.scales]
        whole = sum(end <= file.count for end in ends)
        if not 1 <= scales <= whole:
            raise UsageError(f"--keep-scales {scales} is out of range", f"choose 1 to {whole}")
        tokens = torch.from_numpy(self._codec.tokens(data)[: ends[scales - 1]].copy())
        box = box_tokens(*file.box[1:])
        return ConditioningTokens(torch.tensor(box), tokens)

    def generate(
        self,
        count: int,
        seed: int = 0,
        text: str = "",
        view: View | None = None,
        kept: ConditioningTokens | None = None,
        sampling: Sampling | None = None,
    ) -> list[Generated]:
        """Draw `count` shapes; the same arguments give the same ones on the same machine.

        Parameters
        ----------
        count : number of shapes
        seed : start of the random stream
        text : what they should be, in the words of files' names; none by default
        view : picture of such a thing, see `meshcodec.prior.views`
        kept : tokens of a file that all shapes have, see `conditioning_tokens`
        sampling : how tokens are drawn

        Raises
        ------
        UsageError
            The text has no word, or what is drawn has no surface, again and again.
        """
        words = words_of(text)
        if text and not words:
            raise UsageError(f"{text!r} has no word of three letters", "name a thing, such as 'office chair'")
        ids = word_ids(words, self.prior.config.word_buckets)
        made: list[Generated] = []
        for first in range(0, count, BATCH):
            batch = min(BATCH, count - first)
            conditions = self._conditions(batch, ids, view)
            rows: list[Generated | None] = [None] * batch
            for attempt in range(_TRIES):
                # All are drawn again, so that a shape does not depend on which others decode to something.
                drawn_seed = int(np.random.default_rng([seed, first, attempt]).integers(1 << 62))
                random = torch.Generator().manual_seed(drawn_seed)
                drawn = sample(
                    self.prior,
                    self._quantizer,
                    conditions,
                    sampling or Sampling(),
                    kept or ConditioningTokens(),
                    random,
                )
                for row, (box, tokens) in enumerate(zip(*drawn, strict=True)):
                    rows[row] = rows[row] or self._file(box, tokens)
                if all(rows):
                    break
            made += [one for one in rows if one is not None]
        if len(made) < count:
            fault = f"{count - len(made)} of {count} shapes came out empty, {_TRIES} times"
            raise UsageError(fault, "choose another --seed, or a --temperature nearer to 1")
        return made

    def _conditions(self, batch: int, ids: list[int], view: View | None) -> Conditions:
        side, device = self.prior.config.image_side, self._codec.device
        picture = np.zeros((side, side), dtype=np.float32) if view is None else view
        return Conditions(
            torch.tensor(ids * batch, dtype=torch.long, device=device),
            torch.arange(batch, device=device) * len(ids),
            torch.from_numpy(picture).to(device).expand(batch, -1, -1),
            torch.full((batch,), view is not None, device=device),
        )

    def _file(self, box: torch.Tensor, tokens: torch.Tensor) -> Generated | None:
        """The file of drawn box tokens and tokens; None where they decode to no surface."""
        half_extents, mirrored = box_of_tokens(box.tolist())
        data = self._codec.from_tokens(
            tokens.cpu().numpy(), scale=half_extents, mirrored=mirrored, packing=Packing.CODED.word
        )
        try:
            return Generated(data, self._codec.decode(data, _SEEN_RESOLUTION))
        except CorruptFileError:
            return None


def output_paths(folder: Path, count: int, sheet: bool, force: bool) -> tuple[list[Path], Path | None]:
    """``0000.vat`` and so on in a folder and, where asked for, ``sheet.png``.

    Raises
    ------
    UsageError
        One of them is there and `force` is not given, or Pillow, which draws, is not.
    """
    paths = [folder / f"{number:04d}.vat" for number in range(count)]
    picture = folder / "sheet.png" if sheet else None
    if sheet:
        pillow()
    for path in [*paths, *([picture] if picture else [])]:
        if path.exists() and not force:
            raise UsageError(f"{path} exists", "choose another folder, or overwrite with -f")
    return paths, picture


def write_shapes(shapes: list[Generated], paths: list[Path], picture: Path | None) -> None:
    """Write the files of shapes and a picture of all; makes their folder.

    Raises UsageError where they cannot be written.
    """
    folder = paths[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})", "choose another") from error
    for path, shape in zip(paths, shapes, strict=True):
        write_atomic(path, shape.data, overwrite=True)
    if picture is not None:
        save_png(picture, _sheet(shapes, paths))


def _sheet(shapes: list[Generated], paths: list[Path]) -> Image:
    pictures = [render_mesh(s.mesh.vertices, s.mesh.faces, size=_PICTURE, lines=False) for s in shapes]
    rows = range(0, len(shapes), _COLUMNS)
    return contact_sheet(
        [pictures[first : first + _COLUMNS] for first in rows],
        notes=[[path.name for path in paths[first : first + _COLUMNS]] for first in rows],
    )
