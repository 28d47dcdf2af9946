"""Words as conditions: a text is a bag of hashed words and parts of words, so that any text is one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

_PART = 3
"""Letters of a part of a word."""
_WORD = re.compile(r"[^\W\d_]+")
"""Letters of any script that follow each other."""
_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
"""Place before a capital within a word."""
_SHORTEST = 3
"""Letters of the shortest word that counts."""
_COMMON_WORDS = """
and assets binary blend blender collision dae data description descriptions draco examples export
fbx file files for glb gltf mesh meshes model models obj off org other package part parts ply public
source src stl test testdata the urdf urdfs visual visuals with xml
"""
_COMMON = frozenset(_COMMON_WORDS.split())
"""Words of paths that say nothing of a shape."""


def words_of(text: str) -> list[str]:
    """The words of a text or path, in order, each once: small letters, without numbers and folder names.

    ``"furniture/OfficeChair_02.obj"`` -> ``["furniture", "office", "chair"]``
    """
    parts = _WORD.findall(_CAMEL.sub(" ", text))
    lower = (part.lower() for part in parts)
    return list(dict.fromkeys(word for word in lower if len(word) >= _SHORTEST and word not in _COMMON))


def word_ids(words: Iterable[str], buckets: int) -> list[int]:
    """Rows of a table for words: one for each word, and one for each three letters of it, borders included.

    Words that training has not seen share parts with some that it has.
    """
    ids = []
    for word in words:
        bordered = f"^{word}$"
        grams = (bordered[k : k + _PART] for k in range(len(bordered) - _PART + 1))
        ids += [zlib.crc32(part.encode()) % buckets for part in (bordered, *grams)]
    return ids
