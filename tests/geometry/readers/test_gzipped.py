"""Files that are compressed with gzip: members, padding, and what they unpack to."""

from __future__ import annotations

import gzip
import itertools
import time
import tracemalloc

import pytest

from meshcodec.errors import BadMeshError
from meshcodec.geometry.readers.gzipped import unpacked

TEXT = bytes(range(256)) * 300
LIMIT = 1 << 20


@pytest.mark.parametrize("ends", [(), (0,), (1, 2, 3), (10_000, 10_000, 50_000)])
@pytest.mark.parametrize("between", [b"", b"\0", bytes(5000)])
def test_members_follow_each_other(ends: tuple[int, ...], between: bytes) -> None:
    cuts = [0, *ends, len(TEXT)]
    parts = [gzip.compress(TEXT[start:end]) for start, end in itertools.pairwise(cuts)]
    assert unpacked(between.join(parts), LIMIT) == TEXT


@pytest.mark.parametrize("rest", [b"\0" * 600, b"garbage", b"\x1f", b"\0\0 and words", b"\x8b\x1f" * 99])
def test_what_is_no_member_is_passed_over(rest: bytes) -> None:
    """As the gzip tool does."""
    assert unpacked(gzip.compress(TEXT) + rest, LIMIT) == TEXT


@pytest.mark.parametrize("data", [b"\0", TEXT, b"\x1f", b"v 0 0 0\n", b"\0\x1f\x8b"])
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(BadMeshError, match=r"with gzip: it is not compressed; take \.gz off its name"):
        unpacked(data, LIMIT)


def test_an_empty_file_stays_empty() -> None:
    assert unpacked(b"", LIMIT) == unpacked(gzip.compress(b""), LIMIT) == b""


def test_what_is_damaged_is_refused() -> None:
    whole = gzip.compress(TEXT)
    for end in (5, 100, len(whole) - 8, len(whole) - 1):
        for first in (b"", whole):
            with pytest.raises(BadMeshError, match="cannot be unpacked with gzip: it is cut short"):
                unpacked(first + whole[:end], LIMIT)
    with pytest.raises(BadMeshError, match="cannot be unpacked with gzip: it is damaged"):
        unpacked(whole[:3] + bytes(99), LIMIT)
    for place in (-1, -5):  # the length, and the checksum
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(BadMeshError, match=r"cannot be unpacked with gzip: it is damaged"):
            unpacked(bytes(changed), LIMIT)


def test_no_more_is_unpacked_than_allowed() -> None:
    assert unpacked(gzip.compress(TEXT), len(TEXT)) == TEXT
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        for data in (bomb, gzip.compress(TEXT) + bomb):
            with pytest.raises(BadMeshError, match="larger than 1048576 bytes"):
                unpacked(data, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


def test_many_small_members_do_not_cost_the_square_of_their_number() -> None:
    data = gzip.compress(b"v") * 50_000
    began = time.perf_counter()
    assert unpacked(data, LIMIT) == b"v" * 50_000
    assert time.perf_counter() - began < 5
