"""Integer networks and the tables of frequencies that they give: what both ends of a message agree on.

Whole numbers are held in float64, in which products of matrices are fast and, below 2**53, exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.range_coder import TOTAL_BITS

Whole = NDArray[np.float64]
"""Whole numbers, each below 2**53."""
Booleans = NDArray[np.bool_]
FEATURE_BITS = 4  # fractional bits of a feature
FEATURE_MAX = 255  # largest feature, as an integer
WEIGHT_BITS = 12  # fractional bits of a weight
HIDDEN_BITS = 6  # fractional bits of hidden units and logits; logits are natural logarithms
HIDDEN_MAX = (1 << 13) - 1  # largest hidden unit, as an integer
TOTAL = 1 << TOTAL_BITS
_FIRST_SHIFT = 2.0 ** (HIDDEN_BITS - FEATURE_BITS - WEIGHT_BITS)
_SHIFT = 2.0**-WEIGHT_BITS


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron of integers with ReLU.

    Attributes
    ----------
    weights : (inputs, outputs) of each layer, units 2**-WEIGHT_BITS
    biases : (outputs,) of each layer, units of the layer's sums: 2**-(FEATURE_BITS + WEIGHT_BITS) in the
        first, 2**-(HIDDEN_BITS + WEIGHT_BITS) in others
    """

    weights: tuple[Whole, ...]
    biases: tuple[Whole, ...]

    def logits(self, features: Whole) -> Whole:
        """(N, F) features, units 2**-FEATURE_BITS -> (N, O), units 2**-HIDDEN_BITS."""
        shift, values = _FIRST_SHIFT, features
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.floor((values @ weights + bias) * shift)
            np.minimum(np.maximum(values, 0.0, out=values), HIDDEN_MAX, out=values)
            shift = _SHIFT
        result: Whole = np.floor((values @ self.weights[-1] + self.biases[-1]) * shift)
        return result


def frequencies(logits: Whole, exponential: Whole, shares: Whole) -> Whole:
    """Frequencies of alternatives.

    Parameters
    ----------
    logits : (N, A), units 2**-HIDDEN_BITS
    exponential : (E,), e**(-i * 2**-HIDDEN_BITS) in units of 2**-TOTAL_BITS
    shares : (N, A), 0 to 1, what is left of each alternative; at least one of a row above 0

    Returns
    -------
    (N, A), that add up to 2**TOTAL_BITS; 0 where the share is, else at least 1.
    """
    present = shares > 0
    masked = np.where(present, logits, -np.inf)
    depth = np.minimum(masked.max(axis=1)[:, None] - masked, len(exponential) - 1.0)
    return proportional(np.floor(exponential[depth.astype(np.int64)] * shares), present)


def proportional(weights: Whole, present: Booleans) -> Whole:
    """Frequencies of alternatives by their weights.

    Parameters
    ----------
    weights : (N, A) whole, 0 to 2**36
    present : (N, A) which alternatives there are, at least one of each row; others have the weight 0

    Returns
    -------
    (N, A), that add up to 2**TOTAL_BITS; 0 where an alternative is not there, else at least 1.
    """
    rows = np.arange(len(weights))
    likely = np.where(present, weights, -1.0).argmax(axis=1)
    weights[rows, likely] += 1.0
    spare = TOTAL - present.sum(axis=1, keepdims=True)
    counts: Whole = np.floor(weights * spare / weights.sum(axis=1, keepdims=True)) + present
    counts[rows, likely] += TOTAL - counts.sum(axis=1)
    return counts


def starts_of(counts: Whole) -> list[list[int]]:
    """(N, A) frequencies -> for each row the starts of its alternatives and the end, A + 1 numbers."""
    starts = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int64)
    np.cumsum(counts, axis=1, out=starts[:, 1:])
    rows: list[list[int]] = starts.tolist()
    return rows


# ---- coordinates


