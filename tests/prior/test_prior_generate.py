"""New shapes as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.prior import (
    random_tokens,
    run,
    two_shapes,
)
from support.tiny import TINY

from meshcodec.api import Codec
from meshcodec.format.container import VatFile
from meshcodec.prior.generate import Generator
from meshcodec.prior.sampling import Sampling

pytestmark = [pytest.mark.train, pytest.mark.slow]  # the prior is trained first


def test_generated_files_are_ordinary_ones(prior_weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    out = tmp_path / "new"
    words = ("generate", "-n", 3, "--seed", 4, "--weights", prior_weights, "--json")
    result = run(*words, "-o", out)
    assert result.exit_code == 0, result.output
    files = sorted(out.glob("*.vat"))
    assert [path.name for path in files] == ["0000.vat", "0001.vat", "0002.vat"]
    assert [record["bytes"] for record in json.loads(result.stdout)] == [len(p.read_bytes()) for p in files]
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG")
    codec = Codec("cpu", prior_weights)
    for path in files:
        assert codec.decode(path.read_bytes(), 32).is_watertight
    again = run(*words, "-o", tmp_path / "again")
    assert again.exit_code == 0
    for path in files:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    refused = run(*words, "-o", out)
    assert refused.exit_code == 2
    assert "0000.vat exists" in refused.output
    assert run(*words, "-o", out, "-f").exit_code == 0


def test_words_decide_what_is_generated(prior_weights: Path) -> None:
    codec, shapes = Codec("cpu", prior_weights), two_shapes()
    generator = Generator(codec)
    for row, text in enumerate(("a round TABLE", "lamp")):
        made = generator.generate(2, text=text, sampling=Sampling(top_k=1))
        tokens = codec.tokens(made[1].data)
        assert (tokens == shapes.tokens[row, 0]).mean() > 0.95


def test_variations_keep_the_box_and_the_coarse_scales(prior_weights: Path, tmp_path: Path) -> None:
    codec = Codec("cpu", prior_weights)
    tokens = random_tokens(11)[0].numpy()
    original = codec.from_tokens(tokens, scale=(3.0, 1.5, 0.75), mirrored=(False, True, False))
    (tmp_path / "a.vat").write_bytes(original)
    like = ("--like", tmp_path / "a.vat")
    assert (
        run(
            "generate", "-o", tmp_path / "o", "-n", 2, "--weights", prior_weights, "--no-sheet", *like
        ).exit_code
        == 0
    )
    kept = TINY.scale_ends()[2]
    for path in (tmp_path / "o").glob("*.vat"):
        file = VatFile.from_bytes(path.read_bytes())
        assert file.mirrored == (False, True, False)
        assert np.array(file.half_extents) == pytest.approx([1, 0.5, 0.25], rel=0.02)
        assert (codec.tokens(path.read_bytes())[:kept] == tokens[:kept]).all()
    short = codec.from_tokens(tokens[: TINY.scale_ends()[0] + 1])
    (tmp_path / "short.vat").write_bytes(short)
    words = ("generate", "-o", tmp_path / "p", "--weights", prior_weights, "--like", tmp_path / "short.vat")
    refused = run(*words, "--keep-scales", 2)
    assert refused.exit_code == 2
    assert "choose 1 to 1" in refused.output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--text", "12 a"), 2, "has no word"),
        (("--keep-scales", 2), 2, "give --like"),
        (("--image", "missing.png"), 4, "not a picture"),
        (("--like", "missing.vat"), 4, "no such file"),
        (("-n", 0), 2, "-n"),
    ],
)
def test_what_cannot_be_generated_is_refused(
    prior_weights: Path, tmp_path: Path, words: tuple[object, ...], code: int, message: str
) -> None:
    pytest.importorskip("PIL")
    result = run("generate", "-o", tmp_path / "out", "--weights", prior_weights, *words)
    assert result.exit_code == code
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_prior_says_so(tiny_weights: Path, tmp_path: Path) -> None:
    result = run("generate", "-o", tmp_path / "out", "--weights", tiny_weights)
    assert result.exit_code == 5
    assert "has no prior" in result.output
    assert not (tmp_path / "out").exists()


def test_the_shipped_prior_draws_closed_shapes_in_small_files() -> None:
    (shape,) = Generator(Codec("cpu")).generate(1, seed=3, text="car")
    assert shape.mesh.is_watertight
    assert VatFile.from_bytes(shape.data).count == 471
    assert len(shape.data) < 471
