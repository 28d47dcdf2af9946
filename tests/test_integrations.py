"""trimesh reads and writes .vat files; sequence models get tokens of one length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from support.tiny import TINY
from torch.utils.data import DataLoader

import meshcodec.trimesh_plugin
from meshcodec import api
from meshcodec.api import Codec
from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format.container import VatFile
from meshcodec.tokens import TokenDataset


@pytest.fixture
def codec(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Codec:
    codec = Codec("cpu", tiny_weights)
    monkeypatch.setattr(api, "encode", codec.encode)
    monkeypatch.setattr(api, "decode", codec.decode)
    return codec


def row(seed: int, count: int = TINY.max_tokens) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, count).astype(np.uint8)


def test_trimesh_reads_and_writes(codec: Codec, tmp_path: Path) -> None:
    assert meshcodec.trimesh_plugin
    box = trimesh.creation.box(extents=(2, 2, 2))
    box.apply_translation((10, 0, 0))
    path = tmp_path / "box.vat"
    box.export(path, size=512, effort=0)
    assert path.read_bytes() == codec.encode(box, 512, effort=0)
    mesh = trimesh.load_mesh(path, resolution=32)
    expected = codec.decode(path.read_bytes(), resolution=32)
    assert np.array_equal(mesh.vertices, expected.vertices)
    assert np.array_equal(mesh.faces, expected.faces)
    assert mesh.bounds.mean(axis=0) == pytest.approx([10, 0, 0], abs=0.3)


@pytest.mark.slow
def test_many_meshes_at_once(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two and a rest of one; all but a few tokens are those of each mesh alone."""
    monkeypatch.setattr(api, "ENCODER_BATCH", 2)
    meshes = [trimesh.creation.torus(1.0, radius) for radius in (0.2, 0.3, 0.4)]
    files = codec.encode_many(iter(meshes), 512, effort=0)
    alone = [codec.encode(mesh, 512, effort=0) for mesh in meshes]
    assert [len(data) for data in files] == [len(data) for data in alone]
    for together, single in zip(files, alone, strict=True):
        assert VatFile.from_bytes(together).half_extents == VatFile.from_bytes(single).half_extents
        assert (codec.tokens(together) != codec.tokens(single)).mean() < 0.05
    assert len(set(files)) == len(files)
    decoded = codec.decode_many(files, resolution=32)
    for mesh, data in zip(decoded, files, strict=True):
        assert np.array_equal(mesh.vertices, codec.decode(data, resolution=32).vertices)
    assert codec.encode_many([], 512) == []


def test_tokens_and_back(codec: Codec) -> None:
    data = codec.from_tokens(row(0), (1.0, 2.0, 3.0), 4.0)
    assert np.array_equal(codec.tokens(data), row(0))
    mesh = codec.decode(data, resolution=24)
    assert np.abs(mesh.vertices - [1, 2, 3]).max() <= 4 * 1.06


def test_all_that_a_file_says_can_be_said_with_tokens(codec: Codec) -> None:
    box = trimesh.creation.box((1, 2, 9)) + trimesh.creation.box((2, 1, 1)).apply_translation((1, 0.4, 0))
    data = codec.encode(box, 512, effort=0)
    file = VatFile.from_bytes(data)
    assert file.center is not None
    assert file.half_extents is not None
    assert file.mirrored == (False, False, True)
    again = codec.from_tokens(
        codec.tokens(data), file.center, file.half_extents, file.iso_offset, file.mirrored
    )
    assert again == data


@pytest.mark.parametrize(
    "tokens",
    [
        np.zeros(0, dtype=np.uint8),
        np.zeros((2, 3), dtype=np.uint8),
        np.zeros(TINY.max_tokens + 1, dtype=np.uint8),
        np.array([0.5]),
        np.array([-1]),
        np.array([256]),
    ],
)
def test_wrong_tokens_are_refused(codec: Codec, tokens: NDArray[np.integer]) -> None:
    with pytest.raises(UsageError):
        codec.from_tokens(tokens)


def test_a_folder_is_a_data_set(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number, name in enumerate(("b.vat", "deep/a.vat", "a.vat")):
        (tmp_path / name).write_bytes(codec.from_tokens(row(number)))
    data = TokenDataset(tmp_path, length=15)
    assert [path.relative_to(tmp_path).as_posix() for path in data.paths] == ["a.vat", "b.vat", "deep/a.vat"]
    assert data[0].dtype == torch.int64
    (batch,) = DataLoader(data, batch_size=3)
    assert np.array_equal(batch.numpy(), np.stack([row(k)[:15] for k in (2, 0, 1)]))
    (tmp_path / "short.vat").write_bytes(codec.from_tokens(row(4, 20)))
    assert TokenDataset(tmp_path).length == 20


def test_folders_that_make_no_data_set(codec: Codec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.vat file"):
        TokenDataset(tmp_path)
    (tmp_path / "a.vat").write_bytes(data := codec.from_tokens(row(0, 9)))
    for length in (0, 10):
        with pytest.raises(UsageError, match="ask for fewer"):
            TokenDataset(tmp_path, length)
    (tmp_path / "b.vat").write_bytes(data[:-1])
    with pytest.raises(CorruptFileError, match=r"b\.vat: wrong length"):
        TokenDataset(tmp_path)
