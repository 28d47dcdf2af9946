"""Training in several processes: what ``torchrun`` says to each of them, and their common gradient."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn

from meshcodec.runtime.device import torchrun_process


def start_distributed(device: torch.device) -> tuple[int, int]:
    """Rank and number of processes as ``torchrun`` sets them, with their group started; (0, 1) without it."""
    process = torchrun_process()
    if process.processes > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return process.rank, process.processes


def choose_own_gpu(device: torch.device) -> None:
    """Have CUDA take the GPU of this process: ``torchrun`` starts one process for each."""
    gpu = torchrun_process().gpu
    if device.type == "cuda" and gpu is not None:
        torch.cuda.set_device(gpu)


def average_gradients(parameters: list[nn.Parameter], processes: int) -> None:
    """Replace the gradients by their mean over all processes: one all-reduce of a single flat buffer.

    A parameter that this process did not use counts as a gradient of zero: which scales are used is drawn
    anew in each process, and all have to send the same number of values.
    """
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
