/** Integer networks, and frequencies of alternatives: twin of the first half of meshcodec/format/mesh_network.py. */

export const TOTAL = 65536;
const HIDDEN_MAX = 8191; // largest hidden unit
const FEATURE_MAX = 255; // largest feature
const FIRST_SHIFT = 10; // bits by which sums are shifted
const SHIFT = 12;
const GROUP = 8; // outputs that the kernels find at once ...
const ROWS = 4; // ... for so many rows

/**
 * A multilayer perceptron of integers with ReLU.
 *
 * Sums are whole numbers below 2^53, hence exact in doubles. Where no sum can leave 32 bits, and the engine has
 * SIMD, the kernels of web/wasm/ find the same numbers faster.
 */
export class Network {
  /**
   * @param {{weights: Int16Array, bias: Int32Array}[]} layers weights by input, then output
   * @param {import('../kernels.js').Kernels?} kernels
   */
  constructor(layers, kernels) {
    this.layers = layers;
    this.inputs = layers[0].weights.length / layers[0].bias.length;
    this.outputs = layers[layers.length - 1].bias.length;
    this.packed = kernels && layers.every(fitsInt32) ? new PackedLayers(kernels, layers, this.inputs) : null;
    this.doubles = this.packed ? null : layers.map((layer) => new DoubleLayer(layer));
    this.found = this.packed ? new Int32Array(0) : new Float64Array(0);
  }

  /**
   * @param {ArrayLike<number>[]} rows features, whole, at most 255
   * @param {number} count of the rows that are asked for, the first ones
   * @returns {Int32Array|Float64Array} logits, whole, row by row; they hold until the next call
   */
  logits(rows, count) {
    if (this.found.length < count * this.outputs) this.found = new this.found.constructor(2 * count * this.outputs);
    if (this.packed) {
      this.packed.logits(rows, count, this.found);
      return this.found;
    }
    const last = this.doubles.length - 1;
    for (let n = 0; n < count; n++) {
      let values = rows[n];
      for (let number = 0; number <= last; number++) {
        values = this.doubles[number].values(values, number === 0 ? FIRST_SHIFT : SHIFT, number === last);
      }
      this.found.set(values, n * this.outputs);
    }
    return this.found;
  }
}

/** Whether no sum of a layer can leave 32 bits. */
function fitsInt32({ weights, bias }, number) {
  const largest = number === 0 ? FEATURE_MAX : HIDDEN_MAX;
  return bias.every((value, unit) => {
    let sum = Math.abs(value);
    for (let at = unit; at < weights.length; at += bias.length) sum += Math.abs(weights[at]) * largest;
    return sum < 2 ** 31;
  });
}

/** A layer whose sums are doubles. */
class DoubleLayer {
  constructor({ weights, bias }) {
    this.weights = Float64Array.from(weights);
    this.bias = bias;
    this.sums = new Float64Array(bias.length);
  }

  values(inputs, shift, last) {
    const { weights, bias, sums } = this;
    const width = bias.length;
    sums.set(bias);
    for (let i = 0, row = 0; row < weights.length; i++, row += width) {
      const value = inputs[i];
      if (value === 0) continue;
      for (let unit = 0; unit < width; unit++) sums[unit] += value * weights[row + unit];
    }
    for (let unit = 0; unit < width; unit++) {
      const value = Math.floor(sums[unit] * 2 ** -shift);
      sums[unit] = last ? value : value < 0 ? 0 : value > HIDDEN_MAX ? HIDDEN_MAX : value;
    }
    return sums;
  }
}

