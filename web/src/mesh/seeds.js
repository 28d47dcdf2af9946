/** Where the parts of a mesh begin: twin of meshcodec/format/mesh_seeds.py and mesh_parts.py. */

import { Alternatives } from './coordinates.js';
import { Row, clamp, minus, signedLog } from './numbers.js';
import { TOTAL } from './network.js';

/** Features of a coordinate of the second or third corner. */
export const SEED_FEATURES = 39;
export const EXPERTS = 5; // guesses that are mixed
const SEED_LENGTH = 5; // the feature that is log2 of the typical length of an edge
const UNIT = 65536; // what the shares of one guess add up to, nearly
const LEARNED = 1024; // weight that the guesses gain together with each coordinate
const NEAR = 4096;
const FEW_GATES = 24; // gates below which a further part is begun
const SEED_RANK = 3; // kind of the ranks of known vertices at which a part begins
const NOWHERE = [0, 0, 0];
const SPANS = [16, 0, 0];
const OFFERED = 97; // bits: candidates that are always offered, 0, 5 and 6 ...
const OFFERED_WITH_LAST = 28; // ... and 2, 3 and 4, where there was a part before
const SPREAD = 64; // ways from which on what is near counts nothing
const NEARNESS = Float64Array.from({ length: SPREAD }, (_, way) => Math.floor(NEAR / ((1 + way) * (1 + way))));

/** The longest axis, the first of them, then the two that follow it in turn. */
function axisOrder(sides) {
  const longest = sides.indexOf(Math.max(...sides));
  return [longest, (longest + 1) % 3, (longest + 2) % 3];
}

