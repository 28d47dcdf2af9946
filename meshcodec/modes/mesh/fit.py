"""Vertices of a coarse mesh moved by least squares, so that its surface comes near to another.

The inner loop of Hoppe et al., "Mesh optimization" (1993): the connectivity stays, samples of both surfaces
pull at the point of the other that is closest, springs along the edges become weaker from round to round.
Unlike there

- what counts is mostly the distance along the line to the closest point, as in registration by tangent planes
  (Chen and Medioni 1992): a vertex slides along the surface at little cost;
- far samples count less (weights of Cauchy): what cannot be reached does not spoil the rest;
- the surface may be a Loop subdivision surface, whose points are linear in the vertices, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, identity
from scipy.sparse.linalg import splu

from meshcodec.format.box import NO_AXES, Axes
from meshcodec.format.grid_mesh import FLAT
from meshcodec.geometry.nearby import NearbyPlaces, morton_order, spread
from meshcodec.geometry.triangles import Floats, Ints, area_normals
from meshcodec.metrics import QUICK_FACES, Surface
from meshcodec.modes.mesh.decode import with_images
from meshcodec.surface.loop import Rule, crease_edges, edges_of, limit, refined

Sparse: TypeAlias = Any  # scipy's matrices have no types
Mask: TypeAlias = NDArray[np.bool_]
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # upper triangle of a symmetric 3 x 3 matrix
_TINY = 1e-9  # distance, in the unit frame, below which two points are one and have no direction
_LEAST_AREA = 1e-14  # twice the area of a triangle that points can be closest to


@dataclass(frozen=True)
class FitRound:
    """One linear system of the fit; lengths are in the unit frame (longest half-extent 1).

    Attributes
    ----------
    samples : points on each surface
    sigma : distance at which a sample counts half
    tangential : weight of distances along the surface, where those across it have 1
    stiffness : strength of the springs, over the number of samples for each edge; they hold neighbours to the
        same move, so they do not draw the mesh together
    """

    samples: int
    sigma: float
    tangential: float
    stiffness: float


_ROUNDS = (
    FitRound(2500, 0.10, 0.10, 2e-2),
    FitRound(2500, 0.10, 0.05, 1e-2),
    FitRound(2500, 0.06, 0.02, 5e-3),
    FitRound(2500, 0.04, 0.01, 3e-3),
    FitRound(5000, 0.03, 0.005, 1e-3),
    FitRound(5000, 0.03, 0.005, 3e-4),
    FitRound(10_000, 0.015, 0.005, 3e-4),
)
_QUICK_ROUNDS = 4


@dataclass(frozen=True)
class FitSettings:
    """Numbers of the fit.

    Attributes
    ----------
    rounds : one after the other
    damping : strength with which each vertex is held at its place of the round before
    longest_step : largest move of a vertex in a round
    most_fine_faces : a Loop surface is fitted at two levels if it has at most so many faces then, else at one
    samples_per_face : samples that a round has at least for each face of the mesh, as far as there are some
    """

    rounds: tuple[FitRound, ...] = _ROUNDS
    damping: float = 1e-3
    longest_step: float = 0.1
    most_fine_faces: int = 6000
    samples_per_face: float = 2.0

    @property
    def quick(self) -> FitSettings:
        """The first rounds alone."""
        return replace(self, rounds=self.rounds[:_QUICK_ROUNDS])

    @property
    def samples(self) -> int:
        """Points of the round that takes most."""
        return max(one.samples for one in self.rounds)


@dataclass(frozen=True)
class ControlMesh:
    """A mesh whose vertices can be moved, and the surface that it stands for.

    Attributes
    ----------
    vertices, faces : (V, 3) and (F, 3), in the unit frame
    crease : as `meshcodec.format.grid_mesh.GridMesh.crease`
    mirrored : axes across which its images lie. A vertex whose coordinate there is 0 stays in the plane
    """

    vertices: Floats
    faces: Ints
    crease: int = FLAT
    mirrored: Axes = NO_AXES

    @property
    def held(self) -> Mask:
        """(V, 3) coordinates that stay 0, because the vertex is in a middle plane."""
        held: Mask = (self.vertices == 0.0) & np.array(self.mirrored)
        return held


@dataclass(frozen=True)
class Fit:
    """What a fit ends with.

    Attributes
    ----------
    mesh : with its vertices moved
    hessian : sparse (3V, 3V) of the squared distances, x, y and z of a vertex next to each other: what moving
        the vertices a little from where they are costs
    """

    mesh: ControlMesh
    hessian: Sparse


class Target:
    """The surface that meshes are fitted to, with its samples and its tree; serves any number of fits.

    Parameters
    ----------
    vertices, faces : (V, 3) and (F, 3), in the unit frame
    samples : points on it
    seed : of the samples
    """

    def __init__(self, vertices: Floats, faces: Ints, samples: int, seed: int = 0) -> None:
        self.points, _ = Surface(vertices, faces).sample(samples, np.random.default_rng([seed, 0]))
        self.seed = seed
        self._mesh = vertices, faces

    @cached_property
    def closest(self) -> ClosestPoints:
        """The closest places, all exact."""
        return ClosestPoints(*self._mesh)

    @cached_property
    def nearby(self) -> ClosestPoints | NearbyPlaces:
        """The closest places, of a mesh of many faces next to exact."""
        return self.closest if len(self._mesh[1]) < QUICK_FACES else NearbyPlaces(*self._mesh, self.seed)


class ClosestPoints:
    """The closest points of a triangle mesh."""

    def __init__(self, vertices: Floats, faces: Ints) -> None:
        self._vertices = np.ascontiguousarray(vertices, dtype=np.float64)
        double = np.linalg.norm(area_normals(self._vertices[faces]), axis=1)
        self._kept = np.flatnonzero(double > _LEAST_AREA)  # igl.AABB is wrong on faces that are a segment
        self._faces = np.ascontiguousarray(faces[self._kept])
        self._tree = igl.AABB()
        if len(self._faces):
            self._tree.init(self._vertices, self._faces)

    @property
    def empty(self) -> bool:
        """Whether no face has an area."""
        return not len(self._faces)

    def __call__(self, points: Floats) -> tuple[Floats, Ints]:
        """(n, 3) the closest place to each of (n, 3) points, and (n,) its face."""
        _, index, places = self._tree.squared_distance(self._vertices, self._faces, points)
        return np.asarray(places, dtype=np.float64), self._kept[np.asarray(index, dtype=np.int64)]


def fit(mesh: ControlMesh, target: Target, settings: FitSettings) -> Fit:
    """Move the vertices of a mesh towards the target.

    Parameters
    ----------
    mesh : at least one face with an area
    target : in the same frame, of a mirrored mesh the same half
    settings : numbers of the fit
    """
    size = 3 * len(mesh.vertices)
    edges = edges_of(mesh.faces, len(mesh.vertices)).ends
    springs = _springs(edges, len(mesh.vertices))
    order = np.flatnonzero(~mesh.held.reshape(-1))
    hessian: Sparse = identity(size, format="csr")
    for number, one in enumerate(settings.rounds):
        chart, faces = surface_map(mesh, settings.most_fine_faces)
        fine = mesh.vertices if chart is None else (chart @ mesh.vertices.reshape(-1)).reshape(-1, 3)
        samples = max(one.samples, round(settings.samples_per_face * len(mesh.faces)))
        pulls = _pulls(fine, faces, target, samples, number)
        if pulls is None:
            break
        hessian, gradient = _normal_equations(pulls, faces, len(fine), one)
        if chart is not None:
            hessian, gradient = chart.T @ hessian @ chart, chart.T @ gradient
        each = 2 * samples / max(len(edges), 1)
        system = hessian + each * (one.stiffness * springs + settings.damping * identity(size, format="csr"))
        moves = np.zeros(size)
        moves[order], better = _solved(system[order][:, order], gradient[order], number == 0)
        order = order[better]
        mesh = _moved(mesh, moves.reshape(-1, 3), settings.longest_step)
    return Fit(mesh, hessian)


def _moved(mesh: ControlMesh, moves: Floats, longest: float) -> ControlMesh:
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    shorter = moves * np.minimum(1.0, longest / np.maximum(lengths, longest))
    return ControlMesh(mesh.vertices + shorter, mesh.faces, mesh.crease, mesh.mirrored)


def surface_map(mesh: ControlMesh, most_fine_faces: int) -> tuple[Sparse | None, Ints]:
    """The points of a mesh's surface as a matrix (3R, 3V) of its vertices, and their faces (G, 3).

    Of a mirrored mesh the points cover both halves and the faces the own half. None stands for the identity,
    of a flat mesh.
    """
    if mesh.crease == FLAT:
        return None, mesh.faces
    positions, faces = with_images(mesh.vertices, mesh.faces, mesh.mirrored)
    count = len(positions)
    sharp = crease_edges(positions, faces, edges_of(faces, count), mesh.crease)
    levels = 2 if 16 * len(mesh.faces) <= most_fine_faces else 1
    total: Sparse = identity(count, format="csr")
    for _ in range(levels):
        rule, faces, sharp = refined(faces, count, sharp)
        count, total = rule.points, _matrix(rule, count) @ total
    total = (_matrix(limit(faces, count, sharp), count) @ total).tocoo()
    source, signs = _sources(mesh)
    rows, columns, weights = total.row.astype(np.int64), total.col.astype(np.int64), total.data
    chart = csr_matrix(
        (
            (weights[:, None] * signs[columns]).reshape(-1),
            (
                (3 * rows[:, None] + np.arange(3)).reshape(-1),
                (3 * source[columns][:, None] + np.arange(3)).reshape(-1),
            ),
        ),
        shape=(3 * count, 3 * len(mesh.vertices)),
    )
    return chart, faces[: 4**levels * len(mesh.faces)]


def _sources(mesh: ControlMesh) -> tuple[Ints, Floats]:
    """Of each vertex of `with_images`: the vertex that it is an image of, and the signs (3,) between them."""
    source, signs = np.arange(len(mesh.vertices)), np.ones((len(mesh.vertices), 3))
    for axis in np.flatnonzero(mesh.mirrored):
        beside = mesh.vertices[source, axis] != 0
        flipped = signs[beside]
        flipped[:, axis] *= -1
        source, signs = np.concatenate([source, source[beside]]), np.concatenate([signs, flipped])
    return source, signs


def _matrix(rule: Rule, count: int) -> Sparse:
    return csr_matrix((rule.weights, (rule.rows, rule.columns)), shape=(rule.points, count))


def _springs(ends: Ints, count: int) -> Sparse:
    """(3V, 3V) quadratic form of the squared lengths of edges."""
    rows = np.concatenate([ends[:, 0], ends[:, 1], ends[:, 0], ends[:, 1]])
    columns = np.concatenate([ends[:, 0], ends[:, 1], ends[:, 1], ends[:, 0]])
    values = np.repeat([1.0, -1.0], 2 * len(ends))
    every = np.arange(3)[:, None]
    return csr_matrix(
        (np.tile(values, 3), ((3 * rows + every).reshape(-1), (3 * columns + every).reshape(-1))),
        shape=(3 * count, 3 * count),
    )


@dataclass(frozen=True)
class _Pulls:
    """Points of a surface and where each should be: (n,) faces, (n, 3) weights of the corners, (n, 3) places
    on the surface, (n, 3) goals, (n, 3) normals of the faces."""

    face: Ints
    corners: Floats
    places: Floats
    goals: Floats
    normals: Floats


def _pulls(fine: Floats, faces: Ints, target: Target, samples: int, number: int) -> _Pulls | None:
    """Samples of the target pull the surface at its closest points, its own are pulled to the target's."""
    own = ClosestPoints(fine, faces)
    if own.empty:
        return None
    triangles = fine[faces]
    normals = area_normals(triangles)
    double = np.linalg.norm(normals, axis=1)
    points = np.ascontiguousarray(target.points[:: max(1, len(target.points) // samples)])
    places, face = own(points)
    rng = np.random.default_rng([target.seed, 1, number])
    drawn, corners = spread(double, len(points), rng)
    own_points = np.einsum("nk,nkd->nd", corners, triangles[drawn])
    order = morton_order(own_points)  # in which trees answer half as quick again
    drawn, corners, own_points = drawn[order], corners[order], own_points[order]
    goals, _ = target.nearby(own_points)
    faces_of = np.concatenate([face, drawn])
    return _Pulls(
        faces_of,
        np.concatenate([_barycentric(places, triangles[face]), corners]),
        np.concatenate([places, own_points]),
        np.concatenate([points, goals]),
        normals[faces_of] / np.maximum(double[faces_of], _LEAST_AREA)[:, None],
    )


def _barycentric(points: Floats, triangles: Floats) -> Floats:
    """(n, 3) weights of the corners of triangles (n, 3, 3) at points (n, 3) in them."""
    a, b, c = triangles.transpose(1, 0, 2)
    u, v, w = b - a, c - a, points - a
    uu, uv, vv, wu, wv = (
        np.einsum("nd,nd->n", one, other) for one, other in ((u, u), (u, v), (v, v), (w, u), (w, v))
    )
    area = np.maximum(uu * vv - uv * uv, _TINY**4)
    weights = np.stack([np.zeros(len(points)), vv * wu - uv * wv, uu * wv - uv * wu], axis=1) / area[:, None]
    weights[:, 0] = 1 - weights[:, 1] - weights[:, 2]
    weights = np.clip(weights, 0.0, 1.0)
    inside: Floats = weights / weights.sum(axis=1, keepdims=True)
    return inside


def _normal_equations(pulls: _Pulls, faces: Ints, count: int, one: FitRound) -> tuple[Sparse, Floats]:
    """Hessian (3R, 3R) and negative gradient (3R,) of the weighted squared distances, halved."""
    difference = pulls.goals - pulls.places
    distance = np.linalg.norm(difference, axis=1)
    apart = distance > _TINY
    direction = np.where(apart[:, None], difference / np.where(apart, distance, 1.0)[:, None], pulls.normals)
    weight = 1 / (1 + (distance / one.sigma) ** 2)
    across = (weight * (1 - one.tangential))[:, None] * direction
    along = weight * one.tangential
    every = [across[:, i] * direction[:, j] + (along if i == j else 0.0) for i, j in _PAIRS]
    blocks = np.empty((len(faces), 3, 3, 3, 3))  # face, corner and axis, corner and axis
    for k, m in _PAIRS:
        both = pulls.corners[:, k] * pulls.corners[:, m]
        for (i, j), value in zip(_PAIRS, every, strict=True):
            summed = np.bincount(pulls.face, both * value, len(faces))
            for first, second in {(k, m), (m, k)}:
                blocks[:, first, i, second, j] = blocks[:, first, j, second, i] = summed
    places = (3 * faces[:, :, None] + np.arange(3)).reshape(-1, 9)
    rows = np.broadcast_to(places[:, :, None], (len(faces), 9, 9)).reshape(-1)
    columns = np.broadcast_to(places[:, None], (len(faces), 9, 9)).reshape(-1)
    hessian = coo_matrix((blocks.reshape(-1), (rows, columns)), shape=(3 * count, 3 * count)).tocsr()
    # Along its own direction a difference has its whole weight.
    pull = weight[:, None] * difference
    gradient = np.zeros((count, 3))
    for k in range(3):
        for axis in range(3):
            gradient[:, axis] += np.bincount(faces[pulls.face, k], pulls.corners[:, k] * pull[:, axis], count)
    return hessian, gradient.reshape(-1)


def _solved(system: Sparse, wanted: Floats, reorder: bool) -> tuple[Floats, Ints]:
    """The solution of a symmetric positive definite system, and an order of the unknowns.

    Parameters
    ----------
    system, wanted : (n, n) sparse and (n,)
    reorder : whether to look for an order in which there is less to do, two fifths of the time; else the
        order is that of ``system``
    """
    factors = splu(
        system.tocsc(),
        permc_spec="MMD_AT_PLUS_A" if reorder else "NATURAL",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.asarray(factors.solve(wanted), dtype=np.float64), np.argsort(factors.perm_c)
