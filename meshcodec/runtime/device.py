"""Which device computes, and why."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch

from meshcodec.errors import UsageError

CHOICES = ("auto", "cpu", "cuda")
FEWEST_POINTS = 1024
"""Rows below which `in_parts` gives up."""


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """The device for a choice of `CHOICES`, and a phrase that says why.

    Raises
    ------
    UsageError
        CUDA is asked for and does not work here, or the name is unknown.
    """
    if name not in CHOICES:
        raise UsageError(f"unknown device {name!r}", f"choose one of {', '.join(CHOICES)}")
    if name == "cpu":
        return torch.device("cpu"), "asked for"
    if torch.cuda.is_available():
        found = "asked for" if name == "cuda" else "found"
        return torch.device("cuda"), f"{found}: {torch.cuda.get_device_name()}"
    built = torch.version.cuda is not None
    why = "torch finds no working CUDA driver" if built else "this torch is built without CUDA"
    if name == "cuda":
        remedy = "use --device cpu or auto, or install a CUDA build of torch"
        raise UsageError(f"--device cuda: {why}", remedy)
    return torch.device("cpu"), why


@dataclass(frozen=True)
class TorchrunProcess:
    """One of the processes that ``torchrun`` starts, by its environment variables.

    Attributes
    ----------
    rank : number of this process, from 0 (RANK)
    processes : number of all processes (WORLD_SIZE)
    gpu : number of its GPU on this machine (LOCAL_RANK); None without ``torchrun``
    """

    rank: int
    processes: int
    gpu: int | None


def torchrun_process() -> TorchrunProcess:
    """What ``torchrun`` says to this process; without it, this is the only one."""
    gpu = os.environ.get("LOCAL_RANK")
    return TorchrunProcess(
        rank=int(os.environ.get("RANK", "0")),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        gpu=int(gpu) if gpu is not None else None,
    )


def in_parts(function: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor) -> torch.Tensor:
    """``function(points)``, in halves, quarters and so on where the memory of the device is too small.

    `function` must treat the rows of (n, ...) `points` one by one and return (n, ...).

    Raises
    ------
    torch.OutOfMemoryError
        The memory does not even do for `FEWEST_POINTS` rows.
    """
    try:
        return function(points)
    except torch.OutOfMemoryError:
        if len(points) <= FEWEST_POINTS:
            raise
    # Not in the handler: while it runs, the traceback holds on to what could not be completed.
    middle = len(points) // 2
    return torch.cat([in_parts(function, points[:middle]), in_parts(function, points[middle:])])


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether half-width matrix products run at full speed: on CUDA, and on CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return True
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))
