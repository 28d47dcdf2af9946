"""The report: pairs, known answers, what the page may hold, and the page in a real browser."""

from __future__ import annotations

import base64
import csv
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner, Result

from meshcodec.cli.group import cli
from meshcodec.errors import BadMeshError, UsageError
from meshcodec.evaluation.report.measure import run_report
from meshcodec.evaluation.report.page import PAGE_LIMIT, to_csv, to_html, to_json
from meshcodec.evaluation.report.pictures import Detail, Pictures, bisected, in_base64, take_pictures
from meshcodec.evaluation.report.rows import NO_DECODE, Report, Row
from meshcodec.evaluation.report.view3d import LIMIT, divided
from meshcodec.format.box import NO_AXES
from meshcodec.geometry.io import export_mesh, load_mesh
from meshcodec.geometry.simplify import closest, simplify
from meshcodec.metrics import Scores, score

SAMPLES = 2000


def box(extents: tuple[float, float, float] = (2.0, 1.0, 0.5)) -> trimesh.Trimesh:
    made: trimesh.Trimesh = trimesh.creation.box(extents)
    return made


def ball(subdivisions: int = 3) -> trimesh.Trimesh:
    made: trimesh.Trimesh = trimesh.creation.icosphere(subdivisions)
    return made


def save(path: Path, mesh: trimesh.Trimesh) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_mesh(mesh, path.suffix[1:]))
    return path


