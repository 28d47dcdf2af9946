/** Where a new vertex lies: twin of meshcodec/format/mesh_place.py. */

import { FACES, GATE_FEATURES, GATE_LENGTH, GATE_PAIRS, GATE_SIGNED, POINTS, SOUGHT } from './context.js';
import { Alternatives } from './coordinates.js';
import { Row, clamp, lengthOf, log2, signedLog } from './numbers.js';

/** Features of the three coordinates. */
export const PLACE_FEATURES = [183, 191, 216];
const SPANS = [[90, 93, 101], [91, 94, 110], [92, 95, 119]]; // features that are the spans of each coordinate
const THIRD_OFFSET = 200; // the third coordinate's that is twice the way from the guess to the face's plane
const FAR = 4; // largest distance, in lengths of the gate, that is told from larger ones
const SAME_POINTS = [0, 1, 2, 3, 4, 5, 6, 7, 8], SAME_FACES = [0, 1, 2, 3];
const SWAPPED_POINTS = [1, 0, 2, 4, 3, 6, 5, 7, 8]; // of a gate whose ends have changed places
const SWAPPED_FACES = [0, 1, 3, 2];
const ONES = [0, 1, 0, 3, 4, 3, 4, 3]; // points that are compared ...
const OTHERS = [1, 2, 2, 0, 1, 2, 2, 4]; // ... with these
const MEASURED = [0, 1, 3, 4, 2]; // points in the order in which a place's distances to them are told ...
const PLANES = [0, 1, 7, 8, 6]; // ... and normals of the planes through them: numbers of vectors
const BEHIND = 5; // the vector that is the normal of the face behind
const VECTORS = 9; // normals of five vertices, then of four faces
const ALL = 127; // bits: all candidates are offered

/** The place of one new vertex, coordinate by coordinate; it is kept, and begun anew for each. */
export class Place {
  /** @param {import('./known.js').Known} known */
  constructor(known) {
    this.known = known;
    this.axes = [0, 1, 2];
    this.mirrored = [false, false, false];
    this.limits = [0, 0, 0]; // of the coordinates
    this.points = new Int32Array(3 * POINTS); // in the frame
    this.ends = [0, 0, 0]; // vertices: the gate's, and the third of the face behind
    this.corner = new Int32Array(3);
    this.vectors = new Float64Array(3 * VECTORS);
    this.units = new Float64Array(3 * VECTORS);
    this.ways = new Float64Array(6);
    this.offsets = new Float64Array(15);
    this.above = new Float64Array(5);
    this.length = 0.5;
    this.row = new Row(PLACE_FEATURES[2]);
    this.values = [0, 0, 0];
    this.coordinate = 0; // of which `question` asks
    this.rows = PLACE_FEATURES.map((count) => this.row.values.subarray(0, count));
    const alternatives = new Alternatives();
    this.question = { features: this.rows[0], alternatives, length: 0, spans: [0, 0, 0], offset: 0.5 };
  }

  /**
   * Begin the place that a gate has led to.
   * @param {import('./context.js').Surroundings} near
   * @param {number} number of the gate in its wave
   * @param {Int16Array} gate features
   */
  begin(near, number, gate) {
    const { places } = this.known;
    const { points } = near;
    const first = POINTS * number;
    const a = 3 * points[first], b = 3 * points[first + 1], c = 3 * points[first + 2];
    this.turn(places, a, b, c);
    const along = this.turned(0, places[b + this.axes[0]] - places[a + this.axes[0]]);
    const beside = this.turned(1, places[b + this.axes[1]] - places[a + this.axes[1]]);
    const across = places[b + this.axes[2]] - places[a + this.axes[2]];
    const swap = along < 0 || (along === 0 && beside < 0);
    this.length = Math.sqrt(along * along + beside * beside + across * across);
    this.row.count = 0;
    this.putGate(gate, swap);
    this.locate(near, number, swap ? SWAPPED_POINTS : SAME_POINTS, swap ? SWAPPED_FACES : SAME_FACES);
    this.putFrame(near.found[SOUGHT * number], near.found[SOUGHT * number + 1]);
    this.coordinate = 0;
  }

