"""Fitting the entropy model: the networks that say how probable each value of a token is.

The tokens of a finished file are not the encoder's: refinement moves them, and where bits are expensive it
moves them to what the networks expect. So networks are fitted in rounds: first to the encoder's tokens of the
cache, then to tokens that refinement makes with the networks of the round before, at the bits of the preset
sizes.

A run's folder holds all that a round needs, so that a run goes on where it was stopped:

==========================  ==============================================================
``encoder.npy``             (M, T) uint8, the encoder's tokens of the training meshes
``validation.npy``          the same of the validation set
``round-R/NUMBER.npy``      (T,) uint8, the refined tokens of one mesh, T by its size
``round-R.pt``              the networks after round R; round 0 is the encoder's
``report.json``             bits a token by scale, of the validation set, of the last round's networks
==========================  ==============================================================
"""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from meshcodec.config import PLANES, SIZES, ModelConfig
from meshcodec.format.range_coder import TOTAL_BITS
from meshcodec.format.token_coder import LOGIT_BITS, TokenModel, cell_features, token_symbols
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.budget import payload_bytes
from meshcodec.modes.tokens.rates import RateNetwork, TokenRates
from meshcodec.modes.tokens.refine import QueryPool, RateControl, RefinementJob, refine_batch
from meshcodec.runtime.files import write_atomic
from meshcodec.runtime.threads import one_thread, one_thread_here
from meshcodec.runtime.workers import in_forks
from meshcodec.train.augment import Arrays, cube_symmetries, rotate, subsample
from meshcodec.train.cache import POINTS, QUERIES, Sample, SampleCache
from meshcodec.train.recipe import TrainConfig

HIDDEN = 48
"""Hidden units of each network."""
_BATCH = 4096
"""Cells of a gradient step."""
_REFINED_SIZES = (SIZES["512"], SIZES["512"], SIZES["1k"], SIZES["2k"])
"""Preset sizes whose files are made in turn; 4 KB hold all tokens as they are."""
_VALIDATION_EVERY = 13
"""Number of refined meshes of which one is for validation, and is not fitted to."""
_TOKENS_PER_BYTE = 1.9
"""Tokens that refinement begins with for each byte of the payload."""
_MOST_CELLS = 600_000
"""Cells of a scale that are fitted to at most: all cells of thousands of meshes do not fit in memory."""
_ALL_QUERIES = TrainConfig(points=POINTS // 2, queries=QUERIES, query_shares=(1.0, 1.0, 1.0))
"""Subsample of a cached mesh that the encoder and refinement get: half of the points, all queries."""
_FLOOR = 1e-4
"""Least share of a code value in a table, so that none costs infinitely many bits."""
_EXPONENTIALS = 400
"""Entries of the softmax's table: e**(-_EXPONENTIALS / 32) is below half a unit."""
_TOKEN_SYMMETRIES = cube_symmetries()
"""Symmetries of the cube, one of which each mesh is mapped by."""
log = logging.getLogger(__name__)
Tokens = NDArray[np.uint8]


@dataclass(frozen=True)
class CoderConfig:
    """How networks are fitted.

    Attributes
    ----------
    rounds : rounds of refined tokens, after the one of the encoder's
    meshes : meshes refined in each round
    steps : gradient steps of a refinement
    fit_steps : optimizer steps for each scale in the first round; later ones take half
    """

    rounds: int = 3
    meshes: int = 200
    steps: int = 50
    fit_steps: int = 600


def train_coder(
    model: VariationalTokenizer, cache: Path, folder: Path, config: CoderConfig, jobs: int
) -> TokenModel:
    """Fit the networks of a model; goes on where a run was stopped.

    Parameters
    ----------
    model : frozen
    cache : folder of `meshcodec.train.cache.prepare_cache`
    folder : folder of the run, see above
    jobs : processes that refine
    """
    with one_thread_here():  # products this small are not worth dividing, and threads do not survive a fork
        return _train(model, cache, folder, config, jobs)


def _train(
    model: VariationalTokenizer, cache: Path, folder: Path, config: CoderConfig, jobs: int
) -> TokenModel:
    folder.mkdir(parents=True, exist_ok=True)
    shape = model.config
    made = _kept(folder / "encoder.npy", lambda: encoder_tokens(model, SampleCache(cache, "train")))
    validation = _kept(
        folder / "validation.npy", lambda: encoder_tokens(model, SampleCache(cache, "validation"))
    )
    # Whole rows, and the same ones as short as files are: the networks are given how far a file goes.
    rng = np.random.default_rng(0)
    encoded = [row[:end] for row in made for end in (None, rng.choice(shape.scale_ends()))]
    networks = _networks(shape)
    pool = list[Tokens]()
    for number in range(config.rounds + 1):
        if number:
            refiner = Refiner(model, token_model(networks, shape), SampleCache(cache, "train"), config.steps)
            pool += _refined(refiner, folder / f"round-{number}", number, config, jobs)
        rows = [tokens for place, tokens in enumerate(pool) if place % _VALIDATION_EVERY]
        state = folder / f"round-{number}.pt"
        if state.exists():
            for network, values in zip(networks, torch.load(state), strict=True):
                network.load_state_dict(values)
        else:
            steps = config.fit_steps // (2 if number else 1)
            for scale, network in enumerate(networks):
                fit(network, scale, shape, rows, encoded, steps)
            torch.save([network.state_dict() for network in networks], state)
    report = {"encoder": validation_bits(networks, encoded, list(validation), shape)}
    if pool:
        report["refined"] = validation_bits(networks, rows, pool[::_VALIDATION_EVERY], shape)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return token_model(networks, shape)


def _networks(shape: ModelConfig) -> list[RateNetwork]:
    """New networks, which know nothing, at a random start."""
    torch.manual_seed(0)
    D, L = len(shape.token_levels), max(shape.token_levels)
    absent = [np.zeros((1, PLANES, side, side, D), dtype=np.int16) for side in shape.scale_sides]
    features = [cell_features(absent, scale, 1).shape[-1] for scale in range(len(absent))]
    networks = [RateNetwork(count, HIDDEN, D, L) for count in features]
    for network in networks:
        nn.init.normal_(network.weights, std=1 / (3 * math.sqrt(len(network.weights))))
        nn.init.normal_(network.out, std=0.02)
    return networks


def token_model(networks: list[RateNetwork], shape: ModelConfig) -> TokenModel:
    """The integer networks of float ones."""
    exponential = np.exp(-np.arange(_EXPONENTIALS) / (1 << LOGIT_BITS))
    table = np.rint(exponential * (1 << TOTAL_BITS)).astype(np.int64)
    return TokenModel(shape, tuple(network.rounded() for network in networks), table)


@torch.no_grad()
def encoder_tokens(model: VariationalTokenizer, samples: SampleCache) -> Tokens:
    """(M, max_tokens): the tokens of all samples, each mapped by some symmetry of the cube."""
    rng = np.random.default_rng(0)
    rows = []
    for start in range(0, len(samples), 16):
        batch = [_augmented(samples[k], rng)[:2] for k in range(start, min(start + 16, len(samples)))]
        points, normals = (torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))
        rows.append(model.tokenize(points, normals).numpy())
    return np.concatenate(rows)


