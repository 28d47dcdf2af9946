"""The page of a report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import CHROMIUM, Browser
from support.report import ball, box, measured, save, synthetic

from meshcodec.evaluation.report.page import to_html
from meshcodec.evaluation.report.pictures import Detail, take_pictures
from meshcodec.evaluation.report.rows import Report

pytestmark = pytest.mark.browser


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
