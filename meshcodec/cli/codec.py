"""The verbs ``encode`` and ``decode``."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from meshcodec.cli.options import (
    Coding,
    Limits,
    Machine,
    Quality,
    Reply,
    coding_options,
    faces_option,
    limit_options,
    machine_options,
    max_memory_option,
    quality_options,
    reply_options,
    resolution_option,
    time_limit_option,
)
from meshcodec.cli.streams import (
    TEXT_FORMATS,
    check_input,
    check_output,
    decoded_path,
    display_target,
    extension_of,
    fscore_line,
    interruptible,
    log_line,
    mesh_input,
    output_path,
    print_json,
    progress_bar,
    read_vat,
    stages_line,
    write_output,
)
from meshcodec.config import DEFAULT_RESOLUTION, DEFAULT_SIZE, TAUS
from meshcodec.errors import PartialFailureError, UsageError, error_context, quote_name
from meshcodec.geometry.formats import WRITE_FORMATS
from meshcodec.runtime.memory import bounded_memory, memory_share

if TYPE_CHECKING:
    from meshcodec.api import Codec
    from meshcodec.cli.streams import Interruption, Pipe
    from meshcodec.format.container import VatFile
    from meshcodec.modes.result import Encoded, Progress
    from meshcodec.target import Measured

MANY_FACES = 250_000
"""Triangles of a decode above which the option for fewer is named."""


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="OUT.vat|-", help="By default INPUT with the suffix .vat.")
@quality_options
@coding_options
@time_limit_option
@click.option("--verify", is_flag=True, help="Decode what was written and print its F-scores.")
@click.option("--file-type", metavar="EXT", help="Format of a mesh from a pipe, e.g. obj.")
@limit_options
@machine_options
@reply_options(verbose=True)
def encode(
    source: str,
    output: str | None,
    quality: Quality,
    coding: Coding,
    time_limit: float | None,
    verify: bool,
    file_type: str | None,
    limits: Limits,
    machine: Machine,
    reply: Reply,
) -> None:
    """Encode the mesh INPUT into a .vat file.

    Ctrl-C while it is refined writes the best found so far.
    """
    if source == "-" and file_type is None:
        raise UsageError("a mesh from a pipe has no extension", "name its format with --file-type")
    quality.check()
    check_input(source)
    out = output_path(source, output, "vat")
    check_output(out, reply.force, reply.as_json, binary=True)
    from meshcodec.api import Codec

    began = time.perf_counter()
    codec = Codec(machine.device, machine.weights, limits.max_faces, limits.max_bytes)
    mesh = mesh_input(source, limits.max_bytes)
    with (
        error_context(source),
        _bounded(limits.max_memory),
        progress_bar(reply.quiet) as progress,
        interruptible(time_limit) as stop,
    ):
        encoded, measured = _encoded(codec, mesh, file_type, quality, coding, progress, stop, reply.detailed)
    write_output(out, encoded.data, reply.force)
    record = _encode_record(source, out, encoded, codec, time.perf_counter() - began)
    _log_encoded(record, encoded, reply)
    if measured is not None:
        record |= _measures(measured)
    elif verify:
        with error_context(source), _bounded(limits.max_memory):
            record["fscore"] = _verified(codec, mesh, file_type, limits, encoded.data)
    if "fscore" in record:
        reply.log(fscore_line(record["fscore"]))
    if reply.as_json:
        print_json(record)
    if stop.asked and encoded.interrupted:
        log_line("meshcodec: interrupted: wrote the best found so far")
        raise click.exceptions.Exit(130)
    if encoded.interrupted:
        reply.log("time limit: wrote the best found so far")


def _bounded(max_memory: int | None) -> AbstractContextManager[None]:
    """A bound on the memory: what is allowed or, by default, what the machine has."""
    return bounded_memory(max_memory or memory_share())


def _encoded(
    codec: Codec,
    mesh: str | Pipe,
    file_type: str | None,
    quality: Quality,
    coding: Coding,
    progress: Progress | None,
    stop: Interruption,
    measure: bool,
) -> tuple[Encoded, Measured | None]:
    """The file of a mesh and, where a quality was asked for, what was measured."""
    from meshcodec.target import Target

    effort, seed, packing, mode = coding.effort, coding.seed, coding.packing, coding.mode
    if not quality.asked:
        size = quality.size or DEFAULT_SIZE
        found = codec.encode_detailed(
            mesh, size, effort, seed, file_type, progress, stop, packing, mode, measure
        )
        return found, None
    target = Target(*quality.fscore, quality.max_error)
    measured = codec.encode_to_target(mesh, target, effort, seed, file_type, progress, stop, packing, mode)
    if not measured.met and not quality.best_effort:
        raise PartialFailureError(target.missed_by(measured), "pass --best-effort to write it anyway")
    return measured.encoded, measured


def _verified(
    codec: Codec, mesh: str | Pipe, file_type: str | None, limits: Limits, data: bytes
) -> dict[str, float]:
    """F-scores of the bytes that were written, by distance.

    They are not read back: a device or a named pipe does not give what it was given.
    """
    from meshcodec.geometry.io import as_written, load_mesh
    from meshcodec.metrics import by_tau, fscore

    if not isinstance(mesh, str):
        mesh.seek(0)
    original = load_mesh(mesh, file_type, limits.max_faces, limits.max_bytes)
    return by_tau(fscore(original, as_written(codec.decode(data, DEFAULT_RESOLUTION))))


def _measures(measured: Measured) -> dict[str, Any]:
    """What ``--json`` says of a file that was encoded to a quality."""
    from meshcodec.metrics import by_tau

    scores = measured.scores
    return {"met": measured.met, "fscore": by_tau(scores.f), "p95": scores.p95}


def _encode_record(source: str, out: str, encoded: Encoded, codec: Codec, seconds: float) -> dict[str, Any]:
    """What ``--json`` says of a file."""
    from meshcodec.format.container import VatFile

    return {
        "input": quote_name(source),
        "output": display_target(out),
        "bytes": len(encoded.data),
        "mode": encoded.mode,
        "mesh": None if encoded.mesh is None else asdict(encoded.mesh),
        "compared": [asdict(one) for one in encoded.compared],
        "tokens": encoded.tokens,
        "packing": int(encoded.packing),
        "scales": encoded.scales,
        "effort": encoded.effort,
        "refined": encoded.refined,
        "interrupted": encoded.interrupted,
        "model": VatFile.from_bytes(encoded.data).model_id.hex(),
        "device": codec.engine.device_used,
        "seconds": {"total": seconds, **encoded.seconds},
    }


def _log_encoded(record: dict[str, Any], encoded: Encoded, reply: Reply) -> None:
    mesh = encoded.mesh
    what = f"{encoded.tokens} tokens, {encoded.scales} scales"
    if mesh is not None:
        border = "closed" if mesh.closed else "open"
        what = f"a mesh of {mesh.faces} faces, {mesh.vertices} vertices, {border}"
    reply.log(
        f"{record['input']} -> {record['output']}: {record['bytes']} bytes, {what}, "
        f"effort {encoded.effort}, {record['seconds']['total']:.1f} s"
    )
    for one in encoded.compared:
        scores = fscore_line({str(tau): f for tau, f in zip(TAUS, one.fscores, strict=True)})
        reply.detail(
            f"as {one.mode}: {scores}  normals {one.normal_consistency:.4f}  {one.bytes} bytes, "
            f"{one.seconds:.1f} s"
        )
    if mesh is None:
        reply.detail(f"tokens: {'refined in rounds' if encoded.refined else 'of the first two steps'}")
    reply.detail(stages_line(encoded.seconds))


@click.command()
@click.argument("source", metavar="INPUT.vat")
@click.option(
    "-o",
    "--output",
    metavar="OUT|-",
    help=f"A {', '.join(WRITE_FORMATS)} file; by default INPUT with .obj or, where there is such a file, with"
    " .decoded.obj.",
)
@resolution_option
@faces_option
@click.option("--tokens", type=click.IntRange(min=1), help="Use only the first tokens: a coarser mesh.")
@click.option(
    "--format", "format_", type=click.Choice(WRITE_FORMATS), help="By default the extension of OUT."
)
@click.option("--dense", is_flag=True, help="Evaluate every point of the grid; slow, the same mesh.")
@max_memory_option
@machine_options
@reply_options(verbose=True)
def decode(
    source: str,
    output: str | None,
    resolution: int | None,
    faces: int | None,
    tokens: int | None,
    format_: str | None,
    dense: bool,
    max_memory: int | None,
    machine: Machine,
    reply: Reply,
) -> None:
    """Decode a .vat file into a mesh.

    The mesh lies in the frame of the original. Without -o no file that may be the original is overwritten,
    not even with -f.
    """
    _, file = read_vat(source)
    out = decoded_path(source, output, format_ or "obj")
    kind = _kind(out, format_)
    check_output(out, reply.force, reply.as_json, binary=kind not in TEXT_FORMATS)
    began = time.perf_counter()
    with error_context(source), _bounded(max_memory):
        mesh, known = _decoded(file, resolution, tokens, dense, faces, machine, kind)
    write_output(out, mesh, reply.force)
    seconds = {"total": time.perf_counter() - began, **known.pop("seconds")}
    record = {
        "input": quote_name(source),
        "output": display_target(out),
        "mode": file.mode,
        "model": file.model_id.hex(),
        **known,
        "seconds": seconds,
    }
    _log_decoded(record, reply, hint=faces is None)
    if reply.as_json:
        print_json(record)


def _decoded(
    file: VatFile,
    resolution: int | None,
    tokens: int | None,
    dense: bool,
    faces: int | None,
    machine: Machine,
    kind: str,
) -> tuple[bytes, dict[str, Any]]:
    """The mesh file of a file, and what is known of it. trimesh is not loaded, torch for tokens alone."""
    from meshcodec.runtime.imports import load

    load("meshcodec.engine", "meshcodec.modes.decode")
    from meshcodec.engine import Engine
    from meshcodec.geometry.writers import write_mesh
    from meshcodec.modes.decode import decode_file
    from meshcodec.runtime.clock import Clock

    engine = Engine(machine.device, machine.weights)
    decoded = decode_file(engine, file, resolution, tokens, dense, faces)
    clock = Clock(decoded.seconds)
    with clock("write"):
        data = write_mesh(*decoded.surface, kind)
    known: dict[str, Any] = {
        "vertices": len(decoded.surface[0]),
        "faces": len(decoded.surface[1]),
        "seconds": clock.seconds,
    }
    if not file.is_mesh:
        known |= {
            "resolution": decoded.resolution,
            "tokens": tokens or file.count,
            "evaluated": decoded.evaluated,
            "total": decoded.total,
            "device": engine.device_used,
        }
    if faces is not None:
        known["simplified"] = decoded.simplified and asdict(decoded.simplified)
    return data, known


def _kind(out: str, format_: str | None) -> str:
    """The format to write; raises UsageError where none of `WRITE_FORMATS` is asked for."""
    kind = format_ or (extension_of(out) if out != "-" else "obj")
    if kind not in WRITE_FORMATS:
        fault = f"{quote_name(out)}: cannot write {kind!r} files"
        raise UsageError(fault, f"choose one of {', '.join(WRITE_FORMATS)}")
    return kind


def _log_decoded(record: dict[str, Any], reply: Reply, hint: bool) -> None:
    of_tokens = record["mode"] == "tokens"
    many = " (--faces N for fewer)" if hint and record["faces"] > MANY_FACES else ""
    resolution = f"resolution {record['resolution']}, " if of_tokens else ""
    reply.log(
        f"{record['input']} -> {record['output']}: {record['vertices']} vertices, {record['faces']} faces"
        f"{many}, {resolution}{record['seconds']['total']:.1f} s"
    )
    if (cost := record.get("simplified")) is not None:
        moved = f"the surface moved by about {100 * cost['error']:.2g} % of the longest side"
        reply.detail(f"simplified from {cost['faces']} faces, {moved}")
    if of_tokens:
        share = 100 * record["evaluated"] / record["total"]
        grid = f"{record['total']} points of a {record['resolution']}^3 grid"
        reply.detail(f"field evaluated at {record['evaluated']} of the {grid} ({share:.1f} %)")
    reply.detail(stages_line(record["seconds"]))
