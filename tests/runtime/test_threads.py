"""Threads and the environment variables that number them: the same from Python as from the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from support.paths import ROOT

from meshcodec.runtime import threads
from meshcodec.runtime.workers import run_jobs

AS_THE_COMMAND = """
import sys
from meshcodec.cli import main
sys.argv = ["meshcodec", "info", "--help"]
try:
    main()
except SystemExit:
    pass
"""
WAYS_IN = {
    "the command": AS_THE_COMMAND,
    "the package": "import meshcodec",
    "a module of it": "import meshcodec.geometry.formats",
    "the demonstration": "import meshcodec.demo",
}


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in threads.SHORT_WAITS}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=clean | environment, check=True
    )


def set_by(code: str, **environment: str) -> dict[str, str]:
    """The variables that some code sets or changes."""
    before = "import json, os\nbefore = dict(os.environ)\n"
    after = "\nprint(json.dumps({k: v for k, v in os.environ.items() if before.get(k) != v}))"
    found: dict[str, str] = json.loads(python(before + code + after, **environment).stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_sets_the_same_variables(way: str) -> None:
    assert set_by(WAYS_IN[way]) == threads.SHORT_WAITS


def test_what_the_user_has_set_stays() -> None:
    assert set_by("import meshcodec", GOMP_SPINCOUNT="77") == {}


def test_the_variables_are_set_before_torch_is_loaded() -> None:
    loaded = "import sys, meshcodec, meshcodec.runtime.threads\nprint('torch' in sys.modules)"
    assert python(loaded).stdout == "False\n"


@pytest.mark.slow
def test_a_fork_that_has_not_loaded_torch_gets_one_thread_of_it() -> None:
    script = (
        "import sys\n"
        "from meshcodec.runtime.threads import one_thread\n"
        "one_thread()\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "print(torch.get_num_threads())"
    )
    assert python(script, OMP_NUM_THREADS="3").stdout == "1\n"


@pytest.mark.slow
@pytest.mark.parametrize(("said", "found"), [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_threads_do_not_wait_long_for_each_other(said: dict[str, str], found: str) -> None:
    """libgomp says what it has understood when it is loaded; other libraries have no such variable."""
    library = python("import torch", OMP_DISPLAY_ENV="VERBOSE")
    ours = python("import meshcodec, torch", OMP_DISPLAY_ENV="VERBOSE", **said)
    assert ("GOMP_SPINCOUNT" in library.stderr) == (f"GOMP_SPINCOUNT = '{found}'" in ours.stderr)


def threads_of_torch(_: int) -> int:
    return torch.get_num_threads()


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_one_worker_has_one_thread_and_gives_the_others_back() -> None:
    assert list(run_jobs(threads_of_torch, [0, 1], 1, threads_of_torch)) == [1, 1]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_job_that_raises_gives_the_threads_back() -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_jobs(lambda job: 1 // job, [0], 1, lambda job: job))
    assert torch.get_num_threads() == 3


@pytest.mark.slow
def test_workers_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    assert list(run_jobs(threads_of_torch, [0, 1], 2, threads_of_torch)) == [1, 1]


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with threads.one_thread_each():
        assert {name: os.environ[name] for name in threads.ONE_THREAD} == threads.ONE_THREAD
    assert dict(os.environ) == before
