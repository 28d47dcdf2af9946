"""A hash of the sources that something is made of: what was computed with other ones is computed again."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
"""Folder of the package that this file belongs to."""


@functools.cache
def code_hash(*modules: str, package: Path = PACKAGE) -> str:
    """SHA-256, in hex, of the sources of modules and of all that they import from the same package.

    Computed once in a process for the same arguments; about half a second for a codec.

    Parameters
    ----------
    modules : names with dots, the package's own first: ``meshcodec.api``
    package : folder of the package; its name is the first part of every module's

    Raises
    ------
    FileNotFoundError
        There is no source of one of the `modules`.
    ValueError
        A source has a relative import.
    """
    digest = hashlib.sha256()
    for path in sources_of(*modules, package=package):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def sources_of(*modules: str, package: Path = PACKAGE) -> list[Path]:
    """The source files that `code_hash` hashes, sorted.

    Imports count wherever they stand, at the top or in a function, but not where only type checkers look. The
    ``__init__.py`` of a folder counts with every module in it; that of the package itself where it is named.
    """
    found: set[Path] = set()
    left = []
    for name in modules:
        path = _file_of(name, package)
        if path is None:
            raise FileNotFoundError(f"{package}: there is no module {name}")
        left.append(path)
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        above = (folder / "__init__.py" for folder in path.parents if package in folder.parents)
        left += [init for init in above if init.is_file()]
        for name in _imported(ast.parse(path.read_bytes()), package.name):
            module = _file_of(name, package)
            if module is not None:
                left.append(module)
    return sorted(found)


def _file_of(name: str, package: Path) -> Path | None:
    """The source of a module; None where the name is none, such as that of a class in one."""
    first, *parts = name.split(".")
    if first != package.name:
        return None
    place = package.joinpath(*parts)
    files = (place / "__init__.py", place.with_suffix(".py")) if parts else (place / "__init__.py",)
    return next((file for file in files if file.is_file()), None)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Names that an import brings in, those of modules and of what is in them alike."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"line {node.lineno}: relative imports are not followed")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            if node.module != package:
                yield node.module
        else:
            yield from _imported(node, package)
