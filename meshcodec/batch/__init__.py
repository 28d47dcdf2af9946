"""Whole folders: ``compress`` and ``decompress``, a manifest beside the results."""

from meshcodec.batch.manifest import MANIFEST
from meshcodec.batch.mirror import Summary, compress, decompress
from meshcodec.batch.options import CompressOptions, DecompressOptions

__all__ = ["MANIFEST", "CompressOptions", "DecompressOptions", "Summary", "compress", "decompress"]
