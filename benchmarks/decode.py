"""What a decode gives on other grids: F-scores, normals, faces and seconds of the default one beside them.

    python benchmarks/decode.py out                       # six examples, 512 bytes and 4 KB; 15 minutes
    python benchmarks/decode.py out --cells 0,160 church  # 0: the default grid, by the faces of the surface

The examples are encoded in tokens at the default effort, into the folder that is named; a file that is there
is taken as it is. Each is decoded on each grid and measured as `meshcodec verify --against` does. One thread;
seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402 - after the environment says one thread

from meshcodec.api import Codec  # noqa: E402
from meshcodec.metrics import Reference, is_closed  # noqa: E402

EXAMPLES = Path(__file__).parent.parent / "examples"
HEAD = "| size | cells | mesh | F@0.02 / F@0.01 / F@0.005 | normals | faces | closed | seconds |"

Row = tuple[float, ...]
"""Three F-scores, normal consistency, faces, whether it is closed, seconds."""


def main() -> None:
    """Print a line for each file and grid, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in EXAMPLES.glob("*.obj")))
    parser.add_argument("--sizes", default="512,4096")
    parser.add_argument("--cells", default="0,256")
    asked = parser.parse_args()
    codec = Codec("cpu")
    codec.decode(
        codec.encode(EXAMPLES / "spot.obj", 64, effort=0, mode="tokens")
    )  # loads what there is to load
    print(f"{HEAD}\n{'|---' * HEAD.count(' | ')}|---|")
    for size in map(int, asked.sizes.split(",")):
        rows: dict[int, list[Row]] = {int(cells): [] for cells in asked.cells.split(",")}
        for name in asked.names:
            reference = Reference(EXAMPLES / f"{name}.obj")
            data = encoded(codec, name, size, asked.out)
            for cells, found in rows.items():
                found.append(measured(codec, data, cells or None, reference))
                print(line(size, cells, name, found[-1]), flush=True)
        for cells, found in rows.items():
            print(line(size, cells, f"mean of {len(found)}", tuple(np.mean(found, axis=0))))


def encoded(codec: Codec, name: str, size: int, folder: Path) -> bytes:
    """The file of an example in tokens at the default effort, kept in a folder."""
    path = folder / f"{name}-{size}.vat"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(codec.encode(EXAMPLES / f"{name}.obj", size, mode="tokens"))
    return path.read_bytes()


def measured(codec: Codec, data: bytes, cells: int | None, reference: Reference) -> Row:
    """A file decoded on a grid and measured."""
    began = time.process_time()
    mesh = codec.decode(data, cells)
    seconds = time.process_time() - began
    scores = reference.score(mesh, exterior=False, points=False, iou=False)
    return (*scores.f, scores.normal_consistency, len(mesh.faces), is_closed(mesh), seconds)


def line(size: int, cells: int, name: str, row: Row) -> str:
    """A line of the table."""
    f = " / ".join(f"{share:.4f}" for share in row[:3])
    grid = cells or "default"
    return f"| {size} | {grid} | {name} | {f} | {row[3]:.4f} | {row[4]:.0f} | {row[5]:.0%} | {row[6]:.2f} |"


if __name__ == "__main__":
    main()