  /** Axes: last the one with the longest normal, first the longer of the others' ways forward. */
  turn(places, a, b, c) {
    const { axes, mirrored, limits, known } = this;
    const x = places[a] - places[b], y = places[a + 1] - places[b + 1], z = places[a + 2] - places[b + 2];
    const u = places[c] - places[b], v = places[c + 1] - places[b + 1], w = places[c + 2] - places[b + 2];
    const outward = [y * w - z * v, z * u - x * w, x * v - y * u];
    let last = 0;
    if (Math.abs(outward[1]) > Math.abs(outward[0])) last = 1;
    if (Math.abs(outward[2]) > Math.abs(outward[last])) last = 2;
    const one = last === 0 ? 1 : 0;
    const other = last === 2 ? 1 : 2;
    const oneWay = places[a + one] + places[b + one] - 2 * places[c + one];
    const otherWay = places[a + other] + places[b + other] - 2 * places[c + other];
    const changed = Math.abs(otherWay) > Math.abs(oneWay);
    axes[0] = changed ? other : one;
    axes[1] = changed ? one : other;
    axes[2] = last;
    mirrored[0] = (changed ? otherWay : oneWay) < 0;
    mirrored[1] = (changed ? oneWay : otherWay) < 0;
    mirrored[2] = outward[last] < 0;
    for (let k = 0; k < 3; k++) limits[k] = known.sides[axes[k]];
  }

  /** A way along an axis of the frame. */
  turned(k, way) {
    return this.mirrored[k] ? -way : way;
  }

  /** Features of the gate, with its ends changed where that is asked. */
  putGate(gate, swap) {
    const { values } = this.row;
    for (let i = 0; i < GATE_FEATURES; i++) values[i] = gate[i];
    this.row.count = GATE_FEATURES;
    if (!swap) return;
    for (let i = 0; i < 2 * GATE_PAIRS; i += 2) {
      values[i] = gate[i + 1];
      values[i + 1] = gate[i];
    }
    for (let i = 2 * GATE_PAIRS; i < 2 * GATE_PAIRS + GATE_SIGNED; i++) values[i] = -gate[i];
  }

  /** What lies around the gate, in the frame. */
  locate(near, number, points, faces) {
    const { places, normals, faceNormals } = this.known;
    const { corner, points: there } = this;
    const first = POINTS * number;
    for (let point = 0; point < POINTS; point++) this.addPoint(places, near.points[first + points[point]], point);
    for (let point = 0; point < 5; point++) this.addVector(normals, near.points[first + points[point]], point);
    for (let k = 0; k < 4; k++) this.addVector(faceNormals, near.faces[FACES * number + faces[k]], 5 + k);
    for (let k = 0; k < 3; k++) corner[k] = there[k] + there[3 + k] - there[6 + k];
    for (let k = 0; k < 3; k++) this.ends[k] = near.points[first + points[k]];
  }

  addPoint(places, vertex, point) {
    const { axes, mirrored, limits, points } = this;
    for (let k = 0; k < 3; k++) {
      const value = places[3 * vertex + axes[k]];
      points[3 * point + k] = mirrored[k] ? limits[k] - value : value;
    }
  }

  addVector(vectors, number, to) {
    const { axes } = this;
    const x = this.turned(0, vectors[3 * number + axes[0]]);
    const y = this.turned(1, vectors[3 * number + axes[1]]);
    const z = this.turned(2, vectors[3 * number + axes[2]]);
    const by = lengthOf(x, y, z);
    this.vectors[3 * to] = x;
    this.vectors[3 * to + 1] = y;
    this.vectors[3 * to + 2] = z;
    this.units[3 * to] = x / by;
    this.units[3 * to + 1] = y / by;
    this.units[3 * to + 2] = z / by;
  }

  /** Features that follow from where the points lie in the frame. */
  putFrame(one, other) {
    const { corner, length, limits, points, row, units, ways } = this;
    for (let k = 0; k < 3; k++) {
      ways[k] = points[3 + k] - points[k];
      ways[3 + k] = (points[k] + points[3 + k]) * 0.5 - points[6 + k];
    }
    for (let n = 0; n < 6; n++) row.put(ways[n] / length);
    for (let k = 0; k < 3; k++) for (let n = 0; n < VECTORS; n++) row.put(units[3 * n + k]);
    for (let k = 0; k < 3; k++) {
      for (let point = 3; point < POINTS; point++) {
        const value = (points[3 * point + k] - corner[k]) / length;
        row.put(clamp(point < 7 ? value : value * (point === 7 ? one : other), -FAR, FAR));
      }
    }
    for (let n = 0; n < 6; n++) row.put(signedLog(ways[n]));
    for (let k = 0; k < 3; k++) row.put(signedLog(clamp(corner[k], 0, limits[k])));
    for (let k = 0; k < 3; k++) row.put(signedLog(limits[k] - clamp(corner[k], 0, limits[k])));
    for (let k = 0; k < 3; k++) {
      for (let i = 0; i < ONES.length; i++) row.put(points[3 * ONES[i] + k] === points[3 * OTHERS[i] + k] ? 1 : 0);
    }
    for (let which = 0; which < 2; which++) {
      for (let k = 0; k < 3; k++) row.put(this.known.errors[2 * this.ends[k] + which]);
    }
  }

