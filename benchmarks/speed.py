"""How long every stage takes: ``make speed``, or ``python benchmarks/speed.py [-o FILE.json]``.

First the kernels are checked: the reference against the same in float64, the others against the reference, a
mesh from coarse to fine against one of the whole grid. Where one of them is wrong there is a line that says
so, exit code 1 and no figure. Then medians, wall clock and processor time, warm but for the rows of whole
processes. Ratios hold elsewhere, seconds do not; other work on the machine is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import point_cloud_utils as pcu
import torch
import trimesh

from meshcodec.api import Codec
from meshcodec.config import DEFAULT_RESOLUTION, EXTENT
from meshcodec.engine import Engine
from meshcodec.evaluation import baselines
from meshcodec.format.container import VatFile
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.geometry.sample import sample_surface
from meshcodec.geometry.signed_distance import classify
from meshcodec.geometry.symmetry import fit_coding_box
from meshcodec.kernels import field_of, reference
from meshcodec.kernels.tables import ERRORS, ERRORS_BELOW, GridTables
from meshcodec.modes.tokens.decode import extract_surface, token_field
from meshcodec.modes.tokens.refine import QueryPool, RefinementJob, refine_batch
from meshcodec.modes.tokens.settings import RefineSettings
from meshcodec.runtime.device import bfloat16_is_fast
from meshcodec.surface.field import Field, GridField, by_keys, by_points
from meshcodec.surface.marching_cubes import Extraction

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "v1"
EXAMPLES = ROOT / "examples"
FACES = 50_000
SAME = 1e-3
"""Share of the longest side of its box that a mesh may be off."""

Row = dict[str, Any]


class WrongError(Exception):
    """A kernel does not compute what it should."""


# ---- the check


def check(codec: Codec, paths: list[Path]) -> None:
    """Raise WrongError unless a device's kernels agree with the reference, and it with itself in float64."""
    for path in paths:
        file = VatFile.from_bytes(path.read_bytes())
        networks = codec.engine.open(file)
        model = networks.model
        tokens = bytearray(file.tokens(networks.entropy_model))
        row = torch.frombuffer(tokens, dtype=torch.uint8)[None].to(codec.device)
        with torch.no_grad():
            images = model.planes(row)[0]
            planes = images.permute(0, 2, 3, 1).contiguous()
            check_field(codec, model.field, images, planes, path.stem)
        check_mesh(codec, path)


def check_field(codec: Codec, head: Any, images: torch.Tensor, planes: torch.Tensor, name: str) -> None:
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(-EXTENT, EXTENT, (20_000, 3)).astype(np.float32)).to(codec.device)
    found = reference.distances(head, planes, points)
    exact = reference.distances(head.double(), planes.double(), points.double())
    head.float()
    error = float((found - exact).abs().max())
    if not error < 1e-5:
        raise WrongError(f"{name}: the reference is {error:.1e} from itself in float64")
    kernel = field_of(head, images, codec.kernel)(points)
    near = exact.abs() < 0.03  # where the surface may be
    error = float((kernel - exact)[near].abs().max())
    if not error < SAME:
        raise WrongError(f"{name}: the kernel {codec.kernel} is {error:.1e} from float64")
    if codec.device.type != "cpu":
        return
    ticks = torch.linspace(-EXTENT, EXTENT, 41)[:, None].expand(-1, 3).contiguous()
    keys = torch.arange(41**3, dtype=torch.int32)
    wanted = by_points(lambda p: reference.distances(head, planes, p), ticks)(keys)
    near = wanted.abs() < ERRORS_BELOW
    for dtype, most in ERRORS.items():
        error = float((GridTables(head, planes, ticks, dtype)(keys) - wanted)[near].abs().max())
        if not error < most + 1e-5:
            raise WrongError(f"{name}: tables in {dtype} are {error:.1e} from the reference")


