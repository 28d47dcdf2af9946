"""Tokens, a mesh, or the better of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh
from support.refinement import COARSE

from meshcodec.api import Codec
from meshcodec.config import MIN_SIZE
from meshcodec.errors import DoesNotFitError, UsageError, WeightsError
from meshcodec.format.container import VatFile
from meshcodec.metrics import is_closed, score
from meshcodec.modes.choose import ChoiceSettings, CodecSettings
from meshcodec.modes.result import ModeScores

BOX = trimesh.creation.box((1.0, 2.0, 3.0))
BALL = trimesh.creation.icosphere(subdivisions=3)


def codec_with(weights: Path, enough: float) -> Codec:
    """A codec that tries tokens, too, where the scores of a mesh add up to less than `enough`."""
    return Codec("cpu", weights, settings=CodecSettings(COARSE, choice=ChoiceSettings(enough, enough)))


@pytest.mark.slow
def test_a_box_is_a_mesh_and_no_tokens_are_made(both_weights: Path) -> None:
    codec = codec_with(both_weights, 2.0)
    encoded = codec.encode_detailed(BOX, 128, 0)
    assert (encoded.mode, encoded.tokens, VatFile.from_bytes(encoded.data).mode) == ("mesh", 0, "mesh")
    assert [one.mode for one in encoded.compared] == ["mesh"]
    assert encoded.mesh is not None
    assert (encoded.mesh.faces, encoded.mesh.closed) == (12, True) or any(
        VatFile.from_bytes(encoded.data).mirrored
    )
    decoded = codec.decode(encoded.data)
    assert is_closed(decoded)
    assert decoded.volume == pytest.approx(6.0, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [BOX, BALL], ids=["box", "ball"])
def test_the_way_that_measures_higher_is_kept(both_weights: Path, mesh: trimesh.Trimesh) -> None:
    codec = codec_with(both_weights, 5.0)
    encoded = codec.encode_detailed(mesh, 200, 0)
    kept, other = encoded.compared
    assert {kept.mode, other.mode} == {"mesh", "tokens"}
    assert kept.mode == encoded.mode
    assert kept.total >= other.total
    for one in encoded.compared:
        data = codec.encode(mesh, 200, 0, mode=one.mode)
        assert len(data) == one.bytes <= 200
        found = score(mesh, codec.decode(data, 48), exterior=False, points=False, iou=False)
        assert (found.f, found.normal_consistency) == (one.fscores, one.normal_consistency)


@pytest.mark.slow
def test_what_nothing_is_compared_with_is_measured_for_who_asks(both_weights: Path) -> None:
    codec = codec_with(both_weights, 2.0)
    for mode in ("auto", "mesh"):
        unmeasured = codec.encode_detailed(BOX, 128, 0, mode=mode, measure=False)
        measured = codec.encode_detailed(BOX, 128, 0, mode=mode)
        assert unmeasured.compared == ()
        assert len(measured.compared) == 1
        assert unmeasured.data == measured.data == codec.encode(BOX, 128, 0, mode=mode)
    both = codec_with(both_weights, 5.0).encode_detailed(BOX, 128, 0, measure=False)
    assert {one.mode for one in both.compared} == {"mesh", "tokens"}


@pytest.mark.parametrize(("normals", "least"), [(0.9, 3.5), (0.8, 3.8)], ids=["smooth", "rough"])
def test_rough_meshes_of_small_files_are_tried_as_tokens_more_often(normals: float, least: float) -> None:
    choice = ChoiceSettings(enough=3.5, rough_enough=3.8, smooth=0.85, small_size=1000)
    for size, enough in ((64, least), (999, least), (1000, 3.5), (4096, 3.5)):
        for more, suffices in ((-0.01, False), (0.01, True)):
            f = (enough + more - normals) / 3
            assert choice.suffices(ModeScores("mesh", size, (f, f, f), normals, 1.0), size) == suffices
    for size, most in ((999, 3.8), (1000, 3.5)):
        assert [choice.clearly_suffices(most + more, size) for more in (0.04, 0.06)] == [False, True]


@pytest.mark.slow
def test_what_clearly_suffices_is_not_measured(both_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("meshcodec.modes.load.LoadedMesh.reference", too_much)
    assert len(codec_with(both_weights, 2.0).encode(BOX, 1024, 0)) <= 1024
    with pytest.raises(AssertionError, match="measured"):
        codec_with(both_weights, 4.0).encode(BOX, 1024, 0)


def test_the_sum_that_decides() -> None:
    one = ModeScores("mesh", 512, (0.9, 0.8, 0.7), 0.6, 1.0)
    assert one.total == pytest.approx(3.0)


@pytest.mark.slow
def test_a_size_that_holds_no_mesh(both_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest file leaves 32 bytes, into which a coarsest mesh fits: here there are 4."""
    codec = codec_with(both_weights, 5.0)
    monkeypatch.setattr("meshcodec.modes.choose.payload_bytes", lambda size, version: size - 60)
    with pytest.raises(DoesNotFitError, match=r"ask for --size \d+ or more, or use --mode tokens") as caught:
        codec.encode(BALL, 64, 0, mode="mesh")
    assert caught.value.exit_code == 4
    assert VatFile.from_bytes(codec.encode(BALL, 64, 0)).mode == "tokens"
    monkeypatch.undo()
    enough = max(caught.value.least, MIN_SIZE)
    assert len(codec.encode(BALL, enough, 0, mode="mesh")) <= enough


@pytest.mark.slow
def test_tokens_are_made_where_they_are_asked_for(both_weights: Path, tiny_weights: Path) -> None:
    codec = Codec("cpu", both_weights)
    for options in ({"mode": "tokens"}, {"packing": "bytes"}):
        data = codec.encode(BALL, 128, 0, **options)  # type: ignore[arg-type]
        assert len(codec.tokens(data))
    with pytest.raises(UsageError, match="--packing bytes is about tokens"):
        codec.encode(BALL, 128, 0, packing="bytes", mode="mesh")
    with pytest.raises(UsageError, match="choose auto, tokens, mesh"):
        codec.encode(BALL, 128, 0, mode="lego")
    without = Codec("cpu", tiny_weights)
    assert len(without.tokens(without.encode(BALL, 128, 0)))
    with pytest.raises(WeightsError, match="no networks that code meshes"):
        without.encode(BALL, 128, 0, mode="mesh")


@pytest.mark.slow
def test_what_needs_tokens_says_so(both_weights: Path) -> None:
    codec = Codec("cpu", both_weights)
    data = codec.encode(BOX, 128, 0, mode="mesh")
    with pytest.raises(UsageError, match="encode with --mode tokens"):
        codec.tokens(data)
    with pytest.raises(UsageError, match="encode with --mode tokens"):
        codec.decode(data, tokens=5)


@pytest.mark.slow
def test_many_meshes_are_encoded_as_each_alone(both_weights: Path) -> None:
    codec = codec_with(both_weights, 5.0)
    assert codec.encode_many([BOX, BALL], 200, 0) == [codec.encode(mesh, 200, 0) for mesh in (BOX, BALL)]


@pytest.mark.slow
def test_who_stops_gets_the_mesh_that_there_is(both_weights: Path) -> None:
    codec = codec_with(both_weights, 5.0)
    encoded = codec.encode_detailed(BALL, 200, 0, stop=lambda: True)
    assert (encoded.mode, encoded.interrupted, len(encoded.compared)) == ("mesh", True, 1)
    assert encoded.data == codec.encode_detailed(BALL, 200, 0, mode="mesh", stop=lambda: True).data
