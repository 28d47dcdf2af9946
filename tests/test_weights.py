"""The shipped weights folder: small, nothing that the registry does not name; the dated release."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
import trimesh
from support.coder import tiny_coder
from support.paths import ROOT
from support.tiny import TINY

import meshcodec
from meshcodec.api import Codec
from meshcodec.diagnose import describe_installation
from meshcodec.errors import WeightsError
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.registry import Registry, weights_folder
from meshcodec.train.grow import grow
from meshcodec.weights import encodes, load_coder, load_model, save_coder, save_encoder

LARGEST_TOTAL = 14_000_000
"""Bytes that all files of the folder may take together: nearly all of the wheel."""
OTHER_FILES = {"registry.json", "MODEL_CARD.md", "LICENSE"}


def files_of(registry: Registry) -> set[Path]:
    """Weights files that the registry names: of its models, entropy models, priors, encoders, mesh coders."""
    files = set()
    for entry in registry.entries.values():
        files.add(entry.path)
        if entry.coder_path is not None:
            files.add(entry.coder_path)
        if entry.prior is not None:
            files.add(entry.prior.path)
        if entry.encoder is not None:
            files.add(entry.encoder.path)
    files.update(entry.path for entry in registry.mesh_coders.values())
    return files


def test_the_weights_folder_holds_what_the_registry_names_and_nothing_else() -> None:
    folder = weights_folder()
    named = {path.name for path in files_of(Registry())}
    assert {path.name for path in folder.iterdir()} == named | OTHER_FILES


def test_the_default_model_has_an_entropy_model_and_a_prior_named_after_it() -> None:
    entry = Registry().default()
    assert entry.path.stem == f"{entry.name}-{entry.model_id.hex()}"
    assert entry.coder_path == entry.path.with_name(f"{entry.path.stem}-coder.safetensors")
    assert entry.prior is not None
    assert entry.prior.path == entry.path.with_name(f"{entry.path.stem}-prior.safetensors")


def test_the_weights_that_ship_together_are_small() -> None:
    assert sum(path.stat().st_size for path in weights_folder().iterdir()) <= LARGEST_TOTAL


def test_the_model_card_describes_every_weights_file() -> None:
    card = (weights_folder() / "MODEL_CARD.md").read_text()
    for path in files_of(Registry()):
        assert f"| {path.name} |" in card, path


def test_the_changelog_has_a_dated_entry_for_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert releases[0] == meshcodec.__version__


def test_an_encoder_takes_the_place_of_the_models_own(tiny_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    before = load_model(Registry(folder).default())
    larger = VariationalTokenizer(dataclasses.replace(TINY, encoder_blocks=2, encoder_convs=1))
    grow(larger, before.state_dict())
    torch.manual_seed(0)
    for name, parameter in larger.named_parameters():
        if encodes(name):
            parameter.data += 0.1 * torch.randn_like(parameter)
    model_id = save_encoder(larger, folder)
    entry = Registry(folder).default()
    assert model_id == entry.model_id.hex() == Registry(tiny_weights).default_id
    assert entry.config == larger.config
    found, fault = describe_installation(folder)
    assert fault is None
    assert found["models"][0]["parts"] == ["encoder"]
    after = load_model(entry)
    points = torch.nn.functional.normalize(torch.randn(1, 64, 3), dim=-1)
    tokens = torch.randint(0, 256, (1, TINY.max_tokens), dtype=torch.uint8)
    assert torch.equal(after.planes(tokens), before.planes(tokens))
    wanted = larger.encoder(points, points)[0].detach()
    # int8 rows are the trained matrices but for a hundredth or so.
    torch.testing.assert_close(
        after.encoder(points, points)[0], wanted, rtol=0, atol=0.1 * wanted.std().item()
    )
    assert not torch.equal(after.encoder(points, points)[0], before.encoder(points, points)[0])
    next(larger.field.parameters()).data += 1e-3
    with pytest.raises(WeightsError, match="does not decode as the model"):
        save_encoder(larger, folder)
    assert entry.encoder is not None
    entry.encoder.path.unlink()
    with pytest.raises(WeightsError, match=f"{entry.encoder.path.name}: cannot be read"):
        load_model(entry)


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
        Codec("cpu", folder).encode(trimesh.creation.icosphere(2), 512, 0)