def measured(references: Path, decoded: Path, **options: Any) -> Report:
    return run_report(
        references, decoded, **{"samples": SAMPLES, "pictures": False, "quiet": True, **options}
    )


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three references and their decodes, one of them in a folder below."""
    ours, theirs = tmp_path / "references", tmp_path / "decoded"
    for folder, ending in ((ours, "obj"), (theirs, "ply")):
        save(folder / f"box.{ending}", box())
        save(folder / f"deep/ball.{ending}", ball())
        save(folder / f"plate.{ending}", box((2, 2, 0.1 if folder is ours else 0.3)))
    return ours, theirs


# ---- measuring


def test_a_mesh_against_itself_is_perfect(tmp_path: Path) -> None:
    mesh = save(tmp_path / "box.obj", box())
    report = measured(mesh, mesh)
    (row,) = report.rows
    assert row.scores.f == (1, 1, 1)
    assert (row.file, row.decoded, row.bytes, row.faces) == ("box.obj", "box.obj", mesh.stat().st_size, 12)
    assert not report.faults
    assert report.summary()["mean_f_002"] == 1


def test_mirrored_folders_are_scored_as_the_metric_does(folders: tuple[Path, Path]) -> None:
    report = measured(*folders)
    assert [(row.file, row.decoded) for row in report.rows] == [
        ("box.obj", "box.ply"),
        ("deep/ball.obj", "deep/ball.ply"),
        ("plate.obj", "plate.ply"),
    ]
    files = [load_mesh(folders[0] / "plate.obj"), load_mesh(folders[1] / "plate.ply")]
    assert report.rows[2].scores == score(*files, samples=SAMPLES)
    assert report.rows[2].scores.at(0.02) < 0.2


def test_workers_measure_the_same(folders: tuple[Path, Path]) -> None:
    assert measured(*folders, jobs=2).rows == measured(*folders).rows


def test_what_is_missing_is_named_on_both_sides(folders: tuple[Path, Path]) -> None:
    ours, theirs = folders
    (theirs / "deep/ball.ply").unlink()
    save(theirs / "deep/stranger.ply", box())
    report = measured(ours, theirs)
    assert report.missing == ("deep/ball.obj",)
    assert report.unmatched == ("deep/stranger.ply",)
    assert [row.error for row in report.rows] == ["", NO_DECODE, ""]
    assert report.faults == (f"deep/ball.obj: {NO_DECODE}", "deep/stranger.ply: no reference")
    mean = (report.rows[0].scores.at(0.02) + report.rows[2].scores.at(0.02)) / 3
    assert report.summary()["mean_f_002"] == pytest.approx(mean)  # what is missing counts as 0


@pytest.mark.parametrize("bad", ["references/box.obj", "decoded/box.ply"])
def test_an_unreadable_mesh_is_a_row_with_its_error(
    tmp_path: Path, folders: tuple[Path, Path], bad: str
) -> None:
    (tmp_path / bad).write_bytes(b"v 1 2 nonsense\n")
    report = measured(*folders)
    assert [bool(row.error) for row in report.rows] == [True, False, False]
    assert report.rows[0].error.startswith(f"{Path(bad).name}: not a readable")
    assert report.rows[0].scores == Scores.nothing()
    assert report.rows[0].bytes == (folders[1] / "box.ply").stat().st_size
    assert not report.missing


def test_one_decode_does_not_serve_two_references(tmp_path: Path) -> None:
    for name in ("a.obj", "a.stl", "b.obj", "c.obj", "c.ply"):
        save(tmp_path / "r" / name, box())
    for name in ("a.ply", "b.ply", "b.stl", "c.obj", "c.ply"):
        save(tmp_path / "d" / name, box())
    report = measured(tmp_path / "r", tmp_path / "d")
    errors = {row.file: row.error for row in report.rows}
    assert errors["a.obj"] == errors["a.stl"] != ""
    assert errors["b.obj"].startswith("b.ply and b.stl would both be its decode")
    assert errors["c.obj"] == errors["c.ply"] == ""  # the same names go together, whatever else would fit
    assert report.unmatched == ()


def test_vat_files_beside_their_meshes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path
) -> None:
    # The model was made for whole balls; of an eighth of one it knows nothing.
    monkeypatch.setattr("meshcodec.geometry.symmetry.mirror_axes", lambda *mesh: NO_AXES)
    save(tmp_path / "ball.obj", ball())
    encode = ("encode", tmp_path / "ball.obj", "--size", 64, "--effort", 0, "--weights", tiny_weights)
    assert call(*encode).exit_code == 0
    (tmp_path / ".hidden.obj").write_bytes(b"")
    report = measured(tmp_path, tmp_path, weights=tiny_weights, resolution=32, device="cpu")
    (row,) = report.rows
    assert (row.file, row.decoded, row.bytes) == (
        "ball.obj",
        "ball.vat",
        (tmp_path / "ball.vat").stat().st_size,
    )
    assert row.scores.chamfer < 0.1  # the tiny model decodes to a ball of about that size
    assert not report.faults


def test_a_broken_vat_file_is_a_row(tmp_path: Path, tiny_weights: Path) -> None:
    save(tmp_path / "ball.obj", ball())
    (tmp_path / "ball.vat").write_bytes(b"VAT?")
    report = measured(tmp_path / "ball.obj", tmp_path / "ball.vat", weights=tiny_weights, device="cpu")
    assert report.rows[0].error.startswith("ball.vat: ")
    assert report.faults[0].startswith("ball.obj: ball.vat: ")


def test_a_folder_of_decodes_inside_the_other_is_not_read_as_references(tmp_path: Path) -> None:
    save(tmp_path / "box.obj", box())
    save(tmp_path / "out/box.obj", box())
    report = measured(tmp_path, tmp_path / "out")
    assert [row.file for row in report.rows] == ["box.obj"]
    assert not report.faults


def test_what_cannot_be_paired_at_all_is_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(BadMeshError, match="none: there is no such file or folder"):
        measured(tmp_path / "none", folders[1])
    with pytest.raises(UsageError, match="are a file and a folder"):
        measured(folders[0] / "box.obj", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no mesh"):
        measured(tmp_path / "empty", folders[1])


# ---- pictures


def test_pictures_of_a_pair_stay_in_their_share() -> None:
    for size in (12_000, 40_000):
        shots = take_pictures(ball(5), ball(4), Detail(64, size))
        assert size * 0.5 < sum(in_base64(blob) for blob in vars(shots).values()) <= size


def test_a_share_is_smaller_the_more_meshes_there_are() -> None:
    shares = [Detail.of(count, 15_000_000) for count in (1, 10, 500, 5000)]
    assert [share.size for share in shares] == [400_000, 400_000, 30_000, 3000]
    assert sorted((share.side for share in shares), reverse=True) == [share.side for share in shares]


@pytest.mark.parametrize("quadric", [True, False])
def test_simplified_meshes_keep_their_shape(monkeypatch: pytest.MonkeyPatch, quadric: bool) -> None:
    if quadric:
        pytest.importorskip("fast_simplification")
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    mesh = ball(5)
    v, f = simplify(mesh.vertices, mesh.faces, 600)
    assert 300 <= len(f) <= 600
    assert len(np.unique(f)) == len(v)
    assert score(mesh, (v, f), samples=SAMPLES).p95 < (0.03 if quadric else 0.08)


def test_many_small_parts_are_simplified_too() -> None:
    parts = [trimesh.creation.box((0.05,) * 3) for _ in range(400)]
    for k, part in enumerate(parts):
        part.apply_translation([k % 20 / 10, k // 20 / 10, 0])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + 8 * k for k, part in enumerate(parts)])
    _, f = simplify(vertices, faces, 300)
    assert 50 < len(f) <= 300


def test_open_walls_are_not_eaten_away() -> None:
    wall = trimesh.creation.box((2, 2, 0)).subdivide_to_size(0.1)
    walls = [wall.copy() for _ in range(6)]
    for k, copy in enumerate(walls):
        copy.apply_translation([0, 0, k / 3])
    vertices = np.concatenate([copy.vertices for copy in walls])
    faces = np.concatenate([copy.faces + len(wall.vertices) * k for k, copy in enumerate(walls)])
    v, f = simplify(vertices, faces, 600)
    assert len(f) <= 600
    distances = closest(vertices, v, f)[0]
    assert np.quantile(distances, 0.95) < 0.2


def test_a_view_holds_both_meshes() -> None:
    """Unpacked as the page does it."""
    view = take_pictures(box(), ball(3), Detail(64, 300_000)).view
    data = np.frombuffer(zlib.decompress(view), dtype=np.uint8)
    at, found = 0, []

    def planes(count: int) -> Any:
        nonlocal at
        low, high = data[at : at + count], data[at + count : at + 2 * count]
        at += 2 * count
        return low.astype(np.int64) | high.astype(np.int64) << 8

    while at < len(data):
        vertices, faces = data[at : at + 8].copy().view("<u4").tolist()
        at += 8
        steps = np.stack([planes(vertices) for _ in range(3)], axis=1)
        places = np.cumsum(np.where(steps & 1, -(steps + 1) // 2, steps // 2), axis=0)
        colors = data[at : at + vertices]
        at += vertices
        a = np.cumsum(planes(faces))
        corners = np.stack([a, a + planes(faces), a + planes(faces)], axis=1)
        found.append(((places / 16383 * 2 - 1) * LIMIT, colors, corners))
    (v, _, f), (w, colors, g) = found
    assert trimesh.Trimesh(v, f).volume == pytest.approx(box().volume, rel=0.01)
    assert trimesh.Trimesh(w, g).volume == pytest.approx(ball(3).volume, rel=0.01)
    assert len(colors) == 10242  # the 642 of the ball, and those between them
    assert colors.max() == 255  # the poles of the ball are far from the box
    assert colors.min() < 64


def test_the_middle_of_a_large_face_has_its_own_colour() -> None:
    whole = np.asarray(box().vertices), np.asarray(box().faces)
    for v, f in (bisected(*whole), divided(*whole, 200_000)):
        fine = trimesh.Trimesh(v, f, process=False)
        assert fine.area == pytest.approx(box().area)
        assert fine.edges_unique_length.max() <= 0.04
    assert len(divided(*whole, 200)[1]) == 192


def test_pictures_without_pillow_name_the_remedy(
    monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UsageError, match=re.escape('pip install "meshcodec[report]"')):
        measured(*folders, pictures=True)


# ---- showing

HOSTILE = '<img src=x onerror="document.title=1">&</script><b>"\'\n\udcff.obj'


def hostile() -> Report:
    nothing = Scores.nothing()
    rows = (
        Row(
            file=HOSTILE,
            decoded=HOSTILE,
            bytes_reference=10,
            bytes=20,
            faces_reference=12,
            faces=12,
            scores=replace(nothing, f=(0.5, 0.0, 0.0)),
        ),
        Row(file="b.obj", bytes_reference=10, bytes=None, scores=nothing, error=f"{HOSTILE}: bad"),
    )
    return Report(f"/{HOSTILE}", HOSTILE, rows, (HOSTILE,))


def data_of(page: bytes) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    loaded = json.loads(found[1])
    assert isinstance(loaded, dict)
    return loaded


def test_names_cannot_break_the_page() -> None:
    page = to_html(hostile())
    assert b"onerror" in page  # as JSON
    assert b"<img" not in page
    assert page.count(b"</script>") == 2
    assert data_of(page)["rows"][0]["file"] == HOSTILE
    assert data_of(page)["unmatched"] == [HOSTILE]


def test_the_page_needs_nothing_else(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    page = to_html(measured(*folders, pictures=True)).decode()
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r"<link|@import|url\(|\ssrc=", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    for kind in ("style", "script"):
        inline = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]


def noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def synthetic(count: int, thumbnail: int, view: int) -> Report:
    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        f = float(rng.random())
        scores = replace(Scores.nothing(), f=(f, f * 0.8, f * 0.5), chamfer=0.1, p95=0.2, max=0.3)
        original, decoded, distance = (noise(thumbnail, 3 * k + j) for j in range(3))
        shots = Pictures(original, decoded, distance, noise(view, k))
        name = f"folder/mesh_{k:05d}.obj"
        rows.append(
            Row(
                file=name,
                decoded=name,
                bytes_reference=10**6,
                bytes=500 + 7 * k,
                faces_reference=10**5,
                faces=10**5,
                scores=scores,
                pictures=shots,
            )
        )
    return Report("references", "decoded", tuple(rows))


def test_a_page_of_500_full_shares_is_small() -> None:
    share = Detail.of(500, 15_000_000).size
    thumbnail = 2400
    view = (share - 3 * in_base64(thumbnail * b"x")) * 3 // 4
    page = to_html(synthetic(500, thumbnail, view))
    assert 14e6 < len(page) < 17e6
    assert data_of(page)["left_out"] == {"thumbnails": 0, "views": 0}


def test_no_page_with_pictures_is_larger_than_the_limit() -> None:
    report = synthetic(400, 3000, 9000)
    limit = 3_000_000
    page = to_html(report, limit)
    assert limit * 0.98 < len(page) <= limit < PAGE_LIMIT
    data = data_of(page)
    assert data["left_out"]["views"] > 0
    assert data["left_out"]["thumbnails"] > 0
    kept = [row["f_001"] for row in data["rows"] if row["thumbnails"]]
    lost = [row["f_001"] for row in data["rows"] if not row["thumbnails"]]
    assert max(kept) <= min(lost)


def test_csv_and_json_hold_the_rows(folders: tuple[Path, Path]) -> None:
    (folders[1] / "box.ply").write_bytes(b"")
    report = measured(*folders)
    lines = list(csv.DictReader(io.StringIO(to_csv(report).decode())))
    document = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert [line["file"] for line in lines] == [row["file"] for row in document["rows"]]
    assert float(lines[2]["f_002"]) == document["rows"][2]["f_002"] == report.rows[2].scores.at(0.02)
    assert lines[0]["chamfer"] == ""
    assert document["rows"][0]["chamfer"] is None
    assert lines[0]["error"].startswith("box.ply: ")
    assert document["summary"]["failed"] == 1
    assert document["missing_decoded"] == []
    assert b"\\udcff" in to_csv(hostile())


# ---- the command


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(*paths: Path, **options: Any) -> Report:
        return run_report(*paths, samples=SAMPLES, **options)

    monkeypatch.setattr("meshcodec.evaluation.report.measure.run_report", quick)


@pytest.mark.usefixtures("few_samples")
def test_the_command_writes_everything(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    page, table = tmp_path / "r.html", tmp_path / "r.csv"
    result = call("report", *folders, "-o", page, "--csv", table, "-j", 1)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["file", "bytes", "F@0.02", "F@0.01", "F@0.005", "Chamfer", "normals"]
    assert lines[1].split()[:3] == ["box.obj", str((folders[1] / "box.ply").stat().st_size), "1.0000"]
    assert lines[-1].startswith("mean of 3")
    assert len(data_of(page.read_bytes())["rows"]) == 3
    assert len(table.read_text().splitlines()) == 4
    refused = call("report", *folders, "-o", page, "-j", 1)
    assert refused.exit_code == 2
    assert "exists; pass -f" in refused.stderr
    assert call("report", *folders, "-o", page, "-f", "-j", 1).exit_code == 0


@pytest.mark.usefixtures("few_samples")
def test_the_command_names_what_is_missing_and_does_the_rest(folders: tuple[Path, Path]) -> None:
    (folders[1] / "box.ply").unlink()
    save(folders[1] / "stranger.stl", box())
    result = call("report", *folders, "--json", "-j", 1)
    assert result.exit_code == 3
    assert [row["error"] for row in json.loads(result.stdout)["rows"]] == [NO_DECODE, "", ""]
    assert json.loads(result.stdout)["missing_reference"] == ["stranger.stl"]
    assert [line for line in result.stderr.splitlines() if line.startswith("meshcodec: error:")] == [
        f"meshcodec: error: box.obj: {NO_DECODE}",
        "meshcodec: error: stranger.stl: no reference",
        "meshcodec: error: 1 of 3 meshes failed, 1 decoded files have no reference",
    ]


@pytest.mark.usefixtures("few_samples")
def test_outputs_go_through_pipes(folders: tuple[Path, Path]) -> None:
    assert call("report", *folders, "--csv", "-", "-j", 1).stdout.startswith("file,decoded,bytes_reference,")
    assert call("report", *folders, "-o", "-", "-j", 1).stdout.startswith("<!DOCTYPE html>")
    assert call("report", *folders, "-o", "-", "--csv", "-").exit_code == 2


# ---- the page in a browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Starts the browser with its two pipes where it looks for them.
_WITH_PIPES = (
    "import os, sys; r, w, *c = sys.argv[1:]; os.dup2(int(r), 3); os.dup2(int(w), 4); os.execv(c[0], c)"
)


class Browser:
    """Headless Chromium with one page, driven by the DevTools protocol over pipes."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 1000) -> None:
        assert CHROMIUM
        options = [
            *("--headless", "--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
            *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", f"--window-size={width},{height}"),
        ]
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Above 3 and 4, so that neither is overwritten before it has been moved there.
        pipes = [fcntl.fcntl(pipe, fcntl.F_DUPFD, 10) for pipe in (theirs_in, theirs_out)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, *map(str, pipes), CHROMIUM, *options, "about:blank"],
            pass_fds=pipes,
            stderr=subprocess.DEVNULL,
        )
        for pipe in (theirs_in, theirs_out, *pipes):
            os.close(pipe)
        self._out = os.fdopen(ours_out, "wb", buffering=0)
        self._in = os.fdopen(ours_in, "rb", buffering=0)
        self._buffer = b""
        self._number = 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command; what happens meanwhile goes to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                chunk = self._in.read(1 << 20)
                if not chunk:
                    raise RuntimeError("the browser has ended")
                self._buffer += chunk
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") != self._number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return dict(answer["result"])

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.05)

    def open(self, path: Path) -> None:
        self.send("Page.navigate", url=path.as_uri())
        self.until(
            f"document.readyState === 'complete' && location.pathname.endsWith({json.dumps(path.name)})"
        )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str, times: int = 1) -> None:
        x, y = self.middle(selector)
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.mouse(kind, x, y, button="left", buttons=1, clickCount=count)

    def middle(self, selector: str) -> tuple[float, float]:
        """Of an element, which is scrolled into the window."""
        x, y = self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return float(x), float(y)

    def picture(self) -> bytes:
        """PNG of the window."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    def close(self) -> None:
        try:
            self._session = {}
            self.send("Browser.close")
        except (RuntimeError, OSError):
            self.process.kill()
        self.process.wait(30)
        self._out.close()
        self._in.close()

    def complaints(self) -> list[Any]:
        """Errors of the page's script, refusals of its security policy, requests beyond the page itself."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown" or (
                method == "Log.entryAdded" and params["entry"]["level"] == "error"
            ):
                found.append(params)
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "about:", "blob:")):
                    found.append(url)
        return found


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def shown(tmp_path: Path, folders: tuple[Path, Path], browser: Browser) -> Browser:
    """A page of four meshes, one of which failed and has a hostile name."""
    save(folders[0] / "<img src=x onerror=document.title=1>.obj", box())
    (folders[1] / "<img src=x onerror=document.title=1>.ply").write_bytes(b"")
    (tmp_path / "report.html").write_bytes(to_html(measured(*folders, pictures=True)))
    browser.open(tmp_path / "report.html")
    return browser