@contextmanager
def _by_kernel(engine: Engine, kernel: str) -> Iterator[None]:
    """Evaluate fields by a kernel, meanwhile."""
    place = engine.place
    engine.place = replace(place, kernel=kernel)
    try:
        yield
    finally:
        engine.place = place


def check_mesh(codec: Codec, path: Path) -> None:
    """The mesh coarse to fine, that of the whole grid, and that by the reference."""
    engine, file = codec.engine, VatFile.from_bytes(path.read_bytes())
    networks = engine.open(file)
    tokens = file.tokens(networks.entropy_model)

    def surface(dense: bool = False) -> Extraction:
        """As a decode has it before slits become narrow, for which a field that is off by little may be
        another."""
        field = token_field(engine, networks, tokens)
        return extract_surface(engine, field, file.iso_offset, 96, file.mirrored, dense=dense, narrow=False)

    sparse, dense = surface(), surface(dense=True)
    with _by_kernel(engine, "reference"):
        truth = surface()
    longest = float(np.ptp(truth.vertices, axis=0).max())
    for other, what in ((dense, "of the whole grid"), (truth, "by the reference")):
        for one, two in ((sparse, other), (other, sparse)):
            distances, _, _ = pcu.closest_points_on_mesh(one.vertices, two.vertices, two.faces)
            off = float(distances.max() / longest)
            if not off < SAME:
                raise WrongError(f"{path.stem}: the mesh is {off:.1e} of its box from that {what}")


# ---- the measurements


