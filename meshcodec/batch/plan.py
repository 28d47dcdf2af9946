"""What a run over a folder has to do: its files, the names of their outputs, what runs before have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from meshcodec.batch.convert import Job, Record, Verb
from meshcodec.batch.manifest import MANIFEST
from meshcodec.errors import UsageError
from meshcodec.geometry.formats import GZIPPED
from meshcodec.runtime.files import (
    files_below,
    is_local,
    is_of_kind,
    linked_folders,
    name_below,
    with_ending,
)


@dataclass(frozen=True)
class Plan:
    """The files of a folder.

    Attributes
    ----------
    jobs : those that are converted, in order
    skipped : number of the others
    linked : names of links to folders, which are not followed
    """

    jobs: list[Job]
    skipped: int
    linked: tuple[str, ...]


def plan(verb: Verb, folder: Path, out: Path) -> Plan:
    """The files of a folder that a verb converts. Raises UsageError: no folder, or none in it."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder", "name a folder")
    found, skipped = dict[str, tuple[PurePath, Path]](), 0
    for path in files_below(folder):
        name = name_below(folder, path)
        if is_of_kind(folder, path, verb.endings):
            found[name.as_posix()] = (name, path)
        elif name.as_posix() != MANIFEST:
            skipped += 1
    if not found:
        known = ", ".join(f".{ending}" for ending in verb.endings if not ending.endswith(GZIPPED))
        raise UsageError(f"{folder}: holds no {known} file", "name a folder that does")
    outputs = output_names((name for name, _ in found.values()), verb.ending)
    place = place_of(folder)
    jobs = [
        Job(verb, path, name, outputs[name], out / outputs[name], place) for name, (_, path) in found.items()
    ]
    return Plan(jobs, skipped, tuple(linked_folders(folder)) if is_local(folder) else ())


def output_names(names: Iterable[PurePath], ending: str) -> dict[str, str]:
    """The name of each file's output: with `ending` for its extension, or behind that where others claim it.

    So ``a.obj`` becomes ``a.vat``; but beside ``a.stl``, ``a.obj.vat``, and that one ``a.stl.vat``.
    """
    short = {name.as_posix(): with_ending(name, ending).as_posix() for name in names}
    whole = {name: f"{name}.{ending}" for name in short}
    claims = Counter(short.values()) + Counter(whole.values())
    return {name: output if claims[output] == 1 else whole[name] for name, output in short.items()}


def place_of(folder: Path) -> str:
    """A folder as the manifest names it: its whole path, or its URL."""
    return str(folder.resolve()) if is_local(folder) else str(folder)


@dataclass(frozen=True)
class Earlier:
    """What the manifest of an output folder says, as a run sees it.

    Attributes
    ----------
    own : by their outputs, the lines about outputs of this run
    others : lines about other outputs, which stay
    left : those among them whose source was in the folder of this run and is there no more, or has another
        output now
    """

    own: dict[str, Record]
    others: list[Record]
    left: list[Record]

    def of_folder(self, place: str) -> bool:
        """Whether there is a line about a file of this folder."""
        return bool(self.left) or any(_is_of(record, place) for record in self.own.values())


def sort_out(records: Iterable[Record], jobs: list[Job], out: Path) -> Earlier:
    """The lines of a manifest by what they are to a run, the last one of each output.

    Lines about files of the same folder are dropped where there is no output, or it is gone.
    """
    place = jobs[0].folder
    latest = {
        (r.get("output"), None if r.get("output") else (r.get("folder"), r["input"])): r for r in records
    }
    outputs = {job.output for job in jobs}
    own, others, left = dict[str, Record](), list[Record](), list[Record]()
    for record in latest.values():
        output = record.get("output")
        if output in outputs:
            own[output] = record
        elif not _is_of(record, place):
            others.append(record)
        elif output is not None and (out / output).exists():
            others.append(record)
            left.append(record)
    return Earlier(own, others, left)


def foreign_owner(record: Record, place: str) -> str | None:
    """The source of an output, where it lies in another folder than this and is still there."""
    source = record.get("folder")
    if _is_of(record, place) or not isinstance(source, str) or "://" in source:
        return None
    path = Path(source) / record["input"]
    return str(path) if path.exists() else None


def _is_of(record: Record, place: str) -> bool:
    """Whether a line is about a file of a folder; one of an old version, which does not say, is."""
    return bool(record.get("folder", place) == place)
