"""Fuzz target: bytes as a ``.vat`` file of the mesh mode. Only the project's own errors may come out.

The networks are the shipped ones, so that messages go on for a while. An input whose first byte is odd gets a
right header and checksum, or nothing would ever come past these.
"""

from __future__ import annotations

import binascii
import struct
import sys

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(
    include=["meshcodec.format", "meshcodec.modes.mesh.decode", "meshcodec.modes.mesh.file"]
):
    from meshcodec.format.container import VatFile
    from meshcodec.modes.mesh.file import placed_surface, read_mesh

import numpy as np
import trimesh

from meshcodec.errors import MeshcodecError
from meshcodec.format.payload import Packing
from meshcodec.format.short_header import MODELS, SHORT_BYTES
from meshcodec.geometry.io import export_mesh
from meshcodec.registry import Registry
from meshcodec.weights import load_mesh_coder

MOST_SURFACE = 2000  # faces that a Loop surface is subdivided to
MOST_CODED = 0x0FFF  # faces that a sealed file announces at most: the largest take a minute
MIRRORED = 0x8C  # flags that may be set


def sealed(data: bytes, coder_id: bytes) -> bytes:
    """The bytes with a right magic, version, kind of payload, coder, number of faces and checksum."""
    data = data.ljust(SHORT_BYTES + 1, b"\0")
    (count,) = struct.unpack_from("<H", data, 6)
    flags = int(Packing.MESH) | data[4] & MIRRORED
    head = b"VAT\x02" + struct.pack("<BBHH", flags, MODELS.index(coder_id), count & MOST_CODED, 0)
    crc = binascii.crc_hqx(head + data[10:], 0xFFFF)
    return head[:8] + struct.pack("<H", crc) + data[10:]


def main() -> None:
    """Decode what the fuzzer makes until it stops."""
    entry = Registry().default_mesh_coder()
    coder = load_mesh_coder(entry)

    def one_input(data: bytes) -> None:
        if data and data[0] % 2:
            data = sealed(data, entry.coder_id)
        try:
            file = VatFile.from_bytes(data)
            assert file.to_bytes() == data  # there is one way to write a file
            if not file.is_mesh:
                return
            mesh, grid = read_mesh(file, coder)
            vertices, faces = placed_surface(mesh, grid, MOST_SURFACE)
        except MeshcodecError as error:
            if "\n" in str(error):
                raise AssertionError("an error of two lines") from error
            return
        assert len(mesh.faces) == file.count
        assert ((mesh.positions >= 0) & (mesh.positions <= grid.sides)).all()
        assert len(np.unique(mesh.positions, axis=0)) == len(mesh.positions)
        assert 0 < len(faces) <= max(MOST_SURFACE, file.count << sum(file.mirrored))
        assert (faces.min(), faces.max()) == (0, len(vertices) - 1)
        assert export_mesh(trimesh.Trimesh(vertices, faces, process=False), "ply")

    atheris.Setup([*sys.argv, "-max_len=1024", "-rss_limit_mb=2048", "-timeout=60"], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
