"""What goes wrong around the codec, really made: kills, full and read-only disks, folders that go.

Nothing that was there before is lost, nothing is left half-written, and one line says what happened.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commands import call
from support.paths import ROOT
from support.tiny import write_vat

from meshcodec import batch
from meshcodec.api import Codec
from meshcodec.format.container import VatFile
from meshcodec.registry import weights_folder

LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.tmp")
NOBODY = 65534


def run(code: str, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, after a few lines of Python that prepare its end."""
    prepared = f"import sys\n{code}\nsys.argv[0] = 'meshcodec'\nfrom meshcodec.cli import main\nmain()"
    command = [sys.executable, "-c", prepared, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600, **options
    )


def assert_one_line(stderr: str, *parts: object) -> None:
    (line,) = stderr.splitlines()
    assert line.startswith("meshcodec: error: "), line
    assert "; " in line
    for part in parts:
        assert str(part) in line


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own on a new folder."""
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount command")
    folder.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Use up what room is left."""
    room = os.statvfs(folder)
    (folder / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize))


# ---- killed

DIE = """
import os, signal
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
"""
MOMENTS = {
    "while it is refined": "from meshcodec.modes.tokens.adam import Adam\nAdam.step = die",
    "half written": """
import io, pathlib
class Half(io.FileIO):
    def write(self, data):
        super().write(data[: len(data) // 2])
        die()
opened = pathlib.Path.open
pathlib.Path.open = lambda path, mode="r", *rest, **more: (
    Half(path, "x") if mode == "xb" else opened(path, mode, *rest, **more)
)""",
    "written but not in its place": "import pathlib\npathlib.Path.replace = die",
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_loses_nothing(moment: str, obj: Path, tmp_path: Path, tiny_weights: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    old = write_vat(out / "ball.vat", tiny_weights)
    before = old.read_bytes()
    effort = int(moment == "while it is refined")
    killed = run(
        DIE + MOMENTS[moment], "encode", obj, "-o", old, "-f", "--weights", tiny_weights, "--effort", effort
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert old.read_bytes() == before
    left = [path.name for path in out.iterdir() if path != old]
    assert all(LEFT_OVER.fullmatch(name) for name in left)
    assert len(left) == (moment != "while it is refined")

    new = call("encode", obj, "-o", old, "-f", "--weights", tiny_weights, "--effort", 0, "--size", 64)
    assert new.exit_code == 0, new.stderr
    assert len(old.read_bytes()) == 64
    VatFile.from_bytes(old.read_bytes())


# ---- folders that go


def test_an_output_folder_that_vanishes(
    obj: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    encode = Codec.encode_detailed

    def encode_and_remove(*arguments: Any, **options: Any) -> Any:
        shutil.rmtree(out)
        return encode(*arguments, **options)

    monkeypatch.setattr(Codec, "encode_detailed", encode_and_remove)
    result = call("encode", obj, "-o", out / "a.vat", "--weights", tiny_weights, "--effort", 0)
    assert result.exit_code == 2
    assert_one_line(result.stderr, f"{out} is not a folder")
    assert not out.exists()


@pytest.mark.slow
def test_compress_notices_that_its_manifest_is_gone(
    obj: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    obj.rename(source / "a.obj")
    shutil.copy(source / "a.obj", source / "b.obj")
    encode = batch.convert.encode_file

    def encode_and_remove(*arguments: Any) -> Any:
        made = encode(*arguments)
        shutil.rmtree(out)
        return made

    monkeypatch.setattr(batch.mirror, "encode_file", encode_and_remove)
    command = [
        "compress",
        source,
        "-o",
        out,
        "-j",
        1,
        "--weights",
        tiny_weights,
        "--effort",
        0,
        "--no-verify",
        "-q",
    ]
    result = call(*command)
    assert result.exit_code == 2
    assert_one_line(result.stderr, f"{out / batch.MANIFEST} is gone", "--resume")
    monkeypatch.undo()
    assert call(*command, "--resume").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.vat", "b.vat", batch.MANIFEST]


# ---- weights


def truncate(folder: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(folder: Path, file: Path) -> None:
    file.write_bytes(b"")


def remove(folder: Path, file: Path) -> None:
    file.unlink()


def swap(folder: Path, file: Path) -> None:
    """Other weights, whole and right in themselves, by this model's name."""
    shutil.copy(next(weights_folder().glob("*.safetensors")), file)


def swap_and_enter(folder: Path, file: Path) -> None:
    """The same with a registry that has their hash, but still the configuration of this model."""
    swap(folder, file)
    enter(folder, file)


def announce(folder: Path, file: Path) -> None:
    """A safetensors header of 2^63 bytes, with its hash in the registry."""
    file.write_bytes(b"\xff" * 7 + b"\x7f" + file.read_bytes()[8:])
    enter(folder, file)


def enter(folder: Path, file: Path) -> None:
    registry = json.loads((folder / "registry.json").read_text())
    registry["models"][registry["default"]]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "registry.json").write_text(json.dumps(registry))


def cut_registry(folder: Path, file: Path) -> None:
    whole = (folder / "registry.json").read_text()
    (folder / "registry.json").write_text(whole[: len(whole) // 2])


def no_default(folder: Path, file: Path) -> None:
    registry = json.loads((folder / "registry.json").read_text())
    (folder / "registry.json").write_text(json.dumps(registry | {"default": "00000000"}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncate, "the registry says"),
        (empty, "the registry says"),
        (remove, "cannot be read (No such file or directory)"),
        (swap, "the registry says"),
        (swap_and_enter, "does not fit its configuration"),
        (announce, "does not fit its configuration"),
        (cut_registry, "not a readable registry"),
        (no_default, "the default model '00000000' is not among its models"),
    ],
)
def test_weights_that_are_not_the_right_ones(
    harm: Any, words: str, obj: Path, vat: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    harm(folder, next(folder.glob("*.safetensors")))
    before = sorted(tmp_path.rglob("*"))
    for verb, source, out in (("encode", obj, "out.vat"), ("decode", vat, "out.obj"), ("verify", vat, None)):
        options = ["-o", tmp_path / out, "--effort", 0][: 4 if verb == "encode" else 2] if out else []
        result = call(verb, source, *options, "--weights", folder)
        assert result.exit_code == 5, (verb, result.output)
        assert_one_line(result.stderr, folder, words)
        assert result.stdout_bytes == b""
    assert sorted(tmp_path.rglob("*")) == before


# ---- what may not be read or written


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are its user's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


# Root may do anything, so it becomes another user once all that it needs is loaded.
AS_NOBODY = f"""
import os
import meshcodec.api, meshcodec.cli, meshcodec.geometry.io
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


@pytest.mark.slow
def test_files_that_may_not_be_read(open_folder: Path, obj: Path, tiny_weights: Path) -> None:
    weights = open_folder / "weights"
    shutil.copytree(tiny_weights, weights)
    weights.chmod(0o755)
    mesh, vat = open_folder / "a.obj", write_vat(open_folder / "a.vat", tiny_weights)
    shutil.copy(obj, mesh)
    for path in (mesh, vat):
        path.chmod(0)
    encoded = run(AS_NOBODY, "encode", mesh, "-o", "-", "--weights", weights)
    assert encoded.returncode == 4
    assert_one_line(encoded.stderr, f"{mesh}: cannot be read: Permission denied")
    decoded = run(AS_NOBODY, "decode", vat, "-o", "-", "--weights", weights)
    assert decoded.returncode == 4
    assert_one_line(decoded.stderr, f"{vat}: cannot be read: Permission denied")
    assert encoded.stdout == decoded.stdout == ""


@pytest.mark.slow
def test_a_folder_that_may_not_be_written(open_folder: Path, obj: Path, tiny_weights: Path) -> None:
    shutil.copy(obj, open_folder / "a.obj")
    open_folder.chmod(0o555)
    result = run(AS_NOBODY, "encode", open_folder / "a.obj", "--weights", tiny_weights)
    assert result.returncode == 2
    assert_one_line(result.stderr, f"{open_folder} is read-only")
    assert [path.name for path in open_folder.iterdir()] == ["a.obj"]


def test_a_read_only_disk(obj: Path, vat: Path, tmp_path: Path, tiny_weights: Path) -> None:
    with tmpfs(tmp_path / "disk", "ro,size=64k") as disk:
        for verb, source, name in (("encode", obj, "a.vat"), ("decode", vat, "a.obj")):
            result = call(verb, source, "-o", disk / name, "--weights", tiny_weights)
            assert result.exit_code == 2
            assert_one_line(result.stderr, f"{disk} is read-only")
        folder = call("compress", obj.parent, "-o", disk, "-j", 1, "-q", "--weights", tiny_weights)
        assert folder.exit_code == 2
        assert_one_line(folder.stderr, disk, "Read-only file system")


def test_a_full_disk_keeps_the_old_file(obj: Path, vat: Path, tmp_path: Path, tiny_weights: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        old = disk / "a.obj"
        old.write_bytes(b"old")
        options = ("-f", "--weights", tiny_weights)
        large = call("decode", vat, "-o", old, "--resolution", 64, *options)
        assert large.exit_code == 2
        assert_one_line(large.stderr, f"cannot write a.obj in {disk}: No space left on device")
        assert old.read_bytes() == b"old"
        assert list(disk.iterdir()) == [old]

        fill(disk)
        small = call("encode", obj, "-o", disk / "a.vat", "--effort", 0, *options)
        assert small.exit_code == 2
        assert_one_line(small.stderr, f"cannot write a.vat in {disk}: No space left on device")
        assert sorted(path.name for path in disk.iterdir()) == ["a.obj", "filler"]


@pytest.mark.slow
def test_compress_stops_where_its_manifest_does_not_fit(
    obj: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    obj.rename(source / "a.obj")
    shutil.copy(source / "a.obj", source / "b.obj")
    with tmpfs(tmp_path / "disk", "size=4k") as disk:  # the first file takes the one page there is
        command = ["compress", source, "-o", disk, "-j", 1, "-q", "--weights", tiny_weights]
        options = ["--effort", 0, "--no-verify"]
        result = call(*command, *options)
        assert result.exit_code == 2, result.output
        assert_one_line(
            result.stderr, f"{disk / batch.MANIFEST}: cannot be written", "No space left", "--resume"
        )
        whole = [path for path in disk.iterdir() if path.suffix == ".vat"]
        assert [VatFile.from_bytes(path.read_bytes()).packing for path in whole] == [0]
        assert subprocess.run(["mount", "-o", "remount,size=64k", str(disk)], check=False).returncode == 0
        again = call(*command, *options, "--resume")
        assert again.exit_code == 0, again.output
        assert sorted(path.name for path in disk.iterdir()) == ["a.vat", "b.vat", batch.MANIFEST]


# ---- pipes


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("verb", ["decode", "info"])
def test_stdout_on_a_full_disk(verb: str, vat: Path, tiny_weights: Path) -> None:
    options = ["-o", "-", "--resolution", "32"] if verb == "decode" else []
    command = [sys.executable, "-m", "meshcodec", verb, str(vat), *options, "--weights", str(tiny_weights)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert_one_line(done.stderr, "<stdout>: cannot be written (No space left on device)")


@pytest.mark.slow
def test_a_reader_that_has_left(vat: Path, tiny_weights: Path) -> None:
    command = [sys.executable, "-m", "meshcodec", "decode", str(vat), "-o", "-", "--resolution", "32"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*command, "--weights", str(tiny_weights)],
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1
