"""File formats of meshes, by their extensions."""

from __future__ import annotations

READ_FORMATS = ("obj", "ply", "stl", "glb", "gltf", "off")  # extensions of files that can be read
WRITE_FORMATS = ("obj", "ply", "stl", "glb", "off")  # extensions of files that can be written
