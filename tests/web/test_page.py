"""The page of web/demo and the decoder in headless Chromium, from a file server and under a sub-path."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner
from PIL import Image
from support.browser import CHROMIUM, Browser
from support.paths import GOLDEN, ROOT

from meshcodec.api import Codec
from meshcodec.cli import cli
from meshcodec.format.link import link_of

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium")]
TOKENS = GOLDEN / "spot-12a8363d-512-coded.vat"
MESHES = ROOT / "tests" / "golden" / "mesh"
MOST_BYTES = 400_000
"""The page, without weights."""
CELLS = 128
"""Of the grid of the page's large view."""


ASKED: list[str] = []
"""What the file server has been asked for."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that notes what it is asked for."""

    def log_message(self, *_: object) -> None:
        ASKED.append(self.path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """Address of a folder that holds the page in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "web" / "src", folder / "sub" / "src")
    shutil.copytree(ROOT / "web" / "demo", folder / "sub" / "demo")
    export = [sys.executable, str(ROOT / "web" / "export_weights.py"), "-o", str(folder / "sub" / "weights")]
    subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/sub/demo/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(tmp_path: Path, site: str) -> Generator[Browser, None, None]:
    ASKED.clear()
    browser = Browser(tmp_path / "profile", 1100, 900)
    yield browser
    browser.close()
    complaints = [
        fault for fault in browser.complaints() if not str(fault).startswith(site.removesuffix("demo/"))
    ]
    assert complaints == []


def visit(browser: Browser, address: str) -> None:
    browser.send("Page.navigate", url=address)
    browser.until("document.readyState === 'complete' && document.querySelector('#theme') !== null")


def drop(browser: Browser, name: str, data: bytes) -> None:
    """Drop a file on the page."""
    browser.js(
        "(() => { const bytes = Uint8Array.from(atob("
        f"{json.dumps(base64.b64encode(data).decode())}), (c) => c.charCodeAt(0));"
        " const transfer = new DataTransfer();"
        f" transfer.items.add(new File([bytes], {json.dumps(name)}));"
        " const how = {dataTransfer: transfer, bubbles: true, cancelable: true};"
        " document.dispatchEvent(new DragEvent('drop', how));"
        " })()"
    )


def picture_of(browser: Browser, selector: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(height, width, 3) the pixels of an element on the screenshot."""
    browser.js(f"document.querySelector({json.dumps(selector)}).scrollIntoView()")
    x, y, width, height = browser.js(
        f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height].map(Math.round); })()"
    )
    image = Image.open(io.BytesIO(browser.picture())).convert("RGB")
    return np.asarray(image.crop((x, y, x + width, y + height)), dtype=np.int64)


def shape_share(browser: Browser) -> float:
    """Share of the decoded view's pixels that show the shape: blue, unlike background and ink."""
    pixels = picture_of(browser, "#decoded canvas")
    return float((pixels[..., 2] - pixels[..., 0] > 12).mean())


def exported(browser: Browser, folder: Path, kind: str) -> trimesh.Trimesh:
    """The mesh that a button of the page saves."""
    folder.mkdir()
    browser.send(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True
    )
    browser.click(f"[data-format={kind}]")
    for _ in range(200):
        browser.js("new Promise((done) => setTimeout(done, 50))")
        ready = [path for path in folder.iterdir() if path.suffix == f".{kind}"]
        if ready:
            return trimesh.load_mesh(ready[0], process=False)
    raise AssertionError(f"no {kind} was saved")


