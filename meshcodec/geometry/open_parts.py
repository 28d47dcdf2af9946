"""Which connected parts of a mesh enclose something, and which pieces are drawn inside out.

A part with a border encloses something together with others that it touches, or nothing. What tells is the
winding number beside it: a whole number on both sides where it bounds a solid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshcodec.geometry.components import Edges
from meshcodec.geometry.triangles import FLOOR_AREA, Floats
from meshcodec.geometry.winding import LARGE, Sides, is_inside

Mask = NDArray[np.bool_]

OPEN = 0.25
"""Distance of w from whole numbers beside a part with a border, on the mean of its area, if it is open."""
ALIKE = 0.25
"""Share of the parts with a border that are alike, and open by `OPEN`, from which on all of them are."""
WITHIN = 0.5
"""Share of the area of a part with a border within closed ones from which on it is told by itself."""
FLAT = 0.4
"""Distance of w from whole numbers, on the mean of its area, above which such a part encloses nothing."""
MIXED = 0.1
"""Mean distance of w from whole numbers below which pieces are not tried the other way round."""
_PART_FACES = 64  # of a part that is told by itself: walls that are drawn one by one are alike and differ
_MANY_PARTS = 8  # that are alike, as rings of a hose or links of a chain; a pair may well differ
_PER_FOLD = 100  # areas that are told apart, for each factor e
INVERTED_FACES = 400
"""Faces on which it is tried which pieces are inside out, drawn by area."""
_TRIED_PIECES = 12  # the largest ones; each is asked for on its own
_LEAST_AREA = 0.01  # share of the area of the mesh that a piece must have for that
_MOST_LEFT = 0.45  # share of the distance of w from whole numbers that turning pieces may leave


def inverted_pieces(sides: Sides, used: Mask, open_: Mask, edges: Edges, areas: Floats) -> Mask:
    """(F,) which faces have to be turned for w to come near to whole numbers, piece by piece.

    Pieces that meet without sharing edges, such as a lid with other vertices than its pot, do not know how
    their neighbours are drawn. They are turned one after the other, that one first which brings most, as
    long as that takes most of the distance from whole numbers away in the end. Sheets by themselves are as
    far from whole numbers however they are turned, so they stay as they are. Where any are turned, what they
    enclose together comes to lie behind them.

    Parameters
    ----------
    sides : of the faces
    used : (F,) those that take part in w
    open_ : (F,) those of them that may be turned: of parts with a border
    edges : of all of them
    areas : (F,) of the faces
    """
    none = np.zeros(len(open_), dtype=bool)
    if not open_.any() or len(open_) > LARGE:
        return none
    piece = edges.connected()
    bordered = edges.bordered(piece, int(piece.max()) + 1)
    total = np.bincount(piece, areas * open_, len(bordered))
    large = np.flatnonzero(bordered & (total > _LEAST_AREA * areas.sum()))
    tried = large[np.argsort(-total[large], kind="stable")][:_TRIED_PIECES]
    if len(tried) < 2:
        return none
    among = open_ & np.isin(piece, tried)
    within = np.flatnonzero(among)
    rng = np.random.default_rng(0)
    chosen = rng.choice(within, INVERTED_FACES, p=areas[within] / areas[within].sum())
    each = np.stack([sides.beside(among & (piece == number), chosen).ravel() for number in tried])
    rest = sides.beside(used & ~among, chosen).ravel()
    turned = among & np.isin(piece, tried[_best_signs(each, rest) < 0])
    if not turned.any():
        return turned
    facing = areas * sides.facing()
    enclosed = np.where(turned, -facing, facing)[among].sum()
    return turned if enclosed >= 0 else among & ~turned


def _best_signs(each: NDArray[np.float32], rest: NDArray[np.float32]) -> Floats:
    """(P,) signs with which (P, n) winding numbers of pieces add up with (n,) others to nearly whole ones."""
    drawn = signs = np.ones(len(each))
    first = best = float(_from_whole(rest + signs @ each).mean())
    while first > MIXED:
        flips = np.where(np.eye(len(each), dtype=bool), -signs, signs)
        found = [float(_from_whole(rest + flip @ each).mean()) for flip in flips]
        if min(found) >= best:
            return signs if best < _MOST_LEFT * first else drawn
        best, signs = min(found), flips[int(np.argmin(found))]
    return drawn


def off_whole(winding: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) mean distance of (2, n, tests) winding numbers from whole ones."""
    off: NDArray[np.float32] = _from_whole(winding).mean(axis=(0, 2))
    return off


