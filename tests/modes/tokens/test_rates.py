"""What tokens cost, as refinement sees it, and files whose tokens are coded."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coder import SHAPE, random_model
from support.refinement import first_guess, pool
from support.tiny import TINY
from torch import Tensor

from meshcodec.api import Codec
from meshcodec.cli.group import cli
from meshcodec.config import ModelConfig
from meshcodec.errors import CorruptFileError, UsageError, WeightsError
from meshcodec.format.container import VatFile
from meshcodec.format.payload import Packing
from meshcodec.format.token_coder import TokenModel
from meshcodec.model.quantizer import token_masks
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.fill import TokenBudget, shortest_payload, token_budget
from meshcodec.modes.tokens.rates import RateNetwork, TokenRates, bits_at
from meshcodec.modes.tokens.refine import RateControl, RateTerm, RefinementJob, refine, refine_batch
from meshcodec.registry import Registry
from meshcodec.tokens import TokenDataset
from meshcodec.weights import load_coder, load_model, save_coder

CPU = torch.device("cpu")
CODER = random_model(4)


def tiny_coder(wanted: int = 0b01_01_01_01) -> TokenModel:
    """For the model of `tiny_weights`: expects the digits of one token, and its contexts say a little."""
    quiet = random_model(4, loudness=2, shape=TINY)
    expected = np.zeros((4, 4), dtype=np.int64)
    for digit in range(4):
        expected[digit] = -(3 << 11) * abs(np.arange(4) - (wanted >> 2 * digit & 3))
    networks = tuple(dataclasses.replace(n, out_bias=n.out_bias + expected) for n in quiet.networks)
    return dataclasses.replace(quiet, networks=networks)


@pytest.fixture(scope="module")
def coded_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `tiny_weights` with a coder."""
    folder = tmp_path_factory.mktemp("coded")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    codec = Codec("cpu", folder)
    usual = int(np.bincount(codec.tokens(codec.encode(ball(), 1024, 0))).argmax())
    save_coder(tiny_coder(usual), folder, codec.model_id)
    return folder


def ball() -> trimesh.Trimesh:
    mesh: trimesh.Trimesh = trimesh.creation.icosphere(3)
    return mesh


# ---- rates


