/** From the grid to the surface: twin of meshcodec/modes/mesh/decode.py. */

import { VatError } from '../errors.js';
import { creaseEdges, edgesOf, levelsWithin, subdivide } from './loop.js';

/** Faces that a Loop surface is subdivided to at most, where nothing else is asked. */
export const DEFAULT_MOST_FACES = 40000;
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * The surface of a mesh of the grid, in the frame of the mesh.
 * @param {import('./coder.js').GridMesh} mesh
 * @param {import('../format/container.js').VatFile} file
 * @param {number} mostFaces
 * @returns {{positions: Float64Array, indices: Uint32Array, closed: boolean}}
 */
export function surfaceOf(mesh, file, mostFaces = DEFAULT_MOST_FACES) {
  const whole = withImages(mesh.positions, mesh.faces, file.mirrored);
  let positions = Float64Array.from(whole.positions.flat());
  let indices = Uint32Array.from(whole.faces.flat());
  const edges = edgesOf(indices, positions.length / 3);
  const closed = edges.uses.every((uses) => uses === 2);
  if (mesh.crease !== 0) {
    const sharp = creaseEdges(positions, indices, edges, mesh.crease);
    const levels = levelsWithin(indices.length / 3, mostFaces);
    ({ positions, indices } = subdivide(positions, indices, sharp, levels));
  }
  const { center, halfExtents, mirrored } = file;
  const step = (2 * Math.max(...halfExtents)) / (2 ** mesh.bits - 1);
  const origin = center.map((value, axis) => value - (mirrored[axis] ? 0 : halfExtents[axis]));
  for (let i = 0; i < positions.length; i++) {
    positions[i] = positions[i] * step + origin[i % 3];
    if (!(Math.abs(positions[i]) <= LARGEST_FLOAT32)) {
      throw new VatError('corrupt', 'its placement is beyond the range of float32');
    }
  }
  return { positions, indices, closed };
}

/** A mesh of the grid with its images across the middle planes, where one coordinate is 0. */
export function withImages(positions, faces, mirrored) {
  for (let axis = 0; axis < 3; axis++) {
    if (!mirrored[axis]) continue;
    const beside = positions.map((place) => place[axis] !== 0);
    let next = positions.length;
    const image = beside.map((apart, vertex) => (apart ? next++ : vertex));
    const images = positions.filter((_, vertex) => beside[vertex]).map((place) => place.map((value, k) => (k === axis ? -value : value)));
    // In the mirror counter-clockwise is clockwise. A face in the plane is its own image.
    const others = faces.filter((face) => face.some((vertex) => beside[vertex]));
    positions = [...positions, ...images];
    faces = [...faces, ...others.map(([i, j, k]) => [image[k], image[j], image[i]])];
  }
  return { positions, faces };
}