def _augmented(sample: Sample, rng: np.random.Generator) -> Arrays:
    """Points, normals and all queries and distances of a sample, mapped by some symmetry of the cube."""
    arrays = subsample(sample, _ALL_QUERIES, rng)
    return rotate(arrays, _TOKEN_SYMMETRIES[rng.integers(len(_TOKEN_SYMMETRIES))], refit=False)


@dataclass(frozen=True)
class Refiner:
    """What makes the tokens of finished files.

    Attributes
    ----------
    model : frozen, on the CPU
    coder : networks that say what a token costs
    samples : training meshes
    steps : gradient steps of a refinement
    """

    model: VariationalTokenizer
    coder: TokenModel
    samples: SampleCache
    steps: int

    def tokens(self, number: int) -> Tokens:
        """(T,) tokens of file `number`; which mesh, symmetry and size it is of hangs on the number alone."""
        rng = np.random.default_rng([number, 7])
        points, normals, queries, distances = _augmented(self.samples[number % len(self.samples)], rng)
        payload = payload_bytes(_REFINED_SIZES[number % len(_REFINED_SIZES)], iso_offset=True)
        quantizer, ends = self.model.quantizer, self.model.config.scale_ends()
        initial_tokens = min((end for end in ends if end >= _TOKENS_PER_BYTE * payload), default=ends[-1])
        with torch.no_grad():
            mu, _ = self.model.encoder(*(torch.from_numpy(a[None]) for a in (points, normals)))
            latents = quantizer.project(mu)
        rate = RateControl(TokenRates(self.coder, torch.device("cpu")), 8 * payload)
        pool = QueryPool(queries, distances, np.ones_like(distances))
        job = RefinementJob(latents, pool, initial_tokens, [], self.steps, number, rate)
        (refined,) = refine_batch(self.model, [job])
        with torch.no_grad():
            codes = [quantizer.quantize(latent) for latent in refined.latents]
            tokens: Tokens = quantizer.to_tokens(codes)[0].numpy()
        return tokens


def _refined(refiner: Refiner, folder: Path, number: int, config: CoderConfig, jobs: int) -> list[Tokens]:
    """The refined tokens of a round's meshes, those of a run before included."""
    folder.mkdir(exist_ok=True)

    def path(file: int) -> Path:
        return folder / f"{file:06d}.npy"

    def write(file: int) -> None:
        data = io.BytesIO()
        np.save(data, refiner.tokens(file))
        write_atomic(path(file), data.getvalue(), overwrite=True)

    first = (number - 1) * config.meshes
    missing = [file for file in range(first, first + config.meshes) if not path(file).exists()]
    for done, _ in enumerate(in_forks(write, missing, jobs, one_thread), 1):
        if done % 50 == 0 or done == len(missing):
            log.info("round %d: %d of %d meshes refined", number, done, len(missing))
    return [np.load(path) for path in sorted(folder.glob("*.npy"))]


