"""The list of evaluation meshes, and the script that collects them from clones."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner, Result
from support.scripts import load_benchmark

from meshcodec.geometry.io import load_mesh

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PERMISSIVE = {
    *("CC0-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"),
    *("MIT", "MIT-0", "BSD-3-Clause", "Apache-2.0"),
}

PYRAMID = b"v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nv 1 0.5 1\nf 1 4 3 2\nf 1 2 5\nf 2 3 5\nf 3 4 5\nf 4 1 5\n"
PART = """0 Plate with a lid
0 BFC CERTIFY CCW
1 16 0 0 0 1 0 0 0 1 0 0 0 1 s\\Base.dat
1 16 0 5 0 2 0 0 0 1 0 0 0 2 LID.DAT
3 16 0 0 0 10 0 0 0 5 0
5 24 0 0 0 1 1 1 0 0 0 1 1 1
"""
BASE = "4 16 0 0 0 10 0 0 10 0 10 0 0 10\n"
LID = "0 BFC INVERTNEXT\n4 16 0 0 0 5 0 0 5 0 5 0 0 5\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_benchmark("collect_eval_set")


# ---- the list


@pytest.fixture(scope="module")
def rows(script: ModuleType) -> list[Any]:
    found: list[Any] = script.read_list()
    return found


def test_the_list_has_59_meshes_each_once(rows: list[Any]) -> None:
    assert len(rows) == 59
    for unique in ("file", "id", "sha256"):
        assert len({getattr(row, unique) for row in rows}) == 59
    assert len({(row.repository, row.path) for row in rows}) == 59


def test_the_list_says_what_it_should(rows: list[Any], script: ModuleType) -> None:
    assert {row.licence for row in rows} <= PERMISSIVE
    for row in rows:
        assert re.fullmatch("[0-9a-f]{64}", row.sha256)
        assert re.fullmatch("([0-9a-f]{40})?", row.commit)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.repository)
        assert not row.path.startswith("/")
        assert ".." not in row.path
        assert row.id == hashlib.sha1(f"{row.repository}:{row.header_path}".encode()).hexdigest()[:12]
        assert row.file.startswith(row.id[:6] + "_")
        assert row.conversion in {"none", *script.READERS}
        assert row.file.endswith(".obj" if row.conversion == "none" else ".ply")
        assert (row.box[1] > row.box[0]).any()
        assert min(row.vertices, row.faces, row.bytes, row.area) > 0


def test_files_that_were_taken_as_they_are_have_their_sources_size(rows: list[Any]) -> None:
    taken = [row for row in rows if row.conversion == "none"]
    assert len(taken) == 18
    assert all(row.bytes == row.source_bytes for row in taken)


@pytest.mark.parametrize("table", sorted((BENCHMARKS / "rows").glob("*.csv")), ids=lambda path: path.stem)
def test_the_measured_rows_are_of_these_files(table: Path, rows: list[Any]) -> None:
    with table.open(newline="", encoding="utf-8") as file:
        measured = {row["file"]: row["sha256"] for row in csv.DictReader(file)}
    assert measured == {row.file: row.sha256 for row in rows}


# ---- collecting


class Made:
    """Clones of three made-up repositories, and the list that belongs to them."""

    def __init__(self, folder: Path, script: ModuleType) -> None:
        self.script = script
        self.clones, self.output, self.table = folder / "clones", folder / "eval", folder / "list.csv"
        self.rows: list[dict[str, object]] = []
        box = trimesh.creation.box((1, 2, 3))
        library = {"parts/12.dat": PART, "parts/s/base.dat": BASE, "p/lid.dat": LID}
        self._source("a/shapes", "solids/pyramid.obj", PYRAMID)
        self._source("a/shapes", "solids/box.stl", box.export(file_type="stl"))
        self._source("a/shapes", "ball.fbx", b"not read")
        self._source(
            "a/shapes", "ball.fbx.obj", trimesh.creation.icosphere().export(file_type="obj").encode()
        )
        for path, text in library.items():
            self._source("c/bricks", f"complete/ldraw/{path}", text.encode())
        self._add("pyramid.obj", "a/shapes", "solids/pyramid.obj", "none")
        self._add("box.ply", "a/shapes", "solids/box.stl", "merged")
        self._add("ball.ply", "a/shapes", "ball.fbx", "fbx", "ball.fbx.obj")
        self._add("plate.ply", "c/bricks", "complete/ldraw/parts/12.dat", "ldraw", "parts/12__Plate.obj")
        self.write()

    def _source(self, repository: str, path: str, data: bytes) -> None:
        target = self.clones / repository / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def _add(self, file: str, repository: str, path: str, conversion: str, header: str = "") -> None:
        """A row with what a mesh of these sources has, by another way than the script's."""
        source = self.clones / repository / path
        size = source.stat().st_size if conversion in ("none", "merged") else ""
        row: dict[str, object] = {
            **{"file": file, "id": file, "repository": repository, "path": path, "header_path": header},
            **{"licence": "MIT", "credit": "", "conversion": conversion, "commit": "", "source_bytes": size},
        }
        if conversion == "ldraw":
            vertices = np.array([[x, 0, z] for x in (0, 10) for z in (0, 10)] + [[0, 5, 0]], dtype=np.float64)
            lid = vertices[:4] + np.array([0, 5, 0])
            count, faces, area = 8, 5, 100 + 100 + 25.0
            box = np.array([vertices.min(axis=0), lid.max(axis=0)])
        else:
            name = path + ".obj" if conversion == "fbx" else path
            mesh = load_mesh(self.clones / repository / name)
            mesh.merge_vertices()
            count, faces, area, box = len(mesh.vertices), len(mesh.faces), mesh.area, mesh.bounds
        row |= {
            "vertices": count,
            "faces": faces,
            "area": area,
            "box": " ".join(map(repr, map(float, box.flat))),
        }
        self.rows.append(row | {"bytes": 1, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()})

    def write(self) -> None:
        with self.table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def seal(self) -> None:
        """The list as it would be had the output been measured: with its hashes."""
        for row in self.rows:
            row["sha256"] = hashlib.sha256((self.output / str(row["file"])).read_bytes()).hexdigest()
        self.write()

    def run(self, *options: str) -> Result:
        command = [str(self.clones), "--list", str(self.table), "-o", str(self.output), *options]
        return CliRunner().invoke(self.script.main, command)

    def change(self, path: str, old: bytes, new: bytes) -> None:
        source = self.clones / path
        data = source.read_bytes()
        assert old in data
        source.write_bytes(data.replace(old, new))


