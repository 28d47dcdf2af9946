"""One codec for each process: whatever works on many files takes it from here, and loads its weights once."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from meshcodec.config import MAX_BYTES, MAX_FACES

if TYPE_CHECKING:
    from meshcodec.api import Codec


def codec_of_process(
    device: str = "auto",
    weights: Path | None = None,
    max_faces: int = MAX_FACES,
    max_bytes: int = MAX_BYTES,
) -> Codec:
    """The codec that this process has for these arguments of `meshcodec.api.Codec`, made at the first call.

    It is kept until the process ends, or `forget_codecs` is called. Raises what making a `Codec` raises, each
    time anew.
    """
    return _made(device, weights, max_faces, max_bytes)


def forget_codecs() -> None:
    """Let go of all codecs of this process: what they hold is freed, and the next call makes new ones."""
    _made.cache_clear()


@functools.cache
def _made(device: str, weights: Path | None, max_faces: int, max_bytes: int) -> Codec:
    from meshcodec.api import Codec  # here, because torch takes seconds to load

    return Codec(device, weights, max_faces, max_bytes)
