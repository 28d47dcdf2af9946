"""The verbs ``encode`` and ``decode``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcodec.cli.group import cli
from meshcodec.cli.options import (
    asks_quality,
    device_option,
    effort_option,
    force_option,
    json_option,
    limit_options,
    max_memory_option,
    packing_option,
    quality_options,
    resolution_option,
    verbosity_options,
    weights_option,
)
from meshcodec.cli.streams import (
    TEXT_FORMATS,
    Pipe,
    check_input,
    check_output,
    display_target,
    extension_of,
    fscore_line,
    interruptible,
    log_line,
    output_path,
    print_json,
    progress_bar,
    read_vat,
    stages_line,
    write_output,
)
from meshcodec.config import DEFAULT_SIZE, TAUS
from meshcodec.errors import PartialFailureError, UsageError, error_context, quote_name
from meshcodec.geometry.formats import WRITE_FORMATS
from meshcodec.metrics import by_tau, fscore
from meshcodec.registry import Registry
from meshcodec.runtime.memory import bounded_memory, memory_share

if TYPE_CHECKING:
    from meshcodec.target import Measured


@cli.command()
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="OUT.vat|-", help="By default INPUT with the suffix .vat.")
@quality_options
@effort_option
@packing_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of all sampling.")
@click.option("--verify", is_flag=True, help="Decode what was written and print its F-scores.")
@click.option("--file-type", metavar="EXT", help="Format of a mesh from a pipe, e.g. obj.")
@limit_options
@weights_option
@device_option
@json_option
@force_option
@verbosity_options
def encode(
    source: str,
    output: str | None,
    size: int | None,
    min_fscore: tuple[float, float] | None,
    max_error: float | None,
    best_effort: bool,
    effort: int,
    packing: str,
    seed: int,
    verify: bool,
    file_type: str | None,
    max_faces: int,
    max_bytes: int,
    max_memory: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Encode the mesh INPUT into a .vat file.

    Ctrl-C while it is refined writes the best found so far.
    """
    if source == "-" and file_type is None:
        raise UsageError("a mesh from a pipe has no extension", "name its format with --file-type")
    to_target = asks_quality(size, min_fscore, max_error, best_effort)
    check_input(source)
    out = output_path(source, output, "vat")
    check_output(out, force, as_json, binary=True)
    from meshcodec.api import Codec
    from meshcodec.config import DEFAULT_RESOLUTION
    from meshcodec.geometry.io import load_mesh
    from meshcodec.target import Target

    began = time.perf_counter()
    codec = Codec(device, weights, max_faces, max_bytes)
    name = quote_name(source)
    mesh_file = source if source != "-" else Pipe(sys.stdin.buffer.read(max_bytes + 1))
    measured: Measured | None = None
    bounded = bounded_memory(max_memory or memory_share())
    with error_context(source), bounded, progress_bar(quiet) as progress, interruptible() as stop:
        if to_target:
            wanted, tau = min_fscore or (None, TAUS[0])
            target = Target(wanted, tau, max_error)
            measured = codec.encode_to_target(
                mesh_file, target, effort, seed, file_type, progress, stop, packing
            )
            encoded = measured.encoded
            if not measured.met and not best_effort:
                raise PartialFailureError(target.missed_by(measured), "pass --best-effort to write it anyway")
        else:
            encoded = codec.encode_detailed(
                mesh_file, size or DEFAULT_SIZE, effort, seed, file_type, progress, stop, packing
            )
    write_output(out, encoded.data, force)
    seconds = time.perf_counter() - began
    record: dict[str, Any] = {
        "input": name,
        "output": display_target(out),
        "bytes": len(encoded.data),
        "tokens": encoded.tokens,
        "packing": int(encoded.packing),
        "scales": encoded.scales,
        "effort": encoded.effort,
        "refined": encoded.refined,
        "interrupted": encoded.interrupted,
        "model": codec.model_id,
        "device": codec.device.type,
        "seconds": {"total": seconds, **encoded.seconds},
    }
    if not quiet:
        log_line(
            f"{name} -> {display_target(out)}: {len(encoded.data)} bytes, {encoded.tokens} tokens, "
            f"{encoded.scales} scales, effort {encoded.effort}, {seconds:.1f} s"
        )
    if verbose and not quiet:
        log_line(f"tokens: {'refined' if encoded.refined else 'as the encoder gave them'}")
        log_line(stages_line(encoded.seconds))
    if measured is not None:
        record |= {"met": measured.met, "fscore": by_tau(measured.scores.f), "p95": measured.scores.p95}
    elif verify:
        if isinstance(mesh_file, Pipe):
            mesh_file.seek(0)
        written = encoded.data if out == "-" else Path(out).read_bytes()
        with error_context(source), bounded_memory(max_memory or memory_share()):
            original = load_mesh(mesh_file, file_type, max_faces, max_bytes)
            record["fscore"] = by_tau(fscore(original, codec.decode(written, DEFAULT_RESOLUTION)))
    if "fscore" in record and not quiet:
        log_line(fscore_line(record["fscore"]))
    if as_json:
        print_json(record)
    if encoded.interrupted:
        log_line("meshcodec: interrupted: wrote the best found so far")
        raise click.exceptions.Exit(130)


