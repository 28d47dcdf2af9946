/** Where a new vertex lies: twin of meshcodec/format/mesh_place.py. */

import { GATE_LENGTH, GATE_PAIRS, GATE_SIGNED } from './context.js';
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
    const errors = vertices.slice(0, 3).map((vertex) => vertex.error);
    this.features = [...(swap ? swappedGate(gate) : gate), ...this.ownFeatures([...normals, ...folded], errors, near.found)];
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

  ownFeatures(normals, errors, found) {
    const [a, b, c] = this.points;
    const { corner, length, limits } = this;
    const ways = [...minus(b, a), ...AXES.map((k) => (a[k] + b[k]) * 0.5 - c[k])];
    const units = normals.map(unit);
    const inside = AXES.map((k) => clamp(corner[k], 0, limits[k]));
    const offset = (point, k) => {
      const value = (this.points[point][k] - corner[k]) / length;
      return clamp(point < 7 ? value : value * found[point - 7], -FAR, FAR);
    };
    return [
      ...ways.map((value) => value / length),
      ...AXES.flatMap((k) => units.map((normal) => normal[k])),
      ...AXES.flatMap((k) => [3, 4, 5, 6, 7, 8].map((point) => offset(point, k))),
      ...ways.map(signedLog),
      ...inside.map(signedLog),
      ...inside.map((value, k) => signedLog(limits[k] - value)),
      ...AXES.flatMap((k) => ONES.map((one, i) => Number(this.points[one][k] === this.points[OTHERS[i]][k]))),
      ...errors.map((error) => error[0]),
      ...errors.map((error) => error[1]),
    ].map(rounded);
  }

  /** What the plane of the face says of the third coordinate, above the corner. */
  slope() {
    const [first, second] = this.values.map((value, k) => value - this.corner[k]);
    return heightOf(this.normal, first, second, this.length);
  }

  /** Features for the network of the next coordinate, and what the coordinate may be. */
  next() {
    const k = this.values.length;
    const more = this.values.flatMap((value, j) => {
      const residual = value - this.corner[j];
      const same = this.points.slice(0, 5).map((point) => Number(value === point[j]));
      return [clamp(residual / this.length, -FAR, FAR), signedLog(residual), ...same, Number(residual === 0)];
    });
    let guess = this.corner[k];
    if (k === 2) {
      const slope = this.slope();
      guess += Math.floor(slope + 0.5);
      more.push(...this.third(slope));
    }
    const limit = this.limits[k];
    const candidates = [...this.points.slice(0, 5).map((point) => point[k]), 0, limit];
    const features = [...this.features, ...more.map(rounded)];
    return {
      features,
      alternatives: new Alternatives(clamp(guess, 0, limit), limit, candidates, candidates.map(() => true)),
      length: features[GATE_LENGTH],
      spans: SPANS[k].map((feature) => features[feature]),
      offset: k === 2 ? features[THIRD_OFFSET] * (0.5 / 16) : 0,
    };
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
