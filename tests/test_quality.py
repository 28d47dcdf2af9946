"""A floor for the quality of the shipped encoder: what it reaches with 512 bytes, less .01.

``python tests/test_quality.py`` measures and prints both tables; it takes a few minutes. Whoever makes the
encoder better raises the numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.paths import EXAMPLES, ROOT

from meshcodec.api import Codec
from meshcodec.config import DEFAULT_EFFORT, TAUS
from meshcodec.geometry.io import load_mesh
from meshcodec.metrics import fscore

SIZE = 512
ALLOWANCE = 0.01
"""What another processor or another version of a library may take from an F-score."""
DISTANCES = TAUS[:2]
RESOLUTION, SAMPLES = 128, 20_000
"""Cells along an axis and points on a surface, of what is measured at effort 0."""

AT_ONCE = {
    "burger": (0.654, 0.421),
    "car": (0.804, 0.689),
    "church": (0.636, 0.420),
    "cygnus": (0.877, 0.688),
    "sail_ship": (0.748, 0.543),
    "spot": (0.762, 0.500),
}
"""F@0.02 and F@0.01 of each example at effort 0, at `RESOLUTION` and with `SAMPLES`."""
REFINED = {"car": (0.990, 0.959), "burger": (0.915, 0.752)}
"""F@0.02 and F@0.01 at the default effort, of a mirrored example and of one that is hard at this size. The
hard one swings by a few points from one processor to another, which rounds bfloat16 otherwise: what is here
is the least seen."""


def at_once(codec: Codec, name: str) -> tuple[float, ...]:
    """F-scores of an example at effort 0."""
    mesh = load_mesh(EXAMPLES / f"{name}.obj")
    decoded = codec.decode(codec.encode(mesh, SIZE, effort=0, mode="tokens"), RESOLUTION)
    return fscore(mesh, decoded, DISTANCES, SAMPLES)


def refined(name: str, folder: Path) -> tuple[float, ...]:
    """F-scores of an example at the default effort, by the command in a process of its own.

    There nothing that a test replaces is replaced: candidates are judged at the resolution of a decode.
    """
    path, out = EXAMPLES / f"{name}.obj", folder / f"{name}.vat"
    options = ["--mode", "tokens", "--size", SIZE, "--effort", DEFAULT_EFFORT]
    options += ["--device", "cpu", "--verify", "--json"]
    command = [sys.executable, "-m", "meshcodec", "encode", path, "-o", out, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command)], check=True, env=environment, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout)["fscore"]
    return tuple(found[str(tau)] for tau in DISTANCES)


def assert_not_below(scores: tuple[float, ...], recorded: tuple[float, ...]) -> None:
    for score, before in zip(scores, recorded, strict=True):
        assert score >= before - ALLOWANCE, f"{scores} is below {recorded}"


def test_every_example_has_a_floor() -> None:
    assert AT_ONCE.keys() == {path.stem for path in EXAMPLES.glob("*.obj")}
    assert len(REFINED) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_ONCE)
def test_the_encoder_alone_is_as_good_as_recorded(name: str, shipped: Codec) -> None:
    assert_not_below(at_once(shipped, name), AT_ONCE[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", REFINED)
def test_the_default_effort_is_as_good_as_recorded(name: str, tmp_path: Path) -> None:
    assert_not_below(refined(name, tmp_path), REFINED[name])


if __name__ == "__main__":
    shown = Codec("cpu")
    for example in sorted(EXAMPLES.glob("*.obj")):
        print(f"at once  {example.stem:10}", *(f"{score:.3f}" for score in at_once(shown, example.stem)))
    with tempfile.TemporaryDirectory() as place:
        for name in REFINED:
            print(f"refined  {name:10}", *(f"{score:.3f}" for score in refined(name, Path(place))))
