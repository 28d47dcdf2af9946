"""Entropy coding of meshes: a range coder driven by networks of integers.

The walk that names symbols is `meshcodec.format.mesh_conquest`; here are the networks that say how probable
each of them is, the messages, and the payload of a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meshcodec.errors import CorruptFileError
from meshcodec.format.grid_copies import Copy, image_of, parts_of
from meshcodec.format.grid_mesh import (
    LEAST_BITS,
    MOST_BITS,
    MOST_CREASE,
    MOST_FACES,
    GridMesh,
    Integers,
)
from meshcodec.format.mesh_conquest import Conquest
from meshcodec.format.mesh_context import GATE_FEATURES, GATE_LENGTH, Floats
from meshcodec.format.mesh_copies import Copies
from meshcodec.format.mesh_front import FRESH, SYMBOLS
from meshcodec.format.mesh_network import (
    FEATURE_BITS,
    HIDDEN_BITS,
    OUTPUTS,
    SPANS,
    STEEPEST,
    STEPS,
    TABLE,
    TOTAL,
    CoordinateTables,
    Curves,
    Network,
    Whole,
    frequencies,
    mixture_counts,
    starts_of,
)
from meshcodec.format.mesh_place import PLACE_FEATURES, PLACE_SPANS, THIRD_OFFSET
from meshcodec.format.mesh_script import Script
from meshcodec.format.mesh_seeds import EXPERTS, SEED_FEATURES, SEED_LENGTH, axis_order
from meshcodec.format.mesh_teller import DAMAGED, HEAD, PARTS, RANK_CLASSES, Channel, Head, Starts
from meshcodec.format.range_coder import RangeDecoder, RangeEncoder

NETWORKS = ("first", "second", "third", "seed", "gate")
"""Names of the networks in a file: of the three coordinates of new vertices, of those of a part's first
face, of what lies behind gates."""
SIZES = {
    "first": (PLACE_FEATURES[0], OUTPUTS),
    "second": (PLACE_FEATURES[1], OUTPUTS),
    "third": (PLACE_FEATURES[2], OUTPUTS),
    "seed": (SEED_FEATURES, OUTPUTS),
    "gate": (GATE_FEATURES, SYMBOLS),
}
"""Inputs and outputs of the networks."""
RANKS, FLAGS = 4, 7
"""Kinds of ranks and flags, see `meshcodec.format.mesh_teller.Tables`."""
_COPIED = 8  # what the low half of a payload's first byte has more where there are copies
_SCALES = 64
_FACES_PER_BIT = 64  # faces that a bit of a message holds at most
_FREE_BITS = 64  # bits that a message of fewer is taken to have besides


@dataclass(frozen=True)
class MeshCoder:
    """Messages of meshes, and meshes of messages.

    Attributes
    ----------
    networks : by the names of NETWORKS
    curves : tables of functions
    ranks : (RANKS, RANK_CLASSES) frequencies
    flags : (FLAGS, 2) frequencies of no and yes
    guesses : (3, EXPERTS) weights at first
    """

    networks: Mapping[str, Network]
    curves: Curves
    ranks: Whole
    flags: Whole
    guesses: Whole

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.integer]]) -> MeshCoder:
        """The coder whose arrays a file holds. KeyError, ValueError: they are not those of a coder."""
        numbers = {name: array.astype(np.float64) for name, array in arrays.items()}
        networks = {}
        for name in NETWORKS:
            depth = sum(key.startswith(f"{name}.weights.") for key in arrays)
            weights, biases = (
                tuple(numbers[f"{name}.{part}.{layer}"] for layer in range(depth))
                for part in ("weights", "biases")
            )
            networks[name] = Network(weights, biases)
        curves = Curves(*(numbers[name] for name in _CURVES))
        coder = cls(networks, curves, *(numbers[name] for name in _ARRAYS))
        shapes = coder.ranks.shape, coder.flags.shape, coder.guesses.shape
        if shapes != ((RANKS, RANK_CLASSES), (FLAGS, 2), (3, EXPERTS)):
            raise ValueError(f"arrays of the shapes {shapes}")
        for name, network in networks.items():
            sizes = [weights.shape for weights in network.weights]
            if (sizes[0][0], sizes[-1][1]) != SIZES[name]:
                raise ValueError(f"the network {name} has the shapes {sizes}")
        return coder

    def to_arrays(self) -> dict[str, NDArray[np.integer]]:
        """What a file holds: weights as int16, all else as int32."""
        arrays: dict[str, NDArray[np.integer]] = {}
        for name, network in self.networks.items():
            for layer, (weights, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
                arrays[f"{name}.weights.{layer}"] = np.ascontiguousarray(weights, dtype=np.int16)
                arrays[f"{name}.biases.{layer}"] = bias.astype(np.int32)
        tables = {name: getattr(self, name) for name in _ARRAYS}
        tables |= {name: getattr(self.curves, name) for name in _CURVES}
        return arrays | {name: np.ascontiguousarray(table, dtype=np.int32) for name, table in tables.items()}

    # ---- messages

    def encode(self, mesh: GridMesh, sides: Integers) -> bytes:
        """The message of a mesh.

        Parameters
        ----------
        mesh : a mesh of `GridMesh`'s kind; ValueError where it is none
        sides : (3,) largest coordinates, at most 4095

        Returns
        -------
        bytes, which `decode` makes the same faces of, in another order and begun at another corner.
        """
        channel = _Writer()
        self._tell(mesh, sides, channel)
        message = channel.coder.finish()
        if len(mesh.faces) > most_faces(message):
            raise ValueError(f"{len(mesh.faces)} faces in {len(message)} bytes are refused by decoders")
        return message

    def bits(self, mesh: GridMesh, sides: Integers) -> dict[str, float]:
        """What the parts of a mesh's message take, by the names of PARTS; the parameters are those of
        `encode`."""
        channel = _Meter()
        self._tell(mesh, sides, channel)
        return channel.bits

    def _tell(self, mesh: GridMesh, sides: Integers, channel: Channel) -> None:
        check_mesh(mesh, sides)
        head = head_of(mesh, sides)
        _tell_head(channel, head)
        script = Script(mesh, axis_order(sides.astype(np.float64)))
        positions, faces = Conquest(self, channel, len(mesh.faces), sides, head, script).run()
        if mesh.copies:
            told = [replace(copy, vertex=script.numbers[copy.vertex]) for copy in mesh.copies]
            Copies(channel, positions, faces, sides).tell(told)

    def decode(
        self, message: bytes, faces: int, sides: Integers, copied: bool = False
    ) -> tuple[Integers, Integers, tuple[Copy, ...]]:
        """Positions (V, 3), faces (F, 3) and copies of a message; `copied` says whether it has some.

        Raises
        ------
        CorruptFileError
            It is not what `encode` makes of so many faces.
        """
        if not 0 < faces <= most_faces(message):
            raise CorruptFileError(
                f"it announces {faces} faces, which {len(message)} bytes do not hold", "fetch the file again"
            )
        channel = _Reader(message)
        found = Conquest(self, channel, faces, sides, _tell_head(channel, None))
        positions, corners = found.run()
        copies = tuple(Copies(channel, positions, corners, sides).tell(None)) if copied else ()
        if (corners == np.roll(corners, 1, axis=1)).any() or not channel.coder.is_whole():
            raise DAMAGED
        return positions, corners, copies

    # ---- probabilities

    def gates(
        self, features: Whole, allowed: Sequence[tuple[bool, ...]]
    ) -> tuple[list[Starts], list[Starts]]:
        """Starts of the symbols of gates, without FRESH and with it."""
        count = len(features)
        shares = np.ones((2 * count, SYMBOLS))
        shares[:count, :FRESH] = shares[count:, :FRESH] = allowed
        shares[:count, FRESH] = 0
        logits = self.networks["gate"].logits(features)
        rows = starts_of(frequencies(np.concatenate([logits, logits]), self.curves.exponential, shares))
        return rows[:count], rows[count:]

    def coordinate(self, k: int, features: Whole, tables: CoordinateTables) -> list[Starts]:
        """Starts of the alternatives of a coordinate."""
        outputs = self.networks[NETWORKS[k]].logits(features)
        return starts_of(mixture_counts(tables, outputs, *measures(k, features), self.curves))

    def rank(self, kind: int) -> Starts:
        """Starts of the classes of a rank."""
        return starts_of(self.ranks[kind : kind + 1])[0]

    def flag(self, kind: int) -> Starts:
        """Starts of no and yes."""
        return starts_of(self.flags[kind : kind + 1])[0]

    def experts(self) -> Floats:
        """Weights of guesses."""
        return self.guesses


_ARRAYS = ("ranks", "flags", "guesses")
_CURVES = ("exponential", "logistic", "powers")


def measures(k: int, features: Whole) -> tuple[Whole, Whole, Whole]:
    """Lengths, spans and offsets of `mixture_counts`, which are among the features of coordinate k."""
    count = len(features)
    if k == 3:
        spans = np.zeros((SPANS, count))
        spans[0] = 1 << FEATURE_BITS
        return features[:, SEED_LENGTH], spans, np.zeros(count)
    offsets = features[:, THIRD_OFFSET] * (0.5 / (1 << FEATURE_BITS)) if k == 2 else np.zeros(count)
    return features[:, GATE_LENGTH], features.T.take(PLACE_SPANS[k], axis=0), offsets


def standard_curves() -> Curves:
    """The tables that are the same in all coders: computed once, and then read from a coder's file."""
    count = math.ceil(math.log(2 * TOTAL) * (1 << HIDDEN_BITS))
    exponential = np.exp(-np.arange(count) / (1 << HIDDEN_BITS))
    places = np.arange(2 * STEEPEST * STEPS + 1) / STEPS - STEEPEST
    logistic = 1 / (1 + np.exp(-places))
    powers = 2.0 ** (np.arange(16) / 16)
    return Curves(np.rint(exponential * TOTAL), np.rint(logistic * TABLE), np.rint(powers * TABLE))


