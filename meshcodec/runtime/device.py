"""Which device computes, by which kernel, and why. torch is loaded when the answer hangs on it.

The kernel evaluates the distance field:

=========  ===========================================================================================
tables     CPU: what a regular grid lets share is computed once (`meshcodec.kernels.tables`); single points by
           `meshcodec.kernels.reference`
triton     CUDA: all of it in one kernel, nothing in between in global memory (`meshcodec.kernels.fused`)
reference  anywhere: plain torch (`meshcodec.kernels.reference`)
=========  ===========================================================================================

MESHCODEC_KERNEL in the environment chooses: ``auto`` (the default), ``reference`` or ``triton``.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcodec.errors import UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
KERNEL_VARIABLE = "MESHCODEC_KERNEL"  # name of the environment variable that chooses the kernel
KERNELS = ("auto", "reference", "triton")  # values that it may have
FEWEST_POINTS = 1024
"""Rows below which `in_parts` gives up."""


def check_device(name: str) -> None:
    """Raise UsageError for a device that is not in `DEVICES`."""
    if name not in DEVICES:
        raise UsageError(f"unknown device {name!r}", f"choose one of {', '.join(DEVICES)}")


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """The device for a choice of `DEVICES`, and a phrase that says why.

    Raises
    ------
    UsageError
        CUDA is asked for and does not work here, or the name is unknown.
    """
    check_device(name)
    import torch

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


def wanted_kernel() -> str:
    """What MESHCODEC_KERNEL asks for, one of `KERNELS`. Raises UsageError for anything else."""
    wanted = os.environ.get(KERNEL_VARIABLE) or "auto"
    if wanted not in KERNELS:
        raise UsageError(
            f"{KERNEL_VARIABLE}={wanted}: no such kernel", f"set it to one of {', '.join(KERNELS)}"
        )
    return wanted


def choose_kernel(device: torch.device) -> tuple[str, str]:
    """The kernel that runs on a device, ``tables``, ``triton`` or ``reference``, and a phrase that says why.

    Raises
    ------
    UsageError
        MESHCODEC_KERNEL is none of `KERNELS`, or asks for Triton where it cannot run.
    """
    wanted = wanted_kernel()
    asked = f"{KERNEL_VARIABLE}={wanted}"
    if wanted == "reference":
        return "reference", asked
    installed = importlib.util.find_spec("triton") is not None
    if wanted == "triton":
        remedy = f"set {KERNEL_VARIABLE} to auto"
        if not installed:
            raise UsageError(
                f"{asked}: Triton is not installed", f"{remedy}, or pip install 'meshcodec[gpu]'"
            )
        if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            raise UsageError(f"{asked}: Triton needs CUDA, the device is {device}", remedy)
        return "triton", asked
    if device.type != "cuda":
        return "tables", f"the device is {device}"
    if not installed:
        return "reference", "Triton is not installed"
    return "triton", "the device is cuda and Triton is installed"


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
    import torch

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
    import torch

    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))
