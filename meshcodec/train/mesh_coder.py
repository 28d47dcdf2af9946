"""Fitting the networks that code meshes: `meshcodec.format.mesh_coder`.

Meshes of the corpus are decimated to what files hold, walked through as an encoder does, and what the
networks are given is written down with what came. Then each network is fitted by itself.

A run's folder holds all of it, so that a run goes on where it was stopped:

=========================  ==================================================================
``walks/NUMBER.npz``       what was written down of some meshes
``NETWORK.pt``             a fitted network
``report.json``            bits a symbol on the validation meshes
=========================  ==================================================================
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from meshcodec.format.box import NO_AXES
from meshcodec.format.grid_mesh import FLAT, GridMesh, Integers
from meshcodec.format.mesh_coder import (
    FLAGS,
    NETWORKS,
    RANKS,
    SIZES,
    Listener,
    MeshCoder,
    head_of,
    measures,
    standard_curves,
)
from meshcodec.format.mesh_conquest import Conquest
from meshcodec.format.mesh_network import (
    BINS,
    BUMPED,
    CANDIDATES,
    COMPONENTS,
    EDGES,
    FEATURE_BITS,
    FINEST,
    FLOOR,
    HIDDEN_BITS,
    HIDDEN_MAX,
    LARGEST_BUMP,
    MIDDLE,
    NARROWEST,
    SPANS,
    TOTAL,
    WEIGHT_BITS,
    WIDEST,
    WIDTHS,
    CoordinateTables,
    Network,
    Whole,
)
from meshcodec.format.mesh_script import Script
from meshcodec.format.mesh_seeds import EXPERTS, axis_order
from meshcodec.format.mesh_teller import RANK_CLASSES
from meshcodec.geometry.simplify import DECIMATORS, decimator
from meshcodec.geometry.triangles import merge_identical
from meshcodec.modes.mesh.fit import ControlMesh, FitSettings, Target, fit
from meshcodec.runtime.files import write_atomic
from meshcodec.runtime.threads import one_thread, one_thread_here
from meshcodec.runtime.workers import in_forks
from meshcodec.train.corpus import CorpusItem, is_validation

HIDDEN = {"gate": (160, 64), "first": (256, 96), "second": (256, 96), "third": (256, 96), "seed": (96, 48)}
"""Hidden units of each network."""
_BATCH = 1024
_DROPOUT = 0.05  # share of hidden units that a step does without
_MOST_ROUNDING = 0.02  # bits a symbol that whole numbers may take more
_LEAST_SPREAD = 0.25  # features that vary less are not stretched more
_CHUNK = 40  # meshes of a file
_MOST_ROWS = 3_000_000  # rows that a network is fitted to at most
_HALF_SHARE = 0.25
_CREASES = (FLAT, FLAT, 3, 5)  # codes of the surfaces that are fitted
_DECIMATOR_SHARES = (0.45, 0.38, 0.17)
_LARGEST_WEIGHT = (1 << 15) - 1
_GUESSES = np.array([[400, 200, 100, 100, 3200], [1000, 1000, 300, 1500, 200], [1000, 1000, 300, 1500, 200]])
"""Weights of the guesses for the first corner of a part (by hand)."""
log = logging.getLogger(__name__)
Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class MeshCoderConfig:
    """How networks are fitted.

    Attributes
    ----------
    meshes : decimated meshes, each of another item of the corpus while there are any
    steps : gradient steps of each network
    faces : least and largest number of faces of a mesh
    fitted : share of the meshes whose vertices are fitted to the mesh before decimation, as an encoder does
    """

    meshes: int = 5500
    steps: int = 12_000
    faces: tuple[int, int] = (20, 2500)
    fitted: float = 0.5


def train_mesh_coder(
    items: Sequence[CorpusItem], folder: Path, config: MeshCoderConfig, jobs: int
) -> MeshCoder:
    """Fit all networks; goes on where a run was stopped.

    Parameters
    ----------
    items : corpus
    folder : folder of the run, see above
    jobs : processes that decimate and walk
    """
    with one_thread_here():
        (folder / "walks").mkdir(parents=True, exist_ok=True)
        chunks = -(-config.meshes // _CHUNK)
        paths = [folder / "walks" / f"{number:05d}.npz" for number in range(chunks)]

        def write(number: int) -> None:
            data = io.BytesIO()
            rows: dict[str, Any] = _walks(items, range(number * _CHUNK, (number + 1) * _CHUNK), config)
            np.savez(data, **rows)
            write_atomic(paths[number], data.getvalue(), overwrite=True)

        missing = [number for number in range(chunks) if not paths[number].exists()]
        for done, _ in enumerate(in_forks(write, missing, jobs, one_thread), 1):
            log.info("%d of %d meshes walked", done * _CHUNK, len(missing) * _CHUNK)
        for _ in in_forks(lambda name: _fit(name, paths, folder, config), NETWORKS, min(jobs, 4), one_thread):
            pass
        return export(folder, paths)


# ---- meshes


def training_mesh(item: CorpusItem, number: int, config: MeshCoderConfig) -> tuple[GridMesh, Integers] | None:
    """A decimated mesh on a grid and the grid's sides, half of them fitted to the original; which one hangs
    on the number alone."""
    rng = np.random.default_rng([number, 11])
    vertices, faces = item.load()
    points = vertices.astype(np.float64) @ _turn(rng)
    triangles = faces.astype(np.int64)
    mirrored = list(NO_AXES)
    if rng.random() < _HALF_SHARE:
        axis = int(rng.integers(3))
        points, triangles = _half(points, triangles, axis)
        mirrored[axis] = True
    points, triangles = merge_identical(points, triangles)
    original = points, triangles
    wanted = int(np.exp(rng.uniform(*np.log(config.faces))))
    if len(triangles) > wanted:
        name = str(rng.choice(DECIMATORS, p=_DECIMATOR_SHARES))
        points, triangles = decimator(name)(points, triangles, wanted)
    if len(triangles) and rng.random() < config.fitted:
        settings = FitSettings().quick
        control = ControlMesh(
            points, triangles, int(rng.choice(_CREASES)), (mirrored[0], mirrored[1], mirrored[2])
        )
        points = fit(control, Target(*original, settings.samples, number), settings).mesh.vertices
    bits = int(np.clip(np.rint(rng.normal(7.1 + 0.3 * np.log2(max(len(triangles), 1) / 250), 0.9)), 5, 11))
    return on_grid(points, triangles, bits, config.faces[1])


def on_grid(
    points: NDArray[np.float64], faces: NDArray[np.int64], bits: int, most: int
) -> tuple[GridMesh, Integers] | None:
    """A mesh rounded to the grid of its box, and the grid's sides; None where too little or too much is
    left."""
    if len(faces) == 0:
        return None
    low, high = points[faces].min((0, 1)), points[faces].max((0, 1))
    longest = float((high - low).max())
    if longest <= 0:
        return None
    step = longest / ((1 << bits) - 1)
    sides = np.maximum(np.ceil((high - low) / step - 1e-6), 1).astype(np.int64)
    whole = np.clip(np.rint((points - low) / step), 0, sides).astype(np.int64)
    mesh = cleaned(whole, faces, bits)
    return (mesh, sides) if 4 <= len(mesh.faces) <= most else None


def cleaned(positions: Integers, faces: Integers, bits: int) -> GridMesh:
    """A mesh of the grid without vertices in one place, degenerate faces and faces that are there twice."""
    places, numbers = np.unique(positions, axis=0, return_inverse=True)
    corners = numbers.reshape(-1)[faces]
    different = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    corners = corners[different]
    if len(corners):
        turned = np.stack([np.roll(row, -int(row.argmin())) for row in corners])
        _, first = np.unique(turned, axis=0, return_index=True)
        corners = corners[np.sort(first)]
    used, numbers = np.unique(corners, return_inverse=True)
    return GridMesh(places[used], numbers.reshape(-1, 3).astype(np.int64), bits)


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Any rotation, or one that swaps and mirrors axes."""
    if rng.random() < 0.15:
        axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        return np.asarray(axes, dtype=np.float64)
    swapped: NDArray[np.float64] = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    return swapped


