"""Integer probabilities and the range coder: exact bytes, round trips, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coder import FADES, SHAPE, features_of, random_model

from meshcodec.errors import CorruptFileError
from meshcodec.format.range_coder import TOTAL_BITS, RangeDecoder, RangeEncoder
from meshcodec.format.token_coder import ScaleNetwork, TokenModel, cell_features, fronts, parent_features

FLAT = TokenModel(
    SHAPE,
    tuple(
        ScaleNetwork(
            np.zeros((features_of(scale), 1), dtype=np.int64),
            np.zeros((4, 1), dtype=np.int64),
            np.zeros((4, 4, 1), dtype=np.int64),
            np.zeros((4, 1, 4), dtype=np.int64),
            np.zeros((4, 4), dtype=np.int64),
        )
        for scale in range(3)
    ),
    np.array(FADES),
)
"""Knows nothing: every level is as likely as any other."""

token_rows = st.binary(max_size=SHAPE.max_tokens)


# ---- the range coder


def test_a_symbol_of_all_the_range_takes_nothing() -> None:
    coder = RangeEncoder()
    for _ in range(1000):
        coder.encode(0, 1 << TOTAL_BITS)
    assert coder.finish() == b""


@given(tokens=token_rows, seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_message_is_as_long_as_the_bits_of_its_tokens(tokens: bytes, seed: int) -> None:
    model = random_model(seed)
    bits = model.bits(tokens)
    assert bits.shape == (len(tokens),)
    assert (bits >= 0).all()
    assert abs(8 * len(model.encode(tokens)) - bits.sum()) <= 16
    assert FLAT.bits(tokens).sum() == pytest.approx(8 * len(tokens), abs=1e-2)


def test_bits_of_halves_are_the_message() -> None:
    coder = RangeEncoder()
    for bit in map(int, "0110100110010110"):
        coder.encode(bit << 15, 1 << 15)
    assert coder.finish() == bytes([0b01101001, 0b10010110])


def test_a_message_is_as_long_as_its_information() -> None:
    """An arithmetic coder loses a byte or two in all: 3000 symbols of probability 0.9 and 0.1."""
    symbols = (np.random.default_rng(0).random(3000) < 0.1).tolist()
    split = round(0.9 * 65536)
    coder = RangeEncoder()
    for symbol in symbols:
        coder.encode(split if symbol else 0, 65536 - split if symbol else split)
    bits = -sum(math.log2((65536 - split if symbol else split) / 65536) for symbol in symbols)
    message = coder.finish()
    assert len(message) == pytest.approx(bits / 8, abs=2)
    decoder = RangeDecoder(message)
    assert [bool(decoder.decode([0, split, 65536])) for _ in symbols] == symbols


@pytest.mark.slow
@given(st.lists(st.integers(0, 3), max_size=300), st.integers(0, 2**32 - 1))
def test_range_coder_round_trip(symbols: list[int], seed: int) -> None:
    """With any frequencies, the least and the greatest ones among them."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in symbols:
        cuts = np.sort(rng.choice(65535, 3, replace=False)) + 1 if rng.random() < 0.7 else np.array([1, 2, 3])
        tables.append([0, *cuts.tolist(), 65536])
    encoder = RangeEncoder()
    for symbol, table in zip(symbols, tables, strict=True):
        encoder.encode(table[symbol], table[symbol + 1] - table[symbol])
    decoder = RangeDecoder(encoder.finish())
    assert [decoder.decode(table) for table in tables] == symbols


def test_carries_run_through_the_message() -> None:
    """A long run of the last symbol of nearly all the range drives the number to 0xff bytes and over them."""
    tables = [[0, 1, 65536]] * 400 + [[0, 65535, 65536]] * 5
    symbols = [1] * 400 + [1] * 5
    encoder = RangeEncoder()
    for symbol, table in zip(symbols, tables, strict=True):
        encoder.encode(table[symbol], table[symbol + 1] - table[symbol])
    decoder = RangeDecoder(encoder.finish())
    assert [decoder.decode(table) for table in tables] == symbols


# ---- probabilities


def test_equal_logits_are_equal_frequencies() -> None:
    assert FLAT.frequencies(np.full((1, 4), -7)).tolist() == [[16384] * 4]


def test_frequencies_follow_the_logits() -> None:
    """A difference of 32 units is a factor of e: shares 1 : 1/e : 1/e^2 : nothing, and none below 1."""
    counts = FLAT.frequencies(np.array([[100, 68, 36, -100_000]]))[0]
    assert counts.sum() == 65536
    assert counts[3] == 1
    whole = 1 + math.exp(-1) + math.exp(-2)
    expected = [65536 * share / whole for share in (1, math.exp(-1), math.exp(-2))]
    assert counts[:3].tolist() == pytest.approx(expected, abs=3)


@pytest.mark.slow
@given(st.lists(st.integers(-(10**6), 10**6), min_size=4, max_size=4))
def test_frequencies_are_whole_and_positive(logits: list[int]) -> None:
    counts = FLAT.frequencies(np.array([logits]))[0]
    assert counts.min() >= 1
    assert counts.sum() == 1 << TOTAL_BITS
    assert counts.argmax() == int(np.argmax(logits)) or counts.max() == counts[int(np.argmax(logits))]


