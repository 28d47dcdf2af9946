#!/usr/bin/env bash
# manifold3d.triangulate lays triangles over each other, where the epsilon that it chooses is not what the polygon needs.
#
# OBJ, PLY and OFF have no holes in a face: a plate with holes is one outline that runs along a slit to each hole, around it
# and back, so that it passes the slit twice. One expects of a triangulator with a tolerance that the areas of its triangles add
# up to the area of the outline, or that it says that it failed. For a square of 10 by 10 with seven small triangular
# holes on slits along its diagonal, coordinates with two digits, the default epsilon gives the right number of triangles,
# which cover 2.6 % more than there is: three of them are turned over. With epsilon=0 none is, and the area is right. So
# who cuts faces with it has to add up what comes back.
#
# Triangulates the plate in an environment of its own, both ways, and fails when that gives anything else than described.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet manifold3d==3.5.4 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import manifold3d
import numpy as np

OUTLINE = [
    (0, 0), (1.56, 1.21), (1.27, 1.76), (1.89, 1.74), (2.36, 2.73), (2.91, 3.01), (3.9, 3.5),
    (3.53, 4), (4.14, 4.07), (4.94, 4.65), (4.72, 5.23), (5.33, 5.12), (6.14, 5.79), (5.84, 6.33),
    (6.45, 6.32), (7.32, 6.93), (6.96, 7.43), (7.58, 7.49), (8.37, 8.08), (8.15, 8.66),
    (8.76, 8.55), (8.37, 8.08), (7.58, 7.49), (7.32, 6.93), (6.45, 6.32), (6.14, 5.79),
    (5.33, 5.12), (4.94, 4.65), (4.14, 4.07), (3.9, 3.5), (2.91, 3.01), (2.88, 2.4), (2.36, 2.73),
    (1.89, 1.74), (1.56, 1.21), (0, 0), (10, 0), (10, 10), (0, 10),
]


def doubled(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


outline = np.array(OUTLINE)
x, y = outline.T
area = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
print("manifold3d", version("manifold3d"))
print(f"outline: {len(outline)} corners, area {area:.4f}")
found = {}
for name, options in (("default epsilon", ()), ("epsilon=0", (0.0,))):
    triangles = np.asarray(manifold3d.triangulate([outline], *options))
    areas = np.array([doubled(*outline[corners]) / 2 for corners in triangles])
    found[name] = len(triangles), round(float(np.abs(areas).sum()), 4), int((areas < 0).sum())
    print(f"{name}: %d triangles, areas add up to %.4f, %d are turned over" % found[name])
assert found == {"default epsilon": (37, 101.4581, 3), "epsilon=0": (37, 98.8448, 0)}, found
assert round(area, 4) == 98.8448, area
PYTHON
