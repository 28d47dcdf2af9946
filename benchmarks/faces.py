"""What `decode --faces N` costs on the golden files: seconds, F-scores, and whether the meshes are closed.

    python benchmarks/faces.py                            # 20 000 faces; some four minutes
    python benchmarks/faces.py --faces 5000 spot          # of files whose names begin with spot

Each file is decoded at the default resolution and measured against its example, before and after. One thread.
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
from meshcodec.geometry.decimate_closed import decimate  # noqa: E402
from meshcodec.metrics import Reference, is_closed  # noqa: E402

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "v1"
SAMPLES = 30_000
"""Points on each surface."""


def main() -> None:
    """Print a line for each file, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("start", nargs="?", default="")
    parser.add_argument("--faces", type=int, default=20_000)
    asked = parser.parse_args()
    codec = Codec("cpu")
    paths = [p for p in sorted(GOLDEN.glob(f"{asked.start}*.vat")) if p.stem.endswith(("-512-coded", "-4k"))]
    rows = []
    print("file, faces before and after, seconds of it, closed, F at 0.02 0.01 0.005, what these lost")
    for path in paths:
        whole = codec.decode(path)
        began = time.process_time()
        few = decimate(np.asarray(whole.vertices), np.asarray(whole.faces), asked.faces)
        seconds = time.process_time() - began
        reference = Reference(ROOT / "examples" / f"{path.name.split('-')[0]}.obj", samples=SAMPLES)
        before, after = reference.fscore(whole), reference.fscore((few.vertices, few.faces))
        lost = np.subtract(before, after)
        closed = is_closed((few.vertices, few.faces))
        rows.append([seconds, *lost, closed])
        print(
            path.stem,
            len(whole.faces),
            len(few.faces),
            f"{seconds:.2f}",
            closed,
            np.round(before, 4),
            lost.round(4),
        )
    means = np.mean(rows, axis=0)
    print(f"mean of {len(rows)}: {means[0]:.2f} s, lost {means[1:4].round(4)}, closed {means[4]:.0%}")


if __name__ == "__main__":
    main()
