"""Many independent jobs in worker processes, one thread each, that survive the death of a worker."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from meshcodec.runtime.threads import one_thread_each, one_thread_here

Result = TypeVar("Result")


def in_forks(
    work: Callable[[int], Result], count: int, jobs: int, begin: Callable[[], None] | None = None
) -> Iterator[Result]:
    """``work(0)`` to ``work(count - 1)``, in any order, by forked processes that each `begin` with something.

    One job needs no other process: forks of a process with threads may wait for ever.
    """
    if jobs == 1:
        yield from map(work, range(count))
        return
    with multiprocessing.get_context("fork").Pool(jobs, begin) as pool:
        yield from pool.imap_unordered(work, range(count))


J = TypeVar("J")
R = TypeVar("R")
DIED = "the worker process died (out of memory?)"
"""What a result says of a job that killed its worker."""


def run_jobs(run: Callable[[J], R], jobs: Sequence[J], workers: int, died: Callable[[J], R]) -> Iterator[R]:
    """The result of each job as it ends, in any order; with one worker in this process, in order.

    A worker that dies takes the pool with it. Only the jobs that were running are suspect; each of these runs
    again alone, and for the one that kills its worker again there is `died(job)`.

    Parameters
    ----------
    run : a function of a module, which processes can find; it should not raise on account of its job
    jobs : picklable
    workers : processes, of one thread each; 1 works in this one, with one thread of torch
    died : the result of a job that ends its process
    """
    if workers == 1:
        with one_thread_here():
            yield from map(run, jobs)
        return
    queue, suspects = deque(jobs), list[J]()
    with one_thread_each():
        while queue:
            pool = _pool(min(workers, len(queue)))
            running: dict[Future[R], J] = {}
            try:
                while queue or running:
                    while queue and len(running) < workers:
                        running[pool.submit(run, queue[0])] = queue[0]
                        queue.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        del running[future]
                        yield result
            except BrokenProcessPool:
                suspects += running.values()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        for job in suspects:
            with _pool(1) as alone:
                try:
                    result = alone.submit(run, job).result()
                except BrokenProcessPool:
                    result = died(job)
            yield result


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_the_parent)


def _end_with_the_parent() -> None:
    """In a worker: end when the parent does. One that is killed cannot say so, and its workers would stay."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("this is no worker process: it has no parent to end with")

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
