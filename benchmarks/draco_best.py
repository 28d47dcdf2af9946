"""Which decimator, faces and bits Draco is best with: ``python benchmarks/draco_best.py DIR -o FILE.csv``.

For each mesh of DIR and each size the search of ``meshcodec bench --baselines draco``
(`meshcodec.evaluation.baselines`), which keeps the file with the highest F@0.02 + F@0.01. A line of the table
has the name of the mesh, the size, the decimator, the bits of a coordinate, the faces that the file has, and
its bytes; there is none for a size that nothing fits. ``draco_best.csv``, which ``mesh_coder.py`` reads, is
such a table of the evaluation set.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from meshcodec.errors import MeshcodecError, one_line
from meshcodec.evaluation.baselines import decimate_draco_many
from meshcodec.geometry.formats import MESH_ENDINGS
from meshcodec.geometry.io import load_mesh
from meshcodec.runtime.files import find_files, write_atomic

COLUMNS = ("mesh", "size", "decimator", "bits", "faces", "bytes")


def best_rows(name: str, path: Path, sizes: Sequence[int]) -> Iterator[dict[str, str | int]]:
    """The rows of one mesh, from the smallest size on.

    Raises
    ------
    BadMeshError
        The file holds no mesh.
    UsageError
        DracoPy is not installed.
    """
    ascending = sorted(set(sizes))
    found = decimate_draco_many(load_mesh(path), ascending)
    for size, result in zip(ascending, found, strict=True):
        if result.mesh is not None:
            yield {
                "mesh": name,
                "size": size,
                "decimator": result.settings["decimator"],
                "bits": result.settings["bits"],
                "faces": len(result.mesh.faces),
                "bytes": len(result.data),
            }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The table.")
@click.option("--sizes", default="512,1024,2048,4096", show_default=True, help="Bytes.")
@click.option("-f", "--force", is_flag=True, help="Overwrite the table.")
def main(folder: Path, output: Path, sizes: str, force: bool) -> None:
    """Write the table of Draco's best files of the meshes of FOLDER; exit code 3 where some failed."""
    if output.exists() and not force:
        raise click.UsageError(f"{output} exists; overwrite it with --force")
    wanted = [int(size) for size in sizes.split(",")]
    text, failed = io.StringIO(newline=""), 0
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for path in find_files(folder, MESH_ENDINGS):
        name = path.relative_to(folder).as_posix()
        try:
            rows = list(best_rows(name, path, wanted))
        except MeshcodecError as error:
            failed += 1
            click.echo(f"{name}: {one_line(error)}", err=True)
            continue
        table.writerows(rows)
        click.echo(f"{name}: {len(rows)} files", err=True)
    write_atomic(output, text.getvalue().encode(), overwrite=force)
    if failed:
        raise SystemExit(3)


if __name__ == "__main__":
    main()
