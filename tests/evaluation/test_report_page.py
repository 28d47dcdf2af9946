"""What the page, the CSV and the JSON of a report hold."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from pathlib import Path

import pytest
from support.report import HOSTILE, data_of, hostile, measured, synthetic

from meshcodec.evaluation.report.page import PAGE_LIMIT, to_csv, to_html, to_json
from meshcodec.evaluation.report.pictures import Detail, in_base64


def test_names_cannot_break_the_page() -> None:
    page = to_html(hostile())
    assert b"onerror" in page  # as JSON
    assert b"<img" not in page
    assert page.count(b"</script>") == 2
    assert data_of(page)["rows"][0]["file"] == HOSTILE
    assert data_of(page)["unmatched"] == [HOSTILE]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_page_of_500_full_shares_is_small() -> None:
    share = Detail.of(500, 15_000_000).size
    thumbnail = 2400
    view = (share - 3 * in_base64(thumbnail * b"x")) * 3 // 4
    page = to_html(synthetic(500, thumbnail, view))
    assert 14e6 < len(page) < 17e6
    assert data_of(page)["left_out"] == {"thumbnails": 0, "views": 0}


@pytest.mark.slow
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
