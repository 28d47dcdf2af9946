"""The same input gives the same file: on repeated runs, and at effort 0 for any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from support.paths import ROOT
from support.refinement import HURRIED

from meshcodec.api import Codec
from meshcodec.geometry.io import load_mesh
from meshcodec.modes.choose import CodecSettings

EXAMPLES = sorted((ROOT / "examples").glob("*.obj"))
SCRIPT = """
import sys, torch
from pathlib import Path
from meshcodec import Codec
torch.set_num_threads(int(sys.argv[1]))
codec = Codec("cpu")
for path in sys.argv[3:]:
    Path(sys.argv[2], Path(path).stem + ".vat").write_bytes(codec.encode(path, 4096, 0, mode="tokens"))
"""


@pytest.mark.slow
def test_the_tokens_are_the_same_for_one_and_two_threads(tmp_path: Path) -> None:
    files = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        command = [sys.executable, "-c", SCRIPT, str(threads), str(folder), *map(str, EXAMPLES)]
        # What is set before torch is imported counts for the libraries below it, too.
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, env=environment)
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(files[0]) == len(EXAMPLES)
    assert files[0] == files[1]


@pytest.mark.slow
@pytest.mark.parametrize("effort", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_repeated_run_gives_the_same_bytes(effort: int) -> None:
    mesh = load_mesh(EXAMPLES[0])
    files = [
        Codec("cpu", settings=CodecSettings(tokens=HURRIED)).encode(mesh, 512, effort, mode="tokens")
        for _ in range(2)
    ]
    assert files[0] == files[1]


@pytest.mark.slow
def test_another_seed_gives_other_samples_and_the_same_size(shipped: Codec) -> None:
    mesh = trimesh.creation.torus(1.0, 0.3)
    one, other = (shipped.encode(mesh, 512, 0, seed, packing="bytes", mode="tokens") for seed in (0, 1))
    assert one != other
    assert len(one) == len(other)


@pytest.mark.slow
def test_a_repeated_decode_gives_the_same_mesh(shipped: Codec) -> None:
    data = shipped.encode(load_mesh(EXAMPLES[0]), 512, 0, mode="tokens")
    one, other = (Codec("cpu").decode(data, 64) for _ in range(2))
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_gpu_gives_nearly_the_same_tokens_and_the_same_mesh(path: Path, shipped: Codec) -> None:
    """docs/architecture.md states the share of tokens that may differ at effort 0."""
    gpu, mesh = Codec("cuda"), load_mesh(path)
    one, other = (codec.encode(mesh, 4096, 0, mode="tokens") for codec in (shipped, gpu))
    assert (shipped.tokens(one) != shipped.tokens(other)).mean() <= 0.02
    here, there = (codec.decode(one, 64) for codec in (shipped, gpu))
    distances, _ = cKDTree(here.vertices).query(there.vertices)
    assert np.quantile(distances, 0.999) <= 1e-3 * mesh.extents.max()
