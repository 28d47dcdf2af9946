"""The next-scale transformer."""

from __future__ import annotations

from pathlib import Path

import torch
from support.prior import (
    SMALL,
    conditions,
    random_tokens,
    small_prior,
    unknown,
)
from support.tiny import TINY

from meshcodec.model.quantizer import resize
from meshcodec.prior.model import UNKNOWN, Conditions, scale_contexts
from meshcodec.registry import Registry
from meshcodec.weights import load_model


def test_a_sequence_block_by_block_gives_what_the_whole_gives(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer
    tokens, symbols = random_tokens(), torch.tensor([[5, 0, 3, 15], [0, 2, 0, 1]])
    contexts = scale_contexts(quantizer, tokens, 3)
    known = list(tokens.long().split(list(TINY.scale_tokens), dim=1))
    known[2][:, 5:] = UNKNOWN
    frame, scales = prior(conditions(), symbols, contexts, known)
    _, past = prior.extend(prior.condition_inputs(conditions()), None)
    for number in range(4):
        x, past = prior.extend(prior.box_inputs(symbols[:, :number], number), past)
        torch.testing.assert_close(prior.box_logits(x)[:, 0], frame[:, number], atol=1e-4, rtol=1e-4)
    _, past = prior.extend(prior.box_inputs(symbols, 4), past)
    for number, context in enumerate(contexts):
        x, past = prior.extend(prior.scale_inputs(number, context, known[number]), past)
        torch.testing.assert_close(prior.token_logits(number, x), scales[number], atol=1e-4, rtol=1e-4)


def test_a_scale_sees_nothing_of_itself_or_of_what_follows(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer
    symbols = torch.zeros(2, 4, dtype=torch.long)
    tokens = random_tokens()
    before = prior(conditions(), symbols, scale_contexts(quantizer, tokens, 3), unknown(tokens))
    ends = (0, *TINY.scale_ends())
    for scale in range(3):
        changed = tokens.clone()
        changed[:, ends[scale] : ends[scale + 1]] ^= 0b10101010
        after = prior(conditions(), symbols, scale_contexts(quantizer, changed, 3), unknown(tokens))
        torch.testing.assert_close(after[0], before[0])
        for other in range(3):
            same = torch.allclose(after[1][other], before[1][other], atol=1e-6)
            assert same == (other <= scale)


def test_a_known_token_counts_for_its_own_scale_and_those_after_it(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer
    contexts, none = scale_contexts(quantizer, random_tokens(), 3), unknown(random_tokens())
    symbols = torch.zeros(2, 4, dtype=torch.long)
    _, before = prior(conditions(), symbols, contexts, none)
    for scale in range(3):
        known = [part.clone() for part in none]
        known[scale][:, 1] = 77
        _, after = prior(conditions(), symbols, contexts, known)
        for other in range(3):
            same = torch.allclose(after[other], before[other], atol=1e-6)
            assert same == (other < scale)


def test_words_pictures_and_boxes_count(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer
    contexts, known = scale_contexts(quantizer, random_tokens(), 3), unknown(random_tokens())
    symbols = torch.zeros(2, 4, dtype=torch.long)
    given = prior(conditions(), symbols, contexts, known)
    none = prior(Conditions.none(2, SMALL, torch.device("cpu")), symbols, contexts, known)
    for row in range(2):  # words, then a picture
        assert (given[0][row] - none[0][row]).abs().max() > 1e-3
        assert (given[1][2][row] - none[1][2][row]).abs().max() > 1e-3
    other = prior(conditions(), torch.tensor([[0, 0, 0, 1]] * 2), contexts, known)
    torch.testing.assert_close(other[0], given[0])  # the last symbol is not seen by any symbol
    assert (other[1][0] - given[1][0]).abs().max() > 1e-3


def test_the_context_of_a_scale_is_what_the_scales_before_decode_to(tiny_weights: Path) -> None:
    quantizer = load_model(Registry(tiny_weights).default()).quantizer
    tokens = random_tokens()
    contexts = scale_contexts(quantizer, tokens, 3)
    assert not contexts[0].any()
    for scale, end in enumerate(TINY.scale_ends()[:2], 1):
        latent = quantizer.dequantize(quantizer.to_codes(tokens[:, :end]))
        torch.testing.assert_close(contexts[scale], resize(latent, TINY.scale_sides[scale]))
        torch.testing.assert_close(scale_contexts(quantizer, tokens[:, :end], scale + 1)[-1], contexts[scale])
