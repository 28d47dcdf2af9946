"""Files whose tokens are entropy-coded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coder import tiny_coder
from support.refinement import HURRIED
from support.tiny import TINY

from meshcodec.api import Codec
from meshcodec.cli import cli
from meshcodec.errors import CorruptFileError, UsageError, WeightsError
from meshcodec.format.container import VatFile
from meshcodec.format.payload import Packing
from meshcodec.modes.choose import CodecSettings
from meshcodec.modes.tokens.fill import token_budget
from meshcodec.tokens import TokenDataset
from meshcodec.weights import save_coder


@pytest.fixture(scope="module")
def coded_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `tiny_weights` with a coder."""
    folder = tmp_path_factory.mktemp("coded")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    codec = Codec("cpu", folder)
    usual = int(np.bincount(codec.tokens(codec.encode(ball(), 1024, 0))).argmax())
    save_coder(tiny_coder(usual), folder, codec.model_id)
    return folder


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3)
    return mesh


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(size=st.integers(64, 160), effort=st.sampled_from([0, 0, 1]))
def test_coded_files_hold_at_most_their_size(coded_weights: Path, size: int, effort: int) -> None:
    codec = Codec("cpu", coded_weights, settings=CodecSettings(tokens=HURRIED))
    data = codec.encode(ball(), size, effort)
    file = VatFile.from_bytes(data)
    assert len(data) <= size
    assert len(codec.tokens(data)) == file.count
    assert codec.decode(data, 32).is_watertight
    assert file.packing == (1 if len(file.payload) < file.count else 0)


@pytest.mark.slow
def test_the_tokens_of_a_coded_file_are_those_of_bytes(coded_weights: Path, tiny_weights: Path) -> None:
    coded, plain = Codec("cpu", coded_weights), Codec("cpu", tiny_weights)
    expected = plain.tokens(plain.encode(ball(), 1024, 0))
    data = coded.encode(ball(), 1024, 0)
    assert VatFile.from_bytes(data).packing == 1
    assert coded.tokens(data).tolist() == expected.tolist()
    assert coded.encode(ball(), 1024, 0, packing="bytes") == plain.encode(ball(), 1024, 0)


@pytest.mark.slow
def test_packing_bytes_has_as_many_tokens_in_every_file(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    for mesh in (ball(), trimesh.creation.box()):
        data = codec.encode(mesh, 80, 0, packing="bytes")
        assert VatFile.from_bytes(data).packing == 0
        assert VatFile.from_bytes(data).count == token_budget(80, TINY, iso_offset=False, version=1)
    with pytest.raises(UsageError, match="no packing 'zip'"):
        codec.encode(ball(), 80, 0, packing="zip")


@pytest.mark.slow
def test_a_coded_file_without_its_coder(coded_weights: Path, tiny_weights: Path, tmp_path: Path) -> None:
    data = Codec("cpu", coded_weights).encode(ball(), 512, 0)
    with pytest.raises(CorruptFileError, match="has no coder here"):
        Codec("cpu", tiny_weights).decode(data)
    with pytest.raises(WeightsError, match="not installed"):
        Codec("cpu").decode(data)
    (tmp_path / "a.vat").write_bytes(data)
    shown = CliRunner().invoke(cli, ["info", str(tmp_path / "a.vat"), "--json"])
    assert json.loads(shown.output)[0]["packing"] == 1  # which needs no coder


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(payload=st.binary(max_size=100), count=st.integers(1, TINY.max_tokens))
def test_any_payload_decodes_safely(coded_weights: Path, payload: bytes, count: int) -> None:
    """A right checksum over other tokens, or over no tokens at all: a mesh or one clear error."""
    codec = Codec("cpu", coded_weights)
    model_id = bytes.fromhex(codec.model_id)
    file = VatFile(payload=payload, model_id=model_id, count=count, packing=Packing.CODED)
    try:
        tokens = codec.tokens(file.to_bytes())
    except CorruptFileError:
        return
    assert len(tokens) == count


def test_more_coded_tokens_than_the_model_has(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    model_id = bytes.fromhex(codec.model_id)
    file = VatFile(payload=b"abc", model_id=model_id, count=65535, packing=Packing.CODED)
    for read in (codec.tokens, codec.decode):
        with pytest.raises(CorruptFileError, match="65535 tokens"):
            read(file.to_bytes())


@pytest.mark.slow
def test_every_flip_and_truncation_of_a_coded_file_is_refused(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    data = codec.encode(ball(), 90, 0)
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(bytes(broken))
    for length in range(len(data)):
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(data[:length])


@pytest.mark.slow
def test_a_data_set_of_coded_and_plain_files(coded_weights: Path, tmp_path: Path) -> None:
    codec = Codec("cpu", coded_weights)
    (tmp_path / "a.vat").write_bytes(codec.encode(ball(), 512, 0))
    (tmp_path / "b.vat").write_bytes(codec.encode(trimesh.creation.box(), 512, 0, packing="bytes"))
    data = TokenDataset(tmp_path, weights=coded_weights)
    assert data.length == TINY.max_tokens
    for number, path in enumerate(data.paths):
        assert data[number].tolist() == codec.tokens(path.read_bytes()).tolist()