/** Layers in the memory of the kernels. */
class PackedLayers {
  constructor(kernels, layers, inputs) {
    this.kernels = kernels;
    this.inputs = inputs;
    let width = inputs;
    this.layers = layers.map(({ weights, bias }) => {
      const outputs = Math.ceil(bias.length / GROUP) * GROUP;
      const pairs = Math.ceil(width / 2);
      const packed = kernels.room(pairs * outputs);
      const biases = new Int32Array(outputs);
      biases.set(bias);
      const layer = { packed, bias: kernels.put(biases), pairs, outputs, count: bias.length };
      const raw = kernels.room(Math.ceil(weights.length / 2));
      kernels.shorts(raw, weights.length).set(weights);
      kernels.functions.pack_integers(raw, weights.length / bias.length, pairs, bias.length, packed);
      kernels.release(raw);
      width = outputs; // units that there are not are 0, and so are their weights
      return layer;
    });
  }

  /** Writes the logits of the first `count` rows. */
  logits(rows, count, found) {
    const { kernels, layers } = this;
    const whole = Math.ceil(count / ROWS) * ROWS;
    const { pairs } = layers[0];
    let x = kernels.room(whole * pairs);
    const mark = x;
    const features = kernels.shorts(x, 2 * whole * pairs);
    for (let n = 0; n < count; n++) features.set(rows[n], 2 * pairs * n);
    for (let number = 0; number < layers.length; number++) {
      const { packed, bias, pairs: width, outputs } = layers[number];
      const most = number === layers.length - 1 ? 0 : HIDDEN_MAX;
      const shift = number === 0 ? FIRST_SHIFT : SHIFT;
      const out = kernels.room(whole * outputs);
      kernels.functions.integer_layer(x, whole, width, packed, bias, outputs, shift, most, out);
      x = out;
    }
    const { outputs, count: units } = layers[layers.length - 1];
    const padded = kernels.integers(x, count * outputs);
    for (let n = 0, at = 0; n < count; n++) {
      for (let unit = 0; unit < units; unit++) found[at++] = padded[n * outputs + unit];
    }
    kernels.release(mark);
  }
}

/**
 * Starts of alternatives by their weights.
 * @param {number[]|Float64Array} weights whole, 0 to 2^36; changed
 * @param {ArrayLike<unknown>} present which alternatives there are, at least one; others have the weight 0
 * @param {Int32Array} starts written: from 0 to TOTAL, which is added
 * @param {number} from where they begin in the array
 */
export function proportional(weights, present, starts, from = 0) {
  const count = weights.length;
  let likely = -1;
  let spare = TOTAL;
  for (let i = 0; i < count; i++) {
    if (!present[i]) continue;
    spare -= 1;
    if (likely < 0 || weights[i] > weights[likely]) likely = i;
  }
  weights[likely] += 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights[i];
  let end = 0;
  starts[from] = 0;
  for (let i = 0; i < count; i++) {
    end += Math.floor((weights[i] * spare) / sum) + (present[i] ? 1 : 0);
    starts[from + i + 1] = end;
  }
  for (let i = likely + 1; i <= count; i++) starts[from + i] += TOTAL - end;
}

/** Frequencies to the starts of alternatives and the end. */
export function startsOf(counts) {
  const starts = new Int32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) starts[i + 1] = starts[i] + counts[i];
  return starts;
}

/** Starts of alternatives by their logits. */
export class ByLogits {
  /**
   * @param {ArrayLike<number>} exponential e^(-i/64) in units of 2^-16
   * @param {number} count alternatives
   */
  constructor(exponential, count) {
    this.exponential = exponential;
    this.weights = new Float64Array(count);
    this.found = new Int32Array(count + 1);
  }

  /**
   * @param {ArrayLike<number>} logits whole, units 1/64
   * @param {number} from where they begin in the array
   * @param {ArrayLike<unknown>} present which alternatives there are, at least one
   * @returns {Int32Array} that holds until the next call
   */
  starts(logits, from, present) {
    const { exponential, weights, found } = this;
    let largest = -Infinity;
    for (let i = 0; i < weights.length; i++) {
      if (present[i] && logits[from + i] > largest) largest = logits[from + i];
    }
    const last = exponential.length - 1;
    for (let i = 0; i < weights.length; i++) {
      weights[i] = present[i] ? exponential[Math.min(largest - logits[from + i], last)] : 0;
    }
    proportional(weights, present, found);
    return found;
  }
}
