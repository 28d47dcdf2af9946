"""The next-scale transformer: its parts, its training and its command."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripts import load_benchmark
from support.tiny import TINY

from meshcodec.api import Codec
from meshcodec.cli.group import cli
from meshcodec.config import PriorConfig
from meshcodec.errors import BadMeshError, WeightsError
from meshcodec.evaluation.generation import chamfer_matrix, set_scores, surface_points
from meshcodec.format.container import VatFile
from meshcodec.model.quantizer import resize
from meshcodec.prior.box import box_of_tokens, box_tokens
from meshcodec.prior.generate import Generator
from meshcodec.prior.model import UNKNOWN, Conditions, NextScaleTransformer, scale_contexts
from meshcodec.prior.sampling import Known, Sampling, draw, round_ends, sample
from meshcodec.prior.views import picture_view, shaded_view, silhouette
from meshcodec.prior.weights import load_prior, save_prior
from meshcodec.prior.words import word_ids, words_of
from meshcodec.registry import Registry
from meshcodec.train.corpus import read_corpus
from meshcodec.train.prior import PriorTrainer, Shapes, conditions_of, held_out_nats
from meshcodec.train.recipe import PriorRecipe
from meshcodec.weights import load_model

SMALL = PriorConfig(
    scales=3,
    width=32,
    heads=2,
    blocks=2,
    word_buckets=64,
    word_channels=8,
    image_side=32,
    image_channels=(4, 4, 8),
)
RECIPE = PriorRecipe(
    model=SMALL, steps=250, batch=2, learning_rate=3e-3, warmup=10, ema=0.9, validate_every=1000
)


def small_prior(seed: int = 0) -> NextScaleTransformer:
    """Random weights, residual branches included, so that everything has an effect."""
    torch.manual_seed(seed)
    prior = NextScaleTransformer(SMALL, TINY).eval()
    for parameter in prior.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return prior.requires_grad_(False)


def random_tokens(seed: int = 0, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, TINY.max_tokens), generator=generator).to(torch.uint8)


def unknown(tokens: torch.Tensor) -> list[torch.Tensor]:
    """None of the tokens of any scale."""
    return list(torch.full(tokens.shape, UNKNOWN).split(list(TINY.scale_tokens), dim=1))


def conditions(batch: int = 2) -> Conditions:
    """The first shape has words, the last a picture."""
    views = torch.rand(batch, 32, 32, generator=torch.Generator().manual_seed(1)).numpy()
    texts = [["chair", "office"], *([[]] * (batch - 1))]
    return conditions_of(texts, views, np.arange(batch) == batch - 1, RECIPE)


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


# ---- words, boxes, pictures


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


@given(st.tuples(*[st.integers(0, 15)] * 3), st.integers(0, 7))
def test_boxes_of_symbols_are_those_symbols_again(lengths: tuple[int, int, int], mirrors: int) -> None:
    longest_first = [length - min(lengths) for length in lengths]
    symbols = [mirrors, *longest_first]
    assert box_tokens(*box_of_tokens(symbols)) == symbols
    assert max(box_of_tokens([mirrors, *lengths])[0]) == 1


@given(st.tuples(*[st.floats(0.13, 1)] * 3))
def test_boxes_are_rounded_by_less_than_a_tenth_of_an_octave(box: tuple[float, float, float]) -> None:
    rounded, mirrored = box_of_tokens(box_tokens(box, (False, True, False)))
    assert mirrored == (False, True, False)
    ratios = np.array(rounded) / (np.array(box) / max(box))
    assert np.abs(np.log2(ratios)).max() <= 0.1 + 1e-9


def test_a_ball_seen_from_anywhere_is_a_centred_disc() -> None:
    ball = trimesh.creation.icosphere(4)
    for azimuth, elevation, up in ((0, 0, "y"), (130, 40, "z")):
        view = shaded_view(ball.vertices + 7, ball.faces, azimuth, elevation, up, 64)
        assert view.dtype == np.float32
        disc = silhouette(view) > 0
        ys, xs = np.nonzero(disc)
        assert abs(ys.mean() - 31.5) < 0.5
        assert abs(xs.mean() - 31.5) < 0.5
        assert disc.mean() == pytest.approx(np.pi / 4 * 0.9**2, abs=0.03)
        assert set(np.unique(silhouette(view))) == {np.float32(0), np.float32(0.8)}


def test_a_mesh_that_cannot_be_seen_is_an_empty_view() -> None:
    assert not shaded_view(np.zeros((3, 3)), np.array([[0, 1, 2]]), 0, 0, "y", 32).any()


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
def test_a_picture_is_cut_out_of_its_background(tmp_path: Path, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((90, 120, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = 250, 0 if mode == "RGBA" else 255
    pixels[20:80, 70:100] = (60, 60, 60, 255)  # twice as high as wide
    image.fromarray(pixels, "RGBA").convert(mode).save(tmp_path / "p.png")
    view = picture_view(tmp_path / "p.png", 64)
    rows, columns = (np.flatnonzero((view > 0.1).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (58, 29)
    assert abs(rows.mean() - 31.5) <= 0.5
    assert abs(columns.mean() - 31.5) <= 0.5
    assert view[32, 32] == pytest.approx(60 / 255, abs=0.01)


def test_pictures_of_nothing_are_refused(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (50, 50), (10, 20, 30)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(BadMeshError, match="stands out"):
        picture_view(tmp_path / "plain.png", 64)
    for name in ("text.png", "missing.png"):
        with pytest.raises(BadMeshError, match="not a picture"):
            picture_view(tmp_path / name, 64)


# ---- the transformer


def test_a_sequence_block_by_block_gives_what_the_whole_gives(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer
    tokens, symbols = random_tokens(), torch.tensor([[5, 0, 3, 15], [0, 2, 0, 1]])
    contexts = scale_contexts(quantizer, tokens, 3)
    known = list(tokens.long().split(list(TINY.scale_tokens), dim=1))
    known[2][:, 5:] = UNKNOWN
    frame, scales = prior(conditions(), symbols, contexts, known)
    _, past = prior.extend(prior.conditions(conditions()), None)
    for number in range(4):
        x, past = prior.extend(prior.frame(symbols[:, :number], number), past)
        torch.testing.assert_close(prior.frame_logits(x)[:, 0], frame[:, number], atol=1e-4, rtol=1e-4)
    _, past = prior.extend(prior.frame(symbols, 4), past)
    for number, context in enumerate(contexts):
        x, past = prior.extend(prior.scale(number, context, known[number]), past)
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


# ---- drawing


def test_drawing_follows_the_probabilities() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = shares.log().expand(1, 20_000, 4)
    for sampling, expected in (
        (Sampling(top_p=1.0), shares),
        (Sampling(top_p=1.0, top_k=2), torch.tensor([0.625, 0.375, 0, 0])),
        (Sampling(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0])),
        (Sampling(top_p=1.0, temperature=0.5), shares**2 / (shares**2).sum()),
        (Sampling(top_p=0.01), torch.tensor([1.0, 0, 0, 0])),
    ):
        drawn = draw(logits, sampling, torch.Generator().manual_seed(0))[0]
        found = torch.bincount(drawn, minlength=4) / 20_000
        assert (found - expected).abs().max() < 0.015
        assert not found[expected == 0].any()


@given(st.integers(1, 400), st.integers(1, 12))
def test_rounds_draw_all_tokens_and_more_and_more_of_them(count: int, rounds: int) -> None:
    ends = round_ends(count, rounds)
    assert len(ends) == min(rounds, count)
    assert ends[-1] == count
    assert (np.diff([0, *ends]) >= 1).all()


def test_rounds_follow_the_cosine() -> None:
    assert round_ends(300, 1) == [300]
    assert round_ends(300, 4) == [23, 88, 185, 300]
    assert round_ends(3, 8) == [1, 2, 3]


def test_the_same_seed_draws_the_same_and_what_is_known_is_kept(tiny_weights: Path) -> None:
    prior, quantizer = small_prior(), load_model(Registry(tiny_weights).default()).quantizer

    def drawn(
        seed: int, known: Known, guidance: float = 2.0, rounds: int = 8
    ) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        sampling = Sampling(guidance=guidance, rounds=rounds)
        return sample(prior, quantizer, conditions(), sampling, known, generator)

    first, again, other = (drawn(seed, Known()) for seed in (1, 1, 2))
    assert first[1].shape == (2, TINY.max_tokens)
    assert first[0][:, 0].max() < 8
    torch.testing.assert_close(again, first)
    assert (other[1] != first[1]).any()
    assert (drawn(1, Known(), 0.0)[1] != first[1]).any()
    assert (drawn(1, Known(), rounds=1)[1] != first[1]).any()
    kept = random_tokens(9)[0, : TINY.scale_ends()[1]]
    symbols, tokens = drawn(3, Known(torch.tensor([1, 2, 3, 4]), kept))
    assert symbols.tolist() == [[1, 2, 3, 4]] * 2
    assert (tokens[:, : len(kept)] == kept).all()
    assert (tokens[0, len(kept) :] != tokens[1, len(kept) :]).any()


# ---- training


def two_shapes() -> Shapes:
    """Two that differ in everything; a flip changes nothing."""
    tokens = random_tokens(5)[:, None].repeat(1, 2, 1).numpy()
    views = np.zeros((2, 4, 32, 32), dtype=np.uint8)
    views[0, :, 8:24], views[1, :, :, 14:18] = 200, 200
    symbols = np.array([[0, 0, 5, 2], [7, 9, 0, 0]], dtype=np.uint8)
    return Shapes(tokens, tokens, symbols, views, np.array(["round table", "tall lamp"]))


@pytest.fixture(scope="module")
def trained(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder whose prior knows the two shapes by heart."""
    run_folder = tmp_path_factory.mktemp("run")
    shapes = {field.name: getattr(two_shapes(), field.name) for field in dataclasses.fields(Shapes)}
    for split in ("train", "validation"):
        np.savez(run_folder / f"{split}-000.npz", **shapes)
    folder = tmp_path_factory.mktemp("with-prior")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    entry = Registry(folder).default()
    trainer = PriorTrainer(RECIPE, load_model(entry), run_folder)
    start = held_out_nats(trainer.averaged, trainer.tokenizer, trainer.validation, RECIPE)
    assert trainer.run()[0] < start[0] - 3
    save_prior(trainer.averaged, folder, entry.model_id.hex())
    return folder


