"""Integer networks and the tables of frequencies that they give: what both ends of a message agree on.

Whole numbers are held in float64, in which products of matrices are fast and, below 2**53, exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshcodec.format.range_coder import TOTAL_BITS

Whole = NDArray[np.float64]
"""Whole numbers, each below 2**53."""
Integers = NDArray[np.int64]
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
        values = features
        for weights, bias in self._scaled[:-1]:
            values = values @ weights
            values += bias
            np.floor(values, out=values)
            np.maximum(values, 0.0, out=values)
            np.minimum(values, HIDDEN_MAX, out=values)
        weights, bias = self._scaled[-1]
        values = values @ weights
        values += bias
        return np.floor(values, out=values)

    @cached_property
    def _scaled(self) -> list[tuple[Whole, Whole]]:
        """Weights and biases of layers times the power of two that its sums are shifted by: nothing is
        rounded."""
        shifts = [_FIRST_SHIFT, *[_SHIFT] * (len(self.weights) - 1)]
        return [
            (weights * shift, bias * shift)
            for weights, bias, shift in zip(self.weights, self.biases, shifts, strict=True)
        ]


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
    masked = np.where(shares > 0, logits, -np.inf)
    depth = np.maximum.reduce(masked, axis=1, keepdims=True) - masked
    np.minimum(depth, len(exponential) - 1.0, out=depth)
    weights = exponential.take(depth.astype(np.int64))
    weights *= shares
    return proportional(np.floor(weights, out=weights), np.ceil(shares))


def proportional(weights: Whole, present: Whole) -> Whole:
    """Frequencies of alternatives by their weights.

    Parameters
    ----------
    weights : (N, A) whole, 0 to 2**36, in one block; overwritten
    present : (N, A) 1 for alternatives that there are, at least one of each row; others have the weight 0

    Returns
    -------
    (N, A), that add up to 2**TOTAL_BITS; 0 where an alternative is not there, else at least 1.
    """
    count, alternatives = weights.shape
    likely = (weights + present).argmax(axis=1)
    likely += np.arange(0, count * alternatives, alternatives)
    weights.reshape(-1)[likely] += 1.0
    total = np.add.reduce(weights, axis=1, keepdims=True)
    weights *= TOTAL - np.add.reduce(present, axis=1, keepdims=True)
    weights /= total
    counts = np.floor(weights, out=weights)
    counts += present
    counts.reshape(-1)[likely] += TOTAL - np.add.reduce(counts, axis=1)
    return counts


def starts_of(counts: Whole) -> list[list[int]]:
    """(N, A) frequencies -> for each row the starts of its alternatives and the end, A + 1 numbers."""
    starts = np.zeros((len(counts), counts.shape[1] + 1))
    np.add.accumulate(counts, axis=1, out=starts[:, 1:])
    rows: list[list[int]] = starts.astype(np.int64).tolist()
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
_ENDS = LASTS + 1
_FIRST_OF: list[int] = FIRSTS.astype(np.int64).tolist()
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
    places : (N, C) the same, counted through all rows
    room : (N, BINS) values in each bin that are inside of the grid and no candidates
    """

    guesses: Whole
    limit: Whole
    candidates: Whole
    valid: Booleans
    bins: Integers
    places: Integers
    room: Whole

    @classmethod
    def of(cls, guesses: Whole, limit: Whole, candidates: Whole, valid: Booleans) -> CoordinateTables:
        """The parameters are attributes."""
        N = len(candidates)
        residuals = np.where(valid, candidates - guesses[:, None], 0.0)
        residuals += FARTHEST
        bins = BIN_OF.take(residuals.astype(np.int64))
        room = np.minimum(_ENDS, (limit + 1.0 - guesses)[:, None])
        room -= np.maximum(FIRSTS, -guesses[:, None])
        np.maximum(room, 0.0, out=room)
        places = np.arange(0, N * BINS, BINS)[:, None] + bins
        room -= np.bincount(places[valid], minlength=N * BINS).reshape(N, BINS)
        return cls(guesses, limit, candidates, valid, bins, places, room)

    def excluded(self, row: int, number: int) -> list[int]:
        """Candidates in a bin, ascending."""
        bins, values, _ = self._lists
        pairs = zip(bins[row], values[row], strict=True)
        return sorted([int(value) for there, value in pairs if there == number])

    @cached_property
    def _lists(self) -> tuple[list[list[int]], list[list[float]], list[float]]:
        """Bins of the valid candidates, -1 for others; candidates; guesses."""
        return np.where(self.valid, self.bins, -1).tolist(), self.candidates.tolist(), self.guesses.tolist()

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
            return int(self._lists[1][row][symbol - BINS])
        value = self._first(row, symbol) + index
        for other in self.excluded(row, symbol):
            value += other <= value
        return value

    def _first(self, row: int, number: int) -> int:
        return max(_FIRST_OF[number] + int(self._lists[2][row]), 0)


