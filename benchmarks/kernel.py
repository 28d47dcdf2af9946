"""The field's kernels on a GPU: ``python benchmarks/kernel.py [-o FILE.json]``.

First the fused kernel is held to the reference in float64; where it is wrong there is a line that says so,
exit code 1 and no figure. Then, medians of many with the device's own clock: both kernels on the points of a
grid, as seconds and as a share of the rate of a large matrix product; and whole decodes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from meshcodec.api import Codec
from meshcodec.config import EXTENT
from meshcodec.format.container import VatFile
from meshcodec.kernels import fused, reference
from meshcodec.model.decoder import FieldHead

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "v1"
SIDE = 257
CLOSE = 1e-3
"""Largest error of the fused kernel, where distances matter."""
MATRIX_SIDE = 8192


def operations(head: FieldHead) -> int:
    """Operations of the matrix products for one point, without padding; multiply and add are two."""
    first, second = head.mlp[0], head.mlp[2]
    if not (isinstance(first, torch.nn.Linear) and isinstance(second, torch.nn.Linear)):
        raise TypeError("the field is no MLP of two linear layers")
    return 2 * (first.weight.numel() + second.weight.numel() + second.out_features)


def seconds(work: Callable[[], Any], repeats: int = 20) -> float:
    """Median by the device's clock."""
    for _ in range(3):
        work()
    taken: list[float] = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        taken.append(begin.elapsed_time(end) / 1000)
    return statistics.median(taken)


def grid(side: int) -> torch.Tensor:
    """(side³, 3) points in the order of a dense evaluation."""
    ticks = torch.linspace(-EXTENT, EXTENT, side, device="cuda")
    return torch.cartesian_prod(ticks, ticks, ticks)


def measure(paths: list[Path]) -> dict[str, Any]:
    """Everything, or SystemExit where the kernel is wrong."""
    codec = Codec("cuda")
    file = VatFile.from_bytes(paths[0].read_bytes())
    networks = codec.engine.open(file)
    model, row = networks.model, bytearray(file.tokens(networks.entropy_model))
    tokens = torch.frombuffer(row, dtype=torch.uint8)[None].cuda()
    with torch.no_grad():
        planes = model.planes(tokens)[0].permute(0, 2, 3, 1).contiguous()
        head = model.field
        some = (2 * torch.rand(50_000, 3, device="cuda") - 1) * EXTENT
        found = fused.distances(head, planes, some)
        wanted = reference.distances(head.double(), planes.double(), some.double())
        head.float()
        near = wanted.abs() < 0.1
        error = float((found - wanted).abs()[near].max())
        if not error < CLOSE:
            raise SystemExit(f"error: the fused kernel is off by {error:.1e}; nothing was timed")
        points = grid(SIDE)
        rows: dict[str, Any] = {"device": torch.cuda.get_device_name(), "error": error, "points": len(points)}
        matrix = torch.randn(MATRIX_SIDE, MATRIX_SIDE, device="cuda", dtype=torch.float16)
        rate = 2 * MATRIX_SIDE**3 / seconds(lambda: matrix @ matrix)
        rows["matrix_product_tflops"] = rate / 1e12
        count = operations(head)
        rows["operations_a_point"] = count
        shipped = fused.BLOCK, fused.WARPS
        for block, warps in ((64, 4), (64, 8), (128, 4), (128, 8), (256, 8)):
            fused.BLOCK, fused.WARPS = block, warps
            field = fused.FusedField(head, planes)
            out = torch.empty(len(points), device="cuda")
            taken = seconds(lambda field=field, out=out: field.into(out, points))  # type: ignore[misc]
            share = count * len(points) / taken / rate
            rows[f"fused, {block} points, {warps} warps"] = {"seconds": taken, "share": share}
        few = points[: 1 << 21]
        rows["reference"] = {
            "seconds": seconds(lambda: reference.distances(head, planes, few), 5) * len(points) / len(few)
        }
    fused.BLOCK, fused.WARPS = shipped
    for cells in (128, 256):
        walls = []
        for path in paths:
            data = path.read_bytes()
            codec.decode(data, cells)
            for _ in range(5):
                torch.cuda.synchronize()
                began = time.perf_counter()
                detailed = codec.decode_detailed(data, cells)
                walls.append(time.perf_counter() - began)
        rows[f"decode, {cells} cells"] = {"seconds": statistics.median(walls), "stages": detailed.seconds}
    return rows


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON, too")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: no GPU; benchmarks/speed.py measures a processor", file=sys.stderr)
        return 2
    paths = sorted(GOLDEN.glob(f"*-{Codec('cpu').model_id}-1k.vat"))
    text = json.dumps(measure(paths), indent=1)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
