"""Which decode belongs to which reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meshcodec.errors import BadMeshError, UsageError
from meshcodec.evaluation.report.rows import NO_DECODE, quoted
from meshcodec.geometry.formats import MESH_ENDINGS, READ_FORMATS
from meshcodec.runtime.files import ending_of, find_files

VAT = "vat"
"""Extension of our own files."""


@dataclass(frozen=True)
class Pair:
    """A reference and the file that belongs to it, or why there is none; names are below the folders."""

    file: str
    reference: Path
    decoded: str | None
    target: Path | None
    error: str = ""

    @property
    def is_vat(self) -> bool:
        """Whether the decoded file is a ``.vat`` file, which has to be decoded first."""
        return self.target is not None and ending_of(self.target) == VAT


def find_pairs(references: Path, decoded: Path) -> tuple[list[Pair], tuple[str, ...]]:
    """The pairs by the name of the reference, and the names of decoded files that belong to none."""
    for path in (references, decoded):
        if not path.exists():
            raise BadMeshError("there is no such file or folder", "check the path").about(quoted(str(path)))
    if references.is_dir() != decoded.is_dir():
        raise UsageError(
            f"{quoted(str(references))} and {quoted(str(decoded))} are a file and a folder",
            "give two files or two folders",
        )
    if not references.is_dir():
        return [Pair(references.name, references, decoded.name, decoded)], ()

    same = references.resolve() == decoded.resolve()
    ours = _below(references, MESH_ENDINGS, decoded)
    theirs = _below(decoded, (VAT,) if same else (*MESH_ENDINGS, VAT), references)
    if not ours:
        raise UsageError(
            f"{quoted(str(references))}: holds no mesh", f"give a folder with {', '.join(READ_FORMATS)} files"
        )
    exact = ours.keys() & theirs.keys()
    by_stem: dict[str, list[str]] = {}
    for name in theirs:
        if name not in exact:
            by_stem.setdefault(_stem(name), []).append(name)
    claims = Counter(_stem(name) for name in ours if name not in exact)
    pairs, taken = [], set[str]()
    for name, path in ours.items():
        found = [name] if name in exact else []
        of_whole_name = by_stem.get(name, [])  # a.obj.vat, as `compress` names it beside an a.stl
        found += of_whole_name or by_stem.get(_stem(name), [])
        taken.update(found)
        if not found:
            pairs.append(Pair(name, path, None, None, NO_DECODE))
        elif len(found) > 1:
            fault = f"{' and '.join(map(quoted, found))} would both be its decode; remove one of them"
            pairs.append(Pair(name, path, None, None, fault))
        elif found[0] != name and not of_whole_name and claims[_stem(name)] > 1:
            fault = f"{quoted(found[0])} would be the decode of other references, too; rename one of them"
            pairs.append(Pair(name, path, None, None, fault))
        else:
            pairs.append(Pair(name, path, found[0], theirs[found[0]]))
    return pairs, tuple(name for name in theirs if name not in taken)


def _below(folder: Path, endings: Sequence[str], other: Path) -> dict[str, Path]:
    """Files of a folder by name, in order; without those of the other folder, which may lie inside."""
    without = other if other.resolve() != folder.resolve() else None
    return {path.relative_to(folder).as_posix(): path for path in find_files(folder, endings, without)}


def _stem(name: str) -> str:
    return name[: len(name) - len(ending_of(Path(name)))].removesuffix(".")
