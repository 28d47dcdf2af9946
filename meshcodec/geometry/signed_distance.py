"""Signed distance to a mesh as a solid decoder can represent it: solids, and sheets with a thickness.

Inside is told by the generalized winding number w (Jacobson et al. 2013; the fast tree of Barill et al.
2018), so that open, self-intersecting and duplicated faces all have an answer. Faces that are drawn the other
way round than their neighbours are turned first (`meshcodec.geometry.orientation`). Connected parts that
enclose nothing (they have a border, and near them w is far from whole numbers), surfaces that have one side
only, and walls of one face within a closed shell take no part in w. Of the others inside is

- where ``|w| > 0.5``, as long as little surface is hidden in what that encloses;
- otherwise where w rounds to an *odd* number. Where two solids overlap w is 2, and the overlap becomes a
  cavity: so the hidden faces of assemblies bound something and are encoded, too (`FaceClasses.even_odd`).

Each face is tested a small step to both of its sides:

====================  ==================================================================================
outside on both       a *sheet*: an open surface or a plate thinner than the step; it is given a thickness
inside on both        *interior*: hidden within a solid. Left out, or, where `even_odd`, a slit of the same
                      thickness in the solid, for what lies between solids that touch
one of each           part of the boundary of a solid
====================  ==================================================================================

The target is ``min(signed distance of the solid, distance to the sheets - SHEET_HALF_THICKNESS)``: sheets
survive and solids are not inflated. Training, refinement and encoding share this one definition. Everything
here lives in the unit frame: bounding box centred at the origin, longest half-extent 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from meshcodec.geometry.cells import outer_shells
from meshcodec.geometry.components import Edges, connected_parts
from meshcodec.geometry.open_parts import (
    MIXED,
    distance_from_whole,
    inverted_pieces,
    off_whole,
    open_parts,
    part_means,
)
from meshcodec.geometry.orientation import Orientation, orient
from meshcodec.geometry.triangles import FLOOR_AREA, Floats, Ints, distinct_faces, face_normals, positions_of
from meshcodec.geometry.winding import LARGE, Sides, Winding, is_inside, winding_number

SHEET_HALF_THICKNESS = 0.0075
"""Half the thickness of a sheet: about one cell of a 256-cell decode, and below the 0.01 of the metric."""
ONLY_SHEETS = 0.95
"""Share of the area that is sheets from which on a mesh is one of sheets."""
TWO_SIDED = 0.55
"""Share of the faces that are left without repeated ones below which nearly all are there twice."""
HIDDEN_SHARE = 0.03
"""Share of the area that is hidden, deeper than `HIDDEN_DEPTH`, above which `even_odd` is chosen."""
HIDDEN_DEPTH = 0.02
"""Distance to what shows below which hidden surface is as good as encoded: the coarsest tau of the metric."""
_HIDDEN_SAMPLES = 2000  # points on interior faces whose depth is measured
_LEAST_DOUBLED = 1e-14  # twice the area of a face in the unit frame that is kept


class FaceKind(IntEnum):
    """What a face bounds."""

    SOLID = 0
    SHEET = 1
    INTERIOR = 2


@dataclass(frozen=True)
class FaceClasses:
    """The faces of a unit-frame mesh with what each bounds and which way is out.

    Attributes
    ----------
    vertices : (V, 3) float32
    positions : (V,) numbers of their places; vertices at one place share one
    faces : (F, 3) int32, without zero-area and repeated faces, turned so that neighbours agree
    kinds : (F,) uint8 of `FaceKind`
    encloses : (F,) mask of the faces whose winding number tells inside from outside
    even_odd : whether inside is where w rounds to an odd number, so that overlaps of solids count as outside
        and interior faces as slits
    normals : (F, 3) float32 unit normals, turned to the outside where the face bounds a solid
    areas : (F,) float64
    """

    vertices: NDArray[np.float32]
    positions: NDArray[np.int32]
    faces: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    encloses: NDArray[np.bool_]
    even_odd: bool
    normals: NDArray[np.float32]
    areas: NDArray[np.float64]

    @property
    def only_sheets(self) -> bool:
        """Whether next to all of the area is that of sheets."""
        return bool(self.areas[self.kinds == FaceKind.SHEET].sum() >= ONLY_SHEETS * self.areas.sum())

    @property
    def encodable(self) -> NDArray[np.bool_]:
        """(F,) mask of the faces that a decode can represent: all but the interior; if `even_odd`, all."""
        encodable: NDArray[np.bool_] = (self.kinds != FaceKind.INTERIOR) | self.even_odd
        return encodable


Unsigned = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]], NDArray[np.float32]]
"""`unsigned_distance` or its like on another device: (points, vertices, faces) -> (n,) distances."""


def unsigned_distance(
    points: NDArray[np.float32], vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> NDArray[np.float32]:
    """(n,) distance of each of the (n, 3) points to the nearest of the faces."""
    import point_cloud_utils as pcu

    # A single point is misread there, as of another shape, and answered wrongly; so one is asked for twice.
    asked = np.repeat(points, 2, axis=0) if len(points) == 1 else points
    distances, _, _ = pcu.closest_points_on_mesh(asked, vertices, faces)
    return np.asarray(distances, dtype=np.float32)[: len(points)]


def classify(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    winding_of: Winding = winding_number,
    unsigned: Unsigned = unsigned_distance,
) -> FaceClasses:
    """Sort the faces of a unit-frame mesh into solid, sheet and interior.

    Parameters
    ----------
    vertices : (V, 3) in [-1, 1]
    faces : (F, 3)
    winding_of, unsigned : what answers the two questions about points

    Returns
    -------
    FaceClasses
        Zero-area faces are dropped, and of faces with the same three corners all but the first. When every
        face would be interior, all are kept as sheets, so that something is always left to encode.
    """
    vertices32 = np.ascontiguousarray(vertices, dtype=np.float32)
    positions = positions_of(vertices32).astype(np.int32)
    faces32 = distinct_faces(np.ascontiguousarray(faces, dtype=np.int32), positions)
    faces32, normals, doubled = _with_area(vertices32, faces32)
    pieces = _Pieces.turned(vertices32, faces32, normals, doubled, positions, winding_of)
    sides, winding, encloses = pieces.sides, *pieces.enclosing(positions, doubled)
    surfaces = FaceClasses(
        vertices32,
        positions,
        sides.faces,
        _kinds(is_inside(winding, even_odd=False)),
        encloses,
        False,
        sides.normals.astype(np.float32),
        0.5 * doubled,
    )
    if _hidden_share(surfaces, unsigned) > HIDDEN_SHARE:
        surfaces = replace(surfaces, kinds=_kinds(is_inside(winding, even_odd=True)), even_odd=True)
    if np.all(surfaces.kinds == FaceKind.INTERIOR):
        surfaces.kinds[:] = FaceKind.SHEET
    front, back = is_inside(winding, surfaces.even_odd).mean(axis=2)
    surfaces.normals[(surfaces.kinds == FaceKind.SOLID) & (front > back)] *= -1.0
    return surfaces


def turned_faces(vertices: Floats, faces: Ints) -> Ints:
    """The faces (F, 3) of a mesh turned so that neighbours agree.

    Where they do they are as drawn. Else closed pieces face outwards, and the walls of cavities inwards, as
    `classify` has them. A mesh whose faces are nearly all there twice, such as one with two sides, has each
    once.

    Parameters
    ----------
    vertices : (V, 3) in [-1, 1]
    faces : (F, 3), one at least
    """
    vertices32 = np.ascontiguousarray(vertices, dtype=np.float32)
    positions = positions_of(vertices32)
    distinct = distinct_faces(faces, positions)
    turned = (distinct if len(distinct) < TWO_SIDED * len(faces) else faces).copy()
    # Of a face that names a place twice nobody is a neighbour.
    corners = positions[turned]
    apart = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    chosen = turned[apart].astype(np.int32)
    normals, doubled = _unit_normals(vertices32, chosen)
    drawn = chosen.copy()
    pieces = _Pieces.turned(vertices32, chosen, normals, doubled, positions, winding_number)
    pieces.agree(doubled)
    reverse = np.flatnonzero(apart)[(pieces.sides.faces != drawn).any(axis=1)]
    turned[reverse] = turned[reverse][:, ::-1]
    return turned


@dataclass(frozen=True)
class _Pieces:
    """The faces of a mesh turned so that neighbours agree, and what is connected.

    Attributes
    ----------
    sides : of the faces
    edges : those of the faces as they were drawn
    part : (F,) connected part of each face, from 0 up
    bordered : (parts,) whether an edge of the part has an odd number of faces; where none has, the part has
        no border, and if w is no whole number there, others disturb it
    used : (F,) which faces take part in w: those of surfaces with two sides
    """

    sides: Sides
    edges: Edges
    part: NDArray[np.int32]
    bordered: NDArray[np.bool_]
    used: NDArray[np.bool_]

    @classmethod
    def turned(
        cls,
        vertices: NDArray[np.float32],
        faces: NDArray[np.int32],
        normals: NDArray[np.float64],
        areas: NDArray[np.float64],
        positions: NDArray[np.integer],
        winding_of: Winding,
    ) -> _Pieces:
        """Turn the (F, 3) faces, in place, and their normals, where they share edges."""
        corners = positions[faces]
        edges = Edges.of(corners)
        count, part_at = connected_parts(corners, int(corners.max()) + 1)
        part = part_at[corners[:, 0]]
        orientation = orient(corners, edges, part, vertices, faces)
        sides = Sides(vertices, faces, normals, part, winding_of)
        sides.reverse(orientation.reversed)
        if orientation.inward.any():
            sides.reverse(_cavity_walls(orientation, sides.winding(orientation.orientable), areas))
        return cls(sides, edges, part, edges.bordered(part, count), orientation.orientable)

    def agree(self, areas: NDArray[np.float64]) -> None:
        """Turn pieces that meet without sharing edges, too."""
        lids = self.used & self.bordered[self.part]
        self.sides.reverse(inverted_pieces(self.sides, self.used, lids, self.edges, areas))

    def enclosing(
        self, positions: NDArray[np.integer], areas: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Turn whatever disagrees; returns (2, F, tests) winding numbers of the faces that enclose something,
        beside all faces, and (F,) which those are."""
        sides, part = self.sides, self.part
        self.agree(areas)
        winding = sides.winding(self.used)
        walls, bordered = self._inner_walls(positions, winding, areas)
        used = self.used & ~walls
        if walls.any():
            winding = sides.winding(used)
        off = distance_from_whole(sides, used, winding, part, bordered, areas)
        encloses = used & ~open_parts(part, bordered, off, areas)
        if not np.array_equal(encloses, used):
            winding = sides.winding(encloses)
        return winding, encloses

    def _inner_walls(
        self, positions: NDArray[np.integer], winding: NDArray[np.float32], areas: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(F,) which faces are walls that divide parts into rooms, and `bordered` without these parts.

        Only where w is far from whole numbers beside the faces of a part; its shell is turned outwards.
        """
        part, edges = self.part, self.edges
        mixed = part_means(part, off_whole(winding), areas, len(self.bordered)) > MIXED
        meet = edges.starts[(edges.counts > 2) & (edges.counts % 2 == 1)]
        if len(part) > LARGE or not mixed[part[edges.sides[meet] // 3]].any():
            return np.zeros(len(part), dtype=bool), self.bordered
        divided, shell, inwards = outer_shells(positions[self.sides.faces], part, self.sides.triangles())
        divided &= mixed[part]
        self.sides.reverse(inwards & divided)
        bordered = self.bordered.copy()
        bordered[part[divided]] = False
        return divided & ~shell, bordered


def _with_area(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """The faces (F, 3) that have an area, or all if none has, with what is derived from them.

    Returns
    -------
    faces, normals, doubled : (F', 3), (F', 3) of unit length, (F',) twice the area
    """
    normals, doubled = _unit_normals(vertices, faces)
    keep = doubled > _LEAST_DOUBLED
    if not keep.any():  # slivers only: keep them all, with an arbitrary normal
        keep[:] = True
    return faces[keep], normals[keep], doubled[keep]


def _unit_normals(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(F, 3) normals of faces, of unit length, and (F,) twice the areas."""
    cross = face_normals(vertices, faces)
    doubled = np.linalg.norm(cross, axis=1)
    return cross / np.maximum(doubled, FLOOR_AREA)[:, None], doubled


def _cavity_walls(
    turned: Orientation, winding: NDArray[np.float32], areas: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(F,) which of the pieces that were drawn inward lie within others: they bound a cavity there."""
    weights = areas + FLOOR_AREA
    hidden = is_inside(winding, even_odd=False).all(axis=0).mean(axis=1)
    total = np.maximum(np.bincount(turned.piece, weights), FLOOR_AREA)
    share = np.bincount(turned.piece, weights * hidden) / total
    walls: NDArray[np.bool_] = turned.inward & (share > 0.5)[turned.piece]
    return walls


def _kinds(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(F,) kinds by what (2, F, tests) says of both sides of each face."""
    kinds = np.full(inside.shape[1], FaceKind.SOLID, dtype=np.uint8)
    kinds[(~inside[0] & ~inside[1]).mean(axis=1) > 0.5] = FaceKind.SHEET
    kinds[(inside[0] & inside[1]).mean(axis=1) > 0.5] = FaceKind.INTERIOR
    return kinds


def _hidden_share(surfaces: FaceClasses, unsigned: Unsigned) -> float:
    """Share of the area that is interior and farther than `HIDDEN_DEPTH` from everything that is not."""
    interior = np.flatnonzero(surfaces.kinds == FaceKind.INTERIOR)
    share = float(surfaces.areas[interior].sum() / max(surfaces.areas.sum(), FLOOR_AREA))
    if share <= HIDDEN_SHARE or len(interior) == len(surfaces.faces):
        return share
    rng = np.random.default_rng(0)
    chosen = rng.choice(
        interior, _HIDDEN_SAMPLES, p=surfaces.areas[interior] / surfaces.areas[interior].sum()
    )
    weights = rng.dirichlet((1, 1, 1), _HIDDEN_SAMPLES)  # even over each triangle
    points = np.einsum("nc,ncx->nx", weights, surfaces.vertices[surfaces.faces[chosen]]).astype(np.float32)
    shown = np.ascontiguousarray(surfaces.faces[surfaces.encodable])
    return share * float((unsigned(points, surfaces.vertices, shown) > HIDDEN_DEPTH).mean())


class TargetField:
    """The signed distance that the codec is asked to reproduce, for one mesh.

    ``field(points)`` gives (n,) float32 distances in the unit frame, negative inside, not truncated. Half
    the thickness of sheets may be given for each point, (n,).
    """

    def __init__(
        self,
        surfaces: FaceClasses,
        winding_of: Winding = winding_number,
        unsigned: Unsigned = unsigned_distance,
    ) -> None:
        self._surfaces, self._winding_of, self._unsigned_of = surfaces, winding_of, unsigned
        self._solid, self._sheet, self._interior = (
            surfaces.faces[surfaces.kinds == kind] for kind in FaceKind
        )
        self._enclosing = surfaces.faces[surfaces.encloses]

    def __call__(
        self,
        points: NDArray[np.floating],
        half_thickness: float | NDArray[np.floating] = SHEET_HALF_THICKNESS,
    ) -> NDArray[np.float32]:
        points32 = np.ascontiguousarray(points, dtype=np.float32)
        target: NDArray[np.float32] = np.full(len(points32), np.inf, dtype=np.float32)
        if len(points32) == 0:
            return target
        surfaces, half = self._surfaces, np.float32(SHEET_HALF_THICKNESS)
        to_sheet = self._unsigned(points32, self._sheet) if len(self._sheet) else target
        if len(self._solid):
            distance = self._unsigned(points32, self._solid)
            winding = self._winding_of(surfaces.vertices, self._enclosing, points32)
            # Of a thin closed plate only the rim is solid, the faces are sheets: from inside, these are near.
            inward = -np.minimum(distance, to_sheet)
            if surfaces.even_odd and len(self._interior):
                inward = np.maximum(inward, half - self._unsigned(points32, self._interior))
            target = np.where(is_inside(winding, surfaces.even_odd), inward, distance)
        target = np.minimum(target, to_sheet - np.asarray(half_thickness, dtype=np.float32))
        return np.asarray(target, dtype=np.float32)

    def _unsigned(self, points: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._unsigned_of(points, self._surfaces.vertices, faces)
