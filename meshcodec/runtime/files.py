"""Folders behind URLs, such as ``s3://bucket/meshes``: fsspec's file systems through universal_pathlib.

On this machine's file system a path is an ordinary `pathlib.Path` and none of this is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar, cast

from meshcodec.errors import UsageError

AnyPath = TypeVar("AnyPath", bound=PurePath)
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""Names of the files that `write_atomic` renames when they are whole."""


def write_atomic(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file so that it is there whole or not at all.

    Raises UsageError: the file exists and ``overwrite`` is False, it is a folder, or it cannot be written.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "name a file")
        if path.exists() and not path.is_file():
            # /dev/null or a pipe: replacing it would remove the device.
            path.write_bytes(data)
            return
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists", "pass -f to overwrite")
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is not a folder", "create it or choose another output")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {foreign_message(error)}", "choose another output") from error

    # Made by hand because the tempfile module gives its files mode 0600, which os.replace would keep.
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(
                f"cannot write {path.name} in {path.parent}: {foreign_message(error)}",
                "choose another output folder",
            ) from error
        raise


def temporary_files(folder: Path) -> list[Path]:
    """What `write_atomic` has left below a folder of this machine where it was killed."""
    return sorted(path for path in folder.rglob(".*.tmp") if _TEMPORARY.fullmatch(path.name))


def foreign_message(error: BaseException) -> str:
    """The message of a foreign exception, on one line and without the path that ours starts with."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:160] or type(error).__name__


def open_folder(name: str) -> Path:
    """The folder of a name: a path, or a URL of any file system that fsspec knows.

    What a URL gives has the methods of a `Path`, but is none.

    Raises
    ------
    UsageError
        A URL, and what is needed for it is not installed or does not know it.
    """
    if "://" not in name:
        return Path(name)
    try:
        import fsspec
        from upath import UPath
    except ImportError:
        remedy = "install it (pip install 'meshcodec[ray]'), or use a folder of this machine"
        raise UsageError(f"{name}: URLs need universal_pathlib, which is not installed", remedy) from None
    try:
        fsspec.get_filesystem_class(name.partition("://")[0])  # UPath takes what it does not know for a path
        folder = UPath(name)
        folder.fs  # noqa: B018 - connects, and tells what is missing
    except (ImportError, ValueError, OSError) as error:
        fault = " ".join(str(error).split())
        raise UsageError(f"{name}: {fault}", "install what it needs, or check the URL") from error
    return cast("Path", folder)


def is_local(path: Path) -> bool:
    """Whether a path of `open_folder` is one of this machine's file system."""
    return isinstance(path, Path)


def files_below(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """All files below a folder, in a fixed order: those of a folder before those of its subfolders, by name.

    Links to folders are not followed: they may go in circles. Links to files are files, broken ones included,
    so that whoever opens them says what is wrong.

    Parameters
    ----------
    folder : as `open_folder` gives it
    without : a folder of this machine that is passed over where it lies inside
    """
    if is_local(folder):
        left_out = without.resolve() if without is not None else None
        for top, folders, names in os.walk(folder):
            folders.sort()
            if left_out is not None:
                folders[:] = [name for name in folders if (Path(top) / name).resolve() != left_out]
            yield from (Path(top) / name for name in sorted(names))
    else:
        found = [path for path in folder.rglob("*") if path.is_file()]
        yield from sorted(found, key=lambda path: path.as_posix())


def linked_folders(folder: Path) -> list[str]:
    """Names, below a folder of this machine, of the links to folders that `files_below` does not follow."""
    return sorted(
        (Path(top) / name).relative_to(folder).as_posix()
        for top, folders, _ in os.walk(folder)
        for name in folders
        if not name.startswith(".") and (Path(top) / name).is_symlink()
    )


def is_of_kind(folder: Path, path: Path, suffixes: Iterable[str]) -> bool:
    """Whether a file below a folder is one of those that `find_files` gives."""
    hidden = any(part.startswith(".") for part in name_below(folder, path).parts)
    return not hidden and ending_of(path) in suffixes


def ending_of(path: PurePath) -> str:
    """The extension of a file, in lower case and without its dot; of ``a.obj.gz`` it is ``obj.gz``."""
    extensions = PurePath(path.name.lower()).suffixes
    return "".join(extensions[-2 if extensions[-1] == ".gz" else -1 :])[1:] if extensions else ""


def with_ending(path: AnyPath, ending: str) -> AnyPath:
    """The path with another extension, in place of all that `ending_of` names."""
    old = ending_of(path)
    stem = path.name[: -len(old) - 1] if old else path.name
    return path.with_name(f"{stem}.{ending}")


def find_files(folder: Path, suffixes: Iterable[str], without: Path | None = None) -> list[Path]:
    """The files of some kinds at any depth of a folder: the one search of every part of the project.

    Hidden files, and files in hidden folders, are passed over: their names, or one of their folders' names
    below `folder`, begin with a dot. For links see `files_below`.

    Parameters
    ----------
    folder : as `open_folder` gives it
    suffixes : what `ending_of` says of their names
    without : a folder of this machine that is passed over where it lies inside

    Returns
    -------
    list of Path
        Sorted by the parts of their paths; empty where there is none, or no such folder.
    """
    wanted = frozenset(suffixes)
    found = [path for path in files_below(folder, without) if is_of_kind(folder, path, wanted)]
    return sorted(found, key=lambda path: name_below(folder, path).parts)


def name_below(folder: Path, path: Path) -> PurePath:
    """The path of a file of `files_below` without that of its folder."""
    if is_local(path):
        return path.relative_to(folder)
    return PurePosixPath(path.as_posix().removeprefix(folder.as_posix().rstrip("/") + "/"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, over an old one, so that it is there whole or not at all; object stores do so by nature.

    Raises UsageError: it cannot be written.
    """
    if is_local(path):
        write_atomic(path, data, overwrite=True)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}", "choose another output folder") from error
