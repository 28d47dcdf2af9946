/** What is known of a mesh so far: twin of `Known` in meshcodec/format/mesh_context.py. */

import { SYMBOLS } from './front.js';
import { angle, cross, dot, log2, minus, unit } from './numbers.js';

const ZERO = [0, 0, 0];

/** A vertex: its place, and sums over the faces around it. */
class Vertex {
  constructor() {
    this.place = ZERO;
    this.normal = [0, 0, 0]; // sum of normals of faces, each as long as twice the area
    this.turned = 0; // sum of the angles of faces, in 1/64 radian, whole
    this.valence = 0; // faces
    this.bordered = 0; // borders that begin or end here
    this.error = [1, 1]; // log2 of 1 + the residual in the plane and across it, of vertices that a gate made
  }
}

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
    this.vertices = [];
    this.faceNormals = [];
    this.placed = 0; // vertices whose place is known
    this.facesLeft = 0;
    this.counts = new Array(SYMBOLS).fill(1); // of each symbol so far
    this.residuals = [4, 4, 1, 1, 2]; // sums of the errors and of exact coordinates, and their number
    this.taken = new Set(); // places that have a vertex
  }

  /** The number of a vertex that is new; its place comes later. */
  meet() {
    return this.vertices.push(new Vertex()) - 1;
  }

  /** The place of a vertex; false where there is another already. */
  put(number, place) {
    const key = (place[0] * 8192 + place[1]) * 8192 + place[2];
    if (this.taken.has(key)) return false;
    this.taken.add(key);
    this.vertices[number].place = place;
    return true;
  }

  /** Take in the faces that the front has made since; the places of all their corners are known. */
  measureFaces() {
    this.placed = this.vertices.length;
    const { corners } = this.front;
    for (let face = this.faceNormals.length; face < corners.length; face++) {
      const around = corners[face].map((corner) => this.vertices[corner]);
      const towards = around.map((vertex, k) => minus(around[(k + 1) % 3].place, vertex.place));
      const normal = cross(towards[0], towards[1]);
      this.faceNormals.push(normal);
      const edges = towards.map(unit);
      around.forEach((vertex, k) => {
        vertex.turned += Math.floor(angle(-dot(edges[k], edges[(k + 2) % 3])) * 64 + 0.5);
        vertex.valence += 1;
        for (let axis = 0; axis < 3; axis++) vertex.normal[axis] += normal[axis];
      });
    }
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

  /** The vertices of numbers by their distance to a place, then by number; they are given by number. */
  byDistance(numbers, place) {
    const distance = (number) => {
      const way = minus(this.vertices[number].place, place);
      return dot(way, way);
    };
    const distances = new Map(numbers.map((number) => [number, distance(number)]));
    return numbers.sort((one, other) => distances.get(one) - distances.get(other) || one - other);
  }
}
