"""Every way of evaluating the field against the model in float64, and the dispatch between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import point_cloud_utils as pcu
import pytest
import torch
from numpy.typing import NDArray
from support.kernels import head_and_planes, some_points
from support.paths import GOLDEN

from meshcodec.api import Codec
from meshcodec.config import EXTENT
from meshcodec.errors import UsageError
from meshcodec.format.container import VatFile
from meshcodec.format.payload import Packing
from meshcodec.geometry.normalize import BoxTransform
from meshcodec.kernels import field_of, reference
from meshcodec.kernels.tables import CHUNK, ERRORS, GridTables
from meshcodec.model.decoder import FieldHead
from meshcodec.runtime.device import KERNEL_VARIABLE, choose_kernel
from meshcodec.runtime.threads import in_threads
from meshcodec.surface.field import by_points
from meshcodec.surface.grid import grid_to_world
from meshcodec.weights import load_model

FILES = [next(GOLDEN.glob(name)) for name in ("car-*-512.vat", "sail_ship-*-4k.vat", "spot-*-512-coded.vat")]
"""A mirror, a box and an iso offset; a box and an iso offset; coded tokens."""
CPU = torch.device("cpu")


def truth(head: FieldHead, planes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Distances in float64, straight from the definition: one point and one plane at a time."""
    C, P = planes.shape[-1], planes.shape[1]
    state = {name: value.double() for name, value in head.state_dict().items()}
    found = []
    for point in points.double():
        features = []
        for plane, (row, column) in zip(planes.double(), ((0, 1), (1, 2), (2, 0)), strict=True):
            r, c = (((point[a] / EXTENT + 1) * P - 1).div(2).clamp(0, P - 1) for a in (row, column))
            mixed = torch.zeros(C, dtype=torch.float64)
            for i in range(P):
                for j in range(P):
                    share = (1 - (r - i).abs()).clamp(min=0) * (1 - (c - j).abs()).clamp(min=0)
                    if share > 0:
                        mixed += share * plane[i, j]
            features.append(mixed)
        features.append(point)
        for wave in (torch.sin, torch.cos):
            features += [wave(torch.pi * 2.0**k * x).view(1) for x in point for k in range(head.octaves)]
        hidden = torch.cat(features)
        for layer in (0, 2):
            hidden = state[f"mlp.{layer}.weight"] @ hidden + state[f"mlp.{layer}.bias"]
            hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        found.append(0.1 * (state["mlp.4.weight"] @ hidden + state["mlp.4.bias"]))
    return torch.cat(found)


def ticks_of(resolution: int) -> torch.Tensor:
    index = np.repeat(np.arange(resolution + 1)[:, None], 3, axis=1)
    lo = np.array([-EXTENT, -EXTENT - 0.03, -EXTENT])  # as with a mirror
    return torch.from_numpy(grid_to_world(index, resolution, lo, EXTENT).astype(np.float32))


@pytest.mark.slow
def test_the_reference_is_the_definition() -> None:
    head, planes = head_and_planes()
    points = some_points(9)
    assert (points.abs() > EXTENT).any()
    wanted = truth(head, planes, points)
    got = reference.distances(head.double(), planes.double(), points.double())
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    assert wanted.abs().max() > 1e-3
    got = reference.distances(head.float(), planes, points)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 5e-3)])
def test_tables_have_the_distances_of_the_reference(threads: int, dtype: torch.dtype, error: float) -> None:
    head, planes = head_and_planes()
    resolution = 24
    ticks = ticks_of(resolution)
    keys = torch.from_numpy(np.random.default_rng(1).permutation(25**3).astype(np.int32))
    wanted = by_points(lambda p: reference.distances(head, planes, p), ticks)(keys)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tables = GridTables(head, planes, ticks, dtype)
        assert len(keys) > 3 * CHUNK
        found = tables(keys)
        assert torch.get_num_threads() == threads
        exact = tables.exact(keys)
        for few in (0, 1, 17):
            np.testing.assert_allclose(tables(keys[:few]), found[:few], atol=error / 4)
    finally:
        torch.set_num_threads(before)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found, wanted, atol=error)
    np.testing.assert_allclose(exact, wanted, atol=1e-6)


def test_work_in_threads_is_all_done_and_its_errors_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    done: list[int] = []
    meet = threading.Barrier(2, timeout=30)

    def work(number: int) -> None:
        assert not torch.is_grad_enabled()
        meet.wait()  # for another thread
        done.append(number)

    in_threads(work, [(n,) for n in range(6)])
    assert sorted(done) == list(range(6))

    def fails(number: int) -> None:
        raise ValueError(f"number {number}")

    with pytest.raises(ValueError, match="number 3"):
        in_threads(fails, [(3,)])


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("cpu")


