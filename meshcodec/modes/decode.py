"""A file of either kind to a mesh in its original frame."""

from __future__ import annotations

from meshcodec.config import DEFAULT_RESOLUTION
from meshcodec.engine import Engine
from meshcodec.format.container import VatFile
from meshcodec.modes.fewer_faces import check_faces_asked, with_at_most
from meshcodec.modes.mesh.decode import DEFAULT_MOST_FACES
from meshcodec.modes.mesh.file import surface_of
from meshcodec.modes.result import Decoded
from meshcodec.runtime.clock import Clock
from meshcodec.runtime.imports import load


def decode_file(
    engine: Engine,
    file: VatFile,
    resolution: int | None = DEFAULT_RESOLUTION,
    tokens: int | None = None,
    dense: bool = False,
    faces: int | None = None,
) -> Decoded:
    """A parsed file to a mesh.

    Parameters
    ----------
    engine : with the model that the file names
    file : header and payload
    resolution, tokens, dense : of a file of tokens, see `meshcodec.modes.tokens.decode.decode_tokens`
    faces : triangles at most, 4 or more: a subdivision surface has as many levels as that allows, what is
        decoded with more is simplified, and closed as before

    Raises
    ------
    CorruptFileError
        A payload that does not decode, or to no surface, or a placement beyond float32.
    WeightsError
        The model that it names is not here.
    UsageError
        `resolution`, `tokens` or `faces` out of range, or tokens asked of a mesh.
    """
    check_faces_asked(faces)
    decoded = _decoded(engine, file, resolution, tokens, dense, faces)
    return decoded if faces is None else with_at_most(decoded, faces)


def _decoded(
    engine: Engine,
    file: VatFile,
    resolution: int | None,
    tokens: int | None,
    dense: bool,
    faces: int | None,
) -> Decoded:
    if not file.is_mesh:
        load("meshcodec.modes.tokens.decode")  # and torch with it
        from meshcodec.modes.tokens.decode import decode_tokens

        return decode_tokens(engine, file, resolution, tokens, dense)
    if tokens is not None:
        file.check_holds_tokens()
    clock = Clock()
    coder, _ = engine.mesh_coder(file.model_id)
    with clock("code"):
        surface = surface_of(file, coder, faces or DEFAULT_MOST_FACES)
    return Decoded(surface, 0, 0, clock.seconds)