def most_faces(message: bytes) -> int:
    """Faces that a message of so many bytes may hold: no table is sure enough for more."""
    return min(_FACES_PER_BIT * (8 * len(message) + _FREE_BITS), MOST_FACES)


def check_mesh(mesh: GridMesh, sides: Integers) -> None:
    """ValueError: not a mesh of `GridMesh`'s kind, or one that lies outside of its grid."""
    positions, faces = mesh.positions, mesh.faces
    if not 0 < len(faces) <= MOST_FACES:
        raise ValueError(f"{len(faces)} faces; a file holds 1 to {MOST_FACES}")
    if len(np.unique(faces)) != len(positions) or faces.min() != 0 or faces.max() != len(positions) - 1:
        raise ValueError("vertices without faces, or faces without vertices")
    if (faces == np.roll(faces, 1, axis=1)).any():
        raise ValueError("a face with a vertex twice")
    if len(np.unique(positions, axis=0)) != len(positions):
        raise ValueError("two vertices in one place")
    if (
        (positions < 0).any()
        or (positions > sides).any()
        or not (sides > 0).all()
        or sides.max() >= 1 << MOST_BITS
    ):
        raise ValueError("vertices outside of the grid")
    check_copies(mesh, sides)


def check_copies(mesh: GridMesh, sides: Integers) -> None:
    """ValueError: copies of no part, or that lie outside of the grid, or too many."""
    part = parts_of(mesh.faces, len(mesh.positions)) if mesh.copies else np.zeros(0, dtype=np.int64)
    for copy in mesh.copies:
        if not 0 <= copy.vertex < len(part):
            raise ValueError("a copy of no part")
        image = image_of(mesh.positions[part == part[copy.vertex]], copy.turn)
        if min(copy.low) < 0 or (image.max(axis=0) + np.array(copy.low) > sides).any():
            raise ValueError("a copy outside of the grid")
    if len(mesh.whole[1]) > MOST_FACES:
        raise ValueError(f"{len(mesh.whole[1])} faces with the copies; a file holds 1 to {MOST_FACES}")


