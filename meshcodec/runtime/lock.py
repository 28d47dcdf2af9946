"""A lock on a folder that several processes write into, by a file that the operating system locks."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from meshcodec.errors import UsageError
from meshcodec.runtime.files import foreign_message

_SECONDS = 0.2
"""Seconds between two looks at a lock that another process holds."""
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What the system says of a file that another process has locked."""


@contextmanager
def locked(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold a lock inside; where another process or thread holds it, wait until that is done with it.

    The lock goes with its process, however that ends. Where the file system has no locks, a warning says so
    and nothing is held.

    Parameters
    ----------
    path : the lock's file, in a folder that exists; it is made, and removed at the end where the system lets
        open files be removed
    busy : called once before waiting

    Raises
    ------
    UsageError
        The file cannot be made.
    """
    handle = _acquire(path, busy)
    try:
        yield
    finally:
        if os.name != "nt":
            with contextlib.suppress(FileNotFoundError):
                path.unlink()  # while it is held: whoever waits sees that it is gone, and makes another
        os.close(handle)


def _acquire(path: Path, busy: Callable[[], None]) -> int:
    """The open file of a lock that is held."""
    told = False
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            fault = f"{path}: cannot be written ({foreign_message(error)})"
            raise UsageError(fault, "choose another output folder") from error
        try:
            while not _lock(handle):
                if not told:
                    busy()
                    told = True
                time.sleep(_SECONDS)
            if _is_at(handle, path):
                return handle
        except OSError as error:
            fault = f"{path.parent}: its file system has no locks ({foreign_message(error)})"
            warnings.warn(f"{fault}: let no two runs write there at a time", RuntimeWarning, stacklevel=4)
            return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # who held it has removed the file


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int) -> bool:
    """Lock an open file, unless another process has it. Raises OSError where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True
