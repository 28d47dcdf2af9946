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
from meshcodec.geometry.readers.content import check_content

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
@pytest.mark.parametrize("inside", ["glb", "ply", "off", "stl"])
def test_meshes_of_another_format_are_named(ending: str, inside: str) -> None:
    """But for GLB as glTF, which is read, and STL in binary, which has no first word."""
    box = trimesh.creation.box()
    data = export_mesh(box, inside) if inside != "stl" else box.export(file_type="stl_ascii").encode()
    if ending == inside or (ending, inside) == ("gltf", "glb"):
        assert len(load_mesh(io.BytesIO(data), ending).faces) == 12
        return
    with pytest.raises(
        BadMeshError, match=rf"begins as {inside.upper()} does; name it \.{inside} \(in a pipe"
    ):
        load_mesh(io.BytesIO(data), ending)


@pytest.mark.parametrize(
    "head", [b"glTF\2\0\0\0", b"ply\nformat ascii", b"OFF\n", b"PK\3\4", b"\x1f\x8b", b"<html>"]
)
def test_a_binary_stl_may_begin_with_anything(head: bytes) -> None:
    data = export_mesh(trimesh.creation.box(), "stl")
    assert len(load_mesh(io.BytesIO(head.ljust(80, b" ") + data[80:]), "stl").faces) == 12


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


def test_a_long_line_is_not_searched_for_what_it_is() -> None:
    """Only what stands at the beginning counts; any share of 100 000 spaces could be part of a name."""
    check_content(b"solid" + b" " * 100_000 + b"facet", "obj")
