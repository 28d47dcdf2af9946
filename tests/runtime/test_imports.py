"""Loading of modules."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshcodec.runtime.imports import load


def test_nothing_is_collected_while_modules_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import gc\nenabled = gc.isenabled()\nkept = [[number] for number in range(100_000)]\n"
    (tmp_path / "a_library_of_lists.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        seen.append(phase)

    gc.callbacks.append(note)
    try:
        load("a_library_of_lists")
    finally:
        gc.callbacks.remove(note)
    module = sys.modules.pop("a_library_of_lists")
    assert not module.enabled
    assert len(module.kept) == 100_000
    assert seen == []
    assert gc.isenabled()


def test_a_module_that_is_not_there_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load("no_such_library")
    assert gc.isenabled()


@pytest.fixture
def new_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that was not loaded before; of those that were nothing happens."""
    name = "a_module_that_nobody_has_loaded"
    (tmp_path / f"{name}.py").write_text("import gc\nenabled = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    del sys.modules[name]


def test_a_collector_that_is_off_stays_off(new_module: str) -> None:
    gc.disable()
    try:
        load(new_module)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_a_program_has_frozen_stays_frozen(new_module: str) -> None:
    gc.freeze()
    try:
        load(new_module)
        # Nothing would be left frozen; some of what is frozen may be gone, which no collector is needed for.
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
