"""Encoding to a quality: the smallest preset size that reaches it, or the best there is."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from support.paths import EXAMPLES

from meshcodec.api import Codec
from meshcodec.config import SIZES, TAUS
from meshcodec.errors import DoesNotFitError, UsageError
from meshcodec.format.payload import Packing
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import Reference, Scores
from meshcodec.modes.choose import CodecSettings
from meshcodec.modes.result import Encoded
from meshcodec.modes.tokens.settings import JudgeSettings, TokenSettings
from meshcodec.target import Measured, Target, smallest_sufficient

BALL = trimesh.creation.icosphere(3)
SIZES_UP = sorted(SIZES.values())


def encoded(size: int) -> Encoded:
    return Encoded(bytes(size), size, Packing.BYTES, 1, 0, False, False, {})


def stub(radii: dict[int, float], target: Target, **options: object) -> tuple[Measured, list[int]]:
    """The answer where the file of each size decodes to a ball of such a radius, and the sizes tried."""
    tried: list[int] = []

    def encode(size: int) -> Encoded:
        tried.append(size)
        if size not in radii:
            raise DoesNotFitError("too small")
        return encoded(size)

    def decode(data: bytes) -> trimesh.Trimesh:
        mesh: trimesh.Trimesh = trimesh.creation.icosphere(3, radii[len(data)])
        return mesh

    return smallest_sufficient(target, Reference(BALL), encode, decode, **options), tried  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("radii", "size"),
    [((1.0, 1.0, 1.0, 1.0), 512), ((1.3, 1.0, 1.0, 1.0), 1024), ((1.3, 1.3, 1.3, 1.0), 4096)],
)
def test_the_smallest_size_that_meets_the_target(radii: tuple[float, ...], size: int) -> None:
    by_size = dict(zip(SIZES_UP, radii, strict=True))
    for target in (Target(0.9), Target(0.9, TAUS[1]), Target(max_error=0.01), Target(0.9, max_error=0.01)):
        measured, tried = stub(by_size, target)
        assert measured.met
        assert len(measured.encoded.data) == size
        assert tried == [s for s in SIZES_UP if s <= size]


@pytest.mark.slow
def test_the_best_where_none_is_enough() -> None:
    by_size = dict(zip(SIZES_UP, (1.3, 1.005, 1.2, 1.015), strict=True))
    measured, tried = stub(by_size, Target(1.01, TAUS[1]))  # more than there is
    assert (measured.met, len(measured.encoded.data), tried) == (False, 1024, SIZES_UP)
    measured, _ = stub(by_size, Target(max_error=1e-6))
    assert (measured.met, len(measured.encoded.data)) == (False, 1024)
    assert "the best, of 1024 bytes, has an error of 0.00" in Target(max_error=1e-6).missed_by(measured)


@pytest.mark.slow
def test_a_size_that_holds_nothing_is_passed_over() -> None:
    measured, tried = stub({1024: 1.0}, Target(0.9))
    assert (measured.met, len(measured.encoded.data), tried) == (True, 1024, [512, 1024])
    with pytest.raises(DoesNotFitError):
        stub({}, Target(0.9))


@pytest.mark.slow
def test_a_stop_ends_the_search_with_what_there_is() -> None:
    by_size = dict.fromkeys(SIZES_UP, 1.3)
    measured, tried = stub(by_size, Target(0.9), stop=lambda: True)
    assert (measured.met, tried) == (False, [512])


@pytest.mark.slow
def test_scores_are_those_of_the_metric() -> None:
    measured, _ = stub(dict.fromkeys(SIZES_UP, 1.001), Target(0.9))
    again = Reference(BALL).score(
        trimesh.creation.icosphere(3, 1.001), exterior=False, points=False, iou=False
    )
    assert measured.scores == again


@pytest.mark.slow
def test_a_real_mesh_gets_the_size_that_trying_all_gives() -> None:
    tau, codec = TAUS[1], Codec("cpu")
    quick = TokenSettings(judge=JudgeSettings(resolution=48))
    codec.settings = CodecSettings(tokens=quick)
    path = EXAMPLES / "spot.obj"
    reference = Reference(load_mesh(path))

    def scores(data: bytes) -> Scores:
        return reference.score(codec.decode(data, 48), exterior=False, points=False, iou=False)

    files = [codec.encode(path, size, effort=0, mode="tokens") for size in SIZES_UP]
    wanted = [Target(tau=tau).fscore(scores(data)) for data in files]
    for fscore in wanted:
        first = next(data for data, reached in zip(files, wanted, strict=True) if reached >= fscore)
        measured = codec.encode_to_target(path, Target(fscore, tau), effort=0, mode="tokens")
        assert measured.encoded.data == first
        assert measured.met


def test_a_distance_that_is_not_measured() -> None:
    with pytest.raises(UsageError, match=r"0\.03"):
        Codec("cpu").encode_to_target(BALL, Target(0.5, 0.03), effort=0)


@pytest.mark.slow
def test_nothing_asked_for_is_met_by_anything() -> None:
    measured, tried = stub(dict.fromkeys(SIZES_UP, 2.0), Target())
    assert measured.met
    assert tried == [512]
    assert np.isfinite(measured.scores.p95)
