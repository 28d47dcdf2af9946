/** Tokens to a closed mesh: twin of meshcodec/modes/tokens/decode.py. */

import { VatError } from '../errors.js';
import { ISO_OFFSET_UNIT } from '../format/container.js';
import { extract } from '../surface/extract.js';
import { EXTENT } from '../surface/grid.js';
import { narrowed, slitThickness } from '../surface/slits.js';
import { withoutSmallComponents } from '../surface/small_components.js';
import { Field } from './field.js';
import { MIN_RESOLUTION } from './limits.js';

const PILOT_CELLS = 48; // cells of the grid on which the faces of a surface are estimated
const FACES = 250000; // faces that a decode is given where no resolution is asked for, about
const MOST_CELLS = 160; // cells of the grid of such a decode, at most
const CELLS_STEP = 8;
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** Cells a side of the grid on which a surface has about FACES faces, given its faces on PILOT_CELLS. */
export function cellsOf(faces) {
  const wanted = PILOT_CELLS * Math.sqrt(FACES / Math.max(faces, 1));
  return Math.max(Math.min(CELLS_STEP * Math.floor(wanted / CELLS_STEP), MOST_CELLS), MIN_RESOLUTION);
}

/**
 * The surface of tokens in the cube, with narrow slits and no small components.
 * @param {Field} field
 * @param {{isoOffset: number, mirrored: boolean[]}} file
 * @param {number|null} resolution cells a side; null: as many as give about FACES faces
 * @param {boolean} narrow make slits narrow
 */
export function surfaceOfField(field, { isoOffset, mirrored }, resolution, narrow = true) {
  const level = isoOffset * ISO_OFFSET_UNIT;
  const find = (cells, move) => extract(field, { level, resolution: cells, mirrored, move });
  const cells = resolution ?? cellsOf(find(PILOT_CELLS, null).indices.length / 3);
  const move = (positions, indices) => narrowed(positions, indices, slitThickness(level), mirrored);
  return { ...withoutSmallComponents(find(cells, narrow ? move : null)), cells };
}

/** Points of the cube in the frame of the mesh, in place. Throws VatError: they are beyond float32. */
export function placed(positions, { center, halfExtents, mirrored }) {
  const units = halfExtents.map((half, axis) => (mirrored[axis] ? half / (1 + EXTENT) : half));
  const origin = center.map((value, axis) => value + (mirrored[axis] ? EXTENT * units[axis] : 0));
  for (let i = 0; i < positions.length; i++) {
    positions[i] = positions[i] * units[i % 3] + origin[i % 3];
    if (!(Math.abs(positions[i]) <= LARGEST_FLOAT32)) {
      throw new VatError('corrupt', 'its placement is beyond the range of float32');
    }
  }
  return positions;
}

/**
 * A file's tokens to a mesh in its frame.
 * @param {{kernels: import('../kernels.js').Kernels, decoder: import('./planes.js').PlanesDecoder, tensors: Map, config: object}} model
 * @param {Uint8Array} tokens
 * @param {import('../format/container.js').VatFile} file
 * @param {number|null} resolution
 */
export function decodeTokens({ kernels, decoder, tensors, config }, tokens, file, resolution) {
  const mark = kernels.room(4);
  try {
    const field = new Field(kernels, tensors, config, decoder.planes(tokens));
    const { positions, indices, cells } = surfaceOfField(field, file, resolution);
    if (!indices.length) throw new VatError('corrupt', 'its tokens decode to no surface');
    return { positions: placed(positions, file), indices, closed: true, cells };
  } finally {
    kernels.release(mark);
  }
}
