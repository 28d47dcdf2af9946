/** Alternatives for a coordinate, and how probable they are: twin of the rest of meshcodec/format/mesh_network.py. */

import { clamp } from './numbers.js';
import { TOTAL, proportional } from './network.js';

const [FIRSTS, LASTS] = bins();
export const BINS = FIRSTS.length;
export const CANDIDATES = 7;
const FARTHEST = LASTS[BINS - 1]; // largest residual that a bin holds
const BIN_OF = new Uint8Array(2 * FARTHEST + 1); // bin of each residual, from -FARTHEST on
const WIDTHS = FIRSTS.map((first, bin) => LASTS[bin] - first + 1);
const EDGES = [...FIRSTS.map((first) => first - 0.5), FARTHEST + 0.5];
FIRSTS.forEach((first, bin) => BIN_OF.fill(bin, first + FARTHEST, LASTS[bin] + FARTHEST + 1));

const COMPONENTS = 4; // logistic distributions of a mixture
const BUMPED = 3; // residuals -1, 0 and 1 have a factor of their own
const BUMPS_AT = COMPONENTS * 5; // outputs of the network before those of the factors
export const OUTPUTS = BUMPS_AT + BUMPED + CANDIDATES;
const MIDDLE = BINS >> 1;
const STEEPEST = 16; // arguments beyond which the logistic function is 0 or 1
const STEPS = 32; // steps of its table in 1
const NARROWEST = 0.08; // steps of the grid
const TABLE = 2 ** 30; // units of the tables of functions
const MASS = 2 ** 24; // units of the mass of alternatives
const LARGEST_BUMP = 384;
const FLOOR = 2 ** -20; // mass that each bin has besides, for each of its values
const QUESTION = 7 + 2 * CANDIDATES; // doubles of a question, as in web/wasm/coordinates.c
const FACTOR = 1 / 1024; // unit of a factor times a span
const POWERS_OF_2 = new Float64Array(129); // 2^-64 to 2^64, exact whatever the engine's `**`
POWERS_OF_2[64] = 1;
for (let i = 1; i <= 64; i++) {
  POWERS_OF_2[64 + i] = POWERS_OF_2[63 + i] * 2;
  POWERS_OF_2[64 - i] = POWERS_OF_2[65 - i] / 2;
}

/** First and last residual of each bin: single ones near 0, then a fifth wider each. */
function bins() {
  const firsts = [];
  const lasts = [];
  for (let first = 1; first < 4096; ) {
    const last = Math.max(first, Math.floor((first * 6) / 5));
    firsts.push(first);
    lasts.push(last);
    first = last + 1;
  }
  const negative = (values) => values.map((value) => -value).reverse();
  return [[...negative(lasts), 0, ...firsts], [...negative(firsts), 0, ...lasts]];
}

/** What one coordinate may be: bins of residuals, then candidate values. */
export class Alternatives {
  constructor() {
    this.guess = 0; // whole, 0 to limit
    this.limit = 0; // largest value
    this.candidates = new Int32Array(CANDIDATES);
    this.valid = new Uint8Array(CANDIDATES);
  }

  /**
   * Begin a coordinate whose candidates are set.
   * @param {number} guess whole, 0 to limit
   * @param {number} limit largest value
   * @param {number} offered bits: which of the candidates there are
   */
  begin(guess, limit, offered) {
    const { candidates, valid } = this;
    this.guess = guess;
    this.limit = limit;
    for (let i = 0; i < CANDIDATES; i++) {
      const value = candidates[i];
      valid[i] = 0;
      if (!((offered >> i) & 1) || value < 0 || value > limit) continue;
      let first = 0; // of equal ones the first counts
      while (first < i && !(valid[first] && candidates[first] === value)) first++;
      if (first === i) valid[i] = 1;
    }
  }

  /** Whether a candidate is valid and lies in a bin. */
  isIn(i, bin) {
    return this.valid[i] !== 0 && BIN_OF[this.candidates[i] - this.guess + FARTHEST] === bin;
  }

