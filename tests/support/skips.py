"""Which tests may be skipped where everything that can be installed is installed."""

from __future__ import annotations

import re

import pytest

ALLOWED = {
    r"needs a GPU": "machines of continuous integration have none",
    r"could not import 'bpy'": "Blender's module takes 0.4 GB: `make blender` installs and tests it",
    r"there is no mount command": "needs a Unix",
    r"a tmpfs cannot be mounted here": "needs root, and a kernel that lets it mount",
    r"there is no /dev/full|only Linux keeps the bound": "not on every system",
    r"on one core everything has one thread": "compares two numbers of threads",
}
"""Patterns of reasons, and why they are acceptable."""


def unexplained(reports: list[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """Place and reason of each skip that hides a test without need."""
    found = []
    for report in reports:
        told = report.longrepr
        place, line, reason = told if isinstance(told, tuple) else (report.nodeid, 0, str(told))
        if not any(re.search(pattern, reason) for pattern in ALLOWED):
            found.append(f"{place}:{line}: {reason}")
    return found