def _from_whole(winding: NDArray[np.floating]) -> NDArray[np.floating]:
    off: NDArray[np.floating] = np.abs(winding - np.rint(winding))
    return off


def distance_from_whole(
    sides: Sides,
    used: Mask,
    winding: NDArray[np.float32],
    part: NDArray[np.integer],
    bordered: Mask,
    areas: Floats,
) -> NDArray[np.float32]:
    """(F,) distance of w to the nearest whole number beside each face.

    Parts with a border that lie within closed ones, such as the floors of a house, are told each by itself:
    what others of them add to half a number may look like a whole one.

    Parameters
    ----------
    sides : of the faces
    used : (F,) those that take part in w
    winding : (2, F, tests) before and behind each face
    part, bordered, areas : (F,) part of each face, (parts,) whether it may have a border, (F,)
    """
    found = off_whole(winding)
    doubtful = bordered & (part_means(part, found, areas, len(bordered)) <= OPEN)
    lid, closed = used & doubtful[part], used & ~bordered[part]
    if not lid.any() or not closed.any() or len(part) > LARGE:
        return found
    asked = np.flatnonzero(lid)
    hidden = is_inside(sides.beside(closed, asked), even_odd=False).all(axis=0).mean(axis=1)
    share = part_means(part[asked], hidden, areas[asked], len(bordered))
    within = np.flatnonzero(lid & (share > WITHIN)[part])
    if len(within):
        own = off_whole(sides.alone(within))
        flat = part_means(part[within], own, areas[within], len(bordered)) > FLAT
        found[within] = np.where(flat[part[within]], own, found[within])
    return found


def open_parts(
    part: NDArray[np.integer],
    bordered: NDArray[np.bool_],
    off: NDArray[np.floating],
    areas: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(F,) which faces belong to connected parts that enclose nothing.

    Parameters
    ----------
    part : (F,) part of each face
    bordered : (parts,) whether it may have a border
    off : (F,) distance of w to the nearest whole number beside each face
    areas : (F,)
    """
    total = np.maximum(np.bincount(part, areas + FLOOR_AREA, len(bordered)), FLOOR_AREA)
    is_open = bordered & (part_means(part, off, areas, len(bordered)) > OPEN)
    # Many parts with as many faces and the same area are one part in several places: open in all or in none.
    counts = np.bincount(part, minlength=len(bordered))
    alike = np.stack([counts, np.rint(_PER_FOLD * np.log(total)), bordered])
    kind = np.unique(alike, axis=1, return_inverse=True)[1].reshape(-1)
    of_kind = np.bincount(kind)
    share = np.bincount(kind, is_open) / of_kind
    told = bordered & (counts >= _PART_FACES) & (of_kind[kind] >= _MANY_PARTS)
    open_everywhere: NDArray[np.bool_] = np.where(told, share[kind] >= ALIKE, is_open)[part]
    return open_everywhere


def part_means(
    part: NDArray[np.integer], values: NDArray[np.floating], areas: Floats, count: int
) -> NDArray[np.float64]:
    """(count,) means of (n,) values over the area of each part."""
    weights = areas + FLOOR_AREA
    total = np.maximum(np.bincount(part, weights, count), FLOOR_AREA)
    return np.bincount(part, values * weights, count) / total