@pytest.mark.parametrize("count", [3, 15, 42, 20])
def test_rates_are_what_the_coder_takes(count: int) -> None:
    """Floating point sums over tables against the bytes of the integer coder; of a part of a scale, too."""
    rng = np.random.default_rng(count)
    tokens = rng.integers(0, 256, SHAPE.max_tokens).astype(np.uint8)
    levels, start = [], 0
    for side in SHAPE.scale_sides:
        part = tokens[start : start + 3 * side * side]
        digits = torch.from_numpy(part[:, None] // np.array([1, 4, 16, 64]) % 4 - 1.5).float()
        levels.append(digits.view(1, 3, side, side, 4))
        start += len(part)
    masks = token_masks(torch.tensor([count]), SHAPE)
    begun = levels[: len(masks)]
    tables = TokenRates(CODER, CPU).tables(begun, masks)
    bits = sum(float(bits_at(table, level).sum()) for table, level in zip(tables, begun, strict=True))
    assert len(CODER.encode(tokens[:count].tobytes())) == pytest.approx(bits / 8, abs=2)


def test_bits_between_levels_are_linear() -> None:
    table = torch.tensor([[5.0, 1.0, 2.0, 8.0]])
    places = torch.tensor([-1.5, -1.0, -0.5, 0.5, 1.25, 1.5, 1.9]).requires_grad_()
    bits = bits_at(table.expand(7, 4), places)
    assert bits.tolist() == pytest.approx([5, 3, 1, 2, 6.5, 8, 10.4])
    bits.sum().backward()
    assert places.grad is not None
    assert places.grad[[1, 4]].tolist() == pytest.approx([-4, 6])
    assert places.grad[6] == pytest.approx(6)  # a saturated digit is drawn back as well


def test_float_networks_round_to_the_integers_that_they_stand_for() -> None:
    for network in CODER.networks:
        again = RateNetwork.of(network).rounded()
        for name in ("weights", "bias", "own", "out", "out_bias"):
            assert (getattr(again, name) == getattr(network, name)).all()


def test_rate_control_keeps_tokens_within_their_room(tiny_weights: Path) -> None:
    """Refined for the same distances: fewer bits where they count, and the fewer the less room there is."""
    model = load_model(Registry(tiny_weights).default())
    coder = tiny_coder()
    sizes = []
    for room in (10_000, 40, 25):
        rate = RateControl(TokenRates(coder, CPU), 8 * room)
        digits = refine(model, first_guess(), *pool(0.8), [TINY.max_tokens], [], 60, rates=[rate])
        levels = [model.quantizer.quantize(d) for d in digits]
        sizes.append(len(coder.encode(model.quantizer.to_tokens(levels)[0].numpy().tobytes())))
    # What the likeliest tokens take is 19 bytes: of 63 that a random start has, most give way.
    assert sizes[0] > 100
    assert all(size <= room for size, room in zip(sizes[1:], (40, 25), strict=True))


def test_a_held_weight_may_only_fall() -> None:
    """While it is not known how many tokens there will be, too many of them are no reason to change them."""
    rates, masks = TokenRates(tiny_coder(), CPU), token_masks(torch.tensor([TINY.max_tokens]), TINY)
    digits = first_guess()
    levels = [torch.full_like(d, 1.5) for d in digits]
    for held, bits, change in ((True, 1, 0), (False, 1, 1), (True, 10**6, -1), (False, 10**6, -1)):
        rate = RateControl(rates, bits)
        rate.held = held
        before = rate._weight
        RateTerm([rate])(digits, levels, masks)
        assert np.sign(rate._weight - before) == change


def test_a_round_may_have_fewer_tokens_than_the_one_before() -> None:
    rate = RateControl(TokenRates(tiny_coder(), CPU), 100)
    for count in (TINY.max_tokens, 15):
        masks = token_masks(torch.tensor([count]), TINY)
        digits = first_guess()[: len(masks)]
        assert float(RateTerm([rate])(digits, [torch.full_like(d, 1.5) for d in digits], masks)) > 0


def test_counting_bits_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    TokenRates(tiny_coder(), CPU)
    assert torch.equal(torch.get_rng_state(), before)


# ---- sizes


def test_shorter_prefixes_are_refined_for_the_sizes_below() -> None:
    codec = Codec("cpu")
    rungs = {size: codec._lower_rungs(size) for size in (300, 512, 513, 1024, 4096)}
    assert rungs == {300: [], 512: [], 513: [5], 1024: [5], 4096: [5, 6, 7]}


def test_a_file_is_filled_with_the_longest_prefix() -> None:
    tokens = np.random.default_rng(0).integers(0, 256, SHAPE.max_tokens).astype(np.uint8).tobytes()
    for coder in (CODER, random_model(4, loudness=5)):  # one that makes things worse, and one that does not
        for size in range(64, 120):
            filling = TokenBudget(size, True, SHAPE, coder)
            found = filling.fill(tokens)
            assert tokens.startswith(found)
            assert len(shortest_payload(found, coder)[0]) <= filling.room
            if len(found) < len(tokens):
                assert len(coder.encode(tokens[: len(found) + 1])) > filling.room


def test_goals() -> None:
    shape, coder = ModelConfig(), random_model(0, shape=ModelConfig())
    goals = {size: TokenBudget(size, True, shape, coder).goal for size in (64, 512, 1024, 4096)}
    assert goals == {64: 54, 512: 816, 1024: 1686, 4096: 3978}
    assert TokenBudget(512, True, shape, None).goal == 471


@settings(deadline=None, max_examples=15)
@given(size=st.integers(64, 160), effort=st.sampled_from([0, 0, 1]))
def test_coded_files_hold_at_most_their_size(coded_weights: Path, size: int, effort: int) -> None:
    codec = Codec("cpu", coded_weights)
    data = codec.encode(ball(), size, effort)
    file = VatFile.from_bytes(data)
    assert len(data) <= size
    assert len(codec.tokens(data)) == file.count
    assert codec.decode(data, 32).is_watertight
    assert file.packing == (1 if len(file.payload) < file.count else 0)


def test_the_tokens_of_a_coded_file_are_those_of_bytes(coded_weights: Path, tiny_weights: Path) -> None:
    coded, plain = Codec("cpu", coded_weights), Codec("cpu", tiny_weights)
    expected = plain.tokens(plain.encode(ball(), 1024, 0))
    data = coded.encode(ball(), 1024, 0)
    assert VatFile.from_bytes(data).packing == 1
    assert coded.tokens(data).tolist() == expected.tolist()
    assert coded.encode(ball(), 1024, 0, packing="bytes") == plain.encode(ball(), 1024, 0)


def test_packing_bytes_has_as_many_tokens_in_every_file(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    for mesh in (ball(), trimesh.creation.box()):
        data = codec.encode(mesh, 80, 0, packing="bytes")
        assert VatFile.from_bytes(data).packing == 0
        assert VatFile.from_bytes(data).count == token_budget(80, TINY, level=False)
    with pytest.raises(UsageError, match="no packing 'zip'"):
        codec.encode(ball(), 80, 0, packing="zip")


# ---- files


def test_a_coded_file_without_its_coder(coded_weights: Path, tiny_weights: Path, tmp_path: Path) -> None:
    data = Codec("cpu", coded_weights).encode(ball(), 512, 0)
    with pytest.raises(CorruptFileError, match="has no coder here"):
        Codec("cpu", tiny_weights).decode(data)
    with pytest.raises(WeightsError, match="not installed"):
        Codec("cpu").decode(data)
    (tmp_path / "a.vat").write_bytes(data)
    shown = CliRunner().invoke(cli, ["info", str(tmp_path / "a.vat"), "--json"])
    assert json.loads(shown.output)[0]["packing"] == 1  # which needs no coder


@settings(deadline=None, max_examples=40)
@given(payload=st.binary(max_size=100), count=st.integers(1, TINY.max_tokens))
def test_any_payload_decodes_safely(coded_weights: Path, payload: bytes, count: int) -> None:
    """A right checksum over other tokens, or over no tokens at all: a mesh or one clear error."""
    codec = Codec("cpu", coded_weights)
    model_id = bytes.fromhex(codec.model_id)
    file = VatFile(payload=payload, model_id=model_id, count=count, packing=Packing.CODED)
    try:
        tokens = codec.tokens(file.to_bytes())
    except CorruptFileError:
        return
    assert len(tokens) == count


def test_more_coded_tokens_than_the_model_has(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    model_id = bytes.fromhex(codec.model_id)
    file = VatFile(payload=b"abc", model_id=model_id, count=65535, packing=Packing.CODED)
    for read in (codec.tokens, codec.decode):
        with pytest.raises(CorruptFileError, match="65535 tokens"):
            read(file.to_bytes())


def test_every_flip_and_truncation_of_a_coded_file_is_refused(coded_weights: Path) -> None:
    codec = Codec("cpu", coded_weights)
    data = codec.encode(ball(), 90, 0)
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(bytes(broken))
    for length in range(len(data)):
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(data[:length])


def test_a_data_set_of_coded_and_plain_files(coded_weights: Path, tmp_path: Path) -> None:
    codec = Codec("cpu", coded_weights)
    (tmp_path / "a.vat").write_bytes(codec.encode(ball(), 512, 0))
    (tmp_path / "b.vat").write_bytes(codec.encode(trimesh.creation.box(), 512, 0, packing="bytes"))
    data = TokenDataset(tmp_path, weights=coded_weights)
    assert data.length == TINY.max_tokens
    for number, path in enumerate(data.paths):
        assert data[number].tolist() == codec.tokens(path.read_bytes()).tolist()


# ---- the registry


def test_a_coder_is_saved_once_and_checked(tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    model_id = Registry(folder).default_id
    assert load_coder(Registry(folder).default()) is None
    path = save_coder(tiny_coder(), folder, model_id)
    loaded = load_coder(Registry(folder).default())
    assert loaded is not None
    tokens = bytes(range(TINY.max_tokens))
    assert loaded.encode(tokens) == tiny_coder().encode(tokens)
    with pytest.raises(WeightsError, match="has a coder, and files hang on it"):
        save_coder(tiny_coder(), folder, model_id)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_coder(Registry(folder).default())
    path.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        Codec("cpu", folder).encode(ball(), 512, 0)


# ---- batches


def together_and_alone(
    model: VariationalTokenizer, rounds: list[RefinementJob]
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    batch = refine_batch(model, [dataclasses.replace(r, rate=copy.deepcopy(r.rate)) for r in rounds])
    for asked, found in zip(rounds, batch, strict=True):
        (alone,) = refine_batch(model, [asked])
        yield found.digits, alone.digits


@pytest.mark.parametrize("coded", [False, True])
def test_meshes_of_a_batch_are_refined_as_each_alone(tiny_weights: Path, coded: bool) -> None:
    """Of other lengths, with other room, and one that begins fewer scales, which goes by itself."""
    model, rates = load_model(Registry(tiny_weights).default()), TokenRates(tiny_coder(), CPU)
    rounds = [
        RefinementJob(
            first_guess(seed=number),
            *pool(radius, 2000),
            tokens,
            [1],
            8,
            5,
            RateControl(rates, 8 * room) if coded else None,
            0.2,
        )
        for number, (radius, tokens, room) in enumerate(
            ((0.9, 20, 18), (0.5, 30, 15), (0.7, 12, 10), (0.6, 40, 9))
        )
    ]
    for found, alone in together_and_alone(model, rounds):
        assert len(found) == len(alone)
        for a, b in zip(found, alone, strict=True):
            assert a.shape == b.shape
            assert ((a - b).abs() < 1e-3).float().mean() > 0.97  # sums in another order
    moved = refine_batch(model, rounds[:1])[0].digits
    assert any(not torch.equal(a, b) for a, b in zip(moved, rounds[0].digits, strict=False))