  /** Values of a bin that are inside of the grid and no candidates. */
  room(bin) {
    const low = Math.max(FIRSTS[bin], -this.guess);
    const high = Math.min(LASTS[bin], this.limit - this.guess);
    let room = Math.max(high - low + 1, 0);
    for (let i = 0; i < CANDIDATES; i++) if (this.isIn(i, bin)) room -= 1;
    return room;
  }

  /** The value of an alternative; `index` is its number among the values of its bin. */
  value(symbol, index) {
    if (symbol >= BINS) return this.candidates[symbol - BINS];
    let value = Math.max(FIRSTS[symbol] + this.guess, 0) + index;
    const others = [];
    for (let i = 0; i < CANDIDATES; i++) if (this.isIn(i, symbol)) others.push(this.candidates[i]);
    if (others.length > 1) others.sort((a, b) => a - b);
    for (const other of others) if (other <= value) value += 1;
    return value;
  }
}

/**
 * What is asked of one coordinate.
 * @typedef {object} Question
 * @property {ArrayLike<number>} features for the network
 * @property {Alternatives} alternatives
 * @property {number} length log2 of the length in which means and widths are told, in sixteenths
 * @property {number[]} spans three, in sixteenths
 * @property {number} offset what all means have besides, in steps of the grid
 */

/** Starts of the alternatives of a coordinate, and the end. */
export const STARTS = BINS + CANDIDATES + 1;

/** Tables of functions. */
export class Curves {
  constructor(exponential, logistic, powers) {
    this.exponential = exponential;
    this.logistic = logistic;
    this.powers = powers;
    this.weights = new Float64Array(BINS + CANDIDATES);
    this.present = new Uint8Array(BINS + CANDIDATES);
    this.mass = new Float64Array(BINS);
    this.found = new Int32Array(0);
  }

  /** 2 to whole sixteenths. */
  power(sixteenths) {
    const whole = Math.floor(sixteenths * 0.0625);
    return this.powers[sixteenths - 16 * whole] * POWERS_OF_2[64 + whole - 30];
  }

  /** e to a whole number of 1/64, from -6 to 6. */
  exp(value) {
    const size = this.exponential[Math.abs(value)] * (1 / TOTAL);
    return value < 0 ? size : 1 / size;
  }

  /** The logistic function, linear between the entries of its table. */
  cumulative(place) {
    const at = Math.min(Math.max(place, -STEEPEST), STEEPEST) * STEPS + STEEPEST * STEPS;
    const low = Math.min(Math.floor(at), 2 * STEEPEST * STEPS - 1);
    const below = this.logistic[low];
    return below + (this.logistic[low + 1] - below) * (at - low);
  }

  /** Adds a component's share of the mass of each bin. */
  addComponent(mean, width, weight) {
    const { mass } = this;
    let below = this.cumulative((EDGES[0] - mean) / width);
    for (let bin = 0; bin < BINS; bin++) {
      const above = this.cumulative((EDGES[bin + 1] - mean) / width);
      mass[bin] += (above - below) * weight;
      below = above;
    }
  }

  /**
   * Starts of the alternatives of coordinates.
   * @param {Question[]} questions
   * @param {number} count of the questions that are asked, the first ones
   * @param {ArrayLike<number>} outputs of a network for each, units 1/64
   * @returns {Int32Array} STARTS for each, that hold until the next call
   */
  starts(questions, count, outputs) {
    if (this.found.length < count * STARTS) this.found = new Int32Array(2 * count * STARTS);
    for (let n = 0; n < count; n++) {
      this.writeStarts(questions[n], outputs.subarray(n * OUTPUTS, (n + 1) * OUTPUTS), n * STARTS);
    }
    return this.found;
  }

