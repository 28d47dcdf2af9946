"""The container: exact bytes, refusals, round trips, boxes."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format.box import NO_AXES, round_box
from meshcodec.format.container import HEADER_BYTES, PLACEMENT_BYTES, VatFile
from meshcodec.format.payload import Packing
from meshcodec.modes.budget import payload_bytes

PLACED = VatFile.of_tokens(b"\x00\x7f\x80\xff", b"\xde\xad\xbe\xef", (1.0, -2.0, 0.5), (4.0, 4.0, 4.0))
PLACED_BYTES = bytes.fromhex(
    "564154 01 10 deadbeef 0400 0a8e78ae"  # magic, version, flags, model, count, CRC
    "0000803f 000000c0 0000003f 00008040"  # centre, scale
    "007f80ff"
)
BARE = VatFile.of_tokens(b"\x01\x02", b"abcd")
BARE_BYTES = bytes.fromhex("564154 01 00 61626364 0200 258a1008 0102")
LEVELED = VatFile.of_tokens(b"\x01\x02", b"abcd", (1.0, -2.0, 0.5), (4.0, 4.0, 4.0), iso_offset=-3)
LEVELED_BYTES = bytes.fromhex(
    "564154 01 30 61626364 0200 067e5926 0000803f 000000c0 0000003f 00008040 fd 0102"
)
BOXED = VatFile.of_tokens(b"\x01\x02", b"abcd", (1.0, -2.0, 0.5), (4.0, 0.5, 1.71875), iso_offset=7)
BOXED_BYTES = bytes.fromhex("564154 01 70 61626364 0200 22aca1d9 0000803f 000000c0 0000003f 80103780 07 0102")
MIRRORED = VatFile.of_tokens(
    b"\x01\x02", b"abcd", (1.0, -2.0, 0.5), (4.0, 4.0, 4.0), mirrored=(True, False, True)
)
MIRRORED_BYTES = bytes.fromhex("564154 01 94 61626364 0200 2b26c8c2 0000803f 000000c0 0000003f 00008040 0102")
FILES = [
    (MIRRORED, MIRRORED_BYTES),
    (PLACED, PLACED_BYTES),
    (BARE, BARE_BYTES),
    (LEVELED, LEVELED_BYTES),
    (BOXED, BOXED_BYTES),
]
NAMES = ["mirrored", "placed", "bare", "leveled", "boxed"]


def sealed(data: bytes) -> bytes:
    """``data`` with a right CRC, so that only what a test changed is wrong."""
    crc = zlib.crc32(data[:11] + bytes(4) + data[15:])
    return data[:11] + struct.pack("<I", crc) + data[15:]


@pytest.mark.parametrize(("file", "data"), FILES, ids=NAMES)
def test_exact_bytes(file: VatFile, data: bytes) -> None:
    assert file.to_bytes().hex() == data.hex()
    assert VatFile.from_bytes(data) == file


def test_the_overhead_is_31_bytes() -> None:
    assert (HEADER_BYTES, PLACEMENT_BYTES) == (15, 16)
    assert len(PLACED_BYTES) - PLACED.count == 31


@pytest.mark.parametrize("whole", [data for _, data in FILES], ids=NAMES)
def test_every_truncation_is_refused(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(CorruptFileError, match=r"empty|too short|wrong length"):
            VatFile.from_bytes(whole[:length])


@pytest.mark.parametrize("whole", [data for _, data in FILES], ids=NAMES)
def test_every_flipped_bit_is_refused(whole: bytes) -> None:
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(bytes(damaged))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"VA", "too short: 2 bytes"),
        (BARE_BYTES[:14], "too short: 14 bytes"),
        (b"PK\x03\x04 something else altogether", "not a .vat file"),
        (b"P", "not a .vat file"),
        (b"VAT\x03", "version 3 is newer than 2"),
        (b"VAT\x02", "too short: 4 bytes, and the header alone is 20"),
        (sealed(b"VAT\xff" + BARE_BYTES[4:]), "version 255 is newer"),
        (sealed(b"VAT\x00" + BARE_BYTES[4:]), "no format version 0"),
        (sealed(b"VAT\x01\xa0" + BARE_BYTES[5:]), "the flags 0xa0 need a placement"),
        (sealed(b"VAT\x01\x40" + BARE_BYTES[5:]), "the flags 0x40 need a placement"),
        (sealed(b"VAT\x01\x80" + BARE_BYTES[5:]), "the flags 0x80 need a placement"),
        (sealed(b"VAT\x01\x04" + BARE_BYTES[5:]), "the flags 0x04 need a placement"),
        (sealed(b"VAT\x01\x08" + BARE_BYTES[5:]), "the flags 0x08 need a placement"),
        (sealed(b"VAT\x01\x02" + BARE_BYTES[5:]), "the flags 0x02 are none of a mesh"),
        (sealed(b"VAT\x01\x03" + BARE_BYTES[5:]), "unknown packing 3;.*newer meshcodec"),
        (sealed(BARE_BYTES + b"\0"), "wrong length: 18 bytes where the header says 17"),
        (sealed(PLACED_BYTES + b"trailing"), "wrong length"),
        (sealed(PLACED_BYTES[:-1]), "wrong length: 34 bytes where the header says 35"),
        (sealed(PLACED_BYTES[:20]), "wrong length"),
        (sealed(LEVELED_BYTES[:31]), "wrong length: 31 bytes where the header says 34"),
        (sealed(LEVELED_BYTES[:31] + b"\0" + LEVELED_BYTES[32:]), "an iso offset of 0"),
        (BARE_BYTES[:-1] + b"\x03", "checksum"),
        (BARE_BYTES[:8] + b"D" + BARE_BYTES[9:], "checksum"),
    ],
)
def test_each_refusal_has_its_message_and_a_remedy(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message) as caught:
        VatFile.from_bytes(data)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, float("nan"), "centre .* not finite"),
        (1, float("inf"), "centre .* not finite"),
        (2, float("-inf"), "centre .* not finite"),
        (3, float("nan"), "scale"),
        (3, float("inf"), "scale"),
        (3, 0.0, "scale"),
        (3, -1.0, "scale"),
    ],
)
def test_bad_placements_are_refused_both_ways(place: int, value: float, message: str) -> None:
    numbers = [1.0, -2.0, 0.5, 4.0]
    numbers[place] = value
    with pytest.raises(CorruptFileError, match=f"bad placement: {message}"):
        VatFile.from_bytes(sealed(PLACED_BYTES[:15] + struct.pack("<4f", *numbers) + PLACED_BYTES[31:]))
    with pytest.raises(ValueError, match=f"bad placement: {message}"):
        VatFile.of_tokens(b"", b"abcd", (numbers[0], numbers[1], numbers[2]), (numbers[3],) * 3)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": bytes(65536), "count": 65536},
        {"payload": b"abab", "count": 3},
        {"payload": b"abab", "count": 65536, "packing": 1},
        {"count": -1},
        {"model_id": b"abc"},
        {"packing": 2},
        {"center": None, "half_extents": None, "mirrored": (False, True, False)},
        {"iso_offset": 128},
        {"iso_offset": -129},
        {"packing": -1},
        {"center": None},
        {"half_extents": None},
        {"half_extents": (1e39,) * 3},
        {"half_extents": (1e-60,) * 3},
        {"half_extents": (1.0, 0.5, 0.001)},
        {"half_extents": (1.0, 0.5, 0.0)},
        {"half_extents": (1.0, 0.5, float("nan"))},
        {"half_extents": (2.0**-127, 2.0**-128, 2.0**-127)},
        {"half_extents": (2.0**128, 1.0, 1.0)},
        {"center": (0.0, 0.0)},
    ],
)
def test_a_file_that_cannot_be_written_is_not_made(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"payload": b"", "count": 0, "model_id": b"abcd", "center": (0.0, 0.0, 0.0)}
    fields["half_extents"] = (1.0, 1.0, 1.0)
    VatFile(**fields)
    with pytest.raises(ValueError, match=r"\w"):
        VatFile(**(fields | change))


def test_a_coded_payload_may_have_any_length() -> None:
    file = VatFile(
        payload=b"abab",
        model_id=b"abcd",
        count=2,
        packing=Packing.CODED,
        center=(0.0, 0.0, 0.0),
        half_extents=(1.0, 1.0, 1.0),
    )
    assert file.to_bytes()[4] == 0x11
    assert file.to_bytes()[31:] == b"abab"
    assert VatFile.from_bytes(file.to_bytes()) == file
    with pytest.raises(ValueError, match="needs a coder"):
        file.tokens()
    with pytest.raises(CorruptFileError, match="wrong length"):
        VatFile.from_bytes(file.to_bytes()[:20])


def test_a_file_without_a_placement_is_the_cube() -> None:
    assert BARE.box == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), NO_AXES)
    assert MIRRORED.box == ((1.0, -2.0, 0.5), (4.0, 4.0, 4.0), (True, False, True))


float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
extents = st.floats(1e-30, 1e30)
boxes = st.tuples(extents, extents, extents).map(round_box)
placements = st.one_of(
    st.tuples(st.none(), st.none()),
    st.tuples(
        st.tuples(float32, float32, float32),
        float32.filter(lambda scale: scale > 0).map(lambda scale: (scale, scale, scale)) | boxes,
    ),
)


@pytest.mark.slow
@given(
    st.binary(max_size=300),
    st.binary(min_size=4, max_size=4),
    placements,
    st.integers(-128, 127),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_round_trip(
    tokens: bytes,
    model_id: bytes,
    placement: tuple[Any, Any],
    iso_offset: int,
    mirrored: tuple[bool, bool, bool],
) -> None:
    mirrors = mirrored if placement[0] else NO_AXES
    file = VatFile.of_tokens(tokens, model_id, *placement, iso_offset=iso_offset, mirrored=mirrors)
    assert VatFile.from_bytes(file.to_bytes()) == file


def test_the_largest_file_round_trips() -> None:
    file = VatFile.of_tokens(bytes(range(256)) * 255 + bytes(255), b"abcd")
    assert file.count == 65535
    assert VatFile.from_bytes(file.to_bytes()) == file


@given(st.floats(1e-30, 1e30), st.floats(-1e30, 1e30))
def test_placement_is_held_as_the_file_stores_it(scale: float, x: float) -> None:
    file = VatFile.of_tokens(b"ab", b"abcd", (x, 0.1, 0.0), (scale, scale, scale))
    assert VatFile.from_bytes(file.to_bytes()) == file


@given(st.tuples(extents, extents, extents))
def test_a_box_holds_what_it_was_made_for(half_extents: tuple[float, float, float]) -> None:
    box = round_box(half_extents)
    assert all(new >= old for new, old in zip(box, half_extents, strict=True))
    step = max(box) / 128
    assert all(new - old <= step for new, old in zip(box, half_extents, strict=True))
    assert round_box(box) == box


def test_half_extents_are_rounded_up_to_a_common_step() -> None:
    assert round_box((1.0, 0.125, 0.5)) == (1.0, 0.125, 0.5)
    assert round_box((1.0, 1e-9, 0.501)) == (1.0, 1 / 128, 65 / 128)
    assert round_box((255.0, 254.5, 1.0)) == (255.0, 255.0, 1.0)
    assert round_box((255.5, 3.0, 1.0)) == (256.0, 4.0, 2.0)  # the larger step for all


@pytest.mark.parametrize(
    "half_extents", [(0.0, 1.0, 1.0), (3.5e38, 1.0, 1.0), (1e-39, 1e-39, 1e-39), (float("nan"), 1.0, 1.0)]
)
def test_a_box_that_no_file_holds(half_extents: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="outside float32's range"):
        round_box(half_extents)


@pytest.mark.parametrize(
    ("extents", "message"),
    [
        ("80008080", "scale .* above 0"),
        ("80808080", "the box 80808080 is not of the form"),
        ("40204080", "the box 40204080 is not of the form"),
        ("ff0101ff", "scale .* is outside float32"),
        ("800101fe", "scale .* is outside float32"),
    ],
)
def test_bad_boxes_are_refused(extents: str, message: str) -> None:
    data = BOXED_BYTES[:27] + bytes.fromhex(extents) + BOXED_BYTES[31:]
    with pytest.raises(CorruptFileError, match=f"bad placement: {message}"):
        VatFile.from_bytes(sealed(data))


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        VatFile.from_bytes(data)
    with pytest.raises(CorruptFileError):
        VatFile.from_bytes(b"VAT\x01" + data)


def test_payload_room_fills_the_size() -> None:
    for size in (64, 512, 1024, 4096):
        tokens = bytes(payload_bytes(size, 1))
        assert len(VatFile.of_tokens(tokens, b"abcd", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).to_bytes()) == size
        tokens = bytes(payload_bytes(size, 1, iso_offset=True))
        assert (
            len(VatFile.of_tokens(tokens, b"abcd", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), iso_offset=1).to_bytes())
            == size
        )
        tokens = bytes(payload_bytes(size, 1, placement=False))
        assert len(VatFile.of_tokens(tokens, b"abcd").to_bytes()) == size
    assert payload_bytes(1 << 20) == 65535
    with pytest.raises(UsageError, match="63 bytes is too small; ask for 64"):
        payload_bytes(63)


def test_reading_a_file_needs_neither_torch_nor_numpy() -> None:
    heavy = "{'torch', 'numpy', 'trimesh'}"
    code = f"import sys, meshcodec.format.container; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_mesh_has_the_third_kind_of_payload() -> None:
    file = VatFile(
        payload=b"\x04abc",
        model_id=b"abcd",
        count=7,
        packing=Packing.MESH,
        center=(1.0, -2.0, 0.5),
        half_extents=(4.0, 4.0, 4.0),
        mirrored=(True, False, False),
    )
    data = file.to_bytes()
    assert data[:11] == b"VAT\x01\x16abcd\x07\x00"
    assert (file.mode, file.is_mesh, VatFile.from_bytes(data)) == ("mesh", True, file)
    with pytest.raises(UsageError, match="encode with --mode tokens"):
        file.tokens()


@pytest.mark.parametrize("change", [{"count": 0}, {"iso_offset": 1}, {"center": None, "half_extents": None}])
def test_a_mesh_has_a_placement_and_faces_and_no_iso_offset(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "payload": b"\x04abc",
        "model_id": b"abcd",
        "count": 7,
        "packing": Packing.MESH,
        "center": (1.0, -2.0, 0.5),
        "half_extents": (4.0, 4.0, 4.0),
    }
    with pytest.raises(ValueError, match="a mesh needs a placement and a face"):
        VatFile(**{**given, **change})


@pytest.mark.parametrize(
    ("flags", "count", "message"),
    [(0x32, b"\x07\0", "the flags 0x32 are none of a mesh"), (0x12, b"\0\0", "its mesh has no faces")],
)
def test_a_file_of_a_mesh_that_cannot_be_is_refused(flags: int, count: bytes, message: str) -> None:
    changed = sealed(PLACED_BYTES[:4] + bytes([flags]) + PLACED_BYTES[5:9] + count + PLACED_BYTES[11:])
    with pytest.raises(CorruptFileError, match=message):
        VatFile.from_bytes(changed)