class Table:
    """Rows of medians."""

    def __init__(self, repeats: int) -> None:
        self.repeats, self.rows = repeats, list[Row]()

    def add(self, stage: str, walls: list[float], cpus: list[float] | None = None) -> None:
        """Write down one stage."""
        row: Row = {
            "stage": stage,
            "seconds": statistics.median(walls),
            "runs": len(walls),
            "min": min(walls),
        }
        if cpus is not None:
            row["cpu_seconds"] = statistics.median(cpus)
        self.rows.append(row)

    def time(self, stage: str, work: Callable[[], Any], repeats: int | None = None, warm: bool = True) -> Any:
        """Time `work` and return its last result."""
        if warm:
            work()
        walls, cpus = [], []
        for _ in range(repeats or self.repeats):
            _wait()
            wall, cpu = time.perf_counter(), time.process_time()
            result = work()
            _wait()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        self.add(stage, walls, cpus)
        return result

    def seconds(self, stage: str) -> float:
        """The median of a stage."""
        return float(next(row["seconds"] for row in self.rows if row["stage"] == stage))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Timed:
    """A field that adds up the time it takes."""

    def __init__(self, field: Field) -> None:
        self.field, self.tables, self.points = field, 0.0, 0.0
        self.error_bound = field.error_bound if isinstance(field, GridField) else 0.0

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return self._timed(self.field, points)

    def on_grid(self, ticks: torch.Tensor) -> tuple[Field, Field]:
        start = time.perf_counter()
        field_at, refine_at = by_keys(self.field, ticks)
        _wait()
        self.tables += time.perf_counter() - start
        return partial(self._timed, field_at), partial(self._timed, refine_at)

    def _timed(self, field: Field, where: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        found = field(where)
        _wait()
        self.points += time.perf_counter() - start
        return found


def decode_stages(table: Table, codec: Codec, path: Path, dense: bool, resolution: int | None) -> None:
    data, file = path.read_bytes(), VatFile.from_bytes(path.read_bytes())
    name = f"decode {path.stem} on {codec.device.type}"
    engine, networks = codec.engine, codec.engine.open(file)
    networks.model  # noqa: B018 - loads it
    tokens = file.tokens(networks.entropy_model)
    field = table.time(f"{name}: planes", lambda: token_field(engine, networks, tokens))
    walls: dict[str, list[float]] = {
        "tables": [],
        "field": [],
        "search, marching cubes and small components": [],
    }
    for turn in range(table.repeats + 1):
        timed = Timed(field)
        start = time.perf_counter()
        extract_surface(engine, timed, file.iso_offset, resolution, file.mirrored)
        _wait()
        if turn:  # the first is warming up
            seconds = time.perf_counter() - start
            parts = (timed.tables, timed.points, seconds - timed.tables - timed.points)
            for stage, part in zip(walls, parts, strict=True):
                walls[stage].append(part)
    for stage, parts_of in walls.items():
        table.add(f"{name}: {stage}", parts_of)
    decoded = table.time(name, lambda: codec.decode_detailed(data, resolution))
    table.rows[-1] |= {"evaluated": decoded.evaluated / decoded.total, "faces": len(decoded.mesh.faces)}
    table.time(f"{name}: write PLY", lambda: export_mesh(decoded.mesh, "ply"))
    if not dense:
        return

    def whole(kernel: str) -> Callable[[], Extraction]:
        def work() -> Extraction:
            with _by_kernel(engine, kernel):
                by_kernel = token_field(engine, networks, tokens)
                return extract_surface(
                    engine, by_kernel, file.iso_offset, resolution, file.mirrored, dense=True
                )

        return work

    for kernel in dict.fromkeys((codec.kernel, "reference")):
        stage = f"{name}: dense, kernel {kernel}"
        table.time(stage, whole(kernel), 1, warm=False)
        table.rows[-1]["times_the_decode"] = table.seconds(stage) / table.seconds(name)


def encode_stages(table: Table, codec: Codec, mesh_path: Path) -> None:
    name = f"encode {FACES // 1000}k faces on {codec.device.type}"
    mesh = table.time(f"{name}: load", lambda: load_mesh(mesh_path))
    placement = fit_coding_box(mesh.vertices, mesh.faces)
    count = codec.config.input_points

    def sample() -> tuple[Any, Any]:
        surfaces = classify(placement.to_unit(mesh.vertices), mesh.faces)
        return sample_surface(surfaces, count, np.random.default_rng(0))

    points, normals = table.time(f"{name}: sample", sample)
    model = codec.model
    given = [torch.from_numpy(a[None]).to(codec.device) for a in (points, normals)]

    def first() -> list[torch.Tensor]:
        with torch.no_grad():
            return model.quantizer.project(model.encoder(*given)[0])

    latents = table.time(f"{name}: encoder", first)
    rng, steps = np.random.default_rng(0), 10
    count = RefineSettings.step_queries
    queries = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    pool = QueryPool(queries, np.zeros(count, np.float32), np.ones(count, np.float32))
    tokens = codec.config.scale_ends()[4]

    def refined() -> Any:
        return refine_batch(model, [RefinementJob(latents, pool, tokens, [], steps)])

    table.time(f"{name}: {steps} steps of refinement", refined, 3)
    for size in (512, 4096):
        encode = partial(codec.encode, mesh_path, size, 0, mode="tokens")
        table.time(f"{name}: {size} B, effort 0", encode)


def processes(table: Table, path: Path, folder: Path) -> None:
    """What a shell's user waits for: with the imports, the weights and the disk."""
    python = [sys.executable, "-m", "meshcodec"]
    rows = {
        "process: --help": [*python, "--help"],
        "process: info": [*python, "info", str(path)],
        "process: import meshcodec.api": [sys.executable, "-c", "import meshcodec.api"],
        "process: encode spot, 1 KB": [
            *[*python, "encode", str(EXAMPLES / "spot.obj"), "--size", "1k"],
            *["-q", "-f", "-o", str(folder / "spot.vat")],
        ],
        f"process: decode {path.stem}": [*python, "decode", str(path), "-f", "-o", str(folder / "out.ply")],
    }
    for stage, command in rows.items():
        walls = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
            )
            walls.append(time.perf_counter() - start)
        table.add(stage, walls)


