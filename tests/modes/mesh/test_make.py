"""Meshes by recipes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.fitting import few

from meshcodec.format.box import NO_AXES
from meshcodec.modes.mesh.fit import ControlMesh, Fit, FitSettings, Target, fit
from meshcodec.modes.mesh.make import Maker, Recipe
from meshcodec.modes.mesh.original import original_of


def maker() -> Maker:
    ball = trimesh.creation.icosphere(3)
    mesh = np.asarray(ball.vertices) * [1.0, 0.9, 0.8] + 3, np.asarray(ball.faces, dtype=np.int64)
    return Maker(original_of(mesh, 10_000, NO_AXES), few(1000), (), 0)


def test_a_mesh_is_fitted_once_for_all_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []

    def counted(mesh: ControlMesh, target: Target, settings: FitSettings) -> Fit:
        fitted.append(1)
        return fit(mesh, target, settings)

    monkeypatch.setattr("meshcodec.modes.mesh.make.fit", counted)
    one, recipe = maker(), Recipe("quadric", NO_AXES, 6)
    meshes = [one.made(replace(recipe, bits=bits), 100) for bits in (6, 8, 7)]
    assert len(fitted) == 1
    for bits, (mesh, grid) in zip((6, 8, 7), meshes, strict=True):
        alone, _ = maker().made(replace(recipe, bits=bits), 100)
        assert grid.bits == mesh.bits == bits
        assert np.array_equal(mesh.positions, alone.positions)
        assert np.array_equal(mesh.faces, alone.faces)
    one.made(recipe, 90)
    one.made(recipe, 100)
    assert len(fitted) == 6
