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
import functools
import logging
import math
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from meshcodec.errors import MeshcodecError, UsageError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.runtime.device import choose_device
from meshcodec.runtime.threads import one_thread
from meshcodec.runtime.workers import in_spawned
from meshcodec.train.autoencoder import Trainer
from meshcodec.train.batches import DeviceBatches
from meshcodec.train.cache import plan_blocks, write_block
from meshcodec.train.grow import start_weights
from meshcodec.train.pack import unpack
from meshcodec.train.recipe import TrainConfig, read_recipe
from meshcodec.train.torch_targets import Geometry
from meshcodec.weights import save_model

PIECE_BYTES = 15 * 2**20
"""Largest piece of a checkpoint."""
WIND_UP_SECONDS = 25.0
"""Seconds kept at the end of a call for validation and for writing the results."""
_PIECE = re.compile(r"checkpoint-(\d+)-of-(\d+)\.part")
"""Name of a piece of a checkpoint: its number, and how many there are."""
log = logging.getLogger(__name__)


def fill_cache(
    packed: Path, folder: Path, device: torch.device, workers: int = 1, until: float = math.inf
) -> bool:
    """Sample a packed corpus into a cache folder, on the device; goes on where it was stopped.

    Parameters
    ----------
    packed : file of `meshcodec.train.pack`
    workers : processes; numpy's part of the work holds the interpreter
    until : no block is begun after it, on the clock of `time.time`

    Returns
    -------
    Whether the cache is whole
    """
    filler = CacheFiller(packed, folder, device, until)
    if workers == 1:
        return all(map(filler, filler.blocks))
    make = functools.partial(CacheFiller, packed, folder, device, until)
    return all(in_spawned(make, list(filler.blocks), workers, one_thread))


class CacheFiller:
    """Samples blocks of a packed corpus, each named by its stem.

    Attributes
    ----------
    blocks : by their stems, what the cache lacked when this was made, in the same order in every process
    """

    def __init__(self, packed: Path, folder: Path, device: torch.device, until: float) -> None:
        self._sampler, self._until = Geometry(device).make_sample, until
        corpus = unpack(packed)
        validation = {name for name, held in zip(corpus.ids, corpus.validation, strict=True) if held}
        blocks = plan_blocks(corpus.items(), folder, lambda item: item.id in validation)
        self.blocks = {block[0]: block for block in blocks}

    def __call__(self, stem: Path) -> bool:
        """Write a block, unless it is too late: then False."""
        if time.time() > self._until:
            return False
        if stem in self.blocks:  # another process may have written it before this one began
            write_block(self.blocks[stem], self._sampler)
        return True


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
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    until = began + 60 * chosen.minutes - min(WIND_UP_SECONDS, 6 * chosen.minutes)
    try:
        return _train(chosen, until)
    except (MeshcodecError, OSError) as error:
        log.error("error: %s", error)
        return error.exit_code if isinstance(error, MeshcodecError) else 2


def _parser() -> argparse.ArgumentParser:
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
    parser.add_argument("--name", default="vat", help="name of the model; default %(default)s")
    return parser


def _train(chosen: argparse.Namespace, until: float) -> int:
    config = read_recipe(chosen.recipe, TrainConfig)
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
