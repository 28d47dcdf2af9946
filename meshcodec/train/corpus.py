"""Where training meshes come from: packed shards, plain folders of mesh files, and the procedural generator.

A packed corpus is a folder of ``shard_*.npz`` files (``vertices`` uint16 (sum V, 3) with x = q / 32767.5 - 1,
``faces`` uint16 (sum F, 3) local to each mesh, ``voff``/``foff`` int64 offsets, ``ids``) with an
``index.csv`` that names the source, the path and the category of each id. Any other folder is walked for mesh
files, and the source of a file is the folder it lies in.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import UsageError
from meshcodec.geometry.formats import MESH_ENDINGS, READ_FORMATS
from meshcodec.geometry.normalize import fit_box
from meshcodec.runtime.files import find_files

_CAPTION_PARTS = 3
"""Parts at the end of a path that its caption is made of."""
Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]


@dataclass(frozen=True)
class CorpusItem:
    """One training mesh, not loaded yet.

    Attributes
    ----------
    id : unique name
    source : repository or folder that it comes from; the validation set is chosen by source
    mesh : returns vertices (V, 3) float32 in a frame of their own and faces (F, 3) int32
    caption : words about it, of its path and category
    placed : whether its frame is the unit frame already
    """

    id: str
    source: str
    mesh: Callable[[], Mesh]
    caption: str = ""
    placed: bool = False

    def load(self) -> Mesh:
        """Vertices (V, 3) float32 in the unit frame, where its bounding box fills the cube, and faces."""
        return self.mesh() if self.placed else to_unit(*self.mesh())


def to_unit(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Mesh:
    """Move a mesh into the unit frame as the encoder does: its bounding box fills the cube."""
    return fit_box(vertices).to_unit(vertices).astype(np.float32), faces.astype(np.int32)


def read_corpus(folder: Path) -> list[CorpusItem]:
    """All meshes of a packed corpus or of a folder of mesh files, in a fixed order.

    Raises
    ------
    UsageError
        The folder is missing or holds no mesh.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "pass a folder of meshes or of shard_*.npz files")
    shards = sorted(folder.glob("shard_*.npz"))
    items = _packed(folder, shards) if shards else _files(folder)
    if not items:
        raise UsageError(f"{folder}: holds no mesh", f"known formats are {', '.join(READ_FORMATS)}")
    return items


def procedural_items(count: int, first_seed: int = 0) -> list[CorpusItem]:
    """`count` shapes of the generator, one for each seed from `first_seed` on."""

    # Here, and not above, because packed corpora are read where the generator's libraries are missing.
    from meshcodec.train.shapes.procedural import generate

    def item(seed: int) -> CorpusItem:
        return CorpusItem(f"procedural-{seed}", "procedural", lambda: generate(seed))

    return [item(seed) for seed in range(first_seed, first_seed + count)]


def is_validation(item: CorpusItem, sources: tuple[str, ...]) -> bool:
    """Whether a mesh is for validation: its source says so or, where none is named, the hash of its id."""
    if sources:
        return item.source in sources
    return hashlib.sha256(item.id.encode()).digest()[0] % 20 == 0


def _packed(folder: Path, shards: list[Path]) -> list[CorpusItem]:
    source: dict[str, str] = {}
    caption: dict[str, str] = {}
    if (folder / "index.csv").is_file():
        with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                source[line["id"]] = line["source_repo"]
                caption[line["id"]] = _caption(line.get("path", ""), line.get("category", ""))

    def item(arrays: dict[str, NDArray[np.int64]], row: int, name: str) -> CorpusItem:
        def mesh() -> Mesh:
            v0, v1 = arrays["voff"][row : row + 2]
            f0, f1 = arrays["foff"][row : row + 2]
            vertices = arrays["vertices"][v0:v1].astype(np.float32) / np.float32(32767.5) - 1
            return vertices, arrays["faces"][f0:f1].astype(np.int32)

        return CorpusItem(name, source.get(name, folder.name), mesh, caption.get(name, ""))

    items = []
    for shard in shards:
        with np.load(shard, allow_pickle=False) as packed:
            arrays = {key: packed[key] for key in ("vertices", "faces", "voff", "foff")}
            items += [item(arrays, row, str(name)) for row, name in enumerate(packed["ids"])]
    return items


def _caption(path: str, category: str = "") -> str:
    """The category and the end of the path: what lies above says more of the repository than of the shape."""
    return " ".join([category, *path.split("/")[-_CAPTION_PARTS:]]).strip()


def _files(folder: Path) -> list[CorpusItem]:
    from meshcodec.geometry.io import load_mesh

    def item(path: Path) -> CorpusItem:
        def mesh() -> Mesh:
            loaded = load_mesh(path)
            return loaded.vertices, loaded.faces

        name = str(path.relative_to(folder))
        return CorpusItem(name, path.parent.name, mesh, _caption(name))

    return [item(path) for path in find_files(folder, MESH_ENDINGS)]
