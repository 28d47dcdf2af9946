"""Devices, and what torchrun says of them."""

from __future__ import annotations

import pytest
import torch

from meshcodec.errors import UsageError
from meshcodec.runtime.device import TorchrunProcess, choose_device, torchrun_process
from meshcodec.train.distributed import choose_own_gpu

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_torchrun_a_process_is_the_only_one() -> None:
    assert torchrun_process() == TorchrunProcess(rank=0, processes=1, gpu=None)


def test_torchrun_numbers_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("5", "8", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert torchrun_process() == TorchrunProcess(rank=5, processes=8, gpu=1)


@pytest.mark.parametrize(
    ("device", "local", "taken"), [("cuda", "3", [3]), ("cuda", None, []), ("cpu", "3", [])]
)
def test_each_process_takes_its_own_gpu(
    monkeypatch: pytest.MonkeyPatch, device: str, local: str | None, taken: list[int]
) -> None:
    found: list[int] = []
    monkeypatch.setattr("torch.cuda.set_device", found.append)
    if local is not None:
        monkeypatch.setenv("LOCAL_RANK", local)
    choose_own_gpu(torch.device(device))
    assert found == taken


def test_a_device_that_is_unknown_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown device 'tpu'; choose one of auto, cpu, cuda"):
        choose_device("tpu")
