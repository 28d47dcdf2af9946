/** Where a new vertex lies: twin of meshcodec/format/mesh_place.py. */

import { GATE_FEATURES, GATE_LENGTH, GATE_PAIRS, GATE_SIGNED } from './context.js';
import { Alternatives } from './coordinates.js';
import { clamp, cross, dot, log2, minus, rounded, signedLog, unit } from './numbers.js';

/** Features of the three coordinates. */
export const PLACE_FEATURES = [183, 191, 216];
const SPANS = [[90, 93, 101], [91, 94, 110], [92, 95, 119]]; // features that are the spans of each coordinate
const THIRD_OFFSET = 200; // the third coordinate's that is twice the way from the guess to the face's plane
const FAR = 4; // largest distance, in lengths of the gate, that is told from larger ones
const SWAPPED = [1, 0, 2, 4, 3, 6, 5, 7, 8]; // points of a gate whose ends have changed places
const ONES = [0, 1, 0, 3, 4, 3, 4, 3]; // points that are compared ...
const OTHERS = [1, 2, 2, 0, 1, 2, 2, 4]; // ... with these
const AXES = [0, 1, 2];
const ALL = [true, true, true, true, true, true, true]; // candidates that are offered

/** Features of a gate with its ends changed. */
function swappedGate(features) {
  const result = features.slice();
  for (let i = 0; i < 2 * GATE_PAIRS; i += 2) [result[i], result[i + 1]] = [features[i + 1], features[i]];
  for (let i = 2 * GATE_PAIRS; i < 2 * GATE_PAIRS + GATE_SIGNED; i++) result[i] = -features[i];
  return result;
}

/** Axes: last the one with the longest normal, first the longer of the others' ways forward. */
function orderOf(outward, forward) {
  let last = 0;
  for (const axis of [1, 2]) if (Math.abs(outward[axis]) > Math.abs(outward[last])) last = axis;
  const [one, other] = AXES.filter((axis) => axis !== last);
  return Math.abs(forward[other]) > Math.abs(forward[one]) ? [other, one, last] : [one, other, last];
}

/** Height over a plane's point at which the plane lies at two offsets; 0 where it stands upright. */
function heightOf(normal, first, second, length) {
  if (normal[2] === 0) return 0;
  const height = -(normal[0] * first + normal[1] * second) / normal[2];
  return Math.abs(height) > 64 * length ? 0 : height;
}

/** The place of one new vertex, coordinate by coordinate. */
export class Place {
  /**
   * @param {import('./known.js').Known} known
   * @param {import('./context.js').Surroundings} near
   * @param {number[]} gate features
   */
  constructor(known, near, gate) {
    const [a, b, c] = near.points.map((number) => known.vertices[number].place);
    const outward = cross(minus(a, b), minus(c, b));
    const forward = AXES.map((axis) => a[axis] + b[axis] - 2 * c[axis]);
    this.axes = orderOf(outward, forward);
    const [first, second, last] = this.axes;
    this.mirrored = [forward[first] < 0, forward[second] < 0, outward[last] < 0];
    this.limits = this.axes.map((axis) => known.sides[axis]);
    const edge = this.turned(minus(b, a));
    const swap = edge[0] < 0 || (edge[0] === 0 && edge[1] < 0);
    const indices = swap ? SWAPPED.map((point) => near.points[point]) : near.points;
    const faces = swap ? [0, 1, 3, 2].map((k) => near.faces[k]) : near.faces;
    const vertices = indices.map((number) => known.vertices[number]);
    this.points = vertices.map((vertex) => this.inFrame(vertex.place));
    const normals = vertices.slice(0, 5).map((vertex) => this.turned(vertex.normal));
    const folded = faces.map((face) => this.turned(known.faceNormals[face]));
    this.corner = AXES.map((k) => this.points[0][k] + this.points[1][k] - this.points[2][k]);
    this.normal = folded[0];
    this.planes = [normals[0], normals[1], folded[2], folded[3], folded[1]];
    this.length = Math.sqrt(dot(edge, edge));
    this.features = new Int16Array(PLACE_FEATURES[2]);
    this.features.set(swap ? swappedGate(gate) : gate);
    this.count = GATE_FEATURES; // features so far
    this.putFrame([...normals, ...folded].map(unit), near.found);
    for (const which of [0, 1]) for (let k = 0; k < 3; k++) this.put(vertices[k].error[which]);
    this.values = [];
  }

  /** A vector in the axes of the frame. */
  turned(vector) {
    return this.axes.map((axis, k) => (this.mirrored[k] ? -vector[axis] : vector[axis]));
  }

