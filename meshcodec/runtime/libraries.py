"""Importing this loads the large libraries of an encoder, see `meshcodec.runtime.imports`."""

from __future__ import annotations

from meshcodec.runtime.imports import load

load("torch", "scipy.spatial", "trimesh")
