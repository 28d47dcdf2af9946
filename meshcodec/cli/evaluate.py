"""The verbs ``bench`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcodec.cli.options import (
    PATH,
    Coding,
    Machine,
    Reply,
    jobs_option,
    machine_options,
    parse_list,
    parse_sizes,
    reply_options,
    resolution_option,
    unseeded_coding_options,
)
from meshcodec.cli.streams import check_output, log_line, print_json, write_output
from meshcodec.errors import PartialFailureError, UsageError, quote_name
from meshcodec.runtime.threads import available_cores

if TYPE_CHECKING:
    from meshcodec.evaluation.report.rows import Report

_QUIET = "No progress bar."


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--sizes", type=parse_sizes, default="512,1k,2k,4k", show_default=True, metavar="SIZE,...")
@unseeded_coding_options
@click.option(
    "--baselines",
    type=parse_list,
    default="",
    metavar="NAME,...",
    help="Such as draco,draco-fitted,hull,target.",
)
@click.option("-o", "--output", type=PATH, default="bench", show_default=True, metavar="DIR", help="Report.")
@jobs_option
@resolution_option
@machine_options
@reply_options(_QUIET, force=False)
def bench(
    folder: Path,
    sizes: list[int],
    coding: Coding,
    baselines: list[str],
    output: Path,
    jobs: int | None,
    resolution: int | None,
    machine: Machine,
    reply: Reply,
) -> None:
    """Measure size against quality over a folder of meshes."""
    from meshcodec.evaluation.bench.options import BenchOptions
    from meshcodec.evaluation.bench.run import run_bench

    options = BenchOptions(
        sizes=tuple(sizes),
        effort=coding.effort,
        baselines=tuple(baselines),
        mode=coding.mode,
        packing=coding.packing,
        resolution=resolution,
        device=machine.device,
        weights=machine.weights,
        jobs=jobs or available_cores(),
        quiet=reply.quiet,
    )
    report = run_bench(folder, output, options)
    if reply.as_json:
        print_json([row.to_dict() for row in report.rows])
    else:
        click.echo(report.table(), nl=False)
    for note in report.notes:
        log_line(note)
    failed = {row.file: row.error for row in report.failed}
    if failed:
        listed = ", ".join(f"{quote_name(name)} ({error})" for name, error in failed.items())
        raise PartialFailureError(f"{len(failed)} files failed: {listed}")


@click.command()
@click.argument("references", metavar="REFERENCES", type=PATH)
@click.argument("decoded", metavar="DECODED|VATS", type=PATH)
@click.option("-o", "--output", metavar="OUT.html|-", help="Write a page with pictures and 3D views, too.")
@click.option("--csv", "csv_file", metavar="FILE|-", help="Write the table as CSV.")
@resolution_option
@jobs_option
@machine_options
@reply_options(_QUIET)
def report(
    references: Path,
    decoded: Path,
    output: str | None,
    csv_file: str | None,
    resolution: int | None,
    jobs: int | None,
    machine: Machine,
    reply: Reply,
) -> None:
    """Measure decoded meshes or .vat files against their originals.

    REFERENCES and DECODED are two files, or two folders with the same tree: a/b.obj belongs to a/b.vat or to
    a mesh of that name. Prints a table; with -o also writes one HTML page that needs nothing else: the table
    to sort, charts, and each mesh beside its original. What fails or has no partner is listed: exit code 3.
    """
    files = [name for name in (output, csv_file) if name is not None]
    if files.count("-") > 1:
        raise UsageError("-o - and --csv - both write to stdout", "name a file")
    for name in files:
        check_output(name, reply.force, reply.as_json, binary=False)
    from meshcodec.evaluation.report.measure import run_report

    found = run_report(
        references,
        decoded,
        jobs=jobs or available_cores(),
        resolution=resolution,
        device=machine.device,
        weights=machine.weights,
        pictures=output is not None,
        quiet=reply.quiet,
    )
    _write_report(found, output, csv_file, reply)
    for fault in found.faults:
        click.echo(f"meshcodec: error: {fault}", err=True)
    if found.faults:
        counts = f"{len(found.failed)} of {len(found.rows)} meshes failed"
        alone = f", {len(found.unmatched)} decoded files have no reference" if found.unmatched else ""
        raise PartialFailureError(counts + alone)


def _write_report(found: Report, output: str | None, csv_file: str | None, reply: Reply) -> None:
    """Write a report as a page, as CSV, and on stdout, where nothing else goes there."""
    from meshcodec.evaluation.report.page import to_csv, to_html, to_json

    if output is not None:
        write_output(output, to_html(found), reply.force)
    if csv_file is not None:
        write_output(csv_file, to_csv(found), reply.force)
    if reply.as_json:
        print_json(to_json(found))
    elif "-" not in (output, csv_file):
        click.echo(found.table(), nl=False)
