"""Fits that are quick."""

from __future__ import annotations

from dataclasses import replace

from meshcodec.modes.mesh.fit import FitSettings


def few(samples: int) -> FitSettings:
    """The rounds of the default with so many samples each."""
    return FitSettings(tuple(replace(one, samples=samples) for one in FitSettings().rounds))
