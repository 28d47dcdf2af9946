/** The range coder's decoder: twin of meshcodec/format/range_coder.py. Whole numbers below 2^53 throughout. */

const TOTAL = 65536; // frequencies of a symbol's alternatives add up to this
const BOTTOM = 2 ** 24; // range below which a byte is read

export class RangeDecoder {
  /** @param {Uint8Array} message */
  constructor(message) {
    this.message = message;
    this.read = 0; // bytes taken in; zeros come after the end
    this.code = 0;
    this.range = 2 ** 32;
    this.broken = false;
    for (let i = 0; i < 4; i++) this.code = this.code * 256 + this.nextByte();
  }

  nextByte() {
    const at = this.read++;
    return at < this.message.length ? this.message[at] : 0;
  }

  /**
   * The next symbol.
   * @param {ArrayLike<number>} starts of its alternatives, from 0 to TOTAL, which is added
   * @param {number} from where the starts begin in the array
   * @param {number} count alternatives
   */
  decode(starts, from = 0, count = starts.length - 1) {
    const part = Math.floor(this.range / TOTAL);
    const target = this.target(part);
    let symbol = 0;
    // The last alternative that begins at or before the target: those without a width are passed over.
    let end = count;
    while (end - symbol > 1) {
      const middle = (symbol + end) >> 1;
      if (starts[from + middle] <= target) symbol = middle;
      else end = middle;
    }
    this.narrow(part, starts[from + symbol], starts[from + symbol + 1]);
    return symbol;
  }

  /** The next of `count` values that are all as likely; of bytes that nobody encoded it may be `count` or more. */
  decodeUniform(count) {
    if (count > TOTAL) {
      const high = this.decodeUniform((count + 255) >> 8);
      return high * 256 + this.decodeUniform(256);
    }
    const part = Math.floor(this.range / TOTAL);
    const value = Math.floor(((this.target(part) + 1) * count - 1) / TOTAL);
    this.narrow(part, Math.floor((value * TOTAL) / count), Math.floor(((value + 1) * TOTAL) / count));
    return value;
  }

  target(part) {
    const target = Math.floor(this.code / part);
    if (target < TOTAL) return target;
    this.broken = true; // no encoder's message leads here
    this.code = part * TOTAL - 1;
    return TOTAL - 1;
  }

  narrow(part, start, end) {
    this.code -= part * start;
    this.range = part * (end - start);
    while (this.range < BOTTOM) {
      this.code = this.code * 256 + this.nextByte();
      this.range *= 256;
    }
  }

  /** Whether the message is the one that an encoder writes for the symbols decoded so far. */
  isWhole() {
    const { message, read } = this;
    if (this.broken || message.length > read) return false;
    const low = addAt(message, read, -this.code);
    const high = addAt(low, read, this.range - 1);
    // The shortest start of `high` that, filled up with zeros, is not below `low`.
    let kept = 0;
    while (kept < read && low[kept] === high[kept]) kept++;
    kept = Math.min(kept + 1, read);
    let used = read;
    while (used > 0 && low[used - 1] === 0) used--;
    kept = Math.min(kept, used);
    return kept === message.length && message.every((byte, i) => byte === high[i]);
  }
}

/** A big-endian number of `length` bytes, zeros after its given ones, plus a whole number below 2^52. */
function addAt(bytes, length, summand) {
  const sum = new Uint8Array(length);
  sum.set(bytes);
  let carry = summand;
  for (let i = length - 1; i >= 0 && carry !== 0; i--) {
    const value = sum[i] + carry;
    const low = ((value % 256) + 256) % 256;
    sum[i] = low;
    carry = (value - low) / 256;
  }
  return sum;
}
