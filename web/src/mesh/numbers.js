/**
 * The functions that features are made of: twin of the first half of meshcodec/format/mesh_context.py.
 *
 * Every result is that of IEEE 754 doubles in the order that is written, so the operations here must not be
 * reordered: the frequencies of the range coder hang on them.
 */

const DOUBLE = new Float64Array(1);
const WORDS = new Uint32Array(DOUBLE.buffer);
const HIGH = new Uint8Array(Uint32Array.of(1).buffer)[0]; // which of the words has the exponent: 1, little-endian
const PI = 3.141592653589793;
const ONE = 16; // units of a feature
const FEATURE_MAX = 255; // largest feature

/** Logarithm of a normal number above 0, linear between powers of two. */
export function log2(value) {
  DOUBLE[0] = value;
  const high = WORDS[HIGH];
  WORDS[HIGH] = (high & 0x800fffff) | 0x3fe00000;
  return ((high >>> 20) & 0x7ff) - 1022 + 2 * DOUBLE[0] - 2;
}

/** Sign times log2(1 + magnitude). */
export function signedLog(value) {
  const size = log2(1 + Math.abs(value));
  return value < 0 ? -size : size;
}

/** Angle of a cosine, in radians, to 1e-4 (Abramowitz and Stegun 4.4.45). */
export function angle(cosine) {
  const size = Math.min(Math.abs(cosine), 1);
  const polynomial = ((-0.0187293 * size + 0.074261) * size - 0.2121144) * size + 1.5707288;
  const acute = Math.sqrt(1 - size) * polynomial;
  return cosine < 0 ? PI - acute : acute;
}

/** What a vector is divided by so that its length is 1; zero stays zero. */
export function lengthOf(x, y, z) {
  const length = Math.sqrt(x * x + y * y + z * z);
  return length > 0 ? length : 1;
}

/** @returns {number[]} u - v */
export function minus(u, v) {
  return [u[0] - v[0], u[1] - v[1], u[2] - v[2]];
}

/** A number cut off to limits. */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** A number as a whole feature. */
export function rounded(value) {
  const whole = Math.floor(value * ONE + 0.5);
  return whole < -FEATURE_MAX ? -FEATURE_MAX : whole > FEATURE_MAX ? FEATURE_MAX : whole;
}

/** Features, one after the other. */
export class Row {
  /** @param {number} room features at most */
  constructor(room) {
    this.values = new Int16Array(room);
    this.count = 0;
  }

  put(value) {
    this.values[this.count++] = rounded(value);
  }
}