def test_training_learns_two_shapes_by_their_words_and_pictures(trained: Path) -> None:
    prior = load_prior(Registry(trained).default())
    quantizer = load_model(Registry(trained).default()).quantizer
    assert prior is not None
    shapes = two_shapes()
    likeliest = Sampling(top_k=1, guidance=0)
    views = shapes.views[:, 0].astype(np.float32) / np.float32(255)
    cases: list[tuple[list[list[str]], bool]] = [([["table"], ["lamp"]], False), ([[], []], True)]
    for texts, shown in cases:
        given = conditions_of(texts, views, np.full(2, shown), RECIPE)
        symbols, tokens = sample(prior, quantizer, given, likeliest, Known(), torch.Generator())
        assert symbols.tolist() == shapes.symbols.tolist()
        assert (tokens.numpy() == shapes.tokens[:, 0]).mean() > 0.98


def test_a_run_goes_on_from_its_checkpoint(trained: Path, tmp_path: Path) -> None:
    shapes = {field.name: getattr(two_shapes(), field.name) for field in dataclasses.fields(Shapes)}
    for split in ("train", "validation"):
        np.savez(tmp_path / f"{split}-000.npz", **shapes)
    tokenizer = load_model(Registry(trained).default())
    first = PriorTrainer(dataclasses.replace(RECIPE, steps=3), tokenizer, tmp_path)
    first.run()
    second = PriorTrainer(dataclasses.replace(RECIPE, steps=5), tokenizer, tmp_path)
    assert second.step == 3
    for name, value in first.averaged.state_dict().items():
        torch.testing.assert_close(second.averaged.state_dict()[name], value)
    second.run()
    assert second.step == 5
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 5]


