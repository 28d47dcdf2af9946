"""Entropy coding of tokens: a range coder driven by a network of integers.

Both ends of a range coder need the same probabilities to the last bit, and floating point sums do not give
them: their order, hence their rounding, differs between machines, thread counts and precisions. So all that
decides a probability is an integer here: the features are digits of tokens that are already known, the
weights are int16 (a trained float network, rounded once), sums are exact, and the exponential of the softmax
is a table that comes with the weights.

The digits of a token (see `meshcodec.model.quantizer`) are coded one after the other, each with the
frequencies that the network predicts from

* all coarser scales: the 3 x 3 cells around the same place one and two scales before, the cell at the same
  place of all others, and of the scale before the sums of the two slabs of the other planes that share a
  coordinate with the cell;
* the cells of the same scale and plane to the left, above left, above, above right;
* the digits of the same token before it, the place of the cell in its plane, which plane it is, and how many
  finer scales the file begins: the less of them, the dearer were its bits.

Cells are coded in wavefronts, 2 row + column = 0, 1, 2 ...: all of one front know their four neighbours, so
that a front is one product of matrices. Of a front the first digits of all cells come first, by plane, then
by row, then the second digits, and so on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshcodec.config import PLANES, ModelConfig
from meshcodec.errors import CorruptFileError
from meshcodec.format.range_coder import TOTAL_BITS, RangeDecoder, RangeEncoder

Integers = NDArray[np.int64]
Code = Callable[[Integers, Integers], Integers]
"""Starts of the levels of N digits, (N, L + 1), and their symbols where known, (N,) -> their symbols."""
WEIGHT_BITS = 8  # fractional bits of weights: a weight of 1 is the integer 2 to this power
HIDDEN_BITS = 4  # fractional bits of hidden units
LOGIT_BITS = 5  # fractional bits of logits, which are natural logarithms
HIDDEN_MAX = (1 << 12) - 1  # largest hidden unit, as an integer, so that every sum fits 32 bits
_POSITION = 12  # largest feature of a cell's place in its plane; the feature of the plane that it is in
_SLAB = 8  # cells to which the sum of a slab's digits is scaled, whatever its length
_FINER = 4  # feature for each finer scale that the file begins
_NEIGHBOURS = ((0, -1), (-1, -1), (-1, 0), (-1, 1))  # rows and columns to the causal neighbours of a cell


@dataclass(frozen=True)
class ScaleNetwork:
    """The integer network of one scale; F features, H hidden units, D digits of L levels.

    ::

        features ─ W1 ─(+)─ relu ─ W2[k] ─ logits of digit k
                        │
        bias of k, and what the values of the digits before k add

    Attributes
    ----------
    weights : (F, H), units 2**-WEIGHT_BITS
    bias : (D, H), of each digit, units 2**-WEIGHT_BITS
    own : (D, L, H), what a digit that is known adds for those after it, units 2**-WEIGHT_BITS
    out : (D, H, L), units 2**-WEIGHT_BITS
    out_bias : (D, L), units 2**-(WEIGHT_BITS + HIDDEN_BITS)
    """

    weights: Integers
    bias: Integers
    own: Integers
    out: Integers
    out_bias: Integers

    def logits(self, summed: Integers, digit: int) -> Integers:
        """(N, H) sums before the activation -> (N, L) logits of a digit, units 2**-LOGIT_BITS."""
        hidden = np.clip((summed + self.bias[digit]) >> (WEIGHT_BITS - HIDDEN_BITS), 0, HIDDEN_MAX)
        shift = WEIGHT_BITS + HIDDEN_BITS - LOGIT_BITS
        result: Integers = (hidden @ self.out[digit] + self.out_bias[digit]) >> shift
        return result


@dataclass(frozen=True)
class TokenModel:
    """Probabilities of the tokens of one model.

    Attributes
    ----------
    config : shape of the model
    networks : network of each scale
    exponential : (E,), e**(-i * 2**-LOGIT_BITS) in units of 2**-TOTAL_BITS
    """

    config: ModelConfig
    networks: tuple[ScaleNetwork, ...]
    exponential: Integers

    def frequencies(self, logits: Integers) -> Integers:
        """(N, L) logits -> (N, L) frequencies of levels, at least 1, that add up to 2**TOTAL_BITS."""
        L = logits.shape[1]
        depth = np.minimum(logits.max(axis=1, keepdims=True) - logits, len(self.exponential) - 1)
        shares = self.exponential[depth]
        total = 1 << TOTAL_BITS
        counts: Integers = shares * (total - L) // shares.sum(axis=1, keepdims=True) + 1
        rest = total - counts.sum(axis=1)
        counts[np.arange(len(counts)), logits.argmax(axis=1)] += rest
        return counts

    def encode(self, tokens: bytes) -> bytes:
        """Tokens, coarse to fine, at most those of the model -> message."""
        coder = RangeEncoder()
        for (starts, frequencies), side in zip(
            self._intervals(tokens), self.config.scale_sides, strict=False
        ):
            for cells in fronts(side):
                cells = cells[cells < len(starts)]
                told = (of[cells].T.ravel().tolist() for of in (starts, frequencies))
                for start, frequency in zip(*told, strict=True):
                    coder.encode(start, frequency)
        return coder.finish()

    def bits(self, tokens: bytes) -> NDArray[np.float64]:
        """(T,) bits that each token takes; a message is as long as their sum, but for about a byte."""
        taken = [
            (TOTAL_BITS - np.log2(frequencies)).sum(axis=1) for _, frequencies in self._intervals(tokens)
        ]
        return np.concatenate([np.zeros(0), *taken])

    def _intervals(self, tokens: bytes) -> Iterator[tuple[Integers, Integers]]:
        """The range coder's starts and frequencies of the digits of known tokens, (n, D) each, of each scale.

        They are those of `walk`, which does not know them before, of all cells of a scale at once.
        """
        levels = np.array(self.config.token_levels)
        symbols = token_symbols(np.frombuffer(tokens, np.uint8), self.config)
        begun = self.config.scales_started(len(tokens))
        digits: list[NDArray[np.int16]] = []
        for scale in range(begun):
            side, count = self.config.scale_sides[scale], self.config.scale_tokens[scale]
            end = self.config.scale_ends()[scale]
            known = symbols[end - count : end]
            cells = np.zeros((count, len(levels)), dtype=np.int16)
            cells[: len(known)] = 2 * known - (levels - 1)
            digits.append(cells.reshape(1, PLANES, side, side, len(levels)))
            features = cell_features(digits, scale, begun).reshape(count, -1)[: len(known)]
            # Whole numbers that fit 32 bits: floating point sums them exactly, and faster than integers.
            network = self.networks[scale]
            summed = features.astype(np.float64) @ network.weights.astype(np.float64)
            yield self._coded(network, summed.astype(np.int64), known)

    def _coded(self, network: ScaleNetwork, summed: Integers, symbols: Integers) -> tuple[Integers, Integers]:
        """Starts and frequencies, (n, D) each, of the (n, D) symbols of cells whose features have the (n, H)
        weighted sums."""
        starts, frequencies = np.empty_like(symbols), np.empty_like(symbols)
        rows = np.arange(len(symbols))
        for digit, own in enumerate(symbols.T):
            of_levels = self.frequencies(network.logits(summed, digit))
            frequencies[:, digit] = of_levels[rows, own]
            starts[:, digit] = of_levels.cumsum(axis=1)[rows, own] - frequencies[:, digit]
            summed = summed + network.own[digit][own]
        return starts, frequencies

    def decode(self, message: bytes, count: int) -> bytes:
        """The `count` tokens of a message.

        Raises
        ------
        CorruptFileError
            It is not what `encode` makes of any tokens.
        """
        coder = RangeDecoder(message)

        def code(starts: Integers, _: Integers) -> Integers:
            return np.array([coder.decode(row) for row in starts.tolist()], dtype=np.int64)

        tokens = self.walk(np.zeros(count, np.uint8), code).tobytes()
        # One way to write tokens: no two files say the same, and none carries bytes that nothing reads.
        if not coder.is_whole():
            raise CorruptFileError("its coded tokens are damaged", "fetch the file again")
        return tokens

    def walk(self, tokens: NDArray[np.uint8], code: Code) -> NDArray[np.uint8]:
        """Let `code` name the symbols of all digits in coding order; returns the tokens that they make."""
        levels = self.config.token_levels
        radix = token_radix(self.config)
        symbols = token_symbols(tokens, self.config)
        begun = self.config.scales_started(len(tokens))
        coarser: list[Integers] = []
        first = 0
        for side, count, network in zip(
            self.config.scale_sides, self.config.scale_tokens, self.networks, strict=True
        ):
            if first >= len(tokens):
                break
            framed = np.zeros((PLANES, side + 2, side + 2, len(levels)), dtype=np.int64)
            parents = parent_features(coarser, side, begun)[0].reshape(count, -1)
            sums = parents @ network.weights[: parents.shape[1]]
            neighbour_weights = network.weights[parents.shape[1] :]
            present = symbols[first : first + count]
            for cells in fronts(side):
                cells = cells[cells < len(present)]
                plane, row, column = np.unravel_index(cells, (PLANES, side, side))
                around = [framed[plane, row + 1 + down, column + 1 + right] for down, right in _NEIGHBOURS]
                summed = sums[cells] + np.concatenate(around, axis=1) @ neighbour_weights
                for digit, count_of in enumerate(levels):
                    frequencies = self.frequencies(network.logits(summed, digit))
                    starts = np.zeros((len(cells), count_of + 1), dtype=np.int64)
                    np.cumsum(frequencies, axis=1, out=starts[:, 1:])
                    found = code(starts, present[cells, digit])
                    present[cells, digit] = found
                    framed[plane, row + 1, column + 1, digit] = 2 * found - (count_of - 1)
                    summed = summed + network.own[digit][found]
            coarser.append(framed[None, :, 1:-1, 1:-1])
            first += count
        result: NDArray[np.uint8] = (symbols @ radix).astype(np.uint8)
        return result


def token_radix(config: ModelConfig) -> Integers:
    """(D,) what one level of each digit adds to a token."""
    levels = np.array(config.token_levels)
    radix: Integers = np.cumprod(levels) // levels
    return radix


def token_symbols(tokens: NDArray[np.uint8], config: ModelConfig) -> Integers:
    """(...) tokens -> (..., D) the symbols of their digits, from 0 up."""
    symbols: Integers = tokens.astype(np.int64)[..., None] // token_radix(config) % config.token_levels
    return symbols


@functools.cache
def fronts(side: int) -> tuple[Integers, ...]:
    """The cells of a scale, as numbers by plane, row and column, in groups that can be coded at once."""
    row, column = np.indices((side, side))
    front = np.broadcast_to(2 * row + column, (PLANES, side, side)).ravel()
    return tuple(np.flatnonzero(front == number) for number in range(3 * side - 2))


def parent_features(coarser: Sequence[NDArray[np.signedinteger]], side: int, begun: int) -> Integers:
    """What is known of the cells of a scale before any of them is.

    Parameters
    ----------
    coarser : the digits of each coarser scale, (B, 3, m, m, D), twice their level values: odd numbers
        symmetric about 0, and 0 where a token is absent
    side : cells a side of the scale
    begun : scales that the file begins

    Returns
    -------
    (B, 3, side, side, F) features.
    """
    B = len(coarser[0]) if coarser else 1
    finer = np.full((1, 1, 1, 1, 1), _FINER * (begun - 1 - len(coarser)))
    parts = [
        np.broadcast_to(_position_features(side), (B, PLANES, side, side, 4 + PLANES)),
        np.broadcast_to(finer, (B, PLANES, side, side, 1)),
    ]
    for age, digits in enumerate(reversed(coarser)):
        at = _nearest(digits.shape[2], side)
        reach = (-1, 0, 1) if age < 2 else (0,)
        framed = np.pad(digits, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
        parts += [framed[:, :, (at + 1 + down)[:, None], at + 1 + right] for down in reach for right in reach]
    if coarser:
        last = coarser[-1]
        at = _nearest(last.shape[2], side)
        # Plane a has axis a along its rows and axis a + 1 along its columns.
        along_first, along_second = (last.sum(axis) * _SLAB // last.shape[2] for axis in (3, 2))
        rows = np.roll(along_second, 1, axis=1)[:, :, at, None]
        columns = np.roll(along_first, -1, axis=1)[:, :, None, at]
        shape = (B, PLANES, side, side, last.shape[-1])
        parts += [np.broadcast_to(rows, shape), np.broadcast_to(columns, shape)]
    return np.concatenate(parts, axis=-1)


def cell_features(digits: Sequence[NDArray[np.int16]], scale: int, begun: int) -> NDArray[np.int16]:
    """All features of the cells of a scale whose digits are known, as rates and training need them.

    Parameters
    ----------
    digits : digits of each scale up to this one at least, (B, 3, n, n, D) as in `parent_features`
    scale : number of the scale
    begun : scales that the file begins

    Returns
    -------
    (B, 3, n, n, F) features.
    """
    own = digits[scale]
    B, side = len(own), own.shape[2]
    parents = parent_features(digits[:scale], side, begun)
    framed = np.pad(own, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = [
        framed[:, :, 1 + down : 1 + down + side, 1 + right : 1 + right + side] for down, right in _NEIGHBOURS
    ]
    whole: list[NDArray[np.signedinteger]] = [
        np.broadcast_to(parents, (B, *parents.shape[1:])),
        *neighbours,
    ]
    result: NDArray[np.int16] = np.concatenate(whole, axis=-1).astype(np.int16)
    return result


@functools.cache
def _position_features(side: int) -> Integers:
    """(3, n, n, 7): row and column from the middle, their distances to it, and which plane it is."""
    along = (2 * np.arange(side) - (side - 1)) * _POSITION // max(side - 1, 1)
    row, column = np.meshgrid(along, along, indexing="ij")
    places = np.stack([row, column, abs(row), abs(column)], axis=-1)
    planes = np.eye(PLANES, dtype=np.int64)[:, None, None] * _POSITION
    shape = (PLANES, side, side)
    return np.concatenate(
        [np.broadcast_to(places, (*shape, 4)), np.broadcast_to(planes, (*shape, PLANES))], axis=-1
    )


@functools.cache
def _nearest(coarse: int, fine: int) -> Integers:
    """For each of `fine` cells the one of `coarse` cells that its centre lies in."""
    return (2 * np.arange(fine) + 1) * coarse // (2 * fine)
