"""The evaluation meshes, collected from clones of the repositories that they come from.

``benchmarks/eval_set.csv`` lists the 59 meshes on which the README's figures were measured. This script
finds each of them in a folder of clones (``CLONES/owner/name``), converts it as it was converted for the
measurement, checks its SHA-256, and writes it to a folder that ``meshcodec bench`` takes. It uses no
network::

    python benchmarks/collect_eval_set.py clones --list-repositories | sh
    python benchmarks/collect_eval_set.py clones -o eval
    meshcodec bench eval --sizes 512 -o out

A mesh is *exact* where its bytes are those that were measured. Files that were taken as they are must be
exact. A converted file need not be, because it depends on the program that read it: where its bytes differ,
it is *alike* if numbers of vertices and faces, bounding box and area agree with the list, and the report says
so. Whatever is missing, or neither exact nor alike, is named and not written; the exit code is then 3.

Conversions in the list:

none
    The file as it lies in the repository.
merged
    All meshes of the file in one frame, coincident vertices merged, written as binary PLY (`merge`,
    `to_ply`). Checked to be exact with trimesh 5.2.0 and pycollada 0.9.3 for ``8439dc_anymal_hip_l.ply``, the
    only converted file whose source was at hand when this script was written.
fbx
    FBX made into OBJ by a program that was not recorded (its six digits look like Assimp's), then merged. The
    OBJ has to lie beside the FBX as ``NAME.fbx.obj``; ``assimp export NAME.fbx NAME.fbx.obj`` makes one.
ldraw
    An LDraw part with all that it refers to, quadrilaterals as two triangles each, then merged
    (`read_ldraw`). Corners keep the order that the files give: the measured meshes ignore LDraw's winding
    statements, too.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import trimesh
from numpy.typing import NDArray

from meshcodec.errors import MeshcodecError
from meshcodec.geometry.io import load_mesh

LIST = Path(__file__).with_name("eval_set.csv")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MERGE_STEPS = 2**19
"""Steps of the merging grid in half the longest side: vertices that round to the same step become one."""

COUNT_TOLERANCE = 0.01
"""Share by which the numbers of vertices and faces of an alike mesh may differ."""

BOX_TOLERANCE = 1e-4
"""Share of the longest side by which the corners of an alike mesh's bounding box may differ."""

AREA_TOLERANCE = 1e-3
"""Share by which the area of an alike mesh may differ."""

LDRAW_LIBRARY = "complete/ldraw"
LDRAW_DEPTH = 40
"""References inside references that a part of LDraw may have; a file that refers to itself has more."""

EXACT, ALIKE, MISSING, WRONG = "exact", "alike", "missing", "wrong"


class EvalMesh(NamedTuple):
    """One row of ``eval_set.csv``.

    Attributes
    ----------
    file : name of the measured file
    id : first 12 hexadecimal digits of the SHA-1 of ``repository:header_path``; the first six begin `file`
    repository : owner/name on GitHub
    path : path of the source in the repository
    header_path : path that the header of a converted file names
    licence : SPDX identifier of the mesh's licence
    credit : collection that the repository copied the mesh from, or empty
    conversion : none, merged, fbx or ldraw (see the module)
    commit : a commit of the repository at which the path was seen, or empty
    source_bytes : bytes of the source when it was measured; None where that was not recorded
    sha256 : of the measured file, hexadecimal
    bytes : of the measured file
    vertices, faces : counts of the measured file, polygons split into triangles
    box : (2, 3) lowest and highest corner
    area : sum of the triangles' areas, in squares of the file's unit
    """

    file: str
    id: str
    repository: str
    path: str
    header_path: str
    licence: str
    credit: str
    conversion: str
    commit: str
    source_bytes: int | None
    sha256: str
    bytes: int
    vertices: int
    faces: int
    box: Floats
    area: float


class Outcome(NamedTuple):
    """What became of one mesh.

    Attributes
    ----------
    status : exact, alike, missing or wrong (see the module)
    data : bytes of the file to write; empty where the mesh is missing or wrong
    reason : what the user has to know; empty where the mesh is exact
    """

    status: str
    data: bytes = b""
    reason: str = ""


class MissingError(MeshcodecError):
    """Something that the user has to supply: a clone, a file in it, a package that reads the format."""


