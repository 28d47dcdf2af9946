"""Importing this loads the large libraries of every encoder, see `meshcodec.runtime.imports`."""

from __future__ import annotations

from meshcodec.runtime.imports import load

load("scipy.spatial", "trimesh")
