"""Files that have the name of a mesh and are something else."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import trimesh

from meshcodec.errors import BadMeshError
from meshcodec.geometry.formats import READ_FORMATS
from meshcodec.geometry.io import export_mesh, load_mesh

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize("ending", [*READ_FORMATS, "obj.gz"])
def test_a_pointer_of_git_lfs(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(POINTER) if ending.endswith("gz") else POINTER)
    with pytest.raises(
        BadMeshError, match=r"pointer of Git LFS, .*; fetch the mesh with: git lfs pull"
    ) as caught:
        load_mesh(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("ending", READ_FORMATS)
def test_a_web_page(ending: str) -> None:
    for page in (b"<!DOCTYPE html><html>404</html>", b"\n <html lang=en></html>"):
        with pytest.raises(BadMeshError, match="a web page, not a mesh; download the file itself"):
            load_mesh(io.BytesIO(page), ending)


@pytest.mark.parametrize("ending", READ_FORMATS)
def test_archives_by_other_names(ending: str) -> None:
    data = gzip.compress(export_mesh(trimesh.creation.box(), "obj"))
    with pytest.raises(BadMeshError, match=rf"compressed with gzip; name it \.{ending}\.gz \(in a pipe"):
        load_mesh(io.BytesIO(data), ending)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.obj", "v 0 0 0\n")
    with pytest.raises(BadMeshError, match=r"a zip archive; unpack it|it holds no /3d/3dmodel"):
        load_mesh(io.BytesIO(made.getvalue()), ending)
