"""Fuzz target: bytes as a mesh file of each format. Only the project's own errors may come out.

The first byte chooses the format. The limits are small, so that an input which makes much of little shows as
one that is over them, or as a leak of memory or time, which the fuzzer watches.
"""

from __future__ import annotations

import io
import sys

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["meshcodec.geometry", "trimesh.exchange"]):
    from meshcodec.geometry.formats import READ_FORMATS
    from meshcodec.geometry.io import load_mesh

import numpy as np

from meshcodec.errors import MeshcodecError

MAX_FACES = 10_000  # faces of a mesh, at most
MAX_BYTES = 1 << 20  # bytes of a file, at most


def one_input(data: bytes) -> None:
    """Load one input; AssertionError for what should not be."""
    if not data:
        return
    kind = READ_FORMATS[data[0] % len(READ_FORMATS)]
    try:
        mesh = load_mesh(io.BytesIO(data[1:]), kind, MAX_FACES, MAX_BYTES)
    except MeshcodecError as error:
        if "\n" in str(error):
            raise AssertionError("an error of two lines") from error
        return
    assert 0 < len(mesh.faces) <= MAX_FACES
    assert np.isfinite(mesh.vertices).all()
    assert mesh.faces.min() == 0
    assert mesh.faces.max() == len(mesh.vertices) - 1


def main() -> None:
    """Load what the fuzzer makes until it stops."""
    atheris.Setup([*sys.argv, "-max_len=4096", "-rss_limit_mb=2048", "-timeout=20"], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
