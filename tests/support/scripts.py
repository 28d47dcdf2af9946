"""Scripts of benchmarks/, which is no package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from support.paths import ROOT


def load_benchmark(name: str) -> ModuleType:
    """A script of benchmarks/, which is no package."""
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
