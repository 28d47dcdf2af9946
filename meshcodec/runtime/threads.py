"""Threads, and the environment variables that number them: this module alone sets them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

SHORT_WAITS = {"GOMP_SPINCOUNT": "10000"}
"""How often threads that meet after each operation of torch look for each other before they sleep. libgomp's
own 300 000 take the core, where another process has the other one, from the very thread that is waited for;
with 1000 they sleep where nobody else wants the core (docs/performance.md)."""


def set_defaults(variables: dict[str, str]) -> None:
    """What the environment says from now on, unless the user has said it otherwise."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def in_threads(function: Callable[..., None], calls: list[tuple[int, ...]]) -> None:
    """Make calls, without gradients, on as many threads as torch would take for one operation.

    The threads end with it: as long as there are more of them than cores, OpenMP's own are put to sleep
    wherever they wait for each other, which slows short operations down, such as a gradient step's.
    """

    import torch  # here, because the command line must answer without it

    def work(arguments: tuple[int, ...]) -> None:
        with torch.no_grad():  # which each thread has a switch of its own for
            function(*arguments)

    threads = torch.get_num_threads()
    if threads == 1 or len(calls) == 1:
        for arguments in calls:
            work(arguments)
        return
    try:
        # In each of them an operation is not divided any further.
        with ThreadPoolExecutor(threads, "field", torch.set_num_threads, (1,)) as pool:
            for _ in pool.map(work, calls):
                pass
    finally:
        torch.set_num_threads(threads)  # of threads that are begun later, too


def one_thread() -> None:
    """What a forked worker begins with: its processes share the cores."""
    import torch

    torch.set_num_threads(1)


ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"), "1"
)
"""What the environment must say before the libraries that start threads are loaded."""


def available_cores() -> int:
    """Cores this process may run on, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Workers started inside read these before they load the libraries that start threads."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