def test_captions_come_from_the_index_or_the_path(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 4))
    np.savez(
        tmp_path / "shard_00.npz",
        vertices=np.rint((box.vertices / 2 + 1) * 32767.5).astype(np.uint16),
        faces=box.faces,
        voff=np.array([0, 8]),
        foff=np.array([0, 12]),
        ids=np.array(["a1"]),
    )
    (tmp_path / "index.csv").write_text("id,source_repo,path,category\na1,some/where,x/OldChest.glb,prop\n")
    (item,) = read_corpus(tmp_path)
    assert (item.source, words_of(item.caption)) == ("some/where", ["prop", "old", "chest"])
    assert np.ptp(item.mesh()[0], axis=0) == pytest.approx([0.5, 1, 2], abs=1e-3)  # as it is
    assert np.ptp(item.load()[0], axis=0) == pytest.approx([2, 2, 2], abs=0.02)  # in its box


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six boxes in six folders."""
    folder = tmp_path / "corpus"
    for number in range(6):
        (folder / f"kind{chr(97 + number)}").mkdir(parents=True)
        trimesh.creation.box((1, 2, 3 + number)).export(folder / f"kind{chr(97 + number)}" / "wooden_box.ply")
    return folder


def test_the_command_prepares_trains_and_registers(tiny_weights: Path, corpus: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    recipe = tmp_path / "recipe.json"
    model = {**SMALL.to_dict(), "scales": 2}
    sources = ["kinde", "kindf"]
    recipe.write_text(json.dumps({"model": model, "steps": 2, "batch": 2, "validation_sources": sources}))
    words = (
        "train",
        "prior",
        weights,
        "--corpus",
        corpus,
        "--recipe",
        recipe,
        "-o",
        tmp_path / "run",
        "-j",
        1,
    )
    result = run(*words)
    assert result.exit_code == 0, result.output
    entry = Registry(weights).default()
    assert entry.prior is not None
    assert entry.prior.config.scales == 2
    with np.load(tmp_path / "run" / "train-000.npz") as made:
        assert made["tokens"].shape == (4, 2, TINY.scale_ends()[1])
        assert sorted(made["captions"]) == [f"kind{letter} wooden box" for letter in "abcd"]
        assert (made["symbols"][:, 0] == 7).all()  # a box is symmetric to all three planes
    assert len(json.loads((tmp_path / "run" / "report.json").read_text())) == 2
    before = (tmp_path / "run" / "train-000.npz").stat().st_mtime_ns
    assert run(*words).exit_code == 0  # nothing left to do, and the prior is replaced by itself
    assert (tmp_path / "run" / "train-000.npz").stat().st_mtime_ns == before
    generated = run("generate", "-o", tmp_path / "out", "-n", 2, "--weights", weights, "--no-sheet")
    assert generated.exit_code == 0, generated.output


# ---- generating


def test_generated_files_are_ordinary_ones(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    out = tmp_path / "new"
    words = ("generate", "-n", 3, "--seed", 4, "--weights", trained, "--json")
    result = run(*words, "-o", out)
    assert result.exit_code == 0, result.output
    files = sorted(out.glob("*.vat"))
    assert [path.name for path in files] == ["0000.vat", "0001.vat", "0002.vat"]
    assert [record["bytes"] for record in json.loads(result.stdout)] == [len(p.read_bytes()) for p in files]
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG")
    codec = Codec("cpu", trained)
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


def test_words_decide_what_is_generated(trained: Path) -> None:
    generator, shapes = Generator(Codec("cpu", trained)), two_shapes()
    for row, text in enumerate(("a round TABLE", "lamp")):
        made = generator.generate(2, text=text, sampling=Sampling(top_k=1))
        tokens = generator._codec.tokens(made[1].data)
        assert (tokens == shapes.tokens[row, 0]).mean() > 0.95


def test_variations_keep_the_box_and_the_coarse_scales(trained: Path, tmp_path: Path) -> None:
    codec = Codec("cpu", trained)
    tokens = random_tokens(11)[0].numpy()
    original = codec.from_tokens(tokens, scale=(3.0, 1.5, 0.75), mirrored=(False, True, False))
    (tmp_path / "a.vat").write_bytes(original)
    like = ("--like", tmp_path / "a.vat")
    assert (
        run("generate", "-o", tmp_path / "o", "-n", 2, "--weights", trained, "--no-sheet", *like).exit_code
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
    words = ("generate", "-o", tmp_path / "p", "--weights", trained, "--like", tmp_path / "short.vat")
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
    trained: Path, tmp_path: Path, words: tuple[object, ...], code: int, message: str
) -> None:
    pytest.importorskip("PIL")
    result = run("generate", "-o", tmp_path / "out", "--weights", trained, *words)
    assert result.exit_code == code
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_a_prior_is_stored_in_bytes_for_all_models_that_share_it(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "registry.json"
    content = json.loads(path.read_text())
    first = content["default"]
    content["models"]["00000000"] = content["models"][first]
    path.write_text(json.dumps(content))
    prior = load_prior(Registry(tmp_path).default())
    assert prior is not None
    head = prior.out[0]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight[0] = 0  # a row without a largest value
        head.weight[1] *= 3
    file = save_prior(prior, tmp_path, first)
    matrices = sum(p.numel() for p in prior.parameters() if p.ndim > 1)
    assert file.stat().st_size < 1.3 * matrices
    for entry in Registry(tmp_path).entries.values():
        loaded = load_prior(entry)
        assert loaded is not None
        for (name, one), other in zip(prior.state_dict().items(), loaded.parameters(), strict=True):
            step = one.flatten(1).abs().amax(1) / 127 if one.ndim > 1 else one.abs() / 1024
            error = (one - other).abs().flatten(1).amax(1) if one.ndim > 1 else (one - other).abs()
            assert bool((error <= 0.501 * step + 1e-7).all()), name


def test_a_model_without_a_prior_says_so(tiny_weights: Path, tmp_path: Path) -> None:
    result = run("generate", "-o", tmp_path / "out", "--weights", tiny_weights)
    assert result.exit_code == 5
    assert "has no prior" in result.output
    assert not (tmp_path / "out").exists()


def test_a_damaged_prior_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    entry = Registry(tmp_path).default()
    assert entry.prior is not None
    data = bytearray(entry.prior.path.read_bytes())
    data[-1] ^= 1
    entry.prior.path.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_prior(entry)
    assert "ok, prior" in run("doctor", "--weights", trained).output
    examined = run("doctor", "--weights", tmp_path)
    assert examined.exit_code == 5
    assert "-prior.safetensors: SHA-256" in examined.output


# ---- measures of sets


def test_chamfer_distances_of_known_clouds() -> None:
    zero, one = np.zeros((5, 3)), np.array([[1.0, 0, 0]])
    both = np.concatenate([zero, one])
    matrix = chamfer_matrix([zero, both], [zero, one])
    assert matrix == pytest.approx(np.array([[0, 2], [1 / 6, 5 / 6]]))


def test_points_lie_on_the_surface_in_the_unit_frame() -> None:
    ball = trimesh.creation.icosphere(4, radius=5)
    points = surface_points(ball.vertices + 3, ball.faces, 4000, 0)
    assert points.shape == (4000, 3)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1, abs=0.01)
    assert np.abs(points.mean(axis=0)).max() < 0.05


def test_scores_of_sets_that_are_the_same_and_that_are_far_apart() -> None:
    line = np.arange(6.0)
    within = np.square(line[:, None] - line)
    same = set_scores(within, within, within)
    assert (same.coverage, same.mmd, same.one_nna) == (1, 0, 0)  # the nearest is one's twin in the other set
    far = set_scores(within, within, within.T + 100)
    assert (far.coverage, far.mmd, far.one_nna) == (1, 100, 1)
    collapsed = set_scores(np.zeros((4, 4)), within, np.tile(within[2], (4, 1)))
    assert collapsed.coverage == 1 / 6
    assert collapsed.mmd == pytest.approx(np.square(line - 2).mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 1000))
def test_scores_lie_in_their_ranges(made: int, real: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clouds = [rng.normal(size=(8, 3)) for _ in range(made + real)]
    matrix = chamfer_matrix(clouds, clouds)
    scores = set_scores(matrix[:made, :made], matrix[made:, made:], matrix[:made, made:])
    assert 1 / real <= scores.coverage <= min(1, made / real)
    assert scores.mmd == pytest.approx(matrix[:made, made:].min(axis=0).mean())
    assert 0 <= scores.one_nna <= 1


def test_the_benchmark_compares_sets(
    trained: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"validation_sources": ["kinde", "kindf"]}))
    out = tmp_path / "out.json"
    words = ("--corpus", corpus, "--recipe", recipe, "--weights", trained, "--points", 64, "-o", out)
    monkeypatch.setattr("sys.argv", ["generation.py", *map(str, words)])
    load_benchmark("generation").main()
    sets = json.loads(out.read_text())["sets"]
    assert {name: made["shapes"] for name, made in sets.items()} == {
        "prior": 2,
        "random tokens": 2,
        "training meshes": 2,
    }
    # Long boxes are more like long boxes than like balls, which is what these weights decode everything to.
    assert sets["training meshes"]["mmd"] < sets["random tokens"]["mmd"]
    assert "training meshes" in capsys.readouterr().out


def test_the_shipped_prior_draws_closed_shapes_in_small_files() -> None:
    (shape,) = Generator(Codec("cpu")).generate(1, seed=3, text="car")
    assert shape.mesh.is_watertight
    assert VatFile.from_bytes(shape.data).count == 471
    assert len(shape.data) < 471
