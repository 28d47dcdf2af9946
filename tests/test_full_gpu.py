"""A GPU without enough memory: work is done in parts, or handed to the CPU. There need be no GPU here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.commands import call

from meshcodec.api import Codec
from meshcodec.model.decoder import FieldHead
from meshcodec.runtime.device import FEWEST_POINTS, in_parts
from meshcodec.weights import load_model


@pytest.mark.parametrize("most", [FEWEST_POINTS, 5000, 10**9])
def test_work_is_done_in_parts_that_fit(most: int) -> None:
    done: list[int] = []

    def doubled(points: torch.Tensor) -> torch.Tensor:
        if len(points) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append(len(points))
        return 2 * points

    points = torch.arange(2 * 70_001).view(-1, 2)
    assert torch.equal(in_parts(doubled, points), 2 * points)
    assert sum(done) == len(points)
    assert max(done) <= most


def test_work_that_never_fits_is_an_error() -> None:
    asked: list[int] = []

    def too_much(points: torch.Tensor) -> torch.Tensor:
        asked.append(len(points))
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        in_parts(too_much, torch.zeros(70_000, 3))
    assert FEWEST_POINTS / 2 < asked[-1] <= FEWEST_POINTS


def test_a_field_that_fits_in_parts_gives_the_same_mesh(
    vat: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHCODEC_KERNEL", "reference")
    codec = Codec("cpu", tiny_weights)
    whole = codec.decode(vat.read_bytes(), 32)
    forward = FieldHead.forward

    def small(head: FieldHead, planes: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        if queries.shape[1] > 2000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(head, planes, queries)

    monkeypatch.setattr(FieldHead, "forward", small)
    parts = codec.decode(vat.read_bytes(), 32)
    assert np.array_equal(parts.faces, whole.faces)
    np.testing.assert_allclose(parts.vertices, whole.vertices, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_full_gpu_hands_over_to_the_cpu(
    verb: str, obj: Path, vat: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is full from the first model on. There need be no GPU for that here."""
    source, out = (obj, "out.vat") if verb == "encode" else (vat, "out.ply")
    options = ["--effort", 1, "--size", 128] if verb == "encode" else ["--resolution", 32]
    paths = [tmp_path / name / out for name in ("cpu", "full")]
    results = []
    for path, device in zip(paths, ("cpu", "cuda"), strict=True):
        path.parent.mkdir()
        if device == "cuda":
            monkeypatch.setattr("meshcodec.engine.choose_device", lambda _: (torch.device("cuda"), "found"))
            monkeypatch.setattr("meshcodec.engine.load_model", full_gpu(load_model))
        words = [verb, source, "-o", path, "--weights", tiny_weights, *options, "--json"]
        results.append(call(*words))
        assert results[-1].exit_code == 0, results[-1].stderr
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert "warning" not in results[0].stderr
    assert results[1].stderr.splitlines()[0] == (
        "meshcodec: warning: the GPU ran out of memory: going on with the CPU"
    )
    assert json.loads(results[1].stdout)["device"] == "cpu"


def full_gpu(load: Callable[..., torch.nn.Module]) -> Callable[..., torch.nn.Module]:
    def loaded(entry: object) -> torch.nn.Module:
        model = load(entry)
        move = model.to

        def to(device: torch.device) -> torch.nn.Module:
            if device.type == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory")
            return move(device)

        model.to = to  # type: ignore[method-assign, assignment]
        return model

    return loaded
