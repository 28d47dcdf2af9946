"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.refinement import HURRIED
from support.tiny import ball_model

from meshcodec.weights import save_model


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the model of `ball_model`."""
    folder = tmp_path_factory.mktemp("weights")
    save_model(ball_model(), folder, "ball")
    return folder


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of every codec that is not given others, such as those that the command line makes."""
    monkeypatch.setattr("meshcodec.api.DEFAULT_SETTINGS", HURRIED)
