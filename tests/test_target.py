"""Encoding to a quality: the answer is the one that trying every size gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import EXAMPLES

from meshcodec.api import Codec
from meshcodec.config import SIZES, TAUS
from meshcodec.errors import UsageError
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Reference, Scores
from meshcodec.target import Measured, Target

MESHES = sorted(EXAMPLES.glob("*.obj"))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("cpu")


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Decoded at 48 cells, which is enough to compare and quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Codec.decode, "__defaults__", (48, None))
        yield


@pytest.fixture(scope="module", params=MESHES, ids=lambda path: path.stem)
def exhaustive(request: pytest.FixtureRequest, codec: Codec) -> tuple[Path, list[tuple[bytes, Scores]]]:
    """The file of each size and its scores, smallest first."""
    reference = Reference(load_mesh(request.param))
    files = [codec.encode(request.param, size, effort=0) for size in sorted(SIZES.values())]
    return request.param, [
        (data, reference.score(codec.decode(data), exterior=False, points=False, iou=False)) for data in files
    ]


def smallest(found: list[tuple[bytes, Scores]], target: Target) -> bytes | None:
    return next((data for data, scores in found if target.met_by(scores)), None)


def check(measured: Measured, data: bytes, scores: Scores, met: bool) -> None:
    assert measured.encoded.data == data
    assert measured.scores == scores
    assert measured.met is met


@pytest.mark.parametrize("tau", TAUS[:2])
def test_the_smallest_sufficient_size(
    tau: float, codec: Codec, exhaustive: tuple[Path, list[tuple[bytes, Scores]]]
) -> None:
    path, found = exhaustive
    for _, wanted in found:
        target = Target(Target(tau=tau).fscore(wanted), tau)
        data = smallest(found, target)
        assert data is not None
        check(codec.encode_to_target(path, target, effort=0), data, dict(found)[data], met=True)


def test_the_smallest_size_within_an_error(
    codec: Codec, exhaustive: tuple[Path, list[tuple[bytes, Scores]]]
) -> None:
    path, found = exhaustive
    target = Target(max_error=sorted(scores.p95 for _, scores in found)[1])
    data = smallest(found, target)
    assert data is not None
    check(codec.encode_to_target(path, target, effort=0), data, dict(found)[data], met=True)


def test_the_best_where_none_is_enough(
    codec: Codec, exhaustive: tuple[Path, list[tuple[bytes, Scores]]]
) -> None:
    path, found = exhaustive
    best = max(found, key=lambda f: f[1].at(0.01))
    check(codec.encode_to_target(path, Target(1.0, 0.01), effort=0), *best, met=False)
    best = min(found, key=lambda f: f[1].p95)
    check(codec.encode_to_target(path, Target(max_error=1e-6), effort=0), *best, met=False)


def test_a_distance_that_is_not_measured(codec: Codec) -> None:
    with pytest.raises(UsageError, match=r"0\.03"):
        codec.encode_to_target(MESHES[0], Target(0.5, 0.03))
