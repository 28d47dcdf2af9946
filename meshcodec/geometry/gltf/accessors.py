"""Accessors: the typed arrays of a glTF, with their strides, normalized and sparse values ("Accessors")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import BadMeshError
from meshcodec.geometry.gltf.buffers import Buffers
from meshcodec.geometry.gltf.document import Document, whole

_COMPONENT_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""numpy's name of a type by OpenGL's number."""
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_INDEX_TYPES = ("<u1", "<u2", "<u4")  # types of the indices of sparse values
Rows = NDArray[np.int64] | None  # numbers of the elements that are wanted; None: all


@dataclass(frozen=True)
class Layout:
    """What the elements of an accessor are: how many, of which type, and how many numbers each."""

    count: int
    dtype: np.dtype[Any]
    width: int
    normalized: bool


def check_announced(document: Document, max_bytes: int) -> None:
    """Refuse buffer views or accessors of more than `max_bytes` in all. Raises BadMeshError.

    A few hundred bytes of JSON can name the same buffer a million times, or announce accessors with no buffer
    at all.
    """
    views = [view["byteLength"] for view in document.items("bufferViews")]
    arrays = [
        one["count"]
        * np.dtype(_COMPONENT_TYPES.get(one.get("componentType"), "<f8")).itemsize
        * _COMPONENTS.get(one.get("type"), max(_COMPONENTS.values()))
        for one in document.items("accessors")
    ]
    for total, least in ((sum(sizes), min(sizes, default=0)) for sizes in (views, arrays)):
        if least < 0 or total > max_bytes:
            raise BadMeshError(
                f"its buffer views or accessors announce {total} bytes, more than {max_bytes}",
                "export it again, or allow more with --max-bytes",
            )


class Accessors:
    """The accessors of a document as arrays.

    Those that are in a buffer as they are stay there; only the elements that are asked for are converted. A
    method raises ValueError for an accessor that is not as the specification has it.
    """

    def __init__(self, document: Document, buffers: Buffers) -> None:
        self._document, self._buffers = document, buffers
        self._filled: dict[int, NDArray[Any]] = {}  # arrays with sparse values in them

    def layout(self, index: object) -> Layout:
        """What the elements of an accessor are."""
        accessor = self._document.item("accessors", index)
        kind, name = accessor.get("componentType"), accessor.get("type")
        if kind not in _COMPONENT_TYPES or name not in _COMPONENTS:
            raise ValueError(f"an accessor of type {str(name)[:20]!r} and component type {str(kind)[:20]!r}")
        normalized = accessor.get("normalized", False) is True
        dtype = np.dtype(_COMPONENT_TYPES[kind])
        return Layout(whole(accessor["count"]), dtype, _COMPONENTS[name], normalized)

    def reals(self, index: object, width: int, rows: Rows = None) -> NDArray[np.float64]:
        """(n, width) numbers of an accessor, normalized ones between -1 or 0 and 1."""
        return as_reals(self._picked(index, width, rows), self.layout(index))

    def integers(self, index: object, width: int, rows: Rows = None) -> NDArray[np.int64]:
        """(n, width) whole numbers of an accessor."""
        values = self._picked(index, width, rows)
        if values.dtype.kind not in "iu":
            raise ValueError("an accessor of fractions where whole numbers belong")
        return values.astype(np.int64)

    def _picked(self, index: object, width: int, rows: Rows) -> NDArray[Any]:
        values = self._values(whole(index))
        if values.shape[1] != width:
            raise ValueError(f"an accessor of {values.shape[1]} numbers where {width} belong")
        return values if rows is None else values[rows]

    def _values(self, number: int) -> NDArray[Any]:
        """(count, width) elements of an accessor as they are stored."""
        if number in self._filled:
            return self._filled[number]
        accessor, layout = self._document.item("accessors", number), self.layout(number)
        if accessor.get("bufferView") is None:
            values = np.broadcast_to(np.zeros((), layout.dtype), (layout.count, layout.width))
        else:
            values = self._stored(accessor, layout.count, layout.width, layout.dtype)
        if accessor.get("sparse") is not None:
            values = self._filled[number] = self._with_sparse(values, accessor["sparse"])
        return values

    def _stored(
        self, place: dict[str, Any], count: int, width: int, dtype: np.dtype[Any], strided: bool = True
    ) -> NDArray[Any]:
        """(count, width) elements where `place` says: a buffer view and an offset into it."""
        data = self._buffers.view(place["bufferView"])
        view = self._document.item("bufferViews", place["bufferView"])
        size = width * dtype.itemsize
        stride = (whole(view.get("byteStride", 0)) if strided else 0) or size
        start = whole(place.get("byteOffset", 0))
        if count and start + stride * (count - 1) + size > len(data):
            raise ValueError(f"an accessor of {count} elements reaches beyond its view of {len(data)} bytes")
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))

    def _with_sparse(self, values: NDArray[Any], sparse: dict[str, Any]) -> NDArray[Any]:
        """The values with those put into their places that are stored apart ("Sparse Accessors")."""
        count = whole(sparse["count"])
        kind = _COMPONENT_TYPES.get(sparse["indices"].get("componentType"))
        if count > len(values) or kind not in _INDEX_TYPES:
            raise ValueError(f"{count} sparse values of an accessor of {len(values)} elements")
        places = self._stored(sparse["indices"], count, 1, np.dtype(kind), strided=False)[:, 0]
        if count and int(places.max()) >= len(values):
            raise ValueError(f"a sparse value for element {int(places.max())} of {len(values)}")
        filled = np.array(values)
        filled[places] = self._stored(sparse["values"], count, values.shape[1], values.dtype, strided=False)
        return filled


def as_reals(values: NDArray[Any], layout: Layout) -> NDArray[np.float64]:
    """Stored values as float64; of normalized integers the largest is 1, and none is below -1."""
    reals = values.astype(np.float64)
    if layout.normalized and layout.dtype.kind in "iu" and values.dtype.kind in "iu":
        reals /= np.iinfo(layout.dtype).max
        np.maximum(reals, -1.0, out=reals)
    return reals
