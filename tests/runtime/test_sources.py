"""The hash of the sources that something is made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from meshcodec.runtime.sources import PACKAGE, code_hash, sources_of


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    made = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, made, ignore=shutil.ignore_patterns("__pycache__"))
    return made


def again(copy: Path, *modules: str) -> str:
    """The hash, not the one that was kept."""
    return code_hash.__wrapped__(*modules, package=copy)


@pytest.mark.slow
def test_the_same_sources_have_the_same_hash_wherever_they_lie(copy: Path) -> None:
    assert again(copy, "meshcodec.api") == code_hash("meshcodec.api")
    assert len(code_hash("meshcodec.api")) == 64


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "codec", "metric"),
    [
        ("modes/tokens/refine.py", True, False),
        ("kernels/fused.py", True, False),  # which is imported in a function
        ("surface/__init__.py", True, False),
        ("geometry/triangles.py", True, True),
        ("cli/options.py", False, False),
        ("evaluation/report/page.py", False, False),
    ],
)
def test_a_changed_source_changes_the_hash_of_what_imports_it(
    copy: Path, file: str, codec: bool, metric: bool
) -> None:
    with (copy / file).open("a") as source:
        source.write("# changed\n")
    assert (again(copy, "meshcodec.api") != code_hash("meshcodec.api")) == codec
    assert (again(copy, "meshcodec.metrics") != code_hash("meshcodec.metrics")) == metric


def test_what_only_type_checkers_import_does_not_count(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "a.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pack.b\n"
        "def f():\n    from pack import c\nimport pack.d.e as x, os\n"
    )
    for name in ("b.py", "c.py", "d/__init__.py", "d/e.py", "__init__.py"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("")
    found = [path.relative_to(package).as_posix() for path in sources_of("pack.a", package=package)]
    assert found == ["a.py", "c.py", "d/__init__.py", "d/e.py"]
    with pytest.raises(FileNotFoundError, match=r"no module pack\.nothing"):
        sources_of("pack.nothing", package=package)
    (package / "c.py").write_text("from . import b\n")
    with pytest.raises(ValueError, match="relative imports"):
        sources_of("pack.a", package=package)
