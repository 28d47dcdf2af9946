#!/usr/bin/env bash
# trimesh reads quantized glTF at the wrong size, without a word.
#
# glTF-Transform (`quantize`) and gltfpack (`-vpn`) store positions as normalized integers: in a GLB whose accessor has
# 16-bit integers and "normalized": true, 32767 stands for 1. Such files list KHR_mesh_quantization under
# extensionsRequired, so one expects a reader to scale the numbers, or to refuse the extension that it does not know.
# trimesh does neither: it takes the integers as coordinates, and a box of 4 x 6 x 8 comes out 32767 times larger.
#
# Makes such a box by the letter of the specification, reads it with trimesh in an environment of its own, and fails
# when that gives anything else than described.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet trimesh==5.2.0 numpy==2.4.6 networkx==3.6.1
"$folder/venv/bin/python" - <<'PYTHON'
import io
import itertools
import json
import struct

import numpy as np
import trimesh

corners = np.array(list(itertools.product((-32767, 32767), repeat=3)), dtype="<i2")
positions = np.zeros((8, 4), dtype="<i2")  # elements begin at multiples of four bytes
positions[:, :3] = corners
faces = trimesh.creation.box().faces.astype("<u2")
blob = positions.tobytes() + faces.tobytes()
tree = {
    "asset": {"version": "2.0"},
    "scene": 0,
    "scenes": [{"nodes": [0]}],
    "nodes": [{"mesh": 0, "scale": [2, 3, 4]}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
    "accessors": [
        {
            "bufferView": 0,
            "componentType": 5122,
            "normalized": True,
            "count": 8,
            "type": "VEC3",
            "min": [-32767] * 3,
            "max": [32767] * 3,
        },
        {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
    ],
    "bufferViews": [
        {"buffer": 0, "byteLength": 64, "byteStride": 8, "target": 34962},
        {"buffer": 0, "byteOffset": 64, "byteLength": 72, "target": 34963},
    ],
    "buffers": [{"byteLength": len(blob)}],
    "extensionsUsed": ["KHR_mesh_quantization"],
    "extensionsRequired": ["KHR_mesh_quantization"],
}
text = json.dumps(tree).encode()
text += b" " * (-len(text) % 4)
chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
data = struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

mesh = trimesh.load_scene(io.BytesIO(data), file_type="glb").to_geometry()
found = [round(float(extent)) for extent in mesh.extents]
print("trimesh", trimesh.__version__, "numpy", np.__version__)
print("extents by the specification: [4, 6, 8]")
print("extents by trimesh:          ", found)
raise SystemExit(0 if found == [4 * 32767, 6 * 32767, 8 * 32767] else "trimesh behaves differently now")
PYTHON
