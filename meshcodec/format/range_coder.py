"""A range coder for symbols with integer frequencies."""

from __future__ import annotations

TOTAL_BITS = 16  # frequencies of a symbol's alternatives add up to 2 to this power; each is at least 1
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

    def finish(self) -> bytes:
        """The shortest message in the range; a reader takes zeros for what comes after it."""
        length = 8 * (self._bytes + 4)
        high = self._low + self._range - 1
        for kept in range(0, length + 1, 8):
            candidate = high >> (length - kept) << (length - kept)
            if candidate >= self._low:
                return (candidate >> (length - kept)).to_bytes(kept // 8, "big")
        raise AssertionError("the whole of `high` is in the range")


class RangeDecoder:
    """The reverse of `RangeEncoder`; any bytes decode to something."""

    def __init__(self, message: bytes) -> None:
        self._rest = iter(message)
        self._code, self._range = 0, _TOP
        for _ in range(4):
            self._code = self._code << 8 | next(self._rest, 0)

    def decode(self, starts: list[int]) -> int:
        """The next symbol; `starts` are its alternatives' starts, from 0 to 2**TOTAL_BITS, which is added."""
        part = self._range >> TOTAL_BITS
        target = self._code // part
        symbol = len(starts) - 2
        while starts[symbol] > target:
            symbol -= 1
        self._code -= part * starts[symbol]
        self._range = part * (starts[symbol + 1] - starts[symbol])
        while self._range < _BOTTOM:
            self._code = self._code << 8 | next(self._rest, 0)
            self._range <<= 8
        return symbol