def read_list(path: Path = LIST) -> list[EvalMesh]:
    """The rows of ``eval_set.csv``, in its order."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            EvalMesh(
                file=row["file"],
                id=row["id"],
                repository=row["repository"],
                path=row["path"],
                header_path=row["header_path"] or row["path"],
                licence=row["licence"],
                credit=row["credit"],
                conversion=row["conversion"],
                commit=row["commit"],
                source_bytes=int(row["source_bytes"]) if row["source_bytes"] else None,
                sha256=row["sha256"],
                bytes=int(row["bytes"]),
                vertices=int(row["vertices"]),
                faces=int(row["faces"]),
                box=np.array(row["box"].split(), dtype=np.float64).reshape(2, 3),
                area=float(row["area"]),
            )
            for row in csv.DictReader(file)
        ]


# ---- conversion


def merge(vertices: Floats, faces: Ints) -> tuple[NDArray[np.float32], Ints]:
    """A mesh whose coincident vertices are one.

    Vertices are rounded to a grid of `MERGE_STEPS` steps in half the longest side of the bounding box,
    measured from its centre. Those of one grid point become the first of them, unmoved. The result is in
    lexicographic order of the grid. Faces keep their order; faces with a repeated corner and repeated faces
    (in whatever order of corners) are left out, and so are vertices that no face uses.

    Parameters
    ----------
    vertices : (V, 3)
    faces : (F, 3), indices of vertices

    Returns
    -------
    Vertices (v, 3) and faces (f, 3).

    Raises
    ------
    MeshcodecError
        No face is left.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    half = float((high - low).max()) / 2
    if half == 0:
        raise MeshcodecError("all its vertices are one point")
    steps = np.round((vertices - (low + high) / 2) / half * MERGE_STEPS).astype(np.int64)
    _, first, place = np.unique(steps, axis=0, return_index=True, return_inverse=True)
    faces = place.ravel()[faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if not len(faces):
        raise MeshcodecError("all its faces are degenerate")
    _, once = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    faces = faces[np.sort(once)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[first[used]].astype(np.float32), renumbered.reshape(-1, 3).astype(np.int64)


def to_ply(vertices: NDArray[np.float32], faces: Ints, source: str) -> bytes:
    """A binary PLY of float32 vertices (V, 3) and faces (F, 3), with a comment that names its source."""
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment source {source}\nelement vertex {len(vertices)}\n"
        f"property float x\nproperty float y\nproperty float z\nelement face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    records = np.zeros(len(faces), np.dtype([("corners", "u1"), ("vertices", "<i4", 3)]))
    records["corners"], records["vertices"] = 3, faces
    return header.encode() + vertices.astype("<f4").tobytes() + records.tobytes()


def read_scene(path: Path) -> tuple[Floats, Ints]:
    """Vertices (V, 3) and faces (F, 3) of all meshes of a DAE, glTF or STL file, in the file's frame.

    COLLADA coordinates are rounded to float32 after their transforms, as they were when the set was made.
    """
    suffix = path.suffix.lower()
    if suffix == ".dae" and importlib.util.find_spec("collada") is None:
        raise MissingError("reading COLLADA needs pycollada", "pip install pycollada")
    is_draco = suffix in (".gltf", ".glb") and b"KHR_draco_mesh_compression" in path.read_bytes()
    if is_draco and importlib.util.find_spec("DracoPy") is None:
        raise MissingError("it is compressed with Draco", "pip install DracoPy")
    try:
        mesh = trimesh.load_scene(path, process=False).to_geometry()
    except Exception as error:  # trimesh's loaders raise whatever their parsing stumbles over
        raise MeshcodecError(f"trimesh cannot read it ({type(error).__name__}: {error})") from error
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
        raise MeshcodecError("it has no faces")
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    if suffix == ".dae":
        vertices = vertices.astype(np.float32).astype(np.float64)
    return vertices, np.asarray(mesh.faces, dtype=np.int64)


def read_obj_beside(path: Path) -> tuple[Floats, Ints]:
    """Vertices (V, 3) and faces (F, 3) of the OBJ file that was made of an FBX file and lies beside it."""
    converted = path.with_name(path.name + ".obj")
    if not converted.is_file():
        command = shlex.join(["assimp", "export", str(path), str(converted)])
        raise MissingError("FBX is not read here", f"convert it first, for example with {command}")
    mesh = load_mesh(converted)
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)


class LDrawLibrary:
    """Triangles of the parts in a folder of the LDraw library.

    Parameters
    ----------
    root : folder that holds ``parts`` and ``p``
    """

    def __init__(self, root: Path) -> None:
        self._paths: dict[str, Path] = {}
        for folder in ("p", "parts"):  # a part goes before a primitive of the same name
            for path in sorted((root / folder).rglob("*")):
                self._paths[path.relative_to(root / folder).as_posix().lower()] = path
        self._known: dict[str, Floats] = {}

    def triangles(self, name: str, depth: int = 0) -> Floats:
        """Corners (T, 3, 3) of a file's triangles in its own frame, in the order of its lines.

        Parameters
        ----------
        name : as a reference names it, below ``parts`` or ``p``, in any case, with either slash
        depth : references that lead to it
        """
        key = name.strip().replace("\\", "/").lower()
        if key not in self._known:
            if key not in self._paths:
                raise MissingError(f"its LDraw library lacks {name}", "clone the whole repository")
            if depth > LDRAW_DEPTH:
                raise MeshcodecError(f"references in {name} are nested too deep")
            lines = self._paths[key].read_text(encoding="utf-8", errors="replace").splitlines()
            parts = [self._line(line.split(), depth) for line in lines]
            self._known[key] = np.concatenate([np.zeros((0, 3, 3)), *parts])
        return self._known[key]

    def _line(self, words: Sequence[str], depth: int) -> Floats:
        """Triangles (T, 3, 3) of one line: 1 refers to a file, 3 is a triangle, 4 a quadrilateral."""
        kind = words[0] if words else ""
        if kind == "1":
            numbers = np.array(words[2:14], dtype=np.float64)
            inner = self.triangles(" ".join(words[14:]), depth + 1)
            placed: Floats = inner @ numbers[3:].reshape(3, 3).T + numbers[:3]
            return placed
        if kind in ("3", "4"):
            corners = np.array(words[2 : 2 + 3 * int(kind)], dtype=np.float64).reshape(-1, 3)
            return corners[[[0, 1, 2], [0, 2, 3]][: len(corners) - 2]]
        return np.zeros((0, 3, 3))


def read_ldraw(path: Path) -> tuple[Floats, Ints]:
    """Vertices (3 T, 3) and faces (T, 3) of a part of the LDraw library; `path` lies in its ``parts``."""
    try:
        corners = LDrawLibrary(path.parent.parent).triangles(path.name)
    except (ValueError, IndexError) as error:
        raise MeshcodecError(f"not a readable LDraw file ({error})") from error
    if not len(corners):
        raise MeshcodecError("it has no faces")
    return corners.reshape(-1, 3), np.arange(3 * len(corners), dtype=np.int64).reshape(-1, 3)


READERS: dict[str, Callable[[Path], tuple[Floats, Ints]]] = {
    "merged": read_scene,
    "fbx": read_obj_beside,
    "ldraw": read_ldraw,
}


# ---- collection


def differences(row: EvalMesh, vertices: NDArray[np.float32], faces: Ints) -> list[str]:
    """What keeps a converted mesh from being alike the measured one, a phrase for each."""
    corners = vertices.astype(np.float64)
    box = np.stack([corners.min(axis=0), corners.max(axis=0)])
    sides = np.cross(corners[faces[:, 1]] - corners[faces[:, 0]], corners[faces[:, 2]] - corners[faces[:, 0]])
    area = float(np.linalg.norm(sides, axis=1).sum()) / 2
    found = []
    for name, count, measured in (
        ("vertices", len(vertices), row.vertices),
        ("faces", len(faces), row.faces),
    ):
        if abs(count - measured) > COUNT_TOLERANCE * measured:
            found.append(f"{count} {name} in place of {measured}")
    longest = float((row.box[1] - row.box[0]).max())
    if float(np.abs(box - row.box).max()) > BOX_TOLERANCE * longest:
        found.append("another bounding box")
    if abs(area - row.area) > AREA_TOLERANCE * row.area:
        found.append(f"an area of {area:.6g} in place of {row.area:.6g}")
    return found


def source_of(row: EvalMesh, clones: Path) -> Path:
    """The path of a mesh's source in the clones.

    Raises
    ------
    MissingError
        There is no clone, no such file in it, or a pointer of Git LFS in its place.
    """
    clone = clones / row.repository
    if not clone.is_dir():
        raise MissingError(
            f"no clone at {clone}", f"git clone {url_of(row.repository)} {shlex.quote(str(clone))}"
        )
    path = clone / row.path
    if not path.is_file():
        raise MissingError(f"{row.repository} has no {row.path}", _older(row))
    with path.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs"):
            raise MissingError(
                f"{path} is a pointer of Git LFS", f"git -C {shlex.quote(str(clone))} lfs pull"
            )
    return path


def collect(row: EvalMesh, clones: Path) -> Outcome:
    """One mesh, as it was measured where the clones have it so."""
    try:
        source = source_of(row, clones)
        if row.conversion == "none":
            data = source.read_bytes()
            if hashlib.sha256(data).hexdigest() == row.sha256:
                return Outcome(EXACT, data)
            fault = f"{source} is not the file that was measured{_size(row, source)}"
            return Outcome(WRONG, reason=f"{fault}; {_older(row)}")
        vertices, faces = merge(*READERS[row.conversion](source))
    except MissingError as error:
        return Outcome(MISSING, reason=str(error))
    except MeshcodecError as error:
        return Outcome(WRONG, reason=str(error.about(row.path)))
    data = to_ply(vertices, faces, f"{row.repository} {row.header_path}")
    if hashlib.sha256(data).hexdigest() == row.sha256:
        return Outcome(EXACT, data)
    if found := differences(row, vertices, faces):
        fault = f"converted, it has {', '.join(found)}{_size(row, source)}"
        return Outcome(WRONG, reason=f"{fault}; {_older(row)}")
    return Outcome(ALIKE, data, "not the measured bytes, but the same counts, box and area")


def url_of(repository: str) -> str:
    """The address from which a repository can be cloned."""
    return f"https://github.com/{repository}"


def _size(row: EvalMesh, source: Path) -> str:
    """What the sizes say, where they differ."""
    size = source.stat().st_size
    if row.source_bytes in (None, size):
        return ""
    return f" ({size} bytes in place of {row.source_bytes})"


def _older(row: EvalMesh) -> str:
    """How to get the file as it was."""
    if row.commit:
        return f"try commit {row.commit}, at which the path was seen"
    return "look for an older commit of the path"


@click.command()
@click.argument("clones", type=click.Path(path_type=Path, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for meshes.")
@click.option("--list-repositories", is_flag=True, help="Print a git clone command for each missing clone.")
@click.option("-f", "--force", is_flag=True, help="Overwrite files of OUTPUT that differ.")
@click.option(
    "--list",
    "table",
    default=LIST,
    show_default="benchmarks/eval_set.csv",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The list of meshes.",
)
def main(clones: Path, output: Path | None, list_repositories: bool, force: bool, table: Path) -> None:
    """Collect the evaluation meshes from CLONES, which holds a clone of each repository as owner/name.

    Exit codes: 0 all meshes are there, 2 usage, 3 some are missing or not those that were measured.
    """
    rows = read_list(table)
    if list_repositories:
        for repository in dict.fromkeys(row.repository for row in rows):
            if not (clones / repository).is_dir():
                click.echo(shlex.join(["git", "clone", url_of(repository), str(clones / repository)]))
        return
    if output is None:
        raise click.UsageError("name the folder for the meshes with -o")
    if not clones.is_dir():
        raise click.UsageError(f"{clones} is not a folder; --list-repositories prints what to clone into it")
    counts: Counter[str] = Counter()
    for row in rows:
        outcome = collect(row, clones)
        counts[outcome.status] += 1
        if outcome.reason:
            click.echo(f"{row.file}: {outcome.status}: {outcome.reason}", err=True)
        if outcome.data:
            _keep(output / row.file, outcome.data, force)
    names = (EXACT, ALIKE, MISSING, WRONG)
    click.echo(f"{len(rows)} meshes: " + ", ".join(f"{counts[name]} {name}" for name in names))
    sys.exit(3 if counts[MISSING] or counts[WRONG] else 0)


def _keep(path: Path, data: bytes, force: bool) -> None:
    """Write one mesh whole, unless the same bytes are there."""
    if path.exists():
        if path.read_bytes() == data:
            return
        if not force:
            raise click.UsageError(f"{path} exists and differs; pass -f to overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


if __name__ == "__main__":
    main()
