"""Record what a change of the code must not change: bytes of `encode`, tokens and geometry of files.

    python benchmarks/record.py -o before.json            # one thread; about eight minutes
    python benchmarks/record.py --against before.json     # after it: exit code 1, a line for each difference

Float sums differ between processors: compare records of one machine only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402 - after the environment says one thread

import meshcodec  # noqa: E402

ROOT = Path(__file__).parent.parent
EFFORTS = (0, 1, 4)
SIZES = (512, 1024)
RESOLUTION = 96


def sha256(data: bytes) -> str:
    """Hexadecimal digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def record(meshes: Path, golden: Path, efforts: tuple[int, ...]) -> dict[str, str]:
    """Digests by name: of each mesh encoded at each size and effort, and of each file's tokens and decode."""
    codec = meshcodec.Codec("cpu")
    found = {}
    for path in sorted(golden.rglob("*.vat")):
        try:
            tokens = codec.tokens(path.read_bytes())
            mesh = codec.decode(path.read_bytes(), RESOLUTION)
        except meshcodec.MeshcodecError as error:
            found[f"{path.name} refused"] = str(error)
            continue
        found[f"{path.name} tokens"] = sha256(tokens.tobytes())
        arrays = np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces)
        found[f"{path.name} decode"] = sha256(b"".join(a.tobytes() for a in arrays))
    for effort in efforts:
        for path in sorted(meshes.glob("*.obj")):
            for size in SIZES:
                data = codec.encode(path, size, effort, mode="tokens")
                found[f"{path.stem} {size} B effort {effort}"] = sha256(data)
                print(path.stem, size, effort, len(data), file=sys.stderr)
    return found


def main() -> int:
    """Record, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--efforts", default="0,1,4")
    options = parser.parse_args()
    efforts = tuple(int(e) for e in options.efforts.split(","))
    found = record(ROOT / "examples", ROOT / "tests" / "golden" / "v1", efforts)
    if options.output:
        options.output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    if options.against:
        before = json.loads(options.against.read_text())
        different = sorted(k for k in found if k in before and found[k] != before[k])
        print(f"{len(found.keys() & before.keys())} records compared, {len(different)} differ")
        print("\n".join(different))
        return 1 if different else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
