"""How a set of generated shapes compares with a set of real ones, from Chamfer distances.

Coverage and minimum matching distance are those of Achlioptas et al. 2018 (Learning Representations and
Generative Models for 3D Point Clouds), the accuracy of the nearest neighbour that of Lopez-Paz & Oquab 2016
as Yang et al. 2019 (PointFlow) use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from meshcodec.geometry.normalize import fit_cube
from meshcodec.geometry.triangles import face_areas, points_in

Matrix = NDArray[np.float64]
"""Distances between the shapes of two sets, (rows, columns)."""


@dataclass(frozen=True)
class SetScores:
    """A generated set beside a real one.

    Attributes
    ----------
    coverage : share of the real shapes that are the nearest one to some generated shape; 1 is best
    mmd : mean over the real shapes of the distance to the nearest generated one; 0 is best
    one_nna : share of all shapes whose nearest neighbour is of the same set; 0.5 where the sets cannot be
        told apart, 1 where they can be always
    """

    coverage: float
    mmd: float
    one_nna: float


def surface_points(vertices: ArrayLike, faces: ArrayLike, count: int, seed: int) -> NDArray[np.float64]:
    """(count, 3) points of a surface, by area, in the frame of `fit_cube`: longest half-extent 1."""
    corners = np.asarray(vertices, dtype=np.float64)
    unit = fit_cube(corners).to_unit(corners)
    triangles = np.asarray(faces)
    areas = face_areas(unit, triangles)
    rng = np.random.default_rng(seed)
    return points_in(unit[triangles[rng.choice(len(triangles), count, p=areas / areas.sum())]], rng)


def chamfer_matrix(first: list[NDArray[np.float64]], second: list[NDArray[np.float64]]) -> Matrix:
    """Distances between all clouds of two lists, (n, 3) each -> (len(first), len(second)).

    The Chamfer distance is the sum of both mean squared distances from a point to the nearest of the other
    cloud.
    """
    trees = [[cKDTree(cloud) for cloud in clouds] for clouds in (first, second)]
    result = np.empty((len(first), len(second)))
    for i, (cloud, tree) in enumerate(zip(first, trees[0], strict=True)):
        for j, (other, its_tree) in enumerate(zip(second, trees[1], strict=True)):
            there, back = its_tree.query(cloud)[0], tree.query(other)[0]
            result[i, j] = np.square(there).mean() + np.square(back).mean()
    return result


def set_scores(generated: Matrix, real: Matrix, between: Matrix) -> SetScores:
    """The scores of G generated shapes and R real ones.

    Parameters
    ----------
    generated, real : (G, G) and (R, R) distances within the sets
    between : (G, R) distances
    """
    G, R = between.shape
    nearest_real = between.argmin(axis=1)
    whole = np.block([[generated, between], [between.T, real]])
    np.fill_diagonal(whole, np.inf)
    is_generated = np.arange(G + R) < G
    same = is_generated[whole.argmin(axis=1)] == is_generated
    return SetScores(len(np.unique(nearest_real)) / R, float(between.min(axis=0).mean()), float(same.mean()))
