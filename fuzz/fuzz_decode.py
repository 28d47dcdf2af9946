"""Fuzz target: bytes as a ``.vat`` file. Only the project's own errors may come out.

The model is tiny and random: what can go wrong behind the container hangs on the bytes, not on the weights.
An input whose first byte is odd gets a right header, long or short, and checksum, or nothing would ever come
past these.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(
    include=["meshcodec.format.container", "meshcodec.format.payload", "meshcodec.api"]
):
    from meshcodec.api import Codec
    from meshcodec.format.container import VatFile

import binascii
import json
import struct
import zlib

import torch

import meshcodec
from meshcodec.errors import MeshcodecError
from meshcodec.format.short_header import SHORT_BYTES
from meshcodec.geometry.io import export_mesh
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.train.recipe import TrainConfig
from meshcodec.weights import save_model

RESOLUTION = 16  # cells a side of a decode, the fewest allowed
HEADER = 15  # bytes of the header


def sealed(data: bytes, model_id: bytes) -> bytes:
    """The bytes with a right magic, version, model id, token count and checksum."""
    data = b"VAT\x01" + data[4:5].ljust(1, b"\0") + model_id + data[9:].ljust(HEADER - 9, b"\0")
    start = HEADER + (16 if data[4] & 16 else 0) + (1 if data[4] & 32 else 0)  # placement or box, level
    data = data[:9] + struct.pack("<H", max(len(data) - start, 0) & 0xFFFF) + data[11:]
    return data[:11] + struct.pack("<I", zlib.crc32(data[:11] + bytes(4) + data[15:])) + data[15:]


def sealed_short(data: bytes) -> bytes:
    """The bytes with the short header of the shipped model, whose payload nothing here decodes."""
    data = b"VAT\x02" + data[4:5].ljust(1, b"\0") + b"\0" + data[6:].ljust(SHORT_BYTES - 6, b"\0")
    start = SHORT_BYTES + (1 if data[4] & 32 else 0)
    data = data[:6] + struct.pack("<HH", max(len(data) - start, 0) & 0xFFFF, 0) + data[10:]
    return data[:8] + struct.pack("<H", binascii.crc_hqx(data, 0xFFFF)) + data[10:]


def main() -> None:
    """Decode what the fuzzer makes, by a random model, until it stops."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    recipe = Path(meshcodec.__file__).parent / "train" / "recipes" / "tiny.json"
    model = VariationalTokenizer(TrainConfig.from_dict(json.loads(recipe.read_text())).model)
    model_id = bytes.fromhex(save_model(model, folder, "fuzz"))
    codec = Codec("cpu", folder)

    def one_input(data: bytes) -> None:
        if data and data[0] % 2:
            data = sealed_short(data) if data[0] % 4 == 3 else sealed(data, model_id)
        try:
            file = VatFile.from_bytes(data)
            assert file.to_bytes() == data  # there is one way to write a file
            mesh = codec.decode(data, RESOLUTION)
        except MeshcodecError:
            return
        assert len(mesh.faces)
        assert export_mesh(mesh, "ply")

    atheris.Setup([*sys.argv, "-max_len=512"], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