def distinct(candidates: Whole, limits: Whole, offered: Booleans | None = None) -> Booleans:
    """Which candidates (..., C) are offered, from 0 to the limits (...), and not the same as one before."""
    valid: Booleans = (candidates >= 0) & (candidates <= limits[..., None])
    if offered is not None:
        valid &= offered
    C = candidates.shape[-1]
    same = (candidates[..., :, None] == candidates[..., None, :]) & valid[..., None, :]
    same &= _BEFORE[:C, :C]
    valid &= ~np.logical_or.reduce(same, axis=-1)
    return valid


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
_FLOORS = WIDTHS * FLOOR
_UNITS = WIDTHS / _MASS
_WIDTHS_AT, _BUMPS_AT = COMPONENTS * (1 + SPANS), COMPONENTS * (2 + SPANS)  # among outputs
_MOST_BUMP = int(LARGEST_BUMP * _ONE)


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

    def lengths(self, sixteenths: Whole) -> Whole:
        """2 to whole sixteenths, from -FEATURE_MAX to FEATURE_MAX."""
        return self._powers.take((sixteenths + FEATURE_MAX).astype(np.int64))

    def widths(self, logs: Integers) -> Whole:
        """2 to values in units of 2**-HIDDEN_BITS, cut off to FINEST and WIDEST, over STEPS.

        Values are taken down to whole sixteenths.
        """
        return self._widths.take(logs - int(FINEST * _ONE), mode="clip")

    def factors(self, logs: Integers) -> Whole:
        """e to values in units of 2**-HIDDEN_BITS, cut off to -LARGEST_BUMP and LARGEST_BUMP."""
        return self._factors.take(logs + _MOST_BUMP, mode="clip")

    def cumulative(self, places: Whole) -> Whole:
        """The logistic function of places in units of 1 / STEPS, linear between the entries of its table."""
        at = places + STEEPEST * STEPS
        low = np.floor(at)
        index = low.astype(np.int64)
        index += 1
        at -= low
        at *= self._slopes.take(index, mode="clip")
        at += self._levels.take(index, mode="clip")
        return at

    @cached_property
    def _powers(self) -> Whole:
        """2 to sixteenths, from -FEATURE_MAX on."""
        whole, part = np.divmod(np.arange(-FEATURE_MAX, FEATURE_MAX + 1), 16)
        result: Whole = np.ldexp(self.powers[part], whole - 30)
        return result

    @cached_property
    def _widths(self) -> Whole:
        """What `widths` finds, from FINEST on."""
        logs = np.arange(FINEST * _ONE, WIDEST * _ONE + 1)
        return self.lengths(np.floor(logs * (16.0 / _ONE))) * (1.0 / STEPS)

    @cached_property
    def _factors(self) -> Whole:
        """What `factors` finds, from -LARGEST_BUMP on."""
        logs = np.arange(-_MOST_BUMP, _MOST_BUMP + 1)
        size = self.exponential[np.abs(logs)] * (1.0 / TOTAL)
        return np.where(logs < 0, size, 1.0 / size)

    @cached_property
    def _levels(self) -> Whole:
        """The logistic function, with one entry more before its table."""
        return np.concatenate([self.logistic[:1], self.logistic])

    @cached_property
    def _slopes(self) -> Whole:
        """From each entry of `_levels` to the next; nothing before the table, nor after it."""
        return np.append(np.diff(self._levels), 0.0)


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
    whole = outputs.astype(np.int64)
    length = curves.lengths(lengths)[:, None]
    logs = whole[:, :COMPONENTS]
    # Beyond the end of the table is what is at its end.
    weight = curves.exponential.take(logs.max(axis=1, keepdims=True) - logs, mode="clip")
    ways = outputs[:, COMPONENTS:_WIDTHS_AT].reshape(N, SPANS, COMPONENTS) * spans.T[:, :, None]
    mean = ways[:, 0] + ways[:, 1]
    mean += ways[:, 2]
    mean *= length * (1.0 / _ONE / (1 << FEATURE_BITS))
    mean += offsets[:, None]
    width = curves.widths(whole[:, _WIDTHS_AT:_BUMPS_AT])
    width *= length
    np.maximum(width, NARROWEST / STEPS, out=width)
    places = EDGES - mean[:, :, None]
    places /= width[:, :, None]
    below = curves.cumulative(places)
    masses = below[:, :, 1:] - below[:, :, :-1]
    masses *= weight[:, :, None]
    density = masses[:, 0] + masses[:, 1]
    density += masses[:, 2]
    density += masses[:, 3]
    density /= np.add.reduce(weight, axis=1, keepdims=True) * TABLE
    density += _FLOORS
    factor = curves.factors(whole[:, _BUMPS_AT:])
    density[:, MIDDLE - 1 : MIDDLE + 2] *= factor[:, :BUMPED]
    density /= _UNITS
    weights = np.empty((N, BINS + CANDIDATES))
    np.multiply(density.take(tables.places), factor[:, BUMPED:], out=weights[:, BINS:])
    np.multiply(density, tables.room, out=weights[:, :BINS])
    np.floor(weights, out=weights)
    weights[:, BINS:] *= tables.valid
    present = np.empty((N, BINS + CANDIDATES))
    np.minimum(tables.room, 1.0, out=present[:, :BINS])
    present[:, BINS:] = tables.valid
    return proportional(weights, present)