def _kept(path: Path, make: Callable[[], Tokens]) -> Tokens:
    if not path.exists():
        np.save(path, make())
    result: Tokens = np.load(path)
    return result


def fit(
    network: RateNetwork,
    scale: int,
    shape: ModelConfig,
    refined: list[Tokens],
    encoded: list[Tokens],
    steps: int,
) -> None:
    """Fit the network of a scale by cross-entropy, AdamW with a linearly falling rate.

    Of each batch half comes from refined tokens at the coarse scales, of which there are few, and most at the
    fine ones; without refined tokens all comes from the encoder's.
    """
    sources = [_cells(encoded, scale, shape)]
    shares = [1.0]
    if refined:
        sources.append(_cells(refined, scale, shape))
        shares = [0.5, 0.5] if scale < 4 else [0.15, 0.85]
    else:
        network.out_bias.data = _table(sources[0][1], max(shape.token_levels)).log()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    peak = 2e-3 if refined else 4e-3
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = peak * min(1.0, (step + 1) / 50) * (1 - step / steps)
        parts = [
            (features[rows], symbols[rows])
            for (features, symbols), share in zip(sources, shares, strict=True)
            for rows in (torch.randint(0, len(features), (int(_BATCH * share),)),)
        ]
        features = torch.cat([part[0] for part in parts]).float()
        symbols = torch.cat([part[1] for part in parts])
        loss = F.cross_entropy(network(features, symbols).flatten(0, 1), symbols.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    log.info("scale %d fitted: %.3f bits a symbol", scale, float(loss.detach()) / math.log(2))


def _cells(rows: list[Tokens], scale: int, shape: ModelConfig) -> tuple[Tensor, Tensor]:
    """(N, F) int16 features and (N, D) symbols of the cells of a scale, of all rows that hold it whole."""
    ends = shape.scale_ends()
    whole = [row for row in rows if len(row) >= ends[scale]]
    whole = whole[:: max(1, len(whole) * shape.scale_tokens[scale] // _MOST_CELLS)]
    parts = [
        _cells_of(np.stack(group), scale, shape)
        for length in ends[scale:]
        if (group := [row for row in whole if len(row) == length])
    ]
    features, symbols = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    return features, symbols


def _cells_of(tokens: Tokens, scale: int, shape: ModelConfig) -> tuple[Tensor, Tensor]:
    """`_cells` of (M, T) tokens of one length."""
    levels = np.array(shape.token_levels)
    symbols = token_symbols(tokens, shape)
    codes, start = [], 0
    for side, count in zip(shape.scale_sides[: scale + 1], shape.scale_tokens, strict=False):
        part = symbols[:, start : start + count]
        doubled = (2 * part - (levels - 1)).astype(np.int16)
        codes.append(doubled.reshape(len(tokens), PLANES, side, side, len(levels)))
        start += count
    started = shape.scales_started(tokens.shape[1])
    features = torch.from_numpy(cell_features(codes, scale, started)).flatten(0, 3)
    return features, torch.from_numpy(part).flatten(0, 1)


def _table(symbols: Tensor, levels: int) -> Tensor:
    """(N, D) symbols -> (D, L) their shares, none of them zero."""
    return F.one_hot(symbols, levels).float().mean(0).clamp(min=_FLOOR)


@torch.no_grad()
def validation_bits(
    networks: list[RateNetwork], fitted: list[Tokens], validation: list[Tokens], shape: ModelConfig
) -> list[dict[str, float]]:
    """Mean bits of a token at each scale: uniform, with one table for each symbol, and with the network.

    Parameters
    ----------
    networks : one for each of the first scales
    fitted : tokens that the tables are made of
    validation : tokens that are counted
    """
    report = []
    for scale, network in enumerate(networks):
        features, symbols = _cells(validation, scale, shape)
        _, known = _cells(fitted, scale, shape)
        table = _table(known, max(shape.token_levels)).log2()
        by_table = -table.T.gather(0, symbols).sum(1).mean()
        by_network = torch.zeros(())
        for part, wanted in zip(features.split(1 << 16), symbols.split(1 << 16), strict=True):
            nats = F.cross_entropy(
                network(part.float(), wanted).flatten(0, 1), wanted.flatten(), reduction="sum"
            )
            by_network += nats / math.log(2) / len(symbols)
        report.append(
            {
                "side": shape.scale_sides[scale],
                "uniform": math.log2(math.prod(shape.token_levels)),
                "table": float(by_table),
                "network": float(by_network),
            }
        )
    return report
