"""Many independent jobs in worker processes, one thread each, that survive the death of a worker."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from meshcodec.runtime.threads import one_thread_each, one_thread_here

J = TypeVar("J")
R = TypeVar("R")
DIED = "the worker process died (out of memory?)"
"""What a result says of a job that killed its worker."""


class _InWorker:
    """The work that a worker process was started for: a class, because processes share no local variables."""

    work: Callable[[Any], Any]


def in_forks(
    work: Callable[[J], R], jobs: Sequence[J], processes: int, begin: Callable[[], None] | None = None
) -> Iterator[R]:
    """``work(job)`` of each job by forked processes, in any order; with one process in this one, in order.

    Neither `work` nor the jobs need be picklable: a fork has them from its parent, and only numbers and
    results go to and fro. One process needs no fork: forks of a process with threads may wait for ever.

    Parameters
    ----------
    work : a function, or a closure over what all jobs share
    jobs : what it is given
    processes : forks at a time
    begin : called once in each fork
    """
    if processes == 1:
        yield from map(work, jobs)
        return

    def job(number: int) -> R:
        return work(jobs[number])

    with multiprocessing.get_context("fork").Pool(processes, _begin_with, (lambda: job, begin)) as pool:
        yield from pool.imap_unordered(_work, range(len(jobs)))


def in_spawned(
    make: Callable[[], Callable[[J], R]],
    jobs: Sequence[J],
    processes: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[R]:
    """What each job comes to, in order, by new processes, each of which makes what works once and keeps it.

    Parameters
    ----------
    make : returns what is called with each job; picklable, such as a `functools.partial`
    jobs : picklable, and so are their results
    processes : new ones; CUDA does not survive a fork
    begin : called once in each process, before `make`
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_with, (make, begin)) as pool:
        yield from pool.map(_work, jobs)


def _begin_with(make: Callable[[], Callable[[Any], Any]], begin: Callable[[], None] | None) -> None:
    if begin is not None:
        begin()
    _InWorker.work = staticmethod(make())


def _work(job: Any) -> Any:
    return _InWorker.work(job)


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
