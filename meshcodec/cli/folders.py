"""The verbs ``compress`` and ``decompress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from meshcodec.cli.group import cli
from meshcodec.cli.options import (
    asks_quality,
    device_option,
    effort_option,
    engine_option,
    force_option,
    into_option,
    jobs_option,
    json_option,
    limit_options,
    max_memory_option,
    packing_option,
    parse_folder,
    quality_options,
    resolution_option,
    resume_option,
    weights_option,
)
from meshcodec.cli.streams import check_output, log_line, print_json, write_output
from meshcodec.config import DEFAULT_SIZE, TAUS
from meshcodec.errors import PartialFailureError, UsageError, quote_name
from meshcodec.geometry.formats import WRITE_FORMATS
from meshcodec.registry import Registry
from meshcodec.runtime.threads import available_cores

if TYPE_CHECKING:
    from meshcodec.batch.mirror import Summary


@cli.command()
@click.argument("folder", metavar="DIR|URL", type=parse_folder)
@into_option
@quality_options
@effort_option
@packing_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of all sampling.")
@click.option("--no-verify", is_flag=True, help="Do not decode and measure what was written.")
@click.option("--report", "page", metavar="OUT.html", help="Measure the result and write a page about it.")
@limit_options
@resume_option
@jobs_option
@engine_option
@weights_option
@device_option
@json_option
@force_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def compress(
    folder: Path,
    output: Path,
    size: int | None,
    min_fscore: tuple[float, float] | None,
    max_error: float | None,
    best_effort: bool,
    effort: int,
    packing: str,
    seed: int,
    no_verify: bool,
    page: str | None,
    max_faces: int,
    max_bytes: int,
    max_memory: int | None,
    resume: bool,
    jobs: int | None,
    engine: Literal["processes", "ray"],
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Encode every mesh of the folder DIR.

    OUT gets the same tree of .vat files, and manifest.jsonl with a line for each. Either may be a URL that
    fsspec knows, such as s3://bucket/meshes (extra ray).
    """
    to_target = asks_quality(size, min_fscore, max_error, best_effort)
    from meshcodec.runtime.files import is_local

    if page is not None and not (is_local(folder) and is_local(output)):
        raise UsageError(
            "--report reads folders of this machine", "copy the results, and use meshcodec report"
        )
    if page is not None and (output.exists() or Path(page).parent != output):  # which is made later
        check_output(page, force or resume, as_json, binary=False)
    from meshcodec import batch

    wanted, tau = min_fscore or (None, TAUS[0])
    options = batch.CompressOptions(
        size=None if to_target else size or DEFAULT_SIZE,
        min_fscore=wanted,
        tau=tau,
        max_error=max_error,
        best_effort=best_effort,
        effort=effort,
        seed=seed,
        measure=not no_verify,
        packing=packing,
        max_faces=max_faces,
        max_bytes=max_bytes,
        max_memory=max_memory,
        device=device,
        weights=weights,
    )
    Registry(weights).default()  # of wrong weights, one message is enough
    summary = batch.compress(folder, output, options, jobs, resume, force, quiet, engine)
    _summarize(summary, as_json, quiet)
    if page is not None:
        _report_page(folder, output, page, jobs, device, weights, force or resume, quiet)
    _fail_for(summary)


@cli.command()
@click.argument("folder", metavar="DIR|URL", type=parse_folder)
@into_option
@resolution_option(256)
@click.option("--format", "format_", type=click.Choice(WRITE_FORMATS), default="obj", show_default=True)
@max_memory_option
@resume_option
@jobs_option
@engine_option
@weights_option
@device_option
@json_option
@force_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def decompress(
    folder: Path,
    output: Path,
    resolution: int,
    format_: str,
    max_memory: int | None,
    resume: bool,
    jobs: int | None,
    engine: Literal["processes", "ray"],
    weights: Path | None,
    device: str,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Decode every .vat file of the folder DIR into a mirrored tree of meshes."""
    from meshcodec import batch

    options = batch.DecompressOptions(format_, resolution, device, weights, max_memory)
    summary = batch.decompress(folder, output, options, jobs, resume, force, quiet, engine)
    _summarize(summary, as_json, quiet)
    _fail_for(summary)


def _summarize(summary: Summary, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(summary.records)
    if not quiet:
        for line in summary.lines():
            log_line(line)
    for record in summary.failed:
        click.echo(f"meshcodec: error: {quote_name(record['input'])}: {record['error']}", err=True)


def _fail_for(summary: Summary) -> None:
    if summary.failed:
        raise PartialFailureError(f"{len(summary.failed)} of {len(summary.records)} files failed")


def _report_page(
    references: Path,
    decoded: Path,
    page: str,
    jobs: int | None,
    device: str,
    weights: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Write the page of `meshcodec report` about a folder that was just made, its failures included."""
    from meshcodec.evaluation.report.measure import run_report
    from meshcodec.evaluation.report.page import to_html

    found = run_report(
        references, decoded, jobs=jobs or available_cores(), device=device, weights=weights, quiet=quiet
    )
    write_output(page, to_html(found), force)
