"""Seconds and peak memory of encoding a large STL file at effort 0, in a process of its own.

    python benchmarks/large.py                          # a sphere of 1.3 million faces
    PYTHONPATH=OTHER_TREE python benchmarks/large.py    # the same with another build

Prints one line of JSON. The seconds are those of reading the file and encoding, without imports and without
loading the weights. Peak memory is that of the whole process, Python and torch included (Linux only).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_sphere(path: Path, subdivisions: int) -> None:
    """An icosphere of 20 * 4^subdivisions faces as binary STL: three corners for each face."""
    import trimesh

    path.write_bytes(trimesh.creation.icosphere(subdivisions=subdivisions).export(file_type="stl"))


def measure(path: Path, size: int) -> dict[str, object]:
    """Encode once; called in a process that has done nothing else."""
    import trimesh

    import meshcodec
    from meshcodec.api import Codec

    codec = Codec("cpu")
    codec.encode(trimesh.creation.box(), size=size, effort=0)  # loads all that it needs
    began = time.perf_counter()
    encoded = codec.encode_detailed(str(path), size=size, effort=0)
    seconds = time.perf_counter() - began
    return {
        "meshcodec": str(Path(meshcodec.__file__).parent.parent),
        "seconds": round(seconds, 2),
        "stages": {stage: round(value, 2) for stage, value in encoded.seconds.items()},
        "peak_mb": round(_peak_kilobytes() / 1024),
        "bytes": len(encoded.data),
    }


def _peak_kilobytes() -> int:
    """Most memory that the process ever held; unlike that of `getrusage`, never its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Make the mesh and measure, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--subdivisions", type=int, default=8, help="of the sphere (default: %(default)s)")
    parser.add_argument("--mesh", type=Path, help="another mesh in place of the sphere")
    parser.add_argument("--size", type=int, default=1024, help="bytes (default: %(default)s)")
    parser.add_argument("--step", choices=("make", "measure"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "make":
        write_sphere(options.mesh, options.subdivisions)
    elif options.step == "measure":
        print(json.dumps(measure(options.mesh, options.size)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            mesh = options.mesh or Path(folder) / "sphere.stl"
            steps = ("measure",) if options.mesh else ("make", "measure")
            for step in steps:
                command = [sys.executable, __file__, *sys.argv[1:], "--mesh", str(mesh), "--step", step]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
