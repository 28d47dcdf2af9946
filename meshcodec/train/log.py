"""The log of a training run, a JSON line a step."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def write_log(folder: Path, record: dict[str, Any]) -> None:
    """Say what a run has come to, and add it to its ``log.jsonl``; numbers with four decimals."""
    rounded = json.loads(json.dumps(record), parse_float=lambda x: round(float(x), 4))
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.strftime("%H:%M:%S"), **rounded}) + "\n")
    log.info("%s", "  ".join(f"{k} {v}" for k, v in rounded.items()))
