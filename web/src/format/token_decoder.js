/** Entropy-coded tokens: twin of meshcodec/format/token_coder.py. All numbers are whole and fit 32 bits. */

import { damaged } from '../errors.js';
import { RangeDecoder } from './range_decoder.js';

const PLANES = 3;
const DIGITS = 4;
const LEVELS = 4;
const TOTAL = 65536;
const POSITION = 12; // largest feature of a cell's place in its plane; the feature of the plane that it is in
const SLAB = 8; // cells to which the sum of a slab's digits is scaled
const FINER = 4; // feature for each finer scale that the file begins
const NEIGHBOURS = [[0, -1], [-1, -1], [-1, 0], [-1, 1]]; // rows and columns to the neighbours that are known

/** Number of scales of which a file of so many tokens holds at least one. */
export function scalesStarted(sides, count) {
  let started = 0;
  for (let total = 0; started < sides.length && total < count; started++) total += 3 * sides[started] ** 2;
  return started;
}

/** The integer networks of a model's tokens. */
export class TokenCoder {
  /**
   * @param {Map<string, {shape: number[], values: Int16Array|Int32Array}>} tensors
   * @param {number[]} sides cells along a side of each plane, for each scale
   */
  constructor(tensors, sides) {
    this.sides = sides;
    this.exponential = tensors.get('exponential').values;
    this.networks = sides.map((_, scale) => {
      const part = (name) => Int32Array.from(tensors.get(`${scale}.${name}`).values);
      const hidden = tensors.get(`${scale}.bias`).shape[1];
      return { weights: part('weights'), bias: part('bias'), own: part('own'), out: part('out'), outBias: part('out_bias'), hidden };
    });
  }

  /**
   * The tokens of a message.
   * @param {Uint8Array} message
   * @param {number} count tokens, at most those of the model
   * @param {(frequencies: number[]) => void} [watch] is given the frequencies of each digit
   * @returns {Uint8Array}
   */
  decode(message, count, watch) {
    const coder = new RangeDecoder(message);
    const tokens = new Uint8Array(count);
    const started = scalesStarted(this.sides, count);
    const done = [];
    let first = 0;
    for (let scale = 0; scale < started; scale++) {
      const side = this.sides[scale];
      const present = tokens.subarray(first, first + PLANES * side * side);
      done.push(new Scale(side, this.networks[scale], done, started).decode(coder, present, this.exponential, watch));
      first += PLANES * side * side;
    }
    if (!coder.isWhole()) throw damaged('its coded tokens');
    return tokens;
  }
}

/** Twice the code values of a scale's digits, with a frame of zeros one cell wide. */
class Digits {
  constructor(side) {
    this.side = side;
    this.values = new Int32Array(PLANES * (side + 2) * (side + 2) * DIGITS);
  }

  /** Where the digits of a cell begin; rows and columns from -1 to side. */
  at(plane, row, column) {
    const n = this.side + 2;
    return ((plane * n + row + 1) * n + column + 1) * DIGITS;
  }
}

class Scale {
  constructor(side, network, coarser, started) {
    this.side = side;
    this.network = network;
    this.coarser = coarser;
    this.started = started;
    this.digits = new Digits(side);
    this.features = new Int32Array(network.weights.length / network.hidden);
    this.starts = new Int32Array(LEVELS + 1);
    this.hidden = new Int32Array(network.hidden);
    this.found = new Int32Array(LEVELS);
    this.shares = new Int32Array(LEVELS);
    this.counts = new Int32Array(LEVELS);
  }

  decode(coder, present, exponential, watch) {
    const { side, network, digits } = this;
    for (let front = 0; front <= 3 * side - 3; front++) {
      const cells = this.cellsOf(front, present.length);
      for (let digit = 0; digit < DIGITS; digit++) {
        for (const { index, at, sums } of cells) {
          this.frequencies(sums, digit, exponential);
          if (watch) watch(Array.from({ length: LEVELS }, (_, i) => this.starts[i + 1] - this.starts[i]));
          const symbol = coder.decode(this.starts);
          digits.values[at + digit] = 2 * symbol - (LEVELS - 1);
          present[index] += symbol << (2 * digit);
          const own = (digit * LEVELS + symbol) * network.hidden;
          for (let unit = 0; unit < network.hidden; unit++) sums[unit] += network.own[own + unit];
        }
      }
    }
    return digits;
  }

  /** The cells of a wavefront whose token the file holds, with the sums of their first layer. */
  cellsOf(front, count) {
    const { side } = this;
    const cells = [];
    for (let plane = 0; plane < PLANES; plane++) {
      for (let row = 0; row < side; row++) {
        const column = front - 2 * row;
        const index = (plane * side + row) * side + column;
        if (column < 0 || column >= side || index >= count) continue;
        cells.push({ index, at: this.digits.at(plane, row, column), sums: this.sums(plane, row, column) });
      }
    }
    return cells;
  }

