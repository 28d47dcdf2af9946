"""The manifest of a converted folder: a JSON line for each file."""

from __future__ import annotations

import json
import time
from pathlib import Path

from meshcodec.batch.convert import Job, Record, sha256_of
from meshcodec.errors import UsageError
from meshcodec.runtime.files import write_whole

MANIFEST = "manifest.jsonl"
"""Name of the manifest in the output folder."""
SAVE_SECONDS = 10
"""Seconds of work whose records a kill can lose where the manifest lies in a store."""


def still_true(record: Record, job: Job) -> bool:
    """Whether a line of a manifest still says what would come out."""
    if record.get("error") is not None or record.get("options") != job.verb.settings():
        return False
    try:
        return bool(
            record.get("output") == job.output
            and record.get("output_sha256") == sha256_of(job.target.read_bytes())
            and record.get("sha256") == sha256_of(job.path.read_bytes())
        )
    except OSError:
        return False


def read_manifest(manifest: Path) -> list[Record]:
    """The whole lines of a manifest; a run that was killed may have left half of one."""
    records = []
    try:
        lines = manifest.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(
            f"{manifest}: cannot be read ({error.strerror})", "remove it to start anew"
        ) from error
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and _is_whole(record):
            records.append(record)
    return records


def _is_whole(record: Record) -> bool:
    """Whether a line names files as ours do."""
    return isinstance(record.get("input"), str) and isinstance(record.get("output"), (str, type(None)))


class StoredManifest:
    """A manifest in a store, where files do not grow: written anew every few seconds and at the end."""

    def __init__(self, path: Path, kept: list[Record]) -> None:
        self._path, self._text = path, "".join(map(_line, kept))
        self._save()

    def add(self, record: Record) -> None:
        """Append a line."""
        self._text += _line(record)
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        write_whole(self._path, self._text.encode())
        self._saved = time.monotonic()

    def __enter__(self) -> StoredManifest:
        return self

    def __exit__(self, *raised: object) -> None:
        self._save()


class Manifest:
    """The manifest of a running job: starts with the lines that are kept, grows by whole lines."""

    def __init__(self, path: Path, kept: list[Record]) -> None:
        write_whole(path, "".join(map(_line, kept)).encode())
        self._path = path
        # Unbuffered, so that a line that did not fit a full disk is not tried again when the file is closed.
        self._file = path.open("ab", buffering=0)

    def add(self, record: Record) -> None:
        """Append a line. Raises UsageError where it cannot be kept: going on would lose what is done."""
        remedy = "make room, or choose another folder, and pass --resume"
        left = _line(record).encode()
        try:
            while left:
                left = left[self._file.write(left) :]
            if not self._path.exists():
                raise UsageError(f"{self._path} is gone", remedy)
        except OSError as error:
            raise UsageError(f"{self._path}: cannot be written ({error.strerror})", remedy) from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"
