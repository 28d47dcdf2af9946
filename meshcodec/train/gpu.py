"""Training on a machine that nothing reaches: ``python -m meshcodec.train.gpu PACKED --recipe R --out DIR``.

One call unpacks the corpus of `meshcodec.train.pack`, samples it on the device, trains for the minutes given,
and leaves in DIR what the next call and the user need, in files small enough to be carried away one by one:

==========================  =========================================================================
``weights/``                averaged weights as safetensors, with their registry
``checkpoint-1-of-3.part``  pieces of the checkpoint, which the next call goes on from
``log.jsonl``               losses of this and, where the scratch folder was kept, of earlier calls
==========================  =========================================================================

Samples and the whole checkpoint lie in the scratch folder; a call that finds them does not make them again.
Needs numpy, torch and safetensors, and none of the geometry libraries.

The recipe ``gpu.json`` is for one H200 with ``--compile``: in its six minutes it took 6155 steps of 128
meshes, after half a minute of sampling by 14 workers. It trains the decoder alone, from weights that it grows
from.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshcodec.config import EXTENT
from meshcodec.errors import MeshcodecError, UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.runtime.device import choose_device
from meshcodec.train import cache
from meshcodec.train.autoencoder import Trainer
from meshcodec.train.batches import Batch, cube_symmetries, query_counts, validation_batches
from meshcodec.train.cache import MAX_DISTANCE, SampleCache, plan_blocks, write_block
from meshcodec.train.grow import start_weights
from meshcodec.train.pack import unpack
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.torch_targets import Geometry
from meshcodec.weights import save_model

PIECE_BYTES = 15 * 2**20
"""Largest piece of a checkpoint."""
WIND_UP_SECONDS = 25.0
"""Kept at the end of a call for validation and for writing the results."""
_PIECE = re.compile(r"checkpoint-(\d+)-of-(\d+)\.part")
_FIELDS = ("points", "normals", "queries", "distances")
log = logging.getLogger(__name__)


class DeviceBatches:
    """Batches drawn, turned and refitted on the device, from a cache that lies in its memory.

    A `meshcodec.train.batches.BatchSource` that draws as `meshcodec.train.batches.training_batches` does, but from
    another random stream.

    Raises
    ------
    UsageError
        The folder has no finished block of training meshes.
    """

    def __init__(self, folder: Path, config: TrainConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._held_out = SampleCache(folder, "validation")
        samples = SampleCache(folder, "train")
        if not len(samples):
            raise UsageError(f"{folder}: no finished training blocks", "let the preparation finish")
        arrays = samples.arrays()
        self.points, self.normals, self.queries, self.distances = (
            torch.cat([torch.from_numpy(np.array(block)).to(device) for block in arrays[field]])
            for field in range(len(_FIELDS))
        )
        self._symmetries = torch.from_numpy(cube_symmetries()).to(device)

    def __len__(self) -> int:
        return len(self.points)

    def training(self, seed: int) -> Iterator[Batch]:
        """Endless random batches; the same seed and device give the same ones."""
        config, device = self._config, self._device
        stream = torch.Generator(device).manual_seed(seed)
        while True:
            rows = torch.randint(len(self), (config.batch,), generator=stream, device=device)
            batch = self.thin(rows, stream)
            free = torch.rand(config.batch, generator=stream, device=device) < config.rotate_share
            which = torch.randint(len(self._symmetries), (config.batch,), generator=stream, device=device)
            rotations = random_rotations(config.batch, stream)
            yield turn(batch, torch.where(free[:, None, None], rotations, self._symmetries[which]), free)

    def validation(self) -> list[Batch]:
        """See `meshcodec.train.batches.validation_batches`."""
        return [batch.to(self._device) for batch in validation_batches(self._held_out, self._config)]

    def refresh(self) -> None:
        """Nothing: the cache was whole."""

    def thin(self, rows: Tensor, stream: torch.Generator) -> Batch:
        """Random runs of points and of each kind of query of (B,) meshes; see `meshcodec.train.batches.subsample`."""
        chosen = _runs(len(rows), self.points.shape[1], self._config.points, stream)
        columns, first = [], 0
        for kind, count in query_counts(self._config):
            columns.append(first + _runs(len(rows), kind, count, stream))
            first += kind
        asked, mesh = torch.cat(columns, dim=1), rows[:, None]
        return Batch(
            self.points[mesh, chosen].float() * (EXTENT / 32767),
            self.normals[mesh, chosen].float() / 127,
            self.queries[mesh, asked].float() * (EXTENT / 32767),
            self.distances[mesh, asked].float() * (MAX_DISTANCE / 32767),
        )


def _runs(count: int, total: int, length: int, stream: torch.Generator) -> Tensor:
    """(count, length) consecutive indices below `total`, each row from a random start."""
    starts = torch.randint(total - length + 1, (count, 1), generator=stream, device=stream.device)
    return starts + torch.arange(length, device=stream.device)


def random_rotations(count: int, stream: torch.Generator) -> Tensor:
    """(count, 3, 3) uniform rotations, by random unit quaternions."""
    q = torch.randn(count, 4, generator=stream, device=stream.device)
    w, x, y, z = (q / q.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def turn(batch: Batch, matrices: Tensor, refit: Tensor) -> Batch:
    """`meshcodec.train.batches.turn` of a whole batch.

    Parameters
    ----------
    matrices : (B, 3, 3) orthogonal
    refit : (B,) bool, which meshes are moved and scaled back into the unit frame
    """
    points, normals, queries = (_apply(matrices, v) for v in (batch.points, batch.normals, batch.queries))
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    chosen = refit[:, None, None]
    center = torch.where(chosen, (low + high) / 2, 0.0)
    scale = torch.where(chosen, (high - low).amax(2, keepdim=True) / 2, 1.0)
    points, queries, distances = (
        (points - center) / scale,
        (queries - center) / scale,
        batch.distances / scale[..., 0],
    )
    outside = refit[:, None] & (queries.abs().amax(2) > EXTENT)
    first = outside.int().argmin(1, keepdim=True)
    queries = torch.where(outside[..., None], queries.take_along_dim(first[..., None], 1), queries)
    distances = torch.where(outside, distances.take_along_dim(first, 1), distances)
    return Batch(points, normals, queries, distances)


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    # Not by a matrix product, which a GPU may round to ten bits.
    return (vectors[:, :, None, :] * matrices[:, None]).sum(-1)


def fill_cache(
    packed: Path, folder: Path, device: torch.device, workers: int = 1, until: float = math.inf
) -> bool:
    """Sample a packed corpus into a cache folder, on the device; goes on where it was stopped.

    Returns whether the cache is whole: no block is begun after `until`, on the clock of `time.time`.
    """
    if workers == 1:
        filler = _Filler(packed, folder, device)
        return all(filler(stem, until) for stem in filler.blocks)
    # Processes, since numpy's part of the work holds the interpreter; spawned, since forks lose the device.
    begin = (packed, folder, device)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, begin) as pool:
        stems = [stem for stem, _, _ in _planned(packed, folder)]
        return all(pool.map(_fill, stems, [until] * len(stems)))


def _planned(packed: Path, folder: Path) -> list[cache.Block]:
    """The blocks that a cache of the corpus lacks, in the same order wherever it is asked."""
    corpus = unpack(packed)
    held_out = {name for name, held in zip(corpus.ids, corpus.held_out, strict=True) if held}
    return plan_blocks(corpus.items(), folder, lambda item: item.id in held_out)


class _Filler:
    """Samples blocks of a packed corpus, each named by its stem."""

    def __init__(self, packed: Path, folder: Path, device: torch.device) -> None:
        self._sampler = Geometry(device).make_sample
        self.blocks = {block[0]: block for block in _planned(packed, folder)}

    def __call__(self, stem: Path, until: float) -> bool:
        """Write a block, unless it is too late: then False."""
        if time.time() > until:
            return False
        if stem in self.blocks:  # another process may have written it before this one began
            write_block(self.blocks[stem], self._sampler)
        return True


_filler: _Filler


def _begin(packed: Path, folder: Path, device: torch.device) -> None:
    global _filler
    torch.set_num_threads(1)
    _filler = _Filler(packed, folder, device)


def _fill(stem: Path, until: float) -> bool:
    return _filler(stem, until)


def split_file(path: Path, folder: Path, limit: int = PIECE_BYTES) -> list[Path]:
    """Cut a checkpoint into ``checkpoint-1-of-N.part`` and so on, in place of those that are there."""
    for old in folder.glob("checkpoint-*.part"):
        old.unlink()
    data = path.read_bytes()
    count = max(1, -(-len(data) // limit))
    pieces = [folder / f"checkpoint-{number + 1}-of-{count}.part" for number in range(count)]
    for number, piece in enumerate(pieces):
        piece.write_bytes(data[number * limit : (number + 1) * limit])
    return pieces


def join_file(folder: Path, path: Path) -> bool:
    """Put the pieces of `split_file` together; False where the folder has none.

    Raises
    ------
    UsageError
        Some of the pieces are missing, or there are those of several checkpoints.
    """
    found = {(int(m[2]), int(m[1])): p for p in folder.glob("*.part") if (m := _PIECE.fullmatch(p.name))}
    if not found:
        return False
    count = max(total for total, _ in found)
    if sorted(found) != [(count, number) for number in range(1, count + 1)]:
        raise UsageError(f"{folder}: not all pieces of one checkpoint", "copy all of them, and no others")
    partial = path.with_suffix(".joining")
    partial.write_bytes(b"".join(found[key].read_bytes() for key in sorted(found)))
    partial.replace(path)
    return True


def deliver(trainer: Trainer, out: Path, name: str) -> None:
    """Write what is to be carried away: weights, pieces of the checkpoint, log."""
    model = VariationalTokenizer(trainer.config.model)
    model.load_state_dict({key: value.cpu() for key, value in trainer.averaged.items()})
    if (out / "weights").is_dir():  # of an earlier call: only the last ones are wanted
        shutil.rmtree(out / "weights")
    save_model(model, out / "weights", name)
    split_file(trainer.checkpoint, out)
    shutil.copyfile(trainer.out / "log.jsonl", out / "log.jsonl")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0 also when there was no time to finish."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(
        prog="python -m meshcodec.train.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument("packed", type=Path, help="file of meshcodec.train.pack")
    parser.add_argument("--recipe", type=Path, required=True, help="recipe, such as gpu.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, required=True, help="what the whole call may take")
    parser.add_argument("--weights", type=Path, help="folder of weights to start from, without a checkpoint")
    parser.add_argument(
        "--resume", type=Path, help="folder of the pieces of a checkpoint; by default that of --out"
    )
    parser.add_argument(
        "--scratch", type=Path, help="folder for samples and checkpoint; by default OUT/scratch"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda; default %(default)s")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that prepare samples; default %(default)s"
    )
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile the decoder; needs a C compiler"
    )
    parser.add_argument("--name", default="vat", help="of the model; default %(default)s")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    until = began + 60 * chosen.minutes - min(WIND_UP_SECONDS, 6 * chosen.minutes)
    try:
        return _train(chosen, until)
    except (MeshcodecError, OSError) as error:
        log.error("error: %s", error)
        return error.exit_code if isinstance(error, MeshcodecError) else 2


def _train(chosen: argparse.Namespace, until: float) -> int:
    config = TrainConfig.from_dict(json.loads(chosen.recipe.read_text(encoding="utf-8")))
    device, reason = choose_device(chosen.device)
    log.info("on %s (%s)", device, reason)
    torch.backends.cudnn.benchmark = True  # the shapes are always the same
    scratch: Path = chosen.scratch or chosen.out / "scratch"
    run = scratch / "run"
    for folder in (chosen.out, run):
        folder.mkdir(parents=True, exist_ok=True)
    start_from = start_weights(chosen.weights, config.model, chosen.recipe) if chosen.weights else None
    late = time.time() + until - time.monotonic()
    if not fill_cache(chosen.packed, scratch / "cache", device, chosen.workers, late):
        log.info("no time left for training; the same command goes on from here")
        return 0
    batches = DeviceBatches(scratch / "cache", config, device)
    log.info("%d training meshes prepared", len(batches))
    if not (run / "checkpoint.pt").exists() and join_file(chosen.resume or chosen.out, run / "checkpoint.pt"):
        log.info("going on from the pieces of a checkpoint")
    trainer = Trainer(config, batches, run, device, start_from, chosen.compile)
    trainer.run(until)
    deliver(trainer, chosen.out, chosen.name)
    log.info("%s at step %d", "finished" if trainer.finished else "stopped", trainer.step)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
