"""The gallery of the page: ``python web/demo/make_gallery.py`` encodes the examples, packs the originals.

``gallery/NAME-SIZE.vat`` are files as ``meshcodec encode --size SIZE`` writes them, those that end in
``-tokens`` with ``--mode tokens``. ``gallery/NAME.bin`` is the gzip of an original: numbers of vertices and
faces, u32 each, then coordinates as u16, -1 to 1, by axis, then corners of faces as u16, by corner; both as
byte planes. ``gallery/index.json`` names them.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from meshcodec.api import Codec
from meshcodec.geometry.io import load_mesh

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
GALLERY = Path(__file__).resolve().parent / "gallery"
FILES: dict[str, tuple[int, str]] = {
    "512": (512, "auto"),
    "2048": (2048, "auto"),
    "512-tokens": (512, "tokens"),
}
"""Files of each example: the end of the name, size and mode."""
CREDITS = {
    "spot": "Keenan Crane, CC0",
    "church": "Kay Lousberg, CC0",
    "sail_ship": "Quaternius, CC0",
    "burger": "Kay Lousberg, CC0",
    "car": "pmndrs market, CC0",
    "cygnus": "ISS Mimic Project, MIT",
}
"""Authors and licences of the examples, in the order of the gallery; see examples/LICENSES.md."""


def packed(path: Path) -> tuple[bytes, int]:
    """An original as the page reads it, and its number of faces."""
    mesh = load_mesh(path)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    places = np.rint((vertices.clip(-1, 1) + 1) * 32767.5).astype("<u2").T
    numbers = np.concatenate([places.ravel(), faces.astype("<u2").T.ravel()])
    planes = numbers.view(np.uint8).reshape(-1, 2).T.tobytes()
    head = np.array([len(vertices), len(faces)], dtype="<u4").tobytes()
    return gzip.compress(head + planes, 9, mtime=0), len(faces)


def main() -> None:
    """Write the folder."""
    GALLERY.mkdir(exist_ok=True)
    codec, entries = Codec("cpu"), []
    for name, credit in CREDITS.items():
        data, faces = packed(EXAMPLES / f"{name}.obj")
        (GALLERY / f"{name}.bin").write_bytes(data)
        for end, (size, mode) in FILES.items():
            file = codec.encode(EXAMPLES / f"{name}.obj", size, mode=mode)
            (GALLERY / f"{name}-{end}.vat").write_bytes(file)
            print(name, end, len(file), flush=True)
        entries.append({"name": name, "credit": credit, "faces": faces, "files": list(FILES)})
    (GALLERY / "index.json").write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
