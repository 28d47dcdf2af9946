"""Names of outputs, and the lines of runs before."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from meshcodec.batch.convert import Job, Verb, encode_file
from meshcodec.batch.manifest import MANIFEST, read_manifest
from meshcodec.batch.options import CompressOptions
from meshcodec.batch.plan import foreign_owner, output_names, plan, sort_out

VERB = Verb(encode_file, ("obj", "stl", "ply", "obj.gz"), "vat", CompressOptions())


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (["a.obj", "b.obj", "d/a.obj"], ["a.vat", "b.vat", "d/a.vat"]),
        (["a.obj", "a.stl", "b.obj"], ["a.obj.vat", "a.stl.vat", "b.vat"]),
        (["a.obj", "a.OBJ"], ["a.obj.vat", "a.OBJ.vat"]),
        (["a.obj", "d/a.stl"], ["a.vat", "d/a.vat"]),
        # What is named after the whole of another's name is not that one's output.
        (["a.obj", "a.obj.ply"], ["a.vat", "a.obj.ply.vat"]),
        (["a.obj", "a.obj.ply", "a.stl"], ["a.obj.vat", "a.obj.ply.vat", "a.stl.vat"]),
        (["a.obj.gz", "b.obj"], ["a.vat", "b.vat"]),
        (["a.obj", "a.obj.gz"], ["a.obj.vat", "a.obj.gz.vat"]),
        (["v1.2.obj", "v1.3.obj"], ["v1.2.vat", "v1.3.vat"]),
    ],
)
def test_each_file_has_an_output_of_its_own(names: list[str], outputs: list[str]) -> None:
    found = output_names(map(PurePosixPath, names), "vat")
    assert [found[name] for name in names] == outputs


def test_links_to_folders_are_named_and_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "meshes"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.obj").touch()
    (folder / "sub" / "b.obj").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.obj").touch()
    (folder / "sub" / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "circle").symlink_to(folder)
    (folder / ".hidden").symlink_to(folder)
    (folder / "file.obj").symlink_to(tmp_path / "elsewhere" / "c.obj")
    found = plan(VERB, folder, tmp_path / "out")
    assert [job.input for job in found.jobs] == ["a.obj", "file.obj", "sub/b.obj"]
    assert found.linked == ("circle", "sub/linked")
    assert {job.folder for job in found.jobs} == {str(folder.resolve())}


def job(name: str, folder: str = "/here") -> Job:
    output = str(PurePosixPath(name).with_suffix(".vat"))
    return Job(VERB, Path(folder) / name, name, output, Path("/out") / output, folder)


def line(name: str, folder: str | None = "/here", **more: Any) -> dict[str, Any]:
    place = {} if folder is None else {"folder": folder}
    return {**place, "input": name, "output": str(PurePosixPath(name).with_suffix(".vat")), **more}


def test_lines_are_sorted_by_what_they_are_to_a_run(tmp_path: Path) -> None:
    (tmp_path / "gone.vat").touch()
    (tmp_path / "old.vat").touch()
    lines = [
        line("a.obj", bytes_out=1),
        line("a.obj", bytes_out=2),
        line("gone.obj"),  # its source is, its output is not
        line("without.obj"),  # neither
        line("old.obj", None),  # of a version that did not name the folder
        line("bad.obj", error="damaged", output=None),
        line("b.obj", "/there"),
        line("c.obj", "/there"),
        line("bad.obj", "/there", error="damaged", output=None),
    ]
    earlier = sort_out(lines, [job("a.obj"), job("c.obj")], tmp_path)
    assert earlier.own == {"a.vat": lines[1], "c.vat": lines[7]}
    assert earlier.others == [lines[2], lines[4], lines[6], lines[8]]
    assert earlier.left == [lines[2], lines[4]]
    assert earlier.of_folder("/here")


@pytest.mark.parametrize("lines", [[], [line("b.obj", "/there")], [line("a.obj", "/there")]])
def test_a_manifest_without_lines_about_the_folder(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    assert not sort_out(lines, [job("a.obj")], tmp_path).of_folder("/here")


def test_an_output_belongs_to_the_file_that_it_was_made_of_while_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.obj").touch()
    there = str(tmp_path)
    assert foreign_owner(line("a.obj", there), "/here") == str(tmp_path / "a.obj")
    assert foreign_owner(line("b.obj", there), "/here") is None  # gone, or the folder was moved
    assert foreign_owner(line("a.obj", there), there) is None
    assert foreign_owner(line("a.obj", None), "/here") is None
    assert foreign_owner(line("a.obj", "memory://there"), "/here") is None


def test_lines_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    good = line("a.obj")
    texts = [
        json.dumps(good),
        "[1]",
        "3",
        "{",
        "{}",
        json.dumps({"input": 3}),
        json.dumps({**good, "output": [1]}),
    ]
    (tmp_path / MANIFEST).write_text("\n".join(texts))
    assert read_manifest(tmp_path / MANIFEST) == [good]
