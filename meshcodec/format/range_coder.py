"""A range coder for symbols with integer frequencies."""

from __future__ import annotations

from bisect import bisect_right

TOTAL_BITS = 16  # frequencies of a symbol's alternatives add up to 2 to this power; each is at least 1
TOTAL = 1 << TOTAL_BITS
_TOP = 1 << 32  # range before the first symbol
_BOTTOM = 1 << 24  # range below which a byte is moved out


class RangeEncoder:
    """Arithmetic coding into bytes (Martin 1979): the message is a number, each symbol narrows its range.

    The number is one Python integer, in which carries take care of themselves; messages are at most a few
    thousand bytes.
    """

    def __init__(self) -> None:
        self._low, self._range, self._bytes = 0, _TOP, 0

    def encode(self, start: int, frequency: int) -> None:
        """Narrow to [start, start + frequency) of 2**TOTAL_BITS."""
        part = self._range >> TOTAL_BITS
        self._low += part * start
        self._range = part * frequency
        while self._range < _BOTTOM:
            self._low <<= 8
            self._range <<= 8
            self._bytes += 1

    def encode_uniform(self, value: int, count: int) -> None:
        """One of `count` values that are all as likely, as nearly as frequencies say."""
        if count > TOTAL:
            self.encode_uniform(value >> 8, (count + 255) >> 8)
            value, count = value & 255, 256
        start = (value << TOTAL_BITS) // count
        self.encode(start, ((value + 1) << TOTAL_BITS) // count - start)

    def finish(self) -> bytes:
        """The shortest message in the range; a reader takes zeros for what comes after it."""
        return _shortest(self._low, self._range, 8 * (self._bytes + 4))


class RangeDecoder:
    """The reverse of `RangeEncoder`; any bytes decode to something."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._rest = iter(message)
        self._code, self._range, self._read, self._broken = 0, _TOP, 4, False
        for _ in range(4):
            self._code = self._code << 8 | next(self._rest, 0)

    def decode(self, starts: list[int]) -> int:
        """The next symbol; `starts` are its alternatives' starts, from 0 to 2**TOTAL_BITS, which is added."""
        part = self._range >> TOTAL_BITS
        symbol = bisect_right(starts, self._target(part)) - 1
        self._narrow(part, starts[symbol], starts[symbol + 1])
        return symbol

    def decode_uniform(self, count: int) -> int:
        """The next value that `RangeEncoder.encode_uniform` wrote; of other bytes it may be `count` or
        more."""
        if count > TOTAL:
            return self.decode_uniform((count + 255) >> 8) << 8 | self.decode_uniform(256)
        part = self._range >> TOTAL_BITS
        value = ((self._target(part) + 1) * count - 1) >> TOTAL_BITS
        self._narrow(part, (value << TOTAL_BITS) // count, ((value + 1) << TOTAL_BITS) // count)
        return value

    def is_whole(self) -> bool:
        """Whether the message is the one that an encoder writes for the symbols decoded so far."""
        if self._broken or len(self._message) > self._read:
            return False
        low = int.from_bytes(self._message.ljust(self._read, b"\0"), "big") - self._code
        return _shortest(low, self._range, 8 * self._read) == self._message

    def _target(self, part: int) -> int:
        """Where the code lies among frequencies. Beyond them it lies in no message of an encoder."""
        target = self._code // part
        if target < TOTAL:
            return target
        self._broken, self._code = True, part * TOTAL - 1
        return TOTAL - 1

    def _narrow(self, part: int, start: int, end: int) -> None:
        self._code -= part * start
        self._range = part * (end - start)
        while self._range < _BOTTOM:
            self._code = self._code << 8 | next(self._rest, 0)
            self._range <<= 8
            self._read += 1


def _shortest(low: int, width: int, length: int) -> bytes:
    """The shortest bytes that, with zeros after them up to `length` bits, are a number in the range."""
    high = low + width - 1
    for kept in range(0, length + 1, 8):
        candidate = high >> (length - kept) << (length - kept)
        if candidate >= low:
            return (candidate >> (length - kept)).to_bytes(kept // 8, "big")
    raise AssertionError("the whole of `high` is in the range")
