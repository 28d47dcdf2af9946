"""Threads, and the environment variables that number them: this module alone sets them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHORT_WAITS = {"GOMP_SPINCOUNT": "10000"}
"""How often threads that meet after each operation of torch look for each other before they sleep. libgomp's
own 300 000 take the core, where another process has the other one, from the very thread that is waited for;
with 1000 they sleep where nobody else wants the core (docs/performance.md)."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"), "1"
)
"""One thread for each library that starts threads, where the variable is set before the library is loaded."""


# ---- the environment, which the libraries read once, when they are loaded


def use_short_waits() -> None:
    """Set `SHORT_WAITS` in the environment, where the user has not set it.

    ``import meshcodec`` does so, so that a Python program waits as the command does. libgomp reads it when it
    is loaded: in a program that imports torch before meshcodec it has no effect.
    """
    _set_defaults(SHORT_WAITS)


def use_one_thread() -> None:
    """Give this process one thread, where the user has not set the number: what is loaded later obeys."""
    _set_defaults(ONE_THREAD)


def force_one_thread() -> None:
    """Give this process one thread, whatever the environment said: what is loaded later obeys."""
    os.environ.update(ONE_THREAD)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Give one thread to each process that is started inside, and put the environment back."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    force_one_thread()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _set_defaults(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        os.environ.setdefault(name, value)


# ---- threads of torch


def in_threads(function: Callable[..., None], calls: list[tuple[int, ...]]) -> None:
    """Make calls, without gradients, on as many threads as torch would take for one operation.

    The threads end with it: as long as there are more of them than cores, OpenMP's own are put to sleep
    wherever they wait for each other, which slows short operations down, such as a gradient step's.
    """
    from concurrent.futures import ThreadPoolExecutor

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
    """What a forked worker begins with: its processes share the cores. torch obeys if it comes later, too."""
    if "torch" not in sys.modules:
        force_one_thread()
        return
    import torch

    torch.set_num_threads(1)


@functools.cache
def one_thread_after_forks() -> None:
    """Give one thread of torch to each process that is forked from this one, from now on.

    OpenMP's threads do not survive a fork, and with more than one of them a child waits for ever for those of
    its parent. A system that cannot fork has nothing to do.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=one_thread)


@contextmanager
def one_thread_here() -> Iterator[None]:
    """One thread of torch in this process, as in a worker: sums in the same order, so the same bytes."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def available_cores() -> int:
    """Cores this process may run on, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
