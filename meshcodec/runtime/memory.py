"""A bound on the memory of this process, which the operating system enforces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshcodec.errors import MemoryLimitError, UsageError

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]


LEAST_MEMORY = 512 << 20
"""Bytes that the libraries and the weights take before there is any mesh."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_share(processes: int = 1) -> int | None:
    """Bytes for each of so many processes; None where the system cannot bound them.

    They share the memory of the machine or, where that is less, of the container that they run in.
    """
    if resource is None:
        return None
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _CGROUP_LIMITS:
        path = Path(name)
        text = path.read_text().strip() if path.is_file() else "max"
        if text.isdigit():
            limits.append(int(text))
    return max(min(limits) // processes, LEAST_MEMORY)


@contextmanager
def bounded_memory(limit: int | None) -> Iterator[None]:
    """Inside, an allocation fails that takes the data of this process beyond `limit` bytes.

    Linux enforces it (RLIMIT_DATA); macOS takes the bound and does not keep it. It is not about the memory of
    a GPU.

    Parameters
    ----------
    limit : bytes, from `LEAST_MEMORY` up; None for no other bound than there is

    Raises
    ------
    MemoryLimitError
        An allocation failed, because of this limit or of another.
    UsageError
        A limit is given and this system has none.
    """
    if resource is None:
        if limit is not None:
            raise UsageError("this system cannot bound the memory of a process", "leave out --max-memory")
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [bound for bound in (limit, soft, hard) if bound not in (None, resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds, default=soft), hard))
    try:
        yield
    except Exception as error:
        if not _is_about_memory(error):
            raise
        fault = f"it takes more than {limit >> 20} MB of memory" if limit else "there is not enough memory"
        remedy = "simplify the mesh or lower the resolution, or allow more with --max-memory"
        raise MemoryLimitError(fault, remedy) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _is_about_memory(error: Exception) -> bool:
    """Whether an allocation failed; PyTorch's on the CPU have no class of their own."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )
