"""Meshes of distance functions."""

from __future__ import annotations

import sys

import pytest

from meshcodec.errors import UsageError
from meshcodec.train.shapes import sdf


def test_without_pymcubes_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = sdf.polygonize(sdf.sphere(0.5), 24)
    assert len(vertices)
    assert len(faces)
    monkeypatch.setitem(sys.modules, "mcubes", None)  # an import of what is None fails
    with pytest.raises(
        UsageError, match=r"PyMCubes, which is not installed; pip install \"meshcodec\[train\]\""
    ):
        sdf.polygonize(sdf.sphere(0.5), 24)
