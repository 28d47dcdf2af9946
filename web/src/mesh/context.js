/** What a network is given of a gate: twin of the second half of meshcodec/format/mesh_context.py. */

import { BORDER, LEFT, NEW, RIGHT, SEED } from './front.js';
import { angle, cross, dot, log2, minus, rounded, unit } from './numbers.js';

const FAR = 6; // largest distance, in lengths of the gate, that is told from larger ones
/** Features of a gate. */
export const GATE_FEATURES = 90;
/** The feature that is log2 of the gate's length. */
export const GATE_LENGTH = 55;
/** Pairs of features that belong to the two ends of a gate, the first features of all. */
export const GATE_PAIRS = 21;
/** Features after them that change their sign when the ends change places. */
export const GATE_SIGNED = 4;
const A = 0, B = 1, C = 2, L = 3, R = 4, LL = 5, RR = 6, O = 7, P = 8; // points of a gate
const RING = [L, R, LL, RR];
const ENDS = [A, B, L, R];

/**
 * The surroundings of a gate.
 * @typedef {object} Surroundings
 * @property {number[]} points vertices: a, b, c, l, r, ll, rr, o, p
 * @property {number[]} faces the face behind, the one from which it was made, those behind the gates before and after
 * @property {number[]} facts numbers that are not places
 * @property {number[]} found whether there are o and p
 */

/** @returns {Surroundings[]} of the gates of a wave */
export function surroundings(known, wave) {
  const { front } = known;
  const pool = new Pool(known);
  return wave.map((gate) => {
    const [left, right] = [front.before[gate], front.after[gate]];
    const [furtherLeft, furtherRight] = [front.before[left], front.after[right]];
    const behind = front.face[gate];
    const points = [
      front.origin[gate], front.end[gate], front.apex[gate], front.origin[left], front.end[right],
      front.origin[furtherLeft], front.end[furtherRight],
    ];
    const [, b, , l, r, ll] = points;
    const maker = front.maker[behind];
    const border = (other) => Number(front.state[other] === BORDER);
    const facts = [
      border(left),
      border(right),
      border(furtherLeft),
      border(furtherRight),
      Number(front.apex[gate] === front.corners[behind][0]),
      Number(l === r),
      Number(ll === r && l !== r),
      Number(maker === NEW),
      Number(maker === SEED),
      Number(maker === LEFT || maker === RIGHT),
      Number(maker !== SEED && maker > RIGHT),
      Number(l === b),
    ];
    const [others, found] = pool.others(points.slice(0, 5));
    const faces = [behind, front.parent[behind], front.face[left], front.face[right]];
    return { points: [...points, ...others], faces, facts, found };
  });
}

/** The vertices among which others are looked for. */
class Pool {
  constructor(known) {
    const { origin, end, queue } = known.front;
    const { vertices, placed, tangled } = known;
    this.tangled = tangled;
    this.vertices = vertices;
    this.open = new Uint8Array(vertices.length); // vertices of open gates
    for (const gate of queue) {
      this.open[origin[gate]] = 1;
      this.open[end[gate]] = 1;
    }
    this.numbers = [];
    for (let number = 0; number < placed; number++) if (tangled || this.open[number]) this.numbers.push(number);
    this.places = new Float64Array(3 * this.numbers.length);
    for (let i = 0, at = 0; i < this.numbers.length; i++) {
      const { place } = vertices[this.numbers[i]];
      for (let axis = 0; axis < 3; axis++) this.places[at++] = place[axis];
    }
  }

  /** The two vertices nearest to the parallelogram's corner, but for the five around, and whether there are. */
  others(around) {
    const { numbers, places, open, tangled } = this;
    const [a, b, c] = around.map((number) => this.vertices[number].place);
    const [x, y, z] = [a[0] + b[0] - c[0], a[1] + b[1] - c[1], a[2] + b[2] - c[2]];
    let [one, other, nearest, second] = [-1, -1, Infinity, Infinity];
    for (let i = 0, at = 0; i < numbers.length; i++, at += 3) {
      const [dx, dy, dz] = [x - places[at], y - places[at + 1], z - places[at + 2]];
      const distance = dx * dx + dy * dy + dz * dz;
      if ((distance >= nearest && distance >= second) || around.includes(numbers[i])) continue;
      if (tangled) {
        if (open[numbers[i]] && distance < nearest) [one, nearest] = [numbers[i], distance];
        else if (!open[numbers[i]] && distance < second) [other, second] = [numbers[i], distance];
      } else if (distance < nearest) {
        [other, second] = [one, nearest];
        [one, nearest] = [numbers[i], distance];
      } else {
        [other, second] = [numbers[i], distance];
      }
    }
    return [[one < 0 ? around[A] : one, other < 0 ? around[A] : other], [Number(one >= 0), Number(other >= 0)]];
  }
}

