"""Words of texts and paths, and the rows of the table that they are."""

from __future__ import annotations

import pytest

from meshcodec.prior.words import word_ids, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("furniture/OfficeChair_02.obj", ["furniture", "office", "chair"]),
        ("robot src/meshes/visual/link_4.stl", ["robot", "link"]),
        ("Ein großer Tisch, ein Tisch", ["ein", "großer", "tisch"]),
        ("椅子椅 12 ab", ["椅子椅"]),
        ("", []),
    ],
)
def test_words_of_texts_and_paths(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_words_that_resemble_each_other_share_rows() -> None:
    chair, chairs, table = (set(word_ids([word], 1 << 20)) for word in ("chair", "chairs", "table"))
    assert len(chair) == 6  # the word, and ^ch cha hai air ir$
    assert len(chair & chairs) == 4
    assert not chair & table
    assert max(word_ids(["chair"], 64)) < 64
    assert word_ids(["chair"], 4096) == word_ids(["chair"], 4096) != word_ids(["table"], 4096)
