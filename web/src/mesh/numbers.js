/**
 * The functions that features are made of: twin of the first half of meshcodec/format/mesh_context.py.
 *
 * Every result is that of IEEE 754 doubles in the order that is written, so the operations here must not be
 * reordered: the frequencies of the range coder hang on them.
 */

const BITS = new DataView(new ArrayBuffer(8));
const PI = 3.141592653589793;
const ONE = 16; // units of a feature
const FEATURE_MAX = 255; // largest feature

/** Logarithm of a normal number above 0, linear between powers of two. */
export function log2(value) {
  BITS.setFloat64(0, value);
  const high = BITS.getUint32(0);
  const exponent = ((high >>> 20) & 0x7ff) - 1022;
  BITS.setUint32(0, ((high & 0x800fffff) | 0x3fe00000) >>> 0);
  return exponent + 2 * BITS.getFloat64(0) - 2;
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

/** @returns {number} of two vectors of three numbers */
export function dot(u, v) {
  return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
}

/** @returns {number[]} of two vectors of three numbers */
export function cross(u, v) {
  return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
}

/** @returns {number[]} u - v */
export function minus(u, v) {
  return [u[0] - v[0], u[1] - v[1], u[2] - v[2]];
}

/** A vector of length 1; zero stays zero. */
export function unit(v) {
  const length = Math.sqrt(dot(v, v));
  const by = length > 0 ? length : 1;
  return [v[0] / by, v[1] / by, v[2] / by];
}

/** A number cut off to limits. */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** A number as a whole feature. */
export function rounded(value) {
  return clamp(Math.floor(value * ONE + 0.5), -FEATURE_MAX, FEATURE_MAX);
}