def head_of(mesh: GridMesh, sides: Integers) -> Head:
    """What the message of a mesh says first; walks through it to see."""
    edges = mesh.positions[np.roll(mesh.faces, 1, axis=1)] - mesh.positions[mesh.faces]
    lengths = 0.5 * np.log2((edges * edges).sum(axis=2))
    scale = min(max(round(4 * float(lengths.mean())), 0), _SCALES - 1)
    blind = Head(scale, True, True, True, True)
    axes = axis_order(sides.astype(np.float64))
    walk = Conquest(None, Listener(), len(mesh.faces), sides, blind, Script(mesh, axes))
    walk.run()
    return Head(scale, walk.bordered, walk.tangled, walk.parts.touching, walk.branches.any)


def _tell_head(channel: Channel, head: Head | None) -> Head:
    scale = channel.uniform(_SCALES, head.scale if head else 0, HEAD)
    facts = (head.open, head.tangled, head.touching, head.branched) if head else (False,) * 4
    told = [bool(channel.uniform(2, int(fact), HEAD)) for fact in facts]
    return Head(scale, *told)


# ---- the payload of a file


def pack_mesh(mesh: GridMesh, coder: MeshCoder, sides: Integers) -> bytes:
    """The payload of a mesh: a byte with bits, crease code and whether it has copies, then its message."""
    return payload_head(mesh) + coder.encode(mesh, sides)


