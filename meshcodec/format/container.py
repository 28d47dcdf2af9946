"""The ``.vat`` file, version 1. This docstring is its specification.

Version 1 is frozen since meshcodec 0.2.0: every later version reads these files.

All numbers are little-endian. A file is a header, a placement if the flags say so, and the payload, with
nothing between them and nothing after.

    offset  size  field
    0       3     magic, the ASCII letters ``VAT``
    3       1     version, u8, 1
    4       1     flags, u8
                    bits 0-1  packing of the payload: 0 one byte per token; 1 range coded
                    bits 2-3  mirrored across x, mirrored across y; only with bit 4
                    bit  4    placement present
                    bit  5    level present
                    bit  6    the placement has a box in place of a scale; only with bit 4
                    bit  7    mirrored across z; only with bit 4
    5       4     model id: first 4 bytes of the SHA-256 of the weights file
    9       2     token count, u16
    11      4     CRC-32 (that of zlib), u32, of the whole file with these 4 bytes as zero
    15      12    placement: centre x, y, z, 3 * f32, finite
    27      4     placement: scale, f32, finite, above 0; or a box: mantissas mx, my, mz, u8, the largest of
                  them at least 128 and none 0, and an exponent e, u8: half-extents m * 2^(e - 133), each in
                  float32's range
    15/31   1     level, i8, not 0: the surface lies where the decoded distance is level / 2000
    15-32   n     payload: the tokens, coarse to fine: with packing 0 themselves, n is the token count; with
                  packing 1 the message of `meshcodec.format.token_coder`, with the networks that belong to the model

A placement and a level are there where the flags say so. Without a level the surface lies where the distance
is 0; a level above 0 thickens the shape. A point p of the decoder's cube [-1, 1]^3 is ``centre + scale * p``
in the frame of the mesh or, with a box, ``centre + half_extents * p`` axis by axis. Without a placement the
mesh stays in the cube. Across a mirrored axis the cube holds the upper half of the box, with the middle
plane at p = -1.05, where the decoder's planes end: ``centre + half_extent * (p + 1.05) / 2.05``; the mesh is
that and its image in the middle plane. Tokens are unsigned bytes 0..255: the model's int8 codes, viewed as
bytes.

A reader refuses, in this order: a wrong magic, a version it does not know, a file shorter than its header,
flags that lack another or an unknown packing, a length that is not what the header says, a wrong CRC, a
placement or level outside its range. Whether the model id is known is not this module's business, nor are
the tokens of packing 1, of which only the networks know whether they are whole.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from meshcodec.errors import CorruptFileError
from meshcodec.format import payload as packings
from meshcodec.format.box import NO_AXES, Axes, Triple, is_box, pack_box, placement_fault, unpack_box

MAGIC = b"VAT"
VERSION = 1
MAX_TOKENS = 0xFFFF
MIN_SIZE = 64
LARGEST_FILE = 1 << 17
"""Bytes above any whole file: what is longer is refused without reading it all."""
_HEADER = struct.Struct("<3sBB4sHI")
_PLACEMENT = struct.Struct("<3f4s")
HEADER_BYTES = _HEADER.size  # without the placement
PLACEMENT_BYTES = _PLACEMENT.size
LEVEL_BYTES = 1
LEVEL_UNIT = 1 / 2000
"""Of the level, in units of the decoder's cube [-1, 1]^3."""
_CRC_AT = HEADER_BYTES - 4
_PACKING_MASK = 0x03
_HAS_PLACEMENT = 0x10
_HAS_LEVEL = 0x20
_HAS_BOX = 0x40
_MIRRORED = (0x04, 0x08, 0x80)  # across x, y, z
_NEED_PLACEMENT = _HAS_BOX | sum(_MIRRORED)
_FETCH_AGAIN = "fetch the file again, or encode the mesh again"