NAMES = "[...document.querySelectorAll('tbody tr')].map(r => r.querySelector('td.left button').textContent)"
VIEWER = "document.getElementById('viewer')"
HOSTILE_FILE = "<img src=x onerror=document.title=1>.obj"


def test_the_table_is_sorted_and_filtered(shown: Browser) -> None:
    # The worst first, as it opens.
    assert shown.js(NAMES)[:2] == [HOSTILE_FILE, "plate.obj"]
    shown.click("th[data-key=file] button")
    up = ["box.obj", "deep/ball.obj", "plate.obj"]
    assert [name for name in shown.js(NAMES) if name != HOSTILE_FILE] == up
    shown.click("th[data-key=file] button")
    assert [name for name in shown.js(NAMES) if name != HOSTILE_FILE] == up[::-1]
    assert shown.js("document.querySelector('th[data-key=file]').getAttribute('aria-sort')") == "descending"
    shown.click("th[data-key=bytes] button")
    sizes = shown.js(
        "[...document.querySelectorAll('tbody tr')].map(r => +r.cells[4].textContent.replace(/,/g, ''))"
    )
    assert sizes == sorted(sizes)
    shown.js("(() => { const f = document.getElementById('filter'); f.value = 'DEEP/';"
             " f.dispatchEvent(new Event('input')); })()")  # fmt: skip
    assert shown.js(NAMES) == ["deep/ball.obj"]
    assert shown.complaints() == []


