"""The short header, version 2 of a ``.vat`` file: 20 bytes where version 1 takes 31 for the same.

It is for files of the shipped networks with a placement: a number stands for the model id, the checksum has
16 bits, and the centre is a whole number of steps that depend on the box. All else is as in version 1
(`meshcodec.format.container`).

    offset  size  field
    0       3     magic, the ASCII letters ``VAT``
    3       1     version, u8, 2
    4       1     flags, u8, as in version 1; bits 4 and 6 are not set
    5       1     model number, u8, a place in `MODELS`
    6       2     count of tokens or, of a mesh, of coded faces, u16
    8       2     CRC-16 (polynomial 0x1021, beginning with 0xffff), u16, of the whole file with these 2 bytes
                  as zero
    10      6     centre x, y, z, 3 * i16, in steps of 2^(e - 138)
    16      4     box: mantissas mx, my, mz, u8, the largest of them at least 128 and none 0, and an exponent
                  e, u8: half-extents m * 2^(e - 133), each in float32's range; they may be equal
    20      1     iso offset, i8, not 0, where the flags say so
    20/21   n     payload
"""

from __future__ import annotations

import binascii
import math
import struct
from typing import NamedTuple

from meshcodec.format.box import Triple, pack_mantissas, placement_fault, unpack_box

SHORT_VERSION = 2
SHORT_BYTES = 20  # of the header with its placement
MODELS = (bytes.fromhex("12a8363d"), bytes.fromhex("028d2bcc"))
"""Model ids of the shipped networks. A file holds the place in this row, so none of them ever leaves it."""
_HEADER = struct.Struct("<3sBBBHH3h4s")  # magic, version, flags, model number, count, CRC, centre, box
_CRC_AT = 8
_STEPS = 5  # binary digits of a centre below those of a mantissa
_END = 1 << 15  # of the steps: the first that 16 bits with a sign do not hold


class ShortHeader(NamedTuple):
    """What a short header holds, besides magic, version and checksum."""

    flags: int
    model: int
    faces_or_tokens: int
    center: tuple[int, int, int]
    box: bytes


def center_step(half_extents: Triple) -> float:
    """What a centre is a multiple of: 1/4096 to 1/8160 of the longest half-extent of a box."""
    return math.ldexp(1.0, math.frexp(max(half_extents))[1] - 8 - _STEPS)


def center_steps(center: Triple, half_extents: Triple) -> tuple[int, int, int] | None:
    """The whole numbers of steps nearest to a centre; None where that is too far from the origin."""
    step = center_step(half_extents)
    x, y, z = (round(value / step) for value in center)
    return (x, y, z) if min(x, y, z) >= -_END and max(x, y, z) < _END else None


def placed_at(steps: tuple[int, int, int], half_extents: Triple) -> Triple:
    """The centre of whole numbers of steps; each is a float32."""
    x, y, z = (value * center_step(half_extents) for value in steps)
    return x, y, z


def is_short(model_id: bytes, center: Triple | None, half_extents: Triple | None) -> bool:
    """Whether a short header can say which model it is and where the mesh lies."""
    if model_id not in MODELS or center is None or half_extents is None:
        return False
    if not all(math.isfinite(value) for value in center):
        return False
    try:
        pack_mantissas(half_extents)
    except ValueError:
        return False
    steps = center_steps(center, half_extents)
    return steps is not None and placed_at(steps, half_extents) == center


def pack_short(
    magic: bytes, flags: int, model_id: bytes, count: int, center: Triple, half_extents: Triple, rest: bytes
) -> bytes:
    """A whole file, whose iso offset and payload are `rest`, of what `is_short` says yes to."""
    steps = center_steps(center, half_extents)
    assert steps is not None
    box = pack_mantissas(half_extents)
    head = _HEADER.pack(magic, SHORT_VERSION, flags, MODELS.index(model_id), count, 0, *steps, box)
    crc = _crc(head + rest)
    return head[:_CRC_AT] + crc.to_bytes(2, "little") + head[_CRC_AT + 2 :] + rest


def read_short(data: bytes) -> ShortHeader:
    """The header of a file of at least `SHORT_BYTES` bytes, as it stands there."""
    _, _, flags, model, count, _, x, y, z, box = _HEADER.unpack_from(data)
    return ShortHeader(flags, model, count, (x, y, z), box)


def is_intact(data: bytes) -> bool:
    """Whether the checksum of a file is right."""
    return _crc(data[:_CRC_AT] + bytes(2) + data[_CRC_AT + 2 :]) == int.from_bytes(
        data[_CRC_AT : _CRC_AT + 2], "little"
    )


def read_placement(header: ShortHeader) -> tuple[Triple, Triple]:
    """Centre and half-extents of a header. ValueError: its box is not of the form that is written."""
    half_extents = unpack_box(header.box, True)
    center = placed_at(header.center, half_extents)
    if fault := placement_fault(center, half_extents):
        raise ValueError(fault)
    if pack_mantissas(half_extents) != header.box:
        raise ValueError(f"bad placement: the box {header.box.hex()} is not of the form that is written")
    return center, half_extents


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0xFFFF)
