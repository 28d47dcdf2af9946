"""Fixtures that several test files share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.prior import train_two_shapes
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


@pytest.fixture(scope="session")
def prior_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder whose prior knows the two shapes of `support.prior` by heart."""
    folder = tmp_path_factory.mktemp("with-prior")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    train_two_shapes(tmp_path_factory.mktemp("prior-run"), folder)
    return folder
