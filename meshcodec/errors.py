"""The project's errors: one tree, each with an exit code and a one-line message that ends in a remedy.

Exit codes: 0 done; 2 usage; 3 some files of a batch failed or a target was not met; 4 bad input or corrupt
file, or one that takes more memory than it may; 5 weights missing or not the ones the file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STDIN = "<stdin>"


@contextmanager
def error_context(source: str) -> Iterator[None]:
    """Put the file's name in front of errors that lack it.

    Damaged weights are another file's fault, and their errors stay as they are.
    """
    try:
        yield
    except MeshcodecError as error:
        shown = quote_name(source)
        elsewhere = isinstance(error, WeightsError) and not isinstance(error, UnknownModelError)
        if elsewhere or str(error).startswith(f"{shown}:"):
            raise
        raise error.about(shown) from error


def quote_name(name: str | Path) -> str:
    """A file's name on one line, as `load_mesh` writes it in its messages."""
    return STDIN if str(name) == "-" else repr(str(name))[1:-1]


class MeshcodecError(Exception):
    """Base of every error that the project raises on purpose.

    ``str(error)`` is one line: what is wrong, then what to do. The command line exits with ``exit_code``.
    """

    exit_code = 1

    def __init__(self, fault: str, remedy: str = "") -> None:
        super().__init__(f"{fault}; {remedy}" if remedy else fault)
        self.fault = fault
        self.remedy = remedy

    def about(self, name: object) -> MeshcodecError:
        """The same error with the file's name in front, for callers that know it."""
        return type(self)(f"{name}: {self.fault}", self.remedy)


class UsageError(MeshcodecError):
    """Options that contradict each other, an output that exists, a folder that cannot be written."""

    exit_code = 2


class PartialFailureError(MeshcodecError):
    """Some files of a batch failed, or a quality target was not met."""

    exit_code = 3


class BadMeshError(MeshcodecError):
    """An input mesh that holds no surface to encode: unreadable, empty, a point cloud, NaN, zero extent."""

    exit_code = 4


class DoesNotFitError(BadMeshError):
    """A mesh of which even the coarsest that can be made of it takes more bytes than there are.

    Attributes
    ----------
    least : bytes of payload that would do
    """

    def __init__(self, fault: str, remedy: str = "", least: int = 0) -> None:
        super().__init__(fault, remedy)
        self.least = least

    def about(self, name: object) -> DoesNotFitError:
        """The same error with the file's name in front."""
        return DoesNotFitError(f"{name}: {self.fault}", self.remedy, self.least)


class MemoryLimitError(MeshcodecError):
    """An input that takes more memory than it may."""

    exit_code = 4


class CorruptFileError(MeshcodecError):
    """Bytes that are not a whole ``.vat`` file of a known format version."""

    exit_code = 4


class WeightsError(MeshcodecError):
    """Weights that are missing, damaged, or not the ones that a file names."""

    exit_code = 5


class UnknownModelError(WeightsError):
    """A file that names a model which is not installed."""


class MeshWarning(UserWarning):
    """What a user should know about a mesh that was read or written all the same: one line."""


class OutlierWarning(MeshWarning):
    """An input mesh that is coded coarsely, because a few far faces own its bounding box."""


def one_line(error: BaseException) -> str:
    """An error as a row of a table can hold it: its message, with the class where it is none of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MeshcodecError) else f"{type(error).__name__}: {text}".rstrip(": ")
