"""Tokens for sequence models: a folder of ``.vat`` files as a data set of integer sequences of one length.

Tokens are ordered coarse to fine. Files written with ``packing="bytes"`` have as many in every file of a
size; of coded files, which have as many as fit, a prefix is taken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from meshcodec.api import Codec
from meshcodec.errors import UsageError
from meshcodec.format.container import VatFile
from meshcodec.runtime.files import find_files
from meshcodec.runtime.vat_source import named, vat_bytes


class TokenDataset(Dataset[Tensor]):
    """The tokens of the ``.vat`` files below a folder.

    ``data[i]`` is (length,) int64, values 0 to 255: what an embedding takes.

    Parameters
    ----------
    folder : searched with its subfolders, in a fixed order (`paths`)
    length : tokens of each item; by default those of the shortest file. The first 471, say, are those of the
        five coarsest scales.
    weights : folder with the registry of the models, which decode the tokens of coded files; the shipped one
        by default

    Raises
    ------
    UsageError
        No files, files of several models, or one with fewer than `length` tokens.
    CorruptFileError
        A file that cannot be read, or is not whole.
    WeightsError
        Coded files of a model that is not here.
    """

    def __init__(self, folder: Path, length: int | None = None, weights: Path | None = None) -> None:
        self.paths = find_files(folder, ("vat",))
        if not self.paths:
            raise UsageError(f"{folder}: holds no .vat file", "name a folder of 'meshcodec compress'")
        files = [_read(path) for path in self.paths]
        if len(models := {file.model_id.hex() for file in files}) > 1:
            listed = ", ".join(sorted(models))
            raise UsageError(f"{folder}: files of several models ({listed})", "keep those of one model")
        counts = [file.count for file in files]
        shortest = counts.index(min(counts))
        self.length = counts[shortest] if length is None else length
        if not 1 <= self.length <= counts[shortest]:
            fault = f"{self.paths[shortest]}: {counts[shortest]} tokens, {self.length} are asked for"
            raise UsageError(fault, "ask for fewer")
        codec = Codec("cpu", weights)
        rows = [codec.tokens(path)[: self.length] for path in self.paths]
        self._tokens = torch.from_numpy(np.stack(rows))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self._tokens[index].long()


def _read(path: Path) -> VatFile:
    with named(path):
        file = VatFile.from_bytes(vat_bytes(path))
        file.check_holds_tokens()
        return file
