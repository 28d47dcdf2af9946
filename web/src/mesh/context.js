/** What a network is given of a gate: twin of the second half of meshcodec/format/mesh_context.py. */

import { BORDER, LEFT, NEW, RIGHT, SEED } from './front.js';
import { angle, cross, dot, log2, minus, rounded, unit } from './numbers.js';

const FAR = 6; // largest distance, in lengths of the gate, that is told from larger ones
/** The feature that is log2 of the gate's length. */
export const GATE_LENGTH = 55;
/** Pairs of features that belong to the two ends of a gate, the first features of all. */
export const GATE_PAIRS = 21;
/** Features after them that change their sign when the ends change places. */
export const GATE_SIGNED = 4;
const A = 0, B = 1, C = 2, L = 3, R = 4, LL = 5, RR = 6, O = 7, P = 8; // points of a gate

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
    this.known = known;
    const { origin, end, queue } = known.front;
    this.ends = new Set();
    for (const gate of queue) this.ends.add(origin[gate]).add(end[gate]);
    const all = () => Array.from({ length: known.placed }, (_, i) => i);
    this.numbers = known.tangled ? all() : [...this.ends].sort((one, other) => one - other);
  }

  /** The two vertices nearest to the parallelogram's corner, but for the five around, and whether there are. */
  others(around) {
    const { vertices, tangled } = this.known;
    const [a, b, c] = around.map((number) => vertices[number].place);
    const [x, y, z] = [0, 1, 2].map((axis) => a[axis] + b[axis] - c[axis]);
    const numbers = [-1, -1];
    const distances = [Infinity, Infinity];
    for (const number of this.numbers) {
      const { place } = vertices[number];
      const [dx, dy, dz] = [x - place[0], y - place[1], z - place[2]];
      const distance = dx * dx + dy * dy + dz * dz;
      if (distance >= distances[0] && distance >= distances[1]) continue;
      if (around.includes(number)) continue;
      if (tangled) {
        const which = this.ends.has(number) ? 0 : 1;
        if (distance >= distances[which]) continue;
        [numbers[which], distances[which]] = [number, distance];
      } else if (distance < distances[0]) {
        [numbers[1], distances[1]] = [numbers[0], distances[0]];
        [numbers[0], distances[0]] = [number, distance];
      } else {
        [numbers[1], distances[1]] = [number, distance];
      }
    }
    return [numbers.map((number) => (number < 0 ? around[A] : number)), numbers.map((number) => Number(number >= 0))];
  }
}

/** The frame of a gate, and the points around it in there. */
class GateFrame {
  constructor(places) {
    const [a, b, c] = places;
    this.edge = minus(b, a);
    this.length = Math.sqrt(dot(this.edge, this.edge));
    this.along = this.edge.map((value) => value / this.length);
    const outward = cross(minus(a, b), minus(c, b));
    this.area = Math.sqrt(dot(outward, outward));
    const by = this.area > 0 ? this.area : 1;
    this.normal = outward.map((value) => value / by);
    const across = cross(this.normal, this.along);
    const middle = a.map((value, axis) => (value + b[axis]) * 0.5);
    this.offsets = places.map((place) => place.map((value, axis) => (value - middle[axis]) / this.length));
    this.x = this.offsets.map((offset) => dot(offset, this.along));
    this.y = this.offsets.map((offset) => dot(offset, across));
    this.z = this.offsets.map((offset) => dot(offset, this.normal));
  }

  /** From the corner of the parallelogram, which lies at minus c, in lengths of the gate. */
  distance(point) {
    const gap = this.offsets[point].map((value, axis) => value + this.offsets[C][axis]);
    return Math.min(Math.sqrt(dot(gap, gap)), FAR);
  }

  /** Cosine of a normal to that of the face behind. */
  bend(normal) {
    return dot(unit(normal), this.normal);
  }
}

/**
 * Features of a gate: those that belong to its ends in pairs, a's before b's, then those that change their sign
 * when the ends change places, then all others.
 * @param {number[]} wide `known.globalFacts()`
 * @returns {number[]} whole
 */
export function gateFeatures(known, near, wide) {
  const { points, facts, found } = near;
  const vertices = points.map((number) => known.vertices[number]);
  const places = vertices.map((vertex) => vertex.place);
  const frame = new GateFrame(places);
  const { x, y, z, length } = frame;
  const scale = log2(length);
  const sides = [minus(places[L], places[A]), minus(places[R], places[B]), minus(places[L], places[R])];
  const lengths = sides.map((side) => Math.sqrt(dot(side, side)));
  const relative = [lengths[0], lengths[1], frame.area / length].map((size) => log2(size + 0.25) - scale);
  const turn = (k, sign) => angle((dot(sides[k], frame.along) * sign) / (lengths[k] > 0 ? lengths[k] : 1));
  const folds = [1, 2, 3].map((k) => frame.bend(known.faceNormals[near.faces[k]]));
  const corners = [A, B, L, R].map((point) => vertices[point]);
  const beside = [O, P].map((point, k) => (found[k] > 0 ? frame.distance(point) : FAR));
  const ring = [L, R, LL, RR];
  return [
    x[L], -x[R], x[LL], -x[RR],
    ...ring.map((point) => y[point]),
    ...ring.map((point) => z[point]),
    ...ring.map((point) => frame.distance(point)),
    relative[0], relative[1],
    turn(0, 1), turn(1, -1),
    ...corners.map((vertex) => frame.bend(vertex.normal)),
    folds[1], folds[2],
    ...corners.map((vertex) => vertex.turned * 0.015625),
    ...corners.map((vertex) => vertex.valence * 0.5),
    ...corners.map((vertex) => Math.min(vertex.bordered, 3)),
    facts[0], facts[1], facts[2], facts[3],
    x[C], x[O] * found[0], x[P] * found[1], facts[4] - 0.5,
    y[C], y[O] * found[0], y[P] * found[1], z[O] * found[0], z[P] * found[1], ...beside, found[0],
    Math.min(lengths[2] / length, FAR), scale, scale - known.scale, relative[2],
    frame.bend(vertices[C].normal), folds[0], ...facts.slice(5), ...inEndPlanes(known, places),
    Math.min(vertices[P].bordered, 3) * found[1], ...wide,
  ].map(rounded);
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
