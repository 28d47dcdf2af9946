"""An entropy model with random networks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from meshcodec.config import ModelConfig
from meshcodec.format.token_coder import ScaleNetwork, TokenModel, cell_features
from support.tiny import TINY

SHAPE = ModelConfig(scale_sides=(1, 2, 3))
FADES = [round(math.exp(-k / 32) * 65536) for k in range(400)]
"""What the softmax of a network weighs each step by."""


def features_of(scale: int, shape: ModelConfig = SHAPE) -> int:
    absent = [np.zeros((1, 3, side, side, 4), dtype=np.int16) for side in shape.scale_sides]
    return int(cell_features(absent, scale, 1).shape[-1])


def random_model(seed: int, loudness: int = 60, hidden: int = 5, shape: ModelConfig = SHAPE) -> TokenModel:
    """Networks that depend on everything, in no sensible way."""
    rng = np.random.default_rng(seed)

    def numbers(*size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return rng.integers(-loudness, loudness + 1, size)

    networks = tuple(
        ScaleNetwork(
            numbers(features_of(scale, shape), hidden),
            numbers(4, hidden),
            numbers(4, 4, hidden),
            numbers(4, hidden, 4),
            numbers(4, 4),
        )
        for scale in range(3)
    )
    return TokenModel(shape, networks, np.array(FADES))


def tiny_coder(wanted: int = 0b01_01_01_01) -> TokenModel:
    """For the model of `tiny_weights`: expects the digits of one token, and its contexts say a little."""
    quiet = random_model(4, loudness=2, shape=TINY)
    expected = np.zeros((4, 4), dtype=np.int64)
    for digit in range(4):
        expected[digit] = -(3 << 11) * abs(np.arange(4) - (wanted >> 2 * digit & 3))
    networks = tuple(dataclasses.replace(n, out_bias=n.out_bias + expected) for n in quiet.networks)
    return dataclasses.replace(quiet, networks=networks)