@pytest.fixture
def made(tmp_path: Path, script: ModuleType) -> Made:
    return Made(tmp_path, script)


def written(made: Made) -> list[str]:
    return sorted(path.name for path in made.output.iterdir()) if made.output.is_dir() else []


def test_meshes_are_collected_and_converted(made: Made) -> None:
    first = made.run()
    assert (first.exit_code, first.stdout) == (0, "4 meshes: 1 exact, 3 alike, 0 missing, 0 wrong\n")
    assert "box.ply: alike: not the measured bytes" in first.stderr
    assert written(made) == ["ball.ply", "box.ply", "plate.ply", "pyramid.obj"]
    assert (made.output / "pyramid.obj").read_bytes() == PYRAMID

    box = load_mesh(made.output / "box.ply")
    assert (len(box.vertices), len(box.faces), box.is_watertight) == (8, 12, True)
    assert np.allclose(box.bounds, [[-0.5, -1, -1.5], [0.5, 1, 1.5]])
    plate = load_mesh(made.output / "plate.ply")
    assert np.allclose(sorted(plate.area_faces), [25, 50, 50, 50, 50])
    head = (made.output / "plate.ply").read_bytes().split(b"\n")[2]
    assert head == b"comment source c/bricks parts/12__Plate.obj"

    made.seal()
    second = made.run()
    assert (second.exit_code, second.output) == (0, "4 meshes: 4 exact, 0 alike, 0 missing, 0 wrong\n")


def test_what_is_missing_is_named(made: Made) -> None:
    (made.clones / "a/shapes/ball.fbx.obj").unlink()
    (made.clones / "a/shapes/solids/box.stl").unlink()
    (made.clones / "c/bricks/complete/ldraw/p/lid.dat").unlink()
    result = made.run()
    assert result.exit_code == 3
    assert result.stdout == "4 meshes: 1 exact, 0 alike, 3 missing, 0 wrong\n"
    assert "box.ply: missing: a/shapes has no solids/box.stl; look for an older commit" in result.stderr
    assert (
        "ball.ply: missing: FBX is not read here; convert it first, for example with assimp" in result.stderr
    )
    assert "plate.ply: missing: its LDraw library lacks LID.DAT" in result.stderr
    assert written(made) == ["pyramid.obj"]


def test_missing_clones_are_listed_as_commands(made: Made) -> None:
    (made.clones / "c").rename(made.clones / "d")
    result = CliRunner().invoke(
        made.script.main, [str(made.clones), "--list", str(made.table), "--list-repositories"]
    )
    command = f"git clone https://github.com/c/bricks {made.clones / 'c/bricks'}\n"
    assert (result.exit_code, result.output) == (0, command)
    assert f"plate.ply: missing: no clone at {made.clones / 'c/bricks'}; git clone" in made.run().stderr


def test_every_repository_of_the_real_list_is_named(
    script: ModuleType, tmp_path: Path, rows: list[Any]
) -> None:
    result = CliRunner().invoke(script.main, [str(tmp_path / "none"), "--list-repositories"])
    addresses = [line.split()[2] for line in result.output.splitlines()]
    assert addresses == [f"https://github.com/{name}" for name in dict.fromkeys(r.repository for r in rows)]
    assert len(addresses) == 19


