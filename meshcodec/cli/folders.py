"""The verbs ``compress`` and ``decompress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcodec.cli.options import (
    Coding,
    Limits,
    Machine,
    Quality,
    Reply,
    Running,
    coding_options,
    faces_option,
    into_option,
    limit_options,
    machine_options,
    max_memory_option,
    parse_folder,
    quality_options,
    reply_options,
    resolution_option,
    running_options,
    time_limit_option,
)
from meshcodec.cli.streams import check_output, log_line, print_json, write_output
from meshcodec.config import DEFAULT_SIZE
from meshcodec.errors import PartialFailureError, UsageError, quote_name
from meshcodec.geometry.formats import WRITE_FORMATS
from meshcodec.runtime.threads import available_cores

if TYPE_CHECKING:
    from meshcodec.batch import CompressOptions, Summary

_QUIET = "No progress bar, no summary."


@click.command()
@click.argument("folder", metavar="DIR|URL", type=parse_folder)
@into_option
@quality_options
@coding_options
@time_limit_option
@click.option("--no-verify", is_flag=True, help="Do not decode and measure what was written.")
@click.option("--report", "page", metavar="OUT.html", help="Measure the result and write a page about it.")
@limit_options
@running_options
@machine_options
@reply_options(_QUIET)
def compress(
    folder: Path,
    output: Path,
    quality: Quality,
    coding: Coding,
    time_limit: float | None,
    no_verify: bool,
    page: str | None,
    limits: Limits,
    running: Running,
    machine: Machine,
    reply: Reply,
) -> None:
    """Encode every mesh of the folder DIR.

    OUT gets the same tree of .vat files, and manifest.jsonl with a line for each. Where a.obj lies beside
    a.stl, they become a.obj.vat and a.stl.vat. Several folders may go into one OUT, one after the other.
    Either may be a URL that fsspec knows, such as s3://bucket/meshes (extra ray).
    """
    quality.check()
    overwrite = reply.force or running.resume
    if page is not None:
        _check_page(page, folder, output, overwrite, reply.as_json)
    from meshcodec import batch
    from meshcodec.registry import Registry

    options = _compress_options(quality, coding, time_limit, not no_verify, limits, machine)
    Registry(machine.weights).default()  # where the weights are wrong, one message is enough
    summary = batch.compress(
        folder, output, options, running.jobs, running.resume, reply.force, reply.quiet, running.engine
    )
    _summarize(summary, reply)
    if page is not None:
        _write_page(page, folder, output, running.jobs, machine, overwrite, reply.quiet)
    _fail_for(summary)


def _compress_options(
    quality: Quality,
    coding: Coding,
    time_limit: float | None,
    measure: bool,
    limits: Limits,
    machine: Machine,
) -> CompressOptions:
    from meshcodec.batch import CompressOptions

    min_fscore, tau = quality.fscore
    return CompressOptions(
        size=None if quality.asked else quality.size or DEFAULT_SIZE,
        min_fscore=min_fscore,
        tau=tau,
        max_error=quality.max_error,
        best_effort=quality.best_effort,
        effort=coding.effort,
        seed=coding.seed,
        measure=measure,
        mode=coding.mode,
        packing=coding.packing,
        time_limit=time_limit,
        max_faces=limits.max_faces,
        max_bytes=limits.max_bytes,
        max_memory=limits.max_memory,
        device=machine.device,
        weights=machine.weights,
    )


@click.command()
@click.argument("folder", metavar="DIR|URL", type=parse_folder)
@into_option
@resolution_option
@click.option("--format", "format_", type=click.Choice(WRITE_FORMATS), default="obj", show_default=True)
@faces_option
@max_memory_option
@running_options
@machine_options
@reply_options(_QUIET)
def decompress(
    folder: Path,
    output: Path,
    resolution: int | None,
    format_: str,
    faces: int | None,
    max_memory: int | None,
    running: Running,
    machine: Machine,
    reply: Reply,
) -> None:
    """Decode every .vat file of the folder DIR into a mirrored tree of meshes."""
    from meshcodec import batch

    options = batch.DecompressOptions(format_, resolution, machine.device, machine.weights, max_memory, faces)
    summary = batch.decompress(
        folder, output, options, running.jobs, running.resume, reply.force, reply.quiet, running.engine
    )
    _summarize(summary, reply)
    _fail_for(summary)


def _summarize(summary: Summary, reply: Reply) -> None:
    if reply.as_json:
        print_json(summary.records)
    for line in summary.lines():
        reply.log(line)
    for record in summary.records:
        for warning in record.get("warnings", ()):  # which older manifests lack
            log_line(f"meshcodec: warning: {quote_name(record['input'])}: {warning}")
    for record in summary.failed:
        click.echo(f"meshcodec: error: {quote_name(record['input'])}: {record['error']}", err=True)


def _fail_for(summary: Summary) -> None:
    if summary.failed:
        raise PartialFailureError(f"{len(summary.failed)} of {len(summary.records)} files failed")


def _check_page(page: str, folder: Path, output: Path, overwrite: bool, as_json: bool) -> None:
    """Refuse before any work a page that could not be made, or not be written, after it."""
    from meshcodec.runtime.files import is_local

    if not (is_local(folder) and is_local(output)):
        raise UsageError(
            "--report reads folders of this machine", "copy the results, and use meshcodec report"
        )
    if output.exists() or Path(page).parent != output:  # which is made later
        check_output(page, overwrite, as_json, binary=False)


def _write_page(
    page: str, references: Path, decoded: Path, jobs: int | None, machine: Machine, force: bool, quiet: bool
) -> None:
    """Write the page of `meshcodec report` about a folder that was just made, its failures included."""
    from meshcodec.evaluation.report.measure import run_report
    from meshcodec.evaluation.report.page import to_html

    found = run_report(
        references,
        decoded,
        jobs=jobs or available_cores(),
        device=machine.device,
        weights=machine.weights,
        quiet=quiet,
    )
    write_output(page, to_html(found), force)