/** The frame of a gate, and the points around it in there. */
class GateFrame {
  constructor(places) {
    const [a, b, c] = places;
    const edge = minus(b, a);
    const length = Math.sqrt(dot(edge, edge));
    this.length = length;
    this.along = [edge[0] / length, edge[1] / length, edge[2] / length];
    const outward = cross(minus(a, b), minus(c, b));
    this.area = Math.sqrt(dot(outward, outward));
    const by = this.area > 0 ? this.area : 1;
    this.normal = [outward[0] / by, outward[1] / by, outward[2] / by];
    const across = cross(this.normal, this.along);
    const middle = [(a[0] + b[0]) * 0.5, (a[1] + b[1]) * 0.5, (a[2] + b[2]) * 0.5];
    this.offsets = [];
    this.x = [];
    this.y = [];
    this.z = [];
    for (const place of places) {
      const offset = [
        (place[0] - middle[0]) / length, (place[1] - middle[1]) / length, (place[2] - middle[2]) / length,
      ];
      this.offsets.push(offset);
      this.x.push(dot(offset, this.along));
      this.y.push(dot(offset, across));
      this.z.push(dot(offset, this.normal));
    }
  }

  /** From the corner of the parallelogram, which lies at minus c, in lengths of the gate. */
  distance(point) {
    const [u, c] = [this.offsets[point], this.offsets[C]];
    const gap = [u[0] + c[0], u[1] + c[1], u[2] + c[2]];
    return Math.min(Math.sqrt(dot(gap, gap)), FAR);
  }

  /** Cosine of a normal to that of the face behind. */
  bend(normal) {
    return dot(unit(normal), this.normal);
  }

  /** Angle at an end of the gate, to where the next gate leads. */
  turn(side, length, sign) {
    return angle((dot(side, this.along) * sign) / (length > 0 ? length : 1));
  }
}

/**
 * Features of a gate: those that belong to its ends in pairs, a's before b's, then those that change their sign
 * when the ends change places, then all others.
 * @param {number[]} wide `known.globalFacts()`
 * @returns {Int16Array}
 */
export function gateFeatures(known, near, wide) {
  const vertices = near.points.map((number) => known.vertices[number]);
  const places = vertices.map((vertex) => vertex.place);
  const frame = new GateFrame(places);
  const { length } = frame;
  const scale = log2(length);
  const sides = [minus(places[L], places[A]), minus(places[R], places[B]), minus(places[L], places[R])];
  const lengths = sides.map((side) => Math.sqrt(dot(side, side)));
  const [toLeft, toRight, area] = [lengths[0], lengths[1], frame.area / length].map((size) => log2(size + 0.25) - scale);
  const folds = [1, 2, 3].map((k) => frame.bend(known.faceNormals[near.faces[k]]));
  const features = new Int16Array(GATE_FEATURES);
  let n = 0;
  const put = (value) => (features[n++] = rounded(value));
  putPairs(put, frame, vertices, near.facts, {
    lengths: [toLeft, toRight],
    turns: [frame.turn(sides[0], lengths[0], 1), frame.turn(sides[1], lengths[1], -1)],
    folds: [folds[1], folds[2]],
  });
  putOthers(put, frame, near);
  const [, , , , , ...facts] = near.facts;
  for (const value of [Math.min(lengths[2] / length, FAR), scale, scale - known.scale, area]) put(value);
  put(frame.bend(vertices[C].normal));
  put(folds[0]);
  facts.forEach(put);
  inEndPlanes(known, places).forEach(put);
  put(Math.min(vertices[P].bordered, 3) * near.found[1]);
  wide.forEach(put);
  return features;
}

/** The features that belong to the ends of a gate. */
function putPairs(put, frame, vertices, facts, { lengths, turns, folds }) {
  const { x, y, z } = frame;
  put(x[L]);
  put(-x[R]);
  put(x[LL]);
  put(-x[RR]);
  for (const point of RING) put(y[point]);
  for (const point of RING) put(z[point]);
  for (const point of RING) put(frame.distance(point));
  lengths.forEach(put);
  turns.forEach(put);
  for (const point of ENDS) put(frame.bend(vertices[point].normal));
  folds.forEach(put);
  for (const point of ENDS) put(vertices[point].turned * 0.015625);
  for (const point of ENDS) put(vertices[point].valence * 0.5);
  for (const point of ENDS) put(Math.min(vertices[point].bordered, 3));
  for (let i = 0; i < 4; i++) put(facts[i]);
}

/** Where the corner behind the gate and the two nearest others lie. */
function putOthers(put, frame, { facts, found }) {
  const { x, y, z } = frame;
  put(x[C]);
  put(x[O] * found[0]);
  put(x[P] * found[1]);
  put(facts[4] - 0.5);
  put(y[C]);
  put(y[O] * found[0]);
  put(y[P] * found[1]);
  put(z[O] * found[0]);
  put(z[P] * found[1]);
  put(found[0] > 0 ? frame.distance(O) : FAR);
  put(found[1] > 0 ? frame.distance(P) : FAR);
  put(found[0]);
}

/** Axes along which a gate, and the face behind it, lies in the first or the last plane of the grid. */
function inEndPlanes(known, [a, b, c]) {
  const counts = [0, 0, 0, 0];
  for (let axis = 0; axis < 3; axis++) {
    [0, known.sides[axis]].forEach((end, which) => {
      if (a[axis] !== end || b[axis] !== end) return;
      counts[which] += 1;
      if (c[axis] === end) counts[2 + which] += 1;
    });
  }
  return counts;
}
