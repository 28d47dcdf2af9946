"""Selections and sums of long tensors, in chunks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CHUNK = 1 << 20  # points handled at once where temporary arrays would otherwise grow with N**3


def select(values: Tensor, mask: Tensor) -> Tensor:
    """``values[mask]``, along the first axis."""
    if values.device.type != "cpu":
        return values[mask]
    # NumPy's is seven times faster than torch's, and shares the memory.
    return torch.from_numpy(values.numpy().compress(mask.numpy(), axis=0))


def take(values: Tensor, where: Tensor) -> Tensor:
    """``values[where]``, of flat values, by numbers of any integer type."""
    return values.take(where.long())  # on several threads, which `index_select` is not


def sort(keys: Tensor) -> Tensor:
    """(n,) keys in ascending order."""
    if keys.device.type != "cpu":
        return keys.sort().values
    # NumPy's takes a sixth of the time of torch's, by vector instructions.
    return torch.from_numpy(np.sort(keys.numpy()))


def distinct(keys: Tensor) -> Tensor:
    """Sorted distinct keys, several times quicker than `unique` of torch or NumPy."""
    keys = sort(keys.reshape(-1))
    new = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    torch.ne(keys[1:], keys[:-1], out=new[1:])
    return select(keys, new)


def zeros(count: int, device: torch.device) -> Tensor:
    """(count,) float32 zeros."""
    if device.type != "cpu":
        return torch.zeros(count, device=device)
    # NumPy has the system hand out zeroed pages when they are touched, and most never are; torch fills them.
    return torch.from_numpy(np.zeros(count, dtype=np.float32))
