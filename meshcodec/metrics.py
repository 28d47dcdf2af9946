"""How close a decoded mesh is to its reference: F-scores, distances, normals, volume.

Everything is measured in the *reference's* frame (bounding-box centre at the origin, longest half-extent 1),
from area-weighted seeded samples on each surface to the other mesh's *surface* (exact point-to-triangle
distance). What is measured against nearest samples instead, as in most papers, has ``points`` in its name.

The F-score is that of Knapitsch et al., "Tanks and Temples" (2017); inside is the generalized winding number
of Jacobson et al. (2013), by the fast tree of Barill et al. (2018).

Distances come from ``igl.AABB``. For 100 000 points along a Morton curve against 5k / 20k / 82k / 328k faces
on one core it takes 0.08 / 0.18 / 0.30 / 0.45 s; ``point_cloud_utils.closest_points_on_mesh`` takes 0.16 /
0.24 / 0.49 / 1.1 s for the same float64 values. Points in random order take both two to four times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import igl
import numpy as np
import point_cloud_utils as pcu
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshcodec.config import SAMPLES, TAUS
from meshcodec.errors import BadMeshError
from meshcodec.geometry.components import connected_parts
from meshcodec.geometry.io import arrays_of
from meshcodec.geometry.nearby import NearbyPlaces, morton_order
from meshcodec.geometry.normalize import fit_cube
from meshcodec.geometry.orientation import agreeing_faces
from meshcodec.geometry.outliers import without_stray
from meshcodec.geometry.sources import MeshSource
from meshcodec.geometry.triangles import (
    Floats,
    Ints,
    area_normals,
    box_of,
    has_no_border,
    merge_identical,
    used_vertices,
)

QUICK_FACES = 6000  # of a mesh, from which on `NearbyPlaces` is quicker than a tree of its faces
_RAY_OFFSET = 1e-4  # far above float32 noise of the ray caster at extent 2, far below the smallest tau
_RAY_ROUNDS = (2, 6, 16, 64)  # most samples are free within a few directions; only hidden ones need all


PerTau: TypeAlias = tuple[float, ...]
"""A share, 0..1, at each distance of `meshcodec.config.TAUS`, in that order."""


def column(kind: str, tau: float) -> str:
    """The flat name of a share at a distance, as tables have it: ``f_002`` is F at 0.02."""
    return f"{kind}_{f'{tau:g}'.replace('.', '')}"


def by_tau(shares: PerTau) -> dict[str, float]:
    """Shares by their distance, as JSON has them: ``{"0.02": 0.9, ...}``."""
    return {f"{tau:g}": share for tau, share in zip(TAUS, shares, strict=True)}


@dataclass(frozen=True)
class Scores:
    """What one decoded mesh scores against its reference.

    Attributes
    ----------
    f, precision, recall : PerTau
        0..1 each. Precision is the share of decoded samples near the reference's surface, recall the share of
        reference samples near the decoded surface, F their harmonic mean.
    chamfer : float
        Mean of the two mean distances, unit frame; inf for an empty mesh (so are p95 and max).
    p95, max : float
        The larger of the two directions' 95th percentile and maximum distance, unit frame.
    normal_consistency : float
        0..1, mean of both directions' mean |cos| between a sample's normal and that at its closest point. The
        sign is left out because many files have flipped faces.
    volume_iou : float or None
        0..1, None where the reference is open or was not asked for.
    components, components_reference : int
        Connected parts of the decoded mesh and of the reference after merging identical vertices.
    f_exterior : PerTau or None
        F with the recall taken over those reference samples that see free space; None where not asked for.
    f_points : PerTau or None
        F with distances from nearest sample to nearest sample, for comparison with papers; depends on the
        number of samples. None where not asked for.
    """

    f: PerTau
    precision: PerTau
    recall: PerTau
    chamfer: float
    p95: float
    max: float
    normal_consistency: float
    volume_iou: float | None
    components: int
    components_reference: int
    f_exterior: PerTau | None
    f_points: PerTau | None

    def at(self, tau: float) -> float:
        """The F-score at one of `meshcodec.config.TAUS`. Raises ValueError for another distance."""
        return self.f[TAUS.index(tau)]

    def to_dict(self) -> dict[str, float | int | None]:
        """Flat: a `column` for each share at each distance, the other fields by their names, in order."""
        flat: dict[str, float | int | None] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _PER_TAU:
                flat |= {column(field.name, tau): value and value[k] for k, tau in enumerate(TAUS)}
            else:
                flat[field.name] = value
        return flat

    @classmethod
    def from_dict(cls, flat: Mapping[str, Any]) -> Scores:
        """The scores that `to_dict` was made of. Raises KeyError where a column is missing."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in _PER_TAU:
                shares = tuple(flat[column(field.name, tau)] for tau in TAUS)
                given[field.name] = None if None in shares else shares
            else:
                given[field.name] = flat[field.name]
        return cls(**given)

    @classmethod
    def nothing(
        cls,
        *,
        exterior: bool = True,
        points: bool = True,
        volume: bool = False,
        components_reference: int = 0,
    ) -> Scores:
        """What an empty mesh scores; the flags say which of the optional fields are 0 rather than None."""
        zeros = (0.0,) * len(TAUS)
        return cls(
            f=zeros,
            precision=zeros,
            recall=zeros,
            chamfer=float("inf"),
            p95=float("inf"),
            max=float("inf"),
            normal_consistency=0.0,
            volume_iou=0.0 if volume else None,
            components=0,
            components_reference=components_reference,
            f_exterior=zeros if exterior else None,
            f_points=zeros if points else None,
        )


