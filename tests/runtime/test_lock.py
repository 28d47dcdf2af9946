"""A lock is held by one at a time, and goes with its process."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.paths import ROOT

from meshcodec.errors import UsageError
from meshcodec.runtime.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from meshcodec.runtime.lock import locked
with locked(Path(sys.argv[1]), lambda: print("busy", flush=True)):
    print("held", flush=True)
    time.sleep(60)
"""


def never() -> None:
    raise AssertionError("nobody else holds it")


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _ in range(2):
        with locked(path, never):
            assert path.exists()
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), locked(path, never):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_one_at_a_time(tmp_path: Path) -> None:
    """Eight threads add to a number that is read, and written a moment later."""
    path, count, waited = tmp_path / ".lock", tmp_path / "count", list[int]()
    count.write_text("0")

    def add(number: int) -> None:
        with locked(path, lambda: waited.append(number)):
            before = int(count.read_text())
            time.sleep(0.01)
            count.write_text(str(before + 1))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "8"
    assert len(waited) == len(set(waited)) > 0  # each is told once
    assert not path.exists()


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path, told = tmp_path / ".lock", list[bool]()
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"

        def kill() -> None:
            told.append(True)
            process.kill()

        with locked(path, kill):
            assert told == [True]
    assert not path.exists()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said = r"has no locks \(No locks available\): let no two runs"
    with pytest.warns(RuntimeWarning, match=said), locked(tmp_path / ".lock", never):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    said = r"\.lock: cannot be written \(No such file or directory\)"
    with pytest.raises(UsageError, match=said), locked(tmp_path / "none" / ".lock", never):
        pass
