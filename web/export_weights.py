"""Shipped weights as the JavaScript decoder reads them: ``python web/export_weights.py [-o FOLDER]``.

Of each model the decoder's half, of each entropy model and mesh coder all; and ``index.json``, which says
what there is. A file is the gzip of

    offset  size  field
    0       4     n, u32, little-endian
    4       n     JSON: for each tensor its name, ``dtype`` (F32, F16, I32, I16, I8), ``shape`` and ``at``,
                  where it begins after the JSON
    4 + n         the tensors, little-endian, each as byte planes: the lowest bytes of all its numbers, then
                  the next

Byte planes and gzip save a sixth, and cost a browser nothing to read.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "weights"
TARGET = ROOT / "web" / "weights"
NAMES = {"float32": "F32", "float16": "F16", "int32": "I32", "int16": "I16", "int8": "I8"}
MOST_BYTES = 7_500_000  # of a model's decoder
CONFIG = (
    "scale_sides",
    "latent_side",
    "latent_channels",
    "token_levels",
    "patch",
    "width",
    "heads",
    "decoder_blocks",
    "mlp_ratio",
    "plane_side",
    "plane_channels",
    "field_width",
    "field_frequencies",
)
"""Numbers of a model's configuration that decoding needs."""


def decodes(name: str) -> bool:
    """Whether a tensor of a model is needed to decode."""
    down = name.startswith("quantizer.scales.") and ".down." in name
    return not name.startswith("encoder.") and not down


def packed(tensors: dict[str, NDArray[Any]]) -> bytes:
    """The file that holds tensors."""
    header, parts, at = {}, [], 0
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        raw = tensor.reshape(-1).view(np.uint8).reshape(-1, tensor.itemsize).T.tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype.name], "shape": list(tensor.shape), "at": at}
        parts.append(raw)
        at += len(raw)
    words = json.dumps(header, separators=(",", ":")).encode()
    return gzip.compress(len(words).to_bytes(4, "little") + words + b"".join(parts), 9, mtime=0)


def exported(weights: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Each file: its name, its bytes, and where the index names it: the keys that lead there, and more."""
    registry = json.loads((weights / "registry.json").read_text())
    for model, entry in registry["models"].items():
        tensors = load_file(weights / entry["file"])
        data = packed({name: tensor for name, tensor in tensors.items() if decodes(name)})
        if len(data) > MOST_BYTES:
            raise ValueError(f"the decoder of {model} takes {len(data)} bytes, more than {MOST_BYTES}")
        config = {key: entry["config"][key] for key in CONFIG}
        yield f"planes-{model}.bin", data, {"at": ("models", model, "planes"), "config": config}
        data = packed(load_file(weights / entry["coder"]["file"]))
        yield f"tokens-{model}.bin", data, {"at": ("models", model, "tokens"), "config": config}
    for coder, entry in registry["mesh_coders"].items():
        yield f"mesh-{coder}.bin", packed(load_file(weights / entry["file"])), {"at": ("meshCoders", coder)}


def export(weights: Path, target: Path) -> dict[str, Any]:
    """Write all files and the index, which is returned; files of weights that are gone are removed."""
    target.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {"models": {}, "meshCoders": {}}
    for old in target.glob("*.bin"):
        old.unlink()
    shutil.copy(weights / "LICENSE", target)
    for name, data, where in exported(weights):
        (target / name).write_bytes(data)
        *path, last = where["at"]
        place = index
        for key in path:
            place = place.setdefault(key, {})
        place[last] = {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if "config" in where:
            place["config"] = where["config"]
    (target / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return index


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="weights for the JavaScript decoder")
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="folder (%(default)s)")
    target: Path = parser.parse_args().output
    export(WEIGHTS, target)
    for path in sorted(target.iterdir()):
        print(f"{path.stat().st_size:>9} {path.name}")


if __name__ == "__main__":
    main()
