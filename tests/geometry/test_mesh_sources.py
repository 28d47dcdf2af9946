"""What a mesh may be given as: every kind gives the same mesh, and what is none is said in words."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from meshcodec.errors import BadMeshError
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.metrics import fscore, is_closed, score

BOX = trimesh.creation.box((2, 3, 4))


def same(mesh: trimesh.Trimesh) -> bool:
    corners = np.asarray(BOX.vertices)[np.asarray(BOX.faces)]
    return np.array_equal(np.asarray(mesh.vertices)[np.asarray(mesh.faces)], corners)


class Named:
    """A path that is neither a string nor a `Path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


@pytest.mark.parametrize("kind", ["obj", "ply", "off"])
def test_every_kind_of_source_is_the_same_mesh(tmp_path: Path, kind: str) -> None:
    data = export_mesh(BOX, kind)
    path = tmp_path / f"box.{kind}"
    path.write_bytes(data)
    bare = tmp_path / "box"
    bare.write_bytes(data)
    for source in (path, str(path), Named(path)):
        assert same(load_mesh(source))
    for content in (data, bytearray(data), memoryview(data), io.BytesIO(data), bare, str(bare)):
        assert same(load_mesh(content, file_type=kind))
    with path.open("rb") as stream:
        assert same(load_mesh(stream))
    with bare.open("rb") as stream:
        assert same(load_mesh(stream, file_type=kind))
    with gzip.open(tmp_path / "packed", "wb") as packed:
        packed.write(data)
    with gzip.open(tmp_path / "packed") as stream:
        assert same(load_mesh(stream, file_type=kind))
    (tmp_path / "packed").rename(tmp_path / f"box.{kind}.gz")
    with gzip.open(
        tmp_path / f"box.{kind}.gz"
    ) as stream:  # which unpacks, and has the name of the packed file
        assert same(load_mesh(stream))
    with (tmp_path / f"box.{kind}.gz").open("rb") as file:
        assert same(load_mesh(file))


@pytest.mark.parametrize(
    "vertices", [np.asarray(BOX.vertices, np.float32), BOX.vertices.tolist(), BOX.vertices]
)
@pytest.mark.parametrize("faces", [np.asarray(BOX.faces, np.uint8), BOX.faces.tolist(), BOX.faces])
def test_a_pair_of_arrays_is_a_mesh(vertices: Any, faces: Any) -> None:
    assert same(load_mesh((vertices, faces)))


def test_a_pair_is_copied() -> None:
    vertices, faces = np.array(BOX.vertices), np.array(BOX.faces)
    mesh = load_mesh((vertices, faces))
    mesh.vertices += 1
    np.testing.assert_array_equal(vertices, BOX.vertices)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((BOX.faces, BOX.vertices), "its faces are of type float64; give vertices first"),
        ((BOX.vertices, BOX.faces.astype(float)), "its faces are of type float64"),
        (
            (BOX.vertices, np.asarray([[0, 1, 2, 3]] * 3)),
            r"its faces have the shape \(3, 4\); give triangles",
        ),
        ((BOX.vertices, np.asarray([0, 1, 2])), r"its faces have the shape \(3,\)"),
        ((BOX.vertices[:, :2], BOX.faces), "its vertices do not have three coordinates each"),
        ((BOX.vertices, [[0, 1, 2], [0, 1, 2, 3]]), "its vertices and faces are no arrays of numbers"),
        ((BOX.vertices + 1j, BOX.faces), "its vertices are complex numbers; give real ones"),
        (((BOX.vertices + 0j).tolist(), BOX.faces), "its vertices are complex numbers; give real ones"),
        (("a", "b"), "its vertices and faces are no arrays of numbers"),
        ((BOX.vertices, BOX.faces + 1), "vertices that it does not have"),
        ((BOX.vertices, BOX.faces - 1), "vertices that it does not have"),
        ((BOX.vertices, BOX.faces > 3), "its faces are of type bool"),
        ((BOX.vertices, np.zeros((0, 3))), "no faces: a point cloud of 8 points"),
        (([], []), "it has no faces"),
        ((BOX.vertices * np.inf, BOX.faces), "NaN or infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # 0 times infinity, which is the test
def test_a_pair_that_is_no_mesh_is_refused(pair: Any, message: str) -> None:
    with pytest.raises(BadMeshError, match=f"^mesh: .*{message}"):
        load_mesh(pair)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((BOX.faces, BOX.vertices), "its faces are of type float64; give vertices first"),
        ((BOX.vertices, np.asarray([[0, 1, 2, 3]] * 3)), r"its faces have the shape \(3, 4\)"),
        ((BOX.vertices[:, :2], BOX.faces), "its vertices do not have three coordinates each"),
        ((BOX.vertices, BOX.faces - 1), "vertices that it does not have"),
    ],
)
def test_a_pair_that_is_no_mesh_is_not_measured(pair: Any, message: str) -> None:
    with pytest.raises(BadMeshError, match=message):
        fscore(BOX, pair, samples=100)


def test_a_scene_is_flattened_with_its_transforms() -> None:
    scene = trimesh.Scene()
    shift, mirror = np.eye(4), np.diag([-1.0, 1.0, 1.0, 1.0])
    shift[0, 3] = 10
    corner = trimesh.creation.extrude_triangulation(
        np.array([[0, 0], [2, 0], [0, 1]]), np.array([[0, 1, 2]]), height=1
    )
    scene.add_geometry(corner, node_name="a", geom_name="corner")
    scene.add_geometry(corner, node_name="b", geom_name="again", transform=shift)
    scene.add_geometry(corner, node_name="c", geom_name="more", parent_node_name="b", transform=mirror)
    mesh = load_mesh(scene)
    assert len(mesh.faces) == 3 * len(corner.faces)
    np.testing.assert_allclose(mesh.bounds, [[0, 0, 0], [12, 1, 1]])
    assert mesh.volume == pytest.approx(3)  # the image turns its faces, so that all three count as solids
    with pytest.raises(BadMeshError, match="more than 20 faces"):
        load_mesh(scene, max_faces=20)


def test_a_scene_without_a_surface_is_refused() -> None:
    with pytest.raises(BadMeshError, match=r"^scene: it has no faces"):
        load_mesh(trimesh.Scene())
    cloud = trimesh.Scene([trimesh.PointCloud(np.eye(3))])  # type: ignore[no-untyped-call]
    with pytest.raises(BadMeshError, match=r"^scene: it has no faces: a point cloud of 3 points"):
        load_mesh(cloud)


def test_a_node_whose_mesh_was_taken_out_is_passed_over() -> None:
    scene = trimesh.Scene()
    scene.add_geometry(BOX, node_name="a", geom_name="box")
    scene.add_geometry(BOX, node_name="b", geom_name="gone")
    del scene.geometry["gone"]
    assert same(load_mesh(scene))
    del scene.geometry["box"]
    with pytest.raises(BadMeshError, match=r"^scene: it has no faces"):
        load_mesh(scene)


def test_the_geometry_of_a_scene_stays_as_it_is() -> None:
    scene = trimesh.Scene([BOX.copy()])
    load_mesh(scene).vertices += 5
    (inside,) = scene.geometry.values()
    np.testing.assert_array_equal(inside.vertices, BOX.vertices)


@pytest.mark.parametrize("source", [5, None, 1.5, [BOX], object(), {"a": 1}, (), (1,), (1, 2, 3), np.eye(3)])
def test_what_is_no_source_is_said(source: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^load_mesh takes a path, an open binary file or bytes .*, not "
    ) as caught:
        load_mesh(source)
    given = f"a tuple of {len(source)}" if isinstance(source, tuple) else type(source).__name__
    assert str(caught.value).endswith(f", not {given}")


def test_bytes_and_streams_without_a_format_are_told_of_file_type() -> None:
    data = export_mesh(BOX, "obj")
    for source, name in ((data, "bytes"), (io.BytesIO(data), "stream")):
        with pytest.raises(
            BadMeshError, match=f"^{name}: its format is not known.*; name it by its file_type: obj"
        ):
            load_mesh(source)
    with pytest.raises(BadMeshError, match=r"^bytes: it is larger than 10 bytes"):
        load_mesh(data, "obj", max_bytes=10)
    with pytest.raises(BadMeshError, match=r"^bytes: it is empty"):
        load_mesh(b"", "obj")


def test_measuring_takes_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "box.ply"
    path.write_bytes(export_mesh(BOX, "ply"))
    scene, pair = trimesh.Scene([BOX]), (BOX.vertices, BOX.faces)
    expected = fscore(BOX, BOX, samples=2000)
    for source in (path, str(path), scene, pair):
        assert fscore(source, BOX, samples=2000) == fscore(BOX, source, samples=2000) == expected
        assert is_closed(source)
    with path.open("rb") as stream:
        assert score(stream, BOX, samples=2000, exterior=False, points=False).f == expected
    for wrong in (5, [BOX]):
        with pytest.raises(TypeError, match="takes a path, an open binary file or bytes"):
            fscore(BOX, wrong)  # type: ignore[arg-type]