function sumOf(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

/** Counts what is near to a value. */
function addNear(guess, value) {
  const end = Math.min(guess.length, value + SPREAD);
  for (let at = Math.max(0, value - SPREAD + 1); at < end; at++) guess[at] = NEARNESS[Math.abs(at - value)];
}

/** The parts of a mesh, one after the other. */
export class Parts {
  /**
   * @param {import('./teller.js').Teller} teller
   * @param {import('./known.js').Known} known
   * @param {ArrayLike<number>} guesses weights of the guesses at first, by axis
   */
  constructor(teller, known, guesses) {
    this.teller = teller;
    this.known = known;
    this.axes = axisOrder(known.sides);
    this.weights = [0, 1, 2].map((role) => Array.from(guesses).slice(role * EXPERTS, (role + 1) * EXPERTS));
    // What each guess says of the values of a coordinate, by axis.
    this.shares = known.sides.map((limit) => Array.from({ length: EXPERTS }, () => new Float64Array(limit + 1)));
    this.mixed = known.sides.map((limit) => new Float64Array(limit + 1));
    this.starts = known.sides.map((limit) => new Int32Array(limit + 2));
    this.row = new Row(SEED_FEATURES);
    this.alternatives = new Alternatives();
    this.last = null; // corners of the part before
    this.count = 0;
    this.asking = true;
  }

  /** Whether a further part begins, where so many gates are open. */
  wanted(gates) {
    if (gates === 0) return true;
    if (gates >= FEW_GATES || !this.asking) return false;
    this.asking = this.teller.flag(Math.min(this.count, 3));
    return this.asking;
  }

  /** The corners of the first face of the next part. */
  begin() {
    const numbers = [];
    const corners = [];
    for (let which = 0; which < 3; which++) {
      let number = this.knownCorner(which, numbers);
      if (number < 0) {
        const place = which === 0 ? this.firstCorner() : this.nextCorner(corners);
        number = this.known.meet();
        this.teller.put(number, place);
      }
      numbers.push(number);
      corners.push(this.known.place(number));
    }
    this.last = corners;
    this.count += 1;
    return numbers;
  }

  /** The number of a corner that is a known vertex, -1 where it is not. */
  knownCorner(which, others) {
    const { known, teller } = this;
    if (!known.classes[2] || known.vertices <= others.length || !teller.flag(4 + which)) return -1;
    const free = [];
    for (let number = 0; number < known.vertices; number++) if (!others.includes(number)) free.push(number);
    if (which === 0) return free[teller.uniform(free.length)];
    return known.ranked(free, known.place(others[0]), teller.rank(SEED_RANK, free.length));
  }

  firstCorner() {
    const place = [0, 0, 0];
    this.axes.forEach((axis, role) => {
      this.fillShares(role, axis);
      place[axis] = this.teller.symbol(this.firstStarts(role, axis));
      this.learn(role, this.shares[axis], place[axis]);
    });
    return place;
  }

  /** What each guess says of the values of a coordinate of a first corner. */
  fillShares(role, axis) {
    const { places, sides, vertices } = this.known;
    const limit = sides[axis];
    const last = this.last ? this.last[0][axis] : 0;
    const guesses = this.shares[axis];
    for (const guess of guesses) guess.fill(0);
    const [uniform, used, mirrored, near, onwards] = guesses;
    uniform.fill(1);
    for (let vertex = 0; vertex < vertices; vertex++) {
      const value = places[3 * vertex + axis];
      used[value] += 1;
      mirrored[limit - value] += 1;
    }
    addNear(near, last);
    if (role !== 0) addNear(onwards, limit - last);
    else for (let value = last; value <= limit; value++) onwards[value] = Math.floor(NEAR / (1 + value - last));
    for (const guess of guesses) {
      const total = sumOf(guess);
      const by = total > 0 ? total : 1;
      for (let value = 0; value <= limit; value++) {
        if (guess[value] > 0) guess[value] = Math.floor((guess[value] * UNIT) / by);
      }
    }
  }

  firstStarts(role, axis) {
    const shares = this.shares[axis];
    const mixed = this.mixed[axis];
    const starts = this.starts[axis];
    mixed.fill(0);
    for (let i = 0; i < EXPERTS; i++) {
      const weight = this.weights[role][i];
      const share = shares[i];
      for (let value = 0; value < mixed.length; value++) mixed[value] += weight * share[value];
    }
    const total = sumOf(mixed);
    const spare = TOTAL - mixed.length;
    let likely = 0;
    for (let value = 0; value < mixed.length; value++) {
      if (mixed[value] > mixed[likely]) likely = value;
      starts[value + 1] = starts[value] + Math.floor((mixed[value] * spare) / total) + 1;
    }
    const rest = TOTAL - starts[mixed.length];
    for (let value = likely + 1; value < starts.length; value++) starts[value] += rest;
    return starts;
  }

  /** Let the guesses that saw a value coming gain weight. */
  learn(role, shares, value) {
    const weights = this.weights[role];
    const right = weights.map((weight, i) => weight * shares[i][value]);
    const total = right.reduce((sum, each) => sum + each);
    if (total > 0) right.forEach((each, i) => (weights[i] += Math.floor((each * LEARNED) / total)));
  }

  nextCorner(corners) {
    const place = [0, 0, 0];
    const values = [];
    for (const axis of this.axes) {
      const found = this.teller.coordinates(3, [this.next(corners, values)], 1);
      values.push(found[0]);
      place[axis] = found[0];
    }
    return place;
  }

  /** Features and alternatives of the next coordinate of the second or third corner. */
  next(corners, values) {
    const { known, last, axes } = this;
    const role = values.length;
    const which = corners.length;
    const axis = axes[role];
    const guess = corners[0][axis];
    const limit = known.sides[axis];
    const first = last ? minus(last[1], last[0]) : NOWHERE; // edges of the part before
    const second = last ? minus(last[2], last[0]) : NOWHERE;
    const before = which === 1 ? first : second;
    const step = before[axis];
    const small = [0, 0]; // the coordinates so far
    for (let i = 0; i < role; i++) small[i] = values[i] - corners[0][axes[i]];
    const edge = which === 2 ? minus(corners[1], corners[0]) : NOWHERE;
    const { row, alternatives } = this;
    row.count = 0;
    for (let k = 0; k < 3; k++) row.put(role === k ? 1 : 0);
    row.put(which === 2 ? 1 : 0);
    row.put(last ? 1 : 0);
    row.put(known.scale);
    for (let n = 0; n < 4; n++) row.put(known.classes[n]);
    for (let i = 0; i < 2; i++) row.put(i < role && small[i] === before[axes[i]] ? 1 : 0);
    row.put(Math.min(this.count, 15));
    for (const vector of [edge, first, second]) for (let k = 0; k < 3; k++) row.put(signedLog(vector[axes[k]]));
    for (const value of [small[0], small[1], guess, limit - guess, limit, step]) row.put(signedLog(value));
    for (const vector of [edge, first, second]) for (let k = 0; k < 3; k++) row.put(halfOf(vector[axes[k]]));
    for (let i = 0; i < 2; i++) row.put(halfOf(small[i]));
    const { candidates } = alternatives;
    candidates[0] = guess;
    candidates[1] = corners[which - 1][axis];
    candidates[2] = guess + step;
    candidates[3] = guess - step;
    candidates[4] = last ? last[which][axis] : -1;
    candidates[5] = 0;
    candidates[6] = limit;
    alternatives.begin(guess, limit, OFFERED + (which === 2 ? 2 : 0) + (last ? OFFERED_WITH_LAST : 0));
    return { features: row.values, alternatives, length: row.values[SEED_LENGTH], spans: SPANS, offset: 0 };
  }
}

function halfOf(way) {
  return clamp(way * 0.5, -12, 12);
}
