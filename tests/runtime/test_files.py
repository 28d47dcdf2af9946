"""Folders behind URLs: the same files as in folders of this machine."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
import trimesh
from click.testing import CliRunner, Result

from meshcodec.batch import manifest
from meshcodec.batch.convert import Record
from meshcodec.batch.manifest import MANIFEST, StoredManifest
from meshcodec.batch.mirror import compress, decompress
from meshcodec.batch.options import CompressOptions, DecompressOptions
from meshcodec.cli.group import cli
from meshcodec.errors import UsageError
from meshcodec.runtime.files import files_below, is_local, name_below, open_folder

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("upath")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    (folder / "b").mkdir(parents=True)
    trimesh.creation.torus(1.0, 0.3).export(folder / "a.obj")
    trimesh.creation.torus(1.0, 0.4).export(folder / "b" / "c.PLY")
    (folder / "b" / "bad.stl").write_bytes(b"")
    (folder / "notes.txt").write_text("no mesh")
    (folder / ".hidden.obj").write_text("hidden")
    return folder


@pytest.fixture
def url(local: Path) -> str:
    """A copy of the folder in the memory of this process, which fsspec treats as it does an object store."""
    name = f"memory://{secrets.token_hex(4)}"
    system = fsspec.filesystem("memory")
    system.put(str(local), f"{name}/meshes", recursive=True)
    return name


@pytest.fixture
def options(tiny_weights: Path) -> CompressOptions:
    return CompressOptions(size=512, effort=0, measure=False, device="cpu", weights=tiny_weights)


def contents(folder: Path, ending: str) -> dict[str, bytes]:
    return {
        name_below(folder, path).as_posix(): path.read_bytes()
        for path in files_below(folder)
        if path.suffix == ending
    }


@pytest.mark.slow
def test_a_store_gets_what_a_folder_gets(
    local: Path, url: str, tmp_path: Path, options: CompressOptions
) -> None:
    here = compress(local, tmp_path / "out", options, quiet=True)
    source, out = open_folder(f"{url}/meshes"), open_folder(f"{url}/vats")
    there = compress(source, out, options, quiet=True)
    assert not is_local(out)
    assert contents(out, ".vat") == contents(tmp_path / "out", ".vat")
    assert set(contents(out, ".vat")) == {"a.vat", "b/c.vat"}
    assert there.skipped == here.skipped == 2
    for record, other in zip(there.records, here.records, strict=True):
        assert (record["folder"], other["folder"]) == (str(source), str(local))
        assert {**record, "seconds": 0, "folder": ""} == {**other, "seconds": 0, "folder": ""}, (
            record,
            other,
        )
    lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    assert sorted(line["input"] for line in lines) == ["a.obj", "b/bad.stl", "b/c.PLY"]

    back = DecompressOptions("ply", 32, "cpu", options.weights)
    decompress(out, open_folder(f"{url}/back"), back, quiet=True)
    decompress(tmp_path / "out", tmp_path / "back", back, quiet=True)
    assert contents(open_folder(f"{url}/back"), ".ply") == contents(tmp_path / "back", ".ply")


@pytest.mark.slow
def test_a_run_in_a_store_goes_on(
    url: str, options: CompressOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = open_folder(f"{url}/meshes"), open_folder(f"{url}/vats")
    monkeypatch.setattr(manifest, "SAVE_SECONDS", 0)

    def stop(lines: StoredManifest, record: Record) -> None:
        if record["input"] == "b/c.PLY":
            raise KeyboardInterrupt
        add(lines, record)

    add = StoredManifest.add
    with monkeypatch.context() as patch:
        patch.setattr(StoredManifest, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            compress(source, out, options, quiet=True)
    again = compress(source, out, options, resume=True, quiet=True)
    assert again.kept == 1
    assert [record["error"] is None for record in again.records] == [True, False, True]
    with pytest.raises(UsageError, match=r"manifest.jsonl exists; pass --resume"):
        compress(source, out, options, quiet=True)


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.slow
def test_the_command_takes_urls(url: str, options: CompressOptions) -> None:
    words = [
        "--size",
        512,
        "--effort",
        0,
        "--no-verify",
        "-j",
        1,
        "--weights",
        options.weights,
        "--device",
        "cpu",
    ]
    result = call("compress", f"{url}/meshes", "-o", f"{url}/vats", *words)
    assert result.exit_code == 3
    assert "2 files done (0 by a run before), 1 failed, 2 others skipped" in result.stderr
    assert set(contents(open_folder(f"{url}/vats"), ".vat")) == {"a.vat", "b/c.vat"}
    refused = call("compress", f"{url}/meshes", "-o", "out", "--report", "r.html", *words)
    assert refused.exit_code == 2
    assert "--report reads folders of this machine" in refused.stderr


@pytest.mark.parametrize("name", ["nothing-knows-this://x/y", "s3-of-old://x"])
def test_a_url_that_nothing_knows_is_one_line(name: str) -> None:
    result = call("compress", name, "-o", "out")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"meshcodec: error: {name}: ")


def test_an_empty_store_is_one_line(url: str) -> None:
    result = call("compress", f"{url}/nothing", "-o", f"{url}/out")
    assert result.exit_code == 2
    assert "is not a folder; name a folder" in result.stderr
