"""Caches for tests that train, and signals for those who run them."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.training import recipe

from meshcodec.train.cache import prepare_cache
from meshcodec.train.corpus import procedural_items


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Trainers install handlers; Ctrl-C has to end the tests all the same."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the tiny recipe, of fewer shapes and in blocks of 5."""
    folder = tmp_path_factory.mktemp("cache")
    sources = recipe("tiny").validation_sources
    assert prepare_cache(procedural_items(16), folder, sources, block=5) == 0
    return folder


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training meshes and two for validation."""
    folder = tmp_path_factory.mktemp("small-cache")
    items = [dataclasses.replace(i, source=f"source-{k % 2}") for k, i in enumerate(procedural_items(4))]
    assert prepare_cache(items, folder, ("source-0",)) == 0
    return folder
