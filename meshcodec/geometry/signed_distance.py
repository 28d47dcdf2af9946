"""Signed distance to a mesh as a solid decoder can represent it: solids, and sheets with a thickness.

Inside is told by the generalized winding number w (Jacobson et al. 2013; the fast tree of Barill et al.
2018), so that open, self-intersecting and duplicated faces all have an answer. Faces that are drawn the other
way round than their neighbours are turned first (`meshcodec.geometry.orientation`). Connected parts that
enclose nothing (they have a border, and near them w is far from whole numbers), and surfaces that have one
side only, take no part in w: they are sheets. Of the others inside is

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

from meshcodec.geometry.components import Edges, connected_parts
from meshcodec.geometry.orientation import Orientation, orient
from meshcodec.geometry.triangles import Floats, Ints, distinct_faces, face_normals, positions_of

SHEET_HALF_THICKNESS = 0.0075
"""Half the thickness of a sheet: about one cell of a 256-cell decode, and below the 0.01 of the metric."""
SIDE_STEP = 0.0075
"""Distance to each side of a face at which the winding number is tested; thinner plates count as sheets."""
ONLY_SHEETS = 0.95
"""Share of the area that is sheets from which on a mesh is one of sheets."""
OPEN = 0.25
"""Distance of w from whole numbers beside a part with a border, on the mean of its area, if it is open."""
TWO_SIDED = 0.55
"""Share of the faces that are left without repeated ones below which nearly all are there twice."""
ALIKE = 0.25
"""Share of the parts with a border that are alike, and open by `OPEN`, from which on all of them are."""
_PART_FACES = 64  # of a part that is told by itself: walls that are drawn one by one are alike and differ
_MANY_PARTS = 8  # that are alike, as rings of a hose or links of a chain; a pair may well differ
_PER_FOLD = 100  # areas that are told apart, for each factor e
HIDDEN_SHARE = 0.03
"""Share of the area that is hidden, deeper than `HIDDEN_DEPTH`, above which `even_odd` is chosen."""
HIDDEN_DEPTH = 0.02
"""Distance to what shows below which hidden surface is as good as encoded: the coarsest tau of the metric."""
LARGE = 200_000
"""Faces above which some stand for others, in what is asked of the mesh before it is encoded."""
CELL = 1 / 32
"""Side of the cells in which faces of a large mesh stand for each other."""
_MANY_FACES = 20_000  # faces above which each is small enough for its centroid alone to speak for it
_HIDDEN_SAMPLES = 2000  # points on interior faces whose depth is measured
_LEAST_DOUBLED = 1e-14  # twice the area of a face in the unit frame that is kept
_FLOOR_AREA = 1e-30  # area that stands for none in a division
_TESTS = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]]) / np.array([[3], [6], [6], [6]])
"""(4, 3) barycentric coordinates of the places on a face that are tested, the centroid first."""


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


Winding = Callable[[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]], NDArray[np.float32]]
"""`winding_number` or its like on another device: (vertices, faces, points) -> (n,) numbers."""
Unsigned = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]], NDArray[np.float32]]
"""`unsigned_distance` or its like on another device: (points, vertices, faces) -> (n,) distances."""


def winding_number(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n,) generalized winding number of the faces about each of the (n, 3) points."""
    if len(points) == 0 or len(faces) == 0:
        return np.zeros(len(points), dtype=np.float32)
    import point_cloud_utils as pcu  # here, because training where it is missing brings its own `Winding`

    winding = pcu.triangle_soup_fast_winding_number(
        vertices, faces, np.ascontiguousarray(points, dtype=np.float32)
    )
    return np.nan_to_num(np.asarray(winding, dtype=np.float32).reshape(-1))


def is_inside(winding: NDArray[np.floating], even_odd: bool) -> NDArray[np.bool_]:
    """Which winding numbers mean inside, by the even-odd rule or by their magnitude; any shape."""
    inside: NDArray[np.bool_] = (
        np.rint(winding).astype(np.int64) % 2 == 1 if even_odd else np.abs(winding) > 0.5
    )
    return inside


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
    part, bordered, turned = _neighbours(positions[faces32], vertices32, faces32)
    sides = _Sides(vertices32, faces32, normals, part, winding_of)
    sides.reverse(turned.reversed)
    winding = sides.winding(turned.orientable)
    if turned.inward.any():
        sides.reverse(_cavity_walls(turned, winding, doubled))
        winding = sides.winding(turned.orientable)
    off_whole = np.abs(winding - np.rint(winding)).mean(axis=(0, 2))
    encloses = turned.orientable & ~_open_parts(part, bordered, off_whole, doubled)
    if not np.array_equal(encloses, turned.orientable):
        winding = sides.winding(encloses)
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
    part, _, orientation = _neighbours(corners[apart], vertices32, chosen)
    reverse = orientation.reversed
    if orientation.inward.any():
        normals = face_normals(vertices32, chosen)
        doubled = np.linalg.norm(normals, axis=1)
        sides = _Sides(
            vertices32, chosen, normals / np.maximum(doubled, _FLOOR_AREA)[:, None], part, winding_number
        )
        sides.reverse(reverse)
        reverse = reverse ^ _cavity_walls(orientation, sides.winding(orientation.orientable), doubled)
    at = np.flatnonzero(apart)[reverse]
    turned[at] = turned[at][:, ::-1]
    return turned


