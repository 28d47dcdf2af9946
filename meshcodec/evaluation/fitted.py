"""A rival that no tool offers: decimate, move the vertices by our least squares, compress with Draco.

Beside decimation + Draco it says what of our gain comes from fitting, and what from coding. A module of its
own, so that rows of plain decimation stay valid when the fit changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshcodec.evaluation.baselines import BITS, BaselineResult, Mover, decimate_draco_many
from meshcodec.geometry.simplify import DECIMATORS
from meshcodec.geometry.triangles import Floats, Ints, MeshLike
from meshcodec.metrics import Reference
from meshcodec.modes.mesh.fit import ControlMesh, FitSettings, Target, fit


def decimate_fit_draco_many(
    mesh: MeshLike,
    sizes: Sequence[int],
    *,
    bits: Sequence[int] = BITS,
    decimators: Sequence[str] = DECIMATORS,
    reference: Reference | None = None,
) -> list[BaselineResult]:
    """The best files of at most each size of decimate + Draco, with and without fitting in between.

    Fitted are flat meshes (`meshcodec.modes.mesh.fit`, all rounds), the whole mesh and not a half of it.
    Parameters, result and errors are those of `meshcodec.evaluation.baselines.decimate_draco_many`.
    """
    return decimate_draco_many(
        mesh, sizes, bits=bits, decimators=decimators, reference=reference, make_mover=least_squares
    )


def least_squares(vertices: Floats, faces: Ints) -> Mover:
    """A function that moves the vertices of coarser meshes towards this one, (V, 3) and (F, 3) in the unit
    frame."""
    settings = FitSettings()
    target = Target(vertices, faces, settings.samples)

    def moved(coarse: Floats, corners: Ints) -> Floats:
        return fit(ControlMesh(coarse, corners), target, settings).mesh.vertices

    return moved
