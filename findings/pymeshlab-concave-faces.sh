#!/usr/bin/env bash
# PyMeshLab reads one solid with concave faces as three shapes, by the format it comes in.
#
# A channel of 10 x 8 x 2 has two concave faces of eight corners, in the shape of a U, and eight rectangles. OBJ, PLY
# and OFF write the same vertices and the same faces, and faces of all three may have any number of corners. One expects
# the same solid of all three, with its area of 184. PyMeshLab cuts the U along its outline only in OBJ. In PLY it takes
# faces for fans, which cover the gap of the U (316); some descriptions of PLY allow that. In OFF its triangles follow
# neither the outline nor a fan: they cover a part of the gap (256), and the solid is open. No warning is given.
#
# Writes the three files, reads them with PyMeshLab in an environment of its own, and fails when that gives anything
# else than described.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pymeshlab==2025.7.post1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import pymeshlab

outline = [(0, 0), (10, 0), (10, 8), (8, 8), (8, 2), (2, 2), (2, 8), (0, 8)]
vertices = [f"{x} {y} {z}\n" for z in (0, 2) for x, y in outline]
faces = [[7, 6, 5, 4, 3, 2, 1, 0], [8, 9, 10, 11, 12, 13, 14, 15]]
faces += [[k, (k + 1) % 8, (k + 1) % 8 + 8, k + 8] for k in range(8)]
rows = "".join(vertices) + "".join(" ".join(map(str, [len(face), *face])) + "\n" for face in faces)
header = (
    "ply\nformat ascii 1.0\nelement vertex 16\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 10\nproperty list uchar int vertex_indices\nend_header\n"
)
Path("channel.ply").write_text(header + rows)
Path("channel.off").write_text("OFF\n16 10 0\n" + rows)
Path("channel.obj").write_text(
    "".join("v " + vertex for vertex in vertices)
    + "".join("f " + " ".join(str(corner + 1) for corner in face) + "\n" for face in faces)
)

print("pymeshlab", version("pymeshlab"))
print("expected: area 184, no open edge")
found = {}
for name in ("channel.obj", "channel.ply", "channel.off"):
    meshes = pymeshlab.MeshSet()
    meshes.load_new_mesh(name)
    area = round(meshes.get_geometric_measures()["surface_area"], 3)
    found[name] = (area, meshes.get_topological_measures()["boundary_edges"])
    print(f"{name}: area %g, %d open edges" % found[name])
described = {"channel.obj": (184, 0), "channel.ply": (316, 0), "channel.off": (256, 8)}
raise SystemExit(0 if found == described else "PyMeshLab behaves differently now")
PYTHON