def test_a_dropped_file_is_shown_and_exported(
    browser: Browser, site: str, tmp_path: Path, shipped: Codec
) -> None:
    visit(browser, site)
    drop(browser, "cow.vat", TOKENS.read_bytes())
    browser.until("document.body.dataset.shown === 'cow.vat'")
    assert 0.05 < shape_share(browser) < 0.6
    facts = browser.js("document.querySelector('#facts').innerText").split()
    assert str(TOKENS.stat().st_size) in facts
    assert "tokens" in facts
    expected = shipped.decode(TOKENS.read_bytes(), CELLS)
    for kind in ("glb", "obj", "stl"):
        mesh = exported(browser, tmp_path / kind, kind)
        assert len(mesh.faces) == pytest.approx(len(expected.faces), rel=0.005)
        assert mesh.bounds.ravel() == pytest.approx(expected.bounds.ravel(), abs=2e-3)
        assert mesh.volume == pytest.approx(expected.volume, rel=2e-3)
    # Fewer scales: another shape of the same file.
    browser.js(
        "(() => { const slider = document.querySelector('#scales input'); slider.value = 2;"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    browser.until("document.querySelector('#scales output').textContent.startsWith('2 of ')")
    coarse = exported(browser, tmp_path / "coarse", "glb")
    assert coarse.volume != pytest.approx(expected.volume, rel=0.01)


def test_a_link_shows_its_file_and_a_bad_one_says_why(browser: Browser, site: str) -> None:
    path = MESHES / "church-028d2bcc-1024.vat"
    link = CliRunner().invoke(cli, ["link", str(path), "--base", site]).stdout.strip()
    visit(browser, link)
    browser.until("document.body.dataset.shown === 'shape.vat'")
    assert 0.03 < shape_share(browser) < 0.6
    assert "mesh" in browser.js("document.querySelector('#facts').innerText").split()
    assert not [name for name in ASKED if "planes-" in name]  # a mesh needs no more than its coder
    browser.js("document.querySelector('#copy').click()")
    browser.until(f"location.href === {json.dumps(link)}")
    for data, words in ((b"VAT\1", "truncated"), (b"solid", "not-vat")):
        browser.js(f"location.href = {json.dumps(link_of(data, site))}")
        browser.until(f"document.querySelector('#message').textContent.includes({json.dumps(words)})")
    browser.js(f"location.href = {json.dumps(site + '#data=*')}")
    browser.until("document.querySelector('#message').textContent.includes('base64url')")


def test_the_gallery_fills_and_weights_are_fetched_once(browser: Browser, site: str) -> None:
    visit(browser, site)
    browser.until("document.body.dataset.gallery === 'filled'", 120)
    assert browser.js("document.querySelector('#message').hidden")
    entries = json.loads((ROOT / "web" / "demo" / "gallery" / "index.json").read_text())
    assert browser.js("document.querySelectorAll('.card').length") == len(entries)
    browser.click(".card")
    browser.until("document.body.dataset.shown")
    assert 0.03 < shape_share(browser) < 0.6
    original = picture_of(browser, "#original canvas")
    assert (original[..., 0] - original[..., 2] > 8).mean() > 0.03
    browser.send("Page.reload")
    browser.until("document.body && document.body.dataset.gallery === 'filled'", 120)
    weights = [name for name in ASKED if name.endswith(".bin") and "/weights/" in name]
    assert len(weights) == len(set(weights))


def test_the_page_fits_a_phone_and_is_dark_where_the_system_is(browser: Browser, site: str) -> None:
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
    )
    visit(browser, site)
    drop(browser, "church.vat", (MESHES / "church-028d2bcc-1024.vat").read_bytes())
    browser.until("document.body.dataset.shown")
    assert browser.js("document.documentElement.scrollWidth") <= 360
    back = "getComputedStyle(document.body).backgroundColor"
    assert browser.js(back) == "rgb(21, 24, 28)"
    browser.click("#theme")
    assert browser.js(back) == "rgb(246, 246, 244)"
    before = picture_of(browser, "#decoded canvas")
    browser.js("document.querySelector('#decoded canvas').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft")
    assert (picture_of(browser, "#decoded canvas") != before).any()


def test_golden_files_decode_in_chromium_as_in_python(browser: Browser, site: str) -> None:
    """Tokens exactly, geometry within the tolerance of the golden tests."""
    visit(browser, site)
    expected = json.loads((GOLDEN / "expected.json").read_text())
    browser.js(
        "(async () => { const { Core } = await import('../src/core.js');"
        " const { readContainer } = await import('../src/format/container.js');"
        " window.core = new Core(new URL('../weights/', location.href));"
        " window.bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));"
        " window.hash = async (data) => {"
        "   const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));"
        "   return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''); };"
        " window.tokens = async (text) => hash(await core.tokens(readContainer(bytesOf(text))));"
        " window.mesh = async (text, resolution) => {"
        "   const { positions, indices, closed } = await core.decode(bytesOf(text), { resolution });"
        "   const low = [9, 9, 9], high = [-9, -9, -9];"
        "   positions.forEach((x, i) => { low[i % 3] = Math.min(low[i % 3], x);"
        "     high[i % 3] = Math.max(high[i % 3], x); });"
        "   return { bounds: [...low, ...high], faces: indices.length / 3, closed }; }; })()"
    )
    for name, record in expected.items():
        data = base64.b64encode((GOLDEN / name).read_bytes()).decode()
        assert browser.js(f"tokens({json.dumps(data)})") == record["tokens_sha256"], name
        if name.endswith("-512-coded.vat"):
            found = browser.js(f"mesh({json.dumps(data)}, 96)")
            assert found["bounds"] == pytest.approx(record["bounds"], abs=2e-3), name
    for name, record in json.loads((MESHES / "expected.json").read_text()).items():
        data = base64.b64encode((MESHES / name).read_bytes()).decode()
        found = browser.js(f"mesh({json.dumps(data)})")
        assert found["bounds"] == pytest.approx(record["bounds"], abs=1e-6)
        assert (found["faces"], found["closed"]) == (record["surface_faces"], record["closed"])


def test_the_page_is_small_and_names_no_other_place() -> None:
    files = [
        path for folder in ("src", "demo") for path in (ROOT / "web" / folder).rglob("*") if path.is_file()
    ]
    served = [path for path in files if path.suffix not in (".py", ".ts") and path.name != "VATLoader.js"]
    assert sum(path.stat().st_size for path in served) <= MOST_BYTES
    for path in served:
        if path.suffix in (".js", ".html", ".css"):
            words = path.read_text()
            assert not re.search(r"https?://", words), path
