"""The prior's weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from support.prior import (
    run,
)

from meshcodec.errors import WeightsError
from meshcodec.prior.weights import load_prior, save_prior
from meshcodec.registry import Registry

pytestmark = [pytest.mark.train, pytest.mark.slow]  # the prior is trained first


def test_a_prior_is_stored_in_bytes_for_all_models_that_share_it(prior_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(prior_weights, tmp_path, dirs_exist_ok=True)
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


def test_a_damaged_prior_is_refused(prior_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(prior_weights, tmp_path, dirs_exist_ok=True)
    entry = Registry(tmp_path).default()
    assert entry.prior is not None
    data = bytearray(entry.prior.path.read_bytes())
    data[-1] ^= 1
    entry.prior.path.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_prior(entry)
    assert "ok, prior" in run("doctor", "--weights", prior_weights).output
    examined = run("doctor", "--weights", tmp_path)
    assert examined.exit_code == 5
    assert "-prior.safetensors: SHA-256" in examined.output