def _half(
    points: NDArray[np.float64], faces: NDArray[np.int64], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What lies above the middle plane of an axis, moved so that the plane is at 0, open there, with the
    corners of cut faces drawn up to it."""
    middle = (points[:, axis].min() + points[:, axis].max()) / 2
    above = faces[(points[faces, axis] > middle).any(axis=1)]
    raised = points.copy()
    raised[:, axis] = np.maximum(raised[:, axis] - middle, 0.0)
    return raised, above


# ---- what is written down


def _walks(items: Sequence[CorpusItem], numbers: range, config: MeshCoderConfig) -> Rows:
    """What the networks are given on the walks through some meshes."""
    order = np.random.default_rng(0).permutation(len(items))
    parts: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for number in numbers:
        item = items[order[number % len(items)]]
        made = training_mesh(item, number, config)
        if made is None:
            continue
        for name, rows in recorded(*made).items():
            parts[name].append(rows)
            if name.endswith(".value"):
                held = np.full(len(rows), is_validation(item, ()), dtype=np.bool_)
                parts[name.replace(".value", ".held")].append(held)
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def recorded(mesh: GridMesh, sides: Integers) -> Rows:
    """What networks are given on the walk through a mesh, and what came.

    Keys are NETWORK.features int16 and NETWORK.value (the alternative); ``gate.allowed``; for coordinates
    also ``room``, ``bins`` and ``valid`` as in `CoordinateTables`; ``rank`` and ``flag`` with (kind, value).
    """
    found: dict[str, list[Any]] = defaultdict(list)

    def gates(features: Whole, allowed: list[tuple[bool, ...]], told: list[tuple[int, bool, int]]) -> None:
        found["gate.features"].append(features[[number for number, _, _ in told]].astype(np.int16))
        found["gate.allowed"].append(np.array([(*allowed[number], fresh) for number, fresh, _ in told]))
        found["gate.value"].append(np.array([symbol for _, _, symbol in told]))

    def coordinate(k: int, features: Whole, tables: CoordinateTables, values: list[int]) -> None:
        name = NETWORKS[k]
        found[f"{name}.features"].append(features.astype(np.int16))
        found[f"{name}.room"].append(tables.room.astype(np.int16))
        found[f"{name}.bins"].append(tables.bins.astype(np.int16))
        found[f"{name}.valid"].append(tables.valid)
        symbols = [tables.symbol(row, value)[0] for row, value in enumerate(values)]
        found[f"{name}.value"].append(np.array(symbols))

    def rank(kind: int, value: int) -> None:
        found["rank"].append(np.array([(kind, (value + 1).bit_length() - 1)]))

    def flag(kind: int, value: bool) -> None:
        found["flag"].append(np.array([(kind, int(value))]))

    listeners: dict[str, Callable[..., None]] = {
        "gates": gates,
        "coordinate": coordinate,
        "rank": rank,
        "flag": flag,
    }

    def watch(what: str, *args: Any) -> None:
        listeners[what](*args)

    head = head_of(mesh, sides)
    script = Script(mesh, axis_order(sides.astype(np.float64)))
    Conquest(None, Listener(), len(mesh.faces), sides, head, script, watch).run()
    return {name: np.concatenate(rows) for name, rows in found.items()}


# ---- networks


class FloatNetwork(nn.Module):
    """A `Network` in floating point.

    Parameters
    ----------
    features : (N, F) int16 rows, from which the spread of each feature is taken
    hidden : units of each hidden layer
    outputs : number of outputs
    """

    def __init__(self, features: Tensor, hidden: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        some = features[:: max(1, len(features) // 20_000)].double() / (1 << FEATURE_BITS)
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", some.mean(0).float())
        self.register_buffer("spread", some.std(0).clamp(min=_LEAST_SPREAD).float())
        sizes = [features.shape[1], *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(m, n) for m, n in itertools.pairwise(sizes))
        last = self.linear()[-1]
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)

    def linear(self) -> list[nn.Linear]:
        """The layers."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) features as integers -> (N, O) logits."""
        values = (features.float() / (1 << FEATURE_BITS) - self.mean) / self.spread
        *hidden, last = self.linear()
        for layer in hidden:
            values = layer(values).clamp(0, HIDDEN_MAX / (1 << HIDDEN_BITS))
            values = F.dropout(values, _DROPOUT, self.training)
        result: Tensor = last(values)
        return result

    def spread_components(self) -> None:
        """Begin with components of different widths."""
        widths = torch.linspace(-5.0, 0.0, COMPONENTS)
        self.linear()[-1].bias.data[COMPONENTS * (1 + SPANS) : COMPONENTS * (2 + SPANS)] = widths

    def rounded(self) -> Network:
        """As integers, the spread of features taken into the first layer."""
        weights, biases = [], []
        for number, layer in enumerate(self.linear()):
            weight, bias = layer.weight.detach().double().T, layer.bias.detach().double()
            if number == 0:
                weight = weight / self.spread.double()[:, None]
                bias = bias - self.mean.double() @ weight
            one = 1 << (WEIGHT_BITS + (HIDDEN_BITS if number else FEATURE_BITS))
            integers = np.rint(weight.numpy() * (1 << WEIGHT_BITS))
            weights.append(np.clip(integers, -_LARGEST_WEIGHT, _LARGEST_WEIGHT))
            biases.append(np.rint(bias.numpy() * one))
        return Network(tuple(weights), tuple(biases))


def _rows_of(name: str, paths: list[Path]) -> dict[str, Tensor]:
    """What a network is given, of all walks."""
    parts: dict[str, list[NDArray[Any]]] = defaultdict(list)
    count = 0
    for path in paths:
        with np.load(path) as walks:
            if f"{name}.value" not in walks:
                continue
            for key in walks:
                if key.startswith(f"{name}."):
                    parts[key.removeprefix(f"{name}.")].append(walks[key])
            count += len(walks[f"{name}.value"])
        if count > _MOST_ROWS:
            break
    return {key: torch.from_numpy(np.concatenate(rows)) for key, rows in parts.items()}


def gate_nats(logits: Tensor, rows: dict[str, Tensor]) -> Tensor:
    """Of each gate's symbol."""
    masked = logits.masked_fill(~rows["allowed"], -math.inf)
    return F.cross_entropy(masked, rows["value"].long(), reduction="none")


def coordinate_nats(outputs: Tensor, rows: dict[str, Tensor], k: int) -> Tensor:
    """Of coordinate k: `mixture_counts` in floating point, and the place in its bin."""
    told = measures(k, rows["features"].numpy().astype(np.float64))
    lengths, spans, offsets = (torch.from_numpy(np.ascontiguousarray(values)).float() for values in told)
    parts = outputs[:, : COMPONENTS * (2 + SPANS)].reshape(len(outputs), 2 + SPANS, COMPONENTS)
    length = torch.exp2(lengths / 16)[:, None]
    means = (parts[:, 1:4] * (spans.T[:, :, None] / (1 << FEATURE_BITS))).sum(1) * length + offsets[:, None]
    widths = (torch.exp2(parts[:, 4].clamp(FINEST, WIDEST)) * length).clamp(min=NARROWEST)
    edges = torch.from_numpy(EDGES).float()
    below = torch.sigmoid((edges - means[:, :, None]) / widths[:, :, None])
    masses = (below[:, :, 1:] - below[:, :, :-1]) * parts[:, 0].softmax(1)[:, :, None]
    sizes = torch.from_numpy(WIDTHS).float()
    density = (masses.sum(1) + sizes * FLOOR).log() - sizes.log()
    bumps = outputs[:, -BUMPED - CANDIDATES :].clamp(-LARGEST_BUMP, LARGEST_BUMP)
    around = F.pad(bumps[:, :BUMPED], (MIDDLE - 1, BINS - MIDDLE - 2))
    density = density + around
    candidates = density.gather(1, rows["bins"].long()) + bumps[:, BUMPED:]
    candidates = candidates.masked_fill(~rows["valid"], -math.inf)
    whole = torch.cat([density + rows["room"].float().log(), candidates], dim=1)
    single = torch.cat([density, candidates], dim=1)
    return whole.logsumexp(1) - single.gather(1, rows["value"].long()[:, None])[:, 0]


def _fit(name: str, paths: list[Path], folder: Path, config: MeshCoderConfig) -> None:
    """Fit one network by the likelihood of what came, AdamW with a rate that rises and falls."""
    state = folder / f"{name}.pt"
    if state.exists():
        return
    torch.manual_seed(0)
    rows = _rows_of(name, paths)
    held = rows.pop("held")
    known = {key: values[~held] for key, values in rows.items()}
    nats = _nats_of(name)
    network = FloatNetwork(known["features"], HIDDEN[name], SIZES[name][1])
    if name != "gate":
        network.spread_components()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, config.steps, pct_start=0.1)
    for step in range(config.steps):
        chosen = torch.randint(len(known["value"]), (_BATCH,))
        batch = {key: values[chosen] for key, values in known.items()}
        loss = nats(network(batch["features"]), batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 1000 == 0 or step + 1 == config.steps:
            bits = _bits(network, {key: values[held] for key, values in rows.items()}, nats)
            log.info(
                "%s, step %d: %.3f bits (%.3f)", name, step + 1, bits, float(loss.detach()) / math.log(2)
            )
    torch.save({"state": network.state_dict(), "bits": bits, "features": known["features"].shape[1]}, state)


@torch.no_grad()
def _bits(network: nn.Module, rows: dict[str, Tensor], nats: Any) -> float:
    network.eval()
    total = 0.0
    for chosen in torch.arange(len(rows["value"])).split(8192):
        batch = {key: values[chosen] for key, values in rows.items()}
        total += float(nats(network(batch["features"]), batch).sum())
    network.train()
    return total / math.log(2) / max(len(rows["value"]), 1)


def export(folder: Path, paths: list[Path]) -> MeshCoder:
    """The coder of a run whose networks are all fitted."""
    networks: dict[str, Network] = {}
    report: dict[str, dict[str, float]] = {}
    for name in NETWORKS:
        kept = torch.load(folder / f"{name}.pt")
        inputs, outputs = SIZES[name]
        network = FloatNetwork(torch.zeros(2, inputs, dtype=torch.int16), HIDDEN[name], outputs)
        network.load_state_dict(kept["state"])
        networks[name] = network.rounded()
        rows = _rows_of(name, paths[:1])
        report[name] = {"bits": kept["bits"], "rounding": rounding_bits(name, network, networks[name], rows)}
        if abs(report[name]["rounding"]) > _MOST_ROUNDING:
            raise ArithmeticError(f"{name}: whole numbers take {report[name]['rounding']:.3f} bits more")
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    ranks, flags = _counted("rank", paths, RANKS, RANK_CLASSES), _counted("flag", paths, FLAGS, 2)
    guesses = _GUESSES.astype(np.float64)
    assert guesses.shape == (3, EXPERTS)
    return MeshCoder(networks, standard_curves(), ranks, flags, guesses)


@torch.no_grad()
def rounding_bits(name: str, network: FloatNetwork, whole: Network, rows: dict[str, Tensor]) -> float:
    """Bits a row that the network takes more once it is made of whole numbers."""
    nats = _nats_of(name)
    rounded = torch.from_numpy(whole.logits(rows["features"].numpy().astype(np.float64))).float()
    network.eval()
    both = [nats(logits, rows) for logits in (rounded / (1 << HIDDEN_BITS), network(rows["features"]))]
    return float((both[0] - both[1]).mean()) / math.log(2)


def _nats_of(name: str) -> Callable[[Tensor, dict[str, Tensor]], Tensor]:
    return gate_nats if name == "gate" else functools.partial(coordinate_nats, k=NETWORKS.index(name))


def _counted(name: str, paths: list[Path], kinds: int, values: int) -> Whole:
    """(kinds, values) frequencies of what came, each at least 1."""
    counts = np.full((kinds, values), 0.5)
    for path in paths:
        with np.load(path) as walks:
            if name in walks:
                np.add.at(counts, tuple(walks[name].T), 1)
    spare = TOTAL - values
    whole: Whole = np.floor(counts / counts.sum(axis=1, keepdims=True) * spare) + 1
    whole[np.arange(kinds), counts.argmax(axis=1)] += TOTAL - whole.sum(axis=1)
    return whole