@dataclass(frozen=True)
class VatFile:
    """The contents of one ``.vat`` file.

    Attributes
    ----------
    payload : of at most 65535 tokens; with packing 0 the tokens, unsigned bytes, coarse to fine.
    model_id : 4 bytes.
    center, half_extents : placement in the units of the mesh, both or neither. The centre is rounded here to
        float32 as the file stores it, and so are half-extents that are all the same; others must be what
        `round_box` gives.
    mirrored : axes across which the mesh is one half and its image; only with a placement.
    level : -128..127, the decoded distance at which the surface lies, in units of `LEVEL_UNIT`.
    packing : 0..3; ``to_bytes`` raises CorruptFileError for one that this version does not know.

    Raises ValueError for anything else.
    """

    payload: bytes
    model_id: bytes
    center: Triple | None
    half_extents: Triple | None
    level: int = 0
    packing: int = 0
    mirrored: Axes = NO_AXES
    count: int = -1

    def __post_init__(self) -> None:
        if self.packing == packings.BYTES and self.count == -1:
            object.__setattr__(self, "count", len(self.payload))
        if not 0 <= self.count <= MAX_TOKENS:
            raise ValueError(f"{self.count} tokens; a file holds at most {MAX_TOKENS}")
        if self.packing == packings.BYTES and self.count != len(self.payload):
            raise ValueError(f"{len(self.payload)} bytes are not {self.count} tokens")
        if len(self.model_id) != 4:
            raise ValueError(f"a model id is 4 bytes, not {len(self.model_id)}")
        if not 0 <= self.packing <= _PACKING_MASK:
            raise ValueError(f"packing {self.packing} is outside 0..{_PACKING_MASK}")
        if not -128 <= self.level <= 127:
            raise ValueError(f"level {self.level} is outside -128..127")
        if (self.center is None) != (self.half_extents is None):
            raise ValueError("a placement needs both its centre and its half-extents")
        if any(self.mirrored) and self.center is None:
            raise ValueError("a mirror needs a placement")
        if self.center is not None and self.half_extents is not None:
            if fault := placement_fault(self.center, self.half_extents):
                raise ValueError(fault)
            try:
                x, y, z, extents = _PLACEMENT.unpack(
                    _PLACEMENT.pack(*self.center, pack_box(self.half_extents))
                )
            except (struct.error, OverflowError) as error:
                raise ValueError(f"the placement does not fit float32: {error}") from error
            half_extents = unpack_box(extents, is_box(self.half_extents))
            if fault := placement_fault((x, y, z), half_extents):
                raise ValueError(fault)
            object.__setattr__(self, "center", (x, y, z))
            object.__setattr__(self, "half_extents", half_extents)

    @property
    def scale(self) -> float | None:
        """The longest half-extent of the placement."""
        return None if self.half_extents is None else max(self.half_extents)

    def tokens(self, coder: packings.TokenCoder | None = None) -> bytes:
        """The tokens, unsigned bytes, coarse to fine.

        Parameters
        ----------
        coder : of the model; packing 1 needs it

        Raises
        ------
        CorruptFileError
            Not the payload of any tokens.
        """
        return packings.unpack(self.payload, self.count, self.packing, coder)

    def to_bytes(self) -> bytes:
        """The whole file. CorruptFileError: a packing that this version does not know."""
        packings.check(self.packing)
        flags, placement = self.packing, b""
        if self.center is not None and self.half_extents is not None:
            flags |= _HAS_PLACEMENT | (_HAS_BOX if is_box(self.half_extents) else 0)
            placement = _PLACEMENT.pack(*self.center, pack_box(self.half_extents))
            flags |= sum(bit for bit, mirrored in zip(_MIRRORED, self.mirrored, strict=True) if mirrored)
        level = b""
        if self.level:
            flags |= _HAS_LEVEL
            level = self.level.to_bytes(LEVEL_BYTES, "little", signed=True)
        body = placement + level + self.payload
        head = _HEADER.pack(MAGIC, VERSION, flags, self.model_id, self.count, 0)
        crc = zlib.crc32(body, zlib.crc32(head))
        return head[:_CRC_AT] + crc.to_bytes(4, "little") + body

    @classmethod
    def from_bytes(cls, data: bytes) -> VatFile:
        """Read a whole file. Safe for bytes from anyone. Raises CorruptFileError."""
        if not data:
            raise CorruptFileError("the file is empty (0 bytes)", _FETCH_AGAIN)
        if not MAGIC.startswith(data[:3]):
            raise CorruptFileError(
                f"not a .vat file (it starts with {bytes(data[:3])!r})",
                "give a file that meshcodec encode wrote",
            )
        if len(data) > 3 and data[3] > VERSION:
            raise CorruptFileError(
                f"format version {data[3]} is newer than {VERSION}", "update meshcodec to read it"
            )
        if len(data) > 3 and data[3] < VERSION:
            raise CorruptFileError(f"there is no format version {data[3]}", _FETCH_AGAIN)
        if len(data) < HEADER_BYTES:
            raise CorruptFileError(
                f"too short: {len(data)} bytes, and the header alone is {HEADER_BYTES}", _FETCH_AGAIN
            )

        _, _, flags, model_id, count, crc = _HEADER.unpack_from(data)
        if flags & _NEED_PLACEMENT and not flags & _HAS_PLACEMENT:
            raise CorruptFileError(
                f"the flags 0x{flags:02x} need a placement and there is none", _FETCH_AGAIN
            )
        packing = flags & _PACKING_MASK
        level_at = HEADER_BYTES + (PLACEMENT_BYTES if flags & _HAS_PLACEMENT else 0)
        start = level_at + (LEVEL_BYTES if flags & _HAS_LEVEL else 0)
        payload_size = packings.payload_size(count, packing)
        if len(data) < start or (payload_size is not None and len(data) != start + payload_size):
            raise CorruptFileError(
                f"wrong length: {len(data)} bytes where the header says {start + (payload_size or 0)}",
                _FETCH_AGAIN,
            )
        if crc != zlib.crc32(data[HEADER_BYTES:], zlib.crc32(bytes(4), zlib.crc32(data[:_CRC_AT]))):
            raise CorruptFileError("damaged: the checksum does not match", _FETCH_AGAIN)

        center = half_extents = None
        if flags & _HAS_PLACEMENT:
            x, y, z, extents = _PLACEMENT.unpack_from(data, HEADER_BYTES)
            center, half_extents = (x, y, z), unpack_box(extents, bool(flags & _HAS_BOX))
            fault = placement_fault(center, half_extents)
            # One way to write a box, so that no two files say the same.
            if not fault and pack_box(half_extents) != extents:
                fault = f"bad placement: the box {extents.hex()} is not of the form that is written"
            if fault:
                raise CorruptFileError(fault, "encode the mesh again; whatever wrote this file is at fault")
        level = int.from_bytes(data[level_at:start], "little", signed=True)
        if flags & _HAS_LEVEL and not level:
            raise CorruptFileError(
                "a level of 0 is not stored", "encode the mesh again; whatever wrote this file is at fault"
            )
        return cls(
            bytes(data[start:]),
            model_id,
            center,
            half_extents,
            level,
            packing,
            (bool(flags & _MIRRORED[0]), bool(flags & _MIRRORED[1]), bool(flags & _MIRRORED[2])),
            count,
        )
