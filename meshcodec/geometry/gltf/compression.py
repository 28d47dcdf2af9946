"""What compressed glTF data decode to: streams of meshoptimizer, meshes of Draco.

Both decoders are packages that need not be installed. The filters of meshoptimizer are a few lines each, and
are here (KHR_meshopt_compression, Appendix B).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.check import Faces

_LONGEST_ELEMENT = 256  # bytes of an element of an attribute stream, at most
_SHORT_MAX = 32767  # a normalized 16-bit integer that stands for 1


def can_decode_meshopt() -> bool:
    """Whether the package is installed that decodes streams of meshoptimizer."""
    return importlib.util.find_spec("meshoptimizer") is not None


def decode_meshopt(data: memoryview, stride: int, count: int, mode: str, filtered: str) -> memoryview:
    """The bytes of a buffer view that meshoptimizer compressed.

    Parameters
    ----------
    data : the compressed stream.
    stride : bytes of an element.
    count : number of elements; the caller has checked what ``stride * count`` bytes take.
    mode : ATTRIBUTES, TRIANGLES or INDICES.
    filtered : the filter of attributes: NONE, EXPONENTIAL or QUATERNION. The others are for normals and
        colours.

    Raises
    ------
    ValueError, RuntimeError
        A stream that is damaged, or of a form that there is not.
    """
    import meshoptimizer

    # The decoders are compiled code, which asserts what is checked here.
    indices = mode in ("TRIANGLES", "INDICES")
    right_stride = stride in (2, 4) if indices else stride % 4 == 0 and 0 < stride <= _LONGEST_ELEMENT
    whole_triangles = mode != "TRIANGLES" or count % 3 == 0
    if not (indices or mode == "ATTRIBUTES") or not right_stride or not whole_triangles:
        raise ValueError(f"a meshopt stream of mode {mode[:20]!r} with {count} elements of {stride} bytes")
    if count == 0:
        return memoryview(b"")
    if not indices:
        decoded = meshoptimizer.decode_vertex_buffer(count, stride, data)
        return _unfiltered(decoded.view(np.uint8).ravel(), filtered, stride).data
    decode = getattr(meshoptimizer, f"decode_index_{'buffer' if mode == 'TRIANGLES' else 'sequence'}")
    # Asked for two bytes an index, the package packs two indices into each element of its result.
    numbers = np.asarray(decode(count, 4, data))
    if stride == 2 and int(numbers.max()) > np.iinfo(np.uint16).max:
        raise ValueError("a meshopt stream of 16-bit indices with one that is larger")
    return numbers.astype(f"<u{stride}").view(np.uint8).data


def _unfiltered(data: NDArray[np.uint8], filtered: str, stride: int) -> NDArray[np.uint8]:
    """Decoded attributes, (bytes,), with their filter undone."""
    if filtered == "NONE":
        return data
    if filtered == "EXPONENTIAL":
        numbers = data.view("<i4")
        mantissa = ((numbers << 8) >> 8).astype(
            np.float64
        )  # 24 bits and a sign; the upper 8 are the exponent
        return np.asarray(np.ldexp(mantissa, numbers >> 24), dtype="<f4").view(np.uint8)
    if filtered == "QUATERNION" and stride == 8:
        return _quaternions(data.view("<i2").reshape(-1, 4)).view(np.uint8).ravel()
    raise ValueError(f"a meshopt filter {filtered[:20]!r} of {stride} bytes")


def _quaternions(packed: NDArray[np.int16]) -> NDArray[np.int16]:
    """(n, 4) normalized quaternions of three components and, in the fourth, their scale and which lacks."""
    one = (packed[:, 3:] | 3).astype(np.float64)
    small = packed[:, :3] / one / np.sqrt(2.0)
    largest = np.sqrt(np.maximum(0.0, 1.0 - (small**2).sum(axis=1)))
    places = ((packed[:, 3:] & 3) + np.array([[1, 2, 3, 0]])) % 4
    unpacked = np.empty_like(packed)
    np.put_along_axis(
        unpacked, places, np.rint(np.column_stack([small, largest]) * _SHORT_MAX).astype("<i2"), axis=1
    )
    return unpacked


def can_decode_draco() -> bool:
    """Whether the package is installed that decodes Draco."""
    return importlib.util.find_spec("DracoPy") is not None


@dataclass(frozen=True)
class DracoMesh:
    """A mesh that Draco decoded: triangles, and (n, k) values of each attribute by its unique id."""

    faces: Faces
    attributes: dict[int, NDArray[Any]]


def decode_draco(data: memoryview) -> DracoMesh:
    """A mesh of a Draco stream.

    Raises
    ------
    BadMeshError
        DracoPy, which decodes it, is not installed.
    ValueError
        A point cloud.
    """
    if not can_decode_draco():
        raise BadMeshError("it is compressed with Draco", "install DracoPy, or export it without compression")
    import DracoPy

    decoded = DracoPy.decode(bytes(data))
    faces = getattr(decoded, "faces", None)
    if faces is None:
        raise ValueError("its Draco data hold points without triangles")
    attributes = {int(one["unique_id"]): np.asarray(one["data"]) for one in decoded.attributes}
    return DracoMesh(np.asarray(faces, dtype=np.int64).reshape(-1, 3), attributes)
