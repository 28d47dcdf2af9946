"""What the tests of the command line look at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import Result

from meshcodec.format.container import VatFile
from support.paths import ROOT

CENTER, RADIUS = (5.0, -3.0, 2.0), 4.0
"""Where the ball of these tests lies, and its size."""


def vat_bytes(weights: Path, model: bytes | None = None, tokens: bytes = bytes(range(0, 252, 4))) -> bytes:
    """A file with the box of the ball; of the default model of a folder unless another is named."""
    default = json.loads((weights / "registry.json").read_text())["default"]
    model_id = model or bytes.fromhex(default)
    return VatFile.of_tokens(tokens, model_id, CENTER, (RADIUS, RADIUS, RADIUS)).to_bytes()


def messages(result: Result) -> list[str]:
    """Lines on stderr."""
    return result.stderr.splitlines()


def names(folder: Path) -> list[str]:
    """What lies in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())


def assert_refused(result: Result, code: int, start: object, *words: str) -> None:
    """Exit code, and one line that starts with the file's name and says what is wrong and what to do."""
    assert result.exit_code == code, result.output
    (line,) = messages(result)
    assert line.startswith(f"meshcodec: error: {start}")
    assert all(word in line for word in words), line
    assert "; " in line
    assert result.stdout_bytes == b""


def python(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, cwd=ROOT, check=False, **options
    )
