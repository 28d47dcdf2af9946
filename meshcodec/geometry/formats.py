"""File formats of meshes, by their extensions."""

from __future__ import annotations

READ_FORMATS = ("obj", "ply", "stl", "glb", "gltf", "off")
WRITE_FORMATS = ("obj", "ply", "stl", "glb", "off")
