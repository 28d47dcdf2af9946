"""A neural codec for 3D meshes: 512 bytes to 4 KB a shape.

``encode``, ``decode`` and ``Codec`` load torch when they are first used, not when meshcodec is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcodec.errors import (
    BadMeshError,
    CorruptFileError,
    MeshcodecError,
    PartialFailureError,
    UnknownModelError,
    UsageError,
    WeightsError,
)
from meshcodec.runtime.threads import use_short_waits

if TYPE_CHECKING:
    from meshcodec.api import Codec

use_short_waits()  # here, because libgomp reads the environment when torch is imported, and not again

__version__ = "0.2.0"
__all__ = [
    "BadMeshError",
    "Codec",
    "CorruptFileError",
    "MeshcodecError",
    "PartialFailureError",
    "UnknownModelError",
    "UsageError",
    "WeightsError",
    "__version__",
    "decode",
    "encode",
]
_LAZY = ("Codec", "decode", "encode")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from meshcodec import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
