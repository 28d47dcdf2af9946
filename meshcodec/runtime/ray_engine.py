"""The jobs of `meshcodec.runtime.workers` on a Ray cluster, by actors that load the weights once.

Ray (extra ``ray``) brings the processes to the machines, and starts others where a machine is lost; the files
have to be where every machine sees them, in a shared folder or behind a URL.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from meshcodec.errors import UsageError
from meshcodec.runtime.threads import force_one_thread

J = TypeVar("J")
R = TypeVar("R")
ATTEMPTS = 3
"""Times that a job is started which each time loses its actor, be it the machine's fault or its own."""


def run_on_ray(
    run: Callable[[J], R], jobs: Sequence[J], workers: int | None, died: Callable[[J], R]
) -> Iterator[R]:
    """The result of each job as it ends, in any order.

    The cluster is that of ``RAY_ADDRESS``; without one, Ray is started on this machine.

    Parameters
    ----------
    run : a function of a module that the cluster's Python finds; it should not raise on account of its job
    jobs : picklable
    workers : actors, each with one CPU and, where the cluster has any, one GPU; None for as many as fit
    died : the result of a job that has lost its actor `ATTEMPTS` times

    Raises
    ------
    UsageError
        Ray is not installed, or its cluster cannot be reached or has no room for an actor.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        _check_address(os.environ.get("RAY_ADDRESS", ""))
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except Exception as error:  # Ray has no one class for it
            fault = f"no Ray cluster: {' '.join(str(error).split())}"
            raise UsageError(fault, "check RAY_ADDRESS, or unset it to start one here") from error
    try:
        yield from _spread(ray, run, jobs, workers, died)
    finally:
        if started:
            ray.shutdown()


def _spread(
    ray: Any, run: Callable[[J], R], jobs: Sequence[J], workers: int | None, died: Callable[[J], R]
) -> Iterator[R]:
    resources = ray.cluster_resources()
    unit = "GPU" if resources.get("GPU", 0) >= 1 else "CPU"
    fit = int(resources.get(unit, 0))
    if fit < 1:
        raise UsageError("the Ray cluster has no CPU to offer", "add one, or leave out --engine ray")
    needs = {"num_cpus": 1, "num_gpus": int(unit == "GPU")}
    actor = ray.remote(**needs)(_Worker)

    queue = deque((job, 1) for job in jobs)
    idle: list[Any] = []
    free = min(workers or fit, fit, len(queue))
    running: dict[Any, tuple[Any, J, int]] = {}
    while queue or running:
        while queue and (idle or free):
            if not idle:
                idle.append(actor.remote())
                free -= 1
            worker, (job, attempt) = idle.pop(), queue.popleft()
            running[worker.run.remote(run, job)] = (worker, job, attempt)
        (done,), _ = ray.wait(list(running), num_returns=1)
        worker, job, attempt = running.pop(done)
        try:
            result = ray.get(done)
        except ray.exceptions.RayActorError:  # the process or its machine is gone
            free += 1
            if attempt < ATTEMPTS:
                queue.append((job, attempt + 1))
            else:
                yield died(job)
        else:
            idle.append(worker)
            yield result


class _Worker:
    """A process of the cluster, with one thread. What `run` loads stays in it."""

    def __init__(self) -> None:
        force_one_thread()  # before `run` is there, and the libraries with it

    def run(self, run: Callable[[J], R], job: J) -> R:
        return run(job)


def _check_address(address: str) -> None:
    """Ray itself waits for minutes for a cluster that is not there."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        fault = f"no Ray cluster answers at {address} ({error})"
        raise UsageError(fault, "check RAY_ADDRESS, or unset it to start one here") from error


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        remedy = "install it (pip install 'meshcodec[ray]'), or leave out --engine ray"
        raise UsageError("--engine ray needs Ray, which is not installed", remedy) from None
    return ray
