"""What owns the bounding box of a mesh without being part of its shape.

The box decides what a mesh is coded and measured with: all else shares the cells that it leaves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.geometry.components import Edges
from meshcodec.geometry.triangles import (
    Floats,
    Ints,
    any_corner,
    area_normals,
    box_of,
    positions_of,
    used_vertices,
)

BULK = 0.999
"""Share of the area that is the shape itself, where the rest lies far away."""
CROWDED = 0.1
"""Longest side of the bulk's box, over the longest side of the whole box, below which there is a warning."""
_ROUNDING = 2.0**-22  # of a face's distance from the middle: a difference of two float32, twice over
_NEEDLE = 5e-6  # height of a face over its longest side below which few digits may have made it of a line
_SHRUNK = 0.5  # longest side of the box without needles over that with them, below which they own it
_SAMPLED = 10_000  # vertices that tell the middle, at least
_MEASURED = 100_000  # faces whose areas tell the bulk, at least
_GLANCED = 5_000  # faces that nearly always tell that there is no bulk
_CLEARLY = 10  # times the area beyond the bulk that these must have far away


def without_stray(vertices: Floats, faces: Ints) -> Ints:
    """The faces without those that have no area and reach out of the box of those that have one.

    Exporters leave such faces behind, where two or all three corners are one point, or all are on a line. A
    line is not quite straight after its three points were rounded to float32: what the rounding can account
    for is no area. Written with fewer digits it is a needle: one that shares no edge, and without which the
    box is half as long, is no area either. Faces without an area that stay in the box may fill the gap at a
    vertex on another's edge, and are kept.

    Parameters
    ----------
    vertices, faces : (V, 3) finite, and (F, 3)

    Returns
    -------
    (F', 3); all of them where none has an area
    """
    if not len(faces):
        return faces
    used = used_vertices(faces, len(vertices))
    points = vertices if used.all() else vertices[used]
    low, high = box_of(points)
    middle = np.median(points[:: max(1, len(points) // _SAMPLED)], axis=0)
    # Nearly always each side of the box is touched by a face with an area, and nothing else is looked at.
    at_end = np.zeros(len(vertices), dtype=bool)
    for axis, values in enumerate(vertices.T):
        at_end |= (values == low[axis]) | (values == high[axis])
    ends = vertices[faces[any_corner(at_end, faces)]]
    ends = ends[_has_area(ends, middle) & ~_is_needle(ends)].reshape(-1, 3)
    if len(ends) and np.array_equal(box_of(ends), (low, high)):
        return faces
    triangles = vertices[faces]
    solid = _has_area(triangles, middle)
    solid &= ~_owning_needles(vertices, faces, solid)
    if not solid.any():
        return faces
    low, high = triangles[solid].min(axis=(0, 1)), triangles[solid].max(axis=(0, 1))
    within = ((triangles >= low) & (triangles <= high)).all(axis=(1, 2))
    kept: Ints = faces[solid | within]
    return kept


def _has_area(triangles: Floats, middle: Floats) -> NDArray[np.bool_]:
    """Which (n, 3, 3) triangles have an area that is not due to the rounding of their corners.

    Component x of the cross product of two sides, ``y z' - z y'``, is off by at most the error of a
    coordinate times what the sides have of y and of z; components y and z follow by turning the axes.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by those who ask for a box
        error = _ROUNDING * np.abs(triangles - middle).max(axis=(1, 2))
        reach = np.abs(triangles[:, 1:] - triangles[:, :1]).sum(axis=1)
        bound = error[:, None] * (reach[:, [1, 2, 0]] + reach[:, [2, 0, 1]])
        has_area: NDArray[np.bool_] = (np.abs(area_normals(triangles)) > bound).any(axis=1)
    return has_area


def _is_needle(triangles: Floats) -> NDArray[np.bool_]:
    """Which (n, 3, 3) triangles are next to a line."""
    with np.errstate(over="ignore", invalid="ignore"):
        doubled = np.linalg.norm(area_normals(triangles), axis=1)
        longest = np.square(triangles - np.roll(triangles, 1, axis=1)).sum(axis=2).max(axis=1)
        needles: NDArray[np.bool_] = doubled < _NEEDLE * longest
    return needles


def _owning_needles(vertices: Floats, faces: Ints, solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(F,) which of the `solid` faces are needles that share no edge, where these own the box."""
    none = np.zeros(len(faces), dtype=np.bool_)
    needles = solid & _is_needle(vertices[faces])
    if not needles.any() or needles.all():
        return none
    edges = Edges.of(positions_of(vertices)[faces])
    needles[edges.sides[np.repeat(edges.counts > 1, edges.counts)] // 3] = False
    rest = solid & ~needles
    if not rest.any():
        return none
    longest = [float(np.ptp(vertices[faces[mask]].reshape(-1, 3), axis=0).max()) for mask in (rest, solid)]
    return needles if longest[0] < _SHRUNK * longest[1] else none


def outlier_fault(vertices: Floats, faces: Ints) -> str | None:
    """What to say of a mesh of which all but a thousandth of the area is crowded into a part of its box.

    The bulk is what lies nearest to the median of the area, by the largest coordinate of a face's corners,
    until it has `BULK` of the area. Its box is compared by the longest side, which is the unit of distances
    and of cells; not by volume, of which a thin plate has little beside a pin. Of many faces, some are
    measured.

    Parameters
    ----------
    vertices, faces : (V, 3) that are all used, and (F, 3)

    Returns
    -------
    None where the bulk's longest side is at least `CROWDED` of the whole
    """
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = box_of(vertices)
        whole = float((high - low).max())
    few, areas = _measured(vertices, faces, _GLANCED)
    if 0 < areas.sum() < np.inf and is_spread(few, areas, whole, _CLEARLY):
        return None
    triangles, areas = _measured(vertices, faces, _MEASURED)
    if not 0 < (total := float(areas.sum())) < np.inf or is_spread(triangles, areas, whole):
        return None
    reach = np.abs(triangles - _median(triangles.mean(axis=1), areas)).max(axis=(1, 2))
    order = np.argsort(reach, kind="stable")
    count = int(np.searchsorted(np.cumsum(areas[order]), BULK * total)) + 1
    low, high = (end(triangles[order[:count]], axis=(0, 1)) for end in (np.min, np.max))
    side = float((high - low).max())
    if side >= CROWDED * whole:
        return None
    away = np.maximum(np.maximum(low - vertices, vertices - high).max(axis=1), 0)
    x, y, z = vertices[np.argmax(away)]
    far = int(any_corner(away > side, faces).sum())
    return (
        f"{far} of its {len(faces)} faces lie far away, out to ({x:.6g}, {y:.6g}, {z:.6g}): the others fill "
        f"{100 * side / whole:.2g} % of its length and are coded coarsely; "
        "remove them if they are no part of the shape"
    )


def _measured(vertices: Floats, faces: Ints, count: int) -> tuple[Floats, Floats]:
    """(n, 3, 3) corners of about `count` faces in equal steps, or more, and their (n,) areas."""
    triangles = vertices[faces[:: max(1, len(faces) // count)]]
    with np.errstate(over="ignore", invalid="ignore"):
        return triangles, np.linalg.norm(area_normals(triangles), axis=1) / 2


def is_spread(triangles: Floats, areas: Floats, whole: float, times: float = 1.0) -> bool:
    """Whether so much of the area lies so far from its mean that there can be no warning; quick to tell.

    Of a crowded bulk everything lies within its box, and the mean at most what the rest can draw it out. More
    than `times` the area beyond the bulk must lie there, for `triangles` that are only a few of many.
    """
    columns = np.ascontiguousarray(triangles.reshape(-1, 9).T)  # three corners of three coordinates
    weights = areas / areas.sum()
    mean = (columns * weights).sum(axis=1).reshape(3, 3).mean(axis=0)  # a product would start threads
    reach = np.abs(columns - np.tile(mean, 3)[:, None]).max(axis=0)
    return bool(weights[reach > (CROWDED + 2 * (1 - BULK)) * whole].sum() > times * (1 - BULK))


def _median(points: Floats, weights: Floats) -> Floats:
    """(3,) weighted median of (n, 3) points along each axis."""
    found = np.empty(3)
    for axis, values in enumerate(points.T):
        order = np.argsort(values)
        cumulative = np.cumsum(weights[order])
        found[axis] = values[order[np.searchsorted(cumulative, cumulative[-1] / 2)]]
    return found
