"""The verbs ``bench`` and ``report``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcodec.cli.group import cli
from meshcodec.cli.options import (
    PATH,
    device_option,
    effort_option,
    force_option,
    jobs_option,
    json_option,
    packing_option,
    parse_list,
    parse_sizes,
    resolution_option,
    weights_option,
)
from meshcodec.cli.streams import check_output, log_line, print_json, write_output
from meshcodec.errors import PartialFailureError, UsageError, quote_name
from meshcodec.runtime.threads import available_cores

if TYPE_CHECKING:
    pass


@cli.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--sizes", type=parse_sizes, default="512,1k,2k,4k", show_default=True, metavar="SIZE,...")
@effort_option
@packing_option
@click.option(
    "--baselines", type=parse_list, default="", metavar="NAME,...", help="Such as draco,hull,target."
)
@click.option("-o", "--output", type=PATH, default="bench", show_default=True, metavar="DIR", help="Report.")
@jobs_option
@resolution_option(256)
@weights_option
@device_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def bench(
    folder: Path,
    sizes: list[int],
    effort: int,
    packing: str,
    baselines: list[str],
    output: Path,
    jobs: int | None,
    resolution: int,
    weights: Path | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure size against quality over a folder of meshes."""
    from meshcodec.api import Codec
    from meshcodec.evaluation.bench.run import run_bench

    report = run_bench(
        folder,
        sizes,
        effort,
        baselines,
        output,
        jobs or available_cores(),
        resolution,
        packing=packing,
        device=device,
        make_codec=functools.partial(Codec, weights=weights) if weights is not None else None,
        quiet=quiet,
    )
    if as_json:
        print_json([row.to_dict() for row in report.rows])
    else:
        click.echo(report.table(), nl=False)
    for note in report.notes:
        log_line(note)
    failed = {row.file: row.error for row in report.failed}
    if failed:
        listed = ", ".join(f"{quote_name(name)} ({error})" for name, error in failed.items())
        raise PartialFailureError(f"{len(failed)} files failed: {listed}")


@cli.command()
@click.argument("references", metavar="REFERENCES", type=PATH)
@click.argument("decoded", metavar="DECODED|VATS", type=PATH)
@click.option("-o", "--output", metavar="OUT.html|-", help="Write a page with pictures and 3D views, too.")
@click.option("--csv", "csv_file", metavar="FILE|-", help="Write the table as CSV.")
@resolution_option(256)
@jobs_option
@weights_option
@device_option
@json_option
@force_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def report(
    references: Path,
    decoded: Path,
    output: str | None,
    csv_file: str | None,
    resolution: int,
    jobs: int | None,
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
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
        check_output(name, force, as_json, binary=False)
    from meshcodec.evaluation.report.measure import run_report
    from meshcodec.evaluation.report.page import to_csv, to_html, to_json

    found = run_report(
        references,
        decoded,
        jobs=jobs or available_cores(),
        resolution=resolution,
        device=device,
        weights=weights,
        pictures=output is not None,
        quiet=quiet,
    )
    if output is not None:
        write_output(output, to_html(found), force)
    if csv_file is not None:
        write_output(csv_file, to_csv(found), force)
    if as_json:
        print_json(to_json(found))
    elif "-" not in files:
        click.echo(found.table(), nl=False)
    for fault in found.faults:
        click.echo(f"meshcodec: error: {fault}", err=True)
    if found.faults:
        counts = f"{len(found.failed)} of {len(found.rows)} meshes failed"
        alone = f", {len(found.unmatched)} decoded files have no reference" if found.unmatched else ""
        raise PartialFailureError(counts + alone)
