"""glTF meshes that move: skins and morph targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from support.gltf_files import (
    BRACKET,
    BRACKET_FACES,
    GltfFile,
    assert_brackets,
    corners,
    loaded,
    skinned_bracket,
)

from meshcodec.errors import BadMeshError

QUARTER_X = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]  # quaternion of a quarter turn about x: y to z, z to -y
QUARTER_Z = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]  # about z: x to y, y to -x


def refused(data: bytes, words: str) -> None:
    with pytest.raises(BadMeshError, match=words):
        loaded(data)


def assert_points(file: GltfFile, expected: ArrayLike) -> None:
    """Fail unless the file has these corners, (m, 3, 3), in this order."""
    np.testing.assert_allclose(corners(loaded(file.glb())), np.asarray(expected), rtol=0, atol=1e-6)


# ---- skins


def inverse(*matrices: ArrayLike) -> list[NDArray[np.float64]]:
    """Inverses, as an accessor of column-by-column matrices has them."""
    return [np.linalg.inv(np.asarray(matrix, dtype=float)).T.ravel() for matrix in matrices]


def translation(*offset: float) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def test_the_place_of_a_skinned_node_does_not_count() -> None:
    """Two parts of a figure, moved apart, that one joint holds together."""
    file = GltfFile()
    file.roots = [0]
    body = skinned_bracket(file)
    file.node(children=[1, 2, 3])
    file.node(mesh=body, skin=0, translation=[0, 1, 0])
    file.node(mesh=body, skin=0, translation=[3, 0, 0], scale=[-1, 1, 1])
    file.node(name="hip", translation=[0, 0, 5])
    file.add("skins", joints=[3])
    mesh = loaded(file.glb())
    assert_brackets(mesh, count=2, low=(0, 0, 5))
    np.testing.assert_allclose(np.asarray(mesh.extents), [4, 2, 3], atol=1e-6)


def test_a_scaled_and_turned_armature() -> None:
    file = GltfFile()
    file.roots = [0]
    file.node(children=[1, 2], rotation=QUARTER_X, scale=[0.01] * 3)
    file.node(mesh=skinned_bracket(file), skin=0)
    file.node(rotation=[-QUARTER_X[0], 0, 0, QUARTER_X[3]], scale=[100] * 3)
    file.add("skins", joints=[2], inverseBindMatrices=file.accessor(inverse(np.eye(4))))
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))


def test_joints_are_where_their_nodes_are() -> None:
    """The bind pose is that of the inverse matrices; the nodes pose the joints."""
    file = GltfFile()
    file.roots = [0]
    file.node(children=[1], translation=[1, 2, 3])
    file.node(translation=[0, 0, 1])
    file.node(mesh=skinned_bracket(file), skin=0, translation=[77, 0, 0])
    file.roots.append(2)
    bind = file.accessor(inverse(translation(1, 2, 4)))
    file.add("skins", joints=[1], inverseBindMatrices=bind)
    assert_brackets(loaded(file.glb()), low=(0, 0, 0))
    file.tree["nodes"][1]["rotation"] = QUARTER_Z  # about the joint at 1 2 4: 0 0 0 comes to 3 1 0
    assert_brackets(loaded(file.glb()), low=(1, 1, 0))
    del file.tree["skins"][0]["inverseBindMatrices"]
    file.tree["nodes"][1]["rotation"] = [0, 0, 0, 1]
    assert_brackets(loaded(file.glb()), low=(1, 2, 4))


def test_weights_blend_joints() -> None:
    upper = BRACKET[:, 1] > 1
    joints = np.where(upper[:, None], [0, 1, 0, 0], [0, 0, 0, 0])
    for dtype, shares in (
        ("f4", [0.25, 0.75, 0, 0]),
        ("f4", [0.5, 1.5, 0, 0]),
        ("u1", [51, 153, 0, 0]),
        ("u2", [16383, 49149, 0, 0]),
    ):
        file = GltfFile()
        file.roots = [0, 1, 2]
        file.node()
        file.node(translation=[0, 4, 0])
        file.node(mesh=skinned_bracket(file, joints, shares, dtype), skin=0)
        file.add("skins", joints=[0, 1])
        expected = BRACKET + np.outer(upper, [0, 3, 0])
        assert_points(file, expected[BRACKET_FACES])


def test_sets_of_joints_add_up_and_vertices_without_weights_follow_the_first() -> None:
    file = GltfFile()
    file.roots = [0, 1, 2]
    file.node(translation=[8, 0, 0])
    file.node(translation=[0, 8, 0])
    mesh = skinned_bracket(file, 0, [1, 0, 0, 0])
    attributes = file.tree["meshes"][mesh]["primitives"][0]["attributes"]
    attributes["JOINTS_1"] = file.accessor(np.full((12, 4), 1), "u2")
    attributes["WEIGHTS_1"] = file.accessor(np.tile([0.5, 0.5, 0, 0], (12, 1)))
    file.node(mesh=mesh, skin=0)
    file.add("skins", joints=[0, 1])
    assert_brackets(loaded(file.glb()), low=(4, 4, 0))

    none = skinned_bracket(file, [1, 9, 9, 9], 0)  # what a joint of no weight is called does not matter
    file.tree["nodes"][2]["mesh"] = none
    assert_brackets(loaded(file.glb()), low=(0, 8, 0))


def test_two_skins_move_one_mesh() -> None:
    file = GltfFile()
    mesh = skinned_bracket(file)
    file.node(translation=[0, 0, 10])
    file.node(translation=[0, 0, 20])
    for skin in (0, 1):
        file.add("skins", joints=[skin])
        file.node(mesh=mesh, skin=skin)
    low = loaded(file.glb())
    assert_brackets(low, count=2, low=(0, 0, 10))
    assert float(np.asarray(low.bounds)[1, 2]) == pytest.approx(23)


def test_joints_may_lie_outside_of_the_scene() -> None:
    file = GltfFile()
    file.roots = [0]
    file.node(mesh=skinned_bracket(file), skin=0)
    file.node(translation=[1, 0, 0], children=[2])
    file.node(translation=[5, 0, 0])
    file.add("skins", joints=[2])
    assert_brackets(loaded(file.glb()), low=(6, 0, 0))
    file.tree["nodes"][2]["children"] = [1]
    refused(file.glb(), "node 2 lies below itself")


def test_mirrored_joints_turn_faces() -> None:
    file = GltfFile()
    file.node(mesh=skinned_bracket(file), skin=0)
    file.node(scale=[-1, 1, 1])
    file.add("skins", joints=[1])
    assert_brackets(loaded(file.glb()), low=(-4, 0, 0))


def test_a_mesh_without_joints_stays_at_its_node() -> None:
    file = GltfFile()
    file.node(translation=[9, 0, 0])
    file.add("skins", joints=[0])
    file.bracket(skin=0, translation=[1, 0, 0])
    assert_brackets(loaded(file.glb()), low=(1, 0, 0))
    mesh = skinned_bracket(file)
    file.tree["meshes"][0]["primitives"] += file.tree["meshes"][mesh]["primitives"]
    refused(file.glb(), "a part of a mesh with a skin has no joints")


def test_a_vertex_that_follows_no_joint_is_refused() -> None:
    file = GltfFile()
    file.node(mesh=skinned_bracket(file, 1), skin=0)
    file.add("skins", joints=[0])
    refused(file.glb(), "a vertex follows joint 1 of a skin with 1")
    file.tree["skins"][0] = {"joints": []}
    refused(file.glb(), "a skin of 0 joints")
    file.tree["skins"][0] = {"joints": [0, 0], "inverseBindMatrices": file.accessor(inverse(np.eye(4)))}
    refused(file.glb(), "a skin of 2 joints")
    del file.tree["skins"]
    refused(file.glb(), "number 0 of its skins")


# ---- morph targets


def morphed(*targets: Any, **mesh: Any) -> GltfFile:
    file = GltfFile()
    named = [
        {"POSITION": file.accessor(target) if isinstance(target, np.ndarray) else target}
        for target in targets
    ]
    file.mesh(file.primitive(BRACKET, BRACKET_FACES, targets=named), **mesh)
    file.node(mesh=0)
    return file


def test_default_weights_of_morph_targets_move_vertices() -> None:
    along_x, along_y = np.tile([1.0, 0, 0], (12, 1)), np.tile([0, 1.0, 0], (12, 1))
    for node, mesh, low in (
        (None, None, (0, 0, 0)),
        (None, [2.0, 0], (2, 0, 0)),
        (None, [0.5, -1], (0.5, -1, 0)),
        ([0, 3], [2, 0], (0, 3, 0)),
        ([0, 0], [2, 0], (0, 0, 0)),
        (None, [1], (1, 0, 0)),
    ):
        file = morphed(along_x, along_y, **({} if mesh is None else {"weights": mesh}))
        if node is not None:
            file.tree["nodes"][0]["weights"] = node
        assert_brackets(loaded(file.glb()), low=low)


def test_two_nodes_may_weigh_one_mesh_differently() -> None:
    file = morphed(np.tile([1.0, 0, 0], (12, 1)), weights=[1])
    file.node(mesh=0, weights=[100])
    file.node(mesh=0, weights=[200], translation=[0, 0, -1])
    mesh = loaded(file.glb())
    assert_brackets(mesh, count=3, low=(1, 0, -1))
    assert float(np.asarray(mesh.bounds)[1, 0]) == pytest.approx(204)


def test_morph_targets_may_be_sparse_or_small_integers() -> None:
    file = morphed(None, weights=[2])
    target = file.add("accessors", **file.sparse(12, [1, 2], [[1, 0, 0], [1, 0, 0]], "u1"))
    file.tree["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": target}]
    expected = BRACKET.copy()
    expected[[1, 2], 0] += 2
    assert_points(file, expected[BRACKET_FACES])

    file = morphed(None, weights=[4])
    moves = file.accessor(np.tile([127, 0, -127], (12, 1)), "i1", normalized=True)
    file.tree["meshes"][0]["primitives"][0]["targets"] = [{"NORMAL": 0}, {"POSITION": moves}]
    file.tree["meshes"][0]["weights"] = [9, 4]
    assert_brackets(loaded(file.glb()), low=(4, 0, -4))


def test_vertices_are_morphed_before_they_are_skinned() -> None:
    file = GltfFile()
    mesh = skinned_bracket(file, weights=[1, 0, 0, 0])
    file.tree["meshes"][mesh]["weights"] = [1]
    file.tree["meshes"][mesh]["primitives"][0]["targets"] = [
        {"POSITION": file.accessor(np.tile([1.0, 0, 0], (12, 1)))}
    ]
    file.node(mesh=mesh, skin=0)
    file.node(rotation=QUARTER_Z)
    file.add("skins", joints=[1])
    assert_brackets(loaded(file.glb()), low=(-2, 1, 0))


def test_a_morph_target_of_another_length_is_refused() -> None:
    refused(morphed(np.zeros((11, 3)), weights=[1]).glb(), "a morph target that is not for 12 vertices")
