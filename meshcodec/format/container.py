"""The ``.vat`` file. Its specification, with what the tokens mean, is docs/format.md.

This is version 1, frozen since meshcodec 0.2.0: every later version reads these files. Version 2 has a
shorter header that says the same of most files (`meshcodec.format.short_header`).

All numbers are little-endian. A file is a header, a placement if the flags say so, and the payload, with
nothing between them and nothing after.

    offset  size  field
    0       3     magic, the ASCII letters ``VAT``
    3       1     version, u8, 1
    4       1     flags, u8
                    bits 0-1  kind of the payload: 0 tokens, one byte each; 1 tokens, range coded; 2 a mesh,
                              only with bit 4 and without bit 5
                    bits 2-3  mirrored across x, mirrored across y; only with bit 4
                    bit  4    placement present
                    bit  5    iso offset present
                    bit  6    the placement has a box in place of a scale; only with bit 4
                    bit  7    mirrored across z; only with bit 4
    5       4     model id: first 4 bytes of the SHA-256 of the weights file; of a mesh, of its coder's file
    9       2     count of tokens or, of a mesh, of coded faces, u16; of a mesh at least 1
    11      4     CRC-32 (that of zlib), u32, of the whole file with these 4 bytes as zero
    15      12    placement: centre x, y, z, 3 * f32, finite
    27      4     placement: scale, f32, finite, above 0; or a box: mantissas mx, my, mz, u8, the largest of
                  them at least 128 and none 0, and an exponent e, u8: half-extents m * 2^(e - 133), each in
                  float32's range
    15/31   1     iso offset, i8, not 0: the surface lies where the decoded distance is iso offset / 2000
    15-32   n     payload: the tokens, coarse to fine: with packing 0 themselves, n is the token count; with
                  packing 1 the message of `meshcodec.format.token_coder`, with the networks of the model;
                  with packing 2 a byte and the message of `meshcodec.format.mesh_coder`

A placement and an iso offset are there where the flags say so. Without an iso offset the surface lies where
the distance is 0; an iso offset above 0 thickens the shape. A point p of the decoder's cube [-1, 1]^3 is
``centre + scale * p`` in the frame of the mesh or, with a box, ``centre + half_extents * p`` axis by axis.
Without a placement the mesh stays in the cube. Across a mirrored axis the cube holds the upper half of the
box, with the middle plane at p = -1.05, where the decoder's planes end: ``centre + half_extent * (p + 1.05) /
2.05``; the mesh is that and its image in the middle plane. Tokens are unsigned bytes 0..255: the model's int8
codes, viewed as bytes.

A reader refuses, in this order: a wrong magic, a version it does not know, a file shorter than its header,
flags that lack another or an unknown packing, a mesh with an iso offset or without a face, a length that is
not what the header says, a wrong CRC, a placement or iso offset outside its range. Whether the model id is
known is not this module's business, nor are the tokens of packing 1, of which only the networks know
whether they are whole.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from meshcodec.errors import CorruptFileError, UsageError
from meshcodec.format.box import NO_AXES, Axes, Triple, is_box, pack_box, placement_fault, unpack_box
from meshcodec.format.payload import Packing, TokenCoder, payload_size, unpack
from meshcodec.format.short_header import (
    MODELS,
    SHORT_BYTES,
    SHORT_VERSION,
    is_intact,
    is_short,
    pack_short,
    read_placement,
    read_short,
)

_HEADER = struct.Struct("<3sBB4sHI")  # magic, version, flags, model id, token count, CRC-32
_PLACEMENT = struct.Struct("<3f4s")  # centre, and a scale or a box
MAGIC = b"VAT"
LONG_VERSION = 1  # with a header that can say all there is to say
MAX_TOKENS = 0xFFFF  # largest token count that the header can hold
LARGEST_FILE = 1 << 17  # bytes above any whole file: what is longer is refused without reading it all
HEADER_BYTES = _HEADER.size  # bytes of the header, without the placement
PLACEMENT_BYTES = _PLACEMENT.size  # bytes of a placement
ISO_OFFSET_BYTES = 1  # bytes of an iso offset
ISO_OFFSET_UNIT = 1 / 2000  # length of one step of the iso offset, in units of the decoder's cube [-1, 1]^3
_CRC_AT = HEADER_BYTES - 4  # offset of the checksum
_PACKING_MASK = 0x03  # bits of the flags that hold the packing
_HAS_PLACEMENT = 0x10  # flag: a placement is present
_HAS_ISO_OFFSET = 0x20  # flag: an iso offset is present
_HAS_BOX = 0x40  # flag: the placement has a box in place of a scale
_MIRRORED = (0x04, 0x08, 0x80)  # flags: mirrored across x, y, z
_NEED_PLACEMENT = _HAS_BOX | sum(_MIRRORED)  # flags that stand only beside a placement
_UPDATE = "a newer meshcodec is needed to read it (or the file is damaged)"
_FETCH_AGAIN = "fetch the file again, or encode the mesh again"
_WRITER_AT_FAULT = "encode the mesh again; whatever wrote this file is at fault"


@dataclass(frozen=True, kw_only=True)
class VatFile:
    """The contents of one ``.vat`` file.

    Attributes
    ----------
    payload : bytes that hold at most 65535 tokens; with packing 0 the tokens, unsigned bytes, coarse to fine;
        with `Packing.MESH` a mesh, of at most 65535 faces, which needs a placement and has no iso offset.
    model_id : 4 bytes.
    count : number of tokens or of coded faces; with packing 0 the length of the payload.
    packing : what the payload holds, and how.
    center, half_extents : placement in the units of the mesh, both or neither. The centre is rounded here to
        float32 as the file stores it, and so are half-extents that are all the same; others must be what
        `round_box` gives.
    iso_offset : -128..127, the decoded distance at which the surface lies, in units of `ISO_OFFSET_UNIT`.
    mirrored : axes across which the mesh is one half and its image; only with a placement.
    version : 1, or 2 for a short header, which must be able to hold the model id and the placement.

    Raises ValueError for anything else.
    """

    payload: bytes
    model_id: bytes
    count: int
    packing: Packing = Packing.BYTES
    center: Triple | None = None
    half_extents: Triple | None = None
    iso_offset: int = 0
    mirrored: Axes = NO_AXES
    version: int = LONG_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "packing", Packing(self.packing))
        if not 0 <= self.count <= MAX_TOKENS:
            raise ValueError(f"{self.count} tokens; a file holds at most {MAX_TOKENS}")
        if self.packing == Packing.BYTES and self.count != len(self.payload):
            raise ValueError(f"{len(self.payload)} bytes are not {self.count} tokens")
        if len(self.model_id) != 4:
            raise ValueError(f"a model id is 4 bytes, not {len(self.model_id)}")
        if not -128 <= self.iso_offset <= 127:
            raise ValueError(f"iso offset {self.iso_offset} is outside -128..127")
        if (self.center is None) != (self.half_extents is None):
            raise ValueError("a placement needs both its centre and its half-extents")
        if any(self.mirrored) and self.center is None:
            raise ValueError("a mirror needs a placement")
        if self.is_mesh and (self.center is None or self.iso_offset or not self.count):
            raise ValueError("a mesh needs a placement and a face, and has no iso offset")
        if self.center is not None and self.half_extents is not None:
            center, half_extents = _as_stored(self.center, self.half_extents)
            object.__setattr__(self, "center", center)
            object.__setattr__(self, "half_extents", half_extents)
        if self.version not in (LONG_VERSION, SHORT_VERSION):
            raise ValueError(f"there is no version {self.version}")
        if self.version == SHORT_VERSION and not is_short(self.model_id, self.center, self.half_extents):
            raise ValueError("a short header holds neither this model nor this placement")

    @classmethod
    def of_tokens(
        cls,
        tokens: bytes,
        model_id: bytes,
        center: Triple | None = None,
        half_extents: Triple | None = None,
        iso_offset: int = 0,
        mirrored: Axes = NO_AXES,
    ) -> VatFile:
        """A file with one byte for each token; the parameters are the attributes of the class."""
        return cls(
            payload=tokens,
            model_id=model_id,
            count=len(tokens),
            center=center,
            half_extents=half_extents,
            iso_offset=iso_offset,
            mirrored=mirrored,
        )

    @property
    def is_mesh(self) -> bool:
        """Whether the payload holds a mesh rather than tokens."""
        return self.packing == Packing.MESH

    @property
    def mode(self) -> str:
        """The way of coding: "mesh" or "tokens"."""
        return "mesh" if self.is_mesh else "tokens"

    def check_holds_tokens(self) -> None:
        """Raise UsageError where the file holds a mesh."""
        if self.is_mesh:
            raise UsageError("the file holds a mesh, and no tokens", "encode with --mode tokens")

    @property
    def scale(self) -> float | None:
        """The longest half-extent of the placement."""
        return None if self.half_extents is None else max(self.half_extents)

    @property
    def box(self) -> tuple[Triple, Triple, Axes]:
        """Centre, half-extents and mirrored axes of the mesh; without a placement the cube [-1, 1]^3."""
        return self.center or (0.0, 0.0, 0.0), self.half_extents or (1.0, 1.0, 1.0), self.mirrored

    def tokens(self, coder: TokenCoder | None = None) -> bytes:
        """The tokens, unsigned bytes, coarse to fine.

        Parameters
        ----------
        coder : coder of the model; packing 1 needs it

        Raises
        ------
        CorruptFileError
            Not the payload of any tokens.
        UsageError
            The file holds a mesh.
        """
        self.check_holds_tokens()
        return unpack(self.payload, self.count, self.packing, coder)

    def to_bytes(self) -> bytes:
        """The whole file."""
        flags = int(self.packing)
        flags |= sum(bit for bit, mirrored in zip(_MIRRORED, self.mirrored, strict=True) if mirrored)
        rest = self.payload
        if self.iso_offset:
            flags |= _HAS_ISO_OFFSET
            rest = self.iso_offset.to_bytes(ISO_OFFSET_BYTES, "little", signed=True) + rest
        placement = b""
        if self.center is not None and self.half_extents is not None:
            if self.version == SHORT_VERSION:
                return pack_short(
                    MAGIC, flags, self.model_id, self.count, self.center, self.half_extents, rest
                )
            flags |= _HAS_PLACEMENT | (_HAS_BOX if is_box(self.half_extents) else 0)
            placement = _PLACEMENT.pack(*self.center, pack_box(self.half_extents))
        body = placement + rest
        head = _HEADER.pack(MAGIC, LONG_VERSION, flags, self.model_id, self.count, 0)
        crc = zlib.crc32(body, zlib.crc32(head))
        return head[:_CRC_AT] + crc.to_bytes(4, "little") + body

    @classmethod
    def from_bytes(cls, data: bytes) -> VatFile:
        """Read a whole file. Safe for bytes from anyone. Raises CorruptFileError."""
        _check_start(data)
        return _read_short_file(data) if data[3] == SHORT_VERSION else _read_long_file(data)


def version_for(model_id: bytes, center: Triple | None, half_extents: Triple | None) -> int:
    """The version with the shortest header that can hold a model id and a placement, or none."""
    return SHORT_VERSION if is_short(model_id, center, half_extents) else LONG_VERSION


def head_bytes(version: int, placement: bool = True, iso_offset: bool = False) -> int:
    """Bytes before the payload. A short header always has a placement."""
    extra = ISO_OFFSET_BYTES if iso_offset else 0
    if version == SHORT_VERSION:
        return SHORT_BYTES + extra
    return HEADER_BYTES + (PLACEMENT_BYTES if placement else 0) + extra


def _read_long_file(data: bytes) -> VatFile:
    _, _, flags, model_id, count, crc = _HEADER.unpack_from(data)
    if flags & _NEED_PLACEMENT and not flags & _HAS_PLACEMENT:
        raise CorruptFileError(f"the flags 0x{flags:02x} need a placement and there is none", _FETCH_AGAIN)
    placed, packing = bool(flags & _HAS_PLACEMENT), _checked_packing(flags, count)
    if packing == Packing.MESH and not placed:
        raise CorruptFileError(f"the flags 0x{flags:02x} are none of a mesh", _FETCH_AGAIN)
    payload_at = head_bytes(LONG_VERSION, placed, bool(flags & _HAS_ISO_OFFSET))
    _check_length(len(data), payload_at, payload_size(count, packing))
    if crc != zlib.crc32(data[HEADER_BYTES:], zlib.crc32(bytes(4), zlib.crc32(data[:_CRC_AT]))):
        raise CorruptFileError("damaged: the checksum does not match", _FETCH_AGAIN)
    center, half_extents = _read_placement(data, flags)
    return VatFile(
        payload=bytes(data[payload_at:]),
        model_id=model_id,
        count=count,
        packing=packing,
        center=center,
        half_extents=half_extents,
        iso_offset=_read_iso_offset(data, flags, payload_at),
        mirrored=_mirrored(flags),
    )


def _read_short_file(data: bytes) -> VatFile:
    header = read_short(data)
    flags, packing = header.flags, _checked_packing(header.flags, header.faces_or_tokens)
    if flags & (_HAS_PLACEMENT | _HAS_BOX):
        raise CorruptFileError(f"unknown flags 0x{flags:02x}", _UPDATE)
    payload_at = head_bytes(SHORT_VERSION, iso_offset=bool(flags & _HAS_ISO_OFFSET))
    _check_length(len(data), payload_at, payload_size(header.faces_or_tokens, packing))
    if not is_intact(data):
        raise CorruptFileError("damaged: the checksum does not match", _FETCH_AGAIN)
    if header.model >= len(MODELS):
        raise CorruptFileError(f"unknown model number {header.model}", _UPDATE)
    try:
        center, half_extents = read_placement(header)
    except ValueError as error:
        raise CorruptFileError(str(error), _WRITER_AT_FAULT) from error
    return VatFile(
        payload=bytes(data[payload_at:]),
        model_id=MODELS[header.model],
        count=header.faces_or_tokens,
        packing=packing,
        center=center,
        half_extents=half_extents,
        iso_offset=_read_iso_offset(data, flags, payload_at),
        mirrored=_mirrored(flags),
        version=SHORT_VERSION,
    )


def _as_stored(center: Triple, half_extents: Triple) -> tuple[Triple, Triple]:
    """Centre and half-extents as a file gives them back. ValueError: no file can hold them."""
    if fault := placement_fault(center, half_extents):
        raise ValueError(fault)
    try:
        x, y, z, extents = _PLACEMENT.unpack(_PLACEMENT.pack(*center, pack_box(half_extents)))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"the placement does not fit float32: {error}") from error
    stored = unpack_box(extents, is_box(half_extents))
    if fault := placement_fault((x, y, z), stored):
        raise ValueError(fault)
    return (x, y, z), stored


def _check_start(data: bytes) -> None:
    """Refuse what has not the magic, a known version and a whole header."""
    if not data:
        raise CorruptFileError("the file is empty (0 bytes)", _FETCH_AGAIN)
    if not MAGIC.startswith(data[:3]):
        raise CorruptFileError(
            f"not a .vat file (it starts with {bytes(data[:3])!r})", "give a file that meshcodec encode wrote"
        )
    version = data[3] if len(data) > 3 else LONG_VERSION
    if version > SHORT_VERSION:
        raise CorruptFileError(
            f"format version {version} is newer than {SHORT_VERSION}", "update meshcodec to read it"
        )
    if version < LONG_VERSION:
        raise CorruptFileError(f"there is no format version {version}", _FETCH_AGAIN)
    least = SHORT_BYTES if version == SHORT_VERSION else HEADER_BYTES
    if len(data) < least:
        raise CorruptFileError(f"too short: {len(data)} bytes, and the header alone is {least}", _FETCH_AGAIN)


def _checked_packing(flags: int, count: int) -> Packing:
    """The kind of the payload. CorruptFileError: it is unknown, or a mesh has an iso offset or no face."""
    packing = Packing.from_number(flags & _PACKING_MASK)
    if packing == Packing.MESH:
        if flags & _HAS_ISO_OFFSET:
            raise CorruptFileError(f"the flags 0x{flags:02x} are none of a mesh", _FETCH_AGAIN)
        if not count:
            raise CorruptFileError("its mesh has no faces", _WRITER_AT_FAULT)
    return packing


def _mirrored(flags: int) -> Axes:
    x, y, z = (bool(flags & bit) for bit in _MIRRORED)
    return x, y, z


def _check_length(size: int, payload_at: int, payload: int | None) -> None:
    """Refuse a file of `size` bytes that ends before its payload or, where its size is known, after it."""
    if size < payload_at or (payload is not None and size != payload_at + payload):
        raise CorruptFileError(
            f"wrong length: {size} bytes where the header says {payload_at + (payload or 0)}", _FETCH_AGAIN
        )


def _read_placement(data: bytes, flags: int) -> tuple[Triple | None, Triple | None]:
    """Centre and half-extents of a file that is whole; neither where the flags name no placement."""
    if not flags & _HAS_PLACEMENT:
        return None, None
    x, y, z, extents = _PLACEMENT.unpack_from(data, HEADER_BYTES)
    half_extents = unpack_box(extents, bool(flags & _HAS_BOX))
    fault = placement_fault((x, y, z), half_extents)
    # One way to write a box, so that no two files say the same.
    if not fault and pack_box(half_extents) != extents:
        fault = f"bad placement: the box {extents.hex()} is not of the form that is written"
    if fault:
        raise CorruptFileError(fault, _WRITER_AT_FAULT)
    return (x, y, z), half_extents


def _read_iso_offset(data: bytes, flags: int, payload_at: int) -> int:
    """The iso offset in the byte before the payload; 0 where the flags name none."""
    if not flags & _HAS_ISO_OFFSET:
        return 0
    iso_offset = int.from_bytes(data[payload_at - ISO_OFFSET_BYTES : payload_at], "little", signed=True)
    if not iso_offset:
        raise CorruptFileError("an iso offset of 0 is not stored", _WRITER_AT_FAULT)
    return iso_offset
