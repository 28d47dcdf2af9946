"""What ``info``, ``verify`` and ``doctor`` find out, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import trimesh
from support.cli import vat_bytes

from meshcodec.api import Codec
from meshcodec.diagnose import describe_file, describe_installation, verify_file
from meshcodec.errors import CorruptFileError, UnknownModelError, WeightsError, error_context
from meshcodec.format.container import VatFile
from meshcodec.modes.result import Decoded
from meshcodec.modes.tokens.decode import MOST_CELLS
from meshcodec.registry import Registry


class ThinSheet:
    """A codec whose surface falls between the points of every grid but the one that it asks for."""

    def __init__(self, needs: int) -> None:
        self.needs, self.asked = needs, list[int | None]()

    def decode_detailed(self, file: VatFile, resolution: int | None) -> Decoded:
        self.asked.append(resolution)
        if (resolution or MOST_CELLS) < self.needs:
            raise CorruptFileError("no surface", "encode the mesh again")
        box = trimesh.creation.box()
        return Decoded((box.vertices, box.faces), 1, 1)


@pytest.fixture
def file(tiny_weights: Path) -> tuple[bytes, VatFile]:
    data = vat_bytes(tiny_weights)
    return data, VatFile.from_bytes(data)


@pytest.mark.parametrize(("needs", "asked"), [(64, [64]), (65, [64, None]), (MOST_CELLS, [64, None])])
def test_a_surface_that_a_coarse_grid_misses_is_looked_for_on_a_finer_one(
    file: tuple[bytes, VatFile], needs: int, asked: list[int | None]
) -> None:
    codec = ThinSheet(needs)
    record = verify_file("a.vat", file[1], cast(Codec, codec), None)
    assert codec.asked == asked
    assert record["resolution"] == asked[-1]
    assert record["fscore"] is None


def test_a_surface_that_no_grid_holds_is_a_corrupt_file(file: tuple[bytes, VatFile]) -> None:
    with pytest.raises(CorruptFileError, match=r"^a\.vat: no surface; "):
        verify_file("a.vat", file[1], cast(Codec, ThinSheet(10**6)), None)


def test_a_file_is_described_without_its_model(file: tuple[bytes, VatFile], tiny_weights: Path) -> None:
    known, unknown = (describe_file("a.vat", *file, r) for r in (Registry(tiny_weights), None))
    assert known["scales"] == {"sides": [1, 2, 4], "whole": 3, "of": 3}
    assert {name for name in known if known[name] != unknown[name]} == {"model_name", "scales"}


def test_an_installation_is_described(tiny_weights: Path, tmp_path: Path) -> None:
    report, fault = describe_installation(tiny_weights)
    assert fault is None
    assert [model["state"] for model in report["models"]] == ["ok"]
    report, fault = describe_installation(tmp_path)
    assert isinstance(fault, WeightsError)
    assert (report["weights"], report["models"]) == (None, [])


def test_a_model_that_is_not_installed_is_about_the_file_that_names_it(tiny_weights: Path) -> None:
    named = pytest.raises(UnknownModelError, match=r"^a\.vat: made with model deadbeef")
    with named as caught, error_context("a.vat"):
        Registry(tiny_weights).find(bytes.fromhex("deadbeef"))
    assert caught.value.exit_code == WeightsError.exit_code
    with pytest.raises(WeightsError, match=r"^other: damaged$"), error_context("a.vat"):
        raise WeightsError("other: damaged")
