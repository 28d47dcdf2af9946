"""The codec as Python sees it: what it takes, what it leaves alone, and its life in a forked process."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from support.paths import EXAMPLES, GOLDEN, ROOT
from support.tiny import write_vat

import meshcodec
from meshcodec.api import Codec
from meshcodec.errors import CorruptFileError, UnknownModelError
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.registry import Registry
from meshcodec.weights import load_model

BALL = trimesh.creation.icosphere(subdivisions=2)
QUICK: dict[str, Any] = {"size": 128, "effort": 0}


@pytest.fixture(scope="module")
def codec(tiny_weights: Path) -> Codec:
    return Codec("cpu", tiny_weights)


# ---- what is taken


@pytest.mark.slow
def test_every_kind_of_source_is_encoded_to_the_same_file(codec: Codec, tmp_path: Path) -> None:
    data = export_mesh(BALL, "ply")
    path = tmp_path / "ball.ply"
    path.write_bytes(data)
    mesh = load_mesh(path)
    expected = codec.encode(path, **QUICK)
    for source in (str(path), mesh, trimesh.Scene([mesh]), (mesh.vertices, mesh.faces)):
        assert codec.encode(source, **QUICK) == expected
    for content in (data, io.BytesIO(data)):
        assert codec.encode(content, file_type="ply", **QUICK) == expected
        assert codec.encode_many([data], file_type="ply", **QUICK) == [expected]
    with path.open("rb") as stream:
        assert codec.encode(stream, **QUICK) == expected


@pytest.mark.slow
def test_every_kind_of_source_is_decoded_to_the_same_mesh(
    codec: Codec, tmp_path: Path, tiny_weights: Path
) -> None:
    path = write_vat(tmp_path / "ball.vat", tiny_weights)
    data = path.read_bytes()
    expected = codec.decode(data, 32)
    with path.open("rb") as stream:
        found = [
            codec.decode(source, 32)
            for source in (path, str(path), stream, io.BytesIO(data), bytearray(data))
        ]
    found += codec.decode_many([path, data], 32)
    for mesh in found:
        np.testing.assert_array_equal(mesh.vertices, expected.vertices)
    for source in (path, data):
        np.testing.assert_array_equal(codec.tokens(source), np.arange(21))


@pytest.mark.parametrize("call", ["encode", "encode_detailed", "prepare"])
def test_what_cannot_be_encoded_is_said(codec: Codec, call: str) -> None:
    for source in (5, None, [BALL]):
        with pytest.raises(TypeError, match=f"^encode takes a path, .*, not {type(source).__name__}$"):
            getattr(codec, call)(source)
    with pytest.raises(TypeError, match=r"^encode takes a path, .*, not int$"):
        codec.encode_many([5])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"^encode_many takes several of them, such as a list, not str$"):
        codec.encode_many("ball.obj")


def test_what_cannot_be_decoded_is_said(codec: Codec, tmp_path: Path, tiny_weights: Path) -> None:
    for source in (5, None, BALL):
        with pytest.raises(
            TypeError, match=rf"^decode takes the bytes of a \.vat .*, not {type(source).__name__}$"
        ):
            codec.decode(source)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^decode_many takes several of them, such as a list, not bytes$"):
        codec.decode_many(b"VAT")  # type: ignore[arg-type]
    with pytest.raises(CorruptFileError, match=r"none\.vat: there is no such file"):
        codec.decode(tmp_path / "none.vat")
    whole = write_vat(tmp_path / "ball.vat", tiny_weights).read_bytes()
    (tmp_path / "cut.vat").write_bytes(whole[:20])
    (tmp_path / "other.vat").write_bytes(next(GOLDEN.glob("spot-*-512.vat")).read_bytes())
    with pytest.raises(CorruptFileError, match=r"cut\.vat: "):
        codec.decode(str(tmp_path / "cut.vat"))
    with pytest.raises(UnknownModelError, match=r"other\.vat: made with model"):
        codec.decode(tmp_path / "other.vat")


@pytest.mark.slow
def test_the_functions_of_the_package_take_the_same() -> None:
    data = (EXAMPLES / "spot.obj").read_bytes()
    made = meshcodec.encode(data, size=512, effort=0, device="cpu", file_type="obj", mode="tokens")
    assert made == meshcodec.encode(EXAMPLES / "spot.obj", size=512, effort=0, device="cpu", mode="tokens")
    assert len(meshcodec.decode(io.BytesIO(made), 32, "cpu").faces) > 100


# ---- what is left alone


def states() -> list[Any]:
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()]  # type: ignore[index]


def test_loading_weights_draws_no_random_numbers() -> None:
    before = states()
    load_model(Registry().default())
    assert states() == before


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_random_states_and_threads_stay_as_they_are(tiny_weights: Path) -> None:
    before, threads = states(), torch.get_num_threads()
    codec = Codec("cpu", tiny_weights)
    codec.decode(codec.encode(BALL, size=128, effort=1), 32)
    assert states() == before
    assert torch.get_num_threads() == threads


# ---- forks

IN_A_FORK = """
import multiprocessing, sys
from pathlib import Path
import torch
from meshcodec.api import Codec
from meshcodec.metrics import fscore

torch.set_num_threads(2)
codec = Codec("cpu")
path, mesh = Path(sys.argv[1]), sys.argv[2]
whole = codec.decode(path, 64)  # starts the threads of this process
made = codec.encode(mesh, size=512, effort=0, mode="tokens")

def work(_):
    again = codec.decode(path, 64)
    # On some processors the last bits of a field's sums hang on the number of threads.
    same = again.faces.shape == whole.faces.shape and abs(again.vertices - whole.vertices).max() < 1e-6
    as_before = bool(same) and codec.encode(mesh, size=512, effort=0, mode="tokens") == made
    return torch.get_num_threads(), as_before, fscore(whole, again)

with multiprocessing.get_context("fork").Pool(2) as pool:
    for found in pool.map(work, range(2)):
        print(found)
print(torch.get_num_threads())
"""


@pytest.mark.slow
def test_a_forked_process_goes_on_with_one_thread() -> None:
    """OpenMP's threads are gone in a child, which would wait for them for ever."""
    golden = sorted(GOLDEN.glob("spot-*-512.vat"))[0]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK, golden, EXAMPLES / "spot.obj"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["(1, True, (1.0, 1.0, 1.0))"] * 2 + ["2"], done.stderr
