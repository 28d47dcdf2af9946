"""A corpus in one small file, for a machine that nothing else reaches: ``python -m meshcodec.train.pack``.

Reading takes numpy and the standard library alone, as a bare machine has; writing takes more. The file is

====================  =============================================================
magic, header length  ``MCPK`` and a version byte; uint32
header                JSON in xz: ids, sources, split, counts, bits, stream lengths
faces                 xz of the corner codes, low bytes of all, then the next bytes, and so on
vertices              xz of the coordinate codes, likewise
====================  =============================================================

`meshcodec.train.mesh_streams` says what the codes are.
"""

from __future__ import annotations

import argparse
import json
import logging
import lzma
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError, MeshcodecError, UsageError
from meshcodec.geometry.triangles import without_degenerate
from meshcodec.train.corpus import CorpusItem, Mesh, is_validation, procedural_items, read_corpus
from meshcodec.train.mesh_streams import FILTERS, Quantized, decode_streams, encode_streams, order_mesh
from meshcodec.train.recipe import TrainConfig, read_recipe

MAX_BYTES = 30 * 2**20
"""Bytes that a packed corpus takes at most, by default."""
BITS = 13
"""Bits of a coordinate: a step is then a fortieth of the finest offset of the query points."""
_MAGIC = b"MCPK\x01"
"""First bytes of a packed corpus, the version of the format included."""
_SMALLEST_LIMIT = 32
"""Faces that every mesh may keep."""
_SAMPLED = 256
"""Meshes, about, that are looked at to estimate how far the long ones have to be simplified."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedCorpus:
    """What a packed file holds.

    Attributes
    ----------
    vertices : (sum V, 3) uint16, below ``2**bits``, without duplicates within a mesh
    faces : (sum F, 3) int32, indices into the vertices of their own mesh
    vertex_starts, face_starts : (M + 1,) int64, where the rows of each mesh begin
    ids, sources : M each
    validation : (M,) bool, which meshes belong to the validation set
    bits : bits of a coordinate
    """

    vertices: NDArray[np.uint16]
    faces: NDArray[np.int32]
    vertex_starts: NDArray[np.int64]
    face_starts: NDArray[np.int64]
    ids: tuple[str, ...]
    sources: tuple[str, ...]
    validation: NDArray[np.bool_]
    bits: int

    def __len__(self) -> int:
        return len(self.ids)

    def mesh(self, row: int) -> Mesh:
        """One mesh in the unit frame: vertices (V, 3) float32, faces (F, 3) int32."""
        v0, v1 = self.vertex_starts[row : row + 2]
        f0, f1 = self.face_starts[row : row + 2]
        half = np.float32((2**self.bits - 1) / 2)
        # Not placed anew: a flat mesh, already stretched as far as it may be, would be stretched once more.
        return self.vertices[v0:v1].astype(np.float32) / half - 1, self.faces[f0:f1]

    def items(self) -> list[CorpusItem]:
        """All meshes, as every other corpus gives them."""

        def item(row: int) -> CorpusItem:
            return CorpusItem(self.ids[row], self.sources[row], lambda: self.mesh(row), placed=True)

        return [item(row) for row in range(len(self))]


@dataclass(frozen=True)
class PackReport:
    """What `pack` did.

    Attributes
    ----------
    meshes, faces : numbers of what the file holds
    size : bytes of the file
    limit : faces of a mesh above which it was simplified
    simplified, left_out : meshes; those left out hold nothing to encode
    """

    meshes: int
    faces: int
    size: int
    limit: int
    simplified: int
    left_out: int


def pack(
    items: list[CorpusItem],
    path: Path,
    max_bytes: int = MAX_BYTES,
    procedural: int = 0,
    validation_sources: tuple[str, ...] = (),
    bits: int = BITS,
) -> PackReport:
    """Write a corpus into one file, simplifying the longest meshes as far as it takes to fit.

    Parameters
    ----------
    items : the corpus
    path : the file, replaced when it is whole
    max_bytes : bytes that it may take
    procedural : number of generated shapes to add
    validation_sources : see `meshcodec.train.corpus.is_validation`; the split is stored
    bits : bits of a coordinate, 2..16

    Raises
    ------
    UsageError
        There is no mesh, or even simplified they do not fit.
    """
    kept, meshes, left_out = [], [], 0
    for item in [*items, *procedural_items(procedural)]:
        try:
            mesh = _quantize(*item.load(), bits)
        except BadMeshError as error:
            log.warning("left out %s: %s", item.id, error)
            mesh = (np.zeros((0, 3), np.uint16), np.zeros((0, 3), np.int32))
        if not len(mesh[1]):
            left_out += 1
            continue
        kept.append(item)
        meshes.append(mesh)
    if not meshes:
        raise UsageError("no mesh to pack", "give a corpus that holds some")

    counts = np.array([len(faces) for _, faces in meshes])
    limit = _estimate_limit(meshes, counts, max_bytes, bits)
    while True:
        ordered = _shorten(meshes, limit, bits)
        data = _container(kept, ordered, validation_sources, bits)
        log.info("at most %d faces a mesh: %.2f MiB", limit, len(data) / 2**20)
        if len(data) <= max_bytes:
            break
        if limit <= _SMALLEST_LIMIT:
            raise UsageError(
                f"{len(meshes)} meshes do not fit {max_bytes} bytes", "allow more bytes or pack fewer meshes"
            )
        fitting = _limit_for(counts, 0.99 * np.minimum(counts, limit).sum() * max_bytes / len(data))
        limit = max(min(fitting, limit - 1 - limit // 50), _SMALLEST_LIMIT)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)
    faces = sum(len(faces) for _, faces in ordered)
    return PackReport(len(kept), faces, len(data), limit, int((counts > limit).sum()), left_out)


def unpack(path: Path) -> PackedCorpus:
    """Read what `pack` wrote, exactly.

    Raises
    ------
    UsageError
        The file is missing, is no packed corpus, or is damaged.
    """
    try:
        data = path.read_bytes()
        if not data.startswith(_MAGIC):
            raise ValueError("another kind of file")
        (length,) = struct.unpack_from("<I", data, len(_MAGIC))
        begin = len(_MAGIC) + 4
        header = json.loads(lzma.decompress(data[begin : begin + length]))
        streams, begin = [], begin + length
        for size in header["streams"]:
            streams.append(data[begin : begin + size])
            begin += size
        if begin != len(data):
            raise ValueError("its parts do not fit each other")
        vertex_starts, face_starts = (
            np.concatenate([[0], np.cumsum(np.array(header[key], dtype=np.int64))]).astype(np.int64)
            for key in ("V", "F")
        )
        vertices, faces = decode_streams(streams, vertex_starts, face_starts)
        return PackedCorpus(
            vertices,
            faces,
            vertex_starts,
            face_starts,
            tuple(header["ids"]),
            tuple(header["sources"]),
            np.array(header["held_out"], dtype=bool),
            int(header["bits"]),
        )
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror})", "pass a file of meshcodec.train.pack"
        ) from error
    except (ValueError, KeyError, TypeError, IndexError, struct.error, lzma.LZMAError) as error:
        raise UsageError(f"{path}: not a whole packed corpus ({error})", "pack the corpus again") from error


def _quantize(vertices: NDArray[np.floating], faces: NDArray[np.integer], bits: int) -> Quantized:
    half = (2**bits - 1) / 2
    grid = np.clip(np.rint((vertices.astype(np.float64) + 1) * half), 0, 2**bits - 1)
    return _weld(grid.astype(np.uint16), faces)


def _weld(vertices: NDArray[np.uint16], faces: NDArray[np.integer]) -> Quantized:
    """Merge vertices that coincide and drop the faces that have become lines: they bound nothing."""
    wide = vertices.astype(np.int64)
    _, first, merged = np.unique(
        (wide[:, 0] << 32) | (wide[:, 1] << 16) | wide[:, 2], return_index=True, return_inverse=True
    )
    welded = merged.reshape(-1)[faces].astype(np.int32)
    return vertices[first], without_degenerate(welded)


def _simplify(mesh: Quantized, limit: int, bits: int) -> Quantized:
    """To `limit` faces or as near as the simplifier gets; the mesh itself when it would leave nothing."""
    from fast_simplification import simplify  # here, because reading does without it

    points, faces = simplify(mesh[0].astype(np.float32), mesh[1], target_count=limit)
    grid = np.clip(np.rint(points), 0, 2**bits - 1).astype(np.uint16)
    simpler = _weld(grid, faces)
    return simpler if len(simpler[1]) else mesh


def _container(
    items: list[CorpusItem], meshes: list[Quantized], validation_sources: tuple[str, ...], bits: int
) -> bytes:
    streams = encode_streams(meshes)
    header = {
        "ids": [item.id for item in items],
        "sources": [item.source for item in items],
        "held_out": [int(is_validation(item, validation_sources)) for item in items],
        "V": [len(vertices) for vertices, _ in meshes],
        "F": [len(faces) for _, faces in meshes],
        "bits": bits,
        "streams": [len(stream) for stream in streams],
    }
    packed = lzma.compress(json.dumps(header).encode(), filters=FILTERS)
    return b"".join([_MAGIC, struct.pack("<I", len(packed)), packed, *streams])


def _shorten(meshes: list[Quantized], limit: int, bits: int) -> list[Quantized]:
    import meshoptimizer  # here, because reading does without it

    shorter = (_simplify(mesh, limit, bits) if len(mesh[1]) > limit else mesh for mesh in meshes)
    return [order_mesh(mesh, meshoptimizer) for mesh in shorter]


def _estimate_limit(meshes: list[Quantized], counts: NDArray[np.int64], max_bytes: int, bits: int) -> int:
    """The largest limit that a sample of the meshes lets one expect to fit, within a hundredth."""
    chosen = slice(0, None, max(1, len(meshes) // _SAMPLED))

    def expected(limit: int) -> float:
        size = sum(map(len, encode_streams(_shorten(meshes[chosen], limit, bits))))
        # The sample tells the bytes of a face; the faces of all meshes are known.
        return size * float(np.minimum(counts, limit).sum() / np.minimum(counts[chosen], limit).sum())

    low, high = _SMALLEST_LIMIT, max(int(counts.max()), _SMALLEST_LIMIT)
    size = expected(high)
    if size <= max_bytes:
        return high
    tried = high
    while high - low > max(1, low // 100):
        # Where it would fit if faces took as many bytes as they just did, but never at the very ends.
        fitting = _limit_for(counts, 0.98 * np.minimum(counts, tried).sum() * max_bytes / size)
        margin = max(1, (high - low) // 20)
        tried = min(max(fitting, low + margin), high - margin)
        size = expected(tried)
        if 0.97 * max_bytes <= size <= 0.99 * max_bytes:
            return tried
        low, high = (tried, high) if size <= 0.99 * max_bytes else (low, tried)
    return low


def _limit_for(counts: NDArray[np.int64], total: float) -> int:
    """The largest limit that leaves at most `total` faces in all."""
    low, high = _SMALLEST_LIMIT, max(int(counts.max()), _SMALLEST_LIMIT)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(counts, middle).sum() <= total else (low, middle - 1)
    return low


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m meshcodec.train.pack", description=__doc__.splitlines()[0]
    )
    parser.add_argument("corpus", type=Path, help="folder of meshes or of shard_*.npz files")
    parser.add_argument("packed", type=Path, help="the file to write")
    parser.add_argument(
        "--recipe",
        type=Path,
        help="takes the sources of the validation set and the number of generated shapes",
    )
    parser.add_argument("--max-bytes", type=int, default=MAX_BYTES, help="default %(default)s")
    parser.add_argument(
        "--bits", type=int, choices=range(2, 17), metavar="N", default=BITS, help="bits of a coordinate"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = read_recipe(chosen.recipe, TrainConfig) if chosen.recipe else TrainConfig()
        report = pack(
            read_corpus(chosen.corpus),
            chosen.packed,
            chosen.max_bytes,
            config.procedural_meshes,
            config.validation_sources,
            chosen.bits,
        )
    except (MeshcodecError, OSError) as error:
        log.error("error: %s", error)
        return error.exit_code if isinstance(error, MeshcodecError) else 2
    log.info(
        "%d meshes, %d faces, %d bytes; %d simplified to %d faces, %d left out",
        report.meshes, report.faces, report.size, report.simplified, report.limit, report.left_out,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