def exact_field(codec: Codec, data: bytes) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The field of a file in float64, at points in the frame of its mesh."""
    file = VatFile.from_bytes(data)
    placement = BoxTransform(*file.box)
    model = load_model(codec.registry.find(file.model_id))
    row = torch.from_numpy(codec.tokens(data).copy())[None]
    with torch.no_grad():
        planes = model.planes(row)[0].permute(0, 2, 3, 1).double()
    head = model.field.double()

    def field(points: NDArray[np.float64]) -> NDArray[np.float64]:
        unit = placement.to_unit(points)
        lowest = np.where(file.mirrored, -EXTENT, -np.inf)  # what lies below is the image of what lies above
        unit = np.where(unit < lowest, 2 * lowest - unit, unit)
        result: NDArray[np.float64] = reference.distances(head, planes, torch.from_numpy(unit)).numpy()
        return result

    return field


def test_the_files_have_all_that_a_file_can_have() -> None:
    car, ship, spot = (VatFile.from_bytes(path.read_bytes()) for path in FILES)
    assert car.mirrored[0]
    for file in (car, ship):
        assert file.iso_offset
        assert file.half_extents is not None
        assert len(set(file.half_extents)) == 3
    assert (car.packing, ship.packing, spot.packing) == (Packing.BYTES, Packing.BYTES, Packing.CODED)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_is_the_same_mesh_by_tables_and_by_the_reference(
    codec: Codec, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether two sides make a slit hangs on thresholds, which the last bits of a field may cross.
    monkeypatch.setattr("meshcodec.surface.slits.LEAST", 1.0)
    monkeypatch.setattr(codec.engine, "place", replace(codec.engine.place, kernel="reference"))
    wanted = codec.decode(path.read_bytes(), 96)
    monkeypatch.setattr(codec.engine, "place", replace(codec.engine.place, kernel="tables"))
    field = exact_field(codec, path.read_bytes())
    for fast, most in ((False, 1e-5), (True, 1e-3)):
        monkeypatch.setattr("meshcodec.kernels.bfloat16_is_fast", lambda device, fast=fast: fast)
        got = codec.decode(path.read_bytes(), 96)
        assert len(got.faces) == pytest.approx(len(wanted.faces), rel=1e-3)
        for here, there in ((got, wanted), (wanted, got)):
            distances, face, weights = pcu.closest_points_on_mesh(here.vertices, there.vertices, there.faces)
            off = distances > most * max(wanted.extents)
            if fast or not off.any():
                assert not off.any()
                continue
            # Where the field is flat, its last bits, which differ between processors, move the surface far:
            # then what lies between has the same distance but for these.
            nearest = (there.vertices[there.faces[face[off]]] * weights[off][:, :, None]).sum(axis=1)
            assert np.abs(field(here.vertices[off]) - field(nearest)).max() < 1e-6


@pytest.mark.slow
def test_what_may_be_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong by as much as they may be, the quick distances give the same signs, hence the same faces."""
    monkeypatch.setattr("meshcodec.kernels.bfloat16_is_fast", lambda device: True)
    exact, off = Codec("cpu"), Codec("cpu")
    exact.engine.place = replace(exact.engine.place, kernel="reference")
    error = ERRORS[torch.bfloat16]

    def wrong(tables: GridTables, keys: torch.Tensor) -> torch.Tensor:
        return tables.exact(keys) + error / 2 * torch.where(keys % 2 == 0, 1.0, -1.0)

    data = FILES[-1].read_bytes()
    monkeypatch.setattr(GridTables, "__call__", wrong)
    one, other = exact.decode(data, 64), off.decode(data, 64)
    np.testing.assert_array_equal(one.faces, other.faces)
    assert not np.array_equal(one.vertices, other.vertices)


@pytest.mark.slow
def test_the_kernel_goes_by_the_device_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cuda = torch.device("cuda")
    assert choose_kernel(CPU)[0] == "tables"
    for installed, kernel in ((True, "triton"), (False, "reference")):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, found=installed: found or None)
        assert choose_kernel(cuda)[0] == kernel
    monkeypatch.setenv(KERNEL_VARIABLE, "triton")
    with pytest.raises(UsageError, match="not installed"):
        choose_kernel(cuda)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    assert choose_kernel(cuda) == ("triton", "MESHCODEC_KERNEL=triton")
    with pytest.raises(UsageError, match="needs CUDA, the device is cpu"):
        choose_kernel(CPU)
    monkeypatch.setenv(KERNEL_VARIABLE, "reference")
    assert choose_kernel(cuda)[0] == choose_kernel(CPU)[0] == "reference"
    monkeypatch.setenv(KERNEL_VARIABLE, "fast")
    with pytest.raises(UsageError, match="MESHCODEC_KERNEL=fast: no such kernel; set it to one of auto"):
        Codec("cpu")
    head, planes = head_and_planes()
    points = some_points(70_000)
    images = planes.permute(0, 3, 1, 2)
    for kernel in ("tables", "reference"):
        np.testing.assert_allclose(
            field_of(head, images, kernel)(points), reference.distances(head, planes, points), atol=1e-6
        )