_PER_TAU = ("f", "precision", "recall", "f_exterior", "f_points")


class Reference:
    """A reference mesh with its samples and search trees, to score several decoded meshes against.

    Parameters
    ----------
    mesh : trimesh.Trimesh, (vertices (V, 3), faces (F, 3)), or what `meshcodec.geometry.io.load_mesh` takes
    samples : int
        Points on each surface.
    seed : int
        Seed of the samples on both surfaces (two independent streams), the rays and the volume's points.
    quick : bool
        Where the reference has many faces, distances to it are those of `NearbyPlaces`: a few are too large,
        the same ones for each mesh. To rank meshes, not to tell how good they are.

    Raises
    ------
    BadMeshError
        The reference has no face with an area, or not a finite extent.
    """

    def __init__(
        self, mesh: MeshSource, *, samples: int = SAMPLES, seed: int = 0, quick: bool = False
    ) -> None:
        vertices, faces = arrays_of(mesh)
        if not len(faces):
            raise BadMeshError("the reference mesh has no faces", "give a triangle mesh")
        if not np.isfinite(vertices[faces]).all():
            raise BadMeshError("the reference mesh has NaN or infinite coordinates", "repair it first")
        # What is no surface must not move the frame: vertices of no face, and faces without an area.
        faces = without_stray(vertices, faces)
        self.placement = fit_cube(vertices[used_vertices(faces, len(vertices))])
        self.samples = samples
        self.seed = seed
        unit = self.placement.to_unit(vertices)
        self.surface = QuickSurface(unit, faces, seed) if quick else Surface(unit, faces)
        if self.surface.empty:
            raise BadMeshError("the reference mesh has no area", "give a mesh with a surface")
        self._points, self._normals = self.surface.sample(samples, np.random.default_rng([seed, 0]))

    def fscore(
        self, decoded: MeshSource | None, taus: Sequence[float] = TAUS, samples: int | None = None
    ) -> tuple[float, ...]:
        """Only the F-scores at ``taus``, each 0..1; 0 for an empty mesh.

        ``samples`` takes fewer points than the reference has (every k-th), for a first look at candidates.
        """
        other = self._surface_of(decoded)
        if other.empty:
            return tuple(0.0 for _ in taus)
        step = max(1, self.samples // samples) if samples else 1
        own = self._points[::step]
        points, _ = other.sample(len(own), np.random.default_rng([self.seed, 1]))
        to_reference = self.surface.distance(points)
        to_decoded = other.distance(np.ascontiguousarray(own))
        return tuple(_harmonic(_share(to_reference, tau), _share(to_decoded, tau)) for tau in taus)

    def score(
        self, decoded: MeshSource | None, *, exterior: bool = True, points: bool = True, iou: bool = True
    ) -> Scores:
        """All figures; the three flags leave out the slow ones, whose fields are then None."""
        other = self._surface_of(decoded)
        volume = iou and self.closed
        if other.empty:
            return Scores.nothing(
                exterior=exterior, points=points, volume=volume, components_reference=self.components
            )
        samples, normals = other.sample(self.samples, np.random.default_rng([self.seed, 1]))
        to_reference, face_r = self.surface.closest(samples)
        to_decoded, face_d = other.closest(self._points)
        precision, recall = _shares(to_reference), _shares(to_decoded)
        f_points: PerTau | None = None
        if points:
            # No share looks beyond the largest tau, and an unbounded search is slow far away.
            near_r, _ = cKDTree(self._points).query(samples, distance_upper_bound=max(TAUS))
            near_d, _ = cKDTree(samples).query(self._points, distance_upper_bound=max(TAUS))
            f_points = _f_of(_shares(near_r), _shares(near_d))
        cos_r = np.abs(np.einsum("ij,ij->i", normals, self.surface.normals[face_r]))
        cos_d = np.abs(np.einsum("ij,ij->i", self._normals, other.normals[face_d]))
        return Scores(
            f=_f_of(precision, recall),
            precision=precision,
            recall=recall,
            chamfer=float(to_reference.mean() + to_decoded.mean()) / 2,
            p95=float(max(np.quantile(to_reference, 0.95), np.quantile(to_decoded, 0.95))),
            max=float(max(to_reference.max(), to_decoded.max())),
            normal_consistency=float(cos_r.mean() + cos_d.mean()) / 2,
            volume_iou=self._volume_iou(other) if volume else None,
            components=other.components(),
            components_reference=self.components,
            f_exterior=_f_of(precision, _shares(to_decoded[self.exterior])) if exterior else None,
            f_points=f_points,
        )

    @cached_property
    def closed(self) -> bool:
        """Whether the reference is closed, see `is_closed`."""
        return is_closed((self.surface.vertices, self.surface.all_faces))

    @cached_property
    def components(self) -> int:
        """Number of connected parts of the reference."""
        return self.surface.components()

    @cached_property
    def exterior(self) -> NDArray[np.bool_]:
        """(samples,) whether at least one of 64 directions leaves the sample without meeting the mesh.

        Either side of the face counts: each ray starts a small step off the surface on the side it points to.
        """
        directions = _sphere_directions(_RAY_ROUNDS[-1], np.random.default_rng([self.seed, 2]))
        free = np.zeros(len(self._points), dtype=bool)
        start = 0
        for stop in _RAY_ROUNDS:
            left = np.flatnonzero(~free)
            if not len(left):
                break
            rays = directions[start:stop]
            side = np.where(self._normals[left] @ rays.T >= 0, _RAY_OFFSET, -_RAY_OFFSET)  # (left, rays)
            origins = self._points[left, None] + side[..., None] * self._normals[left, None]
            heading = np.broadcast_to(rays, origins.shape)
            hit, _, _ = pcu.ray_mesh_intersection(
                self.surface.vertices,
                self.surface.faces,
                np.ascontiguousarray(origins.reshape(-1, 3)),
                np.ascontiguousarray(heading.reshape(-1, 3)),
            )
            free[left] = (np.asarray(hit).reshape(len(left), -1) < 0).any(axis=1)
            start = stop
        return free

    def _surface_of(self, decoded: MeshSource | None) -> Surface:
        if decoded is None:
            return Surface(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
        vertices, faces = arrays_of(decoded)
        if not len(vertices):
            return Surface(vertices, faces)
        vertices = self.placement.to_unit(vertices)
        return Surface(vertices, without_stray(vertices, faces))

    def _volume_iou(self, other: Surface) -> float:
        low, high = box_of(np.vstack([self.surface.used, other.used]))
        rng = np.random.default_rng([self.seed, 3])
        points = rng.uniform(low, high, size=(self.samples, 3))
        a, b = self.surface.inside(points), other.inside(points)
        either = int((a | b).sum())
        return float((a & b).sum()) / either if either else 0.0


def score(
    reference: MeshSource,
    decoded: MeshSource | None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    exterior: bool = True,
    points: bool = True,
    iou: bool = True,
) -> Scores:
    """All figures of ``decoded`` against ``reference``.

    Parameters
    ----------
    reference, decoded : trimesh.Trimesh, (vertices (V, 3), faces (F, 3)), or what `load_mesh` takes
        In the same coordinates. A ``decoded`` that is None or has no area scores 0 with infinite distances.
    samples : int
        Points on each surface, and in the volume.
    seed : int
        The same seed gives the same figures.
    exterior, points, iou : bool
        Whether to compute ``f_exterior``, ``f_points`` and ``volume_iou``.

    Raises
    ------
    BadMeshError
        The reference has no face with an area, or not a finite extent.
    """
    return Reference(reference, samples=samples, seed=seed).score(
        decoded, exterior=exterior, points=points, iou=iou
    )


def fscore(
    reference: MeshSource,
    decoded: MeshSource | None,
    taus: Sequence[float] = TAUS,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[float, ...]:
    """Only the F-scores at ``taus``; the same values as `score` gives for the same samples and seed."""
    return Reference(reference, samples=samples, seed=seed).fscore(decoded, taus)


def is_closed(mesh: MeshSource) -> bool:
    """Whether every edge is shared by exactly two faces once identical vertices are merged.

    As ``trimesh.Trimesh.is_watertight``; faces that merging makes degenerate do not count.
    """
    vertices, faces = arrays_of(mesh)
    faces = merge_identical(vertices, faces)[1]
    return has_no_border(faces)


class Surface:
    """Triangles in the unit frame with what is derived from them; faces without an area are left out."""

    def __init__(self, vertices: Floats, faces: Ints) -> None:
        self.vertices = np.ascontiguousarray(vertices, dtype=np.float64)
        self.all_faces = faces
        if len(faces):
            with np.errstate(invalid="ignore", over="ignore"):
                cross = area_normals(self.vertices[faces])
                double = np.linalg.norm(cross, axis=1)
            keep = np.isfinite(double) & (double > 0)  # igl.AABB is wrong on faces that are a segment
        else:
            cross, double, keep = np.zeros((0, 3)), np.zeros(0), np.zeros(0, dtype=bool)
        self.faces = np.ascontiguousarray(faces[keep])
        self.areas = double[keep] / 2
        self.normals = cross[keep] / double[keep, None]
        self._tree: Any = None

    @property
    def empty(self) -> bool:
        """Whether no face has an area."""
        return not len(self.faces)

    @property
    def used(self) -> Floats:
        """(n, 3) the vertices that a face uses."""
        return np.asarray(self.vertices[used_vertices(self.faces, len(self.vertices))])

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(count, 3) points, uniform by area, and the normals of their faces."""
        cumulative = np.cumsum(self.areas)
        index = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
        index = np.minimum(index, len(self.faces) - 1)
        # Barycentric by the square root (Turk 1990): uniform over the triangle.
        root, second = np.sqrt(rng.random(count)), rng.random(count)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
        points = np.einsum("nk,nkd->nd", weights, self.vertices[self.faces[index]])
        # Neighbours in space next to each other: the trees then answer two to four times faster.
        order = morton_order(points)
        return np.ascontiguousarray(points[order]), self.normals[index[order]]

    def closest(self, points: Floats) -> tuple[Floats, Ints]:
        """(n,) distance from each point to the surface and the face that is closest."""
        if self._tree is None:
            self._tree = igl.AABB()
            self._tree.init(self.vertices, self.faces)
        squared, index, _ = self._tree.squared_distance(self.vertices, self.faces, points)
        return np.sqrt(np.asarray(squared, dtype=np.float64)), np.asarray(index, dtype=np.int64)

    def distance(self, points: Floats) -> Floats:
        """(n,) distance from each point to the surface."""
        return self.closest(points)[0]

    def inside(self, points: Floats) -> NDArray[np.bool_]:
        """(n,) whether the winding number's magnitude is above a half, of faces turned to agree."""
        tree = igl.FastWindingNumberBVH()
        tree.init(self.vertices, np.ascontiguousarray(agreeing_faces(self.vertices, self.faces)))
        winding = np.asarray(tree.winding_number(points), dtype=np.float64).ravel()
        return np.asarray(np.abs(winding) > 0.5)

    def components(self) -> int:
        """Number of connected parts once identical vertices are merged."""
        _, faces = merge_identical(self.vertices, self.faces)
        if not len(faces):
            return 0
        return connected_parts(faces, int(faces.max()) + 1)[0]


class QuickSurface(Surface):
    """A surface of which distances to many faces are those of `NearbyPlaces`."""

    def __init__(self, vertices: Floats, faces: Ints, seed: int) -> None:
        super().__init__(vertices, faces)
        self._seed = seed

    @cached_property
    def _nearby(self) -> NearbyPlaces:
        return NearbyPlaces(self.vertices, self.faces, self._seed)

    def closest(self, points: Floats) -> tuple[Floats, Ints]:
        if len(self.faces) < QUICK_FACES:
            return super().closest(points)
        places, face = self._nearby(points)
        return np.linalg.norm(places - points, axis=1), face


def _share(distances: Floats, tau: float) -> float:
    return float((distances < tau).mean()) if len(distances) else 0.0


def _shares(distances: Floats) -> PerTau:
    return tuple(_share(distances, tau) for tau in TAUS)


def _f_of(precision: PerTau, recall: PerTau) -> PerTau:
    return tuple(map(_harmonic, precision, recall))


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _sphere_directions(count: int, rng: np.random.Generator) -> Floats:
    """(count, 3) unit vectors of a Fibonacci lattice, in random order so that the first few spread too."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    return np.asarray(rng.permutation(directions))
