"""Seconds and limits."""

from __future__ import annotations

import pytest

from meshcodec.runtime.clock import Clock, deadline


def test_a_deadline_is_over_when_its_seconds_are(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr("meshcodec.runtime.clock.time.monotonic", lambda: now)
    late = deadline(2.5)
    assert late is not None
    assert not late()
    now = 7.4
    assert not late()
    now = 7.5
    assert late()
    assert deadline(None) is None


def test_seconds_add_up_by_stage() -> None:
    clock = Clock({"load": 1.0})
    clock.add("load", 0.5)
    with clock("code"):
        pass
    assert clock.seconds["load"] == 1.5
    assert 0 <= clock.seconds["code"] < 1.5