def test_pictures_are_shown_and_names_are_only_text(shown: Browser) -> None:
    shown.until("document.querySelectorAll('td.shot img').length === 9")
    shown.until("[...document.querySelectorAll('td.shot img')].every(i => i.complete && i.naturalWidth > 0)")
    assert shown.js("document.title") == "meshcodec report"
    assert shown.js("document.querySelectorAll('img[src=x]').length") == 0
    assert shown.js("document.querySelectorAll('#bars svg').length") == 3
    assert shown.js("document.querySelectorAll('#dots circle').length") == 3  # an empty file has no place
    assert shown.complaints() == []


def shots(browser: Browser) -> Any:
    return browser.js("['original', 'decode'].map(id => document.getElementById(id).toDataURL())")


def test_the_view_turns_both_meshes_together(shown: Browser) -> None:
    shown.click("tr[data-row='3'] td.left button")

    def camera() -> list[float]:
        return [float(word) for word in shown.js(f"{VIEWER}.dataset.camera").split()]

    shown.until(f"{VIEWER}.dataset.camera !== undefined")
    first, images = camera(), shots(shown)
    assert all(len(image) > 3000 for image in images)  # an empty canvas takes less
    x, y = shown.middle("#decode")
    shown.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    for step in range(1, 6):
        shown.mouse("mouseMoved", x + 12 * step, y + 4 * step, button="left", buttons=1)
    shown.mouse("mouseReleased", x + 60, y + 20, button="left", clickCount=1)
    turned, moved = camera(), shots(shown)
    assert turned[0] == pytest.approx(first[0] - 0.6, abs=0.01)
    assert turned[1] == pytest.approx(first[1] + 0.2, abs=0.01)
    assert moved[0] != images[0]
    assert moved[1] != images[1]

    shown.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    shown.until(f"+{VIEWER}.dataset.camera.split(' ')[2] > 1.2")
    shown.click("#original", times=2)
    assert camera() == first
    assert shots(shown) == images

    shown.click("#colored")
    assert shots(shown)[1] != images[1]
    shown.click("#previous")
    shown.until("document.querySelector('#viewer h2').textContent.startsWith('<img')")
    assert "is empty" in shown.js("document.getElementById('fault').textContent")
    assert shown.complaints() == []


def test_a_page_of_500_meshes_opens_and_sorts_at_once(tmp_path: Path, browser: Browser) -> None:
    one = take_pictures(ball(3), ball(2), Detail.of(500, 15_000_000))
    rows = tuple(replace(row, pictures=one) for row in synthetic(500, 1, 1).rows)
    (tmp_path / "large.html").write_bytes(to_html(Report("references", "decoded", rows)))
    browser.open(tmp_path / "large.html")
    assert browser.js("document.querySelectorAll('tbody tr').length") == 500
    browser.until("document.querySelectorAll('td.shot img').length > 0")
    assert browser.js("document.querySelectorAll('td.shot img').length") < 150  # only those near the window
    script = (
        "(() => { const t = performance.now(); document.querySelector('th[data-key=bytes] button').click();"
        " document.body.offsetHeight; return performance.now() - t; })()"
    )
    assert browser.js(script) < 5000  # milliseconds; some tens on an idle machine
    assert browser.js("document.querySelector('tbody tr').dataset.row") == "0"
    assert browser.complaints() == []