  sums(plane, row, column) {
    const { weights, hidden } = this.network;
    const features = this.fill(plane, row, column);
    const sums = new Int32Array(hidden);
    for (let i = 0; i < features.length; i++) {
      const value = features[i];
      if (value === 0) continue;
      for (let unit = 0, at = i * hidden; unit < hidden; unit++, at++) sums[unit] += Math.imul(value, weights[at]);
    }
    return sums;
  }

  fill(plane, row, column) {
    const { side, features, coarser, digits } = this;
    let n = 0;
    const place = (i) => Math.floor(((2 * i - (side - 1)) * POSITION) / Math.max(side - 1, 1));
    features[n++] = place(row);
    features[n++] = place(column);
    features[n++] = Math.abs(place(row));
    features[n++] = Math.abs(place(column));
    for (let p = 0; p < PLANES; p++) features[n++] = p === plane ? POSITION : 0;
    features[n++] = FINER * (this.started - 1 - coarser.length);
    const copy = (from, at) => {
      for (let digit = 0; digit < DIGITS; digit++) features[n++] = from.values[at + digit];
    };
    for (let age = 0; age < coarser.length; age++) {
      const scale = coarser[coarser.length - 1 - age];
      const [r, c] = [this.nearest(scale, row), this.nearest(scale, column)];
      const reach = age < 2 ? 1 : 0;
      for (let down = -reach; down <= reach; down++) {
        for (let right = -reach; right <= reach; right++) copy(scale, scale.at(plane, r + down, c + right));
      }
    }
    if (coarser.length) n = this.slabs(coarser[coarser.length - 1], plane, row, column, n);
    for (const [down, right] of NEIGHBOURS) copy(digits, digits.at(plane, row + down, column + right));
    return features;
  }

  /** The cell of a coarser scale that the centre of a row or column lies in. */
  nearest(scale, index) {
    return Math.floor(((2 * index + 1) * scale.side) / (2 * this.side));
  }

  /** Sums over the cells of the other two planes that share a coordinate with this one. */
  slabs(scale, plane, row, column, n) {
    const { side } = scale;
    const [r, c] = [this.nearest(scale, row), this.nearest(scale, column)];
    const before = (plane + 2) % PLANES;
    const after = (plane + 1) % PLANES;
    for (let digit = 0; digit < DIGITS; digit++) {
      let along = 0;
      let across = 0;
      for (let i = 0; i < side; i++) {
        along += scale.values[scale.at(before, i, r) + digit];
        across += scale.values[scale.at(after, c, i) + digit];
      }
      this.features[n + digit] = Math.floor((along * SLAB) / side);
      this.features[n + DIGITS + digit] = Math.floor((across * SLAB) / side);
    }
    return n + 2 * DIGITS;
  }

  /** Starts of a digit's levels, given the sums of the first layer. */
  frequencies(sums, digit, exponential) {
    const { network, hidden, starts } = this;
    const units = network.hidden;
    for (let unit = 0; unit < units; unit++) {
      const value = (sums[unit] + network.bias[digit * units + unit]) >> 4;
      hidden[unit] = value < 0 ? 0 : value > 4095 ? 4095 : value;
    }
    const logits = this.logits(digit);
    let largest = 0;
    for (let level = 1; level < LEVELS; level++) if (logits[level] > logits[largest]) largest = level;
    let sum = 0;
    for (let level = 0; level < LEVELS; level++) {
      this.shares[level] = exponential[Math.min(logits[largest] - logits[level], exponential.length - 1)];
      sum += this.shares[level];
    }
    let rest = TOTAL;
    for (let level = 0; level < LEVELS; level++) {
      this.counts[level] = Math.floor((this.shares[level] * (TOTAL - LEVELS)) / sum) + 1;
      rest -= this.counts[level];
    }
    this.counts[largest] += rest;
    for (let level = 0; level < LEVELS; level++) starts[level + 1] = starts[level] + this.counts[level];
  }

  /** Logits of a digit's levels, given its hidden units. */
  logits(digit) {
    const { out, outBias } = this.network;
    const { hidden, found } = this;
    for (let level = 0; level < LEVELS; level++) found[level] = outBias[digit * LEVELS + level];
    for (let unit = 0, at = digit * hidden.length * LEVELS; unit < hidden.length; unit++, at += LEVELS) {
      const value = hidden[unit];
      if (value === 0) continue;
      for (let level = 0; level < LEVELS; level++) found[level] += Math.imul(value, out[at + level]);
    }
    for (let level = 0; level < LEVELS; level++) found[level] >>= 7;
    return found;
  }
}