def depths(copied: bool) -> range:
    """Bits that a coordinate may have, with copies or without: a payload's first byte holds no others."""
    return range(LEAST_BITS + 1, MOST_BITS) if copied else range(LEAST_BITS, MOST_BITS + 1)


def payload_head(mesh: GridMesh) -> bytes:
    """What stands before the message of a mesh. ValueError: bits or a crease code out of range."""
    if mesh.bits not in depths(bool(mesh.copies)) or not 0 <= mesh.crease <= MOST_CREASE:
        raise ValueError(f"{mesh.bits} bits and crease code {mesh.crease}")
    return bytes([mesh.bits - LEAST_BITS + _COPIED * bool(mesh.copies) | mesh.crease << 4])


def payload_kind(payload: bytes) -> tuple[int, int, bool]:
    """Bits and crease code of a payload, and whether it has copies. CorruptFileError: there are no such."""
    if not payload:
        raise CorruptFileError("its payload is empty", "fetch the file again")
    bits, crease = (payload[0] & 15) + LEAST_BITS, payload[0] >> 4
    if crease > MOST_CREASE:
        raise CorruptFileError(f"unknown kind of mesh 0x{payload[0]:02x}", "fetch the file again")
    copied = bits > MOST_BITS
    return bits - _COPIED * copied, crease, copied


def unpack_mesh(payload: bytes, faces: int, coder: MeshCoder, sides: Integers) -> GridMesh:
    """The mesh of a payload with so many faces; `sides` belong to the bits of `payload_kind`.

    Raises
    ------
    CorruptFileError
        `pack_mesh` writes no such payload.
    """
    bits, crease, copied = payload_kind(payload)
    positions, corners, copies = coder.decode(payload[1:], faces, sides, copied)
    return GridMesh(positions, corners, bits, crease, copies)


# ---- channels


class _Writer:
    """The channel of an encoder."""

    def __init__(self) -> None:
        self.coder = RangeEncoder()

    def symbol(self, starts: Starts, known: int, part: str) -> int:
        self.coder.encode(starts[known], starts[known + 1] - starts[known])
        return known

    def uniform(self, count: int, known: int, part: str) -> int:
        self.coder.encode_uniform(known, count)
        return known


class _Reader:
    """The channel of a decoder."""

    def __init__(self, message: bytes) -> None:
        self.coder = RangeDecoder(message)

    def symbol(self, starts: Starts, known: int, part: str) -> int:
        return self.coder.decode(starts)

    def uniform(self, count: int, known: int, part: str) -> int:
        found = self.coder.decode_uniform(count)
        if found >= count:
            raise DAMAGED
        return found


class _Meter:
    """A channel that counts bits."""

    def __init__(self) -> None:
        self.bits = dict.fromkeys(PARTS, 0.0)

    def symbol(self, starts: Starts, known: int, part: str) -> int:
        self.bits[part] += math.log2(TOTAL / (starts[known + 1] - starts[known]))
        return known

    def uniform(self, count: int, known: int, part: str) -> int:
        self.bits[part] += math.log2(count)
        return known


class Listener:
    """The channel of a walk that tells nobody."""

    def symbol(self, starts: Starts, known: int, part: str) -> int:
        """What is known."""
        return known

    def uniform(self, count: int, known: int, part: str) -> int:
        """What is known."""
        return known
