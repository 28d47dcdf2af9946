"""Nodes: the tree of a scene, and where each node is in the scene's frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshcodec.geometry.gltf.document import Document, extension_of, whole

Matrix = NDArray[np.float64]  # (4, 4), for column vectors; or (n, 4, 4)
IDENTITY: Matrix = np.eye(4)
TRANSFORM_DEFAULTS = {
    "translation": (0.0, 0.0, 0.0),
    "rotation": (0.0, 0.0, 0.0, 1.0),
    "scale": (1.0, 1.0, 1.0),
}
"""What a node or an instance has that does not say otherwise; rotations are quaternions x, y, z, w."""


class Nodes:
    """The nodes of a document: which of them its scene shows, and their transforms.

    A scene is what is shown: the one that ``scene`` names, else the first, as three.js and Babylon.js have it
    (the specification leaves it open); without scenes, all nodes that are no other's child.

    Raises ValueError where a node of the scene lies below itself or below two others.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = document.items("nodes")
        self._locals = _local_matrices(self._nodes)
        self._worlds: list[Matrix | None] = [None] * len(self._nodes)
        self.shown: list[int] = []  # visible nodes of the scene
        scenes = document.items("scenes")
        if scenes:
            chosen = document.tree.get("scene")
            roots = document.item("scenes", 0 if chosen is None else chosen).get("nodes") or []
        else:
            roots = self._without_parent()
        self._place(roots, in_scene=True)
        self._placed_all = False

    def world(self, index: object) -> Matrix:
        """The (4, 4) transform from a node's frame to the scene's. ValueError: it lies below itself."""
        number = whole(index)
        self._document.item("nodes", number)
        if self._worlds[number] is None and not self._placed_all:
            self._place(self._without_parent(), in_scene=False)  # joints may lie outside of the scene
            self._placed_all = True
        found = self._worlds[number]
        if found is None:
            raise ValueError(f"node {number} lies below itself")
        return found

    def _without_parent(self) -> list[int]:
        others = {whole(child) for node in self._nodes for child in node.get("children") or ()}
        # Coarser forms of a node, https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Vendor/MSFT_lod
        for node in self._nodes:
            others.update(map(whole, ((node.get("extensions") or {}).get("MSFT_lod") or {}).get("ids") or ()))
        return [number for number in range(len(self._nodes)) if number not in others]

    def _place(self, roots: list[Any], in_scene: bool) -> None:
        """Multiply transforms from the roots down, once for each node, however deep they are nested."""
        stack = [(iter(roots), IDENTITY, False)]
        while stack:
            children, above, hidden = stack[-1]
            for child in children:
                number, node = whole(child), self._document.item("nodes", child)
                if self._worlds[number] is not None:
                    if in_scene:
                        raise ValueError(f"node {number} lies below itself or below two others")
                    continue
                local = self._locals.get(number)
                world = above if local is None else above @ local
                self._worlds[number] = world
                hides = hidden or _is_hidden(node)
                if in_scene and not hides:
                    self.shown.append(number)
                if node.get("children"):
                    stack.append((iter(node["children"]), world, hides))
                    break
            else:
                stack.pop()


def composed(
    translations: NDArray[np.float64], rotations: NDArray[np.float64], scales: NDArray[np.float64]
) -> Matrix:
    """(n, 4, 4) transforms that scale, then rotate, then translate ("Transformations").

    Parameters
    ----------
    translations, scales : (n, 3)
    rotations : (n, 4) quaternions x, y, z, w of any length; those of length 0 do not rotate.
    """
    lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
    still = lengths[:, 0] == 0
    x, y, z, w = np.where(
        still[:, None], TRANSFORM_DEFAULTS["rotation"], rotations / np.where(lengths, lengths, 1)
    ).T
    turns = np.empty((len(rotations), 3, 3))
    turns[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=1)
    turns[:, 1] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=1)
    turns[:, 2] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    matrices = np.zeros((len(rotations), 4, 4))
    matrices[:, :3, :3] = turns * scales[:, None, :]
    matrices[:, :3, 3] = translations
    matrices[:, 3, 3] = 1.0
    return matrices


def _local_matrices(nodes: list[Any]) -> dict[int, Matrix]:
    """The (4, 4) transforms of the nodes that have one, by their numbers; those of matrices and of parts."""
    whole_ones = [number for number, node in enumerate(nodes) if node.get("matrix") is not None]
    rest = [
        number
        for number, node in enumerate(nodes)
        if node.get("matrix") is None and TRANSFORM_DEFAULTS.keys() & node
    ]
    matrices = _table([nodes[number]["matrix"] for number in whole_ones], 16)
    found = dict(zip(whole_ones, matrices.reshape(-1, 4, 4).transpose(0, 2, 1), strict=True))
    parts = [
        _table([nodes[number].get(name) or default for number in rest], len(default))
        for name, default in TRANSFORM_DEFAULTS.items()
    ]
    found.update(zip(rest, composed(*parts), strict=True))
    return found


def _table(rows: list[Any], width: int) -> NDArray[np.float64]:
    """Rows of numbers as an array, (n, width). ValueError: they are not all of that width."""
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1) if rows else np.zeros((0, width))
    if table.shape[1] != width:
        raise ValueError(f"a transform of {table.shape[1]} numbers where {width} belong")
    return table


def _is_hidden(node: dict[str, Any]) -> bool:
    """Whether a node and what is below it is not shown (KHR_node_visibility)."""
    return (extension_of(node, "KHR_node_visibility") or {}).get("visible") is False
