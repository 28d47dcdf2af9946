"""How many tokens a file of a size holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coder import SHAPE, random_model

from meshcodec.config import SIZES, ModelConfig
from meshcodec.errors import UsageError
from meshcodec.format.container import VatFile
from meshcodec.format.short_header import MODELS
from meshcodec.modes.tokens.fill import TokenBudget, shorter_prefixes, shortest_payload, token_budget

CODER = random_model(4)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [(512, 471), (1024, 978), (2048, 1950), (4096, 3978), (700, 679), (64, 43), (513, 492), (5000, 3978)],
)
def test_preset_sizes_end_at_a_scale_and_others_are_filled(size: int, tokens: int) -> None:
    config = ModelConfig()
    assert token_budget(size, config) == tokens
    assert token_budget(size, config, version=1) == (tokens - 11 if size in (700, 64, 513) else tokens)
    if size in SIZES.values():
        assert tokens in config.scale_ends()


@settings(deadline=None)
@given(st.integers(64, 5000), st.sampled_from([1, 2]))
def test_no_file_is_larger_than_asked_for(size: int, version: int) -> None:
    config = ModelConfig()
    tokens = token_budget(size, config, version=version)
    assert 1 <= tokens <= config.max_tokens
    data = VatFile(
        payload=bytes(tokens), model_id=MODELS[0], count=tokens, center=(0.0, 0.0, 0.0),
        half_extents=(1.0, 1.0, 1.0), iso_offset=1, version=version,
    ).to_bytes()  # fmt: skip
    assert len(data) <= size
    if size not in SIZES.values() and tokens < config.max_tokens:
        assert len(data) == size


@pytest.mark.parametrize("size", [-1, 0, 63])
def test_too_small_a_size_is_refused(size: int) -> None:
    with pytest.raises(UsageError):
        token_budget(size, ModelConfig())


def test_shorter_prefixes_are_refined_for_the_sizes_below() -> None:
    found = {size: shorter_prefixes(size, ModelConfig()) for size in (300, 512, 513, 1024, 4096)}
    assert found == {300: [], 512: [], 513: [5], 1024: [5], 4096: [5, 6, 7]}


@pytest.mark.slow
def test_a_file_is_filled_with_the_longest_prefix() -> None:
    tokens = np.random.default_rng(0).integers(0, 256, SHAPE.max_tokens).astype(np.uint8).tobytes()
    for coder in (CODER, random_model(4, loudness=5)):  # one that makes things worse, and one that does not
        for size in range(64, 120):
            budget = TokenBudget(size, True, SHAPE, coder)
            found = budget.longest_prefix(tokens)
            assert tokens.startswith(found)
            assert len(shortest_payload(found, coder)[0]) <= budget.payload_bytes
            if len(found) < len(tokens):
                assert len(coder.encode(tokens[: len(found) + 1])) > budget.payload_bytes


def test_more_tokens_are_refined_than_there_are_bytes() -> None:
    shape, coder = ModelConfig(), random_model(0, shape=ModelConfig())
    counts = {size: TokenBudget(size, True, shape, coder).refined_tokens for size in (64, 512, 1024, 4096)}
    assert counts == {64: 73, 512: 834, 1024: 1705, 4096: 3978}
    assert TokenBudget(512, True, shape, None).refined_tokens == 471


def test_more_tokens_are_refined_where_all_fit_and_leave_bytes() -> None:
    shape, coder = ModelConfig(), random_model(0, shape=ModelConfig())
    budget = TokenBudget(512, True, shape, coder)
    tokens = np.random.default_rng(0).integers(0, 256, 60).astype(np.uint8).tobytes()
    taken = len(coder.encode(tokens))
    assert budget.more_tokens(tokens) == 60 * budget.payload_bytes // taken
    assert budget.more_tokens(b"") == 0
    assert TokenBudget(16000, True, shape, coder).more_tokens(tokens) == shape.max_tokens
    assert TokenBudget(512, True, shape, None).more_tokens(tokens) == 60