  /** Height over a plane's point at which the plane lies at two offsets; 0 where it stands upright. */
  heightOf(normal, first, second) {
    const { vectors } = this;
    const upwards = vectors[3 * normal + 2];
    if (upwards === 0) return 0;
    const height = -(vectors[3 * normal] * first + vectors[3 * normal + 1] * second) / upwards;
    return Math.abs(height) > 64 * this.length ? 0 : height;
  }

  /** What the plane of the face says of the third coordinate, above the corner. */
  slope() {
    return this.heightOf(BEHIND, this.values[0] - this.corner[0], this.values[1] - this.corner[1]);
  }

  /** Features for the network of the next coordinate, and what the coordinate may be. */
  next() {
    const { corner, limits, points, question, row } = this;
    const k = this.coordinate;
    if (k > 0) this.putValue(k - 1);
    let guess = corner[k];
    if (k === 2) {
      const slope = this.slope();
      guess += Math.floor(slope + 0.5);
      this.putThird(slope);
    }
    const { alternatives, spans } = question;
    const { candidates } = alternatives;
    for (let point = 0; point < 5; point++) candidates[point] = points[3 * point + k];
    candidates[5] = 0;
    candidates[6] = limits[k];
    alternatives.begin(clamp(guess, 0, limits[k]), limits[k], ALL);
    question.features = this.rows[k];
    question.length = row.values[GATE_LENGTH];
    for (let i = 0; i < 3; i++) spans[i] = row.values[SPANS[k][i]];
    question.offset = k === 2 ? row.values[THIRD_OFFSET] * (0.5 / 16) : 0;
    return question;
  }

  /** The coordinate that was asked for. */
  take(value) {
    this.values[this.coordinate++] = value;
  }

  /** What a coordinate that is found tells of those after it. */
  putValue(k) {
    const { points, row } = this;
    const value = this.values[k];
    const residual = value - this.corner[k];
    row.put(clamp(residual / this.length, -FAR, FAR));
    row.put(signedLog(residual));
    for (let point = 0; point < 5; point++) row.put(value === points[3 * point + k] ? 1 : 0);
    row.put(residual === 0 ? 1 : 0);
  }

  /** What both other coordinates tell of the last one. */
  putThird(slope) {
    const { above, length, offsets, points, row, values } = this;
    const third = this.corner[2] + slope;
    for (let i = 0; i < 5; i++) {
      const at = 3 * MEASURED[i];
      offsets[3 * i] = values[0] - points[at];
      offsets[3 * i + 1] = values[1] - points[at + 1];
      offsets[3 * i + 2] = third - points[at + 2];
      // How far above the guess the planes of the faces around lie.
      above[i] = this.heightOf(PLANES[i], offsets[3 * i], offsets[3 * i + 1]) - offsets[3 * i + 2];
    }
    row.put(clamp(slope / length, -FAR, FAR));
    row.put((slope - Math.floor(slope + 0.5)) * 2);
    for (let i = 0; i < 5; i++) {
      const x = offsets[3 * i], y = offsets[3 * i + 1], z = offsets[3 * i + 2];
      row.put(Math.min(Math.sqrt(x * x + y * y + z * z) / length, FAR));
    }
    for (let i = 0; i < 5; i++) row.put(clamp(above[i] / length, -2, 2) * 4);
    for (let i = 0; i < 5; i++) row.put(signedLog(above[i]));
  }

  /** The place in the grid, once all values are known. */
  position() {
    const place = [0, 0, 0];
    for (let k = 0; k < 3; k++) {
      place[this.axes[k]] = this.mirrored[k] ? this.limits[k] - this.values[k] : this.values[k];
    }
    return place;
  }

  /** log2 of 1 + the residual in the plane, and across it. */
  errors() {
    const { corner, values } = this;
    const across = Math.abs(values[2] - corner[2] - Math.floor(this.slope() + 0.5));
    return [log2(1 + (Math.abs(values[0] - corner[0]) + Math.abs(values[1] - corner[1]))), log2(1 + across)];
  }

  /** Whether a coordinate is that of the parallelogram's corner. */
  isExact(k) {
    return this.values[k] === this.corner[k];
  }
}
