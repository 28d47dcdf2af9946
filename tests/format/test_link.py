"""Links that carry a file."""

from __future__ import annotations

import base64

import pytest
from click.testing import CliRunner
from support.paths import BAD, GOLDEN

from meshcodec.cli import cli
from meshcodec.errors import UsageError
from meshcodec.format.link import link_of

FILE = GOLDEN / "spot-12a8363d-512.vat"


def test_a_link_is_the_address_and_the_bytes_in_base64url() -> None:
    assert link_of(b"\xfb\xff\xfe", "https://example.org/v/") == "https://example.org/v/#data=-__-"
    assert link_of(b"VAT\1", "file:///page.html?x=1") == "file:///page.html?x=1#data=VkFUAQ"


@pytest.mark.parametrize(
    "base", ["", "page.html", "ftp://example.org/", "https://a b/", "https://", "https://[x/", "https://a/#b"]
)
def test_what_is_no_address_of_a_page_is_refused(base: str) -> None:
    with pytest.raises(UsageError):
        link_of(b"", base)


def test_the_command_prints_one_line() -> None:
    result = CliRunner().invoke(cli, ["link", str(FILE), "--base", "https://example.org/"])
    assert result.exit_code == 0
    line, rest = result.stdout.split("\n")
    assert rest == ""
    data = line.removeprefix("https://example.org/#data=")
    assert base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)) == FILE.read_bytes()


def test_a_file_that_is_none_gets_no_link() -> None:
    result = CliRunner().invoke(cli, ["link", str(BAD / "text.vat"), "--base", "https://example.org/"])
    assert (result.exit_code, result.stdout) == (4, "")
    assert len(result.stderr.splitlines()) == 1
    result = CliRunner().invoke(cli, ["link", str(FILE), "--base", "example"])
    assert (result.exit_code, result.stdout) == (2, "")
