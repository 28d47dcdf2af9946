"""A tiny model for tests that need weights but no quality: whatever its tokens say, it decodes to a ball."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from meshcodec.config import EXTENT, TRUNCATION, ModelConfig
from meshcodec.model.decoder import to_distance
from meshcodec.model.vat import VariationalTokenizer
from meshcodec.modes.tokens.efforts import Effort
from meshcodec.weights import save_model

BALL_RADIUS = 1.0

TINY = ModelConfig(
    scale_sides=(1, 2, 4),
    latent_side=8,
    width=32,
    heads=4,
    decoder_blocks=1,
    plane_side=32,
    plane_channels=(16, 8, 8),
    point_channels=16,
    groups=16,
    field_width=32,
    input_points=512,
)


def ball_model() -> VariationalTokenizer:
    """Random weights, then a second of training on random tokens towards one signed distance field."""
    steps, rate = 150, 3e-3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VariationalTokenizer(TINY)
        learned = [*model.decoder.parameters(), *model.field.parameters()]
        optimizer = torch.optim.Adam(learned, lr=rate)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            tokens = torch.randint(256, (1, TINY.max_tokens)).to(torch.uint8)
            queries = _queries(1, 512)
            target = (queries.norm(dim=-1) - BALL_RADIUS).clamp(-TRUNCATION, TRUNCATION)
            loss = (to_distance(model.field(model.planes(tokens), queries)) - target).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def _queries(batch: int, count: int) -> torch.Tensor:
    """(batch, count, 3): a quarter anywhere, the others near the ball's surface."""
    anywhere = (2 * torch.rand(batch, count // 4, 3) - 1) * EXTENT
    directions = F.normalize(torch.randn(batch, count - count // 4, 3), dim=-1)
    near = directions * (BALL_RADIUS + 0.15 * torch.randn(batch, count - count // 4, 1))
    return torch.cat([anywhere, near], dim=1).clamp(-EXTENT, EXTENT)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the model of `ball_model`."""
    folder = tmp_path_factory.mktemp("weights")
    save_model(ball_model(), folder, "ball")
    return folder


def load_benchmark(name: str) -> ModuleType:
    """A script of benchmarks/, which is no package."""
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def coarse_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of untrained weights have surface everywhere: at the full resolution each takes seconds."""
    monkeypatch.setattr("meshcodec.modes.tokens.judge.EXACT_RESOLUTION", 48)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effort 1 is three short rounds, measured coarsely."""
    monkeypatch.setattr("meshcodec.api.EFFORTS", (Effort((), 0), Effort((2, 3), 2000, hard_rounds=(2,))))
    monkeypatch.setattr("meshcodec.modes.tokens.judge.CHECK_RESOLUTION", 32)
    monkeypatch.setattr("meshcodec.modes.tokens.judge.CHECK_SAMPLES", 1000)
    monkeypatch.setattr("meshcodec.modes.tokens.judge.LEVEL_STEPS", (4,))
    monkeypatch.setattr(
        "meshcodec.modes.tokens.judge.Exact.gains", lambda _, new, old: (new.quality - old.quality,)
    )