  /** A place of the grid in the frame. */
  inFrame(place) {
    return this.axes.map((axis, k) => (this.mirrored[k] ? this.limits[k] - place[axis] : place[axis]));
  }

  put(value) {
    this.features[this.count++] = rounded(value);
  }

  /** Features that follow from where the points lie in the frame. */
  putFrame(units, found) {
    const { corner, length, limits, points } = this;
    const [a, b, c] = points;
    const ways = [...minus(b, a), (a[0] + b[0]) * 0.5 - c[0], (a[1] + b[1]) * 0.5 - c[1], (a[2] + b[2]) * 0.5 - c[2]];
    for (const way of ways) this.put(way / length);
    for (let k = 0; k < 3; k++) for (const normal of units) this.put(normal[k]);
    for (let k = 0; k < 3; k++) {
      for (let point = 3; point < 9; point++) {
        const value = (points[point][k] - corner[k]) / length;
        this.put(clamp(point < 7 ? value : value * found[point - 7], -FAR, FAR));
      }
    }
    for (const way of ways) this.put(signedLog(way));
    for (let k = 0; k < 3; k++) this.put(signedLog(clamp(corner[k], 0, limits[k])));
    for (let k = 0; k < 3; k++) this.put(signedLog(limits[k] - clamp(corner[k], 0, limits[k])));
    for (let k = 0; k < 3; k++) {
      for (let i = 0; i < ONES.length; i++) this.put(points[ONES[i]][k] === points[OTHERS[i]][k] ? 1 : 0);
    }
  }

  /** What the plane of the face says of the third coordinate, above the corner. */
  slope() {
    const [first, second] = this.values.map((value, k) => value - this.corner[k]);
    return heightOf(this.normal, first, second, this.length);
  }

  /** Features for the network of the next coordinate, and what the coordinate may be. */
  next() {
    const k = this.values.length;
    if (k > 0) this.putValue(k - 1);
    let guess = this.corner[k];
    if (k === 2) {
      const slope = this.slope();
      guess += Math.floor(slope + 0.5);
      for (const value of this.third(slope)) this.put(value);
    }
    const limit = this.limits[k];
    const [a, b, c, l, r] = this.points;
    const candidates = [a[k], b[k], c[k], l[k], r[k], 0, limit];
    const { features } = this;
    return {
      features: features.subarray(0, PLACE_FEATURES[k]),
      alternatives: new Alternatives(clamp(guess, 0, limit), limit, candidates, ALL),
      length: features[GATE_LENGTH],
      spans: SPANS[k].map((feature) => features[feature]),
      offset: k === 2 ? features[THIRD_OFFSET] * (0.5 / 16) : 0,
    };
  }

  /** What a coordinate that is found tells of those after it. */
  putValue(k) {
    const residual = this.values[k] - this.corner[k];
    this.put(clamp(residual / this.length, -FAR, FAR));
    this.put(signedLog(residual));
    for (let point = 0; point < 5; point++) this.put(this.values[k] === this.points[point][k] ? 1 : 0);
    this.put(residual === 0 ? 1 : 0);
  }

  /** What both other coordinates tell of the last one. */
  third(slope) {
    const { length } = this;
    const place = [...this.values, this.corner[2] + slope];
    const offsets = [0, 1, 3, 4, 2].map((point) => minus(place, this.points[point]));
    // How far above the guess the planes of the faces around lie.
    const above = this.planes.map((plane, i) => heightOf(plane, offsets[i][0], offsets[i][1], length) - offsets[i][2]);
    return [
      clamp(slope / length, -FAR, FAR),
      (slope - Math.floor(slope + 0.5)) * 2,
      ...offsets.map((offset) => Math.min(Math.sqrt(dot(offset, offset)) / length, FAR)),
      ...above.map((height) => clamp(height / length, -2, 2) * 4),
      ...above.map(signedLog),
    ];
  }

  /** The place in the grid, once all values are known. */
  position() {
    const place = [0, 0, 0];
    this.axes.forEach((axis, k) => {
      place[axis] = this.mirrored[k] ? this.limits[k] - this.values[k] : this.values[k];
    });
    return place;
  }

  /** log2 of 1 + the residual in the plane, and across it. */
  errors() {
    const [r0, r1, r2] = this.values.map((value, k) => value - this.corner[k]);
    const across = Math.abs(r2 - Math.floor(this.slope() + 0.5));
    return [log2(1 + (Math.abs(r0) + Math.abs(r1))), log2(1 + across)];
  }
}