def draco(table: Table, mesh: trimesh.Trimesh) -> None:
    name = f"decimation + Draco, {FACES // 1000}k faces, 512 B"
    start = time.perf_counter()
    result = baselines.decimate_draco(mesh, 512)
    table.add(f"{name}: search of the best", [time.perf_counter() - start])
    table.add(f"{name}: the best alone", [result.seconds])
    table.time(f"{name}: decode", lambda: baselines.decode_draco(result.data))


def subject() -> trimesh.Trimesh:
    """A mesh of about `FACES` faces: an example, its faces split."""
    mesh = load_mesh(EXAMPLES / "spot.obj")
    while len(mesh.faces) < FACES:
        mesh = mesh.subdivide()
    chosen = np.random.default_rng(0).permutation(len(mesh.faces))[:FACES]
    return trimesh.Trimesh(mesh.vertices, mesh.faces[np.sort(chosen)], process=False)


def report(devices: list[str], repeats: int, dense: bool, resolution: int | None) -> dict[str, Any]:
    """Check, measure, and say where."""
    codecs = [Codec(device) for device in devices]
    model = codecs[0].model_id
    small, large = (GOLDEN / f"{name}.vat" for name in (f"spot-{model}-512", f"burger-{model}-4k"))
    golden = sorted(GOLDEN.glob(f"*-{model}-*.vat"))
    for codec in codecs:
        check(codec, golden)
    table = Table(repeats)
    with tempfile.TemporaryDirectory() as name:
        mesh, path = subject(), Path(name) / "mesh.ply"
        path.write_bytes(export_mesh(mesh, "ply"))
        processes(table, small, Path(name))
        for codec in codecs:
            table.time(f"weights on {codec.device.type}", partial(_load, codec))
            encode_stages(table, codec, path)
            decode_stages(table, codec, small, dense, resolution)
            decode_stages(table, codec, large, dense=False, resolution=resolution)
            walls = [decode_seconds(codec, each, resolution) for each in golden]
            table.add(f"decode, the median of {len(golden)} golden files on {codec.device.type}", walls)
        draco(table, mesh)
    cpu = codecs[0]
    return {
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16_is_fast": bfloat16_is_fast(cpu.device),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "kernels": {codec.device.type: codec.kernel for codec in codecs},
        "torch": torch.__version__,
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "resolution": resolution,
        "rows": table.rows,
    }


def decode_seconds(codec: Codec, path: Path, resolution: int | None) -> float:
    """Seconds of the quicker of two decodes."""
    data, walls = path.read_bytes(), []
    for _ in range(2):
        start = time.perf_counter()
        codec.decode(data, resolution)
        walls.append(time.perf_counter() - start)
    return min(walls)


def _load(codec: Codec) -> None:
    codec.engine.encoding.unload_model()
    codec.model  # noqa: B018 - loads it


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How long every stage takes.")
    parser.add_argument("-o", "--output", type=Path, help="the same as JSON")
    parser.add_argument(
        "--repeats", type=int, default=7, help="runs of a stage, of which the median is taken"
    )
    parser.add_argument("--no-dense", action="store_true", help="leave out the minutes of dense evaluation")
    parser.add_argument(
        "--resolution",
        type=int,
        default=DEFAULT_RESOLUTION,
        help="cells a side of the grid of all decodes but those of processes; the default decode without it",
    )
    options = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    try:
        baselines.require()
        found = report(devices, options.repeats, not options.no_dense, options.resolution)
    except WrongError as error:
        print(f"speed: wrong, not timed: {error}", file=sys.stderr)
        return 1
    print("  seconds  processor  stage")
    for row in found["rows"]:
        cpu = f"{row['cpu_seconds']:.3f}" if "cpu_seconds" in row else ""
        ratio = f", {row['times_the_decode']:.1f} times the decode" if "times_the_decode" in row else ""
        print(f"{row['seconds']:9.3f}  {cpu:>9}  {row['stage']}{ratio}")
    rest = {key: value for key, value in found.items() if key != "rows"}
    print(json.dumps(rest))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
