"""The short header: exact bytes, refusals, round trips, and which files get it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

from meshcodec.errors import BadMeshError, CorruptFileError
from meshcodec.format.box import Triple, round_box
from meshcodec.format.container import VatFile, head_bytes, version_for
from meshcodec.format.payload import Packing
from meshcodec.format.short_header import MODELS, SHORT_VERSION, center_step, center_steps, placed_at
from meshcodec.geometry.normalize import fit_box
from meshcodec.modes.budget import payload_bytes
from meshcodec.registry import Registry

CENTER, BOX = (1.0, -2.0, 0.5), (4.0, 0.5, 1.71875)
TOKENS = VatFile(
    payload=b"\x01\x02", model_id=MODELS[0], count=2, center=CENTER, half_extents=BOX, iso_offset=7,
    version=SHORT_VERSION,
)  # fmt: skip
TOKENS_BYTES = bytes.fromhex("564154 02 20 00 0200 697b 0004 00f8 0002 80103780 07 0102")
MESH = VatFile(
    payload=b"\x04abc", model_id=MODELS[1], count=513, packing=Packing.MESH, center=(0.0, 0.0, -0.25),
    half_extents=(1.0, 1.0, 1.0), mirrored=(True, False, True), version=SHORT_VERSION,
)  # fmt: skip
MESH_BYTES = bytes.fromhex("564154 02 86 01 0102 6ea2 0000 0000 00fc 8080807e 04616263")
FILES = [(TOKENS, TOKENS_BYTES), (MESH, MESH_BYTES)]


def crc16(data: bytes) -> int:
    """CRC-16 bit by bit: polynomial x^16 + x^12 + x^5 + 1, beginning with all bits set."""
    register = 0xFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            out = register >> 15 ^ byte >> bit & 1
            register = (register << 1 & 0xFFFF) ^ (0x1021 if out else 0)
    return register


def sealed(data: bytes) -> bytes:
    """``data`` with a right CRC, so that only what a test changed is wrong."""
    return data[:8] + crc16(data[:8] + bytes(2) + data[10:]).to_bytes(2, "little") + data[10:]


@pytest.mark.parametrize(("file", "data"), FILES, ids=["tokens", "mesh"])
def test_exact_bytes(file: VatFile, data: bytes) -> None:
    assert sealed(data).hex() == data.hex()
    assert file.to_bytes().hex() == data.hex()
    assert VatFile.from_bytes(data) == file


def test_the_overhead_is_20_bytes() -> None:
    assert head_bytes(SHORT_VERSION) == len(TOKENS_BYTES) - 3 == 20
    assert payload_bytes(512) == 492
    assert payload_bytes(512, iso_offset=True) == 491


@pytest.mark.parametrize("whole", [data for _, data in FILES], ids=["tokens", "mesh"])
def test_every_truncation_and_every_flipped_bit_is_refused(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(whole[:length])
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptFileError):
            VatFile.from_bytes(bytes(damaged))


@pytest.mark.parametrize(
    ("at", "new", "message"),
    [
        (4, "30", "unknown flags 0x30"),
        (4, "60", "unknown flags 0x60"),
        (4, "23", "unknown packing 3;.*newer meshcodec"),
        (4, "22", "the flags 0x22 are none of a mesh"),
        (5, "02", "unknown model number 2"),
        (6, "0300", "wrong length: 23 bytes where the header says 24"),
        (8, "0000", "checksum"),
        (16, "00103780", "bad placement: scale .* is not a finite number above 0"),
        (16, "7f103780", "the box 7f103780 is not of the form"),
        (16, "80003780", "bad placement: scale .* is not a finite number above 0"),
        (16, "801037ff", "bad placement: scale .* is outside float32"),
        (10, "ff7f 0000 0000 801037fd", "bad placement: centre .* is outside float32's range"),
        (20, "00", "an iso offset of 0"),
    ],
)
def test_each_refusal_has_its_message_and_a_remedy(at: int, new: str, message: str) -> None:
    changed = bytes.fromhex(new)
    data = TOKENS_BYTES[:at] + changed + TOKENS_BYTES[at + len(changed) :]
    with pytest.raises(CorruptFileError, match=message) as caught:
        VatFile.from_bytes(data if at == 8 else sealed(data))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_mesh_without_faces_is_refused() -> None:
    with pytest.raises(CorruptFileError, match="its mesh has no faces"):
        VatFile.from_bytes(sealed(MESH_BYTES[:6] + bytes(2) + MESH_BYTES[8:]))


@pytest.mark.parametrize(
    "change",
    [
        {"model_id": b"abcd"},
        {"center": None, "half_extents": None},
        {"center": (1.0, -2.0, 0.5 + 2**-11)},
        {"center": (1.0, -32.001, 0.5)},
        {"half_extents": (1.2345, 1.2345, 1.2345)},
        {"version": 3},
        {"version": 0},
    ],
)
def test_what_a_short_header_cannot_hold_is_not_made(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "payload": b"ab",
        "model_id": MODELS[0],
        "count": 2,
        "center": CENTER,
        "half_extents": BOX,
    }
    VatFile(**fields, version=SHORT_VERSION)
    with pytest.raises(ValueError, match=r"short header|no version"):
        VatFile(**({"version": SHORT_VERSION} | fields | change))


def test_the_largest_steps() -> None:
    step = center_step(BOX)
    assert step == 2.0**-10
    for number in (-32768, 32767):
        center = (number * step, 0.0, 0.0)
        assert version_for(MODELS[0], center, BOX) == SHORT_VERSION
        file = VatFile(
            payload=b"", model_id=MODELS[0], count=0, center=center, half_extents=BOX, version=SHORT_VERSION
        )
        assert VatFile.from_bytes(file.to_bytes()) == file
    for number in (-32769, 32768):
        assert version_for(MODELS[0], (number * step, 0.0, 0.0), BOX) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300])
def test_a_centre_that_no_header_holds(value: float) -> None:
    assert version_for(MODELS[0], (0.0, value, 0.0), BOX) == 1


extents = st.floats(1e-30, 1e30)


@given(
    st.binary(max_size=99),
    st.sampled_from(MODELS),
    st.tuples(extents, extents, extents).map(round_box),
    st.tuples(*[st.integers(-32768, 32767)] * 3),
    st.integers(-128, 127),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_round_trip(
    payload: bytes,
    model_id: bytes,
    box: Triple,
    steps: tuple[int, int, int],
    iso_offset: int,
    mirrored: tuple[bool, bool, bool],
) -> None:
    file = VatFile(
        payload=payload, model_id=model_id, count=77, packing=Packing.CODED, center=placed_at(steps, box),
        half_extents=box, iso_offset=iso_offset, mirrored=mirrored, version=SHORT_VERSION,
    )  # fmt: skip
    data = file.to_bytes()
    assert VatFile.from_bytes(data) == file
    assert len(data) == 20 + bool(iso_offset) + len(payload)


@given(
    st.sampled_from([0x01, 0x02, 0x05, 0x8E, 0x21]),
    st.binary(min_size=6, max_size=6),
    st.tuples(st.integers(120, 255), st.integers(0, 255), st.integers(0, 255)),
    st.sampled_from([0, 1, 7, 128, 240, 248, 251, 252, 253, 254, 255]),
    st.binary(min_size=1, max_size=9),
)
def test_any_placement_behind_a_right_checksum_is_refused_or_is_written_so_again(
    flags: int, steps: bytes, mantissas: tuple[int, int, int], exponent: int, rest: bytes
) -> None:
    head = b"VAT\x02" + bytes([flags, 1, 9, 0, 0, 0]) + steps + bytes([*mantissas, exponent])
    data = sealed(head + rest)
    try:
        file = VatFile.from_bytes(data)
    except CorruptFileError:
        return
    assert file.to_bytes() == data


def test_a_wrong_checksum_hides_whatever_else_is_wrong() -> None:
    with pytest.raises(CorruptFileError, match="checksum"):
        VatFile.from_bytes(b"VAT\x02\x01" + bytes(40))


@given(
    st.lists(st.tuples(*[st.floats(-3, 3, width=32)] * 3), min_size=4, max_size=9),
    st.integers(-20, 20),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_mesh_near_the_origin_is_placed_for_a_short_header(
    points: list[tuple[float, float, float]], scale: int, mirrored: tuple[bool, bool, bool]
) -> None:
    vertices = np.array(points) * 2.0**scale
    try:
        placement = fit_box(vertices, mirrored)
    except BadMeshError:
        return  # no extent, or far from the origin for its size
    far = np.abs(vertices).max() > 3 * placement.scale
    assert far or version_for(MODELS[0], placement.center, placement.half_extents) == SHORT_VERSION
    reach = np.abs(vertices - np.array(placement.center)).max(axis=0)
    assert (reach <= placement.half_extents).all()  # no vertex leaves the box
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    assert np.abs(middle - placement.center).max() <= placement.scale / 4096


def test_a_mesh_far_from_the_origin_keeps_the_long_header() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    vertices[:, 0] += 100.1
    placement = fit_box(vertices)
    assert version_for(MODELS[0], placement.center, placement.half_extents) == 1
    assert placement.center == (float(np.float32(100.6)), 0.5, 0.5)
    assert center_steps(placement.center, placement.half_extents) is None


def test_a_box_of_simple_numbers_stays_as_it_is() -> None:
    placement = fit_box(np.array([[0.0, 0, 0], [1, 2, 3]]))
    assert placement.center == (0.5, 1.0, 1.5)
    assert placement.half_extents == (0.5, 1.0, 1.5)


def test_the_shipped_networks_have_numbers() -> None:
    """New networks that encode by default are to be added at the end of the row, which never changes."""
    registry = Registry()
    assert {registry.default().model_id, registry.default_mesh_coder().coder_id} <= set(MODELS)
    assert [model.hex() for model in MODELS[:2]] == ["12a8363d", "028d2bcc"]


def test_the_javascript_decoder_has_the_same_numbers() -> None:
    text = (ROOT / "web" / "src" / "format" / "short_header.js").read_text()
    (row,) = re.findall(r"MODELS = \[(.*)\]", text)
    assert re.findall(r"'(\w+)'", row) == [model.hex() for model in MODELS]
