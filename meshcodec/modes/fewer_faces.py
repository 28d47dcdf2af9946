"""A decoded mesh with fewer faces."""

from __future__ import annotations

from dataclasses import replace

from meshcodec.config import FEWEST_FACES
from meshcodec.errors import UsageError
from meshcodec.modes.result import Decoded, Simplification
from meshcodec.runtime.clock import Clock


def check_faces_asked(faces: int | None) -> None:
    """Raise UsageError where no closed mesh has so few faces."""
    if faces is not None and faces < FEWEST_FACES:
        raise UsageError(f"{faces} faces are too few", f"ask for {FEWEST_FACES} or more")


def with_at_most(decoded: Decoded, faces: int) -> Decoded:
    """A decoded mesh with at most so many faces, closed as before; see `meshcodec.geometry.decimate_closed`.

    Raises
    ------
    UsageError
        Nothing is left with so few.
    """
    before = len(decoded.surface[1])
    if before <= faces:
        return decoded
    from meshcodec.geometry.decimate_closed import decimate  # here, because others do without scipy

    clock = Clock()
    with clock("simplify"):
        found = decimate(*decoded.surface, faces)
    return replace(
        decoded,
        surface=(found.vertices, found.faces),
        seconds=decoded.seconds | clock.seconds,
        simplified=Simplification(before, found.error),
    )
