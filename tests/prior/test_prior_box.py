"""Box tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcodec.prior.box import box_of_tokens, box_tokens


@given(st.tuples(*[st.integers(0, 15)] * 3), st.integers(0, 7))
def test_boxes_of_symbols_are_those_symbols_again(lengths: tuple[int, int, int], mirrors: int) -> None:
    longest_first = [length - min(lengths) for length in lengths]
    symbols = [mirrors, *longest_first]
    assert box_tokens(*box_of_tokens(symbols)) == symbols
    assert max(box_of_tokens([mirrors, *lengths])[0]) == 1


@pytest.mark.slow
@given(st.tuples(*[st.floats(0.13, 1)] * 3))
def test_boxes_are_rounded_by_less_than_a_tenth_of_an_octave(box: tuple[float, float, float]) -> None:
    rounded, mirrored = box_of_tokens(box_tokens(box, (False, True, False)))
    assert mirrored == (False, True, False)
    ratios = np.array(rounded) / (np.array(box) / max(box))
    assert np.abs(np.log2(ratios)).max() <= 0.1 + 1e-9
