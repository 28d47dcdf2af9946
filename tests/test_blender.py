"""The Blender add-on, in Blender's own module (``make blender`` installs it)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh
from support.paths import ROOT

from meshcodec.api import Codec

bpy: Any = pytest.importorskip("bpy")

ADDON = ROOT / "integrations" / "blender_meshcodec.py"


@pytest.fixture
def addon(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("blender_meshcodec", ADDON)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # Blender evaluates its annotations
    spec.loader.exec_module(module)
    codec = Codec("cpu", tiny_weights)
    monkeypatch.setattr(module, "shared_codec", lambda: codec)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    module.register()
    yield module
    module.unregister()


def test_a_scene_there_and_back(addon: ModuleType, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_torus_add(location=(5, 0, 0), major_radius=1.0, minor_radius=0.4)
    thing = bpy.context.object
    thing.scale = (2, 1, 1)
    bpy.ops.object.modifier_add(type="TRIANGULATE")
    bpy.context.view_layer.update()
    path = tmp_path / "torus.vat"
    assert bpy.ops.export_mesh.vat(filepath=str(path), size=512, effort=0) == {"FINISHED"}
    vertices = np.array([thing.matrix_world @ vertex.co for vertex in thing.data.vertices])
    faces = np.array([polygon.vertices for polygon in thing.data.polygons])
    faces = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    codec = addon.shared_codec()
    expected = codec.decode(codec.encode(trimesh.Trimesh(vertices, faces, process=False), 512, 0), 32)

    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert bpy.ops.import_mesh.vat(filepath=str(path), resolution=32) == {"FINISHED"}
    (made,) = bpy.context.scene.objects
    assert made.name == "torus"
    found = np.array([vertex.co for vertex in made.data.vertices])
    assert np.abs(found.mean(axis=0) - expected.vertices.mean(axis=0)).max() < 0.1
    assert found.min(axis=0) == pytest.approx(expected.bounds[0], abs=0.2)
    assert found.max(axis=0) == pytest.approx(expected.bounds[1], abs=0.2)
    assert len(made.data.polygons) > 100


def test_what_fails_is_reported(addon: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"empty.vat: there is no mesh; select one"):
        bpy.ops.export_mesh.vat(filepath=str(tmp_path / "empty.vat"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.vat").write_bytes(b"VAT")
    with pytest.raises(RuntimeError, match=r"bad.vat: "):
        bpy.ops.import_mesh.vat(filepath=str(tmp_path / "bad.vat"))
