"""Fixtures that several test files share, and the option --skips-fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import trimesh
from support.prior import train_two_shapes
from support.refinement import HURRIED
from support.skips import unexplained
from support.tiny import ball_model, write_vat

from meshcodec.api import Codec
from meshcodec.geometry.io import export_mesh
from meshcodec.modes.choose import CodecSettings
from meshcodec.registry import Registry
from meshcodec.session import forget_codecs
from meshcodec.weights import save_model


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skips-fail",
        action="store_true",
        help="fail if a test is skipped for a reason that `support.skips` does not allow",
    )


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    yield
    hidden = unexplained(terminalreporter.stats.get("skipped", []))
    if hidden and config.getoption("--skips-fail"):
        terminalreporter.section("these may not be skipped here", red=True)
        for line in hidden:
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("--skips-fail"):
        return  # a worker of pytest-xdist: its skips are counted by the process that started it
    if session.exitstatus == pytest.ExitCode.OK and unexplained(reporter.stats.get("skipped", [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the model of `ball_model`."""
    folder = tmp_path_factory.mktemp("weights")
    save_model(ball_model(), folder, "ball")
    return folder


@pytest.fixture(scope="session")
def both_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the model of `ball_model` and the shipped networks that code meshes."""
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    shipped = Registry()
    path = shipped.default_mesh_coder().path
    shutil.copy(path, folder)
    registry, theirs = (json.loads((f / "registry.json").read_text()) for f in (folder, shipped.folder))
    registry |= {name: theirs[name] for name in ("mesh_coders", "default_mesh_coder")}
    (folder / "registry.json").write_text(json.dumps(registry))
    return folder


@pytest.fixture(scope="session")
def shipped() -> Codec:
    """A codec of the shipped weights on the CPU. Whoever changes it does so with `monkeypatch`."""
    return Codec("cpu")


@pytest.fixture
def obj(tmp_path: Path) -> Path:
    """A ball of 320 faces."""
    path = tmp_path / "ball.obj"
    path.write_bytes(export_mesh(trimesh.creation.icosphere(subdivisions=2), "obj"))
    return path


@pytest.fixture
def vat(tmp_path: Path, tiny_weights: Path) -> Path:
    """A file of 21 tokens of the tiny model."""
    return write_vat(tmp_path / "ball.vat", tiny_weights)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of every codec that is not given others, such as those that the command line makes."""
    monkeypatch.setattr("meshcodec.api.DEFAULT_SETTINGS", CodecSettings(tokens=HURRIED))
    forget_codecs()
    yield
    forget_codecs()


@pytest.fixture(scope="session")
def prior_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder whose prior knows the two shapes of `support.prior` by heart."""
    folder = tmp_path_factory.mktemp("with-prior")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    train_two_shapes(tmp_path_factory.mktemp("prior-run"), folder)
    return folder
