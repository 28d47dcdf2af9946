"""glTF scenes: nodes, visibility, instances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from support.gltf_files import (
    BOX,
    BOX_FACES,
    BRACKET,
    BRACKET_FACES,
    GltfFile,
    assert_brackets,
    assert_measures,
    corners,
    loaded,
    skinned_bracket,
)

from meshcodec.errors import BadMeshError

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype=np.float64)
QUARTER_X = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]  # quaternion of a quarter turn about x: y to z, z to -y
QUARTER_Z = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]  # about z: x to y, y to -x


def refused(data: bytes, words: str, **limits: int) -> None:
    with pytest.raises(BadMeshError, match=words):
        loaded(data, "glb", **limits)


def shifted(points: ArrayLike, *offset: float) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = np.asarray(points, dtype=np.float64) + np.array(offset)
    return moved


def assert_points(file: GltfFile, expected: ArrayLike) -> None:
    """Fail unless the file has these corners, (m, 3, 3), in this order."""
    np.testing.assert_allclose(corners(loaded(file.glb())), np.asarray(expected), rtol=0, atol=1e-6)


# ---- scenes


def two_scenes() -> GltfFile:
    file = GltfFile()
    file.mesh(file.primitive(TRIANGLE))
    for x in (0, 10, 20):
        file.node(mesh=0, translation=[x, 0, 0])
    file.tree["scenes"] = [{"nodes": [0]}, {"nodes": [1, 0]}]
    return file


def test_the_default_scene_counts_and_without_one_the_first() -> None:
    file = two_scenes()
    assert_points(file, [TRIANGLE])
    file.tree["scene"] = None
    assert_points(file, [TRIANGLE])
    file.tree["scene"] = 1
    assert_points(file, [shifted(TRIANGLE, 10, 0, 0), TRIANGLE])
    file.tree["scene"] = 2
    refused(file.glb(), "number 2 of its scenes")


def test_without_scenes_all_nodes_count_that_are_no_child() -> None:
    file = GltfFile()
    file.mesh(file.primitive(TRIANGLE))
    file.node(mesh=0)
    file.node(children=[0], translation=[5, 0, 0])
    file.node(mesh=0)
    expected = [shifted(TRIANGLE, 5, 0, 0), TRIANGLE]
    file.tree["scenes"] = []
    assert_points(file, expected)
    file.tree["scenes"] = None
    assert_points(file, expected)


def test_without_scenes_coarser_forms_of_a_node_do_not_count() -> None:
    file = GltfFile()
    file.mesh(file.primitive(TRIANGLE))
    file.node(mesh=0, extensions={"MSFT_lod": {"ids": [1]}})
    file.node(mesh=0, translation=[100, 0, 0])
    file.tree["scenes"] = []
    assert_points(file, [TRIANGLE])


def test_without_nodes_each_mesh_counts_once() -> None:
    file = GltfFile()
    file.mesh(file.primitive(BRACKET, BRACKET_FACES))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))
    file.node(name="empty")
    file.tree["scenes"] = []
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))
    file.tree["scenes"] = [{"nodes": [0]}]  # a scene that shows nothing shows nothing
    refused(file.glb(), "no faces")
    file.tree["scenes"] = [{}]
    refused(file.glb(), "no faces")


# ---- nodes


def test_transforms_are_nested_and_mirrors_turn_faces() -> None:
    file = GltfFile()
    file.roots = [1]
    file.bracket(scale=[-1, 1, 1], rotation=QUARTER_Z, translation=[0, 0, 7])
    file.node(children=[0], scale=[2, 2, 2], translation=[100, 0, 0])
    # Mirrored, turned, doubled: x of the bracket is -y here, and its y is -x.
    assert_brackets(loaded(file.glb()), scale=2, low=(96, -8, 14))


def test_a_matrix_is_column_by_column() -> None:
    by_parts, by_matrix = GltfFile(), GltfFile()
    by_parts.bracket(scale=[1, 2, 3], rotation=QUARTER_X, translation=[4, 5, 6])
    by_matrix.bracket(matrix=[1, 0, 0, 0, 0, 0, 2, 0, 0, -3, 0, 0, 4, 5, 6, 1])
    np.testing.assert_allclose(
        corners(loaded(by_parts.glb())), corners(loaded(by_matrix.glb())), rtol=0, atol=1e-6
    )
    assert_points(by_matrix, (BRACKET[BRACKET_FACES] * [1, 2, 3])[:, :, [0, 2, 1]] * [1, -1, 1] + [4, 5, 6])


def test_rotations_of_another_length_are_unit_rotations() -> None:
    file = GltfFile()
    file.bracket(rotation=[3 * part for part in QUARTER_Z])
    assert_brackets(loaded(file.glb()), low=(-2, 0, 0))
    file.tree["nodes"][0]["rotation"] = [0, 0, 0, 0]
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_meshes_on_and_below_cameras_and_lights() -> None:
    file = GltfFile()
    file.roots = [1]
    file.bracket(translation=[0, 20, 0])
    file.node(mesh=0, camera=0, children=[0, 2], translation=[1, 2, 3])
    file.node(extensions={"KHR_lights_punctual": {"light": 0}}, children=[3])
    file.node(mesh=0, translation=[0, 40, 0])
    assert_brackets(loaded(file.glb()), count=3, low=(1, 2, 3))


@pytest.mark.parametrize("depth", [600, 5000])
def test_a_chain_of_nodes_costs_their_number(depth: int) -> None:
    file = GltfFile()
    file.roots = [depth]
    file.bracket()
    for number in range(depth):
        file.node(children=[number], translation=[1, 0, 0])
    assert_brackets(loaded(file.glb()), low=(depth, 0, 0))


def test_nodes_that_are_no_tree_are_refused() -> None:
    for nodes in (
        [{"mesh": 0, "children": [0]}],
        [{"children": [1]}, {"mesh": 0, "children": [0]}],
        [{"children": [1, 2]}, {"children": [2]}, {"mesh": 0}],
        [{"children": [1, 1]}, {"mesh": 0}],
    ):
        file = GltfFile()
        file.roots = [0]
        file.mesh(file.primitive(TRIANGLE))
        file.tree["nodes"] = nodes
        refused(file.glb(), "lies below itself or below two others")


def test_nodes_outside_of_the_scene_do_not_count() -> None:
    file = GltfFile()
    file.roots = [0]
    file.bracket()
    file.node(mesh=0, children=[1], translation=[99, 0, 0])  # a ring that nothing shows
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def hidden(visible: Any) -> dict[str, Any]:
    return {"KHR_node_visibility": {"visible": visible}}


def test_hidden_nodes_hide_what_is_below_them() -> None:
    file = GltfFile()
    file.roots = [1, 3]
    file.bracket(extensions=hidden(True))
    file.node(children=[0], mesh=0, extensions=hidden(False))
    file.bracket(translation=[3, 0, 0], extensions=hidden(True))
    file.node(children=[2], translation=[4, 0, 0], extensions={"KHR_node_visibility": {}})
    file.tree["extensionsRequired"] = ["KHR_node_visibility"]
    assert_brackets(loaded(file.glb()), low=(7, 0, 0))
    file.roots = [1]
    refused(file.glb(), "no faces")
    del file.tree["nodes"][2:]
    file.tree["scenes"] = []  # and what is hidden is not a library of meshes
    refused(file.glb(), "no faces")


# ---- scenes with measures that are known


def test_a_box_and_a_mirrored_bracket() -> None:
    file = GltfFile()
    file.roots = [2]
    box = file.mesh(file.primitive(BOX * [0.5, 1, 1.5], BOX_FACES))
    bracket = file.mesh(file.primitive(shifted(BRACKET, 1, 2, 3), BRACKET_FACES))
    turn = np.radians(15)
    rotation = [0, 0, float(np.sin(turn)), float(np.cos(turn))]
    file.node(mesh=box, translation=[1, 2, 3], rotation=rotation, scale=[1, 2, 0.5])
    c = float(np.sqrt(0.5))
    file.node(mesh=bracket, matrix=[-c, -c, 0, 0, -c, c, 0, 0, 0, 0, 1, 0, -5, 0, 0, 1])
    file.node(children=[0, 1])
    assert_measures(loaded(file.glb()), 63, 18, (3.75, 6.1034, 13.797))


def places_of_five() -> tuple[list[list[float]], list[list[float]]]:
    """Translations and rotations of five brackets, each turned further about z."""
    turns = np.radians(10.0 * np.arange(5))
    rotations = np.stack([0 * turns, 0 * turns, np.sin(turns), np.cos(turns)], axis=1)
    return [[6.0 * n, 3.0 * (n % 2), -2.0 * n] for n in range(5)], rotations.tolist()


def test_five_turned_brackets() -> None:
    nodes = GltfFile()
    for translation, rotation in zip(*places_of_five(), strict=True):
        nodes.bracket(translation=translation, rotation=rotation)
    places, turns = places_of_five()
    instances = GltfFile()
    attributes = {
        "TRANSLATION": instances.accessor(places),
        "ROTATION": instances.accessor(np.rint(np.array(turns) * 32767), "i2", normalized=True),
        "SCALE": instances.accessor(np.ones((5, 3))),
    }
    instances.bracket(extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    for file in (nodes, instances):
        assert_measures(loaded(file.glb()), 200, 60, (7.4641, 11, 24.6946))


def test_five_posts() -> None:
    file = GltfFile()
    file.mesh(file.primitive(BOX / 2, BOX_FACES))
    attributes = {
        "TRANSLATION": file.accessor([[3 * n, 0, 0] for n in range(5)]),
        "ROTATION": file.accessor([[0, 0, 0, 1]] * 5),
        "SCALE": file.accessor([[1, 2 + n, 1] for n in range(5)]),
    }
    file.node(mesh=0, extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    mesh = loaded(file.glb())
    assert_measures(mesh, 90, 20, (1, 6, 13))
    np.testing.assert_allclose(np.asarray(mesh.bounds)[:, 0], [-0.5, 12.5], atol=1e-6)


def test_a_quantized_box() -> None:
    file = GltfFile()
    rows = np.zeros((8, 4), dtype="<i2")
    rows[:, :3] = BOX * 32767
    view = file.view(rows.tobytes(), byteStride=8)
    positions = file.accessor(rows[:, :3], "i2", bufferView=view, normalized=True)
    file.node(mesh=file.mesh(file.primitive(positions, BOX_FACES)), scale=[2, 3, 4], translation=[10, 0, 0])
    mesh = loaded(file.glb())
    assert_measures(mesh, 208, 192, (4, 6, 8))
    np.testing.assert_allclose(np.asarray(mesh.bounds), [[8, -3, -4], [12, 3, 4]], atol=1e-6)


# ---- instances


def instanced(file: GltfFile, **attributes: int) -> dict[str, Any]:
    file.tree["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    return {"EXT_mesh_gpu_instancing": {"attributes": attributes}}


def test_instances_are_scaled_then_rotated_then_translated() -> None:
    file = GltfFile()
    extensions = instanced(
        file,
        TRANSLATION=file.accessor([[0, 0, 0], [10, 0, 0]]),
        ROTATION=file.accessor([[0, 0, 0, 1], QUARTER_Z]),
        SCALE=file.accessor([[1, 1, 1], [2, 1, 1]]),
    )
    file.bracket(extensions=extensions)
    turned = BRACKET[BRACKET_FACES] * [2, 1, 1]
    turned = np.stack([10 - turned[..., 1], turned[..., 0], turned[..., 2]], axis=-1)
    assert_points(file, np.concatenate([BRACKET[BRACKET_FACES], turned]))


@pytest.mark.parametrize("dtype", ["i1", "i2"])
def test_rotations_of_instances_may_be_integers(dtype: str) -> None:
    file = GltfFile()
    largest = int(np.iinfo(dtype).max)
    turns = np.rint(np.array([QUARTER_Z, [0, 0, 0, 1]]) * largest)
    extensions = instanced(file, ROTATION=file.accessor(turns, dtype, normalized=True))
    file.bracket(extensions=extensions)
    assert_brackets(loaded(file.glb()), count=2, low=(-2, 0, 0))


def test_instances_with_a_scale_alone() -> None:
    file = GltfFile()
    extensions = instanced(file, SCALE=file.accessor([[1, 1, 1], [-1, 1, 1], [1, -1, 1]]))
    file.bracket(extensions=extensions)
    assert_brackets(loaded(file.glb()), count=3, low=(-4, -2, 0))


def test_instances_below_a_scaled_and_mirrored_node() -> None:
    file = GltfFile()
    file.roots = [1]
    places = file.accessor([[0, 0, 0], [5, 0, 0], [10, 0, 0]])
    file.bracket(extensions=instanced(file, TRANSLATION=places), translation=[0, 0, 1], children=[2])
    file.node(children=[0], scale=[-2, 2, 2])
    file.node(mesh=0, translation=[0, 20, 0])  # a child of the instances is there once
    mesh = loaded(file.glb())
    assert_brackets(mesh, count=4, scale=2, low=(-28, 0, 2))


def test_instances_without_places_are_one_or_as_many_as_they_have_names() -> None:
    file = GltfFile()
    file.bracket(extensions=instanced(file))
    assert_brackets(loaded(file.glb()))
    file.tree["nodes"][0]["extensions"] = instanced(file, _ID=file.accessor([0, 1], "u1"))
    assert_brackets(loaded(file.glb()), count=2)


def test_instances_that_are_not_clear_are_refused() -> None:
    file = GltfFile()
    three, two = file.accessor(np.zeros((3, 3))), file.accessor(np.ones((2, 3)))
    file.bracket(extensions=instanced(file, TRANSLATION=three, SCALE=two))
    refused(file.glb(), "attributes of different lengths")
    file.tree["nodes"][0]["extensions"] = instanced(file, TRANSLATION=file.accessor(np.zeros((3, 4))))
    refused(file.glb(), "4 numbers where 3 belong")
    skinned = skinned_bracket(file)
    file.tree["nodes"][0] |= {"mesh": skinned, "skin": 0, "extensions": instanced(file, TRANSLATION=three)}
    file.add("skins", joints=[0])
    refused(file.glb(), "instances of a mesh with a skin")


def test_instances_are_counted_before_they_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    places = GltfFile()
    many = places.add("accessors", componentType=5126, count=100, type="VEC3")
    places.bracket(extensions=instanced(places, TRANSLATION=many))
    nodes = GltfFile()
    for _ in range(100):
        nodes.bracket()
    for file in (places, nodes):
        assert len(loaded(file.glb(), max_faces=2000).faces) == 2000
    # Nothing is read before the count is refused.
    monkeypatch.setattr("meshcodec.geometry.gltf.buffers.Buffers.view", None)
    for file in (places, nodes):
        refused(file.glb(), "more than 1999 faces", max_faces=1999)
