"""The replay buffer: how often each batch is trained on, and what moves."""

from __future__ import annotations

import collections
import itertools
import math

import pytest
import torch
from support.tiny import TINY
from torch import Tensor

from meshcodec.train.batches import AutoencoderBatch
from meshcodec.train.objective import Objective
from meshcodec.train.recipe import TrainConfig
from meshcodec.train.replay import ReplayBuffer

CONFIG = TrainConfig(model=TINY, queries=64, step_queries=32)


def batch(number: int) -> AutoencoderBatch:
    stream = torch.Generator().manual_seed(number)
    points = 2 * torch.rand(2, 64, 3, generator=stream) - 1
    normals = torch.nn.functional.normalize(torch.randn(2, 64, 3, generator=stream), dim=-1)
    return AutoencoderBatch(points, normals, points.clone(), torch.full((2, 64), float(number)))


def latents() -> list[Tensor]:
    return [torch.zeros(2, 3, side, side, 4) for side in TINY.scale_sides]


def schedule(visits: int, capacity: int, seed: int, steps: int) -> list[int]:
    """Which batch each step trains on, by its number."""
    replay, order, fresh = ReplayBuffer(visits, capacity, 0.1, seed), [], 0
    for _ in range(steps):
        entry = replay.next()
        if entry is None:
            replay.insert(batch(fresh), latents())
            order.append(fresh)
            fresh += 1
        else:
            order.append(int(entry.batch.distances[0, 0]))
            replay.step(entry)
    return order


def test_a_batch_is_trained_on_as_often_as_asked() -> None:
    order = schedule(visits=4, capacity=3, seed=0, steps=300)
    counts = collections.Counter(order)
    assert max(counts.values()) == 4
    assert sum(count < 4 for count in counts.values()) <= 3  # those that are still kept
    assert order[:3] == [0, 1, 2]


def test_processes_with_the_same_seed_go_on_in_step() -> None:
    assert schedule(5, 4, seed=1, steps=60) == schedule(5, 4, seed=1, steps=60)
    assert schedule(5, 4, seed=1, steps=60) != schedule(5, 4, seed=2, steps=60)


def test_one_visit_is_training_without_replay() -> None:
    assert schedule(1, 4, seed=0, steps=5) == [0, 1, 2, 3, 4]


def test_new_batches_may_come_while_the_buffer_is_full() -> None:
    replay, kinds = ReplayBuffer(3, 2, 0.1, seed=0, fresh=0.5), collections.Counter[str]()
    for number in range(400):
        entry, before = replay.next(), replay.entries
        if entry is None:
            replay.insert(batch(number), latents())
            kinds["kept" if replay.entries != before else "passing"] += 1
        else:
            replay.step(entry)
            kinds["replayed"] += 1
    # A batch that is kept has two later visits; while the buffer is full, half of the steps take new ones.
    assert 2 * (kinds["kept"] - 2) <= kinds["replayed"] <= 2 * kinds["kept"]
    assert 0.8 < kinds["passing"] / kinds["replayed"] < 1.2


def test_the_rate_of_the_latents_falls_to_its_share() -> None:
    replay, rates = ReplayBuffer(5, 1, 0.1, seed=0, decay=0.2), []
    replay.insert(batch(0), latents())
    while entry := replay.next():
        for d in entry.latents:
            d.grad = torch.ones_like(d)
        replay.step(entry)
        rates.append(entry.optimizer.param_groups[0]["lr"])
    expected = [0.1 * (0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * visit / 5))) for visit in range(1, 5)]
    assert rates == pytest.approx(expected)


@pytest.mark.slow
def test_a_visit_moves_the_latents_of_that_batch_only() -> None:
    torch.manual_seed(0)
    objective, replay = Objective(CONFIG), ReplayBuffer(3, 2, 0.05, seed=0)
    for number in range(2):
        _, free, _ = objective(batch(number), quantized=True)
        replay.insert(batch(number), free)
    entry = replay.next()
    assert entry is not None
    (other,) = (g for g in replay.entries if g is not entry)
    before = [[d.detach().clone() for d in g.latents] for g in (entry, other)]
    loss, _ = objective.replay(entry)
    loss.backward()
    encoding = {id(p) for p in objective.parameters()} - {id(p) for p in objective.decoding_parameters()}
    assert all(p.grad is None for p in objective.parameters() if id(p) in encoding)
    assert any(p.grad is not None for p in objective.decoding_parameters())
    replay.step(entry)
    assert entry.visits == 2
    moved = [not torch.equal(a, b) for a, b in zip(before[0], entry.latents, strict=True)]
    assert moved[0]  # the first scale is in every prefix
    assert all(torch.equal(a, b) for a, b in zip(before[1], other.latents, strict=True))
    assert (
        max(float((a - b.detach()).abs().max()) for a, b in zip(before[0], entry.latents, strict=True)) < 0.06
    )


def test_latents_compose_to_what_the_quantizer_gives() -> None:
    torch.manual_seed(0)
    quantizer = Objective(CONFIG).model.quantizer
    z = torch.randn(2, 3, TINY.latent_side, TINY.latent_side, TINY.latent_channels)
    keep = torch.tensor([1, len(TINY.scale_sides)])
    tokens = torch.tensor(TINY.scale_ends())[keep - 1]
    torch.testing.assert_close(quantizer.compose(quantizer.project(z), tokens), quantizer(z, keep))


def test_a_prefix_that_ends_within_a_scale() -> None:
    """As when a mesh is encoded: absent tokens of a scale that has begun are latents of zero."""
    torch.manual_seed(0)
    quantizer = Objective(CONFIG).model.quantizer
    tokens = torch.randint(0, 256, (2, TINY.max_tokens), dtype=torch.uint8)
    lengths = [TINY.scale_ends()[1] - 2, TINY.scale_ends()[0]]
    free = [3 * d / quantizer.levels.max() for d in quantizer.to_codes(tokens)]
    whole = [quantizer.quantize(d) for d in free]
    rounded = quantizer.to_tokens(whole)
    together = quantizer.compose(free, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = quantizer.dequantize(quantizer.to_codes(rounded[row : row + 1, :length]))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_prefixes_of_training_are_those_of_files() -> None:
    """Whole scales, and whatever number of coded tokens fills a file, from one size to the next."""
    torch.manual_seed(0)
    objective = Objective(TrainConfig())
    ends = objective.config.model.scale_ends()
    presets = [ends[count - 1] for count in objective.presets]
    assert len(presets) > 2
    drawn = objective.draw_tokens(4000).tolist()
    within = [tokens for tokens in drawn if tokens not in ends]
    assert min(within) > presets[0]
    share = 0.5 * (len(presets) - 1) / len(presets)  # from the last preset there is nothing to go on to
    assert abs(len(within) / len(drawn) - share) < 0.05
    for lower, upper in itertools.pairwise(presets):
        assert abs(sum(lower < n < upper for n in within) / len(within) - 1 / (len(presets) - 1)) < 0.05
    assert set(ends) <= set(drawn)
