"""File formats of meshes, by their extensions."""

from __future__ import annotations

READ_FORMATS = ("obj", "ply", "stl", "glb", "gltf", "off", "3mf")  # extensions of files that can be read
WRITE_FORMATS = ("obj", "ply", "stl", "glb", "off")  # extensions of files that can be written
GZIPPED = ".gz"  # behind any of `READ_FORMATS`: a file that is compressed with gzip
MESH_ENDINGS = (*READ_FORMATS, *(kind + GZIPPED for kind in READ_FORMATS))
"""How the names of all files end that can be read: what is looked for in folders."""
