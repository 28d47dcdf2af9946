"""README and docs say what is so: links lead somewhere, code runs, commands exist, pages are current.

The format page holds a decoder in Python that knows nothing of the package; here it reads golden files beside
the package and must find the same tokens, planes and distances.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
import safetensors.numpy
import torch
from click.testing import CliRunner
from test_architecture import LAYERS

from meshcodec import Codec
from meshcodec.cli import cli
from meshcodec.format.container import VatFile

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
GOLDEN = ROOT / "tests" / "golden"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "weights" / "MODEL_CARD.md",
    *sorted(DOCS.rglob("*.md")),
]
LINES, COLUMNS = 200, 100
"""Largest length and width of the README."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """The code blocks of a page that are marked as one of the languages; ``""`` is no mark."""
    return [code for language, code in FENCE.findall(page.read_text()) if language in languages]


# ---- README and links


def test_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text())
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    broken = []
    for link in links:
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_repository_that_a_page_names_exist(page: Path) -> None:
    folders = "meshcodec|tests|benchmarks|docs|weights|examples|integrations|fuzz"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", FENCE.sub("", page.read_text()))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    reached, rest = set[Path](), [README]
    while rest:
        page = rest.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
            if not re.match(r"\w+:", link):
                rest.append((page.parent / link).resolve())
    assert {name_of(page) for page in PAGES} - {name_of(page) for page in reached} == set()


# ---- commands


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every call of meshcodec in the unmarked blocks of a page."""
    for code in blocks(page, "", "sh", "bash", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            words: list[str] = []
            for word in [*shlex.split(line, comments=True), "|"]:
                if word in ("|", "&&", ";", ">", "2>", "<"):
                    if words[:1] == ["meshcodec"]:
                        yield words[1:]
                    words = []
                else:
                    words.append(word)


def check(words: list[str], group: click.Group = cli, parent: click.Context | None = None) -> None:
    """Parse a command as click would, without running it. Raises click.UsageError."""
    context = click.Context(group, info_name="meshcodec", parent=parent)
    name, command, rest = group.resolve_command(context, words)
    assert command is not None
    if isinstance(command, click.Group):
        check(rest, command, context)
    elif "--help" not in rest:
        command.make_context(name, [re.sub(r"^\w+://", "", word) for word in rest], parent=context)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_their_options(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # `-j 1` sets variables
    for words in commands(page):
        try:
            check(words)
        except click.ClickException as error:
            pytest.fail(f"meshcodec {shlex.join(words)}: {error.format_message()}")


def test_a_command_that_does_not_exist_is_found() -> None:
    for words in (["encode", "a.obj", "--no-such"], ["no-such-verb"], ["encode", "a.obj", "--size", "x"]):
        with pytest.raises(click.UsageError):
            check(words)
    assert sum(1 for _ in commands(README)) > 10


@pytest.mark.slow
def test_quick_start_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = README.read_text().split("## Quick start")[1].split("\n## ")[0]
    code = FENCE.findall(section)[0][1]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    printed = ""
    for line in code.splitlines():
        program, *words = shlex.split(line)
        assert program == "meshcodec"
        quick = {"encode": ["--effort", "0"], "decode": ["--resolution", "64"]}
        result = CliRunner().invoke(cli, [*words, *quick.get(words[0], [])])
        assert result.exit_code == 0, f"{line}: {result.output}"
        printed += result.output
    assert Path("spot.vat").stat().st_size <= 512
    assert Path("spot-decoded.obj").stat().st_size > 0
    assert "F@0.02" in printed


def load(path: Path) -> ModuleType:
    """A Python file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_line_page_is_what_the_program_says() -> None:
    generator = load(DOCS / "generate_cli.py")
    assert (DOCS / "cli.md").read_text() == generator.page(cli), "run python docs/generate_cli.py"


# ---- Python


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("page", [README, DOCS / "python.md"], ids=name_of)
def test_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for number, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{name_of(page)}, block {number}", "exec"), names)
    assert "mesh" in names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_a_page_compiles(page: Path) -> None:
    for number, code in enumerate(blocks(page, "python")):
        ast.parse(code, f"{name_of(page)}, block {number}")


# ---- the format page is a decoder


@pytest.fixture(scope="module")
def decoder() -> Iterator[ModuleType]:
    """The Python of the format page as a module."""
    module = ModuleType("format_page")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    for code in blocks(DOCS / "format.md", "python"):
        exec(compile(code, "docs/format.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("cpu")


def golden(pattern: str) -> Path:
    """A golden file of the shipped model."""
    return next(GOLDEN.glob(f"v[12]/{pattern}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        "spot-*-512.vat",
        "car-*-512-coded.vat",
        "spot-*-128.vat",
        pytest.param("church-*-1k-coded.vat", marks=pytest.mark.slow),
        pytest.param("sail_ship-*-2k-coded.vat", marks=pytest.mark.slow),
    ],
)
def test_format_page_finds_the_tokens(decoder: ModuleType, codec: Codec, pattern: str) -> None:
    data = golden(pattern).read_bytes()
    tokens = decoder.read_tokens(data, ROOT / "weights")
    assert tokens == codec.tokens(data).tobytes()


def test_format_page_finds_the_placement_of_a_short_header(decoder: ModuleType) -> None:
    data = golden("placed-*-512.vat").read_bytes()
    file, ours = decoder.read_container(data), VatFile.from_bytes(data)
    assert (file.model_id, file.token_count) == (ours.model_id.hex(), ours.count)
    assert (tuple(file.center), tuple(file.half_extents)) == (ours.center, ours.half_extents)
    assert (tuple(file.mirrored), file.iso_offset) == (ours.mirrored, ours.iso_offset)
    assert file.iso_offset == -3


def test_format_page_refuses_a_changed_message(decoder: ModuleType) -> None:
    """A message of other tokens is read; one that no encoder writes is not."""
    data = golden("spot-*-512-coded.vat").read_bytes()
    file = decoder.read_container(data)
    entry = json.loads((ROOT / "weights" / "registry.json").read_text())["models"][file.model_id]
    model = decoder.EntropyModel(ROOT / "weights" / entry["coder"]["file"])
    sides = entry["config"]["scale_sides"]
    with pytest.raises(ValueError, match="damaged tokens"):
        decoder.decode_entropy_coded(file.payload + b"\0", 171, sides, model)


@pytest.mark.parametrize("path", sorted((GOLDEN / "bad").glob("*.vat")), ids=lambda path: path.stem)
def test_format_page_refuses_what_the_package_refuses(decoder: ModuleType, path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which reason, the page leaves open
        decoder.read_tokens(path.read_bytes(), ROOT / "weights")


@pytest.mark.slow
def test_format_page_finds_planes_distances_and_places(decoder: ModuleType, codec: Codec) -> None:
    data = golden("car-*-512-coded.vat").read_bytes()
    file, tokens = decoder.read_container(data), codec.tokens(data)
    entry = json.loads((ROOT / "weights" / "registry.json").read_text())["models"][file.model_id]
    stored = safetensors.numpy.load_file(ROOT / "weights" / entry["file"])
    weights = {name: array.astype(np.float32) for name, array in stored.items()}
    planes = decoder.planes_of(weights, entry["config"], tokens.tobytes())
    with torch.no_grad():
        wanted = codec.model.planes(torch.from_numpy(tokens.copy())[None])[0].numpy()
    assert np.abs(planes - wanted).max() < 1e-5 * np.abs(wanted).max()

    # Vertices of a decode lie, up to the interpolation of its grid, where the distance is the iso offset.
    mesh = codec.decode(data, 128)
    assert file.mirrored == [True, False, False]
    assert file.iso_offset != 0
    corners = [decoder.to_mesh_frame(file, [sign] * 3) for sign in (-decoder.EXTENT, 1.0)]
    low, high = np.array(corners)
    unit = decoder.EXTENT + 1.0
    vertices = mesh.vertices[mesh.vertices[:, 0] > low[0]]
    points = -decoder.EXTENT + (vertices - low) / (high - low) * unit
    distances = decoder.distances_at(weights, entry["config"], planes, points.astype(np.float32))
    off = np.abs(distances - file.iso_offset * decoder.ISO_OFFSET_UNIT)
    assert np.median(off) < 5e-4
    assert np.median(np.abs(distances)) > 2e-3


# ---- architecture and glossary


def test_architecture_names_every_module_once() -> None:
    named = re.findall(r"^\| `([\w/]+\.py)` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    package = ROOT / "meshcodec"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    modules = {name for name in modules if not name.endswith(("__init__.py", "__main__.py"))}
    assert sorted(named) == sorted(modules)


def test_architecture_has_the_layers_that_are_checked() -> None:
    section = (DOCS / "architecture.md").read_text().split("## Layers")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*`) \|", section, re.MULTILINE)
    assert [set(re.findall(r"`([\w.]+)/?`", cell)) for cell in cells] == [
        set(layer) - {"__main__"} for layer in LAYERS
    ]


def glossary_rows() -> list[list[str]]:
    """The cells of each row of the glossary's tables: term, meaning, shape, where in the code."""
    lines = re.findall(r"^\| (.*) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in rows if row[0] not in ("term", "---")]


def test_glossary_has_a_line_for_each_term() -> None:
    rows = glossary_rows()
    assert {len(row) for row in rows} == {4}
    terms = [row[0] for row in rows]
    assert sorted(set(terms)) == sorted(terms)
    assert [term for term, meaning, *_ in rows if not meaning] == []


def top_level_names(path: Path) -> set[str]:
    """The names that a Python file defines or brings in outside of functions and classes."""
    names = set[str]()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            targets = [t.elts if isinstance(t, ast.Tuple) else [t] for t in node.targets]
            names |= {one.id for some in targets for one in some if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@pytest.mark.slow
def test_glossary_says_where_the_code_defines_a_term() -> None:
    faults = []
    for term, _, _, place in glossary_rows():
        defined: set[str] | None = None
        for name in re.findall(r"`([^`]+)`", place):
            if name.endswith(".py"):
                path = ROOT / "meshcodec" / name
                defined = top_level_names(path) if path.exists() else None
                faults += [] if path.exists() else [f"{term}: {name}"]
            elif "/" in name:
                faults += [] if (ROOT / name).exists() else [f"{term}: {name}"]
            elif defined is not None and name not in defined:
                faults.append(f"{term}: {name}")
    assert faults == []
