"""Whether more effort is ever worse: F-scores of each effort for the examples and a tilted rectangle.

    python benchmarks/nested.py --efforts 0-4                     # seven meshes at 1 KB; some 15 minutes
    python benchmarks/nested.py --efforts 0-9 --mode auto spot rectangle

Each file is decoded and measured as `meshcodec verify --against` does it. Exit code 1 where an F-score at
0.02 or 0.01 falls from one effort to the next. One thread; seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402 - after the environment says one thread
import trimesh  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from meshcodec.api import Codec  # noqa: E402
from meshcodec.config import MODES, TAUS  # noqa: E402
from meshcodec.geometry.io import load_mesh  # noqa: E402

EXAMPLES = Path(__file__).parent.parent / "examples"
RECTANGLE = "rectangle"
"""Name of the rectangle among the meshes."""
JUDGED = TAUS[:2]
"""Distances at which no F-score may fall."""


def rectangle() -> trimesh.Trimesh:
    """A rectangle of 4 by 3 that leans against all three axes: an open sheet without thickness."""
    corners = np.array([[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]])
    turn = Rotation.from_euler("xyz", (0.35, 0.35, 0.1)).as_matrix()
    return trimesh.Trimesh(corners @ turn.T, [[0, 1, 2], [0, 2, 3]], process=False)


def main() -> None:
    """Print a line for each mesh and effort, and what fell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    meshes = sorted(path.stem for path in EXAMPLES.glob("*.obj"))
    parser.add_argument("names", nargs="*", default=[*meshes, RECTANGLE])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--efforts", default="0-4", help="the first and the last")
    parser.add_argument("--mode", choices=MODES, default="tokens")
    asked = parser.parse_args()
    first, last = map(int, asked.efforts.split("-"))
    codec = Codec("cpu")
    fallen = []
    print("| mesh | effort | F@0.02 / F@0.01 / F@0.005 | bytes | seconds |\n|---|---|---|---|---|")
    for name in asked.names:
        mesh = codec.load(rectangle() if name == RECTANGLE else load_mesh(EXAMPLES / f"{name}.obj"))
        found = []
        for effort in range(first, last + 1):
            began = time.process_time()
            data = codec.encode_subject(mesh, asked.size, effort, mode=asked.mode).data
            seconds = time.process_time() - began
            found.append(mesh.reference().fscore(codec.decode(data)))
            f = " / ".join(f"{share:.4f}" for share in found[-1])
            print(f"| {name} | {effort} | {f} | {len(data)} | {seconds:.0f} |", flush=True)
        fallen += falls(name, first, found)
    print("\n" + ("\n".join(fallen) or "none falls"))
    sys.exit(bool(fallen))


def falls(name: str, first: int, found: list[tuple[float, ...]]) -> list[str]:
    """A line for each F-score, at one of `JUDGED`, that is lower at an effort than at the one before."""
    return [
        f"{name}: F@{tau:g} {lower[k]:.5f} -> {higher[k]:.5f} from effort {effort} to {effort + 1}"
        for effort, (lower, higher) in enumerate(pairwise(found), first)
        for k, tau in enumerate(JUDGED)
        if higher[k] < lower[k]
    ]


if __name__ == "__main__":
    main()
