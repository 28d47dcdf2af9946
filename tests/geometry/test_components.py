"""Connected parts of meshes in any order of their faces."""

from __future__ import annotations

import numpy as np
import trimesh

from meshcodec.geometry.components import connected_parts


def test_two_balls_in_mixed_order_and_an_unused_vertex_are_three_parts() -> None:
    one, other = trimesh.creation.icosphere(1), trimesh.creation.icosphere(2)
    split = len(one.vertices)
    faces = np.concatenate([one.faces, other.faces + split])
    count = split + len(other.vertices) + 1
    parts, part = connected_parts(np.random.default_rng(0).permutation(faces), count)
    assert parts == 3
    assert part.shape == (count,)
    assert [len(np.unique(part[:split])), len(np.unique(part[split:-1]))] == [1, 1]
    assert len({int(part[0]), int(part[split]), int(part[-1])}) == 3


def test_parts_that_share_one_vertex_are_one() -> None:
    faces = np.array([[0, 1, 2], [2, 3, 4], [5, 6, 7]])
    assert connected_parts(faces, 8)[0] == 2
