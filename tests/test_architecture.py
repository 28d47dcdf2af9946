"""House rules: imports point down, the light stays light, private names stay at home, nothing grows too long.

The files are parsed, not imported, so that an import inside a function counts like one at the top.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from support.source import (
    PACKAGE,
    Import,
    Source,
    loaded_by,
    module_names,
    package_sources,
    sources,
)

LAYERS = (
    ("cli", "demo", "__main__"),
    ("batch", "evaluation", "train"),
    ("api", "session", "target", "tokens", "diagnose", "trimesh_plugin", "prior.generate"),
    ("modes",),
    ("prior", "engine"),
    ("weights", "registry"),
    ("surface", "model", "kernels", "metrics", "pictures"),
    ("geometry",),
    ("format",),
    ("config", "errors"),
)
"""Packages and modules of meshcodec, the highest first. One may import its own layer and those below.

A module that stands here with its package's name lies higher than its package: a codec decodes new shapes.
"""
BESIDE = "runtime"
"""The machine (threads, files, devices): everything may import it."""
BELOW_RUNTIME = {"runtime", "config", "errors", "format"}
ROOT_IMPORTS = {"api", "errors"}
"""What ``meshcodec/__init__.py`` hands on, `api` when it is first used."""
NUMPY_IN_FORMAT = {
    "meshcodec.format.token_coder",
    "meshcodec.format.grid_copies",
    "meshcodec.format.grid_mesh",
    "meshcodec.format.mesh_coder",
    "meshcodec.format.mesh_conquest",
    "meshcodec.format.mesh_copies",
    "meshcodec.format.mesh_context",
    "meshcodec.format.mesh_network",
    "meshcodec.format.mesh_parts",
    "meshcodec.format.mesh_place",
    "meshcodec.format.mesh_script",
    "meshcodec.format.mesh_seeds",
    "meshcodec.format.mesh_teller",
}
"""Arrays of integers; a file of raw tokens is read and written without numpy."""
HEAVY = {"torch", "numpy", "trimesh", "scipy"}
"""Hundreds of milliseconds each: ``meshcodec --help`` must answer before they are loaded."""

LONGEST_FILE = 500
LONGEST_CLASS = 250
LONGEST_FUNCTION = 60
LONG_FILES = {
    "meshcodec/train/shapes/procedural.py": "one topic: 40 independent makers of shapes, each of a few lines",
}
LONG_FUNCTIONS: dict[str, str] = {}
"""``path::function`` and the reason why it is not cut up."""

HERE = "tests/test_architecture.py"
"""This file, which has examples of what is looked for."""
FOREIGN_PRIVATE = {
    "_foreach_lerp_": "torch has no public name for it",
    "_mesh_exporters": "trimesh has no other list in which to enter a format",
    "_replace": "public in spite of its name: namedtuple",
    "_asdict": "public in spite of its name: namedtuple",
    "_exit": "public in spite of its name: os._exit",
}


# ---- layers


def component(module: str) -> str:
    """``meshcodec.cli.group`` belongs to ``cli``, ``meshcodec`` itself to ``""``."""
    place = module.removeprefix(PACKAGE).removeprefix(".")
    alone = {name for layer in LAYERS for name in layer if "." in name}
    return place if place in alone else place.split(".")[0]


def height(name: str) -> int:
    """Number of the layer from the top."""
    (number,) = (number for number, layer in enumerate(LAYERS) if name in layer)
    return number


def inner_imports(source: Source) -> Iterator[Import]:
    """Imports of the package's own modules, those in functions as well, those for type checkers alone not."""
    for one in source.imports:
        named = one.module.split(".")[0] == PACKAGE and (one.module, one.name) != (PACKAGE, "__version__")
        if named and not one.typing_only:
            yield one


def may_import(importer: str, imported: str) -> bool:
    if imported in (importer, BESIDE):
        return True
    if importer == "":
        return imported in ROOT_IMPORTS
    if importer == BESIDE:
        return imported in BELOW_RUNTIME
    return imported != "" and height(importer) <= height(imported)


def test_every_module_has_a_layer() -> None:
    known = {name for layer in LAYERS for name in layer} | {BESIDE, ""}
    assert {component(module) for module in module_names()} == known
    assert len(known) == sum(len(layer) for layer in LAYERS) + 2  # none stands twice


@pytest.mark.slow
def test_imports_point_down() -> None:
    faults = [
        f"{source.place}:{one.line} imports {one.module}"
        for source in package_sources().values()
        for one in inner_imports(source)
        if not may_import(component(source.module), component(one.module))
    ]
    assert faults == []


@pytest.mark.slow
def test_imports_make_no_circle() -> None:
    """Modules of one layer may use each other, in one direction."""
    left = {
        module: {one.module for one in inner_imports(source)} - {module, PACKAGE}
        for module, source in package_sources().items()
        if module != PACKAGE
    }
    while free := {module for module, wanted in left.items() if not wanted & left.keys()}:
        left = {module: wanted for module, wanted in left.items() if module not in free}
    # What is left lies on a circle or above one.
    assert {module: sorted(wanted & left.keys()) for module, wanted in left.items()} == {}


# ---- what is light


