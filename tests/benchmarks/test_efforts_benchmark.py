"""The comparison of efforts says which meshes a higher one makes worse."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner
from support.scripts import load_benchmark

from meshcodec.config import TAUS
from meshcodec.evaluation.bench.rows import BenchRow
from meshcodec.metrics import Scores


@pytest.fixture(scope="module")
def efforts() -> ModuleType:
    return load_benchmark("efforts")


def table(path: Path, effort: int, scores: dict[str, float], seconds: float = 1.0, model: str = "ab") -> Path:
    """A rows.csv of as many meshes, each of which has one F-score at all distances."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        for number, (name, score) in enumerate(scores.items()):
            same = (score,) * len(TAUS)
            row = BenchRow(
                file=name,
                sha256="",
                codec="meshcodec",
                size=512,
                bytes=500,
                model_id=model,
                settings={"effort": effort},
                encode_seconds=seconds,
                scores=replace(Scores.nothing(), f=same, precision=same, recall=same),
            )
            flat = row.to_dict() | {"settings": json.dumps(row.settings)}
            writer = csv.DictWriter(file, fieldnames=list(flat))
            if number == 0:
                writer.writeheader()
            writer.writerow(flat)
    return path


def run(efforts: ModuleType, *paths: Path) -> tuple[int, str]:
    result = CliRunner().invoke(efforts.main, [str(path) for path in paths])
    return result.exit_code, result.output


def test_means_and_median_seconds(efforts: ModuleType, tmp_path: Path) -> None:
    low = table(tmp_path / "0" / "rows.csv", 0, {"a.obj": 0.5, "b.obj": 0.25}, 1.0)
    high = table(tmp_path / "4" / "rows.csv", 4, {"a.obj": 0.75, "b.obj": 0.25}, 12.0)
    assert run(efforts, high, low) == (
        0,
        "| effort | bytes | meshes | F@0.02 | F@0.01 | F@0.005 | precision@0.02 | recall@0.02 | encode s |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| 0 | 512 | 2 | 0.3750 | 0.3750 | 0.3750 | 0.3750 | 0.3750 | 1.0 |\n"
        "| 4 | 512 | 2 | 0.5000 | 0.5000 | 0.5000 | 0.5000 | 0.5000 | 12.0 |\n"
        "\n512 bytes, effort 0 to 4: 2 meshes, 0 fall\n",
    )


def test_a_mesh_that_falls_is_named(efforts: ModuleType, tmp_path: Path) -> None:
    low = table(tmp_path / "low.csv", 4, {"a.obj": 0.5, "b.obj": 0.25, "c.obj": 0.5})
    high = table(tmp_path / "high.csv", 9, {"a.obj": 0.75, "b.obj": 0.125, "d.obj": 0.1})
    code, out = run(efforts, low, high)
    assert code == 1
    assert out.splitlines()[-3:] == [
        "512 bytes, effort 4 to 9: 2 meshes, 2 fall",
        "  b.obj: f_002 0.25 -> 0.125",
        "  b.obj: f_001 0.25 -> 0.125",
    ]


@pytest.mark.parametrize(
    ("effort", "model", "wrong"),
    [
        (0, "ab", "a.obj is there twice for 512 bytes at effort 0"),
        (4, "cd", "rows of several models: ab, cd"),
    ],
)
def test_tables_that_do_not_go_together(
    efforts: ModuleType, tmp_path: Path, effort: int, model: str, wrong: str
) -> None:
    one = table(tmp_path / "1.csv", 0, {"a.obj": 0.5})
    other = table(tmp_path / "2.csv", effort, {"a.obj": 0.5}, model=model)
    with pytest.raises(click.UsageError, match=wrong):
        efforts.read([one, other])


def test_tables_of_different_meshes_are_one(efforts: ModuleType, tmp_path: Path) -> None:
    tables = [table(tmp_path / f"{name}.csv", 4, {name: score}) for name, score in (("a", 0.5), ("b", 0.25))]
    (rows,) = efforts.read(tables).values()
    assert [(name, row["f_002"]) for name, row in rows.items()] == [("a", "0.5"), ("b", "0.25")]


@pytest.mark.parametrize("name", ["rows.json", "absent.csv"])
def test_no_table(efforts: ModuleType, tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.json").write_text('{"codec": 1}\n{}\n')
    with pytest.raises(click.UsageError, match=f"{name}: not a rows.csv of meshcodec bench"):
        efforts.read([tmp_path / name])
