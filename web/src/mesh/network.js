/** Integer networks, and frequencies of alternatives: twin of the first half of meshcodec/format/mesh_network.py. */

export const TOTAL = 65536;
const HIDDEN_MAX = 8191; // largest hidden unit
const FIRST_SHIFT = 2 ** -10;
const SHIFT = 2 ** -12;

/** A multilayer perceptron of integers with ReLU. Sums are whole numbers below 2^53, hence exact in doubles. */
export class Network {
  /** @param {{weights: ArrayLike<number>, bias: ArrayLike<number>}[]} layers weights by input, then output */
  constructor(layers) {
    this.layers = layers.map(({ weights, bias }) => ({
      weights: Float64Array.from(weights),
      bias: Float64Array.from(bias),
      sums: new Float64Array(bias.length),
    }));
    this.inputs = this.layers[0].weights.length / this.layers[0].bias.length;
    this.outputs = this.layers[this.layers.length - 1].bias.length;
  }

  /** @param {ArrayLike<number>} features whole; @returns {Float64Array} whole, overwritten by the next call */
  logits(features) {
    let values = features;
    this.layers.forEach(({ weights, bias, sums }, number) => {
      const width = bias.length;
      sums.set(bias);
      for (let i = 0, row = 0; row < weights.length; i++, row += width) {
        const value = values[i];
        if (value === 0) continue;
        for (let unit = 0; unit < width; unit++) sums[unit] += value * weights[row + unit];
      }
      const shift = number === 0 ? FIRST_SHIFT : SHIFT;
      const last = number === this.layers.length - 1;
      for (let unit = 0; unit < width; unit++) {
        const value = Math.floor(sums[unit] * shift);
        sums[unit] = last ? value : value < 0 ? 0 : value > HIDDEN_MAX ? HIDDEN_MAX : value;
      }
      values = sums;
    });
    return values;
  }
}

/**
 * Starts of alternatives by their weights.
 * @param {number[]|Float64Array} weights whole, 0 to 2^36; changed
 * @param {ArrayLike<unknown>} present which alternatives there are, at least one; others have the weight 0
 * @returns {number[]} from 0 to TOTAL, which is added
 */
export function proportional(weights, present) {
  let likely = -1;
  let spare = TOTAL;
  for (let i = 0; i < weights.length; i++) {
    if (!present[i]) continue;
    spare -= 1;
    if (likely < 0 || weights[i] > weights[likely]) likely = i;
  }
  weights[likely] += 1;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i];
  let rest = TOTAL;
  const counts = new Array(weights.length);
  for (let i = 0; i < weights.length; i++) {
    counts[i] = Math.floor((weights[i] * spare) / sum) + (present[i] ? 1 : 0);
    rest -= counts[i];
  }
  counts[likely] += rest;
  return startsOf(counts);
}

/** Frequencies to the starts of alternatives and the end. */
export function startsOf(counts) {
  const starts = [0];
  for (let i = 0; i < counts.length; i++) starts.push(starts[i] + counts[i]);
  return starts;
}

/**
 * Starts of alternatives by their logits.
 * @param {ArrayLike<number>} logits whole, units 1/64
 * @param {boolean[]} present which alternatives there are, at least one
 * @param {ArrayLike<number>} exponential e^(-i/64) in units of 2^-16
 */
export function byLogits(logits, present, exponential) {
  let largest = -Infinity;
  for (let i = 0; i < logits.length; i++) if (present[i] && logits[i] > largest) largest = logits[i];
  const last = exponential.length - 1;
  const weights = Array.from(logits, (logit, i) => (present[i] ? exponential[Math.min(largest - logit, last)] : 0));
  return proportional(weights, present);
}
