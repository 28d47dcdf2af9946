"""What the Python files of the repository import, name and contain, read with `ast`: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from support.paths import ROOT

PACKAGE = "meshcodec"
FOLDERS = (PACKAGE, "tests", "benchmarks", "fuzz", "integrations", "web")
"""Where the repository has Python files. A folder that is not there has none."""


@dataclass(frozen=True)
class Import:
    """One module, or one name of it, that a file imports."""

    module: str
    """Dotted name: ``a.b`` for ``from a import b`` where that is a module of the package, else ``a``."""
    name: str | None
    """Name taken from the module, None where the module itself is imported."""
    line: int
    at_top: bool
    """Whether it is executed when the file is imported: neither in a function nor for type checkers alone."""
    typing_only: bool
    """Whether it stands below ``if TYPE_CHECKING``."""


class Source:
    """A Python file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        self.tree = ast.parse(self.text)

    @property
    def place(self) -> str:
        """Path within the repository, with slashes."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """Dotted name: of ``meshcodec/cli/__init__.py`` it is ``meshcodec.cli``."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        """Dotted name of the folder."""
        return ".".join(self.path.relative_to(ROOT).parts[:-1])

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(self._imports(self.tree, at_top=True, typing_only=False))

    def _imports(self, node: ast.AST, at_top: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                for module, name in self._named(child):
                    yield Import(module, name, child.lineno, at_top, typing_only)
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                yield from self._imports(child, False, typing_only)
            elif isinstance(child, ast.If) and _is_type_checking(child.test):
                for part in child.body:
                    yield from self._imports(ast.Module([part], []), False, True)
                for part in child.orelse:
                    yield from self._imports(ast.Module([part], []), at_top, typing_only)
            else:
                yield from self._imports(child, at_top, typing_only)

    def _named(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str | None]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
            return
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield (inner, None) if inner in module_names() else (base, alias.name)


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


@lru_cache(1)
def sources() -> dict[str, Source]:
    """All Python files of the repository by their paths in it."""
    files = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return {source.place: source for source in map(Source, files)}


@lru_cache(1)
def module_names() -> frozenset[str]:
    """Dotted names of the modules of the package."""
    files = (ROOT / PACKAGE).rglob("*.py")
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)
    return frozenset(name.removesuffix(".__init__") for name in names)


def package_sources() -> dict[str, Source]:
    """Modules of the package by their dotted names."""
    return {source.module: source for source in sources().values() if source.place.startswith(PACKAGE + "/")}


def parents(module: str) -> list[str]:
    """``a.b.c`` is preceded by ``a`` and ``a.b``: their files are executed first."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def loaded_by(module: str) -> dict[str, str]:
    """All that is loaded when ``module`` is imported, and by which module of the package."""
    package, found, waiting = package_sources(), {module: module}, [module]
    while waiting:
        source = package.get(waiting.pop())
        if source is None:
            continue
        for one in source.imports:
            if one.at_top:
                for name in [*parents(one.module), one.module]:
                    if name not in found:
                        found[name] = source.module
                        waiting.append(name)
    return found
