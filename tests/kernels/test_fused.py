"""The Triton kernel: interpreted on the CPU, compiled for GPUs that are not here, and on one that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.interpreter import run
from support.kernels import head_and_planes, some_points
from support.paths import EXAMPLES, GOLDEN
from support.tiny import TINY

from meshcodec.api import Codec
from meshcodec.config import EXTENT, ModelConfig
from meshcodec.geometry.io import load_mesh
from meshcodec.kernels import reference
from meshcodec.runtime.device import KERNEL_VARIABLE

pytest.importorskip("triton", reason="needs the extra gpu")
pytestmark = [pytest.mark.gpu, pytest.mark.slow]

MODELS = {"tiny": TINY, "default": ModelConfig()}
COUNTS = (0, 1, 63, 64, 65, 333)
BEYOND = 64
INTERPRET = """
import sys
import numpy as np, torch
from test_fused import BEYOND, COUNTS, MODELS
from support.kernels import head_and_planes, some_points
from meshcodec.kernels.fused import FusedField
results = {}
for name, config in MODELS.items():
    field = FusedField(*head_and_planes(config))
    for count in COUNTS:
        found = torch.full((count + BEYOND,), torch.nan)
        field.into(found[:count], some_points(count))
        results[f"{name}-{count}"] = found.numpy()
np.savez(sys.argv[1], **results)
"""
COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from support.kernels import head_and_planes
from meshcodec.config import ModelConfig
from meshcodec.kernels.fused import WARPS, FusedField, field_kernel
constants = FusedField(*head_and_planes(ModelConfig())).constants
halves = {"planes", "first", "position", "second"}
types = {n: "*fp16" if n in halves else "*fp32" for n in field_kernel.arg_names}
types |= {"count": "i32"} | dict.fromkeys(constants, "constexpr")
source = ASTSource(fn=field_kernel, signature=types, constexprs=constants)
made = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[2]), 32), options={"num_warps": WARPS})
for kind in ("ptx", "cubin"):
    with open(f"{sys.argv[1]}.{kind}", "wb") as file:
        file.write(made.asm[kind].encode() if kind == "ptx" else made.asm[kind])
"""


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("interpreted")
    run(INTERPRET, folder / "found.npz", cache=folder, TRITON_INTERPRET="1")
    return dict(np.load(folder / "found.npz"))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("model", MODELS)
def test_the_kernel_interpreted_is_the_reference(
    interpreted: dict[str, np.ndarray], model: str, count: int
) -> None:
    """Points outside the box among them, buffers full of NaN, nothing written beyond the last point."""
    points = some_points(count)
    found = interpreted[f"{model}-{count}"]
    assert np.isnan(found[count:]).all()
    wanted = reference.distances(*head_and_planes(MODELS[model]), points)
    np.testing.assert_allclose(found[:count], wanted, atol=5e-4)
    if count > 1:
        assert (points.abs() > EXTENT).any()
        assert wanted.std() > 0.03


def test_a_file_decodes_by_the_kernel_interpreted(tmp_path: Path) -> None:
    script = """
import sys
import numpy as np
from meshcodec import Codec
codec = Codec("cpu")
assert codec.kernel == "triton"
np.save(sys.argv[2], codec.decode(open(sys.argv[1], "rb").read(), 16).vertices)
"""
    path = GOLDEN / f"spot-{Codec('cpu').model_id}-512.vat"
    run(script, path, tmp_path / "v.npy", cache=tmp_path, TRITON_INTERPRET="1", MESHCODEC_KERNEL="triton")
    wanted = Codec("cpu").decode(path.read_bytes(), 16)
    assert np.load(tmp_path / "v.npy").shape == wanted.vertices.shape
    np.testing.assert_allclose(
        np.load(tmp_path / "v.npy"), wanted.vertices, atol=0.05 * 2.1 / 16
    )  # of a cell


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernel_compiles_without_a_gpu(capability: int, tmp_path: Path) -> None:
    run(COMPILE, tmp_path / "made", capability, cache=tmp_path)
    code = (tmp_path / "made.ptx").read_text()
    assert f".target sm_{capability}" in code
    assert "mma." in code  # the tensor cores
    assert "st.global.b32" in code
    assert "st.global.v" not in code  # the distances only, which are one word a thread
    assert (tmp_path / "made.cubin").read_bytes().startswith(b"\x7fELF")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("count", [*COUNTS, 100_000])
@pytest.mark.parametrize("model", MODELS)
def test_the_kernel_on_a_gpu_is_the_reference_in_float64(model: str, count: int) -> None:
    from meshcodec.kernels.fused import FusedField

    head, planes = head_and_planes(MODELS[model])
    points = some_points(count)
    wanted = reference.distances(head.double(), planes.double(), points.double())
    found = torch.full((count + BEYOND,), torch.nan, device="cuda")
    FusedField(head.float().cuda(), planes.cuda()).into(found[:count], points.cuda())
    np.testing.assert_allclose(found[:count].cpu(), wanted, atol=1e-3)
    assert found[count:].isnan().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_decodes_the_same_mesh_by_either_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Codec("cpu").encode(load_mesh(EXAMPLES / "spot.obj"), 512, 0, mode="tokens")
    meshes = []
    for kernel in ("triton", "reference"):
        monkeypatch.setenv(KERNEL_VARIABLE, kernel)
        meshes.append(Codec("cuda").decode(data, 128))
    one, other = meshes
    assert abs(one.volume - other.volume) <= 1e-3 * other.volume
    np.testing.assert_allclose(one.bounds, other.bounds, atol=1e-3 * max(other.extents))
