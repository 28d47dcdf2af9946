"""How long a browser takes to decode, beside DRACOLoader's decoder and Python: ``make web-speed``.

One headless Chromium opens a page from a server on this machine and measures, in one run and by turns:

* files in tokens mode at 128 cells and files in mesh mode, in one worker of `web/`; of each
  kind also the first call of a fresh browser, with the weights from the server, for one file of each shape;
* three.js's DRACOLoader with one worker on the Draco file of the same example that takes as many bytes;
* beside them Python's decode of the same files, on as many threads as there are cores.

Needs `make web-weights` and `npm ci` in `web/`. Figures are medians over files of the medians over rounds,
and of the quickest rounds: where other work disturbs, these are nearer to what an idle machine takes.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import Browser  # noqa: E402

from meshcodec.api import Codec  # noqa: E402
from meshcodec.evaluation.baselines import decimate_draco  # noqa: E402
from meshcodec.geometry.io import load_mesh  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"
CELLS = 128
DRACO_SIZE = 1024
"""Bytes of the Draco files; in so many, files in tokens mode say about the same."""
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"three": "./node_modules/three/build/three.module.js"}}</script>
<script type="module">
import { Decoder } from './src/index.js';
import { DRACOLoader } from './node_modules/three/examples/jsm/loaders/DRACOLoader.js';
const decoder = new Decoder();
const draco = new DRACOLoader().setWorkerLimit(1);
draco.setDecoderPath('./node_modules/three/examples/jsm/libs/draco/');
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const timed = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};
window.decodeVat = (text, resolution) => {
  const bytes = bytesOf(text);
  return timed(() => decoder.decode(bytes, { resolution }));
};
window.decodeDraco = (text) => {
  const { buffer } = bytesOf(text);
  return timed(() => new Promise((done, failed) => draco.parse(buffer, done, failed)));
};
window.ready = true;
</script>"""
Times = dict[str, dict[str, list[float]]]
"""Milliseconds by what was measured and by file."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/bench.html":
            super().do_GET()
            return
        page = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def files() -> tuple[dict[str, bytes], dict[str, bytes], dict[str, bytes]]:
    """Files in tokens mode, in mesh mode, and Draco's."""
    tokens = {path.name: path.read_bytes() for path in sorted((GOLDEN / "v1").glob("*.vat"))}
    meshes = {path.name: path.read_bytes() for path in sorted((GOLDEN / "mesh").glob("*.vat"))}
    draco = {}
    for path in sorted((ROOT / "examples").glob("*.obj")):
        draco[path.stem] = decimate_draco(load_mesh(path), DRACO_SIZE).data
    return tokens, meshes, draco


def one_of_each_shape(files: dict[str, bytes]) -> list[str]:
    """The first file of each shape: `burger` of `burger-12a8363d-1k.vat` and its other sizes."""
    return list({name.split("-")[0]: name for name in reversed(files)}.values())[::-1]


def in_browser(browser: Browser, call: str, data: bytes, *more: object) -> float:
    """Milliseconds of a function of the page."""
    text = base64.b64encode(data).decode()
    arguments = ", ".join(json.dumps(value) for value in (text, *more))
    return float(browser.js(f"{call}({arguments})"))


def in_python(codec: Codec, data: bytes, resolution: int | None) -> float:
    """Milliseconds of Python's decode."""
    start = time.perf_counter()
    codec.decode(data, resolution)
    return 1000 * (time.perf_counter() - start)


def fresh(address: str, folder: Path) -> Browser:
    """A browser that has nothing in its caches, on the page."""
    browser = Browser(folder)
    browser.send("Page.navigate", url=address)
    browser.until("window.ready === true")
    return browser


def measure(address: str, rounds: int, every: int) -> Times:
    """All times."""
    tokens, meshes, draco = files()
    tokens = dict(list(tokens.items())[::every])
    codec, times = Codec("cpu"), Times()
    # Each first call is that of a browser whose caches are empty; by turns, so that none has a quiet minute.
    for _ in range(rounds):
        for what, data in (("tokens, first call", tokens), ("mesh, first call", meshes)):
            for name in one_of_each_shape(data):
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    browser = fresh(address, Path(folder))
                    found = in_browser(browser, "decodeVat", data[name], CELLS)
                    times.setdefault(what, {}).setdefault(name, []).append(found)
                    browser.close()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = fresh(address, Path(folder))
        ways: list[tuple[str, dict[str, bytes], Callable[[bytes], float]]] = [
            ("tokens", tokens, lambda data: in_browser(browser, "decodeVat", data, CELLS)),
            ("tokens, Python", tokens, lambda data: in_python(codec, data, CELLS)),
            ("mesh", meshes, lambda data: in_browser(browser, "decodeVat", data, None)),
            ("mesh, Python", meshes, lambda data: in_python(codec, data, None)),
            ("DRACOLoader", draco, lambda data: in_browser(browser, "decodeDraco", data)),
        ]
        for number in range(rounds + 1):  # the first round warms up, and is not counted
            for what, data, timed in ways:
                for name, file in data.items():
                    found = timed(file)
                    if number:
                        times.setdefault(what, {}).setdefault(name, []).append(found)
        browser.close()
    return times


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="how long a browser takes to decode")
    parser.add_argument("-o", "--output", type=Path, help="JSON of all times")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (%(default)s)")
    parser.add_argument("--every", type=int, default=1, help="of the files in tokens mode one in so many")
    options = parser.parse_args()
    if (
        not (ROOT / "web" / "weights" / "index.json").is_file()
        or not (ROOT / "web" / "node_modules").is_dir()
    ):
        parser.error("`make web-speed` makes what this needs")
    handler = functools.partial(_Quiet, directory=str(ROOT / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    times = measure(f"http://127.0.0.1:{server.server_port}/bench.html", options.rounds, options.every)
    print(
        f"{os.cpu_count()} cores; milliseconds, medians over files of the median of {options.rounds} rounds"
    )
    result: dict[str, Any] = {}
    for what, by_file in times.items():
        middle = statistics.median(statistics.median(found) for found in by_file.values())
        least = statistics.median(min(found) for found in by_file.values())
        result[what] = {"median": middle, "least": least, "files": by_file}
        print(f"{what:22} {len(by_file):3} files  {middle:8.1f}  of the quickest rounds {least:8.1f}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