@cli.command()
@click.argument("source", metavar="INPUT.vat")
@click.option(
    "-o", "--output", metavar="OUT|-", help=f"A {', '.join(WRITE_FORMATS)} file; by default INPUT with .obj."
)
@resolution_option(256)
@click.option("--tokens", type=click.IntRange(min=1), help="Use only the first tokens: a coarser mesh.")
@click.option(
    "--format", "format_", type=click.Choice(WRITE_FORMATS), help="By default the extension of OUT."
)
@click.option("--dense", is_flag=True, help="Evaluate every point of the grid; slow, the same mesh.")
@max_memory_option
@weights_option
@device_option
@json_option
@force_option
@verbosity_options
def decode(
    source: str,
    output: str | None,
    resolution: int,
    tokens: int | None,
    format_: str | None,
    dense: bool,
    max_memory: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Decode a .vat file into a closed mesh.

    The mesh lies in the frame of the original.
    """
    data, file = read_vat(source)
    out = output_path(source, output, format_ or "obj")
    kind = format_ or (extension_of(out) if out != "-" else "obj")
    if kind not in WRITE_FORMATS:
        raise UsageError(
            f"{quote_name(out)}: cannot write {kind!r} files", f"choose one of {', '.join(WRITE_FORMATS)}"
        )
    check_output(out, force, as_json, binary=kind not in TEXT_FORMATS)
    with error_context(source, weights_too=True):
        Registry(weights).find(file.model_id)  # before torch is loaded, and while the file's name is known
    from meshcodec.api import Codec
    from meshcodec.geometry.io import export_mesh

    began = time.perf_counter()
    codec = Codec(device, weights)
    with error_context(source), bounded_memory(max_memory or memory_share()):
        decoded = codec.decode_detailed(data, resolution, tokens, dense)
        mesh = export_mesh(decoded.mesh, kind)
    write_output(out, mesh, force)
    seconds = time.perf_counter() - began
    vertices, faces = len(decoded.mesh.vertices), len(decoded.mesh.faces)
    if not quiet:
        log_line(
            f"{quote_name(source)} -> {display_target(out)}: {vertices} vertices, {faces} faces, "
            f"resolution {resolution}, {seconds:.1f} s"
        )
    if verbose and not quiet:
        share = 100 * decoded.evaluated / decoded.total
        grid = f"{decoded.total} points of a {resolution}^3 grid"
        log_line(f"field evaluated at {decoded.evaluated} of the {grid} ({share:.1f} %)")
        log_line(stages_line(decoded.seconds))
    if as_json:
        print_json(
            {
                "input": quote_name(source),
                "output": display_target(out),
                "vertices": vertices,
                "faces": faces,
                "resolution": resolution,
                "tokens": tokens or file.count,
                "evaluated": decoded.evaluated,
                "total": decoded.total,
                "model": file.model_id.hex(),
                "device": codec.device.type,
                "seconds": {"total": seconds, **decoded.seconds},
            }
        )
