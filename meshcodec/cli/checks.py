"""The verbs ``info``, ``verify``, ``link`` and ``doctor``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcodec.cli.options import Machine, json_option, machine_options, weights_option
from meshcodec.cli.streams import check_input, fscore_line, print_error, print_json, read_vat
from meshcodec.errors import MeshcodecError, PartialFailureError, WeightsError, quote_name
from meshcodec.format.link import link_of

if TYPE_CHECKING:
    from meshcodec.registry import Registry


@click.command()
@click.argument("files", metavar="FILE.vat...", nargs=-1, required=True)
@weights_option
@json_option
def info(files: tuple[str, ...], weights: Path | None, as_json: bool) -> None:
    """Print what .vat files say about themselves."""
    from meshcodec.diagnose import describe_file

    registry = _registry(weights)
    _each(files, lambda name: describe_file(name, *read_vat(name), registry), _description, as_json)


@click.command()
@click.argument("files", metavar="FILE.vat...", nargs=-1, required=True)
@click.option("--against", metavar="MESH", help="Print F-scores against this mesh.")
@machine_options
@json_option
def verify(files: tuple[str, ...], against: str | None, machine: Machine, as_json: bool) -> None:
    """Check that .vat files are whole and decode.

    Header, checksum, number of tokens, whether the model is here, and whether the mesh is closed.
    """
    if against is not None:
        check_input(against)
    from meshcodec.api import Codec
    from meshcodec.diagnose import verify_file
    from meshcodec.geometry.io import load_mesh

    codec = Codec(machine.device, machine.weights)
    reference = load_mesh(against) if against is not None else None
    _each(files, lambda name: verify_file(name, read_vat(name)[1], codec, reference), _verdict, as_json)


@click.command()
@click.argument("file", metavar="FILE.vat|-")
@click.option("--base", metavar="URL", required=True, help="Address of the page, such as that of web/demo.")
def link(file: str, base: str) -> None:
    """Print a link that carries a .vat file.

    Whoever opens it sees the shape: the page decodes what stands behind the #, and no server gets it.
    """
    click.echo(link_of(read_vat(file)[0], base))


@click.command()
@weights_option
@json_option
def doctor(weights: Path | None, as_json: bool) -> None:
    """Say which device computes, and check the weights."""
    from meshcodec.diagnose import describe_installation

    report, fault = describe_installation(weights)
    if as_json:
        print_json(report)
    else:
        click.echo(_findings(report))
    if fault is not None:
        raise fault


def _findings(report: dict[str, Any]) -> str:
    lines = [
        "versions  " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
        f"device    {report['device']} ({report['reason']})",
        f"kernel    {report['kernel']} ({report['kernel_reason']})",
        f"cores     {report['cores']}",
        f"bfloat16  {report['bfloat16']}",
        f"weights   {report['weights'] or 'none'}",
    ]
    for model in report["models"]:
        default = ", default" if model["default"] else ""
        state = ", ".join([model["state"], *model["parts"]])
        lines.append(f"model     {model['id']} {model['name']}{default}: {state}")
    return "\n".join(lines)


def _registry(weights: Path | None) -> Registry | None:
    """The registry; None when no folder was named and none is installed."""
    from meshcodec.registry import Registry

    try:
        return Registry(weights)
    except WeightsError:
        if weights is not None:
            raise
        return None


def _description(record: dict[str, Any]) -> str:
    scales = record["scales"]
    lines = [
        f"{record['file']}: {record['bytes']} bytes, format version {record['version']}",
        f"  model   {record['model']} ({record['model_name'] or 'not installed'})",
        f"  mesh    {_mesh_facts(record)}"
        if record["mode"] == "mesh"
        else f"  tokens  {record['tokens']}, packing {record['packing']}",
    ]
    if scales is not None:
        sides = " ".join(map(str, scales["sides"]))
        lines.append(f"  scales  {scales['whole']} whole of {scales['of']}; cells a side: {sides}")
    if record["center"] is not None:
        x, y, z = record["center"]
        sides = " ".join(f"{side:.7g}" for side in record["half_extents"])
        lines.append(f"  place   centre {x:.7g} {y:.7g} {z:.7g}, half sides {sides}")
        if mirrors := [axis for axis, is_one in zip("xyz", record["mirrored"], strict=True) if is_one]:
            lines.append(f"  mirror  across {' '.join(mirrors)}")
    else:
        lines.append("  place   none: it stays in the cube [-1, 1]")
    return "\n".join(lines)


def _mesh_facts(record: dict[str, Any]) -> str:
    if record["vertices"] is None:
        return f"{record['faces']} faces; its networks are not installed"
    surface = "flat faces" if not record["crease"] else f"subdivision surface, crease code {record['crease']}"
    border = "closed" if record["closed"] else "open"
    counts = f"{record['faces']} faces, {record['vertices']} vertices"
    return f"{counts}, {record['bits']} bits a coordinate, {surface}, {border}"


def _verdict(record: dict[str, Any]) -> str:
    what = f"{record['faces']} faces" if record["mode"] == "mesh" else f"{record['tokens']} tokens"
    line = f"{record['file']}: ok, {what}, model {record['model']}"
    return f"{line}, {fscore_line(record['fscore'])}" if record["fscore"] else line


def _each(
    names: Sequence[str],
    examine: Callable[[str], dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    as_json: bool,
) -> None:
    """Examine files one by one; of several, those that fail do not keep the others from being printed."""
    records, failed = [], []
    for name in names:
        try:
            record = examine(name)
        except MeshcodecError as error:
            if len(names) == 1:
                raise
            print_error(error)
            failed.append(quote_name(name))
            records.append({"file": quote_name(name), "error": str(error)})
            continue
        records.append(record)
        if not as_json:
            click.echo(line(record))
    if as_json:
        print_json(records)
    if failed:
        raise PartialFailureError(f"{len(failed)} of {len(names)} files failed: {', '.join(failed)}")
