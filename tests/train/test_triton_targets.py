"""The Triton kernels that sample for training: interpreted, and compiled for GPUs that are not here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.interpreter import run

from meshcodec.train import torch_targets

pytest.importorskip("triton", reason="needs the extra gpu")
pytestmark = [pytest.mark.gpu, pytest.mark.slow]

SIZES = ((0, 3), (1, 0), (1, 1), (16, 64), (37, 130))
"""Triangles and points."""
INTERPRET = """
import sys
import numpy as np
from test_triton_targets import SIZES, subject
from meshcodec.train import triton_targets
from meshcodec.train.torch_targets import triangle_table
results = {}
for faces, count in SIZES:
    corners, points = subject(faces, count)
    results[f"winding-{faces}-{count}"] = triton_targets.winding_number(points, corners).numpy()
    if faces:
        found = triton_targets.unsigned_distance(points, triangle_table(corners)).numpy()
        results[f"distance-{faces}-{count}"] = found
np.savez(sys.argv[1], **results)
"""
COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from meshcodec.train.triton_targets import BLOCK, TILE, distance_kernel, winding_kernel
for kernel in (winding_kernel, distance_kernel):
    types = dict.fromkeys(kernel.arg_names, "*fp32") | {"count": "i32", "faces": "i32"}
    constants = {"BLOCK": BLOCK, "TILE": TILE}
    types |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32))
    assert made.asm["cubin"].startswith(b"\\x7fELF")
"""


def subject(faces: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners (F, 3, 3), among them those of a line and of a point, and points (n, 3)."""
    stream = torch.Generator().manual_seed(faces)
    corners = torch.randn(faces, 3, 3, generator=stream) / 2
    if faces > 30:
        corners[3, 2] = corners[3, 1]
        corners[4] = corners[4, :1]
    return corners, torch.randn(count, 3, generator=stream)


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("interpreted")
    run(INTERPRET, folder / "found.npz", cache=folder, TRITON_INTERPRET="1")
    return dict(np.load(folder / "found.npz"))


@pytest.mark.parametrize(("faces", "count"), SIZES)
def test_the_kernels_interpreted_are_the_sums_in_torch(
    interpreted: dict[str, np.ndarray], faces: int, count: int
) -> None:
    corners, points = (t.double() for t in subject(faces, count))
    winding = torch_targets.winding_number(points, corners)
    np.testing.assert_allclose(interpreted[f"winding-{faces}-{count}"], winding, atol=1e-5)
    if faces:
        distance = torch_targets.unsigned_distance(points, corners)
        np.testing.assert_allclose(interpreted[f"distance-{faces}-{count}"], distance, atol=1e-6)


@pytest.mark.parametrize("capability", [80, 90])
def test_they_compile_without_a_gpu(capability: int, tmp_path: Path) -> None:
    run(COMPILE, capability, cache=tmp_path)
