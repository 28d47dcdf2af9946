"""Vertices and triangles to the bytes of OBJ, OFF, PLY, STL and GLB files, in the precision that they need.

Near the origin float32 and nine digits do: they move no vertex by more than a millionth of the box. Far away,
as in map coordinates, they would move vertices by more than details are large, and make one of several
vertices, so that a closed mesh is written open. There OBJ and OFF get more digits, PLY gets float64, and GLB,
which has float32 only, the middle of the box in its node and positions relative to that. STL has no such
means: it is written as well as it can be, and not at all where little of the shape would be left.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import MeshWarning, UsageError
from meshcodec.geometry.triangles import Floats, Ints, box_of

_MOST_MOVED = 1e-6
"""How far a vertex may be moved by being written, in longest sides of the box."""
_MOST_LOST = 1e-2
"""The same of a mesh that is written all the same, as STL, with a warning."""
_DIGITS = 9
"""Significant digits that tell any two float32 values apart."""
_MOST_DIGITS = 17
"""The same of float64."""
_MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
"""Odd numbers by which three coordinates become one hash."""


def write_mesh(vertices: Floats, faces: Ints, kind: str) -> bytes:
    """A mesh file of one of ``WRITE_FORMATS``. Raises KeyError for another kind."""
    return _WRITERS[kind](vertices, faces)


def write_obj(vertices: Floats, faces: Ints) -> bytes:
    """An OBJ file. trimesh writes a fixed number of decimals, which loses small meshes."""
    return (_rows("v {0} {0} {0}\n", vertices) + _rows("f %d %d %d\n", faces + 1)).encode("ascii")


def write_off(vertices: Floats, faces: Ints) -> bytes:
    """An OFF file."""
    head = f"OFF\n{len(vertices)} {len(faces)} 0\n"
    return (head + _rows("{0} {0} {0}\n", vertices) + _rows("3 %d %d %d\n", faces)).encode("ascii")


def write_ply(vertices: Floats, faces: Ints) -> bytes:
    """A binary PLY file, with float32 positions where that does, else float64."""
    if float32_does(vertices):
        return _by_trimesh(vertices, faces, "ply")
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property double x\nproperty double y\nproperty double z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.zeros(len(faces), dtype=[("count", "<u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    return head.encode("ascii") + vertices.astype("<f8").tobytes() + rows.tobytes()


def write_stl(vertices: Floats, faces: Ints) -> bytes:
    """A binary STL file. It has float32 only: a `MeshWarning` says where that does not do.

    Raises UsageError: it would move vertices by more than a hundredth of the box.
    """
    if not float32_does(vertices):
        moved, side = _moved(vertices), _longest_side(vertices)
        share = f"{moved / side:.2g} of the longest side" if side else "and all are one point"
        fault = f"STL has float32 only, which moves vertices by up to {moved:.2g} here, {share}"
        if moved > _MOST_LOST * side:
            raise UsageError(fault, "write PLY, OBJ, OFF or GLB, which keep them in place")
        warnings.warn(f"{fault}; PLY, OBJ, OFF and GLB keep them in place", MeshWarning, stacklevel=2)
    return _by_trimesh(vertices, faces, "stl")


def write_glb(vertices: Floats, faces: Ints) -> bytes:
    """A GLB file. Where float32 does not do, its node is moved to the middle of the box."""
    if float32_does(vertices):
        return _by_trimesh(vertices, faces, "glb")
    low, high = box_of(vertices)
    middle = low / 2 + high / 2

    def move(tree: dict[str, Any]) -> None:
        for node in tree["nodes"]:
            if "mesh" in node:
                node["translation"] = middle.tolist()

    return _by_trimesh(vertices - middle, faces, "glb", tree_postprocessor=move)


def float32_does(vertices: Floats) -> bool:
    """Whether float32 leaves vertices (V, 3) in place, to a millionth of the box, and others apart."""
    if not len(vertices):
        return True
    if _moved(vertices) > _MOST_MOVED * _longest_side(vertices):
        return False
    kept = _different(vertices.astype(np.float32))
    return kept == len(vertices) or kept == _different(vertices)


def _moved(vertices: Floats) -> float:
    """The farthest that float32 moves a coordinate."""
    with np.errstate(over="ignore"):
        return float(np.abs(vertices.astype(np.float32) - vertices).max())


def _longest_side(vertices: Floats) -> float:
    low, high = box_of(vertices)
    return float((high - low).max())


def _different(vertices: NDArray[np.floating]) -> int:
    """Number of different places among vertices (V, 3), by hashes of 64 bits."""
    places = np.ascontiguousarray(vertices + 0.0)  # -0.0 and 0.0 are one place
    bits = places.view(np.uint32 if places.itemsize == 4 else np.uint64).astype(np.uint64)
    bits ^= bits >> np.uint64(29)  # a product would keep signs apart from all else, so that two cancel out
    hashes = np.sort((bits * _MIXERS).sum(axis=1, dtype=np.uint64))  # far quicker than numpy.unique
    return int(np.count_nonzero(hashes[1:] != hashes[:-1])) + min(len(hashes), 1)


def _digits(vertices: Floats) -> int:
    """Significant digits that coordinates need: nine, or more where the origin is many boxes away."""
    if float32_does(vertices):
        return _DIGITS
    distance = float(np.abs(vertices).max()) / (_longest_side(vertices) or 1.0)
    return min(_DIGITS + 3 + max(math.ceil(math.log10(distance)), 0), _MOST_DIGITS)


def _rows(form: str, values: Floats | Ints) -> str:
    """A line of text for each row; ``{0}`` in the form stands for a coordinate."""
    if "{" in form:
        form = form.format(f"%.{_digits(np.asarray(values, dtype=np.float64))}g")
    return (form * len(values)) % tuple(values.ravel().tolist())


def _by_trimesh(vertices: Floats, faces: Ints, kind: str, **options: Any) -> bytes:
    import trimesh  # here, because it takes half a second to load, and text files do without

    data = trimesh.Trimesh(vertices, faces, process=False).export(file_type=kind, **options)
    assert isinstance(data, bytes)  # text and dicts are for other formats
    return data


_WRITERS: dict[str, Callable[[Floats, Ints], bytes]] = {
    "obj": write_obj,
    "ply": write_ply,
    "stl": write_stl,
    "glb": write_glb,
    "off": write_off,
}