  writeStarts({ alternatives, length, spans, offset }, outputs, from) {
    const { mass, exponential } = this;
    const scale = this.power(length);
    const last = exponential.length - 1;
    const largest = Math.max(outputs[0], outputs[1], outputs[2], outputs[3]);
    let total = 0;
    mass.fill(0);
    for (let k = 0; k < COMPONENTS; k++) {
      const weight = exponential[Math.min(largest - outputs[k], last)];
      const [x, y, z] = [4, 8, 12].map((row) => outputs[row + k] * FACTOR);
      const mean = (x * spans[0] + y * spans[1] + z * spans[2]) * scale + offset;
      const sixteenths = clamp(Math.floor(outputs[16 + k] * 0.25), -128, 48);
      this.addComponent(mean, Math.max(this.power(sixteenths) * scale, NARROWEST), weight);
      total += weight;
    }
    for (let bin = 0; bin < BINS; bin++) mass[bin] = mass[bin] / (total * TABLE) + WIDTHS[bin] * FLOOR;
    this.writeWithBumps(alternatives, outputs, from);
  }

  writeWithBumps(alternatives, outputs, from) {
    const { mass, weights, present } = this;
    const factor = (i) => this.exp(clamp(outputs[BUMPS_AT + i], -LARGEST_BUMP, LARGEST_BUMP));
    for (let i = 0; i < BUMPED; i++) mass[MIDDLE - 1 + i] *= factor(i);
    for (let bin = 0; bin < BINS; bin++) {
      mass[bin] /= WIDTHS[bin];
      const room = alternatives.room(bin);
      weights[bin] = Math.floor(mass[bin] * room * MASS);
      present[bin] = room > 0 ? 1 : 0;
    }
    const { valid, candidates, guess } = alternatives;
    for (let i = 0; i < CANDIDATES; i++) {
      present[BINS + i] = valid[i] ? 1 : 0;
      const density = valid[i] ? mass[BIN_OF[candidates[i] - guess + FARTHEST]] : 0;
      weights[BINS + i] = valid[i] ? Math.floor(density * factor(BUMPED + i) * MASS) : 0;
    }
    proportional(weights, present, this.found, from);
  }
}

/** The same tables in the memory of the kernels, and the same starts, found there. */
export class PackedCurves {
  /** @param {import('../kernels.js').Kernels} kernels */
  constructor(kernels, { exponential, logistic, powers }) {
    this.kernels = kernels;
    this.found = new Int32Array(0);
    const places = [exponential, logistic, powers, FIRSTS, LASTS].map((values) => {
      const place = kernels.room(2 * values.length);
      kernels.doubles(place, values.length).set(values);
      return place;
    });
    this.tables = kernels.put(Int32Array.of(...places, exponential.length - 1));
  }

  /** See `Curves.starts`. */
  starts(questions, count, outputs) {
    const { kernels } = this;
    if (this.found.length < count * STARTS) this.found = new Int32Array(2 * count * STARTS);
    const asked = kernels.room(2 * QUESTION * count);
    const answers = kernels.room(count * OUTPUTS);
    const starts = kernels.room(count * STARTS);
    const words = kernels.doubles(asked, QUESTION * count);
    for (let n = 0; n < count; n++) writeQuestion(words, QUESTION * n, questions[n]);
    kernels.integers(answers, count * OUTPUTS).set(outputs.subarray(0, count * OUTPUTS));
    kernels.functions.coordinate_starts(this.tables, answers, OUTPUTS, asked, count, starts);
    this.found.set(kernels.integers(starts, count * STARTS));
    kernels.release(asked);
    return this.found;
  }
}

/** A question as web/wasm/coordinates.c reads it. */
function writeQuestion(words, at, { alternatives, length, spans, offset }) {
  const { guess, limit, candidates, valid } = alternatives;
  words[at++] = length;
  for (let i = 0; i < 3; i++) words[at++] = spans[i];
  words[at++] = offset;
  words[at++] = guess;
  words[at++] = limit;
  for (let i = 0; i < CANDIDATES; i++) words[at++] = candidates[i];
  for (let i = 0; i < CANDIDATES; i++) words[at++] = valid[i];
}
