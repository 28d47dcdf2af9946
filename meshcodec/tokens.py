"""Tokens for sequence models: a folder of ``.vat`` files as a data set of integer sequences of one length.

Tokens are ordered coarse to fine and every file of one size has as many, so a batch needs no padding.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from meshcodec.container import VatFile
from meshcodec.errors import CorruptFileError, UsageError


class TokenDataset(Dataset[Tensor]):
    """The tokens of the ``.vat`` files below a folder.

    ``data[i]`` is (length,) int64, values 0 to 255: what an embedding takes.

    Parameters
    ----------
    folder : searched with its subfolders, in a fixed order (`paths`)
    length : tokens of each item; by default those of the shortest file. 471 tokens of a larger file are as
        many as one of 512 bytes has, coarse to fine.

    Raises
    ------
    UsageError
        No files, files of several models, or one with fewer than `length` tokens.
    CorruptFileError
        A file that is not whole.
    """

    def __init__(self, folder: Path, length: int | None = None) -> None:
        self.paths = sorted(folder.rglob("*.vat"))
        if not self.paths:
            raise UsageError(f"{folder}: holds no .vat file", "name a folder of 'meshcodec compress'")
        files = [_read(path) for path in self.paths]
        if len(models := {file.model_id.hex() for file in files}) > 1:
            listed = ", ".join(sorted(models))
            raise UsageError(f"{folder}: files of several models ({listed})", "keep those of one model")
        counts = [len(file.tokens) for file in files]
        shortest = counts.index(min(counts))
        self.length = counts[shortest] if length is None else length
        if not 1 <= self.length <= counts[shortest]:
            fault = f"{self.paths[shortest]}: {counts[shortest]} tokens, {self.length} are asked for"
            raise UsageError(fault, "ask for fewer")
        rows = [torch.frombuffer(bytearray(file.tokens[: self.length]), dtype=torch.uint8) for file in files]
        self._tokens = torch.stack(rows)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self._tokens[index].long()


def _read(path: Path) -> VatFile:
    try:
        return VatFile.from_bytes(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from error
    except CorruptFileError as error:
        raise error.about(path) from error