def everything_below(module: str) -> Iterator[tuple[str, Import]]:
    """Each import of the module and of those of the package that it imports, with its module's name."""
    package, seen, waiting = package_sources(), {module}, [module]
    while waiting:
        name = waiting.pop()
        for one in package[name].imports:
            yield name, one
            if one.module in package and one.module not in seen:
                seen.add(one.module)
                waiting.append(one.module)


@pytest.mark.parametrize("module", sorted(name for name in module_names() if component(name) == "format"))
def test_the_format_needs_no_torch(module: str) -> None:
    """Not even for types: every other language has to do the same as these files."""
    for name, one in everything_below(module):
        outer = one.module.split(".")[0]
        assert outer not in HEAVY - {"numpy"}, f"{name}:{one.line}"
        assert outer != "numpy" or name in NUMPY_IN_FORMAT, f"{name}:{one.line}"


def test_the_command_line_starts_light() -> None:
    for module in sorted(name for name in module_names() if component(name) in ("cli", "__main__")):
        loaded = loaded_by(module)
        heavy = {name: loaded[name] for name in HEAVY if name in loaded}
        assert heavy == {}, f"{module} loads these by way of these modules"


@pytest.mark.slow
def test_nothing_in_python_needs_the_browser_decoder() -> None:
    faults = [
        f"{source.place}:{one.line}"
        for source in sources().values()
        for one in source.imports
        if "web" in one.module.split(".")[:2] and not source.place.startswith("web/")
    ]
    assert faults == []


# ---- private names


PRIVATE = re.compile(r"_[A-Za-z0-9]\w*")
PATH_TO_PRIVATE = re.compile(rf"{PACKAGE}(\.\w+)*\.{PRIVATE.pattern}")
BY_NAME = ("getattr", "setattr", "delattr", "hasattr", "object")
"""Calls whose second argument names an attribute of the first (``patch.object`` is of `unittest.mock`)."""


def own_names(tree: ast.AST) -> set[str]:
    """Private attributes that a file defines: methods, fields, slots and what is set on ``self``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(part.name)
                elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    found.add(part.id)
                elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    found.add(part.attr)
                elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                    found.add(part.value)  # __slots__
    return found


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Strings of a file and their lines; the values in an f-string are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "0".join(str(p.value) for p in node.values if isinstance(p, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def scripts(tree: ast.AST) -> Iterator[tuple[int, ast.Module]]:
    """Programs among the strings, which tests run in processes of their own."""
    for line, text in strings(tree):
        if PACKAGE in text and "import" in text and "\n" in text:
            try:
                yield line, ast.parse(text)
            except SyntaxError:  # a text
                continue


def foreign_private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Private names that a file uses and another has made, with their lines."""
    own = own_names(tree) | FOREIGN_PRIVATE.keys()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, a.name) for a in node.names if PRIVATE.fullmatch(a.name))
        elif isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr) and node.attr not in own:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call):
            named = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if named in BY_NAME and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                name = node.args[1].value
                if isinstance(name, str) and PRIVATE.fullmatch(name) and name not in own:
                    yield node.lineno, name
    yield from ((line, text) for line, text in strings(tree) if PATH_TO_PRIVATE.fullmatch(text))
    for line, script in scripts(tree):
        yield from ((line, name) for _, name in foreign_private_names(script))


@pytest.mark.slow
def test_private_names_are_used_where_they_are_defined() -> None:
    faults = [
        f"{source.place}:{line} {name}"
        for source in sources().values()
        if source.place != HERE
        for line, name in foreign_private_names(source.tree)
    ]
    assert faults == []


def test_the_search_for_private_names_finds_them() -> None:
    text = """
from a import _first
codec._second()
setattr(codec, "_third", 3)
monkeypatch.setattr("meshcodec.api._fourth", 4)
SCRIPT = '''
import meshcodec.api
meshcodec.api._fifth
'''
class Own:
    def __init__(self):
        self._sixth = super()._seventh
    def other(self, other):
        return other._sixth
"""
    names = [name for _, name in foreign_private_names(ast.parse(text))]
    assert sorted(names) == ["_fifth", "_first", "_second", "_seventh", "_third", "meshcodec.api._fourth"]


# ---- sizes


def length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``class`` or ``def`` to the end; decorators are not counted."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_no_file_is_too_long() -> None:
    long = {source.place for source in sources().values() if source.text.count("\n") > LONGEST_FILE}
    assert long == LONG_FILES.keys()


@pytest.mark.slow
def test_no_class_is_too_long() -> None:
    faults = [
        f"{source.place}::{node.name} has {length(node)} lines"
        for source in sources().values()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and length(node) > LONGEST_CLASS
    ]
    assert faults == []


@pytest.mark.slow
def test_no_function_is_too_long() -> None:
    long = {
        f"{source.place}::{node.name}"
        for source in sources().values()
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length(node) > LONGEST_FUNCTION
    }
    assert long == LONG_FUNCTIONS.keys()


def test_an_exception_from_the_limit_of_complexity_has_its_reason() -> None:
    """Ruff's C901 holds functions to 12 branches, and an exception has to be marked at its line."""
    for source in sources().values():
        for number, line in enumerate(source.text.splitlines(), start=1):
            if "noqa: C901" in line and source.place != HERE:
                assert re.search(r"noqa: C901 +- \w+", line), f"{source.place}:{number}"
