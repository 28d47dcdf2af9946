"""A tiny model for tests that need weights but no quality: whatever its tokens say, it decodes to a ball."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny import ball_model

from meshcodec.modes.tokens.efforts import Effort
from meshcodec.weights import save_model


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the model of `ball_model`."""
    folder = tmp_path_factory.mktemp("weights")
    save_model(ball_model(), folder, "ball")
    return folder


@pytest.fixture(autouse=True)
def coarse_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of untrained weights have surface everywhere: at the full resolution each takes seconds."""
    monkeypatch.setattr("meshcodec.modes.tokens.judge.EXACT_RESOLUTION", 48)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effort 1 is three short rounds, measured coarsely."""
    monkeypatch.setattr("meshcodec.api.EFFORTS", (Effort((), 0), Effort((2, 3), 2000, hard_rounds=(2,))))
    monkeypatch.setattr("meshcodec.modes.tokens.judge.CHECK_RESOLUTION", 32)
    monkeypatch.setattr("meshcodec.modes.tokens.judge.CHECK_SAMPLES", 1000)
    monkeypatch.setattr("meshcodec.modes.tokens.judge.LEVEL_STEPS", (4,))
    monkeypatch.setattr(
        "meshcodec.modes.tokens.judge.Exact.gains", lambda _, new, old: (new.quality - old.quality,)
    )