def _bins() -> tuple[list[int], list[int]]:
    """First and last residual of each bin: single ones near 0, then a fifth wider each."""
    firsts, lasts = [], []
    first = 1
    while first < 1 << 12:
        last = max(first, first * 6 // 5)
        firsts.append(first)
        lasts.append(last)
        first = last + 1
    return [-last for last in reversed(lasts)] + [0] + firsts, [-f for f in reversed(firsts)] + [0] + lasts


FIRSTS, LASTS = (np.array(ends, dtype=np.float64) for ends in _bins())
BINS = len(FIRSTS)
WIDTHS = LASTS - FIRSTS + 1
FARTHEST = int(LASTS[-1])  # largest residual that a bin holds
BIN_OF = np.repeat(np.arange(BINS), WIDTHS.astype(np.int64))  # bin of each residual, from -FARTHEST on
_BEFORE = np.tri(16, k=-1, dtype=np.bool_)  # whether candidate j comes before candidate i


@dataclass(frozen=True)
class CoordinateTables:
    """Alternatives for one coordinate of each of N vertices: bins of residuals, then candidate values.

    A candidate is a value that the coordinate may well be equal to: that of a neighbour, an end of the
    grid. It is an alternative of its own, and no bin holds it. In a bin all other values are equally likely.

    Attributes
    ----------
    guesses : (N,) whole
    limit : (N,) largest value
    candidates : (N, C) values
    valid : (N, C) whether it is inside of the grid and not the same as one before
    bins : (N, C) bin of each candidate
    room : (N, BINS) values in each bin that are inside of the grid and no candidates
    """

    guesses: Whole
    limit: Whole
    candidates: Whole
    valid: Booleans
    bins: NDArray[np.int64]
    room: Whole

    @classmethod
    def of(cls, guesses: Whole, limit: Whole, candidates: Whole, offered: Booleans) -> CoordinateTables:
        """The parameters are the attributes; `offered` says which candidates there are."""
        N, C = candidates.shape
        valid = offered & (candidates >= 0) & (candidates <= limit[:, None])
        same = (candidates[:, :, None] == candidates[:, None, :]) & valid[:, None, :] & _BEFORE[:C, :C]
        valid &= ~same.any(axis=2)
        residuals = np.where(valid, candidates - guesses[:, None], 0.0)
        bins = BIN_OF[(residuals + FARTHEST).astype(np.int64)]
        low = np.maximum(FIRSTS, -guesses[:, None])
        high = np.minimum(LASTS, (limit - guesses)[:, None])
        places = (np.arange(N)[:, None] * BINS + bins)[valid]
        taken = np.bincount(places, minlength=N * BINS).reshape(N, BINS)
        room = np.maximum(high - low + 1, 0.0) - taken
        return cls(guesses, limit, candidates, valid, bins, room)

    def excluded(self, row: int, number: int) -> list[int]:
        """Candidates in a bin, ascending."""
        return sorted(
            int(value)
            for value, valid, there in zip(
                self.candidates[row].tolist(), self.valid[row].tolist(), self.bins[row].tolist(), strict=True
            )
            if valid and there == number
        )

    def symbol(self, row: int, value: int) -> tuple[int, int]:
        """The alternative of a value, and its number among those of its bin."""
        for j, (candidate, valid) in enumerate(
            zip(self.candidates[row].tolist(), self.valid[row].tolist(), strict=True)
        ):
            if valid and candidate == value:
                return BINS + j, 0
        number = int(BIN_OF[value - int(self.guesses[row]) + FARTHEST])
        first = self._first(row, number)
        return number, value - first - sum(other < value for other in self.excluded(row, number))

    def value(self, row: int, symbol: int, index: int) -> int:
        """The reverse of `symbol`."""
        if symbol >= BINS:
            return int(self.candidates[row, symbol - BINS])
        value = self._first(row, symbol) + index
        for other in self.excluded(row, symbol):
            value += other <= value
        return value

    def _first(self, row: int, number: int) -> int:
        guess = int(self.guesses[row])
        return max(int(FIRSTS[number]) + guess, 0)


# ---- mixtures

COMPONENTS = 4  # logistic distributions of a mixture
SPANS = 3  # vectors that make up a mean
BUMPED = 3  # residuals -1, 0 and 1 have a factor of their own
CANDIDATES = 7  # so do candidates
OUTPUTS = COMPONENTS * (2 + SPANS) + BUMPED + CANDIDATES
"""Outputs of a network: of each component the logarithm of its weight, three factors of its mean and log2
of its width; then logarithms of factors."""
EDGES = np.append(FIRSTS - 0.5, LASTS[-1] + 0.5)
MIDDLE = BINS // 2
_ONE = float(1 << HIDDEN_BITS)
STEEPEST = 16.0  # arguments beyond which the logistic function is 0 or 1
STEPS = 32.0  # steps of its table in 1
FINEST, WIDEST = -8.0, 3.0  # log2 of the width of a component against the length
NARROWEST = 0.08  # steps of the grid
TABLE = 2.0**30  # units of the tables of functions
_MASS = 2.0**24  # units of the mass of alternatives
LARGEST_BUMP = 6.0
FLOOR = 2.0**-20  # mass that each bin has besides, for each of its values


@dataclass(frozen=True)
class Curves:
    """Tables of functions, whole.

    Attributes
    ----------
    exponential : (E,), e**(-i * 2**-HIDDEN_BITS) in units of 2**-TOTAL_BITS
    logistic : (2 * 16 * 32 + 1,), 1 / (1 + e**-x) for x from -16 to 16, units 2**-30
    powers : (16,), 2**(i / 16) in units of 2**-30
    """

    exponential: Whole
    logistic: Whole
    powers: Whole

    def power(self, sixteenths: Whole) -> Whole:
        """2 to whole sixteenths."""
        whole = np.floor(sixteenths * 0.0625)
        part = self.powers[(sixteenths - 16.0 * whole).astype(np.int64)]
        return np.ldexp(part, whole.astype(np.int64) - 30)

    def exp(self, values: Whole) -> Whole:
        """e to values in units of 2**-HIDDEN_BITS, from -6 to 6."""
        size = self.exponential[np.abs(values).astype(np.int64)] * (1.0 / TOTAL)
        return np.where(values < 0, size, 1.0 / size)

    def cumulative(self, places: Whole) -> Whole:
        """The logistic function, linear between the entries of its table."""
        at = np.minimum(np.maximum(places, -STEEPEST), STEEPEST) * STEPS + STEEPEST * STEPS
        low = np.minimum(np.floor(at), 2 * STEEPEST * STEPS - 1)
        index = low.astype(np.int64)
        below = self.logistic[index]
        return below + (self.logistic[index + 1] - below) * (at - low)


def mixture_counts(
    tables: CoordinateTables, outputs: Whole, lengths: Whole, spans: Whole, offsets: Whole, curves: Curves
) -> Whole:
    """Frequencies (N, BINS + C) of the alternatives of coordinates.

    Parameters
    ----------
    outputs : (N, OUTPUTS) of a network, units 2**-HIDDEN_BITS
    lengths : (N,) log2 of the length in which means and widths are told, in sixteenths
    spans : (SPANS, N) units 2**-FEATURE_BITS
    offsets : (N,) what all means have besides, in steps of the grid
    """
    N = len(outputs)
    parts = outputs[:, : COMPONENTS * (2 + SPANS)].reshape(N, 2 + SPANS, COMPONENTS)
    length = curves.power(lengths)[:, None]
    weight = curves.exponential[
        np.minimum(parts[:, 0].max(axis=1)[:, None] - parts[:, 0], len(curves.exponential) - 1.0).astype(
            np.int64
        )
    ]
    factors = parts[:, 1:4] * (1.0 / _ONE / (1 << FEATURE_BITS))
    x, y, z = spans[:, :, None]
    mean = (factors[:, 0] * x + factors[:, 1] * y + factors[:, 2] * z) * length + offsets[:, None]
    sixteenths = np.floor(parts[:, 4] * (16.0 / _ONE))
    sixteenths = np.minimum(np.maximum(sixteenths, 16.0 * FINEST), 16.0 * WIDEST)
    width = np.maximum(curves.power(sixteenths) * length, NARROWEST)
    below = curves.cumulative((EDGES - mean[:, :, None]) / width[:, :, None])
    masses = (below[:, :, 1:] - below[:, :, :-1]) * weight[:, :, None]
    mass = masses[:, 0] + masses[:, 1] + masses[:, 2] + masses[:, 3]
    total = weight[:, 0] + weight[:, 1] + weight[:, 2] + weight[:, 3]
    mass = mass / (total[:, None] * TABLE) + WIDTHS * FLOOR
    bumps = outputs[:, -BUMPED - CANDIDATES :]
    factor = curves.exp(np.minimum(np.maximum(bumps, -LARGEST_BUMP * _ONE), LARGEST_BUMP * _ONE))
    mass[:, MIDDLE - 1 : MIDDLE + 2] *= factor[:, :BUMPED]
    density = mass / WIDTHS
    rows = np.arange(N)[:, None]
    of_candidates = density[rows, tables.bins] * factor[:, BUMPED:]
    weights = np.concatenate([density * tables.room, of_candidates * tables.valid], axis=1)
    present = np.concatenate([tables.room > 0, tables.valid], axis=1)
    return proportional(np.floor(weights * _MASS), present)
