"""Triton in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT, TESTS


def run(script: str, *arguments: object, cache: Path, **environment: str) -> None:
    """In a process of its own: whether Triton interprets is settled when it is imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
    path = os.pathsep.join(
        [
            str(TESTS),
            str(TESTS / "kernels"),
            str(TESTS / "train"),
            str(ROOT),
            *filter(None, [os.environ.get("PYTHONPATH")]),
        ]
    )
    clean |= {"PYTHONPATH": path, "TRITON_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", **environment}
    subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True, env=clean)
