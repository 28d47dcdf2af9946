"""The one search for files: what it passes over, and its order."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from meshcodec.runtime.files import ending_of, files_below, find_files, with_ending


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    shown = ("b.obj", "A.OBJ", "a/z.ply", "a/notes.txt", "a.ply")
    for name in (*shown, ".hidden.obj", ".git/c.obj", "a/.x/d.obj"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names(folder: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found]


def test_files_of_some_kinds_are_found_in_the_order_of_their_paths(folder: Path) -> None:
    assert names(folder, find_files(folder, ("obj", "ply"))) == ["A.OBJ", "a/z.ply", "a.ply", "b.obj"]
    assert names(folder, find_files(folder, ("txt",))) == ["a/notes.txt"]
    assert find_files(folder, ("stl",)) == []
    assert find_files(folder / "nowhere", ("obj",)) == []


def test_a_folder_that_is_hidden_itself_is_searched(folder: Path) -> None:
    assert names(folder, find_files(folder / ".git", ("obj",))) == [".git/c.obj"]


def test_links_to_folders_are_not_followed_and_links_to_files_are_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.obj").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "circle").symlink_to(folder)
    (folder / "one.obj").symlink_to(tmp_path / "elsewhere" / "far.obj")
    (folder / "broken.obj").symlink_to(tmp_path / "nothing.obj")
    assert names(folder, find_files(folder, ("obj",))) == ["A.OBJ", "b.obj", "broken.obj", "one.obj"]


def test_a_folder_inside_can_be_left_out(folder: Path) -> None:
    assert names(folder, find_files(folder, ("ply",), without=folder / "a")) == ["a.ply"]
    assert names(folder, find_files(folder, ("ply",), without=folder / "b")) == ["a/z.ply", "a.ply"]
    assert folder / "a" / "z.ply" not in list(files_below(folder, folder / "a"))


def test_every_file_is_below(folder: Path) -> None:
    """Hidden ones, too: whoever counts them has to see them; a folder's own files come first."""
    found = names(folder, list(files_below(folder)))
    assert found == [
        ".hidden.obj",
        "A.OBJ",
        "a.ply",
        "b.obj",
        ".git/c.obj",
        "a/notes.txt",
        "a/z.ply",
        "a/.x/d.obj",
    ]


def test_the_ending_of_a_name() -> None:
    endings = {
        "a.obj": "obj",
        "B.OBJ": "obj",
        "a.b.ply": "ply",
        "a.obj.gz": "obj.gz",
        "A.v2.STL.GZ": "stl.gz",
        "a.gz": "gz",
        "plain": "",
        ".hidden": "",
    }
    assert {name: ending_of(Path("x.y") / name) for name in endings} == endings


def test_another_ending_takes_the_place_of_the_whole_old_one() -> None:
    for name in ("a.obj", "a.obj.gz", "a.OBJ.GZ", "a.vat", "a"):
        assert with_ending(Path("x.y") / name, "vat") == Path("x.y") / "a.vat"
    assert with_ending(PurePosixPath("a.v2.obj.gz"), "vat") == PurePosixPath("a.v2.vat")


def test_compressed_files_are_of_a_kind_of_their_own(folder: Path) -> None:
    for name in ("c.obj.gz", "d.txt.gz", "e.gz", "f.PLY.GZ"):
        (folder / name).touch()
    assert names(folder, find_files(folder, ("obj.gz", "ply.gz"))) == ["c.obj.gz", "f.PLY.GZ"]
    assert "c.obj.gz" not in names(folder, find_files(folder, ("obj", "gz")))
