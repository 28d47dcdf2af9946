"""The pictures of docs/web.md: ``python web/demo/screenshots.py`` opens the page in headless Chromium.

Needs `make web-weights`.
"""

from __future__ import annotations

import base64
import functools
import http.server
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import Browser  # noqa: E402

DOCS = ROOT / "docs"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def picture(browser: Browser, height: int, path: Path) -> None:
    """Save a picture of the page's upper part."""
    clip = {"x": 0, "y": 0, "width": 1200, "height": height, "scale": 1}
    browser.js("window.scrollTo(0, 0)")
    data = browser.send("Page.captureScreenshot", clip=clip)["data"]
    path.write_bytes(base64.b64decode(data))


def main() -> None:
    """Write both pictures: the gallery light, a shape dark."""
    handler = functools.partial(_Quiet, directory=str(ROOT / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(Path(folder), 1200, 900)
        browser.send("Page.navigate", url=f"http://127.0.0.1:{server.server_port}/demo/")
        browser.until("document.body && document.body.dataset.gallery === 'filled'", 120)
        picture(browser, 640, DOCS / "web-gallery.png")
        browser.click("#theme")
        browser.click(".card:nth-child(3)")
        browser.until("document.body.dataset.shown")
        browser.js("document.querySelector('#sizes button:nth-child(3)').click()")
        browser.until("document.querySelector('#facts').innerText.includes('tokens')")
        picture(browser, 800, DOCS / "web-shape.png")
        browser.close()


if __name__ == "__main__":
    main()
