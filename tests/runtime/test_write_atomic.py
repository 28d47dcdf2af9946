"""Files are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from meshcodec.errors import UsageError
from meshcodec.runtime.files import write_atomic


def test_write_atomic_writes(tmp_path: Path) -> None:
    path = tmp_path / "out.vat"
    write_atomic(path, b"first", overwrite=False)
    with pytest.raises(UsageError, match=r"out\.vat exists; pass -f to overwrite"):
        write_atomic(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first"
    write_atomic(path, b"third", overwrite=True)
    assert path.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_atomic(tmp_path / "ours", b"", overwrite=False)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "usual").stat().st_mode
    )


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_file_alone(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.vat"
    path.write_bytes(b"old")

    def fail(temporary: Path, target: Path) -> None:
        assert temporary.read_bytes() == b"new"
        assert target.read_bytes() == b"old"
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
    expected = UsageError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_atomic(path, b"new", overwrite=True)
    if expected is UsageError:
        assert f"{tmp_path}: No space left on device" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone is not a folder; create it"):
        write_atomic(tmp_path / "gone" / "out.vat", b"x", overwrite=False)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"file\b"):
        write_atomic(tmp_path / "file" / "out.vat", b"x", overwrite=True)
    with pytest.raises(UsageError, match="is a folder; name a file"):
        write_atomic(tmp_path, b"x", overwrite=True)
    with pytest.raises(UsageError, match="cannot write"):
        write_atomic(tmp_path / ("x" * 300), b"x", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # root may write whatever chmod says
    with pytest.raises(UsageError) as caught:
        write_atomic(tmp_path / "out.vat", b"x", overwrite=False)
    assert str(caught.value).startswith(f"cannot write out.vat in {tmp_path}: Permission denied; ")


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    write_atomic(device, b"x", overwrite=False)
    assert device.is_symlink()
    assert stat.S_ISCHR(device.stat().st_mode)
