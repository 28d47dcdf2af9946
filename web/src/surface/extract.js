/** From a field to a closed mesh, coarse to fine: twin of meshcodec/surface/extract.py. */

import { TRUNCATION } from '../tokens/field.js';
import { Cells, CORNERS, Grid } from './grid.js';
import { polygonize } from './marching_cubes.js';

const COARSEST = 8; // grid points between two points of the coarsest lattice, at most
/** Learned distance per true distance that the search counts on. */
const LIPSCHITZ = 0.75;

/**
 * The surface of a field, in the cube.
 * @param {import('../tokens/field.js').Field} field
 * @param {object} options
 * @param {number} options.level the distance at which the surface lies
 * @param {number} options.resolution cells a side
 * @param {boolean[]} options.mirrored axes whose lower side of the cube is a mirror
 * @param {((positions: Float64Array, faces: Uint32Array) => Float64Array)?} [options.move] where vertices go
 * @returns {{positions: Float64Array, indices: Uint32Array, evaluated: number}}
 */
export function extract(field, { level, resolution, mirrored, move }) {
  const grid = new Grid(field, level, resolution, mirrored);
  try {
    return polygonize(grid, search(grid), move);
  } finally {
    grid.close();
  }
}

/** Evaluate a grid coarse to fine, wherever the surface may pass; returns the lists of evaluated keys. */
function search(grid) {
  const { resolution } = grid;
  /** Largest value at the corners of cells of `step` a side that can hold the surface. */
  const reach = (step) => (step * LIPSCHITZ * grid.cell * Math.sqrt(3)) / 2;
  let step = COARSEST;
  // A cell whose corners may all be truncated although it holds the surface could not be told from empty.
  while (step > 1 && reach(step) >= 0.98 * TRUNCATION) step /= 2;
  let cells = lattice(resolution, step);
  const known = [evaluateLattice(grid, step)];
  for (let coarsest = true; step > 1; coarsest = false, step /= 2) {
    const all = grid.withValues(cells, step);
    const near = all.select((cell) => all.mayHold(cell, reach(step)));
    if (coarsest && step > 2) known.push(grid.evaluateBetween(near, step));
    else known.push(...grid.evaluateNear(near, step, LIPSCHITZ));
    cells = halved(near, step / 2, resolution);
  }
  return known;
}

/** All cells of one size. */
function lattice(resolution, step) {
  const side = Math.ceil(resolution / step);
  const at = [0, 1, 2].map(() => new Int32Array(side ** 3));
  for (let cell = 0; cell < side ** 3; cell++) {
    at[0][cell] = step * Math.floor(cell / (side * side));
    at[1][cell] = step * (Math.floor(cell / side) % side);
    at[2][cell] = step * (cell % side);
  }
  return new Cells(at, null);
}

function evaluateLattice(grid, step) {
  const ticks = [];
  for (let tick = 0; tick < grid.resolution + step; tick += step) ticks.push(tick);
  const keys = new Int32Array(ticks.length ** 3);
  let n = 0;
  for (const i of ticks) for (const j of ticks) for (const k of ticks) keys[n++] = grid.key(i, j, k);
  grid.evaluate(keys);
  return keys;
}

/** The eight halves of cells, those inside of the grid. */
function halved(cells, step, resolution) {
  const at = [0, 1, 2].map((axis) => {
    const list = new Int32Array(8 * cells.count);
    CORNERS.forEach((corner, c) => {
      for (let cell = 0; cell < cells.count; cell++) list[c * cells.count + cell] = cells.at[axis][cell] + corner[axis] * step;
    });
    return list;
  });
  const all = new Cells(at, null);
  return resolution % (2 * step) ? all.select((cell) => at.every((list) => list[cell] < resolution)) : all;
}
