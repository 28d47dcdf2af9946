"""Worker processes."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import fcntl, sys, time
from meshcodec.runtime.workers import run_jobs

def job(path):
    global held
    held = open(path + ".lock", "w")
    fcntl.flock(held, fcntl.LOCK_EX)  # until the process ends, however that may be
    open(path, "w").close()
    time.sleep({sleep})

if __name__ == "__main__":
    list(run_jobs(job, sys.argv[1:], 2, str))
"""
PATIENCE = 60
"""Seconds after which a thing that should happen at once has not happened."""


@pytest.mark.slow
@pytest.mark.parametrize("sleep", [600, 0])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, sleep: int) -> None:
    """Both busy, and one idle while the last job sleeps."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(sleep=f"600 if path.endswith('last') else {sleep}"))
    paths = [tmp_path / name for name in ("one", "last")]
    parent = subprocess.Popen([sys.executable, str(script), *map(str, paths)])
    deadline = time.monotonic() + PATIENCE
    while not all(path.exists() for path in paths):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for path in paths:
        with Path(f"{path}.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    assert time.monotonic() < deadline, f"the worker that held {path.name} is still there"
                    time.sleep(0.05)