# ---- contexts


def test_fronts_hold_each_cell_once_and_after_its_neighbours() -> None:
    for side in (1, 2, 5, 13):
        order = np.concatenate(fronts(side))
        assert sorted(order.tolist()) == list(range(3 * side * side))
        front_of = {int(cell): number for number, front in enumerate(fronts(side)) for cell in front}
        for cell, front in front_of.items():
            plane, row, column = np.unravel_index(cell, (3, side, side))
            for down, right in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                if row + down >= 0 and 0 <= column + right < side:
                    neighbour = np.ravel_multi_index((plane, row + down, column + right), (3, side, side))
                    assert front_of[int(neighbour)] < front


def test_features_of_a_cell_name_its_surroundings() -> None:
    """Digits that spell where they are: plane, row, column of a 2 x 2 scale under a 4 x 4 one."""
    place = np.indices((3, 2, 2)).astype(np.int16)
    coarse = (100 * place[0] + 10 * place[1] + place[2] + 1)[None, ..., None]
    features = parent_features([coarse], 4, 5)
    assert features.shape == (1, 3, 4, 4, 8 + 9 + 2)
    row_column = features[0, 1, 3, 0]
    assert row_column[:8].tolist() == [12, -12, 12, 12, 0, 12, 0, 3 * 4]  # three scales are finer
    # Cell (3, 0) of plane 1 lies in (1, 0) of the coarse one; what is outside of the plane is 0.
    assert row_column[8:17].tolist() == [0, 101, 102, 0, 111, 112, 0, 0, 0]
    # Its row is axis 1 at 1, which is the column of plane 0: cells (0, 1), (1, 1), 2 + 12; the mean times 8.
    assert row_column[17] == (2 + 12) * 8 // 2
    # Its column is axis 2 at 0, which is the row of plane 2: cells (0, 0) and (0, 1).
    assert row_column[18] == (201 + 202) * 8 // 2


def test_cell_features_end_with_the_neighbours() -> None:
    place = np.indices((3, 3, 3)).astype(np.int16)
    own = (100 * place[0] + 10 * place[1] + place[2] + 1)[None, ..., None]
    features = cell_features([own], 0, 1)
    assert features[0, 0, 1, 1, -4:].tolist() == [11, 1, 2, 3]  # left, above left, above, above right
    assert features[0, 0, 0, 2, -4:].tolist() == [2, 0, 0, 0]


# ---- tokens


@pytest.mark.slow
@settings(deadline=None)
@given(token_rows, st.integers(0, 5))
def test_tokens_come_back(tokens: bytes, seed: int) -> None:
    model = random_model(seed)
    assert model.decode(model.encode(tokens), len(tokens)) == tokens


def test_without_knowledge_tokens_are_their_own_message() -> None:
    """Sixteen bits of range for each digit, coded front by front: the first scale has one front."""
    assert FLAT.encode(b"") == b""
    message = FLAT.encode(bytes([0b11_10_01_00, 0b00_00_00_11, 0b01_01_01_01]))
    # By digit, then by plane: least significant digits first.
    assert message == bytes([0b00_11_01_01, 0b00_01_10_00, 0b01_11_00_01])


def test_the_message_of_random_networks_is_pinned() -> None:
    """Bytes that every machine must give: whatever changes them makes written files unreadable."""
    tokens = bytes(range(7, 7 + SHAPE.max_tokens))
    assert random_model(1).encode(tokens).hex() == PINNED


def test_likely_tokens_take_fewer_bytes() -> None:
    """What a network says is likely is short, and the opposite long."""
    networks = tuple(
        ScaleNetwork(n.weights, n.bias, n.own, n.out, np.tile([0, 3 << 12, 0, 0], (4, 1)))
        for n in FLAT.networks
    )
    model = TokenModel(SHAPE, networks, FLAT.exponential)
    count = SHAPE.max_tokens
    likely, unlikely = (model.encode(bytes([token]) * count) for token in (0b01_01_01_01, 255))
    share = 1 / (1 + 3 * math.exp(-3))
    assert len(likely) == pytest.approx(-4 * count * math.log2(share) / 8, abs=2)
    assert len(unlikely) == pytest.approx(4 * count * (3 / math.log(2) - math.log2(share)) / 8, rel=0.01)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40), st.integers(0, SHAPE.max_tokens))
def test_any_other_message_is_refused(message: bytes, count: int) -> None:
    """Either the one way to write some tokens, or an error: no two files say the same."""
    model = random_model(3)
    try:
        tokens = model.decode(message, count)
    except CorruptFileError:
        return
    assert len(tokens) == count
    assert model.encode(tokens) == message


def test_bytes_after_the_message_are_refused() -> None:
    model = random_model(2)
    message = model.encode(bytes(range(20)))
    for wrong in (message + b"\0", message + b"\x80", message + b"\xff"):
        with pytest.raises(CorruptFileError, match="coded tokens are damaged"):
            model.decode(wrong, 20)


PINNED = (
    "d2ff5be4e4cbc6028766621aafcf2d51fe193d16166e523c099ccb5b4a2c5e58"
    "f0bddfb91f63e9e99a62a5035ba91c64b9af5b09860fc3b9fe7220"
)