def test_another_file_than_the_measured_one_is_refused(made: Made) -> None:
    made.rows[0]["commit"] = "0123456789" * 4
    made.write()
    made.change("a/shapes/solids/pyramid.obj", b"v 1 0.5 1\n", b"v 1 0.5 1.5\n")
    result = made.run()
    assert result.exit_code == 3
    assert f"({len(PYRAMID) + 2} bytes in place of {len(PYRAMID)}); try commit 0123456789" in result.stderr
    assert "pyramid.obj" not in written(made)


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("a/shapes/ball.fbx.obj", b"v -0.", b"v -1.", "another bounding box"),
        ("c/bricks/complete/ldraw/parts/12.dat", b"3 16 0 0 0", b"3 16 0 0 1", "an area of"),
        ("c/bricks/complete/ldraw/parts/s/base.dat", b"4 16", b"5 16", "3 faces in place of 5"),
    ],
)
def test_a_conversion_of_another_shape_is_refused(
    made: Made, path: str, old: bytes, new: bytes, reason: str
) -> None:
    made.change(path, old, new)
    result = made.run()
    assert result.exit_code == 3
    assert result.stdout == "4 meshes: 1 exact, 2 alike, 0 missing, 1 wrong\n"
    assert reason in result.stderr
    assert len(written(made)) == 3


@pytest.mark.parametrize(
    "text", ["1 16 0 0 0 1 0 0 0 1 0 0 0 1 12.dat", "4 16 0 0", "3 16 0 0 x 0 0 0 0 0 0"]
)
def test_a_part_that_cannot_be_read_is_refused(made: Made, text: str) -> None:
    (made.clones / "c/bricks/complete/ldraw/parts/12.dat").write_text(text)
    result = made.run()
    assert result.exit_code == 3
    assert "plate.ply: wrong: complete/ldraw/parts/12.dat: " in result.stderr


def test_a_pointer_of_git_lfs_is_no_mesh(made: Made) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (made.clones / "a/shapes/solids/pyramid.obj").write_bytes(pointer)
    result = made.run()
    assert result.exit_code == 3
    assert "is a pointer of Git LFS; git -C" in result.stderr


def test_packages_that_a_format_needs_are_named(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda _: None)
    for name, package in (("a.dae", "pycollada"), ("a.gltf", "DracoPy")):
        (tmp_path / name).write_text('{"extensionsUsed": ["KHR_draco_mesh_compression"]}')
        with pytest.raises(script.MissingError, match=f"pip install {package}"):
            script.read_scene(tmp_path / name)


def test_files_that_differ_are_overwritten_only_when_asked(made: Made) -> None:
    made.output.mkdir()
    (made.output / "pyramid.obj").write_text("mine")
    refused = made.run()
    assert refused.exit_code == 2
    assert "pyramid.obj exists and differs; pass -f" in refused.output
    assert (made.output / "pyramid.obj").read_text() == "mine"
    assert made.run("-f").exit_code == 0
    assert (made.output / "pyramid.obj").read_bytes() == PYRAMID


def test_usage(made: Made, script: ModuleType, tmp_path: Path) -> None:
    no_output = CliRunner().invoke(script.main, [str(made.clones)])
    no_clones = CliRunner().invoke(script.main, [str(tmp_path / "none"), "-o", str(tmp_path / "eval")])
    assert (no_output.exit_code, no_clones.exit_code) == (2, 2)
    assert "with -o" in no_output.output
    assert "--list-repositories" in no_clones.output


# ---- merging


def test_merging_keeps_the_order_of_faces_and_the_first_of_coincident_vertices(script: ModuleType) -> None:
    step = 1 / script.MERGE_STEPS
    vertices = np.array(
        [[1, 0, 0], [-1, 0, 0], [0, 0.5, 0], [-1 + step / 4, 0, 0], [0, -0.5, 0], [0, 0.5, 2 * step]]
    )
    faces = np.array([[0, 2, 1], [3, 0, 2], [1, 4, 0], [1, 3, 4], [0, 1, 5]])
    merged, kept = script.merge(vertices, faces)
    # By x: -1 (twice, the first is kept), 0 (three), 1. The second face repeats the first, the fourth is flat
    # after the merging.
    assert np.array_equal(merged, vertices[[1, 4, 2, 5, 0]].astype(np.float32))
    assert kept.tolist() == [[4, 2, 0], [0, 1, 4], [4, 0, 3]]


def test_merging_again_changes_nothing(script: ModuleType) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    once = script.merge(np.asarray(ball.vertices), np.asarray(ball.faces))
    again = script.merge(once[0].astype(np.float64), once[1])
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize("faces", [[[0, 1, 1]], [[0, 0, 0]]])
def test_nothing_is_left_of_degenerate_faces(script: ModuleType, faces: list[list[int]]) -> None:
    with pytest.raises(script.MeshcodecError, match="degenerate"):
        script.merge(np.array([[0, 0, 0], [1, 0, 0.0]]), np.array(faces))
