/** What is known of a mesh so far: twin of `Known` in meshcodec/format/mesh_context.py. */

import { MOST_VERTICES, SYMBOLS } from './front.js';
import { angle, lengthOf, log2 } from './numbers.js';

const ROOM = 1024; // vertices and faces that there is room for at first

/** Places, and sums over faces, by the number of a vertex; vectors are three numbers in a row. */
export class Known {
  /**
   * @param {import('./front.js').Front} front
   * @param {number[]} sides largest coordinates
   * @param {{scale: number, open: boolean, tangled: boolean, touching: boolean, branched: boolean}} head
   */
  constructor(front, sides, head) {
    this.front = front;
    this.sides = sides;
    this.scale = head.scale / 4;
    this.tangled = head.tangled;
    this.classes = [head.open, head.tangled, head.touching, head.branched].map(Number);
    this.vertices = 0; // how many there are
    this.places = new Int32Array(3 * ROOM);
    this.normals = new Float64Array(3 * ROOM); // sums of normals of faces, each as long as twice the area
    this.turned = new Int32Array(ROOM); // sums of the angles of faces, in 1/64 radian
    this.valence = new Int32Array(ROOM); // faces
    this.bordered = new Int32Array(ROOM); // borders that begin or end here
    this.errors = new Float64Array(2 * ROOM).fill(1); // log2 of 1 + the residual in the plane and across it
    this.faces = 0; // whose normals are known
    this.faceNormals = new Float64Array(3 * ROOM);
    this.placed = 0; // vertices whose place is known
    this.facesLeft = 0;
    this.counts = new Array(SYMBOLS).fill(1); // of each symbol so far
    this.residuals = [4, 4, 1, 1, 2]; // sums of the errors and of exact coordinates, and their number
    this.taken = new Set(); // places that have a vertex
  }

  /** The number of a vertex that is new; its place comes later. */
  meet() {
    if (this.vertices === this.valence.length) {
      for (const name of ['places', 'normals', 'turned', 'valence', 'bordered']) this[name] = doubled(this[name]);
      this.errors = doubled(this.errors).fill(1, this.errors.length);
    }
    return this.vertices++;
  }

  /** The place of a vertex; false where there is another already. */
  put(number, place) {
    const key = (place[0] * 8192 + place[1]) * 8192 + place[2];
    if (this.taken.has(key)) return false;
    this.taken.add(key);
    for (let axis = 0; axis < 3; axis++) this.places[3 * number + axis] = place[axis];
    return true;
  }

  /** A place of three numbers. */
  place(number) {
    return [this.places[3 * number], this.places[3 * number + 1], this.places[3 * number + 2]];
  }

  /** Take in the faces that the front has made since; the places of all their corners are known. */
  measureFaces() {
    this.placed = this.vertices;
    const { corners } = this.front;
    while (3 * corners.length > this.faceNormals.length) this.faceNormals = doubled(this.faceNormals);
    for (; this.faces < corners.length; this.faces++) this.measureFace(corners[this.faces]);
  }

  measureFace(corners) {
    const { places } = this;
    const a = 3 * corners[0];
    const b = 3 * corners[1];
    const c = 3 * corners[2];
    const x0 = places[b] - places[a], y0 = places[b + 1] - places[a + 1], z0 = places[b + 2] - places[a + 2];
    const x1 = places[c] - places[b], y1 = places[c + 1] - places[b + 1], z1 = places[c + 2] - places[b + 2];
    const x2 = places[a] - places[c], y2 = places[a + 1] - places[c + 1], z2 = places[a + 2] - places[c + 2];
    const at = 3 * this.faces;
    this.faceNormals[at] = y0 * z1 - z0 * y1;
    this.faceNormals[at + 1] = z0 * x1 - x0 * z1;
    this.faceNormals[at + 2] = x0 * y1 - y0 * x1;
    const by0 = lengthOf(x0, y0, z0);
    const by1 = lengthOf(x1, y1, z1);
    const by2 = lengthOf(x2, y2, z2);
    this.turnAt(corners[0], cosine(x0 / by0, y0 / by0, z0 / by0, x2 / by2, y2 / by2, z2 / by2));
    this.turnAt(corners[1], cosine(x1 / by1, y1 / by1, z1 / by1, x0 / by0, y0 / by0, z0 / by0));
    this.turnAt(corners[2], cosine(x2 / by2, y2 / by2, z2 / by2, x1 / by1, y1 / by1, z1 / by1));
  }

  /** The face has a corner at a vertex; minus the cosine there is given. */
  turnAt(vertex, opposite) {
    this.turned[vertex] += Math.floor(angle(-opposite) * 64 + 0.5);
    this.valence[vertex] += 1;
    for (let axis = 0; axis < 3; axis++) this.normals[3 * vertex + axis] += this.faceNormals[3 * this.faces + axis];
  }

  /** Numbers of the mesh as a whole and of how it went so far. */
  globalFacts() {
    const total = this.counts.reduce((sum, count) => sum + count);
    const left = log2(this.facesLeft + 1);
    const [e0, e1, x0, x2, count] = this.residuals;
    return [
      ...this.counts.map((each) => (8 * each) / total),
      left,
      left - log2(this.front.queue.length + 1),
      this.scale,
      ...this.classes,
      e0 / count,
      e1 / count,
      4 * (x0 / count),
      4 * (x2 / count),
    ];
  }

  /** Of vertices, in the order of their distance to a place, then of their numbers, the one of a rank. */
  ranked(numbers, place, rank) {
    const { places } = this;
    const keys = new Float64Array(numbers.length);
    for (let i = 0; i < keys.length; i++) {
      const at = 3 * numbers[i];
      const dx = places[at] - place[0], dy = places[at + 1] - place[1], dz = places[at + 2] - place[2];
      keys[i] = (dx * dx + dy * dy + dz * dz) * MOST_VERTICES + numbers[i]; // whole, below 2^53
    }
    return keys.sort()[rank] % MOST_VERTICES;
  }
}

function cosine(x, y, z, u, v, w) {
  return x * u + y * v + z * w;
}

/** An array with as much room again. */
function doubled(values) {
  const larger = new values.constructor(2 * values.length);
  larger.set(values);
  return larger;
}
