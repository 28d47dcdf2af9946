/** Where the parts of a mesh begin: twin of meshcodec/format/mesh_seeds.py and mesh_parts.py. */

import { Alternatives } from './coordinates.js';
import { clamp, minus, rounded, signedLog } from './numbers.js';
import { TOTAL, startsOf } from './network.js';

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
      corners.push(this.known.vertices[number].place);
    }
    this.last = corners;
    this.count += 1;
    return numbers;
  }

  /** The number of a corner that is a known vertex, -1 where it is not. */
  knownCorner(which, others) {
    const { known, teller } = this;
    if (!known.classes[2] || known.vertices.length <= others.length || !teller.flag(4 + which)) return -1;
    const free = known.vertices.map((_, number) => number).filter((number) => !others.includes(number));
    if (which === 0) return free[teller.uniform(free.length)];
    return known.byDistance(free, known.vertices[others[0]].place)[teller.rank(SEED_RANK, free.length)];
  }

  firstCorner() {
    const place = [0, 0, 0];
    this.axes.forEach((axis, role) => {
      const shares = this.sharesOf(role, axis);
      place[axis] = this.teller.symbol(this.firstStarts(role, shares));
      this.learn(role, shares, place[axis]);
    });
    return place;
  }

  /** What each guess says of the values of a coordinate of a first corner. */
  sharesOf(role, axis) {
    const limit = this.known.sides[axis];
    const last = this.last ? this.last[0][axis] : 0;
    const guesses = Array.from({ length: EXPERTS }, () => new Float64Array(limit + 1));
    const [uniform, used, mirrored, near, onwards] = guesses;
    for (const { place } of this.known.vertices) {
      used[place[axis]] += 1;
      mirrored[limit - place[axis]] += 1;
    }
    const nearTo = (way) => Math.floor(NEAR / ((1 + Math.abs(way)) * (1 + Math.abs(way))));
    for (let value = 0; value <= limit; value++) {
      uniform[value] = 1;
      near[value] = nearTo(value - last);
      if (role !== 0) onwards[value] = nearTo(value - (limit - last));
      else if (value >= last) onwards[value] = Math.floor(NEAR / (1 + value - last));
    }
    for (const guess of guesses) {
      const total = sumOf(guess);
      const by = total > 0 ? total : 1;
      for (let value = 0; value <= limit; value++) guess[value] = Math.floor((guess[value] * UNIT) / by);
    }
    return guesses;
  }

  firstStarts(role, shares) {
    const mixed = new Float64Array(shares[0].length);
    this.weights[role].forEach((weight, i) => {
      for (let value = 0; value < mixed.length; value++) mixed[value] += weight * shares[i][value];
    });
    const total = sumOf(mixed);
    const spare = TOTAL - mixed.length;
    const counts = mixed.map((value) => Math.floor((value * spare) / total) + 1);
    let likely = 0;
    for (let value = 1; value < mixed.length; value++) if (mixed[value] > mixed[likely]) likely = value;
    counts[likely] += TOTAL - sumOf(counts);
    return startsOf(counts);
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
      values.push(...this.teller.coordinates(3, [this.next(corners, values)]));
      place[axis] = values[values.length - 1];
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
    const before = last ? [minus(last[1], last[0]), minus(last[2], last[0])] : [NOWHERE, NOWHERE];
    const step = before[which - 1][axis];
    const soFar = values.map((value, i) => value - corners[0][axes[i]]);
    const small = [soFar[0] ?? 0, soFar[1] ?? 0];
    const same = [0, 1].map((i) => Number(i < soFar.length && soFar[i] === before[which - 1][axes[i]]));
    const edge = which === 2 ? minus(corners[1], corners[0]) : NOWHERE;
    const vectors = [edge, ...before].flatMap((vector) => axes.map((a) => vector[a]));
    const features = [
      ...[0, 1, 2].map((k) => Number(role === k)), Number(which === 2), Number(Boolean(last)), known.scale,
      ...known.classes, ...same, Math.min(this.count, 15),
      ...[...vectors, ...small, guess, limit - guess, limit, step].map(signedLog),
      ...[...vectors, ...small].map((value) => clamp(value * 0.5, -12, 12)),
    ].map(rounded);
    const seen = Boolean(last);
    const candidates = [guess, corners[which - 1][axis], guess + step, guess - step, last ? last[which][axis] : -1, 0, limit];
    return {
      features,
      alternatives: new Alternatives(guess, limit, candidates, [true, which === 2, seen, seen, seen, true, true]),
      length: features[SEED_LENGTH],
      spans: [16, 0, 0],
      offset: 0,
    };
  }
}
