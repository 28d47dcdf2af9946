"""The verb ``train`` and its steps."""

from __future__ import annotations

from pathlib import Path

import click

from meshcodec.cli.options import PATH, device_option, jobs_option
from meshcodec.cli.streams import log_line
from meshcodec.errors import UsageError, quote_name
from meshcodec.runtime.threads import available_cores


@click.group()
def train() -> None:
    """Train weights: prepare, run, export, coder, prior, mesh-coder."""


_cache = click.option("--cache", type=PATH, required=True, metavar="CACHE", help="Cache of 'train prepare'.")


@train.command()
@click.argument("corpus", metavar="CORPUS", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="CACHE")
@click.option("--recipe", type=PATH, required=True, metavar="R.json")
@jobs_option
def prepare(corpus: Path, output: Path, recipe: Path, jobs: int | None) -> None:
    """Sample the meshes of a folder, and generated ones, into a cache; goes on where it was stopped."""
    from meshcodec.train.recipe import TrainConfig, read_recipe

    config = read_recipe(recipe, TrainConfig)
    from meshcodec.train.cache import prepare_cache
    from meshcodec.train.corpus import procedural_items, read_corpus

    _log_to_stderr()
    items = read_corpus(corpus) + procedural_items(config.procedural_meshes)
    left_out = prepare_cache(items, output, config.validation_sources, jobs or available_cores())
    log_line(f"{quote_name(corpus)} -> {quote_name(output)}: {len(items)} meshes, {left_out} newly left out")


@train.command()
@click.argument("recipe", metavar="RECIPE.json", type=PATH)
@_cache
@click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Checkpoint and log.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch; by default its own choice.")
@click.option("--from-weights", type=PATH, metavar="FOLDER", help="Start from this folder's default model.")
@device_option
@click.pass_context
def run(
    ctx: click.Context,
    recipe: Path,
    cache: Path,
    output: Path,
    threads: int | None,
    from_weights: Path | None,
    device: str,
) -> None:
    """Train by a recipe, or go on with a run that was stopped."""
    from meshcodec.train.recipe import TrainConfig, read_recipe

    config = read_recipe(recipe, TrainConfig)
    import torch

    from meshcodec.runtime.device import choose_device
    from meshcodec.train.autoencoder import Trainer
    from meshcodec.train.distributed import choose_own_gpu
    from meshcodec.train.grow import start_rates, start_weights

    if threads is not None:
        torch.set_num_threads(threads)
    chosen, reason = choose_device(device)
    choose_own_gpu(chosen)
    start_from = start_weights(from_weights, config.model, recipe) if from_weights is not None else None
    rates = start_rates(from_weights, recipe, chosen) if config.rate_weight else None
    trainer = Trainer(config, cache, output, chosen, start_from, rates=rates)
    _log_to_stderr()
    log_line(f"training on {chosen} ({reason})")
    trainer.run()
    if not trainer.finished:
        log_line(f"stopped at step {trainer.step} of {config.steps}; the same command goes on from here")
        ctx.exit(130)


@train.command()
@click.argument("run_folder", metavar="RUN", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="WEIGHTS_FOLDER")
@click.option("--name", required=True, help="Name of the model: letters, digits, dots, dashes.")
def export(run_folder: Path, output: Path, name: str) -> None:
    """Write the averaged weights of a run as safetensors and enter them in the folder's registry."""
    from meshcodec.train.export import export_run

    exported = export_run(run_folder, output, name)
    written = f"model {exported.model_id}, step {exported.step}"
    log_line(f"{quote_name(run_folder)} -> {quote_name(output)}: {written}")
    click.echo(exported.model_id)


@train.command()
@click.argument("folder", metavar="WEIGHTS_FOLDER", type=PATH)
@_cache
@click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Tokens and networks so far.")
@click.option(
    "--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Rounds of refined tokens."
)
@click.option(
    "--meshes", type=click.IntRange(min=13), default=200, show_default=True, help="Meshes of each round."
)
@jobs_option
def coder(folder: Path, cache: Path, output: Path, rounds: int, meshes: int, jobs: int | None) -> None:
    """Fit what entropy-codes the tokens of the folder's default model, and enter it in the registry.

    Goes on where it was stopped. A model gets it once: files hang on it.
    """
    from meshcodec.registry import Registry

    entry = Registry(folder).default()
    if entry.coder_path is not None:
        raise UsageError(f"{entry.coder_path} is there already", "files hang on it; train another model")
    from meshcodec.train.token_coder import CoderConfig, train_coder
    from meshcodec.weights import load_model, save_coder

    _log_to_stderr()
    config = CoderConfig(rounds=rounds, meshes=meshes)
    fitted = train_coder(load_model(entry), cache, output, config, jobs or available_cores())
    path = save_coder(fitted, folder, entry.model_id.hex())
    log_line(f"{quote_name(output)} -> {quote_name(path)}")


@train.command()
@click.argument("folder", metavar="WEIGHTS_FOLDER", type=PATH)
@click.option("--corpus", type=PATH, required=True, metavar="CORPUS", help="Folder of meshes.")
@click.option("--recipe", type=PATH, required=True, metavar="R.json")
@click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Tokens, checkpoint and log.")
@jobs_option
def prior(folder: Path, corpus: Path, recipe: Path, output: Path, jobs: int | None) -> None:
    """Train what 'generate' draws shapes from, for the folder's default model, and enter it in the registry.

    Goes on where it was stopped.
    """
    from meshcodec.registry import Registry
    from meshcodec.train.recipe import PriorRecipe, read_recipe

    config = read_recipe(recipe, PriorRecipe)
    entry = Registry(folder).default()
    from meshcodec.prior.weights import save_prior
    from meshcodec.train.corpus import read_corpus
    from meshcodec.train.prior import train_prior
    from meshcodec.weights import load_coder, load_model

    _log_to_stderr()
    items = read_corpus(corpus)
    trained = train_prior(
        items, load_model(entry), load_coder(entry), output, config, jobs or available_cores()
    )
    path = save_prior(trained, folder, entry.model_id.hex())
    log_line(f"{quote_name(output)} -> {quote_name(path)}")


@train.command(name="mesh-coder")
@click.argument("folder", metavar="WEIGHTS_FOLDER", type=PATH)
@click.option("--corpus", type=PATH, required=True, metavar="CORPUS", help="Folder of meshes.")
@click.option("-o", "--output", type=PATH, required=True, metavar="RUN", help="Walks and networks so far.")
@click.option(
    "--meshes", type=click.IntRange(min=1), default=5500, show_default=True, help="Meshes to learn from."
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=12_000, show_default=True, help="Steps of each network."
)
@jobs_option
def mesh_coder(folder: Path, corpus: Path, output: Path, meshes: int, steps: int, jobs: int | None) -> None:
    """Fit the networks that code meshes, and enter them in the folder's registry.

    Goes on where it was stopped.
    """
    from meshcodec.registry import Registry

    Registry(folder)
    from meshcodec.train.corpus import read_corpus
    from meshcodec.train.mesh_coder import MeshCoderConfig, train_mesh_coder
    from meshcodec.weights import save_mesh_coder

    _log_to_stderr()
    config = MeshCoderConfig(meshes=meshes, steps=steps)
    fitted = train_mesh_coder(read_corpus(corpus), output, config, jobs or available_cores())
    path = save_mesh_coder(fitted, folder)
    log_line(f"{quote_name(output)} -> {quote_name(path)}")


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