def _neighbours(
    corners: NDArray[np.integer], vertices: NDArray[np.float32], faces: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.bool_], Orientation]:
    """What follows from which faces share vertices and edges.

    Returns
    -------
    part : (F,) connected part of each face
    bordered : (parts,) whether an edge of the part has an odd number of faces; where none has, the part has
        no border, and if w is no whole number there, others disturb it
    turned : how the faces are turned to agree
    """
    count, part_at = connected_parts(corners, int(corners.max()) + 1)
    part, edges = part_at[corners[:, 0]], Edges.of(corners)
    bordered = np.zeros(count, dtype=bool)
    bordered[part[edges.sides[edges.starts[edges.counts % 2 == 1]] // 3]] = True
    return part, bordered, orient(corners, edges, part, vertices, faces)


def _with_area(
    vertices: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """The faces (F, 3) that have an area, or all if none has, with what is derived from them.

    Returns
    -------
    faces, normals, doubled : (F', 3), (F', 3) of unit length, (F',) twice the area
    """
    cross = face_normals(vertices, faces)
    doubled = np.linalg.norm(cross, axis=1)
    keep = doubled > _LEAST_DOUBLED
    if not keep.any():  # slivers only: keep them all, with an arbitrary normal
        keep[:] = True
    faces, cross, doubled = faces[keep], cross[keep], doubled[keep]
    return faces, cross / np.maximum(doubled, _FLOOR_AREA)[:, None], doubled


class _Sides:
    """Faces, and the winding number a small step to both of their sides.

    Of more faces than `LARGE`, one stands for all of its part whose centroids lie in the same cell and whose
    normals point into the same octant; where such a group and others around it disagree, all are asked.

    Parameters
    ----------
    vertices, faces : (V, 3), (F, 3)
    normals : (F, 3) of the faces, of unit length
    part : (F,) connected part of each face
    winding_of : the winding number of some faces about points
    """

    def __init__(
        self,
        vertices: NDArray[np.float32],
        faces: NDArray[np.int32],
        normals: NDArray[np.float64],
        part: NDArray[np.integer],
        winding_of: Winding,
    ) -> None:
        self.faces, self.normals = faces, normals
        self._vertices, self._part, self._winding_of = vertices, part, winding_of
        self._known: NDArray[np.float32] | None = None  # the last answer, of the `_used` faces
        self._used = self._turned = np.zeros(len(faces), dtype=bool)  # the latter: reversed since then

    def reverse(self, chosen: NDArray[np.bool_]) -> None:
        """Turn the chosen faces round."""
        self.faces[chosen] = self.faces[chosen][:, ::-1]
        self.normals[chosen] *= -1.0
        self._turned = self._turned ^ chosen
        if self._known is not None:
            self._known[:, chosen] = self._known[::-1, chosen]

    def winding(self, used: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(2, F, tests) winding number of the used faces before and behind each face."""
        count = len(self.faces)
        if count <= LARGE:
            return self._of_all(used)
        one, group, block = self._groups()
        found = self._beside(used, one)
        state = is_inside(found[:, :, 0], even_odd=False)
        mean = np.stack([np.bincount(block, side) for side in state]) / np.bincount(block)
        mixed = ((mean > 0) & (mean < 1)).max(axis=0)[block][group]
        winding = found[:, group]
        if mixed.any():
            winding[:, mixed] = self._beside(used, np.flatnonzero(mixed))
        return winding

    def _of_all(self, used: NDArray[np.bool_]) -> NDArray[np.float32]:
        """`winding` of few faces; where little has changed since the last time, that of what has is added."""
        everything = np.arange(len(used))
        change = used.astype(np.int8) - np.where(self._turned, -1, 1) * self._used
        if self._known is None or 2 * np.count_nonzero(change) > np.count_nonzero(used):
            self._known = self._beside(used, everything)
        else:
            for times in set(change[change != 0].tolist()):
                self._known = self._known + np.float32(times) * self._beside(change == times, everything)
        self._used, self._turned = used, np.zeros_like(used)
        return self._known.copy()

    def _beside(self, used: NDArray[np.bool_], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """(2, n, tests) winding number of the used faces before and behind the (n,) chosen ones."""
        triangles = self._vertices[self.faces[chosen]].astype(np.float64)
        places = _TESTS[:1] if len(self.faces) > _MANY_FACES else _TESTS
        tests = np.einsum("kc,fcx->fkx", places, triangles)
        step = SIDE_STEP * self.normals[chosen][:, None, :]
        sides = np.stack([tests + step, tests - step]).astype(np.float32)
        points, faces = sides.reshape(-1, 3), self.faces[used]
        winding = np.zeros(len(points), dtype=np.float32)
        # That of all faces is the sum of those of some at a time, for which a tree takes less memory.
        for start in range(0, len(faces), LARGE):
            winding += self._winding_of(self._vertices, faces[start : start + LARGE], points)
        return winding.reshape(sides.shape[:3])

    def _groups(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Faces that may stand for each other.

        Returns
        -------
        one : (groups,) a face of each group
        group : (F,) the group of each face
        block : (groups,) the part and the eight cells in which it lies
        """
        a, b, c = (self._vertices[corner] for corner in self.faces.T)
        centers = (a + b + c) / np.float32(3 * CELL)
        cells = np.floor(centers - centers.min(axis=0)).astype(np.int16)
        octants = np.packbits(self.normals > 0, axis=1)[:, 0]
        _, one, group = np.unique(_keys(cells, octants, self._part), return_index=True, return_inverse=True)
        wider = _keys(cells[one] // 2, np.zeros(len(one), dtype=np.uint8), self._part[one])
        return one, group, np.unique(wider, return_inverse=True)[1]


def _keys(
    cells: NDArray[np.int16], octants: NDArray[np.uint8], part: NDArray[np.integer]
) -> NDArray[np.int64]:
    """(n,) numbers that are the same for the same (n, 3) cell, octant and part."""
    keys = part.astype(np.int64)
    # A mesh of which a half fills the cube has 132 cells a side.
    for number in (octants, *cells.T):
        keys *= 256
        keys += number
    return keys


def _cavity_walls(
    turned: Orientation, winding: NDArray[np.float32], areas: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(F,) which of the pieces that were drawn inward lie within others: they bound a cavity there."""
    weights = areas + _FLOOR_AREA
    hidden = is_inside(winding, even_odd=False).all(axis=0).mean(axis=1)
    total = np.maximum(np.bincount(turned.piece, weights), _FLOOR_AREA)
    share = np.bincount(turned.piece, weights * hidden) / total
    walls: NDArray[np.bool_] = turned.inward & (share > 0.5)[turned.piece]
    return walls


def _open_parts(
    part: NDArray[np.integer],
    bordered: NDArray[np.bool_],
    off_whole: NDArray[np.floating],
    areas: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(F,) which faces belong to connected parts that enclose nothing.

    Parameters
    ----------
    part : (F,) part of each face
    bordered : (parts,) whether it may have a border
    off_whole : (F,) distance of w to the nearest whole number beside each face
    areas : (F,)
    """
    weights = areas + _FLOOR_AREA
    total = np.maximum(np.bincount(part, weights, len(bordered)), _FLOOR_AREA)
    mean = np.bincount(part, off_whole * weights, len(bordered)) / total
    is_open = bordered & (mean > OPEN)
    # Many parts with as many faces and the same area are one part in several places: open in all or in none.
    counts = np.bincount(part, minlength=len(bordered))
    alike = np.stack([counts, np.rint(_PER_FOLD * np.log(total)), bordered])
    kind = np.unique(alike, axis=1, return_inverse=True)[1].reshape(-1)
    of_kind = np.bincount(kind)
    share = np.bincount(kind, is_open) / of_kind
    told = bordered & (counts >= _PART_FACES) & (of_kind[kind] >= _MANY_PARTS)
    open_everywhere: NDArray[np.bool_] = np.where(told, share[kind] >= ALIKE, is_open)[part]
    return open_everywhere


def _kinds(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(F,) kinds by what (2, F, tests) says of both sides of each face."""
    kinds = np.full(inside.shape[1], FaceKind.SOLID, dtype=np.uint8)
    kinds[(~inside[0] & ~inside[1]).mean(axis=1) > 0.5] = FaceKind.SHEET
    kinds[(inside[0] & inside[1]).mean(axis=1) > 0.5] = FaceKind.INTERIOR
    return kinds


def _hidden_share(surfaces: FaceClasses, unsigned: Unsigned) -> float:
    """Share of the area that is interior and farther than `HIDDEN_DEPTH` from everything that is not."""
    interior = np.flatnonzero(surfaces.kinds == FaceKind.INTERIOR)
    share = float(surfaces.areas[interior].sum() / max(surfaces.areas.sum(), _FLOOR_AREA))
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
